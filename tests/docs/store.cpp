// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>
#include <sd/store.hpp>
#include <sd/testing.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using sd::test::docs;

const sd::test::fragment store("store", [] {
  const auto connection = std::move(sd::testing::connection().second);
  sd::store("session-7", connection.get());
});

const sd::test::fragment take_stored("take_stored", [] {
  std::string resumed;
  const auto resume = [&](const std::string& name, sd::unique_fd) { resumed += name; };

  auto fds = sd::listen_fds();
  for (auto& [name, fd] : sd::take_stored(fds)) resume(*name, std::move(fd));

  EXPECT_EQ(resumed, "session-7");
  EXPECT_EQ(fds.size(), 1U);
});

TEST_F(docs, store) {
  const sd::test::manager manager;
  EXPECT_EQ(sd::test::run_fragment("store", {}, manager.environment()), 0);
  const auto message = manager.next();
  const auto i = message.find("FDNAME=");
  ASSERT_NE(i, std::string::npos) << message;
  const auto name = message.substr(i + 7, message.find('\n', i) - i - 7);

  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0"));
  fds.push_back(sd::testing::connection(name).first);
  EXPECT_EQ(sd::test::run_fragment("take_stored", fds), 0);
}

}  // namespace
