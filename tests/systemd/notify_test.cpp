// What a service tells systemd by the library, and what systemd makes of it: notifier.cpp says what it is told to say.

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

using notify = beside_systemd;
using watchdog = beside_systemd;
using store = beside_systemd;

/// Has a service execute a command; the answer.
std::string tell(const std::string& service, const std::string& command) {
  const auto socket = "/run/" + service;
  EXPECT_TRUE(eventually([&] { return answers(socket); })) << service;
  return ask(socket, command);
}

/// The same, where systemd has dealt with it on return.
void tell_surely(const std::string& service, const std::string& command) {
  EXPECT_EQ(tell(service, command), "sent") << command;
  EXPECT_EQ(tell(service, "barrier"), "sent");
}

/// Has the service start a child that executes commands, too; its pid.
std::string spawn(const std::string& service) {
  auto pid = tell(service, "spawn");
  EXPECT_GT(std::stoi(pid), 0);
  return pid;
}

bool eventually_is(const std::string& service, const std::string& name, const std::string& value) {
  return eventually([&] { return property(service, name) == value; });
}

int systemd_version() { return std::stoi(property("", "Version")); }

/// Keeps systemd from running at all. What needs it hangs meanwhile, systemctl as well.
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

/// Why a case is skipped.
std::string too_old(int needed) {
  return "SKIPPED: this is systemd " + property("", "Version") + ", and it takes " + std::to_string(needed);
}

TEST_F(notify, ready_lets_the_dependents_start) {
  systemctl("start --no-block notifier-slow-dependent.service");
  tell_surely("notifier-slow", "status not yet");
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(state("notifier-slow.service"), "activating");
  EXPECT_EQ(state("notifier-slow-dependent.service"), "inactive");
  tell_surely("notifier-slow", "ready");
  EXPECT_EQ(state("notifier-slow.service"), "active");
  EXPECT_TRUE(eventually_is("notifier-slow-dependent.service", "ActiveState", "active"));
}

TEST_F(notify, start_times_out_without_ready) {
  EXPECT_NE(run("systemctl start notifier-late-dependent.service 2>&1").status, 0);
  EXPECT_EQ(property("notifier-late.service", "Result"), "timeout");
  EXPECT_EQ(state("notifier-late-dependent.service"), "inactive");
}

TEST_F(notify, slow_start_takes_more_time_by_extend_timeout) {
  systemctl("start --no-block notifier-extending.service");
  EXPECT_EQ(tell("notifier-extending", "barrier"), "sent");
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(state("notifier-extending.service"), "activating");
  tell_surely("notifier-extending", "ready");
  EXPECT_EQ(state("notifier-extending.service"), "active");
}

TEST_F(notify, status_is_shown) {
  systemctl("start notifier.service");
  tell_surely("notifier", "status 5 of 7 \xe2\x82\xac, \"done\" = 71%");
  EXPECT_EQ(property("notifier.service", "StatusText"), "5 of 7 \xe2\x82\xac, \"done\" = 71%");
  tell_surely("notifier", "status");
  EXPECT_EQ(property("notifier.service", "StatusText"), "");
}

TEST_F(notify, errno_is_shown) {
  systemctl("start notifier.service");
  tell_surely("notifier", "failed 28");
  EXPECT_EQ(property("notifier.service", "StatusErrno"), "28");
}

TEST_F(notify, bus_error_and_varlink_error_are_shown) {
  if (systemd_version() < 257) GTEST_SKIP() << too_old(257);
  systemctl("start notifier.service");
  tell_surely("notifier", "bus_error org.freedesktop.DBus.Error.TimedOut");
  tell_surely("notifier", "varlink_error org.varlink.service.InvalidParameter");
  EXPECT_EQ(property("notifier.service", "StatusBusError"), "org.freedesktop.DBus.Error.TimedOut");
  EXPECT_EQ(property("notifier.service", "StatusVarlinkError"), "org.varlink.service.InvalidParameter");
}

TEST_F(notify, a_child_becomes_the_main_process) {
  systemctl("start notifier.service");
  const auto child = spawn("notifier");
  EXPECT_NE(property("notifier.service", "MainPID"), child);
  tell_surely("notifier", "main_pid " + child);
  EXPECT_EQ(property("notifier.service", "MainPID"), child);
  // Now it is the child that may speak.
  tell_surely("notifier.child", "status the child");
  EXPECT_EQ(property("notifier.service", "StatusText"), "the child");
}

TEST_F(notify, a_child_becomes_the_main_process_by_the_number_of_its_pidfd) {
  if (systemd_version() < 257) GTEST_SKIP() << too_old(257);
  systemctl("start notifier.service");
  const int pid = main_pid("notifier.service");
  const auto child = spawn("notifier");
  tell_surely("notifier", "main_pidfd_id " + child + " 1");
  EXPECT_EQ(main_pid("notifier.service"), pid);
  tell_surely("notifier", "main_pidfd_id " + child + " 0");
  EXPECT_EQ(property("notifier.service", "MainPID"), child);
}

TEST_F(notify, a_child_becomes_the_main_process_by_its_pidfd) {
  if (systemd_version() < 262) GTEST_SKIP() << too_old(262);
  systemctl("start notifier.service");
  const auto child = spawn("notifier");
  tell_surely("notifier", "main_pidfd " + child);
  EXPECT_EQ(property("notifier.service", "MainPID"), child);
}

TEST_F(notify, a_privileged_process_speaks_for_the_main_one) {
  systemctl("start notifier.service");
  const int pid = main_pid("notifier.service");
  spawn("notifier");
  tell_surely("notifier.child", "status for itself");
  EXPECT_EQ(property("notifier.service", "StatusText"), "");
  tell_surely("notifier.child", "status_for " + std::to_string(pid) + " for the main one");
  EXPECT_EQ(property("notifier.service", "StatusText"), "for the main one");
}

TEST_F(notify, reload_lasts_from_reloading_to_ready) {
  systemctl("start notifier.service");
  ::kill(main_pid("notifier.service"), SIGHUP);
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "reloading"));
  tell_surely("notifier", "status half of it");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "reloading");
  tell_surely("notifier", "ready");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "active");
}

TEST_F(notify, reload_by_exec_reload_lasts_until_ready) {
  if (systemd_version() > 252) GTEST_SKIP() << "SKIPPED: newer ones forget RELOADING=1 when the ExecReload= ends";
  systemctl("start notifier.service");
  systemctl("reload --no-block notifier.service");
  // ExecReload= is over, and the reload is not.
  EXPECT_TRUE(eventually([] {
    return property("notifier.service", "ActiveState") == "reloading" &&
           property("notifier.service", "ControlPID") == "0";
  }));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(property("notifier.service", "ActiveState"), "reloading");
  tell_surely("notifier", "ready");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "active");
}

TEST_F(notify, systemd_itself_asks_for_a_reload_and_waits_for_it) {
  if (systemd_version() < 253) GTEST_SKIP() << too_old(253);
  systemctl("start notifier-reload.service");
  auto reload = std::async(std::launch::async, [] { return run("systemctl reload notifier-reload.service 2>&1"); });
  // systemd heeds this only where it comes with the time, and that is after its own signal.
  EXPECT_TRUE(eventually_is("notifier-reload.service", "SubState", "reload-notify"));
  EXPECT_EQ(reload.wait_for(200ms), std::future_status::timeout);
  tell_surely("notifier-reload", "ready");
  const auto result = reload.get();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(property("notifier-reload.service", "ActiveState"), "active");
  EXPECT_EQ(property("notifier-reload.service", "Result"), "success");
}

TEST_F(notify, stopping_shows_until_the_process_has_gone) {
  systemctl("start notifier.service");
  tell_surely("notifier", "stopping");
  EXPECT_EQ(property("notifier.service", "ActiveState"), "deactivating");
  EXPECT_EQ(tell("notifier", "exit 0"), "");
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "inactive"));
}

TEST_F(notify, restarts_so_far_do_not_count_after_restart_reset) {
  if (systemd_version() < 258) GTEST_SKIP() << too_old(258);
  systemctl("start notifier.service");
  ::kill(main_pid("notifier.service"), SIGKILL);
  EXPECT_TRUE(eventually_is("notifier.service", "NRestarts", "1"));
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "active"));
  EXPECT_EQ(property("notifier.service", "NRestarts"), "1");
  tell_surely("notifier", "restart_reset");
  EXPECT_EQ(property("notifier.service", "NRestarts"), "0");
}

TEST_F(notify, others_may_speak_once_notify_access_lets_them) {
  if (systemd_version() < 254) GTEST_SKIP() << too_old(254);
  systemctl("start notifier.service");
  spawn("notifier");
  tell_surely("notifier.child", "status the child");
  EXPECT_EQ(property("notifier.service", "StatusText"), "");
  tell_surely("notifier", "notify_access all");
  tell_surely("notifier.child", "status the child");
  EXPECT_EQ(property("notifier.service", "StatusText"), "the child");
}

/// Has the process say something and wait for it while systemd deals with nothing; then the rest.
void expect_barrier_waits(const std::string& process, const std::string& service) {
  std::future<std::string> barrier;
  {
    const frozen_systemd frozen;
    EXPECT_EQ(tell(process, "status before the barrier"), "sent");
    barrier = std::async(std::launch::async, [&] { return tell(process, "barrier"); });
    EXPECT_EQ(barrier.wait_for(200ms), std::future_status::timeout);
  }
  EXPECT_EQ(barrier.get(), "sent");
  EXPECT_EQ(property(service, "StatusText"), "before the barrier");
}

TEST_F(notify, barrier_waits_for_systemd) {
  if (!frozen_systemd::possible()) GTEST_SKIP() << "SKIPPED: this kernel freezes no cgroups (Linux 5.2)";
  systemctl("start notifier.service");
  expect_barrier_waits("notifier", "notifier.service");
}

TEST_F(notify, barrier_waits_in_a_process_that_is_not_the_main_one) {
  if (!frozen_systemd::possible()) GTEST_SKIP() << "SKIPPED: this kernel freezes no cgroups (Linux 5.2)";
  systemctl("start notifier-all.service");
  const auto child = spawn("notifier-all");
  EXPECT_NE(property("notifier-all.service", "MainPID"), child);
  expect_barrier_waits("notifier-all.child", "notifier-all.service");
}

TEST_F(notify, barrier_waits_no_longer_than_told) {
  if (!frozen_systemd::possible()) GTEST_SKIP() << "SKIPPED: this kernel freezes no cgroups (Linux 5.2)";
  systemctl("start notifier.service");
  {
    const frozen_systemd frozen;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_THAT(tell("notifier", "short_barrier"), testing::EndsWith("Connection timed out"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);  // it is told 50 ms
  }
  EXPECT_EQ(tell("notifier", "barrier"), "sent");
}

TEST_F(notify, calls_succeed_where_nobody_wants_to_know) {
  systemctl("start notifier-none.service");
  EXPECT_EQ(tell("notifier-none", "status in vain"), "nobody listens");
  EXPECT_EQ(tell("notifier-none", "barrier"), "nobody listens");
  EXPECT_EQ(tell("notifier-none", "forget it"), "nobody listens");
}

TEST_F(notify, calls_succeed_where_systemd_ignores_them) {
  systemctl("start notifier-unheard.service");
  tell_surely("notifier-unheard", "status in vain");
  tell_surely("notifier-unheard", "stopping");
  EXPECT_EQ(property("notifier-unheard.service", "StatusText"), "");
  EXPECT_EQ(state("notifier-unheard.service"), "active");
}

TEST_F(watchdog, loop_that_turns_is_left_alone) {
  systemctl("start notifier-watched.service");
  EXPECT_EQ(tell("notifier-watched", "period"), "800000");
  const int pid = main_pid("notifier-watched.service");
  std::this_thread::sleep_for(2600ms);
  EXPECT_EQ(state("notifier-watched.service"), "active");
  EXPECT_EQ(main_pid("notifier-watched.service"), pid);
}

TEST_F(watchdog, process_that_hangs_is_killed) {
  systemctl("start notifier-hanging.service");
  EXPECT_TRUE(eventually_is("notifier-hanging.service", "Result", "watchdog"));
  EXPECT_TRUE(eventually_is("notifier-hanging.service", "ActiveState", "failed"));
}

TEST_F(watchdog, trigger_kills_at_once) {
  systemctl("start notifier-hardly-watched.service");
  EXPECT_EQ(tell("notifier-hardly-watched", "period"), "3600000000");
  tell("notifier-hardly-watched", "watchdog_trigger");  // it may die before it answers
  EXPECT_TRUE(eventually_is("notifier-hardly-watched.service", "Result", "watchdog"));
  EXPECT_TRUE(eventually_is("notifier-hardly-watched.service", "ActiveState", "failed"));
}

TEST_F(watchdog, period_is_reset_at_runtime) {
  systemctl("start notifier-hardly-watched.service");
  EXPECT_EQ(tell("notifier-hardly-watched", "watchdog_period 300"), "sent");
  EXPECT_TRUE(eventually_is("notifier-hardly-watched.service", "Result", "watchdog"));
}

TEST_F(watchdog, nobody_watches_by_default) {
  systemctl("start notifier.service");
  EXPECT_EQ(tell("notifier", "period"), "none");
}

/// Stores something new; its inode number.
std::string put_by(const std::string& name, const std::string& how = "store") {
  auto inode = tell("notifier", "open");
  tell_surely("notifier", how + ' ' + name);
  return inode;
}

std::string stored() { return property("notifier.service", "NFileDescriptorStore"); }

TEST_F(store, restart_gives_back_the_same_sockets_by_name) {
  systemctl("start notifier.socket notifier.service");
  EXPECT_EQ(tell("notifier", "kept"), "others 1");
  const auto first = put_by("first");
  const auto second = put_by("the second=name");
  EXPECT_NE(first, second);
  EXPECT_EQ(stored(), "2");
  const auto expected = "first " + first + "\nthe second=name " + second + "\nothers 1";
  for (int i = 0; i < 2; ++i) {
    systemctl("restart notifier.service");
    EXPECT_EQ(tell("notifier", "kept"), expected);
  }
}

TEST_F(store, crash_gives_them_back_too) {
  systemctl("start notifier.service");
  const auto inode = put_by("it");
  const int pid = main_pid("notifier.service");
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually_is("notifier.service", "NRestarts", "1"));
  EXPECT_TRUE(eventually_is("notifier.service", "ActiveState", "active"));
  EXPECT_NE(main_pid("notifier.service"), pid);
  EXPECT_EQ(tell("notifier", "kept"), "it " + inode + "\nothers 0");
}

TEST_F(store, stop_empties_it) {
  systemctl("start notifier.service");
  put_by("it");
  systemctl("stop notifier.service");
  systemctl("start notifier.service");
  EXPECT_EQ(tell("notifier", "kept"), "others 0");
}

TEST_F(store, forgets_all_of_a_name_and_no_other) {
  systemctl("start notifier.service");
  put_by("a");
  put_by("a");
  const auto b = put_by("b");
  EXPECT_EQ(stored(), "3");
  tell_surely("notifier", "forget a");
  EXPECT_EQ(stored(), "1");
  tell_surely("notifier", "forget nobody");
  systemctl("restart notifier.service");
  EXPECT_EQ(tell("notifier", "kept"), "b " + b + "\nothers 0");
}

TEST_F(store, keeps_no_second_copy) {
  systemctl("start notifier.service");
  const auto inode = put_by("a");
  tell_surely("notifier", "store a");
  tell_surely("notifier", "store b");
  EXPECT_EQ(stored(), "1");
  systemctl("restart notifier.service");
  EXPECT_EQ(tell("notifier", "kept"), "a " + inode + "\nothers 0");
}

TEST_F(store, keeps_no_more_than_its_maximum) {
  systemctl("start notifier.service");
  const auto a = put_by("a");
  const auto b = put_by("b");
  const auto c = put_by("c");
  put_by("d");
  EXPECT_EQ(stored(), "3");
  systemctl("restart notifier.service");
  EXPECT_EQ(tell("notifier", "kept"), "a " + a + "\nb " + b + "\nc " + c + "\nothers 0");
}

TEST_F(store, keeps_nothing_by_default) {
  systemctl("start notifier-all.service");
  tell("notifier-all", "open");
  tell_surely("notifier-all", "store it");
  EXPECT_EQ(property("notifier-all.service", "NFileDescriptorStore"), "0");
}

TEST_F(store, lets_go_of_what_hangs_up) {
  systemctl("start notifier.service");
  tell("notifier", "open_pipe");
  tell_surely("notifier", "store it");
  EXPECT_EQ(stored(), "1");
  tell("notifier", "hang_up");
  EXPECT_TRUE(eventually([] { return stored() == "0"; }));
}

TEST_F(store, keeps_what_hangs_up_where_told_not_to_poll) {
  systemctl("start notifier.service");
  const auto inode = tell("notifier", "open_pipe");
  tell_surely("notifier", "store_whatever it");
  tell("notifier", "hang_up");
  systemctl("restart notifier.service");
  EXPECT_EQ(tell("notifier", "kept"), "it " + inode + "\nothers 0");
}

TEST_F(store, service_knows_its_maximum) {
  systemctl("start notifier.service");
  EXPECT_EQ(tell("notifier", "limit"), systemd_version() < 254 ? "none" : "3");
}

}  // namespace
