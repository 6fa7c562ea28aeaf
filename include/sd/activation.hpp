// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Passes file descriptors to a program, as a service manager does.
///
/// For wrappers, supervisors, and parents that drop privileges.

#include <sd/config.hpp>
#include <sd/listen_fds.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if SD_HAS_EXCEPTIONS

namespace sd {

namespace detail {
struct program_start;
}

inline namespace v0 {

/// What supervisors can change in how `activation` executes a command.
struct activation_options {
  /// The file to execute. Empty for the first word of the command, which is the name that the program sees otherwise.
  std::string program{};
  /// Whether the program inherits the environment of this process.
  bool inherits_environment = true;
  /// Whether `LISTEN_PID` and `LISTEN_PIDFDID` are set. Without them, only a program that accepts a missing pid, such
  /// as one with `listen_options::any_pid`, takes the descriptors, but a wrapper may start it in another process.
  bool sets_listen_pid = true;
  /// The name of a variable that is set to the pid of the program, such as `WATCHDOG_PID`. Empty for none.
  std::string pid_variable{};
};

/// A command, and the file descriptors and environment variables with which it is executed.
///
/// The program finds the descriptors from number 3 on, in the order of the list, and `LISTEN_PID`, `LISTEN_FDS`,
/// `LISTEN_FDNAMES` and, if the kernel has pidfs, `LISTEN_PIDFDID` describe them. Unnamed descriptors are passed as
/// "unknown". If none has a name, `LISTEN_FDNAMES` is not set. If the list is empty, none of these variables is set.
///
/// The constructor allocates all memory, and `exec()` and `spawn()` allocate none.
///
/// @threadsafety Distinct objects may be used from different threads. One object may be used by one thread at a time.
/// @see sd_listen_fds(3)
class activation {
 public:
  /// Prepares the execution of a command.
  ///
  /// Unless the options say otherwise, the program inherits the environment that this process has now.
  ///
  /// @param command     The program and its arguments. A program without a slash is searched for in the `PATH` that the
  ///                    program is going to have, as execvp(3) does.
  /// @param fds         The descriptors to pass. The caller keeps them, and must keep them open until `exec()` or the
  ///                    last `spawn()`.
  /// @param environment Variables to add to the inherited ones or to replace them with. Variables of the protocol,
  ///                    `LISTEN_FDS_FIRST_FD` included, are ignored here and are not inherited.
  /// @param options     See `activation_options`.
  /// @throws std::system_error with `EINVAL` if the command is empty, if a word, or the name or value of a variable,
  ///         contains a NUL byte, if the name of a variable is empty or contains "=", or if the name of a descriptor
  ///         contains a colon or a control character or is longer than 255 bytes. The message quotes the offending
  ///         value.
  /// @threadsafety No other thread may change the environment at the same time.
  SD_EXPORT activation(std::vector<std::string> command, const std::vector<listen_fd>& fds,
                       const std::map<std::string, std::string>& environment = {},
                       const activation_options& options = {});
  activation(const activation&) = delete;
  activation& operator=(const activation&) = delete;
  ~activation() = default;

  /// Replaces this process with the program. Returns only if that fails.
  ///
  /// The descriptor numbers from 3 on are overwritten, so a caller can do little more than exit if `exec()` fails. The
  /// program inherits the signal mask and the ignored signals of this process, as with execve(2).
  ///
  /// @returns An errno of execve(2) or dup(2).
  /// @threadsafety Async-signal-safe. May be called in a child that was forked by a process with several threads.
  [[nodiscard]] SD_EXPORT std::error_code exec() noexcept;

  /// Starts the program in a child process and returns when the program has been executed.
  ///
  /// The program starts with an empty signal mask and the default action for every signal. No signal handler of this
  /// process runs in the child. On Linux the child shares the memory of this process until it executes the program, so
  /// the cost does not grow with the size of this process, and the calling thread is suspended until then.
  ///
  /// @returns The pid of the child. The caller must wait for it. If the call fails, a negative number; there is no
  ///          child then.
  /// @par Errors
  /// Those of fork(2) and `exec()`. `ECANCELED` if the child was killed before it executed the program.
  SD_EXPORT int spawn(std::error_code& ec) noexcept;
  /// Does the same as the overload with `ec`, and throws errors.
  ///
  /// @throws std::system_error whose `what()` names the program.
  SD_EXPORT int spawn();

  /// Starts the program in a child process, which first calls a function, for example to drop privileges.
  ///
  /// The child is created by fork(2), so the function runs in a copy of this process's memory. The function may change
  /// signal actions and the signal mask for the program.
  ///
  /// @param prepare A callable that returns an `int`: 0, or the errno with which the call fails. It must be noexcept,
  ///                and it must call nothing but async-signal-safe functions, see signal-safety(7).
  /// @returns The pid of the child. The caller must wait for it. If the call fails, a negative number; there is no
  ///          child then.
  /// @par Errors
  /// Those of fork(2), socketpair(2), pipe(2) and `exec()`, and what `prepare` returns. `EINVAL` if `prepare` returns a
  /// negative number. `ECANCELED` if the child exits or is killed before it executes the program.
  template <class Preparation, class = std::enable_if_t<std::is_invocable_v<Preparation&>>>
  int spawn(Preparation prepare, std::error_code& ec) noexcept {
    static_assert(std::is_same_v<std::invoke_result_t<Preparation&>, int>, "the preparation must return 0 or an errno");
    static_assert(std::is_nothrow_invocable_v<Preparation&>, "the preparation must be noexcept");
    return start([](void* argument) noexcept { return (*static_cast<Preparation*>(argument))(); }, &prepare, ec);
  }
  /// Does the same as the overload with `ec`, and throws errors.
  ///
  /// @throws std::system_error whose `what()` names the program.
  template <class Preparation, class = std::enable_if_t<std::is_invocable_v<Preparation&>>>
  int spawn(Preparation prepare) {
    std::error_code ec;
    const int pid = spawn(std::move(prepare), ec);
    if (ec) fail(ec);
    return pid;
  }

 private:
  friend struct detail::program_start;

  SD_EXPORT int start(int (*prepare)(void* argument) noexcept, void* argument, std::error_code& ec) noexcept;
  [[noreturn]] SD_EXPORT void fail(const std::error_code& ec) const;
  int execute(std::vector<int>& fds) noexcept;
  int execute_candidates() noexcept;

  std::vector<std::string> command_;
  std::vector<std::string> candidates_;  // the paths of the program to try
  std::vector<std::string> variables_;
  std::vector<char*> arguments_;
  std::vector<char*> shell_arguments_;  // those of a shell that runs a script without an interpreter line
  std::vector<char*> environment_;
  std::vector<int> fds_;
  bool sets_listen_pid_ = true;
  std::string pid_variable_;  // NAME=, and room for a number
  std::size_t pid_offset_ = 0;
  std::vector<int> child_fds_;  // what fds_ become in a child, which may share the memory of this process
  std::unique_ptr<char[]> stack_;
  SD_UNUSED_MEMBER char listen_pid_[32];  // NAME= and a number that is known only in the child
  SD_UNUSED_MEMBER char listen_pidfdid_[48];
};

}  // namespace v0
}  // namespace sd

#endif
