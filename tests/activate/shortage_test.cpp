// SPDX-License-Identifier: MIT OR Apache-2.0
// Too few descriptors, processes or memory: clients wait, and sd-activate does not keep trying without a pause.
#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "running.hpp"
#include "tracing.hpp"
#include "web.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
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
#include <utility>

namespace {

using namespace std::chrono_literals;
using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::count;
using sd::activate::test::count_descriptors;
using sd::activate::test::eventually;
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
  // One service has one client at a time.
  std::ofstream(there_ / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n"
                                       << (how_run.accepts ? "ListenStream=127.0.0.1:0\nAccept=yes\n" : "");
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
  const auto where = program.addresses(how_run.accepts ? 2 : 1);
  const auto descriptors = count_descriptors(program.pid());
  if (lacking.resource) limit(program.pid(), *lacking.resource, 0, how.is_unprivileged);

  auto waiting = sd::test::connect_many(clients / 2, where.front());
  for (auto& each : sd::test::connect_many(clients / 2, where.back())) waiting.push_back(std::move(each));
  EXPECT_TRUE(program.reports(lacking.reason)) << program.errors();
  const auto before = count_calls();
  const auto begin = clock::now();
  std::this_thread::sleep_for(1s);
  const auto calls = count_calls() - before;
  const auto seconds = std::chrono::duration<double>(clock::now() - begin).count();
  EXPECT_GT(calls, 0U);
  EXPECT_LE(static_cast<double>(calls), calls_per_second * seconds);
  RecordProperty("calls", static_cast<int>(calls));
  // One client at most has left the queue. An attempt to serve it has some more for a moment.
  EXPECT_TRUE(eventually([&] { return count_descriptors(program.pid()) <= descriptors + 1; }));

  if (lacking.resource) {
    limit(program.pid(), *lacking.resource, lacking.enough, how.is_unprivileged);
  } else {
    stop_tracing(program.pid());
  }
  const auto* const request = how_run.accepts ? "variable REMOTE_ADDR" : "pid";
  for (const auto& each : waiting) {
    const auto reply = sd::test::converse(each, request);
    EXPECT_TRUE(how_run.accepts ? reply == "127.0.0.1" : !reply.empty()) << reply << program.errors();
  }
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

// --- a service for each connection -----------------------------------------------------------------------------------

class clients_of_processes_wait : public testing::TestWithParam<const char*> {
 protected:
  /// Writes the units of a service for each connection. Returns the path of the socket unit.
  [[nodiscard]] std::string write(const std::string& settings, const std::string& command = ACTIVATED_SERVICE) const {
    std::ofstream(there_ / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
    std::ofstream(there_ / "web@.service") << "[Service]\nExecStart=" << command << '\n' << GetParam() << settings;
    return there_ / "web.socket";
  }

  sd::test::directory there_;
};

TEST_P(clients_of_processes_wait, and_a_warning_follows_only_after_a_success) {
  activator program({"-q", write("")});
  const auto where = program.address();
  const std::string warning = "sd-activate: warning: web.socket: clients wait: Too many open files\n";
  const auto expect_shortage = [&](const std::string& request, std::size_t warnings) {
    limit(program.pid(), RLIMIT_NOFILE, 0, false);
    const auto client = sd::test::connect(where);
    EXPECT_TRUE(eventually([&] { return count(program.errors(), warning) == warnings; })) << program.errors();
    std::this_thread::sleep_for(250ms);  // two more attempts
    EXPECT_EQ(count(program.errors(), warning), warnings);
    limit(program.pid(), RLIMIT_NOFILE, 256, false);
    sd::test::converse(client, request);
    program.event("exited");
  };
  expect_shortage("exit 9", 1);
  EXPECT_TRUE(program.reports(": exited with status 9\n"));
  expect_shortage("exit 0", 1);
  expect_shortage("pid", 2);
  EXPECT_EQ(count(program.errors(), "\n"), 3U) << program.errors();
  EXPECT_EQ(program.stop(), 0);
}

TEST_P(clients_of_processes_wait, if_a_file_cannot_be_opened) {
  const auto file = there_ / "variables";
  std::ofstream(file) << "NAME=value\n";
  activator program({"-q", write("EnvironmentFile=" + file + '\n')});
  const auto where = program.address();
  const auto directory = "/proc/" + std::to_string(program.pid()) + "/fd/";
  rlim_t next = 0;
  while (std::filesystem::is_symlink(directory + std::to_string(next))) ++next;
  limit(program.pid(), RLIMIT_NOFILE, next + 1, false);  // enough for the connection
  const auto client = sd::test::connect(where);
  EXPECT_TRUE(program.reports("clients wait: Too many open files\n")) << program.errors();
  limit(program.pid(), RLIMIT_NOFILE, 256, false);
  EXPECT_EQ(sd::test::converse(client, "variable NAME"), "value");
  EXPECT_EQ(program.stop(), 0);
}

TEST_P(clients_of_processes_wait, and_are_not_served_while_sd_activate_stops) {
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: the limit would be that of this user's processes";
  std::filesystem::permissions(there_.path(), std::filesystem::perms::all);
  std::ofstream(there_ / "script")
      << "exec 2>/dev/null\ntrap 'echo stopping' TERM\necho ready\nwhile :; do sleep 0.02; done\n";
  activator program({"-q", write("StandardInput=socket\n", "/bin/sh " + (there_ / "script"))}, {{}, {}, true, true});
  const auto where = program.address();
  const auto first = sd::test::connect(where);
  char byte = 0;
  for (const char each : std::string("ready\n")) {
    ASSERT_EQ(::recv(first.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, each);
  }
  limit(program.pid(), RLIMIT_NPROC, 0, true);
  const auto second = sd::test::connect(where);
  EXPECT_TRUE(program.reports("Resource temporarily unavailable\n")) << program.errors();
  program.send(SIGTERM);
  EXPECT_EQ(::recv(first.get(), &byte, 1, 0), 1);
  limit(program.pid(), RLIMIT_NPROC, RLIM_INFINITY, true);
  std::this_thread::sleep_for(250ms);  // in which it would be served
  program.send(SIGINT);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_LE(::recv(second.get(), &byte, 1, 0), 0);
}

INSTANTIATE_TEST_SUITE_P(of, clients_of_processes_wait, testing::Values("", "ExecStartPre=/bin/true\n"),
                         [](const auto& each) { return *each.param == '\0' ? "one_process" : "more_commands"; });

// --- memory ----------------------------------------------------------------------------------------------------------

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
