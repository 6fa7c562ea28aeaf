// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <systemd/sd-daemon.h>

namespace sd::test {

/// The functions of sd-daemon.h in one of the two libraries. Null if the library is too old for one of them.
struct library {
  decltype(&::sd_listen_fds) listen_fds;
  decltype(&::sd_listen_fds_with_names) listen_fds_with_names;
  decltype(&::sd_is_fifo) is_fifo;
  decltype(&::sd_is_special) is_special;
  decltype(&::sd_is_socket) is_socket;
  decltype(&::sd_is_socket_inet) is_socket_inet;
  decltype(&::sd_is_socket_sockaddr) is_socket_sockaddr;
  decltype(&::sd_is_socket_unix) is_socket_unix;
  decltype(&::sd_is_mq) is_mq;
  decltype(&::sd_notify) notify;
  decltype(&::sd_notifyf) notifyf;
  decltype(&::sd_pid_notify) pid_notify;
  decltype(&::sd_pid_notifyf) pid_notifyf;
  decltype(&::sd_pid_notify_with_fds) pid_notify_with_fds;
  decltype(&::sd_pid_notifyf_with_fds) pid_notifyf_with_fds;
  decltype(&::sd_notify_barrier) notify_barrier;
  decltype(&::sd_pid_notify_barrier) pid_notify_barrier;
  decltype(&::sd_booted) booted;
  decltype(&::sd_watchdog_enabled) watchdog_enabled;
  decltype(&::sd_pidfd_get_inode_id) pidfd_get_inode_id;
  bool knows_e2big;    ///< since 257: too many descriptors are -E2BIG
  bool knows_pidfdid;  ///< since 259: LISTEN_PIDFDID is checked
};

/// Loads a library. All functions are null if there is none of this name.
library load(const char* name);

}  // namespace sd::test
