#include "processes.hpp"

#if SD_HAS_DESCRIPTORS

#include "descriptors.hpp"
#include "result.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <utility>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to the program

namespace sd::detail::os {

namespace {

std::int64_t monotonic_usec() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

}  // namespace

int open_pipe(int (&ends)[2]) noexcept {
#if defined(__APPLE__)
  if (::pipe(ends) < 0) return -errno;
  for (const int end : ends) set_close_on_exec(end, true);
  return 0;
#else
  return negated_errno(::pipe2(ends, O_CLOEXEC));
#endif
}
int wait_for_hangup(int fd, std::int64_t timeout_usec) noexcept {
  const std::int64_t start = monotonic_usec();
  while (true) {
    // poll(2) counts in milliseconds, and no further than an int: so round up, and look again.
    const std::int64_t left = timeout_usec - (monotonic_usec() - start);
    const std::int64_t wait = left <= 0 ? 0 : left / 1000 < INT_MAX ? left / 1000 + 1 : INT_MAX;
    pollfd hangup{fd, 0, 0};
    const int result = ::poll(&hangup, 1, timeout_usec < 0 ? -1 : static_cast<int>(wait));
    if (result > 0) return 1;
    if (result < 0 && errno != EINTR) return -errno;
    if (timeout_usec >= 0 && left <= 0) return 0;
  }
}
#if defined(__linux__)
int pidfd_inode(int pidfd, std::uint64_t& number) noexcept {
  if (sizeof(long) == sizeof number) return inode(pidfd, number);
  // A 32-bit kernel has the lower half only in its `struct stat`, and all of the number in the file handle.
  struct {
    unsigned size;
    int type;
    unsigned char number[sizeof(std::uint64_t)];
  } handle{sizeof number, 0, {}};
  int mount = 0;
  if (::syscall(SYS_name_to_handle_at, pidfd, "", &handle, &mount, AT_EMPTY_PATH) < 0) return -EOPNOTSUPP;
  std::memcpy(&number, handle.number, sizeof number);
  return 0;
}
#else
int pidfd_inode(int, std::uint64_t&) noexcept { return -EOPNOTSUPP; }
#endif
int duplicate_to(int fd, int at) noexcept { return negated_errno(::dup2(fd, at)); }
char** environment() noexcept { return environ; }
int execute(char* const* arguments, char** environment) noexcept {
  char** const saved = std::exchange(environ, environment);
  ::execvp(*arguments, arguments);
  environ = saved;
  return -errno;
}
int fork() noexcept { return negated_errno(::fork()); }
void exit(int status) noexcept { ::_exit(status); }
int wait_for_exit(int pid) noexcept {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return status;
}
int write(int fd, const void* data, std::size_t size) noexcept {
  while (true) {
    const auto written = ::write(fd, data, size);
    if (written >= 0) return static_cast<int>(written);
    if (errno != EINTR) return -errno;
  }
}
int read(int fd, void* data, std::size_t size) noexcept {
  while (true) {
    const auto count = ::read(fd, data, size);
    if (count >= 0) return static_cast<int>(count);
    if (errno != EINTR) return -errno;
  }
}

}  // namespace sd::detail::os

#endif
