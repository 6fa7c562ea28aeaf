// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>
#include <vector>

namespace {

using sd::test::ask;
using sd::test::docs;

TEST_F(docs, testing) {
  std::filesystem::current_path(EXAMPLES "/my-service");

  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0", "web"));
  const auto where = sd::describe(fds.front().fd.get()).local;

  sd::testing::process service({"./my-service"}, fds);
  EXPECT_EQ(ask(where, "hello"), "hello");
  EXPECT_EQ(service.stop(), 0);

  struct my_server {
    explicit my_server(std::vector<sd::listen_fd> list) : fds(std::move(list)) {}
    std::vector<sd::listen_fd> fds;
  };
  my_server server(std::move(fds));
  EXPECT_EQ(server.fds.size(), 1);
}

}  // namespace
