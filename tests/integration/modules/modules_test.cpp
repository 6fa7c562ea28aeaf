// One process that has the library inside three times. Whoever comes first is the one owner.

#include <sd/error.hpp>

#include "process.hpp"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

namespace {

using testing::AnyOf;
using testing::ElementsAre;

std::vector<int> answers(const std::string& order) {
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

// Whether two static copies share their state is the linker's choice. Where they do not, the second finds the
// descriptors marked by the first.
auto none() { return AnyOf(0, -static_cast<int>(sd::errc::already_claimed)); }

TEST(modules, have_one_owner_among_them) {
  EXPECT_THAT(answers("pab"), ElementsAre(1, none(), none()));
  EXPECT_THAT(answers("abp"), ElementsAre(1, none(), none()));
  EXPECT_THAT(answers("ppaabb"), ElementsAre(1, 0, none(), none(), none(), none()));
}

}  // namespace
