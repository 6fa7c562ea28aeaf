// SPDX-License-Identifier: MIT OR Apache-2.0
// Each example of examples/frameworks that is part of this build, out of descriptors and with hostile clients.

#include <sd/socket.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "examples.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::test::connect;
using sd::test::connect_many;
using sd::test::flood;
using sd::test::protocol;
using sd::test::send;

/// The time that a thread has spent running, and waiting for a processor, in nanoseconds.
struct thread_time {
  std::uint64_t running = 0;
  std::uint64_t waiting_for_a_processor = 0;
};

/// Returns the times of the threads of a process, by thread id.
std::map<std::string, thread_time> thread_times(int pid) {
  std::map<std::string, thread_time> times;
  std::error_code ended;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ended)) {
    thread_time time;
    if (std::ifstream(task.path() / "schedstat") >> time.running >> time.waiting_for_a_processor) {
      times[task.path().filename()] = time;
    }
  }
  return times;
}

/// Watches the process for a second, and returns the load of its busiest thread in percent. The time in which the
/// thread waits for a processor does not count, so that a loop that never sleeps has a load of about 100 even if the
/// machine is busy.
int load_of(int pid) {
  const auto before = thread_times(pid);
  const auto start = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(1s);
  const auto after = thread_times(pid);
  const std::chrono::nanoseconds watched = std::chrono::steady_clock::now() - start;
  std::int64_t load = 0;
  for (auto [thread, time] : after) {
    if (const auto earlier = before.find(thread); earlier != before.end()) {
      time.running -= earlier->second.running;
      time.waiting_for_a_processor -= earlier->second.waiting_for_a_processor;
    }
    const auto available = watched.count() - static_cast<std::int64_t>(time.waiting_for_a_processor);
    load = std::max(load, static_cast<std::int64_t>(time.running) * 100 / std::max<std::int64_t>(available, 1'000'000));
  }
  return static_cast<int>(load);
}

/// Returns the most memory that the process has had resident, in bytes.
std::size_t peak_memory_of(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::size_t kibibytes = 0;
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") status >> kibibytes;
  }
  return kibibytes * 1024;
}

std::size_t descriptors_of(int pid) {
  std::error_code ended;
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", ended);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Waits until the number of the process's descriptors does not change any more. Gives up after a while, because a
/// library may open a descriptor for each call.
void wait_until_settled(int pid) {
  std::size_t last = 0;
  for (int looks = 0, unchanged = 0; looks < 500 && unchanged < 20; ++looks) {
    const auto now = descriptors_of(pid);
    unchanged = now == last ? unchanged + 1 : 0;
    last = now;
    std::this_thread::sleep_for(10ms);
  }
}

struct scenario {
  sd::test::example server;
  bool over_unix;
};

std::ostream& operator<<(std::ostream& out, const scenario& scenario) {
  return out << scenario.server.program << (scenario.over_unix ? " over unix" : " over TCP");
}

std::vector<scenario> scenarios() {
  std::vector<scenario> all;
  for (const auto& server : sd::test::built_examples()) {
    all.push_back({server, false});
    if (server.adopts_unix) all.push_back({server, true});
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<scenario>& info) {
  return sd::test::test_name(info.param.server.framework + (info.param.over_unix ? "_unix" : "_tcp"));
}

class exhaustion : public testing::TestWithParam<scenario> {
 protected:
  exhaustion() {
    const auto where = GetParam().over_unix ? directory_ / "socket" : "127.0.0.1:0";
    fds_.push_back(sd::testing::open(sd::kind::stream, where));
    address_ = to_string(sd::describe(fds_.front().fd.get()).local);
  }

  /// Starts the example with a limit on its descriptors, and collects what it logs.
  [[nodiscard]] sd::testing::process start(int descriptors,
                                           const std::map<std::string, std::string>& environment = {}) const {
    const auto command = "ulimit -n " + std::to_string(descriptors) + R"( && exec "$0" >"$1" 2>&1)";
    return {{"/bin/sh", "-c", command, server().path(), log_}, fds_, environment};
  }

  [[nodiscard]] static const sd::test::example& server() { return GetParam().server; }
  [[nodiscard]] static bool is(const std::string& framework) { return server().framework == framework; }

  /// A request whose reply contains "hello\n" and leaves the connection open.
  [[nodiscard]] static std::string request() {
    return server().speaks == protocol::http ? "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" : "hello\n";
  }

  /// Expects that the server sleeps and logs little, and then stops.
  void expect_quiet(sd::testing::process& process) const {
    wait_until_settled(process.pid());
    EXPECT_LT(load_of(process.pid()), 30) << log();
    EXPECT_LT(lines_logged(), 100) << log();
    EXPECT_EQ(process.stop(), 0) << log();
  }

  /// Expects that a server with this many descriptors serves this many clients that are there at the same time, and
  /// then another one.
  void expect_all_served(int descriptors, std::size_t count) const;

  [[nodiscard]] std::ptrdiff_t lines_logged() const {
    std::ifstream file(log_);
    return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  }

  [[nodiscard]] std::string log() const {
    std::ifstream file(log_);
    std::string text(1000, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
  }

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  sd::test::directory directory_;
  std::string log_ = directory_ / "log";
  std::vector<sd::listen_fd> fds_;
  std::string address_;
};

constexpr const char* zeromq_needs_descriptors =
    "SKIPPED: libzmq aborts or spins without free descriptors, see docs/frameworks/zeromq.md";

TEST_P(exhaustion, neither_spins_nor_floods_the_log) {
  if (is("zeromq")) GTEST_SKIP() << zeromq_needs_descriptors;
  auto process = start(24);
  const auto clients = connect_many(60, address());
  expect_quiet(process);
}

/// Waits for the reply of each client, which then leaves. Returns the number of clients that got one.
std::size_t serve_all(std::vector<sd::unique_fd> clients) {
  std::size_t served = 0;
  std::vector<std::string> replies(clients.size());
  while (!clients.empty()) {
    std::vector<pollfd> readable;
    readable.reserve(clients.size());
    for (const auto& client : clients) readable.push_back({client.get(), POLLIN, 0});
    if (::poll(readable.data(), readable.size(), 20000) <= 0) break;
    for (auto i = clients.size(); i-- > 0;) {
      if (readable[i].revents == 0) continue;
      std::array<char, 4096> buffer;
      const ssize_t n = ::recv(clients[i].get(), buffer.data(), buffer.size(), 0);
      if (n > 0) replies[i].append(buffer.data(), static_cast<std::size_t>(n));
      const bool complete = replies[i].find("hello\n") != std::string::npos;
      if (complete) ++served;
      if (!complete && n > 0) continue;
      clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
      replies.erase(replies.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return served;
}

void exhaustion::expect_all_served(int descriptors, std::size_t count) const {
  auto process = start(descriptors);
  auto clients = connect_many(count, address());
  if (server().speaks == protocol::own) {  // a client that waits cannot speak it
    wait_until_settled(process.pid());
    clients.clear();
  } else {
    for (const auto& client : clients) send(client, request());
    wait_until_settled(process.pid());
    EXPECT_EQ(serve_all(std::move(clients)), count) << log();
  }
  talk(server(), address());
  EXPECT_EQ(process.stop(), 0) << log();
}

TEST_P(exhaustion, serves_waiting_clients_when_others_leave) {
  if (is("zeromq")) GTEST_SKIP() << zeromq_needs_descriptors;
  expect_all_served(24, 60);
}

TEST_P(exhaustion, serves_many_clients_at_a_time) { expect_all_served(1024, 300); }

/// Returns the environment in which the first calls of accept(2) fail.
std::map<std::string, std::string> failing_accept(int error, int failures) {
  return {{"LD_PRELOAD", FAILING_CALLS},
          {"ACCEPT_ERROR", std::to_string(error)},
          {"ACCEPT_FAILURES", std::to_string(failures)}};
}

TEST_P(exhaustion, neither_spins_nor_floods_the_log_while_accept_fails) {
  if (is("zeromq")) GTEST_SKIP() << zeromq_needs_descriptors;
  if (is("microhttpd")) {
    GTEST_SKIP()
        << "SKIPPED: libmicrohttpd spins if accept fails while it has no client, see docs/frameworks/microhttpd.md";
  }
  auto process = start(1024, failing_accept(ENOBUFS, 1'000'000'000));
  const auto client = connect(address());
  expect_quiet(process);
}

TEST_P(exhaustion, failures_of_accept_do_no_harm) {
  if (is("zeromq")) GTEST_SKIP() << zeromq_needs_descriptors;
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    auto process = start(1024, failing_accept(error, 3));
    talk(server(), address());
    EXPECT_EQ(process.stop(), 0) << std::generic_category().message(error) << '\n' << log();
  }
}

TEST_P(exhaustion, threads_that_cannot_be_started_do_not_hang_the_server) {
  if (server().speaks == protocol::own)
    GTEST_SKIP() << "SKIPPED: the example's client cannot wait for a reply or for the server's end";
  for (int threads = 0; threads < 4; ++threads) {
    auto process = start(1024, {{"LD_PRELOAD", FAILING_CALLS}, {"THREADS", std::to_string(threads)}});
    const auto client = connect(address());
    send(client, request());
    pollfd readable{client.get(), POLLIN, 0};
    siginfo_t end{};
    for (int i = 0; i < 1000 && readable.revents == 0 && end.si_pid == 0; ++i) {
      ::poll(&readable, 1, 10);
      ::waitid(P_PID, static_cast<id_t>(process.pid()), &end, WEXITED | WNOHANG | WNOWAIT);
    }
    EXPECT_TRUE(readable.revents != 0 || end.si_pid != 0)
        << "neither a reply nor the end with " << threads << " threads";
  }
}

TEST_P(exhaustion, silent_clients_do_not_keep_others_waiting) {
  auto process = start(1024);
  const auto silent = connect_many(30, address());
  talk(server(), address());
  EXPECT_EQ(process.stop(), 0) << log();
}

TEST_P(exhaustion, clients_that_leave_at_once_do_no_harm) {
  auto process = start(24);
  for (int i = 0; i < 100; ++i) {
    auto client = connect(address());
    if (i % 3 == 0) send(client, request());  // a client that does not read the reply
    if (i % 2 == 0) {
      const linger reset{1, 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
  }
  talk(server(), address());
  EXPECT_EQ(process.stop(), 0) << log();
}

TEST_P(exhaustion, half_requests_and_garbage_do_no_harm) {
  auto process = start(24);
  const auto clients = connect_many(6, address());
  send(clients[0], request().substr(0, 3));
  send(clients[1], request().substr(0, request().size() - 1));
  send(clients[2], std::string(1000, '\xff'));
  send(clients[3], std::string(1000, '\0'));
  send(clients[4], "\r\n\r\n\r\nPOST / HTTP/9.9\r\nContent-Length: -1\r\n\r\n");
  // clients[5] sends nothing.
  talk(server(), address());
  EXPECT_EQ(process.stop(), 0) << log();
}

TEST_P(exhaustion, a_client_that_never_reads_takes_bounded_memory) {
  constexpr std::size_t megabyte = 1'048'576;
  auto process = start(24);
  const auto client = connect(address());
  std::string words;
  while (words.size() < 65536) words += request();
  const auto before = peak_memory_of(process.pid());
  flood(client, words, 64 * megabyte);
  EXPECT_LT(peak_memory_of(process.pid()) - before, 32 * megabyte);
  talk(server(), address());
  EXPECT_EQ(process.stop(), 0) << log();
}

INSTANTIATE_TEST_SUITE_P(of, exhaustion, testing::ValuesIn(scenarios()), name_of);

}  // namespace
