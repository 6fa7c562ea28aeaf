// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "platform.hpp"

#include <cstdint>

// The environment, the process id and the calls that apply to every descriptor: all that `listen_fds()` needs.
namespace sd::detail::os {

const char* get_environment(const char* name) noexcept;
void unset_environment(const char* name) noexcept;
int process_id() noexcept;

int close(int fd) noexcept;
/// F_GETFD. Returns whether the descriptor has FD_CLOEXEC (1) or not (0).
int is_close_on_exec(int fd) noexcept;
/// F_SETFD. Sets FD_CLOEXEC alone, or clears all flags.
int set_close_on_exec(int fd, bool on) noexcept;
/// F_DUPFD_CLOEXEC. Returns the copy, which has the lowest free number that is not below `lowest`.
int duplicate(int fd, int lowest) noexcept;
/// close_range(CLOSE_RANGE_CLOEXEC). -ENOSYS or -EINVAL if the kernel is older than 5.11.
int set_close_on_exec_range(int first, int last) noexcept;

/// pidfd_open(2). -ENOSYS if the kernel is older than 5.3, and on other systems.
int open_pidfd(int pid) noexcept;
/// Returns whether `pidfd` has an inode of its own (1), as it does since Linux 6.9, or shares one with every anonymous
/// file (0).
int is_pidfs(int pidfd) noexcept;
/// Reads the inode number. Only its lower 32 bits are valid on a 32-bit kernel.
int inode(int fd, std::uint64_t& number) noexcept;

}  // namespace sd::detail::os
