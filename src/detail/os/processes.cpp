// SPDX-License-Identifier: MIT OR Apache-2.0
#include "processes.hpp"

#include <sd/config.hpp>

#if SD_HAS_DESCRIPTORS

#include "descriptors.hpp"
#include "result.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <optional>

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
    // poll(2) takes milliseconds in an int: round up, and repeat if that was too short.
    int wait = -1;
    if (timeout_usec >= 0) {
      const std::int64_t left = timeout_usec - (monotonic_usec() - start);
      wait = left <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left / 1000 + 1, INT_MAX));
    }
    pollfd hangup{fd, 0, 0};
    const int result = ::poll(&hangup, 1, wait);
    if (result > 0) return 1;
    if (result < 0 && errno != EINTR) return -errno;
    if (wait == 0) return 0;
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
int duplicate_to(int fd, int number) noexcept {
  return uninterrupted([&] { return ::dup2(fd, number); });
}
char** environment() noexcept { return environ; }
int execute(const char* path, char* const* arguments, char* const* environment) noexcept {
  return negated_errno(::execve(path, arguments, environment));
}

// --- start -----------------------------------------------------------------------------------------------------------

namespace {

constexpr int cannot_start = 127;  // the exit status that shells use

constexpr int most_bits = 64;

bool may_have_action(const signal_actions& actions, int signal) noexcept {
  return signal > most_bits || ((actions.handled | actions.ignored) >> static_cast<unsigned>(signal - 1) & 1U) != 0;
}

// Signals, by system calls on Linux: a C library keeps tables and takes locks in sigaction(3), which a child that
// shares the memory of its parent must not touch.
#if defined(__linux__)

constexpr std::size_t mask_size = _NSIG / 8;

struct signal_mask {
  alignas(unsigned long) unsigned char bits[mask_size];
};

void set_signal_mask(const signal_mask& mask, signal_mask* previous) noexcept {
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, previous, mask_size);
}

signal_mask block_signals() noexcept {
  signal_mask all;
  signal_mask previous{};
  std::memset(&all, 0xff, sizeof all);
  set_signal_mask(all, &previous);
  return previous;
}

constexpr int last_signal = static_cast<int>(mask_size * 8);

/// The structure of the system call. Only its beginning is of interest.
struct kernel_action {
#if defined(__mips__)
  unsigned flags;
#endif
  std::uintptr_t handler;
  unsigned char rest[128];
};

std::uintptr_t handler_of(int signal) noexcept {
  kernel_action action{};
  // Sparc takes the size as the fifth argument.
  ::syscall(SYS_rt_sigaction, signal, nullptr, &action, mask_size, mask_size);
  return action.handler;
}

/// Returns whether glibc uses the signal itself, as SIGCANCEL or SIGSETXID. Its handlers must stay: if a preparation
/// starts a thread and calls setuid(2), glibc sends SIGSETXID to that thread, without setting the handler again.
bool is_internal(int signal) noexcept { return signal == 32 || signal == 33; }

void reset_signals(const signal_actions& actions) noexcept {
  // SIG_DFL without flags, in every layout that the structure has.
  static constexpr kernel_action default_action{};
  for (int signal = 1; signal <= last_signal; ++signal) {
    if (is_internal(signal) || !may_have_action(actions, signal)) continue;
    ::syscall(SYS_rt_sigaction, signal, &default_action, nullptr, mask_size, mask_size);
  }
  set_signal_mask({}, nullptr);
}

#else

using signal_mask = sigset_t;

void set_signal_mask(const signal_mask& mask, signal_mask* previous) noexcept {
  ::pthread_sigmask(SIG_SETMASK, &mask, previous);
}

signal_mask block_signals() noexcept {
  signal_mask all;
  signal_mask previous;
  sigfillset(&all);  // a macro on macOS, and so without `::`
  set_signal_mask(all, &previous);
  return previous;
}

constexpr int last_signal = NSIG - 1;

std::uintptr_t handler_of(int signal) noexcept {
  struct sigaction action {};
  ::sigaction(signal, nullptr, &action);
  return reinterpret_cast<std::uintptr_t>(action.sa_handler);
}

void reset_signals(const signal_actions& actions) noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal <= last_signal; ++signal) {
    if (may_have_action(actions, signal)) ::sigaction(signal, &action, nullptr);
  }
  signal_mask none;
  sigemptyset(&none);
  set_signal_mask(none, nullptr);
}

#endif

/// Blocks all signals of this thread, so that none of the handlers runs in the child.
class all_signals_blocked {
 public:
  all_signals_blocked() noexcept = default;
  all_signals_blocked(const all_signals_blocked&) = delete;
  all_signals_blocked& operator=(const all_signals_blocked&) = delete;
  ~all_signals_blocked() { set_signal_mask(previous_, nullptr); }

 private:
  signal_mask previous_ = block_signals();
};

/// Defers the cancellation of this thread: a child that shares its memory would unwind the thread's stack, and the
/// descriptors that are open meanwhile would stay open.
class cancellation_disabled {
 public:
#if defined(__ANDROID__)  // which has no cancellation
  cancellation_disabled() noexcept {}
#else
  cancellation_disabled() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &previous_); }
  ~cancellation_disabled() { ::pthread_setcancelstate(previous_, nullptr); }
#endif
  cancellation_disabled(const cancellation_disabled&) = delete;
  cancellation_disabled& operator=(const cancellation_disabled&) = delete;

 private:
  SD_UNUSED_MEMBER int previous_ = 0;
};

/// Waits for a child, which is killed first if it still runs.
void end(int pid) noexcept {
  int options = WNOHANG;
  while (true) {
    const int result = ::waitpid(pid, nullptr, options);
    if (result == 0) {
      ::kill(pid, SIGKILL);
      options = 0;
    } else if (result > 0 || errno != EINTR) {
      return;
    }
  }
}

/// Returns the pid of a child that runs its program. Ends the child if there was an error.
int result_of(int pid, int error) noexcept {
  if (error == 0) return pid;
  end(pid);
  return -error;
}

// A forked child creates a pipe, and sends its read end to the parent: no other child that is forked meanwhile can hold
// the write end, so that the pipe ends when the program is executed or the child exits. The child writes 0 before it
// executes the program, and an errno if that fails.

/// What the child sends: an errno, or 0 and the read end.
struct message {
  int error = 0;
  iovec data{&error, sizeof error};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))]{};
  msghdr header{};

  message() noexcept {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
  }
  message(const message&) = delete;
  message& operator=(const message&) = delete;
  ~message() = default;

  void attach_control() noexcept {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
};

void send_pipe(int channel, int error, int fd) noexcept {
  message sent;
  sent.error = error;
  if (error == 0) {
    sent.attach_control();
    cmsghdr* const attached = CMSG_FIRSTHDR(&sent.header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(attached), &fd, sizeof fd);
  }
  while (::sendmsg(channel, &sent.header, 0) < 0 && errno == EINTR) {
  }
}

/// Returns the read end of the child's pipe, or a negated errno.
int receive_pipe(int channel) noexcept {
#if defined(MSG_CMSG_CLOEXEC)
  constexpr int flags = MSG_CMSG_CLOEXEC;
#else
  constexpr int flags = 0;
#endif
  message received;
  received.attach_control();
  ssize_t count = 0;
  while ((count = ::recvmsg(channel, &received.header, flags)) < 0 && errno == EINTR) {
  }
  if (count < 0) return -errno;
  if (count == 0) return -ECANCELED;
  if (received.error != 0) return -received.error;
  const cmsghdr* const attached = CMSG_FIRSTHDR(&received.header);
  if (attached == nullptr) return -EMFILE;  // the message was cut
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(attached), sizeof fd);
  if (flags == 0) set_close_on_exec(fd, true);
  return fd;
}

/// Reads what the child writes until the pipe ends. Returns 0 if the program was executed, and an errno if not.
int read_status(int pipe) noexcept {
  int status = ECANCELED;
  while (true) {
    int next = 0;
    const auto count = ::read(pipe, &next, sizeof next);
    if (count == sizeof next) {
      status = next;
    } else if (count >= 0 || errno != EINTR) {
      return status;
    }
  }
}

void write_status(int pipe, int status) noexcept {
  while (::write(pipe, &status, sizeof status) < 0 && errno == EINTR) {
  }
}

/// Returns 0 or an errno.
int prepare(const child& program) noexcept {
  const int error = program.prepare != nullptr ? program.prepare(program.argument) : 0;
  return error < 0 ? EINVAL : error;
}

[[noreturn]] void run_forked(const child& program, int channel) noexcept {
  reset_signals(program.actions);
  int ends[2];
  int result = open_pipe(ends);
  if (result >= 0) result = duplicate(ends[1], program.end_of_overwritten);
  send_pipe(channel, result < 0 ? -result : 0, ends[0]);
  if (result < 0) ::_exit(cannot_start);
  const int report = result;
  for (const int fd : ends) close(fd);
  close(channel);
  int error = prepare(program);
  if (error == 0) {
    write_status(report, 0);
    error = program.execute(program.self);
  }
  write_status(report, error);
  ::_exit(cannot_start);
}

int open_channel(int (&ends)[2]) noexcept {
#if defined(SOCK_CLOEXEC)
  return negated_errno(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return -errno;
  for (const int end : ends) set_close_on_exec(end, true);
  return 0;
#endif
}

int start_by_fork(const child& program) noexcept {
  int channel[2];
  if (const int result = open_channel(channel); result < 0) return result;
  int pid = 0;
  {
    const all_signals_blocked blocked;
    pid = negated_errno(::fork());
    if (pid == 0) run_forked(program, channel[1]);
  }
  close(channel[1]);
  int result = pid;
  if (pid > 0) {
    const int pipe = receive_pipe(channel[0]);
    result = result_of(pid, pipe < 0 ? -pipe : read_status(pipe));
    if (pipe >= 0) close(pipe);
  }
  close(channel[0]);
  return result;
}

#if defined(__linux__) && !defined(__ia64__)

int clone_sharing_memory(int (*function)(void*), const child& program, int flags, void* argument) noexcept {
#if defined(__hppa__)  // where stacks grow upwards
  char* const stack = program.stack;
#else
  char* const stack = program.stack + stack_size;
#endif
  return negated_errno(::clone(function, stack, CLONE_VM | CLONE_VFORK | flags, argument));
}

/// Returns whether a child shares memory and suspends this thread (1). Emulators such as qemu and valgrind fork instead
/// (0).
int can_share_memory(const child& program) noexcept {
  enum { unknown, yes, no };
  static std::atomic<int> known{unknown};
  if (const int result = known.load(std::memory_order_relaxed); result != unknown) return result == yes ? 1 : 0;
  constexpr int only_clones = INT_MIN;  // __WCLONE, which the headers define as unsigned
  int shared = 0;
  const auto mark = [](void* argument) {
    *static_cast<int*>(argument) = 1;
    return 0;
  };
  const int pid = clone_sharing_memory(mark, program, 0,
                                       &shared);  // no SIGCHLD, so that no other wait() of this process sees the child
  if (pid < 0 && pid != -EINVAL) return pid;
  while (pid > 0 && ::waitpid(pid, nullptr, only_clones) < 0 && errno == EINTR) {
  }
  known.store(shared != 0 ? yes : no, std::memory_order_relaxed);
  return shared;
}

struct shared_child {
  const child& program;
  int status;  // as written to the pipe of a forked child
};

/// Runs in the memory of the parent, while its thread is suspended. Returns the exit status.
int run_sharing_memory(void* argument) noexcept {
  auto& self = *static_cast<shared_child*>(argument);
  reset_signals(self.program.actions);
  int error = prepare(self.program);
  if (error == 0) {
    self.status = 0;
    error = self.program.execute(self.program.self);
  }
  self.status = error;
  return cannot_start;
}

int start_sharing_memory(const child& program, bool& is_possible) noexcept {
  shared_child child{program, ECANCELED};
  int pid = 0;
  {
    std::optional<all_signals_blocked> blocked;
    if (program.actions.handled != 0) blocked.emplace();
    pid = can_share_memory(program);
    is_possible = pid != 0;
    if (pid <= 0) return pid;
    pid = clone_sharing_memory(run_sharing_memory, program, SIGCHLD, &child);
  }
  return pid < 0 ? pid : result_of(pid, child.status);
}

#else

int start_sharing_memory(const child&, bool& is_possible) noexcept {
  is_possible = false;
  return 0;
}

#endif

}  // namespace

signal_actions read_signal_actions() noexcept {
  signal_actions actions{0, 0};
  for (int signal = 1; signal <= last_signal; ++signal) {
    const auto bit = signal > most_bits ? 0 : std::uint64_t{1} << static_cast<unsigned>(signal - 1);
    const auto handler = handler_of(signal);
    if (handler == reinterpret_cast<std::uintptr_t>(SIG_IGN)) {
      actions.ignored |= bit;
    } else if (handler != reinterpret_cast<std::uintptr_t>(SIG_DFL)) {
      actions.handled |= bit;
    }
  }
  return actions;
}

// A preparation of a caller that does not know of this gets a copy of the memory: what it calls may be unsafe in shared
// memory even if it is async-signal-safe. In musl, setuid(2) signals every thread that it finds in the C library's
// list.
int start(const child& program) noexcept {
  const cancellation_disabled disabled;
  if (program.prepare == nullptr || program.prepares_in_shared_memory) {
    bool is_possible = false;
    const int result = start_sharing_memory(program, is_possible);
    if (is_possible) return result;
  }
  return start_by_fork(program);
}

}  // namespace sd::detail::os

#endif
