// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include "detail/bind_path.hpp"
#include "detail/bind_socket.hpp"
#include "detail/choice.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/os/sockets.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#if SD_HAS_DESCRIPTORS

#include <sys/socket.h>

namespace sd {
inline namespace v0 {

namespace {

namespace os = detail::os;

using detail::failure;
using detail::succeeded;

/// Returns whether the descriptors that were passed for this address leave it free for a socket of this kind. TCP and
/// UDP have separate ports.
bool leaves_free(const std::vector<listen_fd>& fds, const address& where, kind wanted) {
  const auto passed = detail::describe_selected(fds, where);
  const auto is_same_protocol = [&](const description& what) {
    return (what.kind == kind::datagram) == (wanted == kind::datagram);
  };
  return where.family() != AF_UNIX && std::none_of(passed.begin(), passed.end(), is_same_protocol);
}

/// Opens the socket. The error lists the descriptors that were passed, because one of them often holds the address.
server_socket open(const std::vector<listen_fd>& fds, const address& where, const bind_options& options, failure& why) {
  auto socket = detail::bind_socket(where, options, {}, why);
  if (why && !fds.empty()) why.step += ", available: " + to_string(fds);
  return socket;
}

server_socket take_or_open(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, failure& why) {
  std::error_code ec;
  const auto index = detail::choose_one(fds, options.kind, which, ec);
  const bool is_free = ec == errc::wrong_kind && !which.name() && leaves_free(fds, where, options.kind);
  if (ec == errc::not_passed || is_free) return open(fds, where, options, why);
  if (ec) {
    why = {ec, detail::explain(fds, options.kind, which, ec)};
    return {};
  }
  if (options.nonblocking != nonblocking::leave) {
    const int result = os::set_nonblocking(fds[index].fd.get(), options.nonblocking == nonblocking::on);
    if (!succeeded(result, "make nonblocking", to_string(where), why)) return {};
  }
  return server_socket(detail::take_at(fds, index).fd);
}

}  // namespace

}  // namespace v0

void detail::bound_path::unlink() noexcept {
  if (os::process_id() != pid_) return;
  unlink_path(path_, file_);
}

inline namespace v0 {

server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, std::error_code& ec) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  ec = why.code;
  return socket;
}

#if SD_HAS_EXCEPTIONS
server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  if (why) throw std::system_error(why.code, why.step);
  return socket;
}
#endif

}  // namespace v0
}  // namespace sd

#endif
