// SPDX-License-Identifier: MIT OR Apache-2.0
// sd::bind_options as C++20 programs use it. Warnings are errors here, so this file compiles only if no initializer is
// reported as missing.

#include <sd/take_or_bind.hpp>

#include <gtest/gtest.h>

namespace {

TEST(bind_options, designated_initializers_set_one_member) {
  EXPECT_EQ((sd::bind_options{.backlog = 5}).backlog, 5);
  EXPECT_EQ((sd::bind_options{.kind = sd::kind::datagram}).kind, sd::kind::datagram);
  EXPECT_EQ((sd::bind_options{.socket_mode = 0600}).socket_mode, 0600U);
  EXPECT_EQ((sd::bind_options{.socket_uid = 1234}).socket_uid, 1234U);
  EXPECT_EQ((sd::bind_options{.socket_gid = 4321}).socket_gid, 4321U);
}

TEST(bind_options, defaults_are_those_of_a_socket_unit) {
  const sd::bind_options options;
  EXPECT_EQ(options.kind, sd::kind::stream);
  EXPECT_EQ(options.socket_mode, 0666U);
  EXPECT_EQ(options.directory_mode, 0755U);
  EXPECT_FALSE(options.socket_uid);
  EXPECT_FALSE(options.socket_gid);
}

}  // namespace
