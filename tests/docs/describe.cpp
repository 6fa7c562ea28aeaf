// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <vector>

namespace {

using sd::test::docs;

TEST_F(docs, describe) {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:8082", "web"));
  fds.push_back(sd::testing::open(sd::kind::datagram, "/run/log"));
  testing::internal::CaptureStdout();
  for (const auto& [name, fd] : fds) {
    std::cout << name.value_or("without a name") << ": " << sd::describe(fd.get()) << '\n';
  }
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "web: stream inet 127.0.0.1:8082\nwithout a name: datagram unix /run/log\n");
}

}  // namespace
