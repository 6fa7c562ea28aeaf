// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/testing.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::test::docs;

const sd::test::fragment take("take", [] {
  auto fds = sd::listen_fds(sd::listen_options::required);
  auto web = sd::take(fds, sd::kind::stream, sd::named("web")).fd;
  auto admin = sd::take(fds, sd::kind::stream, sd::address("/run/my-service/admin")).fd;
  auto dns = sd::take_all(fds, sd::kind::datagram);
  sd::require_all_taken(fds);

  EXPECT_EQ(to_string(sd::describe(web.get()).local), "127.0.0.1:80");
  EXPECT_EQ(sd::describe(admin.get()).local.path(), "/run/my-service/admin");
  EXPECT_EQ(dns.size(), 2U);
});

TEST_F(docs, take) {
  std::vector<sd::listen_fd> fds;
  EXPECT_NE(sd::test::run_fragment("take", fds), 0) << "nothing was passed";
  std::filesystem::create_directory("/run/my-service");
  fds.push_back(sd::testing::open(sd::kind::datagram, "127.0.0.1:53", "dns"));
  fds.push_back(sd::testing::open(sd::kind::stream, "/run/my-service/admin", "admin"));
  fds.push_back(sd::testing::open(sd::kind::datagram, "[::1]:53", "dns"));
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:80", "web"));
  EXPECT_EQ(sd::test::run_fragment("take", fds), 0);
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:81", "other"));
  EXPECT_NE(sd::test::run_fragment("take", fds), 0) << "a socket is not used";
}

TEST_F(docs, try_take) {
  int served = -1;
  const auto serve_metrics = [&](sd::unique_fd fd) { served = fd.get(); };
  std::vector<sd::listen_fd> fds;
  for (int i = 0; i < 2; ++i) {
    if (auto metrics = sd::try_take(fds, sd::kind::stream, sd::named("metrics"))) serve_metrics(std::move(metrics->fd));
    EXPECT_EQ(served != -1, i == 1);
    if (i == 0) fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0", "metrics"));
  }
}

TEST_F(docs, parse) {
  for (const std::string text : {"127.0.0.1:80", "localhost:80"}) {
    testing::internal::CaptureStderr();
    const auto where = sd::address::parse(text);
    if (!where) std::cerr << text << ": not an address\n";
    EXPECT_EQ(testing::internal::GetCapturedStderr(), where ? "" : "localhost:80: not an address\n");
  }
}

}  // namespace
