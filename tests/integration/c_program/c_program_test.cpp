// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests that the core of the library does not need the C++ runtime.

#include "process.hpp"

#include <gmock/gmock.h>

namespace {

TEST(c_program, receives_the_descriptors) {
  sd::test::activation program;
  program.command = sd::test::command(C_PROGRAM, {});
  for (const int count : {0, 1, 100}) {
    program.descriptors = count;
    const auto result = sd::test::run(program);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.output, std::to_string(count) + "\n");
  }
}

TEST(c_program, needs_no_cpp_runtime) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer needs the C++ runtime";
  sd::test::activation readelf;
  readelf.command = {"readelf", "--dynamic", C_PROGRAM};
  const auto result = sd::test::run(readelf);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, testing::HasSubstr("Shared library: [libc."));
  EXPECT_THAT(result.output, testing::Not(testing::HasSubstr("++")));
}

}  // namespace
