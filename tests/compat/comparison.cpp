// SPDX-License-Identifier: MIT OR Apache-2.0
#include "comparison.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>

namespace sd::test {

namespace {

std::string to_string(const observation& seen) {
  std::string text;
  for (const auto& [what, value] : seen) text += "  " + what + ": " + value.substr(0, 200) + '\n';
  return text;
}

}  // namespace

void comparison::compare(const std::function<std::string()>& call, const observation& theirs, const observation& ours,
                         const std::optional<documented>& allowed) {
  ++cases_;
  if (theirs == ours) return;
  const bool right = allowed && (!allowed->result || ours.at("result") == std::to_string(*allowed->result));
  if (right) ++seen_[allowed->difference];
  // The first ones are enough to find the cause.
  if (right || ++failures_ > 20) return;
  ADD_FAILURE() << call() << "\nexpected: " << (allowed ? allowed->difference : "the same") << "\nlibsystemd:\n"
                << to_string(theirs) << "sd-daemon:\n"
                << to_string(ours);
}

void comparison::expect(long cases, const std::set<std::string>& differences) const {
  EXPECT_EQ(failures_, 0);
  EXPECT_GE(cases_, cases);
  std::cout << cases_ << " cases\n";
  std::set<std::string> names;
  for (const auto& [name, count] : seen_) {
    std::cout << count << " of them: " << name << '\n';
    names.insert(name);
  }
  EXPECT_EQ(names, differences);
}

std::set<std::string> listed_differences() {
  // The first column of the page's table.
  std::set<std::string> names;
  std::ifstream page(SD_DAEMON_PAGE);
  bool in_table = false;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("## ", 0) == 0) in_table = line == "## Differences";
    if (!in_table || line.rfind("| ", 0) != 0) continue;
    const auto name = line.substr(2, line.find(" |", 2) - 2);
    if (name != "case") names.insert(name);
  }
  return names;
}

}  // namespace sd::test
