// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

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

/// Checks that the libraries differ only in the ways that the page lists.
class comparison {
 public:
  /// Compares what was observed of each library. `call` describes the call, `allowed` is the difference that the page
  /// allows for it.
  void compare(const std::function<std::string()>& call, const observation& theirs, const observation& ours,
               const std::optional<documented>& allowed = std::nullopt);

  /// Fails if fewer cases were compared, or if other differences were found than these.
  void expect(long cases, const std::set<std::string>& differences = {}) const;

 private:
  long cases_ = 0;
  int failures_ = 0;
  std::map<std::string, long> seen_;
};

/// Returns the differences that the page lists.
std::set<std::string> listed_differences();

}  // namespace sd::test
