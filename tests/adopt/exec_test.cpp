// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that execute others, and daemons.
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "process.hpp"
#include "program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::kind;
using sd::listen_fd;
using sd::adopt::test::address_of;
using sd::adopt::test::environment;
using sd::adopt::test::list;
using sd::adopt::test::program;
using sd::adopt::test::verbose;
using sd::adopt::test::with_library;
using sd::adopt::test::words;
using sd::test::check;
using testing::_;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

TEST(adopt, server_executed_by_a_wrapper_adopts) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"descriptors", "exec", "dup2 0 1024", "exec", "fd=socket inet stream", "bind $fd " + address_of(fds[0]), "exec",
       "again=socket inet stream", "bind $again " + address_of(fds[0])},
      fds, verbose);
  EXPECT_EQ(server.results().size(), 6U);
  const auto adopted = ": adopted the passed socket at " + address_of(fds[0]) + '\n';
  EXPECT_EQ(server.errors(), "libsd-adopt: bind 3 to " + address_of(fds[0]) + adopted + "libsd-adopt: bind 4 to " +
                                 address_of(fds[0]) + adopted);
}

TEST(adopt, server_with_a_copy_of_its_environment_executes_itself) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  program server(
      {"copy-environment", "fd=socket inet stream cloexec", "bind $fd " + where, "exec", "copy-environment",
       "fd=socket inet stream cloexec", "bind $fd " + where, "exec", "fd=socket inet stream", "bind $fd " + where},
      fds, with_library);
  EXPECT_EQ(server.results().back(), "bind $fd " + where + ": 0");
}

TEST(adopt, program_that_the_server_executes_gets_nothing) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  for (const words& steps : {words{"fork", "exec"}, {"spawn"}, {"fork", "clear-environment", "exec"}}) {
    words all = {"copy-environment", "fd=socket inet stream cloexec", "bind $fd " + address_of(fds[0])};
    all.insert(all.end(), steps.begin(), steps.end());
    all.emplace_back("descriptors");
    program server(all, fds, with_library);
    EXPECT_EQ(server.results().back(), "descriptors: ") << steps.back();
  }
}

TEST(adopt, program_executed_without_the_environment_gets_nothing) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"clear-environment", "fd=socket inet stream cloexec", "bind $fd " + address_of(fds[0]), "dup2 0 1024",
                  "exec", "descriptors"},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "descriptors: 1024");
}

TEST(adopt, server_executed_by_a_child_adopts) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fork", "exec", "fork", "dup2 0 1024", "exec", "fd=socket inet stream",
                  "bind $fd " + address_of(fds[0]), "listen $fd"},
                 fds, verbose);
  EXPECT_EQ(server.results().back(), "listen $fd: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST(adopt, several_sockets_survive_exec) {
  std::vector<listen_fd> fds(6);
  for (auto& each : fds) each = sd::testing::open(kind::stream, "127.0.0.1:0");
  words steps = {"variable SD_ADOPT_FDS",         "exec", "variable SD_ADOPT_FDS", "a=socket inet stream cloexec",
                 "bind $a " + address_of(fds[1]), "exec"};
  for (const auto& each : fds) {
    steps.emplace_back("fd=socket inet stream");
    steps.push_back("bind $fd " + address_of(each));
  }
  const auto results = program(steps, fds, with_library).results();
  ASSERT_EQ(results.size(), 4 + 2 * fds.size());
  EXPECT_EQ(results[0], results[1]);
  for (std::size_t i = 0; i < fds.size(); ++i) EXPECT_THAT(results[5 + 2 * i], EndsWith(": 0"));
}

TEST(adopt, more_than_253_descriptors) {
  const auto result =
      sd::test::run({{STEPS, "descriptors", "exec", "descriptors"}, 254, {}, {{"LD_PRELOAD", LIBRARY}}});
  std::string expected = "descriptors: 256";
  for (int fd = 1024; fd < 1024 + 253; ++fd) expected += ' ' + std::to_string(fd);
  expected += '\n';
  EXPECT_EQ(result.output, expected + expected);
}

TEST(adopt, descriptor_that_is_no_socket_is_kept) {
  listen_fd file{std::nullopt, sd::unique_fd(check(::open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null"))};
  const auto fds = list(std::move(file), sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"exec", "descriptors", "fd=socket inet stream", "bind $fd " + address_of(fds[1])}, fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("descriptors: 1024 1025", "fd=socket inet stream: 3",
                                            "bind $fd " + address_of(fds[1]) + ": 0"));
}

TEST(adopt, numbers_that_have_another_meaning_by_now_are_not_kept) {
  const std::string other = "0000000000:00000000000000000001:0000000000 ";
  const std::string closed = "0000000050:00000000000000000000:0000000000 ";
  std::string value = closed;
  for (int i = 1; i < 300; ++i) value += other;
  program server({"variable SD_ADOPT_FDS", "shutdown 99", "close 0", "open /dev/null", "dup2 0 50", "close 50"}, {},
                 {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_FDS", value}});
  const auto results = server.results();
  EXPECT_EQ(results[0].size(), std::string("variable SD_ADOPT_FDS: ").size() + 253 * other.size());
  EXPECT_THAT(results,
              ElementsAre(_, "shutdown 99: EBADF", "close 0: 0", "open /dev/null: 0", "dup2 0 50: 50", "close 50: 0"));
}

TEST(adopt, child_of_the_server_can_close_all_descriptors) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "fork", "close-all close_range", "descriptors"}, fds,
      with_library);
  EXPECT_EQ(server.results().back(), "descriptors: ");
}

TEST(adopt, child_of_the_server_can_close_sockets_that_nobody_has_adopted) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  for (const words& executed : {words{}, {"exec"}}) {
    words steps = {"descriptors", "fd=socket inet stream cloexec", "bind $fd " + where, "descriptors", "fork"};
    steps.insert(steps.end(), executed.begin(), executed.end());
    steps.insert(steps.end(), {"close-all close_range", "descriptors"});
    const auto results = program(steps, fds, with_library).results();
    EXPECT_EQ(results[0], "descriptors: 1024 1025");
    EXPECT_EQ(results[3], "descriptors: 3 1024 1025");
    EXPECT_EQ(results.back(), "descriptors: ");
  }
}

TEST(adopt, child_that_the_server_executes_adopts_another_socket) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto other = "bind $fd " + address_of(fds[1]);
  program server(
      {"fd=socket inet stream cloexec", "bind $fd " + address_of(fds[0]), "fork", "exec", "fd=socket inet stream",
       other, "close-all close_range", "again=socket inet stream", "bind $again " + address_of(fds[1])},
      fds, with_library);
  const auto results = server.results();
  EXPECT_THAT(results, testing::Contains(other + ": 0"));
  EXPECT_EQ(results.back(), "bind $again " + address_of(fds[1]) + ": 0");
}

TEST(adopt, new_sockets_precede_those_of_an_ancestor) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[1]), "name $fd"}, fds,
                 {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_FDS", "0000000000:00000000000000000001:0000000001 "}});
  EXPECT_EQ(server.results().back(), "name $fd: inet " + address_of(fds[1]));
}

TEST(adopt, daemon_without_environment_and_privileges_adopts) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  words steps = {"clear-environment", "fork", "fork", "fd=socket inet stream", "bind $fd " + address_of(fds[0]),
                 "listen $fd"};
  if (::geteuid() == 0) steps.insert(steps.begin() + 3, "user");
  program server(steps, fds, verbose);
  EXPECT_EQ(server.results().back(), "listen $fd: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

}  // namespace
