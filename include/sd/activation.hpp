#pragma once

#include <sd/config.hpp>
#include <sd/listen_fds.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <system_error>
#include <vector>

// The other side of `listen_fds()`: to pass descriptors to a program, for wrappers, supervisors, and parents that give
// up their privileges.

#if SD_HAS_EXCEPTIONS

namespace sd {

/// A program that is to be activated with descriptors, and all that it takes to do so: made ready while there is still
/// memory to be had, so that nothing is allocated between fork and exec.
/// Shape:   the program finds the descriptors from number 3 on, and `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES` and, where
///          the kernel has it, `LISTEN_PIDFDID`; whatever `environment` says of these; the rest is this process's,
///          `environment` on top. Who has no name is "unknown"; where nobody has one, `LISTEN_FDNAMES` is not set. The
///          descriptors stay the caller's: they are to be open when it runs.
/// Errors:  thrown by the constructor as `std::system_error`: `EINVAL` for no command, and for a name that cannot be
///          passed, as it holds a colon or a control character or is longer than 255 bytes.
/// Threads: one object from one thread at a time.
/// Source:  sd_listen_fds(3)
class activation {
 public:
  SD_EXPORT activation(std::vector<std::string> command, const std::vector<listen_fd>& fds,
                       const std::map<std::string, std::string>& environment = {});
  activation(const activation&) = delete;
  activation& operator=(const activation&) = delete;
  ~activation() = default;

  /// Turns this process into the program, as exec(3) does, which looks for it in `PATH`. Returns only where that fails.
  /// The numbers from 3 on are the descriptors' then, whatever they were before: there is little left to do but to
  /// exit.
  /// Errors:  those of exec(3), dup(2).
  /// Threads: async-signal-safe: may be called in a child that was forked from a process with threads.
  SD_EXPORT std::error_code exec() noexcept;

  /// What the child does before it turns into the program, as to give up privileges. Only what is async-signal-safe.
  /// 0, or the errno for which the program is not to be started.
  using preparation = int (*)(void* argument) noexcept;

  /// Starts the program in a child.
  /// Shape:   the pid of the child, to be waited for by the caller. When it returns the program runs.
  /// Errors:  those of fork(2), of `exec()` and of the preparation. On an error there is no child.
  /// Threads: as the object; other threads do not matter.
  SD_EXPORT int spawn(std::error_code& ec, preparation prepare = nullptr, void* argument = nullptr) noexcept;
  /// The same, but an error is thrown as `std::system_error` that names the program.
  SD_EXPORT int spawn(preparation prepare = nullptr, void* argument = nullptr);

 private:
  std::vector<std::string> command_;
  std::vector<std::string> variables_;
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
  std::vector<int> fds_;
  char listen_pid_[32];  // NAME= and room for a number that only the process itself knows
  char listen_pidfdid_[48];
};

}  // namespace sd

#endif
