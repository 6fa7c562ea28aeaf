// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/watchdog.hpp>

#include "docs.hpp"

#include <gtest/gtest.h>
#include <poll.h>

namespace {

using sd::test::docs;

const sd::test::fragment loop("watchdog", [] {
  bool running = true;
  pollfd* const fds = nullptr;
  const nfds_t n = 0;
  int turns = 0;
  const auto serve = [&](pollfd*, nfds_t) { running = ++turns < 3; };

  sd::watchdog watchdog(sd::watchdog_period());
  while (running) {
    poll(fds, n, watchdog.timeout());
    watchdog.keep_alive();
    serve(fds, n);
  }
});

TEST_F(docs, watchdog) {
  const sd::test::manager manager;
  auto environment = manager.environment();
  environment["WATCHDOG_USEC"] = "20000";
  EXPECT_EQ(sd::test::run_fragment("watchdog", {}, environment), 0);
  EXPECT_EQ(manager.next(), "WATCHDOG=1");
}

}  // namespace
