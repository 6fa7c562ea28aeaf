// SPDX-License-Identifier: MIT OR Apache-2.0
#include "calls.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <stdexcept>

namespace sd::test {

namespace {

using errors = std::vector<int>;

/// Describes a system call.
struct entry {
  const char* name;
  errors possible;
  int path = -1;
  bool is_allowed_in_child = false;
};

const errors of_paths = {EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR};

errors with_paths(errors more) {
  more.insert(more.end(), of_paths.begin(), of_paths.end());
  return more;
}

const errors of_open = with_paths({EBUSY, EDQUOT, EEXIST, EINTR, EINVAL, EISDIR, EMFILE, ENFILE, ENODEV, ENOSPC, ENXIO,
                                   EOPNOTSUPP, EOVERFLOW, EPERM, EROFS, ETXTBSY, EWOULDBLOCK});
/// Includes those of kernels before Linux 5.6 and of containers that forbid it.
const errors of_openat2 = [] {
  auto all = of_open;
  all.insert(all.end(), {EAGAIN, ENOSYS, EXDEV});
  return all;
}();
const errors of_send = {EACCES,  EAGAIN,     ECONNREFUSED, ECONNRESET, EDESTADDRREQ, EINTR,       EINVAL,
                        EISCONN, EMFILE,     EMSGSIZE,     ENOBUFS,    ENOENT,       ENOMEM,      ENOTCONN,
                        ENOTDIR, EOPNOTSUPP, EPERM,        EPIPE,      ETOOMANYREFS, EHOSTUNREACH};
const errors of_receive = {EAGAIN, ECONNREFUSED, ECONNRESET, EINTR, EINVAL, EIO, ENOMEM, ENOTCONN};
const errors of_clone = {EAGAIN, EINVAL, ENOMEM, ENOSPC, EPERM, EUSERS};
constexpr long fchmodat2 = 452;  // of Linux 6.6, which older headers lack
const errors of_mode = with_paths({EINVAL, EIO, EPERM, EROFS});

const std::map<long, entry>& table() {
  static const std::map<long, entry> all = {
      // Descriptors
      {SYS_close, {"close", {EDQUOT, EINTR, EIO, ENOSPC}, -1, true}},
      {SYS_close_range, {"close_range", {EINVAL, EMFILE, ENOMEM, ENOSYS}}},
      {SYS_dup, {"dup", {EMFILE}, -1, true}},
      {SYS_dup2, {"dup2", {EBUSY, EINTR, EMFILE}, -1, true}},
      {SYS_dup3, {"dup3", {EBUSY, EINTR, EMFILE}, -1, true}},
      {SYS_fcntl, {"fcntl", {}, -1, true}},  // by command, below
      {SYS_ioctl, {"ioctl", {}}},            // by request, below
      {SYS_read, {"read", {EAGAIN, EINTR, EINVAL, EIO, EISDIR}, -1, true}},
      {SYS_write, {"write", {EAGAIN, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE}, -1, true}},
      {SYS_writev, {"writev", {EAGAIN, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE}, -1, true}},
      {SYS_pipe2, {"pipe2", {EMFILE, ENFILE, ENOMEM}, -1, true}},
      {SYS_poll, {"poll", {EINTR, EINVAL, ENOMEM}, -1, true}},
      {SYS_epoll_create1, {"epoll_create1", {EMFILE, ENFILE, ENOMEM}}},
      {SYS_epoll_ctl, {"epoll_ctl", {}}},  // by operation, below
      {SYS_epoll_wait, {"epoll_wait", {EINTR}}},
      {SYS_epoll_pwait, {"epoll_pwait", {EINTR}}},
      {SYS_eventfd2, {"eventfd2", {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM}}},
      {SYS_timerfd_create, {"timerfd_create", {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, EPERM}}},
      {SYS_timerfd_settime, {"timerfd_settime", {}}},
      {SYS_signalfd4, {"signalfd4", {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM}}},
      {SYS_memfd_create, {"memfd_create", {EINVAL, EMFILE, ENFILE, ENOMEM}}},
      // Files
      {SYS_open, {"open", of_open, 0, true}},
      {SYS_openat, {"openat", of_open, 1, true}},
      {SYS_openat2, {"openat2", of_openat2, 1, true}},
      {SYS_pread64, {"pread64", {EINTR, EINVAL, EIO, EISDIR, EOVERFLOW, ESPIPE}, -1, true}},
      {SYS_stat, {"stat", with_paths({EOVERFLOW}), 0, true}},
      {SYS_lstat, {"lstat", with_paths({EOVERFLOW}), 0, true}},
      {SYS_fstat, {"fstat", {ENOMEM, EOVERFLOW}, -1, true}},
      {SYS_newfstatat, {"newfstatat", with_paths({EOVERFLOW}), 1, true}},
      {SYS_statx, {"statx", with_paths({EINVAL}), 1, true}},
      {SYS_fstatfs, {"fstatfs", {EINTR, EIO, ENOMEM, ENOSYS, EOVERFLOW}, -1, true}},
      {SYS_statfs, {"statfs", with_paths({EINTR, EIO, ENOSYS, EOVERFLOW}), 0}},
      {SYS_access, {"access", with_paths({EINVAL, EIO, EPERM, EROFS, ETXTBSY}), 0, true}},
      {SYS_faccessat2, {"faccessat2", with_paths({EINVAL, EIO, EPERM, EROFS, ETXTBSY}), 1, true}},
      {SYS_readlink, {"readlink", with_paths({EINVAL, EIO}), 0, true}},
      {SYS_readlinkat, {"readlinkat", with_paths({EINVAL, EIO}), 1, true}},
      {SYS_getdents64, {"getdents64", {EINVAL, ENOENT}}},
      {SYS_lseek, {"lseek", {EINVAL, EOVERFLOW, ESPIPE}, -1, true}},
      {SYS_mkdir, {"mkdir", with_paths({EDQUOT, EEXIST, EINVAL, EMLINK, ENOSPC, EPERM, EROFS}), 0, true}},
      {SYS_rmdir, {"rmdir", with_paths({EBUSY, EINVAL, ENOTEMPTY, EPERM, EROFS}), 0, true}},
      {SYS_unlink, {"unlink", with_paths({EBUSY, EIO, EISDIR, EPERM, EROFS}), 0, true}},
      {SYS_symlink, {"symlink", with_paths({EDQUOT, EEXIST, EIO, ENOSPC, EPERM, EROFS}), 1, true}},
      {SYS_rename, {"rename", with_paths({EBUSY, EDQUOT, EEXIST, EINVAL, ENOSPC, EPERM, EROFS, EXDEV}), 1, true}},
      {SYS_mknod, {"mknod", with_paths({EDQUOT, EEXIST, EINVAL, ENOSPC, EPERM, EROFS}), 0, true}},
      {SYS_mknodat, {"mknodat", with_paths({EDQUOT, EEXIST, EINVAL, ENOSPC, EPERM, EROFS}), 1, true}},
      {SYS_chmod, {"chmod", of_mode, 0, true}},
      {SYS_chown, {"chown", of_mode, 0, true}},
      {fchmodat2, {"fchmodat2", with_paths({EINVAL, EIO, ENOSYS, EOPNOTSUPP, EPERM, EROFS}), 1, true}},
      {SYS_fchmod, {"fchmod", {EACCES, EINVAL, EIO, EPERM, EROFS}, -1, true}},
      {SYS_fchown, {"fchown", {EINVAL, EIO, EPERM, EROFS}, -1, true}},
      {SYS_fchownat, {"fchownat", of_mode, -1, true}},
      {SYS_flock, {"flock", {EINTR, EINVAL, ENOLCK, EWOULDBLOCK}}},
      {SYS_mq_open, {"mq_open", {EACCES, EEXIST, EINVAL, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM, ENOSPC}, 0}},
      {SYS_mq_unlink, {"mq_unlink", {EACCES, ENAMETOOLONG, ENOENT}, 0}},
      // Sockets
      {SYS_socket, {"socket", {EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT}}},
      {SYS_socketpair, {"socketpair", {EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM, EOPNOTSUPP, EPROTONOSUPPORT}}},
      {SYS_bind, {"bind", with_paths({EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOSPC, EPERM, EROFS})}},
      {SYS_listen, {"listen", {EACCES, EADDRINUSE, EINVAL, EOPNOTSUPP}, -1, true}},
      {SYS_accept4,
       {"accept4",
        {EAGAIN, ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, EINTR, EINVAL, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS,
         ENOMEM, ENOPROTOOPT, EPERM, EPROTO, ETIMEDOUT},
        -1,
        true}},
      {SYS_connect,
       {"connect",
        {EACCES, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, EINTR, ENETUNREACH, ENOENT, EPERM, EPROTOTYPE, ETIMEDOUT},
        -1,
        true}},
      {SYS_setsockopt, {"setsockopt", {EACCES, EDOM, EINVAL, ENOMEM, ENOPROTOOPT, EPERM}, -1, true}},
      {SYS_getsockopt, {"getsockopt", {EACCES, EINVAL, ENOMEM, ENOPROTOOPT}, -1, true}},
      {SYS_getsockname, {"getsockname", {EINVAL, ENOBUFS}, -1, true}},
      {SYS_getpeername, {"getpeername", {EINVAL, ENOBUFS, ENOTCONN}, -1, true}},
      {SYS_sendmsg, {"sendmsg", of_send, -1, true}},
      {SYS_sendto, {"sendto", of_send, -1, true}},
      {SYS_recvmsg, {"recvmsg", of_receive, -1, true}},
      {SYS_recvfrom, {"recvfrom", of_receive, -1, true}},
      {SYS_shutdown, {"shutdown", {EINVAL, ENOTCONN}, -1, true}},
      // Processes
      {SYS_clone, {"clone", of_clone}},
      {SYS_clone3, {"clone3", of_clone}},
      {SYS_fork, {"fork", of_clone}},
      {SYS_vfork, {"vfork", of_clone}},
      {SYS_execve,
       {"execve", with_paths({E2BIG, EAGAIN, EINVAL, EIO, EISDIR, ELIBBAD, EMFILE, ENFILE, ENOEXEC, EPERM, ETXTBSY}), 0,
        true}},
      {SYS_wait4, {"wait4", {ECHILD, EINTR}, -1, true}},
      {SYS_waitid, {"waitid", {ECHILD, EINTR}, -1, true}},
      {SYS_kill, {"kill", {EPERM, ESRCH}, -1, true}},
      {SYS_pidfd_open, {"pidfd_open", {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, EPERM, ESRCH}, -1, true}},
      {SYS_pidfd_send_signal, {"pidfd_send_signal", {EPERM, ESRCH}, -1, true}},
      {SYS_prctl, {"prctl", {EINVAL, EPERM}, -1, true}},
      {SYS_setpgid, {"setpgid", {EACCES, EPERM, ESRCH}, -1, true}},
      {SYS_setsid, {"setsid", {EPERM}, -1, true}},
      {SYS_setrlimit, {"setrlimit", {EPERM}, -1, true}},
      {SYS_prlimit64, {"prlimit64", {}, -1, true}},  // to set a limit, below
      {SYS_setgroups, {"setgroups", {ENOMEM, EPERM}, -1, true}},
      {SYS_setresgid, {"setresgid", {EPERM}, -1, true}},
      {SYS_setresuid, {"setresuid", {EAGAIN, EPERM}, -1, true}},
      {SYS_keyctl, {"keyctl", {EDQUOT, EINTR, EKEYREVOKED, ENOMEM, EOPNOTSUPP}, -1, true}},
      {SYS_kcmp, {"kcmp", {ENOSYS, EPERM, ESRCH}}},
      {SYS_rt_sigtimedwait, {"rt_sigtimedwait", {EAGAIN, EINTR}}},
      {SYS_setpriority, {"setpriority", {EACCES, EPERM}, -1, true}},
      {SYS_chdir, {"chdir", with_paths({EIO}), 0, true}},
      {SYS_nanosleep, {"nanosleep", {EINTR}, -1, true}},
      {SYS_clock_nanosleep, {"clock_nanosleep", {EINTR}, -1, true}},
  };
  return all;
}

/// Calls that do not fail if their arguments are valid, or that the C library makes for its own memory and threads: a
/// lack of memory is injected into the allocations instead.
const std::map<long, entry>& harmless() {
  static const std::map<long, entry> all = {
      {SYS_getpid, {"getpid", {}, -1, true}},
      {SYS_gettid, {"gettid", {}, -1, true}},
      {SYS_tgkill, {"tgkill", {}, -1, true}},  // of abort(3)
      {SYS_getppid, {"getppid", {}, -1, true}},
      {SYS_getpgid, {"getpgid", {}, -1, true}},
      {SYS_getuid, {"getuid", {}, -1, true}},
      {SYS_geteuid, {"geteuid", {}, -1, true}},
      {SYS_getgid, {"getgid", {}, -1, true}},
      {SYS_getegid, {"getegid", {}, -1, true}},
      {SYS_umask, {"umask", {}, -1, true}},
      {SYS_getcwd, {"getcwd", {}}},
      {SYS_uname, {"uname", {}, -1, true}},
      {SYS_sysinfo, {"sysinfo", {}}},
      {SYS_getsid, {"getsid", {}, -1, true}},
      {SYS_sched_yield, {"sched_yield", {}}},
      {SYS_clock_gettime, {"clock_gettime", {}, -1, true}},
      {SYS_rt_sigaction, {"rt_sigaction", {}, -1, true}},
      {SYS_rt_sigprocmask, {"rt_sigprocmask", {}, -1, true}},
      {SYS_rt_sigreturn, {"rt_sigreturn", {}, -1, true}},
      {SYS_exit, {"exit", {}, -1, true}},
      {SYS_exit_group, {"exit_group", {}, -1, true}},
      {SYS_set_robust_list, {"set_robust_list", {}, -1, true}},  // fork(3) of glibc
      {SYS_rseq, {"rseq", {}, -1, true}},
      {SYS_set_tid_address, {"set_tid_address", {}, -1, true}},
      {SYS_getrandom, {"getrandom", {}}},
      {SYS_restart_syscall, {"restart_syscall", {}, -1, true}},
      {SYS_brk, {"brk", {}}},
      {SYS_mmap, {"mmap", {}}},
      {SYS_munmap, {"munmap", {}}},
      {SYS_mprotect, {"mprotect", {}}},
      {SYS_mremap, {"mremap", {}}},
      {SYS_madvise, {"madvise", {}}},
      {SYS_futex, {"futex", {}}},
      {SYS_arch_prctl, {"arch_prctl", {}}},
  };
  return all;
}

const entry& find(const system_call& call) {
  // fstat(2) of glibc.
  const bool is_fstat = call.number == SYS_newfstatat && call.path.empty();
  const auto found = table().find(is_fstat ? SYS_fstat : call.number);
  if (found != table().end()) return found->second;
  const auto other = harmless().find(call.number);
  if (other != harmless().end()) return other->second;
  throw std::out_of_range("system call " + std::to_string(call.number) + " is not in the table of calls");
}

// SIOCUNIXFILE of <linux/un.h>, which cannot be included together with <sys/un.h>.
constexpr std::uint64_t siocunixfile = 0x89e0;

const std::map<std::uint64_t, entry>& commands() {
  static const std::map<std::uint64_t, entry> all = {
      {F_GETFD, {"F_GETFD", {EPERM}}},  // of seccomp(2): the call itself cannot fail
      {F_SETFD, {"F_SETFD", {EPERM}}},
      {F_GETFL, {"F_GETFL", {EPERM}}},
      {F_SETFL, {"F_SETFL", {EPERM}}},
      {F_GETPIPE_SZ, {"F_GETPIPE_SZ", {EPERM}}},
      {F_SETPIPE_SZ, {"F_SETPIPE_SZ", {EBUSY, EPERM}}},
      {F_SETOWN, {"F_SETOWN", {EPERM, ESRCH}}},
      {F_DUPFD, {"F_DUPFD", {EINVAL, EMFILE}}},
      {F_DUPFD_CLOEXEC, {"F_DUPFD_CLOEXEC", {EINVAL, EMFILE}}},
      {F_ADD_SEALS, {"F_ADD_SEALS", {EBUSY, EINVAL, EPERM}}},
  };
  return all;
}

const std::map<std::uint64_t, entry>& operations() {
  static const std::map<std::uint64_t, entry> all = {
      // EPERM is for files that are always ready.
      {EPOLL_CTL_ADD, {"EPOLL_CTL_ADD", {ENOMEM, ENOSPC}}},
      {EPOLL_CTL_MOD, {"EPOLL_CTL_MOD", {ENOMEM}}},
      {EPOLL_CTL_DEL, {"EPOLL_CTL_DEL", {ENOMEM}}},
  };
  return all;
}

const std::map<std::uint64_t, entry>& requests() {
  static const std::map<std::uint64_t, entry> all = {
      {SIOCGIFINDEX, {"SIOCGIFINDEX", {ENODEV, EPERM}}},
      {SIOCGIFNAME, {"SIOCGIFNAME", {ENODEV, EPERM}}},
      {siocunixfile, {"SIOCUNIXFILE", {EINVAL, EMFILE, ENFILE, ENOENT, ENOTTY, EPERM}}},
      {FIOASYNC, {"FIOASYNC", {EPERM}}},
      {FIONBIO, {"FIONBIO", {EPERM}}},
      {FIONREAD, {"FIONREAD", {EINVAL, ENOTTY, EPERM}}},
      {TIOCGPGRP, {"TIOCGPGRP", {ENOTTY, EPERM}}},
      {TCGETS, {"TCGETS", {EIO, ENOTTY}}},
      {TIOCGWINSZ, {"TIOCGWINSZ", {EINVAL, ENOTTY}}},
  };
  return all;
}

const std::map<std::uint64_t, const char*>& socket_options() {
  static const std::map<std::uint64_t, const char*> all = {
      {SO_ACCEPTCONN, "SO_ACCEPTCONN"},   {SO_DOMAIN, "SO_DOMAIN"},       {SO_PASSCRED, "SO_PASSCRED"},
      {SO_PROTOCOL, "SO_PROTOCOL"},       {SO_RCVBUF, "SO_RCVBUF"},       {SO_RCVBUFFORCE, "SO_RCVBUFFORCE"},
      {SO_REUSEADDR, "SO_REUSEADDR"},     {SO_REUSEPORT, "SO_REUSEPORT"}, {SO_SNDBUF, "SO_SNDBUF"},
      {SO_SNDBUFFORCE, "SO_SNDBUFFORCE"}, {SO_TYPE, "SO_TYPE"},           {SO_ERROR, "SO_ERROR"},
  };
  return all;
}

const entry& find(const std::map<std::uint64_t, entry>& all, std::uint64_t number, const char* what) {
  const auto found = all.find(number);
  if (found == all.end())
    throw std::out_of_range(what + (" " + std::to_string(number)) + " is not in the table of calls");
  return found->second;
}

}  // namespace

std::string text_of(const system_call& call) {
  std::string text = find(call).name;
  if (call.number == SYS_fcntl) text += std::string(" ") + find(commands(), call.arguments[1], "fcntl").name;
  if (call.number == SYS_epoll_ctl) text += std::string(" ") + find(operations(), call.arguments[1], "epoll_ctl").name;
  if (call.number == SYS_ioctl) text += std::string(" ") + find(requests(), call.arguments[1], "ioctl").name;
  if (call.number == SYS_setsockopt || call.number == SYS_getsockopt) {
    if (call.arguments[1] == SOL_SOCKET) {
      const auto found = socket_options().find(call.arguments[2]);
      text += " " + (found != socket_options().end() ? found->second : std::to_string(call.arguments[2]));
    } else if (call.arguments[1] == IPPROTO_IPV6 && call.arguments[2] == IPV6_V6ONLY) {
      text += " IPV6_V6ONLY";
    } else {
      text += " " + std::to_string(call.arguments[1]) + " " + std::to_string(call.arguments[2]);
    }
  }
  if (call.number == SYS_flock) text += call.arguments[1] == LOCK_UN ? " LOCK_UN" : " LOCK_EX";
  if (!call.path.empty()) text += " " + call.path;
  return text;
}

const std::vector<int>& errors_of(const system_call& call) {
  if (call.number == SYS_fcntl) return find(commands(), call.arguments[1], "fcntl").possible;
  if (call.number == SYS_epoll_ctl) return find(operations(), call.arguments[1], "epoll_ctl").possible;
  static const std::vector<int> of_setting_a_limit = {EPERM};
  if (call.number == SYS_prlimit64 && call.arguments[2] != 0) return of_setting_a_limit;
  if (call.number == SYS_ioctl) return find(requests(), call.arguments[1], "ioctl").possible;
  return find(call).possible;
}

std::vector<int> errors_to_try(const system_call& call, bool is_quick) {
  auto chosen = errors_of(call);
  if (is_quick) {
    const auto first = std::stable_partition(chosen.begin(), chosen.end(), [](int error) { return error == EINTR; });
    if (first != chosen.end()) chosen.erase(first + 1, chosen.end());
  }
  return chosen;
}

int path_argument(long number) {
  const auto found = table().find(number);
  return found == table().end() ? -1 : found->second.path;
}

bool is_carried_out(const system_call& call, int error) {
  const bool waits = call.number == SYS_wait4 || call.number == SYS_waitid;
  return call.number == SYS_close || (waits && error == ECHILD);
}

bool is_allowed_in_child(const system_call& call) { return find(call).is_allowed_in_child; }

std::string name_of_error(int error) {
  const char* const name = ::strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

}  // namespace sd::test
