// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "failing_call.hpp"

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Runs sd-activate as a program.
namespace sd::activate::test {

using words = std::vector<std::string>;

constexpr int exit_failure = 1;  ///< the exit status of sd-activate if a socket cannot be opened, for example

/// Returns whether the condition holds, at last after a time that is long enough for slow machines.
bool eventually(const std::function<bool()>& condition);

/// Returns whether there is a process with this id that has not ended.
bool is_running(int pid);

std::size_t count_descriptors(int pid);

bool has_ipv6();

/// Returns whether the kernel lets `circumstances::failing_call` fail. Emulators, for example, do not support it.
bool can_fail_calls();

/// How to run sd-activate.
struct circumstances {
  std::map<std::string, std::string> environment;  ///< variables to add
  std::optional<unsigned> descriptor_limit;
  bool is_unprivileged = false;  ///< as the user nobody if this process runs as root
  bool has_events = true;        ///< --json
  words program = {SD_ACTIVATE};
  bool ignores_sigchld = false;
  std::optional<sd::test::failing_call> failing_call = std::nullopt;  ///< of sd-activate and its children
};

/// A running sd-activate, which the destructor kills.
class activator {
 public:
  explicit activator(const words& arguments, const circumstances& how = {});
  activator(const activator&) = delete;
  activator& operator=(const activator&) = delete;
  ~activator();

  [[nodiscard]] int pid() const noexcept { return pid_; }

  /// Returns the next event of this name, and forgets those before it. An empty object if sd-activate ends before, or
  /// if there is none in time.
  nlohmann::json event(const std::string& name);
  /// Waits until sd-activate has ended. Returns the names of its other events.
  words remaining_events();
  /// Returns the addresses of the next "listening" events.
  words addresses(std::size_t count);
  std::string address() { return addresses(1)[0]; }
  /// Closes the reading end of the events.
  void stop_reading_events() { events_.reset(); }

  void send(int signal) const noexcept {
    if (pid_ != 0) ::kill(pid_, signal);
  }
  /// Suspends sd-activate. When SIGCONT resumes it, it first handles the signals that it has received.
  void suspend() const;
  /// Returns the exit status, or 128 + the signal that killed sd-activate. Kills it if it does not end in time.
  int wait();
  int stop(int signal = SIGTERM) {
    send(signal);
    return wait();
  }
  [[nodiscard]] bool has_ended();

  /// Returns what sd-activate and its services have written so far.
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string errors() const;
  /// Waits until the text is among the errors. Returns whether it is.
  [[nodiscard]] bool reports(const std::string& text) const;

 private:
  int pid_ = 0;
  int status_ = -1;
  unique_fd output_;
  unique_fd errors_;
  unique_fd events_;
  std::string received_;
};

/// Runs sd-activate to its end.
struct result {
  int status;
  std::string output;
  std::string errors;
};
result run(const words& arguments, const circumstances& how = {});

/// Returns the words that start the helper program, which replies to requests. See service.cpp.
words service(const words& options = {});

/// Returns the words of a command line for sd-activate: its options, "--", and the helper program.
words with_service(words options, const words& service_options = {});

/// Returns the text with this path replaced by "DIR".
std::string without(const std::string& path, std::string text);

}  // namespace sd::activate::test
