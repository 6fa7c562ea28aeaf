// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>

#include "directory.hpp"
#include "docs.hpp"
#include "process.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

using sd::test::docs;
using sd::test::wait_for;

TEST_F(docs, activation) {
  const sd::test::directory directory;
  // It exits with 42 if it was started as it should be.
  std::ofstream(directory / "my-service") << R"(#!/bin/sh
[ "$1 $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES" = "--verbose $$ 1 web" ] && exit 42)";
  ASSERT_EQ(::chmod((directory / "my-service").c_str(), 0755), 0);
  const std::string path = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", (directory.path() + ':' + path).c_str(), 1), 0);
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0", "web"));
  {
    sd::activation program({"my-service", "--verbose"}, fds);
    const int pid = program.spawn();  // or, to replace this process: program.exec()
    EXPECT_EQ(wait_for(pid), 42);
  }
  {
    sd::activation program({"my-service", "--verbose"}, fds);
    const auto group = ::getgid();
    const auto user = ::getuid();
    const int pid = program.spawn([&]() noexcept { return setgid(group) == 0 && setuid(user) == 0 ? 0 : errno; });
    EXPECT_EQ(wait_for(pid), 42);
  }
  ::setenv("PATH", path.c_str(), 1);
}

}  // namespace
