// SPDX-License-Identifier: MIT OR Apache-2.0
// Numbers: those that are kept, closed, copied and watched.
#include <sd/address.hpp>
#include <sd/testing.hpp>

#include "client.hpp"
#include "process.hpp"
#include "program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

using sd::kind;
using sd::adopt::test::address_of;
using sd::adopt::test::list;
using sd::adopt::test::program;
using sd::adopt::test::reports;
using sd::adopt::test::same_results;
using sd::adopt::test::verbose;
using sd::adopt::test::with_library;
using sd::adopt::test::words;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

class closing_all_descriptors : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, closing_all_descriptors, testing::Values("loop", "close_range", "closefrom", "proc"),
                         [](const auto& method) { return std::string(method.param); });

TEST_P(closing_all_descriptors, keeps_passed_sockets) {
  const std::string method = GetParam();
  same_results(kind::stream, "127.0.0.1",
               {"open /dev/null", "close-all " + method, "fd=socket inet stream", "bind $fd 127.0.0.1:PORT",
                "listen $fd", "close-all " + method, "flags 3"});
}

TEST_P(closing_all_descriptors, keeps_adopted_sockets) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"a=socket inet stream", "bind $a " + address_of(fds[0]), "close-all " + std::string(GetParam()),
                  "b=socket inet stream", "bind $b " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "bind $b " + address_of(fds[0]) + ": 0");
}

TEST(adopt, close_of_a_kept_number_fails) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"descriptors", "close 1024", "dup2 0 1024", "close 1024", "close -1", "fd=socket inet stream",
                  "bind $fd " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("descriptors: 1024", "close 1024: EBADF", "dup2 0 1024: 1024", "close 1024: 0",
                          "close -1: EBADF", "fd=socket inet stream: 3", "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, kept_socket_makes_room_for_a_copy) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"a=socket inet stream", "b=socket inet stream cloexec", "dup2 1024 1024", "dup2 99 1024",
                  "dup3 99 1024", "dup2 $a 7", "descriptors", "dup2 $a 1024", "descriptors", "dup3 $b 1025", "flags $a",
                  "flags $b", "flags 1025", "flags 1026", "descriptors", "bind $a " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("a=socket inet stream: 3", "b=socket inet stream cloexec: 4", "dup2 1024 1024: 1024",
                          "dup2 99 1024: EBADF", "dup3 99 1024: EBADF", "dup2 $a 7: 7", "descriptors: 3 4 7 1024",
                          "dup2 $a 1024: 1024", "descriptors: 3 4 7 1024 1025", "dup3 $b 1025: 1025",
                          "flags $a: ", "flags $b: cloexec", "flags 1025: cloexec", "flags 1026: ",
                          "descriptors: 3 4 7 1024 1025 1026", "bind $a " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, close_range_leaves_kept_sockets_out) {
  const auto open = [] { return sd::testing::open(kind::stream, "127.0.0.1:0"); };
  const auto fds = list(open(), open(), open());
  // The first socket is then kept under the highest number.
  program server({"dup2 0 1024", "dup2 0 1023", "dup2 0 1028", "dup2 0 1030", "close-range 5 3",
                  "close-range 2147483648 4294967295", "close-range 1025 1025", "close-range 1025 1027", "descriptors",
                  "close-range 3 1023", "descriptors", "close-range 1024 1027", "descriptors",
                  "close-range 3 4294967295 64", "close-range 3 1025 64", "close-range 3 4294967295", "descriptors"},
                 fds, with_library);
  EXPECT_THAT(
      server.results(4),
      ElementsAre("close-range 5 3: EINVAL", "close-range 2147483648 4294967295: 0", "close-range 1025 1025: 0",
                  "close-range 1025 1027: 0", "descriptors: 1023 1024 1025 1026 1027 1028 1030",
                  "close-range 3 1023: 0", "descriptors: 1024 1025 1026 1027 1028 1030", "close-range 1024 1027: 0",
                  "descriptors: 1025 1026 1027 1028 1030", "close-range 3 4294967295 64: EINVAL",
                  "close-range 3 1025 64: EINVAL", "close-range 3 4294967295: 0", "descriptors: 1025 1026 1027"));
}

TEST(adopt, closefrom_without_close_range) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"without-close-range", "limit 2000", "dup2 0 3", "dup2 0 4", "dup2 0 1999", "closefrom 4", "descriptors"}, fds,
      with_library);
  const auto results = server.results();
  if (results[0] != "without-close-range: 0") GTEST_SKIP() << "SKIPPED: no seccomp: " << results[0];
  EXPECT_EQ(results.back(), "descriptors: 3 1024");
}

TEST(adopt, closefrom_a_negative_number_closes_all) {
  const reports received;
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  // Its standard output is then closed.
  program server({"closefrom -5", "socket inet stream", "bind 0 " + address_of(fds[0])}, fds, received.enabled());
  EXPECT_THAT(server.results(), IsEmpty());
  EXPECT_THAT(received.all(), ElementsAre("SD_ADOPTED=0"));
}

TEST(adopt, adopts_with_a_low_limit_of_descriptors) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"limit 64", "exec", "limit 32", "fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds,
                 verbose);
  EXPECT_EQ(server.results().size(), 4U);
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

/// Returns steps that start the library with this limit of descriptors.
words with_limit(int limit, const words& steps) {
  words all = {"limit " + std::to_string(limit), std::string("variable LD_PRELOAD ") + LIBRARY, "exec"};
  all.insert(all.end(), steps.begin(), steps.end());
  return all;
}

TEST(adopt, kept_numbers_are_as_high_as_the_limit_allows) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  for (const auto& [limit, number] : {std::pair{1025, "1024"}, {1024, "1023"}, {64, "63"}}) {
    program server(with_limit(limit, {"descriptors", "fd=socket inet stream", "bind $fd " + address_of(fds[0])}), fds);
    const auto results = server.results();
    EXPECT_EQ(results[2], std::string("descriptors: ") + number);
    EXPECT_THAT(results.back(), EndsWith(": 0"));
  }
}

TEST(adopt, kept_socket_makes_room_below_the_limit) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(with_limit(64, {"close 0", "dup2 1 63", "descriptors", "close 3", "fd=socket inet stream",
                                 "bind $fd " + address_of(fds[0])}),
                 fds);
  EXPECT_THAT(server.results(2), ElementsAre("close 0: 0", "dup2 1 63: 63", "descriptors: 3 63", "close 3: EBADF",
                                             "fd=socket inet stream: 0", "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, socket_stays_where_it_is_if_no_other_number_is_free) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: a sanitizer needs descriptors at the end";
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  words steps = with_limit(5, {"fd=socket inet stream", "dup2 1 3", "dup3 1 3", "bind $fd " + address_of(fds[0])});
  steps.insert(steps.begin(), {"open /dev/null", "close 0"});
  EXPECT_THAT(program(steps, fds).results(4),
              ElementsAre("fd=socket inet stream: 0", "dup2 1 3: EMFILE", "dup3 1 3: EMFILE",
                          "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, child_may_close_what_its_parent_has_adopted) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  program server({"fd=socket inet stream", "bind $fd " + where, "fork", "close 1024", "close 1024", "dup2 0 1024",
                  "again=socket inet stream", "bind $again " + where},
                 fds, with_library);
  EXPECT_THAT(server.results(1),
              ElementsAre("bind $fd " + where + ": 0", "fork: child", "close 1024: 0", "close 1024: EBADF",
                          "dup2 0 1024: 1024", "again=socket inet stream: 4", "bind $again " + where + ": EADDRINUSE"));
}

TEST(adopt, child_that_adopts_another_socket_may_close_what_its_parent_has_adopted) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"a=socket inet stream", "bind $a " + address_of(fds[0]), "fork", "b=socket inet stream",
                  "bind $b " + address_of(fds[1]), "close 1024", "close 1025"},
                 fds, with_library);
  EXPECT_THAT(server.results(4),
              ElementsAre("bind $b " + address_of(fds[1]) + ": 0", "close 1024: 0", "close 1025: EBADF"));
}

TEST(adopt, number_of_a_socket_that_has_been_closed_directly_is_free) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  program server({"close-directly 1024", "dup2 0 1024", "close-range 1024 1024", "close 1024", "dup2 0 1024",
                  "close 1024", "fd=socket inet stream", "bind $fd " + where},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("close-directly 1024: 0", "dup2 0 1024: 1024", "close-range 1024 1024: 0",
                                            "close 1024: EBADF", "dup2 0 1024: 1024", "close 1024: 0",
                                            "fd=socket inet stream: 3", "bind $fd " + where + ": EADDRINUSE"));
}

TEST(adopt, other_file_with_the_number_of_a_passed_socket_is_inherited) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "fork", "close-all close_range",
                  "dup2 0 1024", "fork", "exec", "descriptors"},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "descriptors: 1024");
}

TEST(adopt, closed_socket_leaves_epoll_instances) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto bind = "bind $fd " + address_of(fds[0]);
  const auto client = sd::test::connect(address_of(fds[0]));
  const std::string readable = "pending $e: 1 readable, 0 hung up";
  const std::string nothing = "pending $e: 0 readable, 0 hung up";
  program server({"fd=socket inet stream", bind, "e=epoll $fd", "pending $e", "close $fd", "pending $e"}, fds,
                 with_library);
  EXPECT_THAT(server.results(3), ElementsAre(readable, "close $fd: 0", nothing));

  // A child shares the instance.
  program parent({"fd=socket inet stream", bind, "e=epoll $fd", "fork", "close $fd", "pending $e"}, fds, with_library);
  EXPECT_THAT(parent.results(3), ElementsAre("fork: child", "close $fd: 0", readable));

  program reused({"fd=socket inet stream", bind, "dup2 0 $fd", "close $fd"}, fds, with_library);
  EXPECT_THAT(reused.results(2), ElementsAre("dup2 0 $fd: 3", "close $fd: 0"));
}

TEST(adopt, shutdown_does_not_end_the_passed_socket) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "listen $fd", "shutdown $fd", "close $fd"},
                 fds, with_library);
  EXPECT_THAT(server.results(), Contains("shutdown $fd: 0"));
  EXPECT_TRUE(sd::test::accepts_connections(address_of(fds[0])));
}

TEST(adopt, epoll_registration_and_copies_from_before_the_bind) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  program server({"fd=socket inet stream", "copy=dup $fd", "a=epoll $fd", "b=epoll $copy", "bind $fd " + where,
                  "listen $fd", "wait $a", "wait $b", "name $copy", "accept $copy"},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "copy=dup $fd: 4", "a=epoll $fd: 5", "b=epoll $copy: 6",
                          "bind $fd " + where + ": 0", "listen $fd: 0", "wait $a: event", "wait $b: event",
                          "name $copy: inet " + where, "accept $copy: 7 inet 16"));
}

TEST(adopt, sixteen_copies_are_replaced) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  words steps = {"fd=socket inet stream", "e=epoll $fd", "dup2 $fd 0", "add $e 0"};
  for (int number = 20; number <= 34; ++number) {
    steps.push_back("dup2 $fd " + std::to_string(number));
    steps.push_back("add $e " + std::to_string(number));
  }
  for (const auto* const step : {"name 0", "name 33", "name 34", "pending $e", "descriptors"}) steps.emplace_back(step);
  steps.insert(steps.end() - 5, "bind $fd " + where);
  // The 17th is still registered, too. As a socket that is not connected, it has hung up.
  EXPECT_THAT(program(steps, fds, with_library).results(steps.size() - 6),
              ElementsAre("bind $fd " + where + ": 0", "name 0: inet " + where, "name 33: inet " + where,
                          "name 34: inet 0.0.0.0:0", "pending $e: 16 readable, 1 hung up",
                          "descriptors: 3 4 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 1024"));
}

TEST(adopt, epoll_registrations_of_other_files_stay) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  // A socket that is not connected has hung up. The first instance has an entry for a number of another socket by now.
  program server(
      {"a=socket inet stream", "old=epoll $a", "b=dup $a", "other=epoll $b edge", "pending $other", "pending $other",
       "close $a", "fd=socket inet stream", "add $other $fd", "bind $fd " + where, "pending $old", "pending $other"},
      fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("a=socket inet stream: 3", "old=epoll $a: 4", "b=dup $a: 5", "other=epoll $b edge: 6",
                          "pending $other: 0 readable, 1 hung up", "pending $other: 0 readable, 0 hung up",
                          "close $a: 0", "fd=socket inet stream: 3", "add $other $fd: 0", "bind $fd " + where + ": 0",
                          "pending $old: 0 readable, 1 hung up", "pending $other: 1 readable, 0 hung up"));
}

TEST(adopt, bind_is_no_cancellation_point) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  for (const auto& variables : {with_library, verbose}) {
    program server({"fd=socket inet stream", "cancel-bind $fd " + where, "name $fd"}, fds, variables);
    EXPECT_THAT(server.results(),
                ElementsAre("fd=socket inet stream: 3", "cancel-bind $fd " + where + ": 0", "name $fd: inet " + where));
  }
}

TEST(adopt, thread_in_accept_can_be_cancelled) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "cancel-accept $fd"}, fds, with_library);
  EXPECT_EQ(server.results().back(), "cancel-accept $fd: cancelled");
}

TEST(adopt, child_of_vfork_changes_nothing) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"vfork-close 1024", "vfork-dup2 0 1024", "fd=socket inet stream", "bind $fd " + address_of(fds[0]),
                  "vfork-close $fd", "name $fd"},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "name $fd: inet " + address_of(fds[0]));
}

}  // namespace
