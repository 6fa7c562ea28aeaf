#pragma once

#include <gtest/gtest.h>
#include <systemd/sd-daemon.h>

#include <string>

namespace sd::test {

/// The functions of sd-daemon.h, as one of the two libraries has them. Null where it is too old to have one.
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
  bool knows_e2big;    ///< whether it is of 257 or later, and says so of too many descriptors
  bool knows_pidfdid;  ///< whether it is of 259 or later, and looks at LISTEN_PIDFDID
};

/// A case that calls ours alone.
class our_library : public testing::Test {
 protected:
  static void SetUpTestSuite();

  static library ours;
};

/// A case that calls both libraries, side by side in one process. SKIPPED where there is no libsystemd.
class both_libraries : public our_library {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;

  static library theirs;
};

}  // namespace sd::test
