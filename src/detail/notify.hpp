// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "os/sockets.hpp"

#include <cstddef>
#include <cstdint>

// Sends messages to the service manager, as sd_notify(3) does. Nothing here allocates memory or needs the C++ runtime.
// Everything is async-signal-safe, except for getenv(3) if the environment changes.
namespace sd::detail {

/// A message of `KEY=value` lines, in pieces.
struct message {
  const os::piece* pieces = nullptr;
  std::size_t piece_count = 0;
  const int* fds = nullptr;
  std::size_t fd_count = 0;
  int pid = 0;                      ///< the process to send as; 0 is this process
  bool falls_back_to_self = false;  ///< sends as this process if it may not send as the other one
};

/// Sends a message to the service manager. Returns 1 if it was sent, 0 if there is no service manager, or the negated
/// errno. An invalid message causes an error even if there is no service manager.
int notify(const message& message) noexcept;

/// Waits until the service manager has processed all messages before, with the same results. A negative time is
/// unlimited.
int notify_barrier(std::int64_t timeout_usec, int pid) noexcept;

}  // namespace sd::detail
