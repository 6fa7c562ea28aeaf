// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using sd::test::docs;

sd::origin origin_of_configured_socket() {
  const struct { std::string listen = "/run/take_or_bind/socket"; } config;
  auto fds = sd::listen_fds();
  auto socket = sd::take_or_bind(fds, sd::address(config.listen));
  sd::require_all_taken(fds);
  return socket.origin();
}

const sd::test::fragment bound("take_or_bind bound",
                               [] { EXPECT_EQ(origin_of_configured_socket(), sd::origin::bound); });
const sd::test::fragment passed("take_or_bind passed",
                                [] { EXPECT_EQ(origin_of_configured_socket(), sd::origin::passed); });

TEST_F(docs, take_or_bind) {
  std::vector<sd::listen_fd> fds;
  EXPECT_EQ(sd::test::run_fragment("take_or_bind bound", fds), 0);
  fds.push_back(sd::testing::open(sd::kind::stream, "/run/take_or_bind/socket"));
  EXPECT_EQ(sd::test::run_fragment("take_or_bind passed", fds), 0);
}

TEST_F(docs, take_or_bind_with_selector) {
  for (const auto origin : {sd::origin::bound, sd::origin::passed}) {
    std::vector<sd::listen_fd> fds;
    if (origin == sd::origin::passed) {
      fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0"));
      fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0", "web"));
    }
    auto web = sd::take_or_bind(fds, sd::named("web"), sd::address("8080"));  // the one named "web", or port 8080
    auto only = sd::take_or_bind(fds, sd::selector(), sd::address("8081"));   // the only one, or port 8081
    EXPECT_EQ(web.origin(), origin);
    EXPECT_EQ(only.origin(), origin);
    EXPECT_TRUE(fds.empty());
  }
}

}  // namespace
