// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "platform.hpp"

#include <cstddef>
#include <cstdint>

// Processes, programs and pipes.
#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

/// Opens a pipe whose ends are close-on-exec.
int open_pipe(int (&ends)[2]) noexcept;
/// Waits until the other end of a pipe is closed (1), or until the time in microseconds is over (0). Waits without
/// limit if the time is negative. Retries on EINTR.
int wait_for_hangup(int fd, std::int64_t timeout_usec) noexcept;

/// Reads the inode number of a pidfd for which is_pidfs() is 1, in all its 64 bits. -EOPNOTSUPP for a 32-bit process
/// before Linux 6.14.
int pidfd_inode(int pidfd, std::uint64_t& number) noexcept;

/// dup2(2). The copy is inherited by programs.
int duplicate_to(int fd, int number) noexcept;
/// Returns the environment of this process, which is null if it was cleared.
char** environment() noexcept;
/// execve(2). Returns only if it fails.
int execute(const char* path, char* const* arguments, char* const* environment) noexcept;

/// The signals whose action in this process may not be the default one, a bit each: 1 << (signal - 1).
struct signal_actions {
  std::uint64_t handled = ~std::uint64_t{0};
  std::uint64_t ignored = ~std::uint64_t{0};
};
/// Returns the actions that the signals have now.
signal_actions read_signal_actions() noexcept;

/// A child process from its start to the execution of its program.
struct child {
  /// Executes the program. Returns an errno if that fails.
  int (*execute)(void* self) noexcept;
  void* self;
  /// Called before `execute` unless it is null. Returns 0 or the errno with which `start()` fails.
  int (*prepare)(void* argument) noexcept;
  void* argument;
  /// Whether `prepare` may run in the memory of this process.
  bool prepares_in_shared_memory;
  /// The child resets no other signals than these. Without handlers, this thread does not block signals meanwhile.
  signal_actions actions;
  /// `execute` may overwrite all descriptors below this number.
  int end_of_overwritten;
  /// Memory of `stack_size` bytes, which the child uses if it shares the memory of this process.
  char* stack;
};
constexpr std::size_t stack_size = 65536;

/// Starts a child with the default action for every signal and an empty signal mask, and returns its pid when it has
/// executed its program. On failure no child remains. ECANCELED: the child ended before it executed the program.
///
/// The child shares the memory of this process if the preparation, if any, allows it and the system supports it.
int start(const child& program) noexcept;

}  // namespace sd::detail::os

#endif
