// SPDX-License-Identifier: MIT OR Apache-2.0
// Which processes of a service are stopped with it, and whose messages are accepted.
#include "client.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::eventually;
using sd::activate::test::is_running;
using sd::activate::test::pid_in;
using sd::test::ask;
using testing::HasSubstr;
using testing::Not;

/// A service of two processes. The second one ignores SIGTERM.
class stopping : public sd::activate::test::web {
 protected:
  ~stopping() override {
    for (const int pid : {main_, child_}) {
      if (pid != 0) ::kill(pid, SIGKILL);
    }
  }

  /// Writes the units of a service that runs a shell script. Returns the path of the socket unit.
  [[nodiscard]] std::string write_script(const std::string& script, const std::string& settings) const {
    auto unit = write("");
    std::ofstream(there_ / "web.service") << "[Service]\nExecStart=/bin/sh -c \"" << script << "\"\n" << settings;
    return unit;
  }

  /// Starts the service and stops sd-activate.
  void start_and_stop(const std::string& settings) {
    const auto ready = there_ / "child";
    std::filesystem::remove(ready);
    activator program(
        {"-q", "--now",
         write_script("(trap '' TERM; sh -c 'echo $$PPID' >" + ready + "; exec sleep 1000) & exec sleep 1000",
                      settings)});
    main_ = program.event("started").value("pid", 0);
    child_ = pid_in(ready);
    EXPECT_EQ(program.stop(), 0) << settings;
  }

  int main_ = 0;
  int child_ = 0;
};

TEST_F(stopping, kill_mode_chooses_the_processes) {
  const struct {
    const char* settings;
    bool keeps_main;
    bool keeps_child;
  } rows[] = {{"KillMode=control-group\nTimeoutStopSec=100ms\n", false, false},
              {"KillMode=mixed\nTimeoutStopSec=1h\n", false, false},
              {"KillMode=process\n", false, true},
              {"KillMode=none\nTimeoutStopSec=1h\n", true, true}};
  for (const auto& [settings, keeps_main, keeps_child] : rows) {
    start_and_stop(settings);
    EXPECT_TRUE(eventually([&] { return is_running(main_) == keeps_main; })) << settings;
    EXPECT_TRUE(eventually([&] { return is_running(child_) == keeps_child; })) << settings;
    ::kill(child_, SIGKILL);
    ::kill(main_, SIGKILL);
  }
}

TEST_F(stopping, process_that_ignores_the_signal_stays_without_sigkill) {
  start_and_stop("SendSIGKILL=no\nTimeoutStopSec=100ms\n");
  EXPECT_FALSE(is_running(main_));
  EXPECT_TRUE(is_running(child_));
}

TEST_F(stopping, main_process_that_ignores_the_signal_stays_without_sigkill) {
  activator program({"-q", write("SendSIGKILL=no\nTimeoutStopSec=100ms\n", {"--ignore", std::to_string(SIGTERM)})});
  main_ = std::stoi(ask(program.address(), "pid"));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(is_running(main_));
}

TEST_F(stopping, sighup_follows_if_the_unit_says_so) {
  activator program({"-q", "--now",
                     write_script("trap 'touch " + (there_ / "hung-up") + "; exit' HUP; trap '' TERM; touch " +
                                      (there_ / "ready") + "; while :; do sleep 0.01; done",
                                  "SendSIGHUP=yes\nTimeoutStopSec=1h\n")});
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "ready"); }));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::exists(there_ / "hung-up"));
}

TEST_F(stopping, commands_precede_the_signal) {
  activator program({"-q", write("ExecStop=/bin/sh -c 'kill -0 $MAINPID && touch " + (there_ / "stopping") +
                                 "'\nExecStop=-/bin/false\nExecStopPost=/bin/touch " + (there_ / "stopped") + '\n')});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM);
  EXPECT_TRUE(std::filesystem::exists(there_ / "stopping"));
  EXPECT_TRUE(std::filesystem::exists(there_ / "stopped"));
}

TEST_F(stopping, command_that_hangs_is_killed) {
  activator program({"-q", write("ExecStop=/bin/sh -c 'echo $$$$ >" + (there_ / "command") +
                                 "; exec sleep 1000'\nTimeoutStopSec=100ms\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(pid_in(there_ / "command")));
}

TEST_F(stopping, service_that_is_starting_is_stopped) {
  activator program({"-q", "--now", write("Type=notify\nTimeoutStartSec=1h\n")});
  main_ = program.event("started").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(main_));
}

TEST_F(stopping, second_signal_kills_what_has_not_stopped) {
  const auto command = sd::activate::test::service()[0] + " --ignore 15\n";
  std::ofstream(there_ / "one.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
  std::ofstream(there_ / "one.service") << "[Service]\nExecStart=" << command;
  std::ofstream(there_ / "plain.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there_ / "plain@.service") << "[Service]\nExecStart=" << command;
  std::ofstream(there_ / "instance.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there_ / "instance@.service") << "[Service]\nNotifyAccess=main\nExecStart=" << command;
  for (const char* name : {"one.socket", "plain.socket", "instance.socket"}) {
    activator program({"-q", there_ / name});
    const auto client = sd::test::connect(program.address());
    const int pid = program.event("started").value("pid", 0);
    EXPECT_TRUE(eventually([&] {
      program.send(SIGTERM);
      return program.has_ended();
    })) << name;
    EXPECT_TRUE(eventually([&] { return !is_running(pid); })) << name;
    EXPECT_EQ(program.wait(), 0) << name;
  }
}

// --- messages --------------------------------------------------------------------------------------------------------

TEST_F(stopping, notify_access_chooses_the_processes_whose_messages_count) {
  const struct {
    const char* access;
    bool includes_child;
  } rows[] = {{"main", false}, {"exec", false}, {"all", true}};
  for (const auto& [access, includes_child] : rows) {
    activator program({"-v", write("NotifyAccess=" + std::string(access) + '\n')});
    const auto where = program.address();
    ask(where, "send-from-child STATUS=of-the-child");
    ask(where, "send STATUS=of-the-service");
    EXPECT_TRUE(program.reports("web.service: of-the-service\n")) << access;
    EXPECT_EQ(program.errors().find("web.service: of-the-child\n") != std::string::npos, includes_child) << access;
  }
}

TEST_F(stopping, malformed_numbers_in_messages_are_ignored) {
  activator program({"-q", write("NotifyAccess=main\n")});
  const auto where = program.address();
  ask(where, "send MAINPID=x+WATCHDOG_USEC=x+EXTEND_TIMEOUT_USEC=x+MAINPID=4294967297+WATCHDOG_USEC=-1");
  const int pid = std::stoi(ask(where, "pid"));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(pid));
  EXPECT_EQ(program.errors(), "");
}

TEST_F(stopping, service_names_another_process_of_its_own_as_the_main_one) {
  activator program({"-q", write("NotifyAccess=all\nKillMode=process\n", {"--processes", "2"})});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  main_ = program.event("started").value("pid", 0);
  EXPECT_TRUE(eventually([&] { return (child_ = std::stoi(ask(where, "pid"))) != main_; }));
  ask(where, "notify MAINPID=1");  // ignored: a process of another session
  ask(where, "notify MAINPID=" + std::to_string(child_));
  ask(where, "send STATUS=sent");  // returns after sd-activate has read the messages before it
  ::kill(main_, SIGKILL);
  EXPECT_EQ(ask(where, "pid"), std::to_string(child_));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM);
  EXPECT_FALSE(is_running(child_));
}

}  // namespace
