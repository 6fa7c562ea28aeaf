// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Tests activated services without a service manager.
///
/// Link `sd::testing`. Needs exceptions.

#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#if SD_HAS_EXCEPTIONS

namespace sd::testing {

/// Opens a file descriptor as a service manager would, to pass it with `process` or to give it to code that takes the
/// list that `sd::listen_fds()` returns.
///
/// @param type  The kind that the directive of the socket unit creates.
/// @param where The value of the directive. For a socket, an `sd::address` as text; port 0 stands for a free port, and
///              `sd::describe(fd).local` returns the port that was chosen. For a fifo its path, and for a message queue
///              its `/name`: both are created. For a special file its path. For netlink the family and the group, as
///              in `route 1` or `kobject-uevent 1`.
/// @param name  The name, as `FileDescriptorName=` sets it.
/// @returns The descriptor, close-on-exec. The caller must remove paths and message queues, so it is best to create
///          them in a directory that the test removes.
/// @throws std::system_error if the descriptor cannot be opened, with `EINVAL` for a kind that no directive creates.
///         The message names `where`.
/// @threadsafety Safe from any thread.
/// @see systemd.socket(5)
[[nodiscard]] listen_fd open(kind type, const std::string& where, std::optional<std::string> name = std::nullopt);

/// Opens a connection as `Accept=yes` passes it, with the name `name`.
///
/// @returns The descriptor to pass, and the end of the client. Both are close-on-exec.
/// @throws std::system_error if there are no free descriptors.
/// @threadsafety Safe from any thread.
[[nodiscard]] std::pair<listen_fd, unique_fd> connection(std::optional<std::string> name = "connection");

/// A program that is started with descriptors as a service manager would start it, and killed by the destructor.
///
/// In a child that was forked from the process that started the program, the object does nothing: `wait()` and `stop()`
/// return -1 there.
///
/// @threadsafety Distinct objects may be used from different threads. One object may be used by one thread at a time.
/// @see sd::activation
class process {
 public:
  /// Starts a program.
  ///
  /// @param command     The program and its arguments.
  /// @param fds         The descriptors to pass. The caller keeps them, so it can start another program with them.
  /// @param environment Variables to add to those of this process or to replace them with.
  /// @throws std::system_error as the constructor and `spawn()` of `sd::activation`.
  process(const std::vector<std::string>& command, const std::vector<listen_fd>& fds,
          const std::map<std::string, std::string>& environment = {});
  process(process&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), status_(other.status_), owner_(other.owner_) {}
  process& operator=(process&& other) noexcept {
    process moved(std::move(other));
    std::swap(pid_, moved.pid_);
    std::swap(status_, moved.status_);
    std::swap(owner_, moved.owner_);
    return *this;
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  /// Returns the pid of the running program, or 0 after `wait()` or `stop()`.
  [[nodiscard]] int pid() const noexcept { return pid_; }
  /// Waits for the end of the program, and returns its exit status, or 128 + the signal that killed it. Returns -1 if
  /// waitpid(2) fails.
  int wait() noexcept;
  /// Sends SIGTERM, and does what `wait()` does.
  int stop() noexcept;
  /// Sends `signal`, and does what `wait()` does.
  int stop(int signal) noexcept;

 private:
  int pid_ = 0;
  int status_ = -1;
  int owner_ = 0;  // the process that started the program
};

}  // namespace sd::testing

#endif
