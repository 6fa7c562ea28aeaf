// SPDX-License-Identifier: MIT OR Apache-2.0
// Services that are stopped because nobody uses them, and the clients that come at that moment.
#include "check.hpp"
#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::eventually;
using sd::activate::test::is_running;
using sd::activate::test::run;
using sd::activate::test::with_service;
using sd::activate::test::words;
using sd::test::ask;
using sd::test::check;
using testing::HasSubstr;

const circumstances unprivileged = {{}, {}, true, true};

// --- stops -----------------------------------------------------------------------------------------------------------

TEST(stop_idle, service_that_nobody_uses_is_stopped_and_started_again) {
  activator program(with_service({"--stop-idle", "200ms", "-l", "127.0.0.1:0"}), unprivileged);
  const auto where = program.address();
  int before = 0;
  for (int i = 0; i < 3; ++i) {
    const int pid = std::stoi(ask(where, "pid"));
    EXPECT_NE(pid, before);
    EXPECT_EQ(program.event("idle").value("pid", 0), pid);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM);
    EXPECT_FALSE(is_running(pid));
    before = pid;
  }
  EXPECT_THAT(program.errors(), HasSubstr("sd-activate: activated_service.service: stopping: not used for 0.2 s\n"));
  EXPECT_EQ(program.stop(), 0);
}

TEST(stop_idle, service_that_was_started_at_once_is_stopped) {
  activator program(with_service({"--now", "--stop-idle", "200ms", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  const int pid = program.event("started").value("pid", 0);
  EXPECT_EQ(program.event("idle").value("pid", 0), pid);
  EXPECT_NE(ask(where, "pid"), std::to_string(pid));
}

/// Connections of 0.5 s each keep a service that would be stopped after 0.1 s.
TEST(stop_idle, service_with_a_connection_is_not_stopped) {
  const sd::test::directory there;
  const auto name = "@sd-idle-" + std::to_string(::getpid());
  for (const auto& listen : {std::string("127.0.0.1:0"), there / "socket", name}) {
    activator program(with_service({"--stop-idle", "100ms", "-l", listen, "-l", "127.0.0.1:0"}));
    const auto where = program.addresses(2);
    const auto client = sd::test::connect(where[0]);
    const int pid = program.event("ready").value("pid", 0);
    EXPECT_TRUE(sd::test::accepts_connections(where[1]));
    std::this_thread::sleep_for(500ms);
    EXPECT_EQ(sd::test::converse(client, "pid"), std::to_string(pid)) << listen;
    EXPECT_EQ(program.event("idle").value("pid", 0), pid);
  }
}

TEST(stop_idle, service_that_keeps_receiving_messages_is_not_stopped) {
  const sd::test::directory there;
  for (const auto& listen : {std::string("127.0.0.1:0"), there / "socket"}) {
    activator program(with_service({"--stop-idle", "1s", "-d", "-l", listen}));
    const auto where = program.address();
    const auto pid = ask(where, "pid", SOCK_DGRAM);
    for (int i = 0; i < 60; ++i) {
      std::this_thread::sleep_for(25ms);
      EXPECT_EQ(ask(where, "pid", SOCK_DGRAM), pid);
    }
    EXPECT_EQ(program.event("idle").value("pid", 0), std::stoi(pid));
    EXPECT_NE(ask(where, "pid", SOCK_DGRAM), pid);
  }
}

TEST(stop_idle, all_processes_of_the_service_are_stopped) {
  activator program(with_service({"--now", "--stop-idle", "100ms", "-l", "127.0.0.1:0"}, {"--processes", "5"}));
  const int main = program.event("idle").value("pid", 0);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM);
  EXPECT_TRUE(eventually([&] { return ::kill(-main, 0) < 0; }));
}

TEST(stop_idle, service_that_handles_the_signal_is_not_left_suspended) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
  std::ofstream file(there / "web.service");
  file << "[Service]\nKillMode=mixed\nExecStart=/bin/sh -c \"trap 'touch " << there / "handled"
       << "; exit 1' TERM; while :; do sleep 0.01; done\"\n";
  file.close();
  activator program({"--now", "--stop-idle", "100ms", there / "web.socket"});
  const auto where = program.address();
  program.event("idle");
  EXPECT_EQ(program.event("exited").value("status", 0), 1);
  EXPECT_TRUE(std::filesystem::exists(there / "handled"));
  // A failure of a service that was asked to stop does not delay its next start.
  const auto client = sd::test::connect(where);
  program.event("started");
  EXPECT_THAT(program.errors(), Not(HasSubstr("fails at once")));
}

TEST(stop_idle, with_once_ends_sd_activate) {
  activator program(with_service({"--once", "--now", "--stop-idle", "100ms", "-l", "127.0.0.1:0"}));
  EXPECT_EQ(program.wait(), 0);
  EXPECT_THAT(program.errors(), HasSubstr("stopping: not used for 0.1 s\n"));
}

TEST(stop_idle, restart_is_not_disturbed) {
  activator program(with_service({"--now", "--stop-idle", "200ms", "-l", "127.0.0.1:0"}));
  const int first = program.event("ready").value("pid", 0);
  program.send(SIGHUP);
  const int second = program.event("restarted").value("pid", 0);  // after 0.3 s
  EXPECT_NE(second, first);
  EXPECT_EQ(program.event("idle").value("pid", 0), second);
}

TEST(stop_idle, old_process_of_a_restart_is_awaited) {
  activator program(
      with_service({"--now", "--stop-idle", "100ms", "-l", "127.0.0.1:0"}, {"--ignore", std::to_string(SIGTERM)}));
  EXPECT_NE(ask(program.address(), "pid"), "");  // it ignores the signal by now
  const int first = program.event("ready").value("pid", 0);
  program.send(SIGHUP);
  const int second = program.event("restarted").value("pid", 0);
  std::this_thread::sleep_for(300ms);
  ::kill(first, SIGKILL);
  program.event("exited");
  EXPECT_EQ(program.event("idle").value("pid", 0), second);
}

/// A service with unit files.
class stop_idle_of_unit : public sd::activate::test::web {};

TEST_F(stop_idle_of_unit, service_that_is_starting_is_not_stopped) {
  activator program({"--now", "--stop-idle", "100ms", write("Type=notify\n", {"--ready-when", there_ / "ready"})});
  const int pid = program.event("started").value("pid", 0);
  std::this_thread::sleep_for(300ms);
  sd::activate::test::create(there_ / "ready");
  EXPECT_EQ(program.event("ready").value("pid", 0), pid);
  EXPECT_EQ(program.event("idle").value("pid", 0), pid);
}

TEST(stop_idle, service_has_the_whole_time) {
  const auto begin = std::chrono::steady_clock::now();
  activator program(with_service({"--now", "--stop-idle", "500ms", "-l", "127.0.0.1:0"}));
  program.event("idle");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 500ms);
}

TEST_F(stop_idle_of_unit, looks_are_rare) {
  activator program({"--stop-idle", "1h", write("FileDescriptorStoreMax=1\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
  program.send(SIGHUP);
  program.event("restarted");
  const auto used = [&] {
    std::uint64_t nanoseconds = 0;
    std::ifstream("/proc/" + std::to_string(program.pid()) + "/schedstat") >> nanoseconds;
    return std::chrono::nanoseconds(nanoseconds);
  };
  const auto before = used();
  if (before == 0ns) GTEST_SKIP() << "SKIPPED: the kernel does not count the time of processes";
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(used() - before, 50ms);
}

TEST_F(stop_idle_of_unit, only_a_client_starts_the_service_again) {
  activator program({"-v", "--now", "--stop-idle", "100ms", write("Restart=always\nRestartSec=0\n")});
  const auto where = program.address();
  const int pid = program.event("idle").value("pid", 0);
  program.event("exited");
  EXPECT_NE(ask(where, "pid"), std::to_string(pid));
  EXPECT_THAT(program.errors(), Not(HasSubstr("the next start follows")));
}

// --- errors ----------------------------------------------------------------------------------------------------------

TEST(stop_idle, wrong_times_and_combinations_are_errors) {
  for (const auto* const time : {"", "0", "x", "-1", "infinity"}) {
    const auto result = run(with_service({"-l", "127.0.0.1:0", std::string("--stop-idle=") + time}));
    EXPECT_EQ(result.status, 2) << time;
    EXPECT_THAT(result.errors, HasSubstr("--stop-idle")) << time;
  }
  const auto accepting = run(with_service({"-a", "--stop-idle", "1", "-l", "127.0.0.1:0"}));
  EXPECT_EQ(accepting.status, 2);
  EXPECT_THAT(accepting.errors, HasSubstr("sd-activate: --stop-idle and --accept exclude each other"));
  const auto unit = run(with_service({"--stop-idle", "1", "-s", "ListenStream=127.0.0.1:0 Accept=yes"}));
  EXPECT_EQ(unit.status, 3);
  EXPECT_THAT(unit.errors, HasSubstr("--stop-idle needs a socket without Accept=yes"));
}

TEST(stop_idle, proc_must_be_there_and_be_that_of_its_namespace) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer needs /proc";
  const struct {
    words program;
    std::string error;
  } rows[] = {
      {{"unshare", "--mount", "/bin/sh", "-euc", "mount -t tmpfs tmpfs /proc; exec \"$0\" \"$@\""},
       "No such file or directory"},
      {{"unshare", "--pid", "--fork", "--kill-child"}, "No such process"},
  };
  for (const auto& row : rows) {
    circumstances how;
    how.program = row.program;
    how.program.emplace_back("true");
    how.has_events = false;
    const auto trial = run({}, how);
    if (trial.status != 0) GTEST_SKIP() << "SKIPPED: cannot make a namespace: " << trial.errors;
    how.program.back() = SD_ACTIVATE;
    EXPECT_EQ(run(with_service({"-q", "--stop-idle", "1", "-l", "127.0.0.1:0"}), how).errors,
              "sd-activate: error: --stop-idle: /proc: " + row.error + '\n');
  }
}

TEST(stop_idle, socket_whose_use_cannot_be_seen_is_an_error) {
  const auto result = run(with_service({"--stop-idle", "1", "-l", "127.0.0.1:0", "-s", "ListenSpecial=/dev/full"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, HasSubstr("/dev/full"));
}

// --- clients at that moment ------------------------------------------------------------------------------------------

/// A service, and the clients that come as it is stopped.
struct race {
  const char* name;
  const char* address;
  words options;
};

class stop_idle_race : public testing::TestWithParam<race> {};

/// Returns what the service replies until it closes the connection.
std::string reply_on(const sd::unique_fd& connection) {
  std::string reply;
  std::array<char, 256> buffer;
  for (ssize_t size = 0; (size = check(::recv(connection.get(), buffer.data(), buffer.size(), 0), "recv")) > 0;) {
    reply.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return reply;
}

/// Clients come in pairs. The time at which they come follows the moment of the stop: it is later if the last pair came
/// too early, and otherwise earlier.
TEST_P(stop_idle_race, loses_no_client) {
  const char* const wanted = std::getenv("SD_TEST_IDLE_CLIENTS");
  const int clients = wanted == nullptr ? 300 : std::stoi(wanted);
  const sd::test::directory there;
  const std::string address = GetParam().address;
  activator program(with_service({"-q", "--stop-idle", "10ms", "-l", address == "PATH" ? there / "socket" : address},
                                 GetParam().options));
  const auto where = program.address();
  program.stop_reading_events();
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp,cert-msc32-c): the same in each run
  const auto some_time = [&] { return std::chrono::microseconds(std::uniform_int_distribution<int>(0, 400)(random)); };
  auto last = ask(where, "variable LISTEN_PID");
  std::chrono::microseconds delay = 15ms;
  bool was_late = false;
  int row = 0;  ///< of pairs that were all too late, or all too early
  int stops = 0;
  std::vector<std::string> lost;
  for (int i = 0; i < clients; i += 2) {
    std::this_thread::sleep_for(delay + some_time());
    std::array<std::string, 2> replies;
    try {
      std::array<sd::unique_fd, 2> pair;
      for (auto& each : pair) {
        each = sd::test::connect(where);
        sd::test::send(each, "variable LISTEN_PID");
        std::this_thread::sleep_for(some_time());
      }
      for (std::size_t j = 0; j < pair.size(); ++j) replies.at(j) = reply_on(pair.at(j));
    } catch (const std::exception& error) {
      lost.emplace_back(error.what());
      continue;
    }
    for (const auto& each : replies) {
      if (each.empty()) lost.emplace_back("closed without a reply");
    }
    const bool is_late = replies[0] != last;
    stops += replies[1] == last ? 0 : 1;
    last = replies[1];
    row = is_late == was_late ? row + 1 : 0;
    was_late = is_late;
    delay += some_time() * (is_late ? -1 : 1) * (1 + row / 4);  // faster if the machine was or is busy
  }
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(lost, testing::IsEmpty());
  EXPECT_GE(stops, clients / 2 / 10);
  RecordProperty("stops", stops);
  if (wanted != nullptr) std::cout << clients << " clients, " << stops << " stops, " << lost.size() << " lost\n";
}

INSTANTIATE_TEST_SUITE_P(of, stop_idle_race,
                         testing::Values(race{"tcp", "127.0.0.1:0", {}}, race{"unix", "PATH", {}},
                                         race{"processes", "127.0.0.1:0", {"--processes", "4"}},
                                         race{"threads", "127.0.0.1:0", {"--threads", "4"}}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
