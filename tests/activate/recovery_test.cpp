// SPDX-License-Identifier: MIT OR Apache-2.0
// Services that are started again without a client, and the limits of that.
#include "client.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace {

using sd::activate::test::activator;
using sd::activate::test::count;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::exit_failure;
using sd::activate::test::pid_in;
using sd::activate::test::run;
using sd::activate::test::words;
using sd::test::accepts_connections;
using sd::test::ask;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

using recovery = sd::activate::test::web;

constexpr const char* follows = "the next start follows in ";  // without a client

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
  activator program({"-v", write("Restart=on-abort\n")});
  const auto where = program.address();
  const auto first = ask(where, "pid");
  program.event("started");
  EXPECT_EQ(ask(where, "exit 3"), "");
  program.event("exited");
  const auto second = ask(where, "pid");
  EXPECT_NE(second, first);
  EXPECT_EQ(count(program.errors(), follows), 0U) << program.errors();
  EXPECT_EQ(std::to_string(program.event("started").value("pid", 0)), second);
  EXPECT_NE(kill_and_await_next(program, std::stoi(second), SIGKILL), 0);
  EXPECT_EQ(count(program.errors(), follows), 1U) << program.errors();
}

TEST_F(recovery, exit_statuses_override_the_policy) {
  const auto unit = write("Restart=on-failure\nRestartSec=0\nRestartPreventExitStatus=3\nRestartForceExitStatus=0\n");
  activator program({"-v", unit});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  program.event("started");
  EXPECT_EQ(ask(where, "exit 0"), "");
  program.event("started");
  EXPECT_EQ(count(program.errors(), follows), 1U) << program.errors();
  EXPECT_EQ(ask(where, "exit 3"), "");
  program.event("exited");
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_EQ(count(program.errors(), follows), 1U) << program.errors();
}

TEST_F(recovery, client_waits_while_restart_sec_runs) {
  const auto unit = write("Restart=always\nRestartSec=1h\n");
  std::ofstream(unit, std::ios::app) << "ListenStream=127.0.0.1:0\n";
  activator program({"-v", unit});
  const auto where = program.addresses(2);
  EXPECT_EQ(ask(where[0], "exit 0"), "");
  const int first = program.event("started").value("pid", 0);
  EXPECT_TRUE(program.reports("the next start follows in 3600 s\n"));
  const auto client = sd::test::connect(where[1]);
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

TEST_F(recovery, restart_by_a_signal_ends_restart_sec) {
  activator program({"-v", "--now", write("Restart=always\nRestartSec=1h\n")});
  const auto where = program.address();
  ::kill(std::stoi(ask(where, "pid")), SIGKILL);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGKILL);
  EXPECT_TRUE(program.reports("the next start follows in"));
  program.send(SIGHUP);
  const auto pid = program.event("started").value("pid", 0);
  EXPECT_EQ(ask(where, "pid"), std::to_string(pid));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.remaining_events(), Not(Contains("started")));
}

TEST_F(recovery, restarted_service_that_fails_at_once_is_delayed_and_reported_once) {
  create(there_ / "fail");
  activator program({"-q", "--now", write_failing(there_ / "fail", "Restart=on-failure\nRestartSec=0\n")});
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

TEST_F(recovery, restart_by_a_signal_ends_the_pauses_of_a_crash_loop) {
  create(there_ / "fail");
  activator program({"-v", "--now", write_failing(there_ / "fail", "Restart=on-failure\nRestartSec=0\n")});
  std::size_t pauses = 0;
  EXPECT_TRUE(eventually([&] {
    const auto errors = program.errors();
    if (count(errors, follows) > std::exchange(pauses, count(errors, follows))) program.send(SIGHUP);
    return count(errors, "the next start follows in 0.02 s\n") > 1;
  })) << program.errors();
}

TEST_F(recovery, start_limit_of_the_unit_replaces_the_pauses) {
  activator program({"-v", write("Restart=always\nRestartSec=0\n[Unit]\nStartLimitBurst=100\n")});
  EXPECT_EQ(ask(program.address(), "exit 3"), "");
  EXPECT_TRUE(program.reports("the next start follows in 0 s\n"));
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
            "sd-activate: error: web.socket: traffic starts the service more often than 2 times in 2 s, which "
            "TriggerLimitBurst= and TriggerLimitIntervalSec= allow; the sockets are closed\n");
}

TEST_F(recovery, trigger_limit_counts_connections) {
  activator program(sd::activate::test::with_service(
      {"-q", "-s", "ListenStream=127.0.0.1:0 Accept=yes TriggerLimitBurst=2 TriggerLimitIntervalSec=1h"}));
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_NE(ask(where, "pid"), "");
  const auto client = sd::test::connect(where);
  EXPECT_EQ(program.wait(), exit_failure);
  EXPECT_THAT(program.errors(), HasSubstr("more often than 2 times in 3600 s, which TriggerLimitBurst= "));
}

// --- the watchdog ----------------------------------------------------------------------------------------------------

TEST_F(recovery, service_is_told_the_period_of_its_watchdog) {
  activator program({"-q", write("WatchdogSec=1h\n")});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable WATCHDOG_USEC"), "3600000000");
  EXPECT_EQ(ask(where, "variable WATCHDOG_PID"), ask(where, "pid"));
  EXPECT_NE(ask(where, "variable NOTIFY_SOCKET"), "(unset)");
}

TEST_F(recovery, pid_is_left_out_for_wrappers_of_a_service_with_a_watchdog) {
  activator program({"-q", "--no-pid", write("WatchdogSec=1h\n", {"--any-pid"})});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable WATCHDOG_USEC"), "3600000000");
  EXPECT_EQ(ask(where, "variable WATCHDOG_PID"), "(unset)");
}

TEST_F(recovery, watchdog_that_is_not_fed_ends_the_service) {
  const auto result = there_ / "result";
  activator program({"-q", "--now",
                     write("WatchdogSec=100ms\nRestart=on-watchdog\nRestartSec=0\nExecStopPost=/bin/sh -c 'echo "
                           "$SERVICE_RESULT >" +
                           result + "'\n")});
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGABRT);
  EXPECT_NE(program.event("started").value("pid", 0), 0);
  std::string text;
  std::ifstream(result) >> text;
  EXPECT_EQ(text, "watchdog");
  EXPECT_THAT(program.errors(), HasSubstr("error: web.service: did not feed its watchdog in time\n"));
}

TEST_F(recovery, watchdog_begins_when_the_service_is_ready) {
  activator program({"-q", "--now", write("Type=notify\nWatchdogSec=1ms\n", {"--ready-when", there_ / "ready"})});
  const auto where = program.address();
  ask(where, "send WATCHDOG=1");
  EXPECT_NE(ask(where, "pid"), "");
  create(there_ / "ready");
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGABRT);
}

TEST_F(recovery, service_that_feeds_its_watchdog_before_it_is_ready_has_time_to_start) {
  using namespace std::chrono_literals;
  activator program({"-q", "--now", write("Type=notify\nWatchdogSec=200ms\n", {"--ready-when", there_ / "ready"})});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  EXPECT_EQ(ask(where, "send WATCHDOG=1"), "done");
  std::this_thread::sleep_for(400ms);
  create(there_ / "ready");
  EXPECT_EQ(std::to_string(program.event("ready").value("pid", 0)), pid);
}

TEST_F(recovery, service_stops_its_watchdog) {
  using namespace std::chrono_literals;
  activator program({"-q", write("WatchdogSec=500ms\n")});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  EXPECT_EQ(ask(where, "send WATCHDOG_USEC=0"), "done");
  std::this_thread::sleep_for(700ms);
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(recovery, watchdog_that_is_fed_leaves_the_service_alone) {
  using namespace std::chrono_literals;
  activator program({"-q", write("WatchdogSec=2s\n")});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  const auto end = std::chrono::steady_clock::now() + 3s;
  while (std::chrono::steady_clock::now() < end) {
    EXPECT_EQ(ask(where, "notify WATCHDOG=1"), "done");
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(recovery, other_messages_do_not_feed_the_watchdog) {
  activator program({"-q", write("WatchdogSec=200ms\n")});
  const auto where = program.address();
  EXPECT_TRUE(eventually([&] {
    try {
      ask(where, "notify WATCHDOG=0");
    } catch (const std::system_error&) {  // the service has been killed
    }
    return program.errors().find("did not feed its watchdog in time") != std::string::npos;
  }));
}

TEST_F(recovery, service_changes_the_period_of_its_watchdog) {
  activator program({"-q", write("WatchdogSec=1h\n")});
  ask(program.address(), "notify WATCHDOG_USEC=1000");
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGABRT);
}

TEST_F(recovery, watchdog_decides_the_exit_status) {
  activator program({"-q", "--once", write("WatchdogSec=1h\n")});
  ask(program.address(), "notify WATCHDOG=trigger");
  EXPECT_EQ(program.wait(), 128 + SIGABRT);
}

TEST_F(recovery, service_triggers_its_watchdog) {
  activator program({"-q", write("WatchdogSec=1h\nWatchdogSignal=SIGUSR2\n")});
  ask(program.address(), "notify WATCHDOG=trigger");
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGUSR2);
  EXPECT_TRUE(program.reports("error: web.service: asked to be ended as by its watchdog\n"));
}

TEST_F(recovery, service_that_ignores_the_signal_of_its_watchdog_is_killed) {
  activator program({"-q", "--now",
                     write("Type=notify\nWatchdogSec=100ms\nTimeoutAbortSec=100ms\nTimeoutStopSec=1h\n",
                           {"--ignore", std::to_string(SIGABRT), "--ready"})});
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGKILL);
}

// --- timeouts --------------------------------------------------------------------------------------------------------

TEST_F(recovery, unit_chooses_how_a_service_that_does_not_start_in_time_is_ended) {
  const struct {
    const char* mode;
    int signal;
  } rows[] = {{"terminate", SIGTERM}, {"abort", SIGABRT}, {"kill", SIGKILL}};
  for (const auto& [mode, signal] : rows) {
    activator program(
        {"-q", "--now",
         write(std::string("Type=notify\nTimeoutStartSec=100ms\nTimeoutStartFailureMode=") + mode + '\n')});
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + signal) << mode;
    EXPECT_TRUE(program.reports("error: web.service: did not start in time\n")) << mode;
  }
}

TEST_F(recovery, command_that_does_not_end_in_time_ends_the_start) {
  for (const std::string mode : {"terminate", "abort", "kill"}) {
    activator program({"-q", "--now",
                       write("ExecStartPre=/bin/sleep 1000\nTimeoutStartSec=100ms\n"
                             "TimeoutStartFailureMode=" +
                             mode + '\n')});
    EXPECT_TRUE(program.reports("error: web.service: did not start in time\n")) << mode << program.errors();
    EXPECT_FALSE(program.has_ended()) << mode;
  }
}

TEST_F(recovery, commands_after_the_start_are_part_of_it) {
  const struct {
    const char* settings;
    const char* reason;
  } rows[] = {{"ExecStartPost=/bin/false\n", "/bin/false exited with status 1"},
              {"ExecStartPost=/bin/sleep 1000\nTimeoutStartSec=100ms\n", "did not start in time"}};
  for (const auto& [settings, reason] : rows) {
    activator program({"-q", "--now", write(settings)});
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM) << settings;
    EXPECT_TRUE(program.reports("error: web.service: " + std::string(reason) + '\n')) << program.errors();
  }
  activator program({"-q", "--now", write("ExecStartPost=-/bin/false\nExecStartPost=/bin/true\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
}

TEST_F(recovery, service_extends_its_timeout_by_any_time) {
  const struct {
    const char* timeout;
    const char* extension;
  } rows[] = {{"20s", "9223372036854775807"}, {"infinity", "1"}};
  for (const auto& [timeout, extension] : rows) {
    const auto ready = there_ / extension;
    activator program(
        {"-q", "--now", write(std::string("Type=notify\nTimeoutStartSec=") + timeout + '\n', {"--ready-when", ready})});
    const auto where = program.address();
    const auto pid = ask(where, "pid");
    ask(where, std::string("notify EXTEND_TIMEOUT_USEC=") + extension);
    create(ready);
    EXPECT_EQ(std::to_string(program.event("ready").value("pid", 0)), pid) << timeout;
  }
}

TEST_F(recovery, service_that_extends_its_timeout_may_start_later) {
  using namespace std::chrono_literals;
  const auto begin = std::chrono::steady_clock::now();
  activator program({"-q", "--now", write("Type=notify\nTimeoutStartSec=500ms\n")});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  EXPECT_EQ(ask(where, "send EXTEND_TIMEOUT_USEC=3600000000"), "done");
  std::this_thread::sleep_until(begin + 700ms);
  EXPECT_EQ(ask(where, "ready"), "done");
  EXPECT_EQ(ask(where, "pid"), pid);  // not of a service that this client has started
  EXPECT_EQ(std::to_string(program.event("ready").value("pid", 0)), pid);
}

TEST_F(recovery, service_that_is_ready_has_no_timeout_to_extend) {
  activator program({"-q", "--now", write("WatchdogSec=1h\nTimeoutStartSec=1ms\n")});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "send EXTEND_TIMEOUT_USEC=50000"), "done");
  EXPECT_EQ(ask(where, "notify WATCHDOG_USEC=100000"), "done");
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGABRT);
  EXPECT_EQ(program.errors().find("did not start in time"), std::string::npos);
}

TEST_F(recovery, unit_chooses_how_a_service_that_does_not_stop_in_time_is_ended) {
  const struct {
    const char* settings;
    int signal;
  } rows[] = {{"TimeoutStopFailureMode=abort\n", SIGABRT},
              {"TimeoutStopFailureMode=kill\n", SIGKILL},
              {"KillMode=process\n", SIGKILL},
              {"FinalKillSignal=SIGUSR2\n", SIGUSR2}};
  for (const auto& [settings, signal] : rows) {
    activator program({"-q", write(std::string("TimeoutStopSec=100ms\n") + settings, {"--ignore", "15"})});
    EXPECT_NE(ask(program.address(), "pid"), "");
    EXPECT_EQ(program.stop(), 0);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + signal) << settings;
  }
}

TEST_F(recovery, idle_service_that_is_killed_has_failed) {
  const auto result = there_ / "result";
  activator program({"-q", "--once", "--stop-idle", "200ms",
                     write("TimeoutStopSec=100ms\nExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT >" + result + "'\n",
                           {"--ignore", "15"})});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.wait(), 128 + SIGKILL);
  EXPECT_EQ(sd::activate::test::text_of(result), "timeout\n");
}

TEST_F(recovery, unit_chooses_the_signal_of_a_restart) {
  for (const std::string settings : {"", "FileDescriptorStoreMax=1\n"}) {
    activator program({"-q", write("RestartKillSignal=SIGUSR2\n" + settings)});
    EXPECT_NE(ask(program.address(), "pid"), "");
    program.send(SIGHUP);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGUSR2) << settings;
    if (!settings.empty()) program.event("restarted");
    EXPECT_EQ(program.stop(), 0);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM) << settings;
    EXPECT_EQ(program.errors(), "");
  }
}

// --- reloads ---------------------------------------------------------------------------------------------------------

TEST_F(recovery, commands_of_the_unit_reload_the_service) {
  activator program({write("ExecReload=/bin/sh -c 'echo $MAINPID >" + (there_ / "first") +
                               "'\nExecReload=-/no/such/program\nExecReload=/bin/touch " + (there_ / "second") + '\n',
                           {"--handle", std::to_string(SIGUSR2), there_ / "handled"})});
  const auto pid = ask(program.address(), "pid");
  program.send(SIGUSR1);
  EXPECT_EQ(std::to_string(program.event("reloaded").value("pid", 0)), pid);
  EXPECT_EQ(std::to_string(pid_in(there_ / "first")), pid);
  EXPECT_TRUE(std::filesystem::exists(there_ / "second"));
  EXPECT_THAT(program.errors(),
              testing::EndsWith("sd-activate: web.service: reloading\n"
                                "sd-activate: warning: web.service: start /no/such/program: No such file or directory\n"
                                "sd-activate: web.service: reloaded\n"));
  program.send(SIGUSR2);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "handled"); }));
}

TEST_F(recovery, service_that_is_not_ready_is_not_reloaded) {
  activator program({"--now", write("Type=notify\nExecReload=/bin/touch " + (there_ / "reloaded") + '\n')});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  program.send(SIGUSR1);
  EXPECT_EQ(ask(where, "ready"), "done");
  EXPECT_NE(program.event("ready").value("pid", 0), 0);
  EXPECT_FALSE(std::filesystem::exists(there_ / "reloaded"));
  EXPECT_THAT(program.errors(), Not(HasSubstr("reloading")));
}

TEST_F(recovery, reload_in_time_ends_its_timeout) {
  activator program({"-q", write("WatchdogSec=1h\nTimeoutStartSec=400ms\nExecReload=/bin/true\n")});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  program.send(SIGUSR1);
  program.event("reloaded");
  EXPECT_EQ(ask(where, "notify WATCHDOG_USEC=500000"), "done");
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGABRT);
  EXPECT_EQ(program.errors().find("the reload failed"), std::string::npos);
}

TEST_F(recovery, service_stays_if_its_reload_fails) {
  const struct {
    const char* settings;
    const char* reason;
  } rows[] = {{"ExecReload=/bin/false\n", "/bin/false exited with status 1"},
              {"ExecReload=/nonexistent\n", "start /nonexistent: No such file or directory"},
              {"ExecReload=/bin/sleep 1000\nTimeoutStartSec=100ms\n", "it did not finish in time"}};
  for (const auto& [settings, reason] : rows) {
    activator program({"-q", write(settings)});
    const auto where = program.address();
    const auto pid = ask(where, "pid");
    program.send(SIGUSR1);
    const auto message = "error: web.service: the reload failed: " + std::string(reason) + '\n';
    EXPECT_TRUE(program.reports(message));
    program.send(SIGUSR1);
    EXPECT_TRUE(eventually([&] { return count(program.errors(), message) == 2; })) << program.errors();
    EXPECT_EQ(ask(where, "pid"), pid);
  }
}

TEST_F(recovery, reload_during_another_one_or_a_command_is_refused) {
  const struct {
    const char* settings;
    words options;
    unsigned reloads;
  } rows[] = {{"ExecReload=/bin/sleep 1000\n", {}, 1},
              {"ExecReload=/bin/true\nExecStartPost=/bin/sleep 1000\n", {}, 0},
              {"Type=notify-reload\n", {"--handle", std::to_string(SIGHUP), there_ / "handled", "--ready"}, 1}};
  for (const auto& [settings, options, reloads] : rows) {
    activator program({"--now", write(settings, options)});
    program.event("ready");
    EXPECT_TRUE(eventually([&] {
      program.send(SIGUSR1);
      return count(program.errors(), "cannot be reloaded while other commands or another reload go on") != 0;
    })) << settings;
    EXPECT_EQ(count(program.errors(), "web.service: reloading\n"), reloads) << settings;
  }
}

TEST_F(recovery, notifying_service_is_reloaded_by_a_signal) {
  for (const int signal : {SIGHUP, SIGUSR2, SIGRTMAX}) {
    activator program({"-q", "--now",
                       write("Type=notify-reload\nReloadSignal=" + std::to_string(signal) + '\n',
                             {"--on-reload", std::to_string(signal), "--ready"})});
    const int pid = program.event("ready").value("pid", 0);
    for (int i = 0; i < 2; ++i) {
      program.send(SIGUSR1);
      EXPECT_EQ(program.event("reloaded").value("pid", 0), pid);
    }
  }
}

TEST_F(recovery, reload_without_messages_is_given_up) {
  activator program({"-q", "--now",
                     write("Type=notify-reload\nTimeoutStartSec=500ms\n",
                           {"--handle", std::to_string(SIGHUP), there_ / "handled", "--ready"})});
  const auto where = program.address();
  const auto pid = program.event("ready").value("pid", 0);
  program.send(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "handled"); }));
  ask(where, "send MONOTONIC_USEC=9223372036854775807");  // without RELOADING=1
  ask(where, "send RELOADING=1");                         // without its time
  ask(where, "send RELOADING=1+MONOTONIC_USEC=1");        // before the signal
  ask(where, "notify READY=1");
  EXPECT_TRUE(program.reports("error: web.service: the reload failed: it did not finish in time\n"));
  EXPECT_EQ(ask(where, "pid"), std::to_string(pid));
}

TEST_F(recovery, reload_is_over_when_its_commands_are) {
  activator program({"--now", write("Type=notify-reload\nExecReload=/bin/sh -c 'until [ -e " + (there_ / "go") +
                                        " ]; do sleep 0.01; done'\n",
                                    {"--handle", std::to_string(SIGHUP), there_ / "handled", "--ready"})});
  const auto where = program.address();
  const int pid = program.event("ready").value("pid", 0);
  program.send(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "handled"); }));
  ask(where, "send RELOADING=1+MONOTONIC_USEC=9223372036854775807");
  ask(where, "send READY=1");
  EXPECT_EQ(count(program.errors(), ": reloaded\n"), 0U);
  create(there_ / "go");
  EXPECT_EQ(program.event("reloaded").value("pid", 0), pid);
}

TEST_F(recovery, reload_that_nobody_asked_for_is_not_reported) {
  activator program(
      {"--now", write("Type=notify-reload\n", {"--handle", std::to_string(SIGHUP), there_ / "handled", "--ready"})});
  const auto where = program.address();
  program.event("ready");
  ask(where, "send RELOADING=1+MONOTONIC_USEC=9223372036854775807");
  ask(where, "send READY=1");
  EXPECT_EQ(count(program.errors(), ": reloaded\n"), 0U);
}

TEST_F(recovery, reload_ends_with_the_service) {
  activator program({"--now", write("Type=notify-reload\nTimeoutStopSec=300ms\n",
                                    {"--handle", std::to_string(SIGHUP), there_ / "handled", "--handle-also",
                                     std::to_string(SIGTERM), "--ready"})});
  const auto where = program.address();
  program.event("ready");
  program.send(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "handled"); }));
  ask(where, "send RELOADING=1+MONOTONIC_USEC=9223372036854775807");
  std::filesystem::remove(there_ / "handled");
  program.send(SIGTERM);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "handled"); }));
  ask(where, "send READY=1");
  EXPECT_EQ(program.wait(), 0);
  EXPECT_EQ(count(program.errors(), ": reloaded\n"), 0U);
}

TEST_F(recovery, service_that_would_be_killed_by_its_reload_does_not_start) {
  activator program({"-q", "--now", write("Type=notify-reload\n", {"--ready"})});
  EXPECT_TRUE(program.reports("error: web.service: is ready, but does not handle SIGHUP\n"));
}

TEST_F(recovery, service_may_block_its_reload_signal) {
  activator program({"-q", "--now", write("Type=notify-reload\n", {"--block", std::to_string(SIGHUP), "--ready"})});
  EXPECT_NE(program.event("ready").value("pid", 0), 0);
}

TEST_F(recovery, service_that_is_ready_again_is_not_checked_again) {
  activator program(
      {"-q", "--now",
       write("Type=notify-reload\n", {"--handle", std::to_string(SIGHUP), there_ / "handled", "--ready"})});
  const auto where = program.address();
  const int pid = program.event("ready").value("pid", 0);
  ask(where, "reset " + std::to_string(SIGHUP));
  ask(where, "send READY=1");
  EXPECT_EQ(ask(where, "pid"), std::to_string(pid));
  EXPECT_EQ(program.errors(), "");
}

}  // namespace
