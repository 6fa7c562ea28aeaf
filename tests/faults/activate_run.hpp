// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "enumeration.hpp"
#include "tracer.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// One run of sd-activate, with a client, in which one system call or one allocation may fail.
namespace sd::test {

/// The client of sd-activate, and what it observes. It runs in another thread than the tracer.
class session {
 public:
  /// @param usual_descriptors The descriptors of sd-activate at each `settle()`, if nothing fails.
  session(std::string directory, const std::vector<words>& usual_descriptors)
      : directory_(std::move(directory)), usual_descriptors_(usual_descriptors) {}

  /// Returns the reply of the service. If sd-activate goes on without serving the client, it must serve the next one.
  ///
  /// @param expected The reply if nothing fails. Empty if it differs from run to run.
  std::string ask(const std::string& request, const std::string& expected = "");
  /// Sends requests at the same time.
  void ask_twice(const std::string& request);
  /// Sends a request without a reply, after which the service exits.
  void end_service(const std::string& request);
  /// Sends sd-activate a signal.
  void signal(int number) const;
  /// Waits until a process of the service has ended, or for half a second if it goes on.
  ///
  /// @param process The process id. Empty for none.
  void await_end(const std::string& process) const;
  /// Waits until sd-activate has that many children and, apart from that, no more descriptors than usual.
  void settle(std::size_t children);
  /// Ends sd-activate.
  void stop();
  /// Notes something that must not happen.
  void violation(std::string what) { violations_.push_back(std::move(what)); }

  [[nodiscard]] const words& violations() const noexcept { return violations_; }
  [[nodiscard]] int clients_without_reply() const noexcept { return without_reply_; }
  [[nodiscard]] bool has_ended_early() const noexcept { return has_ended_early_; }
  [[nodiscard]] const std::vector<words>& descriptors() const noexcept { return descriptors_; }

  std::atomic<int> pid = 0;
  std::atomic<bool> has_ended = false;

 private:
  /// Returns the reply on a connection. Empty if there is none.
  std::string reply_on(const unique_fd& connection, const std::string& request);

  std::string directory_;
  const std::vector<words>& usual_descriptors_;
  std::vector<words> descriptors_;
  words violations_;
  int without_reply_ = 0;
  bool has_ended_early_ = false;
};

struct activate_scenario {
  std::string name;
  std::map<std::string, std::string> files;        ///< The units, in which DIR stands for the directory.
  words options;                                   ///< what follows "sd-activate", with DIR
  std::function<void(session&)> script = nullptr;  ///< Nothing for a program that ends by itself.
  int status = 0;                                  ///< the exit status without a failure
  words new_files = {};                            ///< that the service leaves
};

struct activate_outcome {
  trace seen;
  words violations;
  std::vector<words> descriptors;
  std::string errors;  ///< what sd-activate has written
  int status = 0;      ///< its exit status, or 128 + the signal
  int clients_without_reply = 0;
  bool has_ended_early = false;              ///< before it was asked to
  std::optional<int> allocations_left = {};  ///< Of those that succeed before one fails. Negative if it has failed.
                                             ///< Empty if `fault` has none, or if sd-activate was killed.
  std::vector<std::pair<int, std::uint64_t>> allocations = {};  ///< If `fault.allocation` is INT_MAX: the first one
                                                                ///< from each place, and the number of the place.
};

/// What fails in a run.
struct activate_fault {
  std::optional<fault> call = {};
  std::optional<int> allocation = {};  ///< the number of allocations that succeed before one fails
};

/// Runs the scenario in the directory `run` of this directory, which is emptied.
activate_outcome run_activate(const activate_scenario& which, const std::string& directory, const activate_fault& fault,
                              const std::vector<words>& usual_descriptors);

}  // namespace sd::test
