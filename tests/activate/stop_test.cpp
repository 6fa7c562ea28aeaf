// SPDX-License-Identifier: MIT OR Apache-2.0
// Which processes of a service are stopped with it, and whose messages are accepted.
#include <sd/notify.hpp>

#include "client.hpp"
#include "process.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::is_running;
using sd::activate::test::pid_in;
using sd::activate::test::text_of;
using sd::test::ask;
using testing::HasSubstr;
using testing::Not;

/// So that a signal for the group of sd-activate does not reach the test.
const circumstances in_own_session = [] {
  circumstances how;
  how.program = {"setsid", SD_ACTIVATE};
  return how;
}();

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
         write_script("(trap '' TERM USR1; sh -c 'echo $$PPID' >" + ready + "; exec sleep 1000) & exec sleep 1000",
                      settings)});
    main_ = program.event("started").value("pid", 0);
    child_ = pid_in(ready);
    EXPECT_EQ(program.stop(), 0) << settings;
  }

  /// Returns a command that does not end, with another process, which ignores SIGUSR1. Its pid is in the file
  /// "command".
  [[nodiscard]] std::string hanging() const {
    return "/bin/sh -c 'trap \"\" USR1; sleep 1000 & echo $$! >" + (there_ / "command") + "; wait'\n";
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

TEST_F(stopping, other_processes_get_no_signal_with_kill_mode_process) {
  for (const std::string before : {"", "trap '' TERM; "}) {
    const auto ready = there_ / "child";
    std::filesystem::remove(ready);
    activator program({"-q", "--now",
                       write_script(before + "sleep 1000 & echo $$! >" + ready + "; exec sleep 1000",
                                    "KillMode=process\nTimeoutStopSec=100ms\n")});
    child_ = pid_in(ready);
    EXPECT_EQ(program.stop(), 0);
    EXPECT_TRUE(is_running(child_)) << before;
    ::kill(child_, SIGKILL);
  }
}

TEST_F(stopping, end_of_the_main_process_ends_the_others_as_the_mode_says) {
  const struct {
    const char* mode;
    bool keeps_child;
  } rows[] = {{"control-group", false}, {"mixed", false}, {"process", true}, {"none", true}};
  for (const auto& [mode, keeps_child] : rows) {
    const auto ready = there_ / "child";
    std::filesystem::remove(ready);
    activator program({"-q", "--now", "--once",
                       write_script("sleep 1000 & echo $$! >" + ready, "KillMode=" + std::string(mode) + '\n')});
    child_ = pid_in(ready);
    EXPECT_EQ(program.wait(), 0);
    EXPECT_EQ(is_running(child_), keeps_child) << mode;
    ::kill(child_, SIGKILL);
  }
}

TEST_F(stopping, other_processes_have_time_to_end) {
  activator program({"-q", "--now",
                     write_script("(trap 'sleep 0.1; touch " + (there_ / "clean") + "; exit' TERM; touch " +
                                      (there_ / "ready") + "; while :; do sleep 0.01; done) & exec sleep 1000",
                                  "")});
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "ready"); }));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::exists(there_ / "clean"));
}

TEST_F(stopping, each_process_gets_one_signal) {
  const auto signals = there_ / "signals";
  activator program(
      {"-q", "--now",
       write_script("(trap 'echo x >>" + signals + "' TERM; touch " + (there_ / "child") +
                        "; while :; do sleep 0.01; done) & trap 'while [ ! -s " + signals +
                        " ]; do sleep 0.01; done; exit' TERM; until [ -e " + (there_ / "child") +
                        " ]; do sleep 0.01; done; touch " + (there_ / "ready") + "; while :; do sleep 0.01; done",
                    "TimeoutStopSec=300ms\n")});
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "ready"); }));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(text_of(signals), "x\n");
}

TEST_F(stopping, final_signal_reaches_all_processes) {
  activator program(
      {"-q", "--now",
       write_script("(trap '' TERM; trap 'touch " + (there_ / "final") + "; exit' USR2; touch " + (there_ / "child") +
                        "; while :; do sleep 0.01; done) & trap '' TERM USR2; until [ -e " + (there_ / "child") +
                        " ]; do sleep 0.01; done; echo $$$$ >" + (there_ / "ready") + "; exec sleep 1000",
                    "FinalKillSignal=SIGUSR2\nTimeoutStopSec=100ms\n")});
  main_ = pid_in(there_ / "ready");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::exists(there_ / "final"));
  EXPECT_TRUE(eventually([&] { return !is_running(main_); }));
}

TEST_F(stopping, crash_of_a_service_that_is_being_stopped_is_reported) {
  activator program({"-q", write("ExecStop=/bin/sh -c 'kill -KILL $MAINPID'\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.errors(), "sd-activate: error: web.service: killed by SIGKILL\n");
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

TEST_F(stopping, command_that_fails_is_reported_and_the_rest_is_left_out) {
  activator program(
      {"-q", write("ExecStop=-no-such-program\nExecStop=/bin/touch " + (there_ / "first") +
                   "\nExecStop=/bin/false\nExecStop=/bin/touch " + (there_ / "second") +
                   "\nExecStopPost=no-such-program\nExecStopPost=/bin/touch " + (there_ / "third") + '\n')});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.errors(),
            "sd-activate: warning: web.service: start no-such-program: No such file or directory\n"
            "sd-activate: warning: web.service: /bin/false exited with status 1\n"
            "sd-activate: warning: web.service: start no-such-program: No such file or directory\n");
  EXPECT_TRUE(std::filesystem::exists(there_ / "first"));
  EXPECT_FALSE(std::filesystem::exists(there_ / "second"));
  EXPECT_FALSE(std::filesystem::exists(there_ / "third"));
}

TEST_F(stopping, command_that_does_not_end_in_time_is_killed_and_the_service_is_ended) {
  for (const auto& [mode, signal] : {std::pair{"terminate", SIGTERM}, {"abort", SIGABRT}, {"kill", SIGKILL}}) {
    activator program({"-q", write("ExecStop=/bin/sleep 1000\nTimeoutStopSec=100ms\nTimeoutStopFailureMode=" +
                                   std::string(mode) + '\n')});
    EXPECT_NE(ask(program.address(), "pid"), "");
    EXPECT_EQ(program.stop(), 0);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + signal) << mode;
  }
}

TEST_F(stopping, service_that_is_being_restarted_is_not_started_again) {
  activator program({"-q", write("FileDescriptorStoreMax=1\n", {"--handle", "15", there_ / "asked"})});
  main_ = std::stoi(ask(program.address(), "pid"));
  EXPECT_EQ(program.event("ready").value("pid", 0), main_);
  program.send(SIGHUP);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "asked"); }));
  program.send(SIGTERM);
  // sd-activate handles the signal before the end of the service.
  ::kill(main_, SIGKILL);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_THAT(program.remaining_events(), testing::Not(testing::Contains("started")));
}

TEST_F(stopping, command_goes_on_after_the_end_of_the_main_process) {
  activator program({"-q", write("ExecStop=/bin/sh -c 'kill $MAINPID; while kill -0 $MAINPID 2>/dev/null; do sleep "
                                 "0.01; done; sleep 0.05; touch " +
                                 (there_ / "finished") + "'\nExecStopPost=/bin/sh -c 'test -e " +
                                 (there_ / "finished") + " && touch " + (there_ / "last") + "'\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::exists(there_ / "last"));
}

TEST_F(stopping, last_command_of_a_service_that_has_ended_is_finished) {
  const auto last = there_ / "last";
  activator program({"-q", write("ExecStopPost=/bin/sh -c 'echo begin >>" + last + "; while [ ! -e " + (there_ / "go") +
                                 " ]; do sleep 0.01; done; echo end >>" + last + "'\n")});
  EXPECT_EQ(ask(program.address(), "exit 0"), "");
  EXPECT_TRUE(eventually([&] { return text_of(last) == "begin\n"; }));
  program.send(SIGTERM);
  create(there_ / "go");
  EXPECT_EQ(program.wait(), 0);
  EXPECT_EQ(text_of(last), "begin\nend\n");
}

TEST_F(stopping, command_that_hangs_is_killed) {
  using step = std::function<void(activator&, const std::string& where)>;
  const step none = [](activator&, const std::string&) {};
  const step stop = [](activator& program, const std::string&) { program.send(SIGTERM); };
  const step stop_when_ready = [](activator& program, const std::string&) {
    program.event("ready");
    program.send(SIGTERM);
  };
  const step reload = [](activator& program, const std::string&) {
    program.event("ready");
    program.send(SIGUSR1);
  };
  const step exit = [](activator&, const std::string& where) { EXPECT_EQ(ask(where, "exit 0"), ""); };
  const step bite = [](activator&, const std::string& where) { ask(where, "notify WATCHDOG=trigger"); };
  // Without SendSIGKILL=no, the kernel would kill the commands of an sd-activate that has ended.
  const struct {
    std::string settings;
    step before;  ///< what makes the command start
    step after;
  } rows[] = {{"TimeoutStartSec=100ms\nExecStartPre=", none, none},
              {"TimeoutStartSec=100ms\nTimeoutStartFailureMode=kill\nExecStartPre=", none, none},
              {"SendSIGKILL=no\nExecStartPre=", none, stop},
              {"ExecReload=", reload, exit},
              {"WatchdogSec=1h\nTimeoutAbortSec=1h\nExecReload=", reload, bite},
              {"SendSIGKILL=no\nTimeoutStopSec=100ms\nExecStop=", stop_when_ready, none},
              {"TimeoutStopSec=100ms\nExecStopPost=", exit, none}};
  for (const auto& [settings, before, after] : rows) {
    std::filesystem::remove(there_ / "command");
    activator program({"-q", "--now", write(settings + hanging() + "ExecStopPost=/bin/true\n", {"--ignore", "6"})},
                      in_own_session);
    const auto where = program.address();
    before(program, where);
    const int pid = pid_in(there_ / "command");
    after(program, where);
    EXPECT_TRUE(eventually([&] { return !is_running(pid); })) << settings;
    EXPECT_TRUE(eventually([&] {
      program.send(SIGTERM);
      return program.has_ended();
    })) << settings;
  }
}

TEST_F(stopping, second_signal_kills_a_command_that_hangs) {
  for (const bool has_started : {true, false}) {
    std::filesystem::remove(there_ / "command");
    const std::string before = has_started ? "" : "ExecStartPre=/bin/false\n";
    activator program({"-q", "--now", write(before + "TimeoutStopSec=1h\nExecStopPost=" + hanging())}, in_own_session);
    const auto where = program.address();
    if (has_started) ask(where, "exit 0");
    const int pid = pid_in(there_ / "command");
    EXPECT_TRUE(eventually([&] {
      program.send(SIGTERM);
      return program.has_ended();
    }));
    EXPECT_EQ(program.wait(), 0) << has_started;
    EXPECT_TRUE(eventually([&] { return !is_running(pid); })) << has_started;
  }
}

TEST_F(stopping, signal_before_the_main_process_is_not_passed_on) {
  activator program({"-q", "--now",
                     write("ExecStartPre=/bin/sh -c 'touch " + (there_ / "begun") + "; until [ -e " + (there_ / "go") +
                           " ]; do sleep 0.01; done'\n")});
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "begun"); }));
  sigset_t changes;
  ::sigemptyset(&changes);
  ::sigaddset(&changes, SIGWINCH);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &changes, nullptr), 0);  // a signal that is blocked stays pending
  program.send(SIGWINCH);
  create(there_ / "go");
  EXPECT_NE(ask(program.address(), "pid"), "");
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGWINCH), 0);
  ::sigprocmask(SIG_UNBLOCK, &changes, nullptr);
}

TEST_F(stopping, second_signal_kills_all_processes_of_the_service) {
  activator program(
      {"-q", "--now",
       write_script("trap '' TERM USR1; sleep 1000 & echo $$! >" + (there_ / "child") + "; exec sleep 1000",
                    "TimeoutStopSec=1h\n")});
  child_ = pid_in(there_ / "child");
  EXPECT_TRUE(eventually([&] {
    program.send(SIGTERM);
    return program.has_ended();
  }));
  EXPECT_FALSE(is_running(child_));
}

TEST_F(stopping, service_that_is_starting_is_stopped) {
  activator program(
      {"-q", "--now", write("Type=notify\nTimeoutStartSec=1h\nExecStop=/bin/touch " + (there_ / "stopping") + '\n')});
  main_ = program.event("started").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(main_));
  EXPECT_FALSE(std::filesystem::exists(there_ / "stopping"));
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

TEST_F(stopping, suspended_service_is_resumed) {
  activator program({"-q", "--now", write("TimeoutStopSec=2s\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
  main_ = program.event("started").value("pid", 0);
  ::kill(main_, SIGSTOP);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM);
}

TEST_F(stopping, sockets_that_nobody_uses_do_not_end_the_services_of_others) {
  std::ofstream(there_ / "script") << "trap 'sleep 0.2; : >" << there_ / "stopped"
                                   << "; exit' TERM\necho ready\nwhile :; do sleep 0.02; done\n";
  std::vector<std::string> arguments = {"-q", "--inetd"};
  for (const std::string name : {"first", "second", "third"}) {
    arguments.insert(arguments.end(), {"-s", "ListenStream=" + (there_ / name) + " Accept=yes"});
  }
  arguments.insert(arguments.end(), {"--", "/bin/sh", there_ / "script"});
  activator program(arguments);
  program.address();
  const auto client = sd::test::connect(there_ / "second");
  std::array<char, 6> ready;
  EXPECT_EQ(::recv(client.get(), ready.data(), ready.size(), MSG_WAITALL), 6);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::exists(there_ / "stopped"));
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

TEST_F(stopping, waiting_for_messages_takes_no_time) {
  activator program({"-q", write("NotifyAccess=main\n")});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "send STATUS=sent"), "done");
  clockid_t cpu_clock{};
  ASSERT_EQ(::clock_getcpuclockid(program.pid(), &cpu_clock), 0);
  const auto used = [&] {
    timespec time{};
    ::clock_gettime(cpu_clock, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto before = used();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(used() - before, std::chrono::milliseconds(50));
}

TEST_F(stopping, messages_of_other_processes_do_not_count) {
  activator program({"-v", write("NotifyAccess=all\n")});
  const auto where = program.address();
  ASSERT_EQ(::setenv("NOTIFY_SOCKET", ask(where, "variable NOTIFY_SOCKET").c_str(), 1), 0);
  sd::notify(sd::state::raw("STATUS=from-outside"));
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(program.reports("NotifyAccess= excludes a message of process " + std::to_string(::getpid()) + '\n'));
  EXPECT_THAT(program.errors(), Not(HasSubstr("web.service: from-outside\n")));
}

TEST_F(stopping, messages_of_a_service_that_is_being_stopped_count) {
  const auto asked = there_ / "asked";
  const struct {
    std::string settings;
    bool has_watchdog;
  } rows[] = {{std::string("Type=notify\nTimeoutStartSec=") + (sd::test::sanitized ? "3s\n" : "500ms\n"), false},
              {"NotifyAccess=main\nExecStartPost=/bin/sh -c 'until [ -e " + (there_ / "go") +
                   " ]; do sleep 0.01; done; exit 1'\n",
               false},
              {"WatchdogSec=1h\nWatchdogSignal=SIGTERM\n", true}};
  for (const auto& [settings, has_watchdog] : rows) {
    for (const auto& file : {asked, there_ / "go"}) std::filesystem::remove(file);
    activator program({"-v", "--now", write(settings, {"--handle", "15", asked})});
    const auto where = program.address();
    EXPECT_NE(ask(where, "pid"), "");  // it handles the signal
    create(there_ / "go");
    if (has_watchdog) ask(where, "send WATCHDOG=trigger");
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(asked); })) << settings;
    ask(where, "send STATUS=heard");
    EXPECT_TRUE(program.reports("web.service: heard\n")) << settings;
    std::filesystem::remove(asked);
    ask(where, "send WATCHDOG=trigger");
    EXPECT_FALSE(std::filesystem::exists(asked)) << settings;
  }
}

TEST_F(stopping, messages_of_a_service_that_has_ended_count) {
  for (const std::string access : {"main", "all"}) {
    activator program({"-q", "--now", "--once",
                       write("Type=notify-reload\nNotifyAccess=" + access + '\n', {"--handle", "1", there_ / "x"})});
    const auto where = program.address();
    main_ = std::stoi(ask(where, "pid"));
    program.suspend();
    ask(where, "notify READY=1");
    EXPECT_EQ(ask(where, "exit 0"), "");
    EXPECT_TRUE(eventually([&] { return !is_running(main_); }));
    program.send(SIGCONT);
    EXPECT_EQ(program.wait(), 0) << access;
    EXPECT_EQ(program.errors(), "") << access;
  }
}

TEST_F(stopping, process_of_another_session_does_not_become_the_main_one) {
  activator program({"-v", write("NotifyAccess=main\n")});
  const auto where = program.address();
  ask(where, "send MAINPID=1");
  ask(where, "send STATUS=heard");
  EXPECT_TRUE(program.reports("web.service: heard\n"));
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
  for (const bool is_late : {false, true}) {
    activator program({"-q", write("NotifyAccess=all\nKillMode=process\n", {"--processes", "2"})});
    const auto where = program.address();
    EXPECT_NE(ask(where, "pid"), "");
    main_ = program.event("started").value("pid", 0);
    EXPECT_TRUE(eventually([&] { return (child_ = std::stoi(ask(where, "pid"))) != main_; }));
    if (is_late) program.suspend();  // until the first one has ended
    ask(where, "notify MAINPID=" + std::to_string(child_));
    if (!is_late) ask(where, "send STATUS=sent");  // returns after sd-activate has read the message before it
    ::kill(main_, SIGKILL);
    EXPECT_TRUE(eventually([&] { return !is_running(main_); }));
    program.send(SIGCONT);
    ask(where, "send STATUS=sent");  // returns after sd-activate has seen the end
    EXPECT_EQ(ask(where, "pid"), std::to_string(child_)) << is_late;
    EXPECT_EQ(program.stop(), 0) << is_late;
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM) << is_late;
    EXPECT_FALSE(is_running(child_)) << is_late;
  }
}

}  // namespace
