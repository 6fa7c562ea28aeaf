// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/array_view.hpp>

#include "library.hpp"

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Calls of both libraries: what can be observed of them, and in what the libraries may differ.
namespace sd::test {

/// The result of a call, and everything else that can be observed about it.
using observation = std::map<std::string, std::string>;

/// The value of an environment variable; `nullopt` if it is not set.
using variable = std::optional<std::string>;

void set(const char* name, const variable& value);

/// Adds the current value of the variable, under its name.
void observe(observation& seen, const char* name);

/// A difference that docs/sd-daemon.md lists, in the words of its table.
struct documented {
  std::string difference;
  std::optional<int> result = std::nullopt;  ///< our result, if it is fixed
};

/// A call of sd_listen_fds() or sd_listen_fds_with_names().
struct receive_call {
  static constexpr int first = SD_LISTEN_FDS_START;
  static constexpr int last = 16;

  variable pid, pidfdid, count, first_fd, names;
  int open = 0;   // how many descriptors are open, from the first one on
  int hole = -1;  // the one among them that is closed
  bool close_on_exec = false;

  int unset_environment = 0;
  enum { without_names, null_names, wants_names } form = without_names;

  /// Sets the variables, and opens and closes the descriptors from `first` to `last`.
  void arrange() const;
  [[nodiscard]] observation of(const library& library) const;
  /// Returns what docs/sd-daemon.md promises of our library, in a process with this pidfs inode, or 0 for none.
  [[nodiscard]] observation expected(std::uint64_t own_pidfdid) const;
  [[nodiscard]] std::string text() const;
};

/// A call of sd_watchdog_enabled().
struct watchdog_call {
  variable usec, pid;
  int unset_environment = 0;
  bool wants_usec = true;

  [[nodiscard]] observation of(const library& library) const;
  [[nodiscard]] std::string text() const;
};

/// The socket of a service manager. Reports the messages, their senders and their descriptors.
class manager {
 public:
  explicit manager(const std::string& where);
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;
  ~manager();

  void wait() const;
  /// Returns the messages that have arrived.
  [[nodiscard]] std::string received() const;

 private:
  int fd_;
};

/// A call of one of the functions that send messages.
struct notify_call {
  variable where;
  std::string function;
  pid_t pid = 0;
  int unset_environment = 0;
  std::optional<std::string> state;
  std::vector<int> fds;

  [[nodiscard]] bool has_fds() const { return function.find("fds") != std::string::npos; }
  [[nodiscard]] bool is_barrier() const { return function.find("barrier") != std::string::npos; }
  [[nodiscard]] bool exists_in(const library& library) const {
    if (function == "sd_pid_notify_barrier") return library.pid_notify_barrier != nullptr;
    return function != "sd_pid_notifyf_with_fds" || library.pid_notifyf_with_fds != nullptr;
  }

  [[nodiscard]] observation of(const library& library, sd::array_view<manager> managers) const;
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] int result_of(const library& library) const;
};

/// Returns the difference that docs/sd-daemon.md allows for the call, whose observations are these.
std::optional<documented> allowed(const receive_call& call, const observation& theirs, const observation& ours,
                                  const library& their_library);
std::optional<documented> allowed(const watchdog_call& call, const observation& theirs, const observation& ours);
std::optional<documented> allowed(const notify_call& call, const observation& theirs, const observation& ours,
                                  const library& their_library);

}  // namespace sd::test
