#pragma once

#include "os/sockets.hpp"

#include <cstddef>
#include <cstdint>

// What sd_notify(3) does, in parts that neither allocate nor need the C++ runtime. All is async-signal-safe but getenv.
namespace sd::detail {

/// A message of `KEY=value` lines, in pieces, and what goes with it.
struct message {
  const os::piece* pieces = nullptr;
  std::size_t piece_count = 0;
  const int* fds = nullptr;
  std::size_t fd_count = 0;
  int pid = 0;                    ///< 0: this process
  bool else_as_this_one = false;  ///< sends as this process where it may not as the other
};

/// Sends a message to the service manager: 1 where it was sent, 0 where nobody listens, else the negated errno.
int notify(const message& message) noexcept;

/// Waits until the manager has dealt with all messages before: likewise. A negative time is any.
int notify_barrier(std::int64_t timeout_usec, int pid) noexcept;

}  // namespace sd::detail
