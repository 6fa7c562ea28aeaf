// SPDX-License-Identifier: MIT OR Apache-2.0
// Too few descriptors, processes or memory: clients wait, and sd-activate does not keep trying without a pause.
#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "running.hpp"
#include "tracing.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>

namespace {

using namespace std::chrono_literals;
using sd::activate::test::activator;
using sd::activate::test::circumstances;
using clock = std::chrono::steady_clock;

constexpr std::size_t clients = 8;
constexpr double calls_per_second = 100;  ///< that are enough for an attempt every 0.1 s

/// What there is too little of.
struct shortage {
  const char* name;
  /// Its limit becomes 0. If there is none, strace makes each start of a process fail.
  std::optional<__rlimit_resource> resource;
  rlim_t enough;
  const char* reason;
  bool needs_another_user;
};
std::ostream& operator<<(std::ostream& stream, const shortage& value) { return stream << value.name; }

/// How the service is run.
struct way {
  const char* name;
  bool accepts;
  const char* settings;
};
std::ostream& operator<<(std::ostream& stream, const way& value) { return stream << value.name; }

/// Sets the soft limit of a running process, which can be raised again. The process may be one of another user.
void limit(int pid, __rlimit_resource resource, rlim_t soft, bool is_unprivileged) {
  constexpr unsigned nobody = 65534;
  constexpr auto same = static_cast<unsigned>(-1);
  if (is_unprivileged) {
    ASSERT_EQ(::setresgid(nobody, same, same), 0);
    ASSERT_EQ(::setresuid(nobody, same, same), 0);
  }
  rlimit limits{};
  EXPECT_EQ(::prlimit(pid, resource, nullptr, &limits), 0);
  limits.rlim_cur = std::min(soft, limits.rlim_max);
  EXPECT_EQ(::prlimit(pid, resource, &limits, nullptr), 0);
  if (is_unprivileged) {
    ASSERT_EQ(::setresuid(0, same, same), 0);
    ASSERT_EQ(::setresgid(0, same, same), 0);
  }
}

class clients_wait : public testing::TestWithParam<std::tuple<shortage, way>> {
 protected:
  void SetUp() override {
    const auto reason = sd::activate::test::reason_not_to_trace();
    if (!reason.empty()) GTEST_SKIP() << "SKIPPED: " << reason;
    // Another user writes the trace.
    std::filesystem::permissions(there_.path(), std::filesystem::perms::all);
  }

  /// Ends the strace of a process.
  static void stop_tracing(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (std::string name, value; file >> name && std::getline(file, value);) {
      if (name == "TracerPid:") ::kill(std::stoi(value), SIGTERM);
    }
  }

  /// Returns how many attempts and wake-ups the trace contains so far.
  [[nodiscard]] std::size_t count_calls() const {
    std::size_t count = 0;
    std::ifstream trace(there_ / "trace");
    for (std::string line; std::getline(trace, line);) {
      const auto name = std::string_view(line).substr(0, line.find('('));
      const bool is_start = name == "clone" || name == "clone3" || name == "vfork" || name == "fork";
      if (is_start || name == "accept4" || name == "epoll_wait" || name == "epoll_pwait") ++count;
    }
    return count;
  }

  sd::test::directory there_;
};

TEST_P(clients_wait, and_nothing_spins) {
  const auto& [lacking, how_run] = GetParam();
  if (lacking.needs_another_user && ::geteuid() != 0) {
    GTEST_SKIP() << "SKIPPED: the limit would be that of this user's processes";
  }
  std::ofstream(there_ / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept="
                                       << (how_run.accepts ? "yes" : "no") << '\n';
  std::ofstream(there_ / (how_run.accepts ? "web@.service" : "web.service"))
      << how_run.settings << "ExecStart=" ACTIVATED_SERVICE "\n";
  circumstances how;
  how.is_unprivileged = lacking.needs_another_user;
  // -D: the program is the child of this process; -I2: SIGTERM ends strace
  how.program = {STRACE, "-D", "-I2", "-qq", "-o", there_ / "trace"};
  if (!lacking.resource) {
    // The first one probes what the system can do.
    how.program.insert(how.program.end(), {"-e", "inject=clone,clone3,vfork,fork:error=ENOMEM:when=2+"});
  }
  how.program.emplace_back(SD_ACTIVATE);
  activator program({"-q", there_ / "web.socket"}, how);
  const auto where = program.address();
  if (lacking.resource) limit(program.pid(), *lacking.resource, 0, how.is_unprivileged);

  const auto waiting = sd::test::connect_many(clients, where);
  EXPECT_TRUE(program.reports(lacking.reason)) << program.errors();
  const auto before = count_calls();
  const auto begin = clock::now();
  std::this_thread::sleep_for(1s);
  const auto calls = count_calls() - before;
  const auto seconds = std::chrono::duration<double>(clock::now() - begin).count();
  EXPECT_GT(calls, 0U);
  EXPECT_LE(static_cast<double>(calls), calls_per_second * seconds);
  RecordProperty("calls", static_cast<int>(calls));

  if (lacking.resource) {
    limit(program.pid(), *lacking.resource, lacking.enough, how.is_unprivileged);
  } else {
    stop_tracing(program.pid());
  }
  for (const auto& each : waiting) EXPECT_NE(sd::test::converse(each, "pid"), "") << program.errors();
  EXPECT_EQ(program.stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    of, clients_wait,
    testing::Combine(testing::Values(shortage{"descriptors", RLIMIT_NOFILE, 256, "Too many open files", false},
                                     shortage{"processes", RLIMIT_NPROC, RLIM_INFINITY,
                                              "Resource temporarily unavailable", true},
                                     shortage{"memory", std::nullopt, 0, "Cannot allocate memory", false}),
                     testing::Values(way{"a_process_each", true, "[Service]\n"},
                                     way{"commands_each", true, "[Service]\nExecStartPre=/bin/true\n"},
                                     way{"one_service", false, "[Service]\n"},
                                     way{"one_service_with_a_start_limit", false,
                                         "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=1000000\n[Service]\n"})),
    [](const auto& each) {
      return std::string(std::get<0>(each.param).name) + "_and_" + std::get<1>(each.param).name;
    });

/// Runs a service that cannot be prepared, because a socket for its messages would be one descriptor too many.
TEST(shortage_of_descriptors, keeps_a_service_that_notifies_from_starting) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
  std::ofstream(there / "web.service") << "[Service]\nType=notify\nRestart=on-abnormal\nExecStart=" ACTIVATED_SERVICE
                                          " --ready\n";
  {
    activator program({"-v", there / "web.socket"});
    const auto where = program.address();
    limit(program.pid(), RLIMIT_NOFILE, 0, false);
    const auto client = sd::test::connect(where);
    EXPECT_TRUE(program.reports("Too many open files\n"));
    limit(program.pid(), RLIMIT_NOFILE, 256, false);
    EXPECT_NE(sd::test::converse(client, "pid"), "");
    EXPECT_EQ(program.errors().find("the next start follows"), std::string::npos) << program.errors();
  }
  activator program({"--once", there / "web.socket"});
  const auto where = program.address();
  limit(program.pid(), RLIMIT_NOFILE, 0, false);
  const auto client = sd::test::connect(where);
  EXPECT_EQ(program.wait(), sd::activate::test::exit_failure);
}

/// The services themselves have enough.
TEST(shortage_of_memory, in_sd_activate_loses_no_client) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer needs memory of its own";
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the limit would be that of the emulator";
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\nMaxConnections=1000\n";
  std::ofstream(there / "web@.service")
      << "[Service]\nLimitAS=infinity\nExecStartPre=/bin/true\nStandardInput=socket\nExecStart=/bin/cat\n";
  activator program({"-q", there / "web.socket"});
  const auto where = program.address();
  program.stop_reading_events();
  EXPECT_EQ(sd::test::ask(where, "hello"), "hello");
  limit(program.pid(), RLIMIT_AS, 0, false);
  const auto waiting = sd::test::connect_many(100, where);
  EXPECT_TRUE(program.reports("Cannot allocate memory"));
  limit(program.pid(), RLIMIT_AS, RLIM_INFINITY, false);
  for (const auto& each : waiting) EXPECT_EQ(sd::test::converse(each, "hello"), "hello") << program.errors();
  EXPECT_EQ(program.stop(), 0);
}

}  // namespace
