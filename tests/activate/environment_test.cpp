// SPDX-License-Identifier: MIT OR Apache-2.0
// The environment, the standard streams and the arguments of a service.
#include "client.hpp"
#include "running.hpp"
#include "units.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::eventually;
using sd::activate::test::exec_start;
using sd::activate::test::run;
using sd::activate::test::service;
using sd::activate::test::units;
using sd::activate::test::with_service;
using sd::activate::test::words;
using sd::test::ask;
using testing::Not;

words lines_of(const std::string& text) {
  words all;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    all.push_back(text.substr(begin, end - begin));
  }
  return all;
}

const circumstances with_variables = {{{"SD_TEST_A", "1"},
                                       {"LANG", "C.UTF-8"},
                                       {"LC_TIME", "C"},
                                       {"NOTIFY_SOCKET", "@nobody-listens"},
                                       {"WATCHDOG_USEC", "1"},
                                       {"REMOTE_ADDR", "1.2.3.4"}},
                                      {},
                                      false,
                                      true};

TEST_F(units, service_has_a_clean_environment) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\nFileDescriptorName=web\n");
  EXPECT_THAT(write("web.service", "[Service]\nEnvironment=B=2\n" + exec_start()), Not(""));
  activator program({unit}, with_variables);
  auto variables = lines_of(ask(program.address(), "variables"));
  std::erase(variables, "LISTEN_PIDFDID");
  std::erase_if(variables, [](const auto& each) { return each.starts_with("LC_") && each != "LC_TIME"; });
  EXPECT_THAT(variables, testing::UnorderedElementsAre("B", "LANG", "LC_TIME", "PATH", "INVOCATION_ID", "LISTEN_PID",
                                                       "LISTEN_FDS", "LISTEN_FDNAMES"));
}

TEST_F(units, variables_can_be_passed_on_to_a_service) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nPassEnvironment=SD_TEST_A SD_TEST_UNSET\n" + exec_start()), Not(""));
  activator program({unit}, with_variables);
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable SD_TEST_A"), "1");
  EXPECT_EQ(ask(where, "variable SD_TEST_UNSET"), "(unset)");
}

TEST_F(units, environment_can_be_kept) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({"--keep-environment", unit}, with_variables);
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable SD_TEST_A"), "1");
  EXPECT_EQ(ask(where, "variable NOTIFY_SOCKET"), "(unset)");
}

TEST_F(units, environment_of_the_unit_is_that_of_systemd) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  const auto file = write("variables", "# comment\nFROM_FILE=\"a b\"\nB=file\n; C=no\n");
  EXPECT_THAT(
      write("web.service", "[Service]\nEnvironment=B=unit C=gone \"D=x y\" E=e\nEnvironmentFile=" + file +
                               "\nEnvironmentFile=-/no/such/file\nUnsetEnvironment=NONE C D=z E=e\n" + exec_start()),
      Not(""));
  activator program({unit});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable FROM_FILE"), "a b");
  EXPECT_EQ(ask(where, "variable B"), "file");
  EXPECT_EQ(ask(where, "variable C"), "(unset)");
  EXPECT_EQ(ask(where, "variable D"), "x y");
  EXPECT_EQ(ask(where, "variable E"), "(unset)");
}

TEST(start, command_inherits_the_environment) {
  activator program(with_service({"-l", "127.0.0.1:0"}), with_variables);
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable SD_TEST_A"), "1");
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC"}) {
    EXPECT_EQ(ask(where, std::string("variable ") + name), "(unset)") << name;
  }
}

TEST_F(units, variables_of_the_command_line_are_set) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({"-E", "SD_TEST_A", "-E", "X=y=z", "-E", "EMPTY=", "--setenv", "SD_TEST_UNSET", unit},
                    with_variables);
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable SD_TEST_A"), "1");
  EXPECT_EQ(ask(where, "variable X"), "y=z");
  EXPECT_EQ(ask(where, "variable EMPTY"), "");
  EXPECT_EQ(ask(where, "variable SD_TEST_UNSET"), "(unset)");
}

TEST(start, pid_is_that_of_the_service) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable LISTEN_PID"), ask(where, "pid"));
  EXPECT_EQ(ask(where, "variable LISTEN_FDS"), "1");
}

TEST(start, pid_is_left_out_for_wrappers) {
  words options = {"--no-pid", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "\"$0\" \"$@\"; exit $?"};
  for (const auto& each : service({"--any-pid"})) options.push_back(each);
  activator program(options);
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable LISTEN_PID"), "(unset)");
  EXPECT_EQ(ask(where, "variable LISTEN_PIDFDID"), "(unset)");
  EXPECT_EQ(ask(where, "variable LISTEN_FDS"), "1");
  EXPECT_NE(ask(where, "pid"), std::to_string(program.event("started").value("pid", 0)));
  EXPECT_EQ(program.stop(), 0);
}

TEST(start, ignored_sigchld_does_not_hide_the_end_of_the_service) {
  circumstances how;
  how.ignores_sigchld = true;
  EXPECT_EQ(run({"-q", "--once", "--now", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "exit 7"}, how).status, 7);
}

TEST(start, options_of_the_command_need_no_separator) {
  activator program({"-l", "127.0.0.1:0", "--now", "/bin/sh", "-c", "echo \"-$0- -$1-\"", "-v", "--once"});
  EXPECT_TRUE(eventually([&] { return program.output() == "--v- ---once-\n"; })) << program.errors();
}

TEST(start, standard_streams_of_a_command_are_those_of_sd_activate) {
  activator program({"--now", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "echo out; echo err >&2; sleep 100"});
  EXPECT_TRUE(program.reports("err\n"));
  EXPECT_EQ(program.output(), "out\n");
  EXPECT_EQ(program.stop(), 0);
}

}  // namespace
