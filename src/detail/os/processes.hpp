#pragma once

#include "platform.hpp"

#include <cstddef>
#include <cstdint>

// Processes and pipes.
#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

/// A pipe, close-on-exec.
int open_pipe(int (&ends)[2]) noexcept;
/// Whether the other end of a pipe was closed (1) or the time ran out (0), in microseconds; negative: any. Again on
/// EINTR.
int wait_for_hangup(int fd, std::int64_t timeout_usec) noexcept;

/// The inode number of a pidfd for which is_pidfs() is 1, in all its 64 bits. -EOPNOTSUPP for a 32-bit process before
/// Linux 6.14.
int pidfd_inode(int pidfd, std::uint64_t& number) noexcept;

/// dup2(2): the copy survives exec.
int duplicate_to(int fd, int at) noexcept;
/// The environment of this process.
char** environment() noexcept;
/// exec(3) of `arguments[0]`, looked for in PATH, with another environment. Returns only where it fails.
int execute(char* const* arguments, char** environment) noexcept;
int fork() noexcept;
/// _exit(2)
[[noreturn]] void exit(int status) noexcept;
/// waitpid(2), again on EINTR.
int wait_for_exit(int pid) noexcept;
/// write(2) and read(2) of what fits a pipe, again on EINTR.
int write(int fd, const void* data, std::size_t size) noexcept;
int read(int fd, void* data, std::size_t size) noexcept;

}  // namespace sd::detail::os

#endif
