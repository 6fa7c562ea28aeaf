// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "calls.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace sd::test {

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
