// SPDX-License-Identifier: MIT OR Apache-2.0
// Services that end, are restarted, and are stopped, and what is left of them.
#include <sd/testing.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace {

using sd::activate::test::activator;
using sd::activate::test::count;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::is_running;
using sd::activate::test::pid_in;
using sd::activate::test::run;
using sd::activate::test::web;
using sd::activate::test::with_service;
using sd::activate::test::words;
using sd::test::accepts_connections;
using sd::test::ask;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A service each of whose processes is ready once there is a file with the name of its pid.
class ready_by_pid : public web {
 protected:
  [[nodiscard]] std::string write_unit() const {
    auto unit = write("");
    std::ofstream(there_ / "web.service")
        << "[Service]\nType=notify\nExecStart=/bin/sh -c 'exec " << sd::activate::test::service()[0] << " --ready-when "
        << there_.path() << "/$$$$'\n";
    return unit;
  }

  void let_be_ready(int pid) const { create(there_ / std::to_string(pid)); }
};

// --- restarts --------------------------------------------------------------------------------------------------------

TEST_F(web, new_process_is_ready_before_the_old_one_is_stopped) {
  activator program({write("Type=notify\n", {"--ready-when", there_ / "ready", "--handle", "15", there_ / "stopped"})});
  const auto where = program.address();
  create(there_ / "ready");
  const auto old_pid = ask(where, "pid");
  EXPECT_EQ(program.event("ready").value("pid", 0), std::stoi(old_pid));
  std::filesystem::remove(there_ / "ready");

  program.send(SIGHUP);
  const int new_pid = [&] {
    int pid = 0;
    while (pid == 0 || pid == std::stoi(old_pid)) pid = program.event("started").value("pid", -1);
    return pid;
  }();
  // Both serve the socket. The old one has not been asked to stop.
  const auto pid = ask(where, "pid");
  EXPECT_TRUE(pid == old_pid || pid == std::to_string(new_pid));
  EXPECT_FALSE(std::filesystem::exists(there_ / "stopped"));
  EXPECT_TRUE(is_running(std::stoi(old_pid)));

  create(there_ / "ready");
  EXPECT_EQ(program.event("restarted").value("pid", 0), new_pid);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "stopped"); }));
  ::kill(std::stoi(old_pid), SIGKILL);  // it has handled SIGTERM
  EXPECT_TRUE(eventually([&] { return !is_running(std::stoi(old_pid)); }));
  EXPECT_EQ(ask(where, "pid"), std::to_string(new_pid));
  ::kill(new_pid, SIGKILL);
}

TEST_F(web, restart_of_a_service_that_does_not_notify_replaces_it_after_a_while) {
  activator program({write("")});
  const auto where = program.address();
  const int old_pid = std::stoi(ask(where, "pid"));
  program.send(SIGHUP);
  const int new_pid = program.event("restarted").value("pid", 0);
  EXPECT_NE(new_pid, old_pid);
  EXPECT_TRUE(eventually([&] { return !is_running(old_pid); }));
  EXPECT_EQ(ask(where, "pid"), std::to_string(new_pid));
}

TEST_F(web, next_process_has_an_invocation_id_of_its_own_and_what_the_environment_file_contains_now) {
  std::ofstream(there_ / "environment") << "A=old\n";
  activator program({write("EnvironmentFile=" + (there_ / "environment") + '\n')});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable A"), "old");
  const auto id = ask(where, "variable INVOCATION_ID");
  EXPECT_EQ(ask(where, "variable INVOCATION_ID"), id);
  const int old_pid = std::stoi(ask(where, "pid"));
  std::ofstream(there_ / "environment") << "A=new\n";
  program.send(SIGHUP);
  EXPECT_TRUE(eventually([&] { return !is_running(old_pid); }));
  EXPECT_EQ(ask(where, "variable A"), "new");
  EXPECT_NE(ask(where, "variable INVOCATION_ID"), id);
}

TEST_F(web, restart_that_is_requested_during_another_one_follows_it) {
  activator program({write("Type=notify\n", {"--ready-when", there_ / "ready"})});
  create(there_ / "ready");
  const auto first_pid = std::stoi(ask(program.address(), "pid"));
  std::filesystem::remove(there_ / "ready");
  const auto next_started = [&] {
    int pid = first_pid;
    while (pid == first_pid) pid = program.event("started").value("pid", -1);
    return pid;
  };

  program.send(SIGHUP);
  const int second_pid = next_started();
  program.send(SIGHUP);  // the second process is not ready yet
  create(there_ / "ready");
  EXPECT_EQ(program.event("restarted").value("pid", 0), second_pid);
  EXPECT_NE(program.event("restarted").value("pid", 0), second_pid);
  EXPECT_TRUE(eventually([&] { return !is_running(second_pid); }));
}

TEST_F(web, restart_that_is_requested_while_the_old_process_stops_follows_it) {
  activator program({write("Type=notify\n", {"--ready", "--handle", "15", there_ / "stopping"})});
  const int first = std::stoi(ask(program.address(), "pid"));
  program.send(SIGHUP);
  EXPECT_NE(program.event("restarted").value("pid", first), first);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "stopping"); }));
  program.send(SIGHUP);
  ::kill(first, SIGKILL);
  program.event("exited");
  EXPECT_NE(program.event("started").value("pid", 0), 0);
}

TEST_F(web, each_request_leads_to_one_restart) {
  activator program({"-v", write("Type=notify\n", {"--ready"})});
  int pid = std::stoi(ask(program.address(), "pid"));
  for (std::size_t i = 1; i <= 2; ++i) {
    program.send(SIGHUP);
    const int next = program.event("restarted").value("pid", 0);
    EXPECT_NE(next, pid);
    pid = next;
    EXPECT_TRUE(eventually([&] { return count(program.errors(), "web.service: stopped\n") == i; })) << program.errors();
    EXPECT_EQ(count(program.errors(), "web.service: restarting\n"), i);
  }
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.remaining_events(), Not(Contains("started")));
}

TEST_F(web, old_process_is_replaced_as_soon_as_the_new_one_notifies) {
  activator program({write("Type=notify\n", {"--ready"})});
  EXPECT_NE(ask(program.address(), "pid"), "");
  program.event("ready");
  program.send(SIGHUP);
  const int next = program.event("ready").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.event("restarted").value("pid", 0), next);
}

TEST_F(ready_by_pid, readiness_of_the_old_process_does_not_make_the_new_one_replace_it) {
  activator program({"--now", write_unit()});
  const int first = program.event("started").value("pid", 0);
  program.send(SIGHUP);
  const int second = program.event("started").value("pid", 0);
  let_be_ready(first);
  EXPECT_EQ(program.event("ready").value("pid", 0), first);
  let_be_ready(second);
  EXPECT_EQ(program.event("ready").value("pid", 0), second);
  EXPECT_EQ(program.event("restarted").value("pid", 0), second);
}

TEST_F(ready_by_pid, new_process_takes_the_place_of_an_old_one_that_dies) {
  activator program({"-v", "--now", write_unit()});
  const auto where = program.address();
  const int first = program.event("started").value("pid", 0);
  program.send(SIGHUP);
  const int second = program.event("started").value("pid", 0);
  ::kill(first, SIGKILL);
  EXPECT_TRUE(program.reports("web.service: killed by SIGKILL\n"));
  EXPECT_EQ(ask(where, "pid"), std::to_string(second));
  let_be_ready(second);
  EXPECT_EQ(program.event("ready").value("pid", 0), second);
  program.send(SIGHUP);
  const int third = program.event("started").value("pid", 0);
  let_be_ready(third);
  EXPECT_EQ(program.event("restarted").value("pid", 0), third);
  EXPECT_TRUE(program.reports("web.service: stopped\n"));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(count(program.errors(), "started as process"), 3U) << program.errors();
}

TEST_F(ready_by_pid, restart_follows_if_the_old_process_dies_during_another_one) {
  activator program({"--now", write_unit()});
  const int first = program.event("started").value("pid", 0);
  program.send(SIGHUP);
  const int second = program.event("started").value("pid", 0);
  program.send(SIGHUP);
  ::kill(first, SIGKILL);
  const int third = program.event("started").value("pid", 0);
  EXPECT_NE(third, second);
  let_be_ready(third);
  EXPECT_EQ(program.event("restarted").value("pid", 0), third);
}

TEST_F(web, every_connection_during_a_restart_is_served) {
  activator program({write("Type=notify\n", {"--ready"})});
  const auto where = program.address();
  int pid = std::stoi(ask(where, "pid"));
  for (int i = 0; i < 3; ++i) {
    program.send(SIGHUP);
    int other = pid;
    // A process that is stopped may have accepted the connection already.
    EXPECT_TRUE(eventually([&] {
      EXPECT_TRUE(accepts_connections(where));
      try {
        const auto reply = ask(where, "pid");
        if (!reply.empty()) other = std::stoi(reply);
      } catch (const std::system_error&) {
      }
      return other != pid;
    }));
    pid = other;
    program.event("restarted");
    EXPECT_TRUE(eventually([&] { return ask(where, "pid") == std::to_string(pid); }));
  }
}

TEST_F(web, old_process_stays_if_the_restart_fails) {
  activator program({"-q", write("Type=notify\n", {"--fail-when", there_ / "fail", "--ready"})});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  program.event("ready");
  create(there_ / "fail");
  program.send(SIGHUP);
  EXPECT_TRUE(program.reports("the old process stays\n"));
  EXPECT_EQ(program.errors(),
            "sd-activate: error: web.service: the restart failed: exited with status 3; the old process stays\n");
  EXPECT_EQ(ask(where, "pid"), pid);

  std::filesystem::remove(there_ / "fail");
  program.send(SIGHUP);
  EXPECT_NE(program.event("restarted").value("pid", 0), std::stoi(pid));
  EXPECT_TRUE(eventually([&] { return !is_running(std::stoi(pid)); }));
  EXPECT_NE(ask(where, "pid"), pid);
}

TEST_F(web, old_process_stays_if_the_new_one_cannot_be_started) {
  const auto unit = write("", {});
  const auto copy = there_ / "program";
  std::filesystem::copy_file(ACTIVATED_SERVICE, copy);
  std::ofstream(there_ / "web.service") << "[Service]\nExecStart=" << copy << '\n';
  activator program({"-q", unit});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  std::filesystem::remove(copy);
  program.send(SIGHUP);
  EXPECT_TRUE(program.reports("the old process stays\n"));
  EXPECT_EQ(program.errors(), "sd-activate: error: web.service: the restart failed: start " + copy +
                                  ": No such file or directory; the old process stays\n");
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(web, old_process_stays_if_a_new_one_that_does_not_notify_fails_at_once) {
  activator program({"-q", write_failing(there_ / "fail")});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  create(there_ / "fail");
  program.send(SIGHUP);
  EXPECT_TRUE(program.reports("web.service: the restart failed: exited with status 3; the old process stays\n"));
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(web, old_process_stays_if_the_new_one_is_not_ready_in_time) {
  activator program({"-q", write("Type=notify\nTimeoutStartSec=300ms\n", {"--ready-when", there_ / "ready"})});
  const auto where = program.address();
  create(there_ / "ready");
  const auto pid = ask(where, "pid");
  program.event("ready");
  std::filesystem::remove(there_ / "ready");
  program.send(SIGHUP);
  EXPECT_TRUE(program.reports("the old process stays\n"));
  EXPECT_EQ(program.errors(),
            "sd-activate: error: web.service: the restart failed: did not start in time; the old process stays\n");
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(web, old_process_that_does_not_stop_in_time_is_reported) {
  for (const std::string settings : {"", "FileDescriptorStoreMax=1\n"}) {
    activator program({"-q", write("TimeoutStopSec=100ms\n" + settings, {"--ignore", "15"})});
    EXPECT_NE(ask(program.address(), "pid"), "");
    program.send(SIGHUP);
    EXPECT_TRUE(program.reports("error: web.service: did not stop in time\n")) << settings;
  }
}

TEST_F(web, service_is_started_by_a_client_while_the_old_process_of_a_restart_stops) {
  activator program({"-q", write("Type=notify\n", {"--ready", "--handle", "15", there_ / "stopping"})});
  const auto where = program.address();
  const auto first = ask(where, "pid");
  program.send(SIGHUP);
  const int second = program.event("restarted").value("pid", 0);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "stopping"); }));
  for (const int pid : {second, std::stoi(first)}) {
    ::kill(pid, SIGKILL);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGKILL);
  }
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_FALSE(program.has_ended());
}

TEST_F(web, restart_of_a_service_that_does_not_run_does_nothing) {
  activator program({write("")});
  const auto where = program.address();
  program.send(SIGHUP);
  const auto pid = ask(where, "pid");
  EXPECT_EQ(program.event("started").value("pid", 0), std::stoi(pid));
}

// --- ends ------------------------------------------------------------------------------------------------------------

TEST_F(web, next_client_starts_the_service_after_its_end) {
  activator program({write("")});
  const auto where = program.address();
  const auto first = ask(where, "pid");
  EXPECT_EQ(ask(where, "exit 0"), "");
  EXPECT_EQ(program.event("exited").value("status", -1), 0);
  const auto second = ask(where, "pid");
  EXPECT_NE(second, first);
  EXPECT_EQ(ask(where, "pid"), second);
}

TEST_F(web, next_client_starts_the_service_after_a_crash) {
  activator program({"-q", write("")});
  const auto where = program.address();
  int pid = std::stoi(ask(where, "pid"));
  for (const int signal : {SIGKILL, SIGABRT, SIGSYS}) {  // sanitizers handle others
    ::kill(pid, signal);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + signal);
    const int next = std::stoi(ask(where, "pid"));
    EXPECT_NE(next, pid);
    pid = next;
  }
  EXPECT_THAT(program.errors(), HasSubstr("sd-activate: error: web.service: killed by SIGKILL\n"));
  EXPECT_THAT(program.errors(), HasSubstr("sd-activate: error: web.service: killed by SIGABRT\n"));
}

TEST_F(web, service_that_a_real_time_signal_kills_is_reported) {
  activator program({"-q", write("")});
  const auto where = program.address();
  const int pid = std::stoi(ask(where, "pid"));
  ::kill(pid, SIGRTMIN + 1);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGRTMIN + 1);
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_FALSE(program.has_ended());
}

TEST_F(web, connection_waits_while_a_crash_loop_backs_off) {
  activator program({"-q", write_failing(there_ / "fail")});
  create(there_ / "fail");
  const auto where = program.address();
  const auto client = sd::test::connect(where);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(program.event("exited").value("status", 0), 3);
  std::filesystem::remove(there_ / "fail");
  EXPECT_NE(sd::test::converse(client, "pid"), "");
  EXPECT_EQ(count(program.errors(), "fails at once; the next starts are delayed"), 1U) << program.errors();
}

TEST_F(web, what_waits_when_the_service_ends_is_discarded_with_flush_pending) {
  const auto unit = write("");
  std::ofstream(unit) << "[Socket]\nFlushPending=yes\nRemoveOnStop=yes\nListenDatagram=" << there_ / "datagram"
                      << "\nListenSequentialPacket=" << there_ / "packet"
                      << "\nListenFIFO=" << there_ / "fifo"
                      << "\nListenMessageQueue=/sd-activate-test-" << ::getpid()
                      << "\nMessageQueueMaxMessages=1\nMessageQueueMessageSize=1\nListenStream=" << there_ / "stream"
                      << '\n';
  activator program({"-q", unit});
  const int pid = [&] {
    program.addresses(5);
    return std::stoi(ask(there_ / "stream", "pid"));
  }();
  ::kill(pid, SIGSTOP);
  const auto save = [&](const char* name) { return "save " + (there_ / name); };
  const auto datagram = sd::test::connect(there_ / "datagram", SOCK_DGRAM);
  EXPECT_EQ(::send(datagram.get(), "", 0, 0), 0);
  sd::test::send(datagram, save("by-datagram"));
  const auto packet = sd::test::connect(there_ / "packet", SOCK_SEQPACKET);
  sd::test::send(packet, save("by-packet"));
  const auto stream = sd::test::connect(there_ / "stream");
  sd::test::send(stream, save("by-stream"));
  const auto second = sd::test::connect(there_ / "stream");
  sd::test::send(second, save("by-second"));
  std::ofstream(there_ / "fifo") << save("by-fifo") << std::flush;
  ::kill(pid, SIGKILL);
  program.event("exited");
  // The service would read what is left before it accepts the second one.
  const auto is_served = [&] {
    try {
      return !ask(there_ / "stream", "pid").empty();
    } catch (const std::system_error&) {
      return false;  // discarded as well
    }
  };
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(eventually(is_served));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(there_.entries(), Not(Contains(testing::StartsWith("by-"))));
}

TEST(once, exit_status_is_that_of_the_service) {
  struct {
    const char* script;
    int status;
    std::string errors;
  } const rows[] = {
      {"exit 0", 0, ""},
      {"exit 7", 7, "sd-activate: error: sh.service: exited with status 7\n"},
      {"kill -KILL $$", 128 + SIGKILL, "sd-activate: error: sh.service: killed by SIGKILL\n"},
      {"kill -TERM $$", 128 + SIGTERM, ""},
  };
  for (const auto& [script, status, errors] : rows) {
    const auto ended = run({"-q", "--once", "--now", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", script});
    EXPECT_EQ(ended.status, status) << script;
    EXPECT_EQ(ended.errors, errors) << script;
  }
}

TEST(once, exit_status_is_that_of_the_service_that_a_client_started) {
  const sd::test::directory there;
  activator program(with_service({"--once", "-l", there / "socket"}));
  program.address();
  EXPECT_EQ(ask(there / "socket", "exit 5"), "");
  EXPECT_EQ(program.wait(), 5);
  EXPECT_THAT(there.entries(), IsEmpty());
}

TEST_F(web, exit_status_that_counts_as_success_is_no_error) {
  const auto ended = run({"-q", "--once", "--now", write("SuccessExitStatus=3\n", {"--fail-when", "/"})});
  EXPECT_EQ(ended.status, 3);
  EXPECT_EQ(ended.errors, "");
}

// --- stops -----------------------------------------------------------------------------------------------------------

TEST(stop, signal_leaves_no_process_and_no_socket) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const sd::test::directory there;
    activator program(
        with_service({"-l", there / "a", "-s", "ListenDatagram=" + (there / "b"), "-s", "ListenFIFO=" + (there / "c"),
                      "-s", "ListenStream=" + (there / "d") + " Symlinks=" + (there / "e")}));
    program.addresses(4);
    const int pid = std::stoi(ask(there / "a", "pid"));
    EXPECT_EQ(there.entries().size(), 5U);
    EXPECT_EQ(program.stop(signal), 0);
    EXPECT_FALSE(is_running(pid));
    EXPECT_THAT(there.entries(), IsEmpty());
  }
}

TEST(stop, socket_of_a_service_that_never_started_is_removed) {
  const sd::test::directory there;
  activator program(with_service({"-l", there / "socket"}));
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(there.entries(), IsEmpty());
}

TEST_F(web, socket_of_a_unit_stays_as_under_systemd) {
  std::ofstream(there_ / "path.socket") << "[Socket]\nListenStream=" << there_ / "socket" << '\n';
  activator program(with_service({there_ / "path.socket"}));
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::exists(there_ / "socket"));
  activator again(with_service({there_ / "path.socket"}));
  again.address();
  EXPECT_NE(ask(there_ / "socket", "pid"), "");
}

TEST_F(web, runtime_directory_is_removed) {
  const std::string name = "sd-activate-test-" + std::to_string(::getpid());
  activator program({write("RuntimeDirectory=" + name + "\n")},
                    {{{"XDG_RUNTIME_DIR", there_.path()}}, {}, false, true});
  const auto path = ask(program.address(), "variable RUNTIME_DIRECTORY");
  EXPECT_TRUE(std::filesystem::is_directory(path)) << path;
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(web, runtime_directory_that_was_there_before_stays) {
  const std::string name = "sd-activate-test-" + std::to_string(::getpid());
  const auto directory = (::geteuid() == 0 ? "/run" : there_.path()) + '/' + name;
  std::filesystem::create_directory(directory);
  activator program({write("RuntimeDirectory=" + name + "\n")},
                    {{{"XDG_RUNTIME_DIR", there_.path()}}, {}, false, true});
  EXPECT_EQ(ask(program.address(), "variable RUNTIME_DIRECTORY"), directory);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(std::filesystem::remove(directory));
}

TEST_F(web, processes_that_the_service_started_are_stopped_with_it) {
  const auto unit = write("");
  std::ofstream(there_ / "web.service") << "[Service]\nExecStart=/bin/sh -c 'sleep 1000 & echo $! > "
                                        << there_ / "child"
                                        << "; wait'\n";
  activator program({"--now", unit});
  const int child = pid_in(there_ / "child");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(eventually([&] { return !is_running(child); }));
}

TEST_F(web, processes_that_ignore_the_signal_are_killed_with_the_service) {
  const auto unit = write("");
  std::ofstream(there_ / "web.service")
      << "[Service]\nTimeoutStopSec=200ms\nExecStart=/bin/sh -c \"(trap '' TERM; exec sh -c 'echo $$$$ > "
      << there_.path() << "/child; exec sleep 1000') & wait\"\n";
  activator program({"--now", unit});
  const int child = pid_in(there_ / "child");
  EXPECT_EQ(program.stop(), 0);
  const bool has_ended = eventually([&] { return !is_running(child); });
  EXPECT_TRUE(has_ended);
  if (!has_ended) ::kill(child, SIGKILL);
}

TEST_F(web, service_that_does_not_stop_in_time_is_killed) {
  activator program({"-q", write("TimeoutStopSec=200ms\n", {"--ignore", "15"})});
  const int pid = std::stoi(ask(program.address(), "pid"));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(pid));
  EXPECT_EQ(program.errors(),
            "sd-activate: warning: web.service: did not stop in time, and is killed\n"
            "sd-activate: error: web.service: did not stop in time\n");
}

TEST_F(ready_by_pid, stop_during_a_restart_is_no_failure_of_the_restart) {
  activator program({"-q", "--now", write_unit()});
  let_be_ready(program.event("started").value("pid", 0));
  program.event("ready");
  program.send(SIGHUP);
  const int second = program.event("started").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(second));
  EXPECT_EQ(program.errors(), "");
}

TEST_F(web, stop_waits_for_the_new_process_of_a_restart) {
  activator program(
      {"-q", "--now",
       write("Type=notify\nTimeoutStopSec=300ms\n", {"--ignore", "15", "--ready-when", there_ / "ready"})});
  const auto where = program.address();
  create(there_ / "ready");
  const int first = program.event("ready").value("pid", 0);
  std::filesystem::remove(there_ / "ready");
  program.send(SIGHUP);
  const int second = program.event("started").value("pid", 0);
  EXPECT_TRUE(eventually([&] { return ask(where, "pid") == std::to_string(second); }));
  program.send(SIGTERM);
  ::kill(first, SIGKILL);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_THAT(program.remaining_events(), ElementsAre("exited", "exited"));
}

TEST_F(web, stop_waits_for_the_old_process_of_a_restart) {
  activator program({"-q", "--now", write("Type=notify\nTimeoutStopSec=1s\n", {"--ready", "--ignore", "15"})});
  program.event("ready");
  program.send(SIGHUP);
  const int second = program.event("restarted").value("pid", 0);
  program.send(SIGTERM);
  ::kill(second, SIGKILL);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_THAT(program.remaining_events(), ElementsAre("exited", "exited"));
}

TEST_F(web, new_process_of_a_restart_does_not_replace_the_old_one_after_a_stop) {
  activator program({"-q", "--now", write("TimeoutStopSec=600ms\n", {"--ignore", "15"})});
  EXPECT_NE(ask(program.address(), "pid"), "");
  program.event("started");
  program.send(SIGHUP);
  program.event("started");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.remaining_events(), Not(Contains("restarted")));
}

TEST_F(web, second_signal_kills_the_service) {
  activator program({"-q", write("", {"--handle", "15", there_ / "stopped"})});
  const int pid = std::stoi(ask(program.address(), "pid"));
  program.send(SIGTERM);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "stopped"); }));
  EXPECT_TRUE(is_running(pid));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(pid));
  EXPECT_THAT(program.errors(), HasSubstr("sd-activate: warning: killing what has not stopped yet\n"));
}

TEST_F(web, unit_chooses_the_signal) {
  activator program({write("KillSignal=SIGUSR1\n", {"--handle", "15", there_ / "stopped"})});
  const int pid = std::stoi(ask(program.address(), "pid"));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(pid));
  EXPECT_FALSE(std::filesystem::exists(there_ / "stopped"));
}

TEST_F(web, other_signals_are_forwarded) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGQUIT, SIGWINCH}) {
    const auto file = there_ / std::to_string(signal);
    activator program(with_service({"-l", "127.0.0.1:0"}, {"--handle", std::to_string(signal), file}));
    const auto where = program.address();
    program.send(signal);  // to nobody
    EXPECT_NE(ask(where, "pid"), "");
    program.send(signal);
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(file); })) << signal;
    EXPECT_EQ(program.stop(), 0);
  }
}

TEST(stop, killed_activator_takes_the_service_with_it) {
  const sd::test::directory there;
  activator program(with_service({"-l", there / "socket"}));
  program.address();
  const int pid = std::stoi(ask(there / "socket", "pid"));
  EXPECT_EQ(program.stop(SIGKILL), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
}

TEST(stop, path_that_a_killed_activator_left_is_used_again) {
  const sd::test::directory there;
  for (int i = 0; i < 3; ++i) {
    activator program(with_service({"-l", there / "socket", "-s", "ListenFIFO=" + (there / "fifo"), "-s",
                                    "ListenDatagram=" + (there / "datagram")}));
    program.addresses(3);
    EXPECT_NE(ask(there / "socket", "pid"), "");
    EXPECT_EQ(program.stop(SIGKILL), 128 + SIGKILL);
    EXPECT_FALSE(there.entries().empty());
  }
  activator program(with_service({"-l", there / "socket"}));
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(there / "socket"));
}

}  // namespace
