// SPDX-License-Identifier: MIT OR Apache-2.0
// Threads that use all of the library at once. ThreadSanitizer watches them in scripts/sanitizers.

#include "directory.hpp"
#include "process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace {

using testing::MatchesRegex;

TEST(concurrent, threads_receive_notify_spawn_fork_bind_and_use_idle_exit) {
  const int rounds = sd::test::sanitized || !sd::test::emulator().empty() ? 20 : 100;
  const sd::test::directory directory;
  sd::test::activation program;
  program.command = sd::test::command(CONCURRENT, {directory.path(), std::to_string(rounds)});
  program.descriptors = 4;
  const auto result = sd::test::run(program);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.errors, "");
  const auto once = std::to_string(rounds);
  const auto twice = std::to_string(2 * rounds);
  // The three threads that received closed what they received; the four descriptors went to one of them.
  EXPECT_THAT(result.output,
              MatchesRegex("received 4\nnotified " + twice + "\nspawned " + once + "\nnot spawned " + once +
                           "\nforked " + twice + "\nbound [1-9][0-9]*\nworked [1-9][0-9]*\nSTATUS=child " + twice +
                           "\nSTATUS=thread " + twice + "\nSTOPPING=1 1\ndescriptors -4\n"));
}

}  // namespace
