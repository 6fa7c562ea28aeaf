// SPDX-License-Identifier: MIT OR Apache-2.0
// The module of C++20: `import sd;` instead of the headers. It exports the names of all headers except
// <sd/testing.hpp>. Macros, such as SD_LISTEN_FDS_VERSION_MAJOR, are in the headers only. Programs link with the
// library as usual.
module;

#include <sd/activation.hpp>
#include <sd/address.hpp>
#include <sd/array_view.hpp>
#include <sd/asio.hpp>
#include <sd/booted.hpp>
#include <sd/config.hpp>
#include <sd/error.hpp>
#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/socket.hpp>
#include <sd/store.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>
#include <sd/version.hpp>
#include <sd/watchdog.hpp>

export module sd;

// Tests compare this list with the headers.
export namespace sd {
using sd::activation;
using sd::activation_options;
using sd::address;
using sd::array_view;
using sd::assign;
using sd::bind_ipv6_only;
using sd::bind_options;
using sd::booted;
using sd::describe;
using sd::description;
using sd::errc;
using sd::error_category;
using sd::forget;
using sd::idle_exit;
using sd::is_fifo;
using sd::is_mq;
using sd::is_socket;
using sd::is_socket_inet;
using sd::is_socket_sockaddr;
using sd::is_socket_unix;
using sd::is_special;
using sd::kind;
using sd::listen_fd;
using sd::listen_fds;
using sd::listen_options;
using sd::listening;
using sd::make_error_code;
using sd::named;
using sd::nonblocking;
using sd::notify;
using sd::notify_barrier;
using sd::notify_options;
using sd::notify_result;
using sd::operator&;
using sd::operator<<;
using sd::operator|;
using sd::operator|=;
using sd::origin;
using sd::require_all_taken;
using sd::selector;
using sd::server_socket;
using sd::state;
using sd::store;
using sd::store_limit;
using sd::store_poll;
using sd::take;
using sd::take_all;
using sd::take_or_bind;
using sd::take_stored;
using sd::to_string;
using sd::try_take;
using sd::unique_fd;
using sd::watchdog;
using sd::watchdog_period;
}  // namespace sd
