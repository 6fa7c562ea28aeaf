// SPDX-License-Identifier: MIT OR Apache-2.0
#include "events.hpp"

#include "memory_file.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using sd::activate::event_log;

TEST(event_log, bytes_that_are_not_utf_8_are_replaced) {
  const auto file = sd::test::memory_file();
  const event_log log({}, file.get());
  log.event("status", {{"text", std::string("a\xff") + "b"}});
  EXPECT_EQ(sd::test::contents(file.get()),
            "{\"event\":\"status\",\"text\":\"a\xEF\xBF\xBD"
            "b\"}\n");
}

}  // namespace
