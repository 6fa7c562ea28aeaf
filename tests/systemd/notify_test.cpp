// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests the effect of messages on systemd. The service is notifier.cpp, which sends what these tests ask it to send.

#include "client.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <string>
#include <thread>

namespace {

using namespace sd::test;
using namespace std::chrono_literals;

using notify = under_systemd;
using watchdog = under_systemd;
using store = under_systemd;

/// Makes a service execute a command, and returns the reply.
std::string ask_service(const std::string& service, const std::string& command) {
  const auto socket = "/run/" + service;
  EXPECT_TRUE(eventually([&] { return accepts_connections(socket); })) << service;
  return ask(socket, command);
}

/// Does the same, and returns when systemd has processed the message.
void ask_and_wait(const std::string& service, const std::string& command) {
  EXPECT_EQ(ask_service(service, command), "sent") << command;
  EXPECT_EQ(ask_service(service, "barrier"), "sent");
}

/// Makes the service start a child that executes commands, and returns its pid.
std::string spawn(const std::string& service) {
  auto pid = ask_service(service, "spawn");
  EXPECT_GT(std::stoi(pid), 0);
  return pid;
}

int systemd_version() { return std::stoi(property("", "Version")); }

/// Stops systemd while it exists. Everything that needs systemd blocks, including systemctl.
class frozen_systemd {
 public:
  frozen_systemd() {
    freeze(true);
    EXPECT_TRUE(eventually([] {
      std::ostringstream events;
      events << std::ifstream(cgroup() + "/cgroup.events").rdbuf();
      return events.str().find("frozen 1") != std::string::npos;
    }));
  }
  ~frozen_systemd() { freeze(false); }
  frozen_systemd(const frozen_systemd&) = delete;
  frozen_systemd& operator=(const frozen_systemd&) = delete;

  static bool possible() { return std::filesystem::exists(cgroup() + "/cgroup.freeze"); }

 private:
  static std::string cgroup() {
    std::ifstream file("/proc/1/cgroup");
    for (std::string line; std::getline(file, line);) {
      if (line.rfind("0::", 0) == 0) return "/sys/fs/cgroup" + line.substr(3);
    }
    return "";
  }
  static void freeze(bool on) { std::ofstream(cgroup() + "/cgroup.freeze") << on; }
};

/// Returns the reason why a test is skipped.
std::string too_old(int needed) {
  return "SKIPPED: systemd " + property("", "Version") + " is older than " + std::to_string(needed);
}

TEST_F(notify, ready_starts_dependents) {
  systemctl("start --no-block notifier-slow-dependent.service");
  ask_and_wait("notifier-slow", "status not yet");
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(state("notifier-slow.service"), "activating");
  EXPECT_EQ(state("notifier-slow-dependent.service"), "inactive");
  ask_and_wait("notifier-slow", "ready");
  EXPECT_EQ(state("notifier-slow.service"), "active");
  EXPECT_TRUE(eventually_is("notifier-slow-dependent.service", "ActiveState", "active"));
}

TEST_F(notify, start_times_out_without_ready) {
  EXPECT_NE(run("systemctl start notifier-late-dependent.service 2>&1").status, 0);
  EXPECT_EQ(property("notifier-late.service", "Result"), "timeout");
  EXPECT_EQ(state("notifier-late-dependent.service"), "inactive");
}

TEST_F(notify, extend_timeout_allows_a_slow_start) {
  systemctl("start --no-block notifier-extending.service");
  EXPECT_EQ(ask_service("notifier-extending", "barrier"), "sent");
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(state("notifier-extending.service"), "activating");
  ask_and_wait("notifier-extending", "ready");
  EXPECT_EQ(state("notifier-extending.service"), "active");
}

TEST_F(notify, status_is_shown) {
  systemctl("start notifier.service");
  ask_and_wait("notifier", "status 5 of 7 \xe2\x82\xac, \"done\" = 71%");
  EXPECT_EQ(property("notifier.service", "StatusText"), "5 of 7 \xe2\x82\xac, \"done\" = 71%");
  ask_and_wait("notifier", "status");
  EXPECT_EQ(property("notifier.service", "StatusText"), "");
}

TEST_F(notify, errno_is_shown) {
  systemctl("start notifier.service");
  ask_and_wait("notifier", "failed 28");
  EXPECT_EQ(property("notifier.service", "StatusErrno"), "28");
}

TEST_F(notify, bus_error_and_varlink_error_are_shown) {
  if (systemd_version() < 257) GTEST_SKIP() << too_old(257);
  systemctl("start notifier.service");
  ask_and_wait("notifier", "bus_error org.freedesktop.DBus.Error.TimedOut");
  ask_and_wait("notifier", "varlink_error org.varlink.service.InvalidParameter");
  EXPECT_EQ(property("notifier.service", "StatusBusError"), "org.freedesktop.DBus.Error.TimedOut");
  EXPECT_EQ(property("notifier.service", "StatusVarlinkError"), "org.varlink.service.InvalidParameter");
}

TEST_F(notify, main_pid_changes_the_main_process) {
  systemctl("start notifier.service");
  const auto child = spawn("notifier");
  EXPECT_NE(property("notifier.service", "MainPID"), child);
  ask_and_wait("notifier", "main_pid " + child);
  EXPECT_EQ(property("notifier.service", "MainPID"), child);
  // From now on, systemd accepts messages of the child.
  ask_and_wait("notifier.child", "status the child");
  EXPECT_EQ(property("notifier.service", "StatusText"), "the child");
}

TEST_F(notify, main_pidfd_id_changes_the_main_process) {
  if (systemd_version() < 257) GTEST_SKIP() << too_old(257);
  systemctl("start notifier.service");
  const int pid = main_pid("notifier.service");
  const auto child = spawn("notifier");
  ask_and_wait("notifier", "main_pidfd_id " + child + " 1");
  EXPECT_EQ(main_pid("notifier.service"), pid);
  ask_and_wait("notifier", "main_pidfd_id " + child + " 0");
  EXPECT_EQ(property("notifier.service", "MainPID"), child);
}

TEST_F(notify, main_pidfd_changes_the_main_process) {
  if (systemd_version() < 262) GTEST_SKIP() << too_old(262);
  systemctl("start notifier.service");
  const auto child = spawn("notifier");
  ask_and_wait("notifier", "main_pidfd " + child);
  EXPECT_EQ(property("notifier.service", "MainPID"), child);
}

TEST_F(notify, privileged_process_sends_as_the_main_process) {
  systemctl("start notifier.service");
  const int pid = main_pid("notifier.service");
  spawn("notifier");
  ask_and_wait("notifier.child", "status for itself");
  EXPECT_EQ(property("notifier.service", "StatusText"), "");
  ask_and_wait("notifier.child", "status_for " + std::to_string(pid) + " for the main one");
  EXPECT_EQ(property("notifier.service", "StatusText"), "for the main one");
}

TEST_F(notify, reload_lasts_from_reloading_to_ready) {
  systemctl("start notifier.service");
  ::kill(main_pid("notifier.service"), SIGHUP);
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "reloading"));
  ask_and_wait("notifier", "status half of it");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "reloading");
  ask_and_wait("notifier", "ready");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "active");
}

TEST_F(notify, reload_by_exec_reload_lasts_until_ready) {
  if (systemd_version() > 252) GTEST_SKIP() << "SKIPPED: systemd after 252 forgets RELOADING=1 when ExecReload= ends";
  systemctl("start notifier.service");
  systemctl("reload --no-block notifier.service");
  // The command of ExecReload= has ended, but the reload has not.
  EXPECT_TRUE(eventually([] {
    return property("notifier.service", "ActiveState") == "reloading" &&
           property("notifier.service", "ControlPID") == "0";
  }));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(property("notifier.service", "ActiveState"), "reloading");
  ask_and_wait("notifier", "ready");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "active");
}

TEST_F(notify, notify_reload_waits_for_reloading_and_ready) {
  if (systemd_version() < 253) GTEST_SKIP() << too_old(253);
  systemctl("start notifier-reload.service");
  auto reload = std::async(std::launch::async, [] { return run("systemctl reload notifier-reload.service 2>&1"); });
  // systemd accepts RELOADING=1 only with a time that is later than its signal.
  EXPECT_TRUE(eventually_is("notifier-reload.service", "SubState", "reload-notify"));
  EXPECT_EQ(reload.wait_for(200ms), std::future_status::timeout);
  ask_and_wait("notifier-reload", "ready");
  const auto result = reload.get();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(property("notifier-reload.service", "ActiveState"), "active");
  EXPECT_EQ(property("notifier-reload.service", "Result"), "success");
}

TEST_F(notify, stopping_shows_until_the_process_exits) {
  systemctl("start notifier.service");
  ask_and_wait("notifier", "stopping");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "deactivating");
  EXPECT_EQ(ask_service("notifier", "exit 0"), "");
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "inactive"));
}

TEST_F(notify, restart_reset_resets_the_counter) {
  if (systemd_version() < 258) GTEST_SKIP() << too_old(258);
  systemctl("start notifier.service");
  ::kill(main_pid("notifier.service"), SIGKILL);
  EXPECT_TRUE(eventually_is("notifier.service", "NRestarts", "1"));
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "active"));
  EXPECT_EQ(property("notifier.service", "NRestarts"), "1");
  ask_and_wait("notifier", "restart_reset");
  EXPECT_EQ(property("notifier.service", "NRestarts"), "0");
}

TEST_F(notify, notify_access_permits_other_processes) {
  if (systemd_version() < 254) GTEST_SKIP() << too_old(254);
  systemctl("start notifier.service");
  spawn("notifier");
  ask_and_wait("notifier.child", "status the child");
  EXPECT_EQ(property("notifier.service", "StatusText"), "");
  ask_and_wait("notifier", "notify_access all");
  ask_and_wait("notifier.child", "status the child");
  EXPECT_EQ(property("notifier.service", "StatusText"), "the child");
}

/// Expects that a barrier blocks while systemd is frozen, and returns afterwards.
void expect_barrier_waits(const std::string& process, const std::string& service) {
  std::future<std::string> barrier;
  {
    const frozen_systemd frozen;
    EXPECT_EQ(ask_service(process, "status before the barrier"), "sent");
    barrier = std::async(std::launch::async, [&] { return ask_service(process, "barrier"); });
    EXPECT_EQ(barrier.wait_for(200ms), std::future_status::timeout);
  }
  EXPECT_EQ(barrier.get(), "sent");
  EXPECT_EQ(property(service, "StatusText"), "before the barrier");
}

TEST_F(notify, barrier_waits_for_systemd) {
  if (!frozen_systemd::possible()) GTEST_SKIP() << "SKIPPED: this kernel cannot freeze cgroups (needs Linux 5.2)";
  systemctl("start notifier.service");
  expect_barrier_waits("notifier", "notifier.service");
}

TEST_F(notify, barrier_waits_in_another_process) {
  if (!frozen_systemd::possible()) GTEST_SKIP() << "SKIPPED: this kernel cannot freeze cgroups (needs Linux 5.2)";
  systemctl("start notifier-all.service");
  const auto child = spawn("notifier-all");
  EXPECT_NE(property("notifier-all.service", "MainPID"), child);
  expect_barrier_waits("notifier-all.child", "notifier-all.service");
}

TEST_F(notify, barrier_times_out) {
  if (!frozen_systemd::possible()) GTEST_SKIP() << "SKIPPED: this kernel cannot freeze cgroups (needs Linux 5.2)";
  systemctl("start notifier.service");
  {
    const frozen_systemd frozen;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_THAT(ask_service("notifier", "short_barrier"), testing::EndsWith("Connection timed out"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);  // the timeout is 50 ms
  }
  EXPECT_EQ(ask_service("notifier", "barrier"), "sent");
}

TEST_F(notify, notify_access_none_is_no_listener) {
  systemctl("start notifier-none.service");
  EXPECT_EQ(ask_service("notifier-none", "status in vain"), "no listener");
  EXPECT_EQ(ask_service("notifier-none", "barrier"), "no listener");
  EXPECT_EQ(ask_service("notifier-none", "forget it"), "no listener");
}

TEST_F(notify, ignored_messages_are_sent) {
  systemctl("start notifier-unheard.service");
  ask_and_wait("notifier-unheard", "status in vain");
  ask_and_wait("notifier-unheard", "stopping");
  EXPECT_EQ(property("notifier-unheard.service", "StatusText"), "");
  EXPECT_EQ(state("notifier-unheard.service"), "active");
}

TEST_F(watchdog, service_with_keep_alives_keeps_running) {
  systemctl("start notifier-watched.service");
  EXPECT_EQ(ask_service("notifier-watched", "period"), "800000");
  const int pid = main_pid("notifier-watched.service");
  std::this_thread::sleep_for(2600ms);
  EXPECT_EQ(state("notifier-watched.service"), "active");
  EXPECT_EQ(main_pid("notifier-watched.service"), pid);
}

TEST_F(watchdog, hanging_service_is_killed) {
  systemctl("start notifier-hanging.service");
  EXPECT_TRUE(eventually_is("notifier-hanging.service", "Result", "watchdog"));
  EXPECT_TRUE(eventually_is("notifier-hanging.service", "ActiveState", "failed"));
}

TEST_F(watchdog, trigger_kills_the_service) {
  systemctl("start notifier-hardly-watched.service");
  EXPECT_EQ(ask_service("notifier-hardly-watched", "period"), "3600000000");
  ask_service("notifier-hardly-watched", "watchdog_trigger");  // it may die before it replies
  EXPECT_TRUE(eventually_is("notifier-hardly-watched.service", "Result", "watchdog"));
  EXPECT_TRUE(eventually_is("notifier-hardly-watched.service", "ActiveState", "failed"));
}

TEST_F(watchdog, period_is_changed_at_runtime) {
  systemctl("start notifier-hardly-watched.service");
  EXPECT_EQ(ask_service("notifier-hardly-watched", "watchdog_period 300"), "sent");
  EXPECT_TRUE(eventually_is("notifier-hardly-watched.service", "Result", "watchdog"));
}

TEST_F(watchdog, none_by_default) {
  systemctl("start notifier.service");
  EXPECT_EQ(ask_service("notifier", "period"), "none");
}

/// Makes the service store a new descriptor, and returns its inode number.
std::string store_new(const std::string& name, const std::string& how = "store") {
  auto inode = ask_service("notifier", "open");
  ask_and_wait("notifier", how + ' ' + name);
  return inode;
}

std::string stored() { return property("notifier.service", "NFileDescriptorStore"); }

TEST_F(store, restart_returns_the_descriptors) {
  systemctl("start notifier.socket notifier.service");
  EXPECT_EQ(ask_service("notifier", "kept"), "others 1");
  const auto first = store_new("first");
  const auto second = store_new("the second=name");
  EXPECT_NE(first, second);
  EXPECT_EQ(stored(), "2");
  const auto expected = "first " + first + "\nthe second=name " + second + "\nothers 1";
  for (int i = 0; i < 2; ++i) {
    systemctl("restart notifier.service");
    EXPECT_EQ(ask_service("notifier", "kept"), expected);
  }
}

TEST_F(store, crash_returns_the_descriptors) {
  systemctl("start notifier.service");
  const auto inode = store_new("it");
  const int pid = main_pid("notifier.service");
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually_is("notifier.service", "NRestarts", "1"));
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "active"));
  EXPECT_NE(main_pid("notifier.service"), pid);
  EXPECT_EQ(ask_service("notifier", "kept"), "it " + inode + "\nothers 0");
}

TEST_F(store, stop_discards_the_descriptors) {
  systemctl("start notifier.service");
  store_new("it");
  systemctl("stop notifier.service");
  systemctl("start notifier.service");
  EXPECT_EQ(ask_service("notifier", "kept"), "others 0");
}

TEST_F(store, forget_drops_all_descriptors_of_the_name) {
  systemctl("start notifier.service");
  store_new("a");
  store_new("a");
  const auto b = store_new("b");
  EXPECT_EQ(stored(), "3");
  ask_and_wait("notifier", "forget a");
  EXPECT_EQ(stored(), "1");
  ask_and_wait("notifier", "forget missing");
  systemctl("restart notifier.service");
  EXPECT_EQ(ask_service("notifier", "kept"), "b " + b + "\nothers 0");
}

TEST_F(store, keeps_no_second_copy) {
  systemctl("start notifier.service");
  const auto inode = store_new("a");
  ask_and_wait("notifier", "store a");
  ask_and_wait("notifier", "store b");
  EXPECT_EQ(stored(), "1");
  systemctl("restart notifier.service");
  EXPECT_EQ(ask_service("notifier", "kept"), "a " + inode + "\nothers 0");
}

TEST_F(store, keeps_no_more_than_its_maximum) {
  systemctl("start notifier.service");
  const auto a = store_new("a");
  const auto b = store_new("b");
  const auto c = store_new("c");
  store_new("d");
  EXPECT_EQ(stored(), "3");
  systemctl("restart notifier.service");
  EXPECT_EQ(ask_service("notifier", "kept"), "a " + a + "\nb " + b + "\nc " + c + "\nothers 0");
}

TEST_F(store, keeps_nothing_by_default) {
  systemctl("start notifier-all.service");
  ask_service("notifier-all", "open");
  ask_and_wait("notifier-all", "store it");
  EXPECT_EQ(property("notifier-all.service", "NFileDescriptorStore"), "0");
}

TEST_F(store, drops_descriptors_that_hang_up) {
  systemctl("start notifier.service");
  ask_service("notifier", "open_pipe");
  ask_and_wait("notifier", "store it");
  EXPECT_EQ(stored(), "1");
  ask_service("notifier", "hang_up");
  EXPECT_TRUE(eventually_is("notifier.service", "NFileDescriptorStore", "0"));
}

TEST_F(store, without_poll_keeps_descriptors_that_hang_up) {
  systemctl("start notifier.service");
  const auto inode = ask_service("notifier", "open_pipe");
  ask_and_wait("notifier", "store_without_poll it");
  ask_service("notifier", "hang_up");
  systemctl("restart notifier.service");
  EXPECT_EQ(ask_service("notifier", "kept"), "it " + inode + "\nothers 0");
}

TEST_F(store, limit_is_in_the_environment) {
  systemctl("start notifier.service");
  EXPECT_EQ(ask_service("notifier", "limit"), systemd_version() < 254 ? "none" : "3");
}

}  // namespace
