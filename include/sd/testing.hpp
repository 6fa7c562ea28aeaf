#pragma once

// For the tests of activated services: link `sd::testing`. It needs exceptions.

#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#if SD_HAS_EXCEPTIONS

namespace sd::testing {

/// Opens what a service manager would pass. A list of these is what `sd::listen_fds()` answers, for code that takes the
/// list from its caller; `process` passes it to a program.
/// Shape:   `where` is what the unit's directive says: an `sd::address` as text for sockets, of which a port 0 stands for
///          a free one that `sd::describe(fd).local` names; the path of a fifo, which is made, or of a special file;
///          `/name` of a message queue, which is made; a family and group as in `kobject-uevent 1` or `route 1` for
///          netlink. Paths and queues are the caller's to remove, and are best in a directory of the test's own.
/// Errors:  thrown as `std::system_error` that names `where`; `EINVAL` for a kind that cannot be opened by a text.
/// Threads: safe from any thread.
/// Source:  systemd.socket(5)
[[nodiscard]] listen_fd open(kind kind, const std::string& where, std::optional<std::string> name = std::nullopt);

/// A connection as `Accept=yes` passes it, and the client's end of it.
[[nodiscard]] std::pair<listen_fd, unique_fd> connection(std::optional<std::string> name = "connection");

/// A program that is started as a service manager would start it, and killed when this object goes.
/// Shape:   what it finds is what `sd::activation` gives it. The caller keeps its descriptors: a second program can be
///          started with the same ones.
/// Errors:  thrown as `std::system_error`: those of `sd::activation` and its `spawn()`.
/// Threads: safe from any thread; one object from one thread at a time.
/// Source:  sd_listen_fds(3)
class process {
 public:
  process(const std::vector<std::string>& command, const std::vector<listen_fd>& fds,
          const std::map<std::string, std::string>& environment = {});
  process(process&& other) noexcept : pid_(std::exchange(other.pid_, 0)), status_(other.status_) {}
  process& operator=(process&& other) noexcept {
    process moved(std::move(other));
    std::swap(pid_, moved.pid_);
    std::swap(status_, moved.status_);
    return *this;
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  /// The number of the running program; 0 once it has been waited for.
  [[nodiscard]] int pid() const noexcept { return pid_; }
  /// Waits for its end: the exit status, or 128 + the signal that killed it.
  int wait() noexcept;
  /// Sends a signal and waits for the end.
  int stop(int signal = SIGTERM) noexcept;

 private:
  int pid_ = 0;
  int status_ = -1;
};

}  // namespace sd::testing

#endif
