// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole programs of the documents.

#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "client.hpp"
#include "docs.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <vector>

namespace {

using sd::test::accepts_connections;
using sd::test::ask;
using sd::test::docs;

TEST_F(docs, hello_by_hand) {
  const sd::testing::process hello({EXAMPLES "/hello/hello"}, {});
  while (!accepts_connections("127.0.0.1:1234")) ASSERT_EQ(::kill(hello.pid(), 0), 0);
  EXPECT_EQ(ask("127.0.0.1:1234", ""), "hello\n");
}

TEST_F(docs, hello_activated) {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "[::]:1234"));
  for (int starts = 0; starts < 2; ++starts) {
    const sd::testing::process hello({EXAMPLES "/hello/hello"}, fds);
    EXPECT_EQ(ask("127.0.0.1:1234", ""), "hello\n");
    EXPECT_EQ(ask("[::1]:1234", ""), "hello\n");
  }
}

TEST_F(docs, hello_with_two_sockets) {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0"));
  fds.push_back(sd::testing::open(sd::kind::datagram, "127.0.0.1:0"));
  EXPECT_EQ(sd::testing::process({EXAMPLES "/hello/hello"}, fds).wait(), 1);
}

TEST_F(docs, getting_started) {
  std::filesystem::current_path(EXAMPLES "/hello");
  EXPECT_EQ(sd::testing::process({GETTING_STARTED}, {}).wait(), 0);
}

TEST_F(docs, idle) {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "[::]:1235"));
  const sd::testing::process service({IDLE}, fds);
  EXPECT_EQ(ask("127.0.0.1:1235", "hello"), "hello");
  EXPECT_EQ(ask("[::1]:1235", "hello again"), "hello again");
}

}  // namespace
