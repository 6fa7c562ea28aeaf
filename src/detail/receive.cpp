// SPDX-License-Identifier: MIT OR Apache-2.0
#include "receive.hpp"

#include "os/descriptors.hpp"

#include <atomic>
#include <cerrno>

namespace sd::detail {

namespace {

/// Descriptors up to this number are verified and marked one by one, which takes no more calls than for a whole range.
constexpr int individually = 2;

fault failed(const char* variable, const char* value, int error, int descriptor = -1) noexcept {
  fault why;
  why.error = error;
  why.variable = variable;
  why.value = value;
  why.descriptor = descriptor;
  return why;
}

/// Returns whether this process has the pidfs inode (1) or not (0). Returns 1 if the kernel has no such inodes.
int has_pidfdid(std::uint64_t expected, int pid) noexcept {
  std::uint64_t actual = 0;
  const int result = pidfd_inode(pid, actual);
  if (result <= 0) return result == 0 ? 1 : result;
  return actual == expected ? 1 : 0;
}

/// Verifies that `fd` can have been passed: it is open and was not close-on-exec.
fault verify_one(int fd, ownership wanted, const char* value) noexcept {
  const int close_on_exec = os::is_close_on_exec(fd);
  if (close_on_exec < 0) return failed("LISTEN_FDS", value, -close_on_exec, fd);
  if (close_on_exec == 0 || wanted == ownership::shared) return {};
  fault why = failed("LISTEN_FDS", value, 0, fd);
  why.code = errc::already_claimed;
  return why;
}

/// Verifies that the whole range is open.
fault verify(const descriptor_range& range, ownership wanted, const char* value) noexcept {
  if (const fault why = verify_one(range.first, wanted, value)) return why;
  if (range.count > individually) {
    // The kernel returns the lowest free number, so a number past the range means that the range has no hole.
    const int probe = os::duplicate(range.first, range.first);
    if (probe >= 0) {
      os::close(probe);
      return probe < range.end() ? failed("LISTEN_FDS", value, EBADF, probe) : fault();
    }
  }
  for (int fd = range.first + 1; fd < range.end(); ++fd) {
    if (const fault why = verify_one(fd, wanted, value)) return why;
  }
  return {};
}

/// Returns whether LISTEN_PIDFDID names this process. False on a fault.
bool is_named(const environment& env, std::uint64_t pidfdid, int pid, fault& why) noexcept {
  const int result = has_pidfdid(pidfdid, pid);
  if (result < 0) why = failed("LISTEN_PIDFDID", env.listen_pidfdid, -result);
  return result == 1;
}

void set_empty(offer& offered, emptiness reason, const char* variable) noexcept {
  offered.empty = reason;
  offered.variable = variable;
}

/// Completes a claimed offer. It is empty on a fault.
void complete(offer& offered, addressee addressed, std::uint64_t pidfdid, int pid, ownership wanted,
              fault& why) noexcept {
  if (addressed == addressee::by_pidfdid && !is_named(offered.env, pidfdid, pid, why)) {
    return set_empty(offered, emptiness::not_addressed, "LISTEN_PIDFDID");
  }
  offered.range = passed_range(offered.env, why);
  if (offered.range.count == 0) return set_empty(offered, emptiness::zero, "LISTEN_FDS");
  why = verify(offered.range, wanted, offered.env.listen_fds);
  if (why) offered.range = {};
}

}  // namespace

offer claim(listen_options options, ownership wanted, fault& why) noexcept {
  offer offered;
  if (claimed.load(std::memory_order_acquire) != 0) {
    set_empty(offered, emptiness::taken, "LISTEN_FDS");
    return offered;
  }
  offered.env.listen_pid = os::get_environment("LISTEN_PID");
  offered.env.listen_pidfdid = os::get_environment("LISTEN_PIDFDID");
  offered.env.listen_fds = os::get_environment("LISTEN_FDS");
  offered.env.listen_fds_first_fd = os::get_environment("LISTEN_FDS_FIRST_FD");
  offered.env.listen_fdnames = os::get_environment("LISTEN_FDNAMES");

  const int pid = os::process_id();
  std::uint64_t pidfdid = 0;
  const addressee addressed = addressed_to(offered.env, pid, options, pidfdid, why);
  if (addressed == addressee::another) {
    set_empty(offered, emptiness::not_addressed, offered.env.listen_fds == nullptr ? "LISTEN_FDS" : "LISTEN_PID");
    return offered;
  }
  if (claimed.exchange(1, std::memory_order_acq_rel) != 0) {
    set_empty(offered, emptiness::taken, "LISTEN_FDS");
    return offered;
  }
  complete(offered, addressed, pidfdid, pid, wanted, why);
  if (offered.range.count == 0) claimed.store(0, std::memory_order_release);
  return offered;
}

void mark(const offer& offered, fault& why) noexcept {
  const auto& range = offered.range;
  if (range.count > individually && os::set_close_on_exec_range(range.first, range.end() - 1) >= 0) return;
  for (int fd = range.first; fd < range.end(); ++fd) {
    if (const int result = os::set_close_on_exec(fd, true); result < 0) {
      for (int marked = range.first; marked < fd; ++marked) os::set_close_on_exec(marked, false);
      why = failed("LISTEN_FDS", offered.env.listen_fds, -result, fd);
      return;
    }
  }
}

int pidfd_inode(int pid, std::uint64_t& number) noexcept {
  const int pidfd = os::open_pidfd(pid);
  if (pidfd < 0) return pidfd == -ENOSYS ? 0 : pidfd;
  static std::atomic<bool> has_pidfs{false};
  int result = has_pidfs.load(std::memory_order_relaxed) ? 1 : os::is_pidfs(pidfd);
  if (result > 0) {
    has_pidfs.store(true, std::memory_order_relaxed);
    result = os::inode(pidfd, number);
    if (result == 0) result = 1;
  }
  os::close(pidfd);
  return result;
}

void unset_environment() noexcept {
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"}) {
    os::unset_environment(name);
  }
}

}  // namespace sd::detail
