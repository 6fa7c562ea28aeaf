// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using sd::test::docs;

sd::unique_fd open_my_own_port() { return std::move(sd::testing::open(sd::kind::stream, "127.0.0.1:5678").fd); }

std::string run(sd::unique_fd fd) { return to_string(sd::describe(fd.get()).local); }

std::string first_or_own() {
  auto fds = sd::listen_fds();  // std::vector<sd::listen_fd>
  if (fds.empty()) return run(open_my_own_port());

  auto& [name, fd] = fds.front();  // std::optional<std::string>, sd::unique_fd
  return run(std::move(fd));
}

const sd::test::fragment passed("listen_fds passed", [] { EXPECT_EQ(first_or_own(), "127.0.0.1:1234"); });
const sd::test::fragment not_passed("listen_fds not passed", [] { EXPECT_EQ(first_or_own(), "127.0.0.1:5678"); });

TEST_F(docs, listen_fds) {
  std::vector<sd::listen_fd> fds;
  EXPECT_EQ(sd::test::run_fragment("listen_fds not passed", fds), 0);
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:1234"));
  EXPECT_EQ(sd::test::run_fragment("listen_fds passed", fds), 0);
}

}  // namespace
