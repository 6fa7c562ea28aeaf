// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs without passed sockets, messages, variables, and reports to sd-activate.
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>

#include "directory.hpp"
#include "free_port.hpp"
#include "process.hpp"
#include "program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <map>
#include <optional>
#include <regex>
#include <string>

namespace {

using sd::kind;
using sd::adopt::test::address_of;
using sd::adopt::test::contents_of;
using sd::adopt::test::environment;
using sd::adopt::test::list;
using sd::adopt::test::program;
using sd::adopt::test::reports;
using sd::adopt::test::verbose;
using sd::adopt::test::with_library;
using sd::adopt::test::words;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

// --- system calls ----------------------------------------------------------------------------------------------------

/// Returns the system calls of a program from its first step on, with all addresses in memory replaced. That many
/// sockets, which have no path, are passed to it.
std::string calls_of(const words& steps, const environment& more, int passed = 0) {
  const sd::test::directory directory;
  words command = {STRACE, "-f", "-qq", "-o", directory / "trace", STEPS, "exists /begin"};
  command.insert(command.end(), steps.begin(), steps.end());
  std::map<std::string, std::optional<std::string>> variables(more.begin(), more.end());
  if (passed == 0) variables["LISTEN_FDS"] = variables["LISTEN_PID"] = std::nullopt;
  EXPECT_EQ(sd::test::run({command, passed, {}, variables}).status, 0);
  const auto trace = contents_of(directory / "trace");
  const auto begin = trace.rfind("/begin");
  EXPECT_NE(begin, std::string::npos) << trace;
  auto calls = std::regex_replace(trace.substr(begin), std::regex("0x[0-9a-f]+"), "ADDRESS");
  return std::regex_replace(calls, std::regex("(^|\n)[0-9]+ +"), "$1");
}

TEST(adopt, program_without_passed_sockets_makes_the_same_system_calls) {
  if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: a sanitizer makes its own system calls";
  const sd::test::directory directory;
  const auto port = sd::test::free_port(kind::datagram, "[::]");
  const words steps = {"fd=socket inet stream",
                       "set $fd SO_REUSEADDR 1",
                       "bind $fd 127.0.0.1:0",
                       "listen $fd",
                       "flags $fd",
                       "u=socket unix stream",
                       "bind $u " + (directory / "socket"),
                       "chmod " + (directory / "socket"),
                       "rename " + (directory / "socket") + ' ' + (directory / "other"),
                       "unlink " + (directory / "other"),
                       "shutdown $u",
                       "dup2 $u 20",
                       "close 20",
                       "epoll $fd",
                       "six=socket inet6 datagram",
                       "bind $six [::]:" + port,
                       "name $six",
                       "send $six [::ffff:127.0.0.1]:" + port,
                       "receive-message $six",
                       "close-all close_range"};
  const auto plain = calls_of(steps, {});
  EXPECT_THAT(plain, HasSubstr("bind("));
  const auto normalized = [](const std::string& calls) {
    return std::regex_replace(calls, std::regex("sin_port=htons\\([0-9]+\\)"), "PORT");
  };
  EXPECT_EQ(normalized(calls_of(steps, with_library)), normalized(plain));
}

TEST(adopt, sockets_without_a_path_cost_no_system_calls_for_files) {
  if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: a sanitizer makes its own system calls";
  const words steps = {"chmod /missing", "rename /missing /other", "unlink /missing"};
  EXPECT_EQ(calls_of(steps, with_library, 1), calls_of(steps, {}));
}

// --- messages and variables ------------------------------------------------------------------------------------------

TEST(adopt, program_does_not_find_the_variables_of_the_protocol) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"variable LISTEN_FDS", "variable LISTEN_PID", "variable LISTEN_FDNAMES", "variable LISTEN_PIDFDID"},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("variable LISTEN_FDS: (unset)", "variable LISTEN_PID: (unset)",
                                            "variable LISTEN_FDNAMES: (unset)", "variable LISTEN_PIDFDID: (unset)"));
}

TEST(adopt, prints_nothing_by_default) {
  const sd::test::directory directory;
  const auto fds =
      list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, directory / "socket"));
  const auto where = address_of(fds[0]);
  for (const environment& variables : {with_library, {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_VERBOSE", ""}}}) {
    program server(
        {"fd=socket inet stream", "bind $fd " + where, "bind $fd " + where, "unlink " + (directory / "socket")}, fds,
        variables);
    EXPECT_EQ(server.results().size(), 4U);
    EXPECT_EQ(server.errors(), "");
  }
}

TEST(adopt, file_opened_as_descriptor_2_receives_no_messages) {
  const sd::test::directory directory;
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"close 2", "open " + (directory / "database"), "fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds,
      verbose);
  EXPECT_EQ(server.results()[1], "open " + (directory / "database") + ": 2");
  EXPECT_EQ(contents_of(directory / "database"), "");
}

TEST(adopt, malformed_variables_are_reported) {
  const auto result = sd::test::run({{STEPS, "descriptors"}, 0, {}, {{"LD_PRELOAD", LIBRARY}, {"LISTEN_PID", "1x"}}});
  EXPECT_EQ(result.output, "descriptors: \n");
  EXPECT_EQ(result.errors, "libsd-adopt: LISTEN_PID=\"1x\": not valid; the program gets no passed socket\n");
  EXPECT_EQ(sd::test::run({{STEPS, "descriptors"}, 2, {4}, {{"LD_PRELOAD", LIBRARY}}}).errors,
            "libsd-adopt: LISTEN_FDS=\"2\": descriptor 4: Bad file descriptor; the program gets no passed socket\n");
}

TEST(adopt, variables_for_another_process_stay) {
  const auto result = sd::test::run({{STEPS, "variable LISTEN_FDS", "variable LISTEN_PID", "variable SD_ADOPT_FDS"},
                                     1,
                                     {},
                                     {{"LD_PRELOAD", LIBRARY}, {"LISTEN_PID", "1"}}});
  EXPECT_EQ(result.output, "variable LISTEN_FDS: 1\nvariable LISTEN_PID: 1\nvariable SD_ADOPT_FDS: (unset)\n");
}

// --- reports to sd-activate ------------------------------------------------------------------------------------------

TEST(adopt, adoptions_are_reported_once) {
  const sd::test::directory directory;
  auto longest = "@sd-adopt-" + std::to_string(::getpid()) + '-';
  longest.resize(108, 'x');
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  for (const auto& where : {directory / "socket", longest}) {
    const reports received(where);
    program server(
        {"exec", "a=socket inet stream", "bind $a " + address_of(fds[1]), "b=socket inet stream",
         "bind $b " + address_of(fds[1]), "c=socket inet stream", "bind $c " + address_of(fds[0]), "descriptors"},
        fds, received.enabled());
    EXPECT_EQ(server.results().back(), "descriptors: 3 4 5 1024 1025");
    EXPECT_THAT(received.all(), ElementsAre("SD_ADOPTED=1", "SD_ADOPTED=0")) << where;
  }
}

TEST(adopt, program_does_not_wait_forever_for_reports) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const words steps = {"fd=socket inet stream", "bind $fd " + address_of(fds[0])};
  const reports not_received;
  not_received.fill();
  EXPECT_THAT(program(steps, fds, not_received.enabled()).results().back(), EndsWith(": 0"));
  const environment too_long = {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_NOTIFY", std::string(120'000, '/')}};
  EXPECT_THAT(program(steps, fds, too_long).results().back(), EndsWith(": 0"));
}

}  // namespace
