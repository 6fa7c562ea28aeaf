// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using sd::test::docs;

const sd::test::fragment notify("notify", [] {
  sd::notify({sd::state::ready(), sd::state::status("serving 3 sockets")});  // once the service is ready
  sd::notify(sd::state::stopping());                                         // before it stops
});

const sd::test::fragment status("notify status", [] {
  const int clients = 7;
  const std::string text = "serving " + std::to_string(clients) + " clients";
  sd::notify(sd::state::status(text));  // status("serving " + ...) does not compile
});

TEST_F(docs, notify) {
  const sd::test::manager manager;
  EXPECT_EQ(sd::test::run_fragment("notify", {}), 0) << "without a service manager";
  EXPECT_EQ(sd::test::run_fragment("notify", {}, manager.environment()), 0);
  EXPECT_EQ(manager.next(), "READY=1\nSTATUS=serving 3 sockets");
  EXPECT_EQ(manager.next(), "STOPPING=1");
  EXPECT_EQ(sd::test::run_fragment("notify status", {}, manager.environment()), 0);
  EXPECT_EQ(manager.next(), "STATUS=serving 7 clients");
}

}  // namespace
