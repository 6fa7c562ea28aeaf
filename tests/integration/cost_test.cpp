// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests the number of system calls that sd::listen_fds() makes.

#include "process.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace {

using testing::ElementsAre;
using testing::StartsWith;

using calls = std::vector<std::string>;

class system_calls : public testing::Test {
 protected:
  void SetUp() override {
    if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer makes system calls of its own";
    if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
    if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: strace would trace the emulator";
    auto trivial = sd::test::activation();
    trivial.command = {STRACE, "-qq", "-o", "/dev/null", "true"};
    if (sd::test::run(trivial).status != 0) GTEST_SKIP() << "SKIPPED: strace may not trace here";
  }

  /// Returns the system calls that one call makes.
  static calls traced(sd::test::activation program) {
    const std::string trace = testing::TempDir() + "trace." + std::to_string(::getpid());
    // -D: strace is a grandchild, so that the program keeps the pid that LISTEN_PID names.
    program.command = {STRACE, "-D", "-o", trace, PROBE, "mark"};
    const auto result = sd::test::run(program);
    EXPECT_EQ(result.status, 0) << result.errors;
    EXPECT_THAT(result.output, StartsWith("fds " + std::to_string(program.descriptors) + "\n"));
    auto all = lines_of(trace);
    for (int wait = 0; wait < 1000 && (all.empty() || all.back().compare(0, 3, "+++") != 0); ++wait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      all = lines_of(trace);
    }
    std::remove(trace.c_str());

    calls made;
    bool marked = false;
    for (const auto& line : all) {
      if (line.find("\"end\"") != std::string::npos) return made;
      if (marked)
        made.push_back(std::regex_replace(line, std::regex("^fcntl64"), "fcntl"));  // the name on 32-bit platforms
      if (line.find("\"begin\"") != std::string::npos) marked = true;
    }
    ADD_FAILURE() << "no end in the trace";
    return made;
  }

  static calls lines_of(const std::string& path) {
    calls lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  /// Removes the calls that allocate memory for the list.
  static calls without_memory(const calls& all) {
    calls rest;
    for (const auto& call : all) {
      const auto name = call.substr(0, call.find('('));
      if (name != "brk" && name != "mmap" && name != "munmap" && name != "mremap") rest.push_back(call);
    }
    return rest;
  }
};

TEST_F(system_calls, five_for_any_number_of_descriptors) {
  for (const int count : {3, 4, 16, 1000}) {
    sd::test::activation program;
    program.descriptors = count;
    EXPECT_THAT(
        without_memory(traced(program)),
        ElementsAre(StartsWith("getpid()"), StartsWith("fcntl(3, F_GETFD)"), StartsWith("fcntl(3, F_DUPFD_CLOEXEC, 3)"),
                    StartsWith("close("), StartsWith("close_range(3, " + std::to_string(2 + count) + ", ")));
  }
}

TEST_F(system_calls, one_and_two_descriptors) {
  sd::test::activation program;
  EXPECT_THAT(without_memory(traced(program)), ElementsAre(StartsWith("getpid()"), StartsWith("fcntl(3, F_GETFD)"),
                                                           StartsWith("fcntl(3, F_SETFD, FD_CLOEXEC)")));
  program.descriptors = 2;
  EXPECT_THAT(without_memory(traced(program)), testing::SizeIs(5));
}

TEST_F(system_calls, four_more_with_listen_pidfdid) {
  if (!sd::test::pidfd_inode(::getpid())) GTEST_SKIP() << "SKIPPED: this kernel has no pidfs (Linux 6.9)";
  sd::test::activation program;
  program.descriptors = 16;
  program.environment["LISTEN_PIDFDID"] = "{pidfdid}";
  EXPECT_THAT(without_memory(traced(program)), testing::SizeIs(9));
}

TEST_F(system_calls, short_list_needs_no_memory_from_the_system) {
  sd::test::activation program;
  program.descriptors = 4;
  const auto all = traced(program);
  EXPECT_EQ(all, without_memory(all));
}

}  // namespace
