// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

// Runs each scenario once for each failure that it can meet, and checks what is left of it.
namespace sd::test {

using words = std::vector<std::string>;

/// The state of a process that a failure must not change: descriptors, environment, signals, children, and the files
/// below its working directory. Each entry has a name, such as `fd 3` or `path s`.
using state_of_process = std::map<std::string, std::string>;

/// One run of a scenario, in a process of its own. Its working directory is empty.
class run {
 public:
  run(std::string directory, int report, int allocation)
      : directory_(std::move(directory)), report_(report), allocation_(allocation) {}

  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
  /// Returns a path in the working directory.
  std::string operator/(const std::string& name) const { return directory_ + '/' + name; }
  /// The descriptor that takes the report. A program that takes the place of this process writes to it.
  [[nodiscard]] int report() const noexcept { return report_; }

  /// Calls the function under test.
  ///
  /// @param tested  Calls the function, and returns its result as text. Calls `returned()` before it destroys results
  ///                that are more than memory.
  /// @param checked Returns the result in place of "ok", after it has waited for children, for example.
  void test(const std::function<std::string()>& tested, const std::function<std::string()>& checked = nullptr);
  /// Marks that the function under test has returned.
  static void returned();

 private:
  std::string directory_;
  int report_;
  int allocation_;
};

/// Returns the error as text: `EMFILE`, `sd:not passed`, or `ok`.
std::string text_of(const std::error_code& ec);

/// An unusual result of a failed call. Usually, the function fails with the same errno, and the failure has no effect
/// if the call is close(2), is made while the results are destroyed, or is made again after EINTR.
struct exception {
  std::string call;   ///< the text of the call, or its beginning followed by "*"; "cleanup: " precedes it in that phase
  std::string error;  ///< the errno that is injected. Empty for any
  std::string results;   ///< what the function may return, separated by "|": `same` is that errno, and `usual` is what
                         ///< it returns if nothing fails. Empty if this failure is left out
  words changes = {};    ///< what has changed then. Empty for nothing, or for the usual changes with the usual result
  bool is_rare = false;  ///< whether the call may be absent, because it depends on what another process does meanwhile
};

/// Appends the lists to each other.
std::vector<exception> operator+(std::vector<exception> a, const std::vector<exception>& b);

struct scenario {
  std::string name;
  std::function<void(run&)> body;
  std::string result = "ok";  ///< the result without a failure
  words changes = {};         ///< its changes without a failure
  std::vector<exception> exceptions = {};
  bool is_unprivileged = false;  ///< whether it runs as another user than root
  bool is_replaced = false;  ///< whether a program takes the place of the process, which ends the count of allocations
};

/// What the command line of a program says, and the directory in which it works.
struct selection {
  words scenarios;
  std::set<std::string> options;  ///< such as "--quick"
  std::string directory;
};

/// Calls the function with the scenarios that the command line names, or with all.
///
///   PROGRAM [--quick] [--list] [SCENARIO...]
///
/// @returns The exit status, which the function returns: 77 if the tests cannot run here.
int run_selected(const words& all, int argc, char** argv, const std::function<int(const selection&)>& function);

/// Runs the selected scenarios, and prints what does not hold and how much was tried.
///
/// @returns The exit status.
int enumerate(const std::vector<scenario>& all, int argc, char** argv);

/// Lets an `Enumerator` run the scenarios that the command line names, or all. Returns the exit status.
template <class Enumerator, class Scenario>
int enumerate_by(const std::vector<Scenario>& all, int argc, char** argv) {
  words names;
  for (const auto& each : all) names.push_back(each.name);
  return run_selected(names, argc, argv, [&](const selection& what) {
    Enumerator each(what);
    for (const auto& which : all) {
      if (std::find(what.scenarios.begin(), what.scenarios.end(), which.name) != what.scenarios.end()) {
        each.enumerate(which);
      }
    }
    return each.print_summary();
  });
}

/// Returns whether a text is the pattern or, if the pattern ends in "*", begins with what precedes that.
bool matches(const std::string& pattern, const std::string& text);

/// Returns the text with each occurrence of the word replaced.
std::string replaced(std::string text, const std::string& word, const std::string& with);

/// Returns what has changed between two states: `+fd 3`, `-env LISTEN_PID`, `~path s`.
words changes_between(const state_of_process& before, const state_of_process& after);
state_of_process read_state();

/// Marks that this process must not allocate memory or lock a mutex in its children.
void forbid_in_children();

}  // namespace sd::test
