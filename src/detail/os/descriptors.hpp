#pragma once

#include "platform.hpp"

#include <cstdint>

// The environment, the process id and what every descriptor has. All that `listen_fds()` needs.
namespace sd::detail::os {

const char* get_environment(const char* name) noexcept;
void unset_environment(const char* name) noexcept;
int process_id() noexcept;

int close(int fd) noexcept;
/// F_GETFD: whether the descriptor has FD_CLOEXEC (1) or not (0).
int is_close_on_exec(int fd) noexcept;
/// F_SETFD: FD_CLOEXEC alone, or no flag.
int set_close_on_exec(int fd, bool on) noexcept;
/// F_DUPFD_CLOEXEC: the lowest number that is free from `lowest` on.
int duplicate(int fd, int lowest) noexcept;
/// close_range(CLOSE_RANGE_CLOEXEC); -ENOSYS or -EINVAL where the kernel is older than 5.11.
int set_close_on_exec_range(int first, int last) noexcept;

/// pidfd_open(2); -ENOSYS where the kernel is older than 5.3, and off Linux.
int open_pidfd(int pid) noexcept;
/// Whether `pidfd` has an inode of its own (1), from Linux 6.9 on, or shares one with every anonymous file (0).
int is_pidfs(int pidfd) noexcept;
/// The inode number: 64 bits, of which a 32-bit kernel knows the lower half.
int inode(int fd, std::uint64_t& number) noexcept;

}  // namespace sd::detail::os
