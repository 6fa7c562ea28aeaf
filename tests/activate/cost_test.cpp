// SPDX-License-Identifier: MIT OR Apache-2.0
// The system calls that a connection with a process of its own costs.

#include "client.hpp"
#include "directory.hpp"
#include "running.hpp"
#include "tracing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::words;

constexpr int connections = 20;

class cost : public testing::Test {
 protected:
  void SetUp() override {
    const auto reason = sd::activate::test::reason_not_to_trace();
    if (!reason.empty()) GTEST_SKIP() << "SKIPPED: " << reason;
  }

  /// Serves connections one after the other, and returns how often each system call is made for one. A call of a child,
  /// up to the execution of its program, is marked by a "+".
  std::map<std::string, double> calls_of_a_connection(words arguments, const std::string& text) {
    const std::string trace = there_ / "trace";
    const std::string socket = there_ / "socket";
    circumstances how;
    how.has_events = false;
    how.program = {STRACE, "-D",  "-ff",      "-qq",
                   "-o",   trace, SD_ACTIVATE};  // -D: the program is the child of this process
    activator program(std::move(arguments), how);
    EXPECT_TRUE(program.reports("listening on"));
    static_cast<void>(sd::test::ask(socket, text));  // the first connection costs more
    for (int i = 0; i < connections; ++i) static_cast<void>(sd::test::ask(socket, text));
    const auto pid = std::to_string(program.pid());
    program.stop();
    return count(pid);
  }

  [[nodiscard]] std::string socket() const { return there_ / "socket"; }

 private:
  /// Counts in the traces, of which each process has one.
  std::map<std::string, double> count(const std::string& pid) {
    // These are made for all connections that wait, and all processes that have ended.
    static const std::set<std::string> waiting = {"epoll_wait", "epoll_pwait", "epoll_ctl", "read"};
    std::map<std::string, double> calls;
    int accepted = 0;
    std::ifstream parent(there_ / ("trace." + pid));
    for (std::string line; std::getline(parent, line);) {
      const auto name = line.substr(0, line.find('('));
      const bool found_none = line.find("EAGAIN") != std::string::npos || line.find("ECHILD") != std::string::npos ||
                              (name == "wait4" && line.ends_with("= 0"));
      if (name.size() == line.size() || found_none || waiting.count(name) != 0) continue;
      if (name == "accept4") ++accepted;
      if (accepted > 1 && accepted <= connections) calls[name] += 1.0 / (connections - 1);
    }
    EXPECT_EQ(accepted, connections + 1);
    int children = 0;
    for (const auto& entry : std::filesystem::directory_iterator(there_.path())) {
      const auto file = entry.path().filename().string();
      if (!file.starts_with("trace.") || file == "trace." + pid) continue;
      std::ifstream child(entry.path());
      std::map<std::string, double> own;
      std::string name;
      for (std::string line; name != "execve" && std::getline(child, line);) {
        name = line.substr(0, line.find('('));
        own['+' + name] += 1.0 / (connections + 1);
      }
      if (name != "execve" || own.size() == 1) continue;  // that which probes what the system can do, and strace
      ++children;
      for (const auto& [call, number] : own) calls[call] += number;
    }
    EXPECT_EQ(children, connections + 1);
    return calls;
  }

  sd::test::directory there_;
};

double sum(const std::map<std::string, double>& calls) {
  double all = 0;
  for (const auto& [_, number] : calls) all += number;
  return all;
}

TEST_F(cost, inetd_connection_costs_12_system_calls) {
  const auto calls = calls_of_a_connection({"-a", "--inetd", "-l", socket(), "--", "/bin/true"}, "");
  EXPECT_LE(sum(calls), 12.2) << testing::PrintToString(calls);
  EXPECT_EQ(calls.count("+rt_sigaction"), 0U);
}

// Where the kernel has pidfs, LISTEN_PIDFDID takes three of them.
TEST_F(cost, passed_connection_costs_15_system_calls) {
  const auto calls = calls_of_a_connection({"-a", "-l", socket(), "--", "/bin/true"}, "");
  EXPECT_LE(sum(calls), 15.2) << testing::PrintToString(calls);
}

}  // namespace
