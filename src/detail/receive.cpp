#include "receive.hpp"

#include "os.hpp"

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
  const int pidfd = os::open_pidfd(pid);
  if (pidfd == -ENOSYS) return 1;
  if (pidfd < 0) return pidfd;
  int result = os::is_pidfs(pidfd);
  if (result == 0) {
    result = 1;
  } else if (result == 1) {
    std::uint64_t actual = 0;
    result = os::inode(pidfd, actual);
    if (result == 0) result = actual == expected ? 1 : 0;
  }
  os::close(pidfd);
  return result;
}

/// Proves that the whole range is open and came through exec.
void prove(int count, const char* listen_fds, fault& why) noexcept {
  constexpr int first = first_descriptor;
  const int close_on_exec = os::is_close_on_exec(first);
  if (close_on_exec < 0) {
    why = failed("LISTEN_FDS", listen_fds, -close_on_exec, first);
    return;
  }
  if (close_on_exec == 1) {  // exec would have closed it, so it was opened since, or taken by other code
    why = failed("LISTEN_FDS", listen_fds, 0, first);
    why.code = errc::already_claimed;
    return;
  }
  if (count > few) {
    // The kernel answers the lowest free number, so a number past the range means that the range has no hole.
    const int probe = os::duplicate(first, first);
    if (probe >= 0) {
      os::close(probe);
      if (probe < first + count) why = failed("LISTEN_FDS", listen_fds, EBADF, probe);
      return;
    }
  }
  for (int fd = first + 1; fd < first + count; ++fd) {
    if (const int result = os::is_close_on_exec(fd); result < 0) {
      why = failed("LISTEN_FDS", listen_fds, -result, fd);
      return;
    }
  }
}

}  // namespace

offer inspect(listen_options options, fault& why) noexcept {
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
  if (whose == addressee::pidfdid_says) {
    const int ours = has_pidfdid(pidfdid, pid);
    if (ours < 0) why = failed("LISTEN_PIDFDID", env.listen_pidfdid, -ours);
    if (ours != 1) return {};
  }

  const int count = descriptor_count(env, why);
  if (count > 0) prove(count, env.listen_fds, why);
  if (why) {
    // Had another thread claimed them meanwhile, it would have marked or even closed them: that is no fault.
    if (claimed.load(std::memory_order_acquire)) why = {};
    return {};
  }
  return {count, env};
}

bool claim(const offer& offered, fault& why) noexcept {
  if (claimed.exchange(true, std::memory_order_acq_rel)) return false;

  const int first = first_descriptor;
  const int end = first + offered.count;
  if (offered.count > few && os::set_close_on_exec_range(first, end - 1) >= 0) return true;
  for (int fd = first; fd < end; ++fd) {
    if (const int result = os::set_close_on_exec(fd, true); result < 0) {
      for (int marked = first; marked < fd; ++marked) os::set_close_on_exec(marked, false);
      why = failed("LISTEN_FDS", offered.env.listen_fds, -result, fd);
      claimed.store(false, std::memory_order_release);
      return false;
    }
  }
  return true;
}

void unset_environment() noexcept {
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"}) os::unset_environment(name);
}

}  // namespace sd::detail
