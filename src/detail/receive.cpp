#include "receive.hpp"

#include "os/descriptors.hpp"

#include <cerrno>

namespace sd::detail {

namespace {

/// Up to here, one call per descriptor is no more calls than the three that prove and mark a whole range.
constexpr int few = 2;

fault failed(const char* variable, const char* value, int error, int descriptor = -1) noexcept {
  fault why;
  why.error = error;
  why.variable = variable;
  why.value = value;
  why.descriptor = descriptor;
  return why;
}

/// Whether this process has the given pidfs inode, or runs on a kernel that cannot tell (both 1; 0: it has not).
int has_pidfdid(std::uint64_t expected, int pid) noexcept {
  std::uint64_t actual = 0;
  const int result = pidfd_inode(pid, actual);
  if (result <= 0) return result == 0 ? 1 : result;
  return actual == expected ? 1 : 0;
}

/// Why `fd` cannot have been passed, if it cannot: it is closed, or would have been by exec.
fault looked_at(int fd, reading reading, const char* listen_fds) noexcept {
  const int close_on_exec = os::is_close_on_exec(fd);
  if (close_on_exec == 0 || (close_on_exec > 0 && reading == reading::again)) return {};
  fault why = failed("LISTEN_FDS", listen_fds, close_on_exec < 0 ? -close_on_exec : 0, fd);
  if (close_on_exec > 0) why.code = errc::already_claimed;
  return why;
}

/// Proves that the whole range is open.
fault prove(int count, reading reading, const char* listen_fds) noexcept {
  constexpr int first = first_descriptor;
  if (const fault why = looked_at(first, reading, listen_fds)) return why;
  if (count > few) {
    // The kernel answers the lowest free number, so a number past the range means that the range has no hole.
    const int probe = os::duplicate(first, first);
    if (probe >= 0) {
      os::close(probe);
      return probe < first + count ? failed("LISTEN_FDS", listen_fds, EBADF, probe) : fault();
    }
  }
  for (int fd = first + 1; fd < first + count; ++fd) {
    if (const fault why = looked_at(fd, reading, listen_fds)) return why;
  }
  return {};
}

/// Whether LISTEN_PIDFDID names this process. False on a fault.
bool is_named(const environment& env, std::uint64_t pidfdid, int pid, fault& why) noexcept {
  const int result = has_pidfdid(pidfdid, pid);
  if (result < 0) why = failed("LISTEN_PIDFDID", env.listen_pidfdid, -result);
  return result == 1;
}

/// The number of descriptors that the variables pass to this process. 0 on a fault.
int passed(const environment& env, reading reading, fault& why) noexcept {
  const int count = descriptor_count(env, why);
  if (count > 0) why = prove(count, reading, env.listen_fds);
  return why ? 0 : count;
}

}  // namespace

offer claim(listen_options options, reading reading, fault& why) noexcept {
  if (claimed.load(std::memory_order_acquire)) return {};

  environment env;
  env.listen_pid = os::get_environment("LISTEN_PID");
  env.listen_pidfdid = os::get_environment("LISTEN_PIDFDID");
  env.listen_fds = os::get_environment("LISTEN_FDS");
  env.listen_fdnames = os::get_environment("LISTEN_FDNAMES");

  const int pid = os::process_id();
  std::uint64_t pidfdid = 0;
  const addressee whose = addressed_to(env, pid, options, pidfdid, why);
  if (whose == addressee::another) return {};
  if (claimed.exchange(true, std::memory_order_acq_rel)) return {};

  const bool addressed = whose == addressee::this_one || is_named(env, pidfdid, pid, why);
  const int count = addressed ? passed(env, reading, why) : 0;
  if (count == 0) claimed.store(false, std::memory_order_release);
  return {count, addressed, env};
}

void mark(const offer& offered, fault& why) noexcept {
  const int first = first_descriptor;
  const int end = first + offered.count;
  if (offered.count > few && os::set_close_on_exec_range(first, end - 1) >= 0) return;
  for (int fd = first; fd < end; ++fd) {
    if (const int result = os::set_close_on_exec(fd, true); result < 0) {
      for (int marked = first; marked < fd; ++marked) os::set_close_on_exec(marked, false);
      why = failed("LISTEN_FDS", offered.env.listen_fds, -result, fd);
      return;
    }
  }
}

int pidfd_inode(int pid, std::uint64_t& number) noexcept {
  const int pidfd = os::open_pidfd(pid);
  if (pidfd < 0) return pidfd == -ENOSYS ? 0 : pidfd;
  int result = os::is_pidfs(pidfd);
  if (result > 0) {
    result = os::inode(pidfd, number);
    if (result == 0) result = 1;
  }
  os::close(pidfd);
  return result;
}

void unset_environment() noexcept {
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"}) os::unset_environment(name);
}

}  // namespace sd::detail
