// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/address.hpp>
#include <sd/take_or_bind.hpp>

#include "commands.hpp"
#include "settings.hpp"
#include "supervision.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The settings of socket units: systemd.socket(5).
namespace sd::activate {

enum class listen_kind { stream, datagram, seqpacket, fifo, special, netlink, message_queue };

/// One thing to open.
struct listen {
  listen_kind kind;
  std::string where;  ///< the value, with specifiers replaced
  address socket;     ///< for the kinds that have an address
  int netlink_family = 0;
  unsigned netlink_group = 0;
  location at;

  /// Returns whether it is a unix socket with a path, or a FIFO.
  [[nodiscard]] bool has_path() const { return kind == listen_kind::fifo || !socket.path().empty(); }
};

/// The sockets that a socket option is set on. Others ignore the setting.
enum class option_scope { all_sockets, internet, tcp, unix_domain, netlink, unix_or_netlink };

/// An option of setsockopt(2), which a setting of the same meaning sets.
struct socket_option {
  std::string_view setting;
  option_scope scope;
  int level;
  int option;
  int ipv6_level = 0;  ///< the option of sockets of IPv6, if it is another one
  int ipv6_option = 0;
  bool before_bind = false;
};

struct option_value {
  const socket_option* option;
  int value;
};

/// A socket unit.
struct socket_unit {
  unit_name name;
  std::string path;
  std::vector<listen> listens;
  std::vector<option_value> options;  ///< in the order of the table

  bind_ipv6_only ipv6 = bind_ipv6_only::system_default;
  std::uint32_t backlog = UINT32_MAX;
  std::optional<std::string> user;
  std::optional<std::string> group;
  unsigned mode = 0666;
  unsigned directory_mode = 0755;
  std::vector<std::string> symlinks;
  bool remove_on_stop = false;
  std::string fd_name;  ///< empty for the default
  bool accept = false;
  unsigned max_connections = 64;
  std::optional<unsigned> max_connections_per_source;
  std::optional<period> trigger_limit_interval;
  std::optional<unsigned> trigger_limit_burst;
  std::string service;  ///< empty for the default
  bool writable = false;
  bool flush_pending = false;
  bool pass_file_descriptors_to_exec = false;
  int protocol = 0;
  std::string device;
  std::string congestion;
  std::optional<std::uint64_t> pipe_size;
  std::optional<long> queue_messages;
  std::optional<long> queue_message_size;
  std::vector<command> start_pre, start_post, stop_pre, stop_post;
  period timeout = std::chrono::seconds(90);

  /// Returns how often traffic may start the service. Without a limit unless the unit sets one.
  [[nodiscard]] rate_limit trigger_limit() const noexcept {
    return {trigger_limit_interval, trigger_limit_burst, std::chrono::seconds(2), accept ? 200U : 20U};
  }
};

/// Reads the settings of a socket unit. Problems are reported.
socket_unit read_socket_unit(const unit& whole, diagnostics& problems);

const directive_table<socket_unit>& socket_directives();

}  // namespace sd::activate
