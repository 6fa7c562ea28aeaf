// SPDX-License-Identifier: MIT OR Apache-2.0
// Services that are started again without a client, and the limits of that.
#include <sd/socket.hpp>

#include "client.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::count;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::run;
using sd::activate::test::service;
using sd::test::accepts_connections;
using sd::test::ask;
using testing::HasSubstr;
using testing::IsEmpty;

using recovery = sd::activate::test::web;

constexpr int exit_failure = 1;

/// Kills a service without a handler of its own, and returns the pid of the one that follows it.
int kill_and_await_next(activator& program, int pid, int signal) {
  ::kill(pid, signal);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + signal);
  return program.event("started").value("pid", 0);
}

TEST_F(recovery, killed_service_is_started_again_without_a_client) {
  activator program({"-q", "--now", write("Restart=on-failure\nRestartSec=0\n")});
  int pid = program.event("started").value("pid", 0);
  for (int i = 0; i < 3; ++i) {
    const int next = kill_and_await_next(program, pid, SIGKILL);
    EXPECT_NE(next, pid);
    pid = next;
  }
}

TEST_F(recovery, service_that_ends_as_its_policy_excludes_waits_for_a_client) {
  activator program({"-q", write("Restart=on-abort\n")});
  const auto where = program.address();
  const auto first = ask(where, "pid");
  program.event("started");
  EXPECT_EQ(ask(where, "exit 3"), "");
  program.event("exited");
  // The next start is that of this client. Otherwise its pid would be another one.
  const auto second = ask(where, "pid");
  EXPECT_EQ(std::to_string(program.event("started").value("pid", 0)), second);
  EXPECT_NE(second, first);
  EXPECT_NE(kill_and_await_next(program, std::stoi(second), SIGKILL), 0);
}

TEST_F(recovery, exit_statuses_override_the_policy) {
  const auto unit = write("Restart=on-failure\nRestartSec=0\nRestartPreventExitStatus=3\nRestartForceExitStatus=0\n");
  activator program({"-q", unit});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  program.event("started");
  EXPECT_EQ(ask(where, "exit 0"), "");
  program.event("started");
  EXPECT_EQ(ask(where, "exit 3"), "");
  program.event("exited");
  const auto pid = ask(where, "pid");
  EXPECT_EQ(std::to_string(program.event("started").value("pid", 0)), pid);
}

TEST_F(recovery, client_waits_while_restart_sec_runs) {
  activator program({"-v", "--now", write("Restart=always\nRestartSec=1h\n")});
  const auto where = program.address();
  const int first = program.event("started").value("pid", 0);
  EXPECT_EQ(ask(where, "exit 0"), "");
  EXPECT_TRUE(program.reports("the next start follows in 3600 s\n"));
  const auto client = sd::test::connect(where);
  program.send(SIGHUP);  // which ends the pause
  const int second = program.event("started").value("pid", 0);
  EXPECT_NE(second, first);
  EXPECT_EQ(sd::test::converse(client, "pid"), std::to_string(second));
  // Otherwise it would have found a running service.
  EXPECT_EQ(count(program.errors(), ": restarting"), 0U) << program.errors();
}

TEST_F(recovery, stop_does_not_wait_for_restart_sec) {
  activator program({"-v", "--now", write("Restart=always\nRestartSec=infinity\n")});
  EXPECT_EQ(ask(program.address(), "exit 0"), "");
  EXPECT_TRUE(program.reports("the next start follows in "));
  EXPECT_EQ(program.stop(), 0);
}

TEST_F(recovery, restarted_service_that_fails_at_once_is_delayed_and_reported_once) {
  create(there_ / "fail");
  activator program({"-q", "--now", write("Restart=on-failure\nRestartSec=0\n", {"--fail-when", there_ / "fail"})});
  const auto client = sd::test::connect(program.address());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(program.event("exited").value("status", 0), 3);
  std::filesystem::remove(there_ / "fail");
  EXPECT_NE(sd::test::converse(client, "pid"), "");
  EXPECT_EQ(program.errors(),
            "sd-activate: error: web.service: exited with status 3\n"
            "sd-activate: warning: web.service: fails at once; the next starts are delayed\n");
}

TEST_F(recovery, restarted_service_that_ends_at_once_is_delayed_as_well) {
  const auto unit = write("");
  std::ofstream(there_ / "web.service") << "[Service]\nExecStart=/bin/true\nRestart=always\nRestartSec=0\n";
  activator program({"-q", "--now", unit});
  EXPECT_TRUE(program.reports("web.service: ends at once; the next starts are delayed\n"));
  EXPECT_TRUE(accepts_connections(program.address()));
}

TEST_F(recovery, once_ends_with_the_first_run) {
  const auto ended = run({"-q", "--once", "--now", write("Restart=always\n", {"--fail-when", "/"})});
  EXPECT_EQ(ended.status, 3);
}

// --- limits ----------------------------------------------------------------------------------------------------------

TEST_F(recovery, start_limit_of_the_unit_closes_the_sockets) {
  activator program({"-q", "--now",
                     write("Restart=on-failure\nRestartSec=0\n[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1min\n",
                           {"--fail-when", "/"})});
  EXPECT_EQ(program.wait(), exit_failure);
  EXPECT_EQ(program.errors(),
            "sd-activate: error: web.service: exited with status 3\n"
            "sd-activate: error: web.service: exited with status 3\n"
            "sd-activate: error: web.service: exited with status 3\n"
            "sd-activate: error: web.service: was started 3 times in 60 s, which is its start limit; the sockets are "
            "closed\n");
  for (int i = 0; i < 3; ++i) EXPECT_NE(program.event("started").value("pid", 0), 0);
}

TEST_F(recovery, starts_by_clients_count_for_the_start_limit) {
  activator program({"-q", write("[Unit]\nStartLimitBurst=2\n")});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "exit 0"), "");
  EXPECT_EQ(ask(where, "exit 0"), "");
  const auto client = sd::test::connect(where);
  EXPECT_EQ(program.wait(), exit_failure);
  EXPECT_THAT(program.errors(), HasSubstr("was started 2 times in 10 s"));
  EXPECT_FALSE(accepts_connections(where));
}

TEST_F(recovery, start_limit_refuses_a_restart_and_leaves_the_service_running) {
  activator program({"-q", write("[Unit]\nStartLimitBurst=1\n")});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  program.send(SIGHUP);
  EXPECT_TRUE(program.reports("web.service: the restart failed: its start limit is reached; the old process stays\n"));
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(recovery, trigger_limit_of_the_unit_closes_the_sockets) {
  const auto unit = write("");
  std::ofstream(unit, std::ios::app) << "TriggerLimitBurst=2\n";
  activator program({"-q", unit});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "exit 0"), "");
  EXPECT_EQ(ask(where, "exit 0"), "");
  const auto client = sd::test::connect(where);
  EXPECT_EQ(program.wait(), exit_failure);
  EXPECT_EQ(program.errors(),
            "sd-activate: error: web.socket: traffic starts the service more often than TriggerLimitBurst=2 and "
            "TriggerLimitIntervalSec=2 allow; the sockets are closed\n");
}

TEST_F(recovery, trigger_limit_counts_connections) {
  activator program(sd::activate::test::with_service(
      {"-q", "-s", "ListenStream=127.0.0.1:0 Accept=yes TriggerLimitBurst=2 TriggerLimitIntervalSec=1h"}));
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_NE(ask(where, "pid"), "");
  const auto client = sd::test::connect(where);
  EXPECT_EQ(program.wait(), exit_failure);
  EXPECT_THAT(program.errors(), HasSubstr("TriggerLimitBurst=2 and TriggerLimitIntervalSec=3600 allow"));
}

}  // namespace
