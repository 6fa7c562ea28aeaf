// SPDX-License-Identifier: MIT OR Apache-2.0
// Inode numbers and times of 64 bits on 32-bit platforms as well.
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64  // NOLINT: the C library chose the name and that it is a macro
#endif

#include "descriptors.hpp"

#include "result.hpp"

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

#if SD_HAS_DESCRIPTORS
#include <fcntl.h>

#include <cstdlib>
#endif

#if defined(__linux__)
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

namespace sd::detail::os {

#if defined(_WIN32)
int close(int fd) noexcept { return negated_errno(::_close(fd)); }
#else
int close(int fd) noexcept { return negated_errno(::close(fd)); }
#endif

#if !SD_HAS_DESCRIPTORS

// No process here can be handed descriptors by this protocol. With no variable set, none of the rest is called.
const char* get_environment(const char*) noexcept { return nullptr; }
void unset_environment(const char*) noexcept {}
int process_id() noexcept { return -ENOSYS; }
int is_close_on_exec(int) noexcept { return -ENOSYS; }
int set_close_on_exec(int, bool) noexcept { return -ENOSYS; }
int duplicate(int, int) noexcept { return -ENOSYS; }

#else

const char* get_environment(const char* name) noexcept { return std::getenv(name); }
void unset_environment(const char* name) noexcept { ::unsetenv(name); }
#if defined(__linux__)
// Not getpid(3): glibc before 2.25 returns the parent's pid in the child of a raw clone, and in newer versions the
// function lies on a page of its own, which costs a fresh process a page fault.
int process_id() noexcept { return static_cast<int>(::syscall(SYS_getpid)); }
#else
int process_id() noexcept { return ::getpid(); }
#endif
int is_close_on_exec(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0) return -errno;
  return (flags & FD_CLOEXEC) != 0 ? 1 : 0;
}
int set_close_on_exec(int fd, bool on) noexcept { return negated_errno(::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0)); }
int duplicate(int fd, int lowest) noexcept { return negated_errno(::fcntl(fd, F_DUPFD_CLOEXEC, lowest)); }

#endif

#if defined(__linux__)

// System calls by number, because older C libraries have no wrappers. Older headers have no numbers either; those that
// most architectures share are used then, so that the behavior does not depend on the headers.
#if defined(SYS_close_range)
constexpr long close_range_number = SYS_close_range;
#elif defined(__alpha__) || defined(__mips__)
constexpr long close_range_number = -1;
#else
constexpr long close_range_number = 436;
#endif
#if defined(SYS_pidfd_open)
constexpr long pidfd_open_number = SYS_pidfd_open;
#elif defined(__alpha__) || defined(__mips__)
constexpr long pidfd_open_number = -1;
#else
constexpr long pidfd_open_number = 434;
#endif

int set_close_on_exec_range(int first, int last) noexcept {
  constexpr unsigned close_range_cloexec = 1U << 2U;
  return negated_errno(static_cast<int>(
      ::syscall(close_range_number, static_cast<unsigned>(first), static_cast<unsigned>(last), close_range_cloexec)));
}
int open_pidfd(int pid) noexcept { return negated_errno(static_cast<int>(::syscall(pidfd_open_number, pid, 0U))); }
int is_pidfs(int pidfd) noexcept {
  constexpr std::uint32_t pidfs_magic = 0x50494446;
  struct statfs fs;
  if (const int result = uninterrupted([&] { return ::fstatfs(pidfd, &fs); }); result < 0) return result;
  return static_cast<std::uint32_t>(fs.f_type) == pidfs_magic ? 1 : 0;
}
int inode(int fd, std::uint64_t& number) noexcept {
  struct stat status;
  if (::fstat(fd, &status) < 0) return -errno;
  number = status.st_ino;
  return 0;
}

#else

int set_close_on_exec_range(int, int) noexcept { return -ENOSYS; }
int open_pidfd(int) noexcept { return -ENOSYS; }
int is_pidfs(int) noexcept { return 0; }
int inode(int, std::uint64_t&) noexcept { return -ENOSYS; }

#endif

}  // namespace sd::detail::os
