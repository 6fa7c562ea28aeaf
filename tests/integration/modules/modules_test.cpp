// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests a process that contains three copies of the library: the first one that is called owns the descriptors.

#include <sd/error.hpp>

#include "process.hpp"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

namespace {

using testing::AnyOf;
using testing::ElementsAre;

std::vector<int> results(const std::string& order) {
  sd::test::activation program;
  program.command = sd::test::command(MODULES, {order, PLUGIN_A, PLUGIN_B});
  const auto result = sd::test::run(program);
  EXPECT_EQ(result.status, 0) << result.errors;
  std::vector<int> numbers;
  std::istringstream lines(result.output);
  std::string module;
  for (int number = 0; lines >> module >> number;) numbers.push_back(number);
  return numbers;
}

// The linker decides whether two static copies share their state. If they do not, the second copy finds the descriptors
// close-on-exec.
auto none() { return AnyOf(0, -static_cast<int>(sd::errc::already_claimed)); }

TEST(modules, exactly_one_receives_the_descriptors) {
  EXPECT_THAT(results("pab"), ElementsAre(1, none(), none()));
  EXPECT_THAT(results("abp"), ElementsAre(1, none(), none()));
  EXPECT_THAT(results("ppaabb"), ElementsAre(1, 0, none(), none(), none(), none()));
}

}  // namespace
