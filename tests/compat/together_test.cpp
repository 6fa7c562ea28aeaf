// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests the C function and sd::listen_fds() in one process: the first call gets the descriptors.

#include <sd/error.hpp>

#include "process.hpp"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

namespace {

using testing::ElementsAre;

std::vector<int> results(const std::string& program, const std::string& order) {
  sd::test::activation activated;
  activated.descriptors = 3;
  activated.command = sd::test::command(program, {order});
  const auto result = sd::test::run(activated);
  EXPECT_EQ(result.status, 0) << result.errors;
  std::vector<int> numbers;
  std::istringstream lines(result.output);
  for (int number = 0; lines >> number;) numbers.push_back(number);
  return numbers;
}

class together : public testing::TestWithParam<const char*> {};

TEST_P(together, later_calls_return_none_after_the_cpp_function) {
  EXPECT_THAT(results(GetParam(), "pcpc"), ElementsAre(3, 0, 0, 0));
}

TEST_P(together, only_the_cpp_function_fails_after_the_c_function) {
  const int already = -static_cast<int>(sd::errc::already_claimed);
  EXPECT_THAT(results(GetParam(), "ccpc"), ElementsAre(3, 3, already, 3));
}

INSTANTIATE_TEST_SUITE_P(with, together, testing::Values(TOGETHER_SHARED, TOGETHER_STATIC),
                         [](const auto& with) { return with.index == 0 ? "libsd_daemon_so" : "libsd_daemon_a"; });

}  // namespace
