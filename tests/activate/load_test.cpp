// SPDX-License-Identifier: MIT OR Apache-2.0
// Restarts and kills while clients connect at a steady rate. scripts/restarts and scripts/soak run these tests with
// more of each, set by the variables SD_RATE, SD_RESTARTS, SD_KILLS and SD_SOAK_SECONDS, and for what they print.
//
// A service that is killed takes the connections with it that it has accepted. The connections in the queue of the
// socket must survive. The journal of the service tells these cases apart: see accepting.cpp.
#include <sd/unique_fd.hpp>

#include "accepting.hpp"
#include "check.hpp"
#include "client.hpp"
#include "descriptor_limit.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "running.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::unique_fd;
using sd::activate::test::activator;
using sd::activate::test::count_descriptors;
using sd::activate::test::eventually;
using sd::activate::test::is_running;
using sd::test::check;
using sd::test::descriptor_limit;
using clock = std::chrono::steady_clock;

constexpr auto patience = 20s;  // with the clients that are left at the end

int number_from(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::stoi(text);
}

// --- clients ---------------------------------------------------------------------------------------------------------

enum class outcome { waiting, answered, refused, lost };

/// Connects clients at a steady rate, whether or not the ones before were served, until it is stopped. Each sends its
/// number and expects it back.
class load {
 public:
  /// @param where The path of a unix socket, or ADDRESS:PORT.
  load(std::string where, int per_second) : where_(std::move(where)), per_second_(per_second) {
    thread_ = std::async(std::launch::async, [this] { run(); });
  }
  load(const load&) = delete;
  load& operator=(const load&) = delete;
  ~load() { is_stopped_ = true; }  // the future waits for the thread

  /// Waits until this many more clients have connected.
  void wait_for(int count) const {
    const auto target = started_ + static_cast<std::size_t>(count);
    EXPECT_TRUE(eventually([&] { return started_ >= target; }));
  }

  /// Waits until another client is answered.
  void wait_for_answer() const {
    const auto before = answered_.load();
    EXPECT_TRUE(eventually([&] { return answered_ > before; }));
  }

  /// Waits for the last clients.
  void stop() {
    is_stopped_ = true;
    thread_.get();
  }

  // What follows may be called after stop().
  [[nodiscard]] std::size_t count(outcome which) const {
    return static_cast<std::size_t>(
        std::count_if(clients_.begin(), clients_.end(), [&](const auto& each) { return each.result == which; }));
  }
  [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }
  /// Returns the numbers of the clients that were neither answered nor refused.
  [[nodiscard]] std::vector<std::uint32_t> lost() const {
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].result == outcome::lost || clients_[i].result == outcome::waiting) all.push_back(i);
    }
    return all;
  }
  /// Prints the number of clients and how long they waited, from the moment at which they should have connected.
  void print(const std::string& title, std::size_t never_accepted) const {
    std::vector<double> milliseconds;
    for (const auto& each : clients_) {
      if (each.result == outcome::answered) milliseconds.push_back(each.latency);
    }
    if (milliseconds.empty()) return;
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto percentile = [&](double part) {
      return milliseconds[static_cast<std::size_t>(part * static_cast<double>(milliseconds.size() - 1))];
    };
    std::cout << title << ": " << size() << " clients, " << std::fixed << std::setprecision(0)
              << static_cast<double>(size()) / seconds_ << " per second: " << count(outcome::answered) << " answered, "
              << count(outcome::refused) << " refused, " << lost().size() << " lost, " << never_accepted
              << " of them in the queue; ms: " << std::setprecision(2) << percentile(0.5) << " p50, "
              << percentile(0.99) << " p99, " << milliseconds.back() << " max" << std::endl;
  }

 private:
  struct client {
    unique_fd fd;
    clock::time_point start;
    outcome result = outcome::waiting;
    bool has_sent = false;
    double latency = 0;
  };

  void run() {
    const auto interval = std::chrono::nanoseconds(1s) / per_second_;
    const unique_fd timer(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create"));
    const itimerspec period{{0, interval.count()}, {0, interval.count()}};
    check(::timerfd_settime(timer.get(), 0, &period, nullptr), "timerfd_settime");
    watch(EPOLL_CTL_ADD, timer.get(), EPOLLIN, sd::activate::test::accepting);
    const auto start = clock::now();
    clock::time_point end;
    while (!is_stopped_ || open_ > 0) {
      std::array<epoll_event, 64> events;
      const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 100);
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.u32 != sd::activate::test::accepting) {
          proceed(event.data.u32);
          continue;
        }
        std::uint64_t ignored = 0;
        if (::read(timer.get(), &ignored, sizeof ignored) < 0) continue;
        for (auto next = start + interval * clients_.size(); !is_stopped_ && next <= clock::now(); next += interval) {
          connect(next);
        }
      }
      if (!is_stopped_) end = clock::now();
      if (clock::now() > end + patience) break;
    }
    seconds_ = std::chrono::duration<double>(end - start).count();
  }

  void watch(int operation, int fd, std::uint32_t events, std::uint32_t number) {
    epoll_event event{};
    event.events = events;
    event.data.u32 = number;
    check(::epoll_ctl(epoll_.get(), operation, fd, &event), "epoll_ctl");
  }

  /// Connects the next client, whose own address contains its number.
  void connect(clock::time_point start) {
    const auto number = static_cast<std::uint32_t>(clients_.size());
    auto& next = clients_.emplace_back();
    ++started_;
    next.start = start;
    const bool is_unix = where_[0] == '/';
    next.fd.reset(
        check(::socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
    const int result = is_unix ? connect_unix(next.fd.get(), number) : connect_inet(next.fd.get(), number);
    if (result < 0 && errno != EINPROGRESS) return finish(next, outcome::refused);
    ++open_;
    watch(EPOLL_CTL_ADD, next.fd.get(), EPOLLOUT, number);
  }

  [[nodiscard]] int connect_unix(int fd, std::uint32_t number) const {
    const auto name =
        "sd-load-" + std::to_string(::getpid()) + '-' + std::to_string(epoll_.get()) + '-' + std::to_string(number);
    sockaddr_un own{AF_UNIX, {}};
    name.copy(own.sun_path + 1, name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&own), size), "bind");
    sockaddr_un peer{AF_UNIX, {}};
    where_.copy(peer.sun_path, sizeof peer.sun_path - 1);
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  }

  [[nodiscard]] int connect_inet(int fd, std::uint32_t number) const {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number);
    const int yes = 1;
    check(::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes), "IP_BIND_ADDRESS_NO_PORT");
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.sin_port = htons(static_cast<std::uint16_t>(std::stoi(where_.substr(where_.rfind(':') + 1))));
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  }

  void proceed(std::uint32_t number) {
    auto& each = clients_[number];
    const auto text = std::to_string(number);
    if (!each.has_sent) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(each.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == ECONNREFUSED) return close(each, outcome::refused);
      if (::send(each.fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return close(each, outcome::lost);
      each.has_sent = true;
      return watch(EPOLL_CTL_MOD, each.fd.get(), EPOLLIN, number);
    }
    std::array<char, 64> buffer;
    const auto received = ::recv(each.fd.get(), buffer.data(), buffer.size(), 0);
    const bool is_answered =
        received > 0 && text == std::string_view(buffer.data(), static_cast<std::size_t>(received));
    close(each, is_answered ? outcome::answered : outcome::lost);
  }

  void close(client& each, outcome result) {
    --open_;
    if (result == outcome::answered) ++answered_;
    finish(each, result);
  }

  static void finish(client& each, outcome result) {
    each.fd.reset();
    each.result = result;
    each.latency = std::chrono::duration<double, std::milli>(clock::now() - each.start).count();
  }

  std::string where_;
  int per_second_;
  std::atomic<bool> is_stopped_ = false;
  unique_fd epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  std::vector<client> clients_;
  std::atomic<std::size_t> started_ = 0;
  std::atomic<std::size_t> answered_ = 0;
  std::size_t open_ = 0;
  double seconds_ = 0;
  std::future<void> thread_;
};

// --- what a process has ----------------------------------------------------------------------------------------------

/// Returns the number of processes that descend from a process, including those that have ended but were not reaped.
std::size_t count_descendants(int ancestor) {
  std::multimap<int, int> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto pid = static_cast<int>(std::strtol(entry.path().filename().c_str(), nullptr, 10));  // 0: not a process
    std::ifstream file(entry.path() / "status");
    for (std::string name, value; pid != 0 && file >> name && std::getline(file, value);) {
      if (name == "PPid:") children.emplace(std::stoi(value), pid);
    }
  }
  std::vector<int> found = {ancestor};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto [begin, end] = children.equal_range(found[i]);
    std::transform(begin, end, std::back_inserter(found), [](const auto& each) { return each.second; });
  }
  return found.size() - 1;
}

/// Returns the memory of a process that is not that of files, in kB.
int anonymous_memory(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string name, value; file >> name && std::getline(file, value);) {
    if (name == "RssAnon:") return std::stoi(value);
  }
  return 0;
}

// --- tests -----------------------------------------------------------------------------------------------------------

struct kind {
  const char* name;
  bool is_unix;
  const char* type;  ///< of the service
};

std::ostream& operator<<(std::ostream& stream, const kind& value) { return stream << value.name; }

class under_load : public testing::TestWithParam<kind> {
 protected:
  void SetUp() override {
    std::ofstream(there_ / "echo.socket")
        << "[Socket]\nListenStream=" << (GetParam().is_unix ? there_ / "socket" : "127.0.0.1:0") << '\n';
    write_service();
  }

  void write_service(const std::string& options = "", const std::string& unit_section = "") const {
    std::ofstream(there_ / "echo.service")
        << unit_section << "[Service]\nType=" << GetParam().type << "\nExecStart=" ACCEPTING_SERVICE " "
        << there_ / "journal" << options << '\n';
  }

  static std::string title(int count, const std::string& what) {
    return std::to_string(count) + ' ' + what + ", " + GetParam().name;
  }

  /// Returns how many of these clients the service has not accepted. It is unknown for at most one client of each
  /// process that was killed between two records of the journal; these count as accepted.
  [[nodiscard]] std::size_t count_never_accepted(const std::vector<std::uint32_t>& clients) const {
    std::ifstream file(there_ / "journal", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    std::set<std::uint32_t> accepted;
    std::size_t unknown = 0;
    for (std::size_t at = 0; at + sizeof(std::uint32_t) <= bytes.size(); at += sizeof(std::uint32_t)) {
      std::uint32_t record = 0;
      std::memcpy(&record, bytes.data() + at, sizeof record);
      if (record == sd::activate::test::accepting) {
        ++unknown;
        continue;
      }
      --unknown;
      accepted.insert(record);
    }
    const auto never = static_cast<std::size_t>(
        std::count_if(clients.begin(), clients.end(), [&](auto number) { return accepted.count(number) == 0; }));
    return never - std::min(never, unknown);
  }

  sd::test::directory there_;
  const descriptor_limit raised_{descriptor_limit::current().rlim_max};  ///< for clients that wait at once
  const int per_second_ = number_from("SD_RATE", 300);
};

TEST_P(under_load, restarts_lose_no_client) {
  const int restarts = number_from("SD_RESTARTS", 5);
  activator program({"-q", there_ / "echo.socket"});
  load clients(program.address(), per_second_);
  program.event("ready");
  for (int i = 0; i < restarts; ++i) {
    clients.wait_for(per_second_ / 2);
    program.send(SIGHUP);
    program.event("restarted");
  }
  program.event("exited");
  clients.stop();
  clients.print(title(restarts, "restarts"), count_never_accepted(clients.lost()));
  EXPECT_EQ(program.errors(), "");
  EXPECT_EQ(clients.count(outcome::refused), 0U);
  EXPECT_EQ(clients.lost().size(), 0U);
  EXPECT_EQ(program.stop(), 0);
}

/// Half of the kills come within 25 ms of the start, some of them before the service is ready.
TEST_P(under_load, kills_of_the_service_lose_no_client_in_the_queue) {
  const int kills = number_from("SD_KILLS", 20);
  const std::size_t processes = GetParam().is_unix ? 2 : 1;
  // A start limit takes the place of the pauses after short runs.
  write_service(processes == 2 ? " --two" : "", "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=1000000\n");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // for processes that sd-activate leaves
  const auto others = count_descendants(::getpid());
  activator program({"-q", there_ / "echo.socket"});
  load clients(program.address(), per_second_);
  int pid = program.event("started").value("pid", 0);
  program.event("ready");
  const auto descriptors = count_descriptors(program.pid());
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp,cert-msc32-c): the same in each run
  std::uniform_real_distribution<double> part(0, 1);
  for (int i = 0; i < kills; ++i) {
    ASSERT_GT(pid, 0);
    std::this_thread::sleep_for(200ms * std::pow(part(random), 3));
    ::kill(pid, SIGKILL);
    program.event("exited");
    pid = program.event("started").value("pid", 0);
  }
  program.event("ready");
  clients.stop();
  const auto never_accepted = count_never_accepted(clients.lost());
  clients.print(title(kills, "kills of the service"), never_accepted);
  EXPECT_EQ(clients.count(outcome::refused), 0U);
  EXPECT_EQ(never_accepted, 0U);
  EXPECT_LE(clients.lost().size(), static_cast<std::size_t>(kills));  // it serves one client at a time
  EXPECT_TRUE(eventually([&] { return count_descriptors(program.pid()) == descriptors; }))
      << count_descriptors(program.pid()) << " descriptors, and " << descriptors << " before";
  EXPECT_TRUE(eventually([&] { return count_descendants(program.pid()) == processes; }))
      << count_descendants(program.pid()) << " processes of the service";
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(count_descendants(::getpid()), others);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_P(under_load, killed_activator_takes_the_service_with_it_and_can_be_started_again) {
  activator killed({"-q", there_ / "echo.socket"});
  load clients(killed.address(), per_second_);
  const int pid = killed.event("ready").value("pid", 0);
  ASSERT_GT(pid, 0);
  clients.wait_for(per_second_ / 4);
  EXPECT_EQ(killed.stop(SIGKILL), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
  clients.wait_for(1);
  clients.stop();
  EXPECT_GT(clients.count(outcome::refused), 0U);  // nobody has the socket any more

  activator program({"-q", there_ / "echo.socket"});
  load more(program.address(), per_second_);
  program.event("ready");
  more.wait_for(per_second_ / 4);
  more.stop();
  EXPECT_EQ(more.count(outcome::refused), 0U);
  EXPECT_EQ(more.lost().size(), 0U);
  EXPECT_EQ(program.stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(of, under_load,
                         testing::Values(kind{"tcp_and_notify", false, "notify"},
                                         kind{"unix_and_simple", true, "simple"}),
                         [](const auto& each) { return each.param.name; });

// --- soak ------------------------------------------------------------------------------------------------------------

constexpr int connections_per_second = 20;  ///< with a process each

/// Restarts and kills a service and lets it be stopped when it is idle, while it has clients, and others have a process
/// each. Half of those are started with another command before.
TEST(soak, memory_and_descriptors_do_not_grow) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer needs memory of its own";
  const auto end = clock::now() + std::chrono::seconds(number_from("SD_SOAK_SECONDS", 1));
  const int per_second = number_from("SD_RATE", 300);
  const bool prints = std::getenv("SD_SOAK_SECONDS") != nullptr;
  const descriptor_limit raised(descriptor_limit::current().rlim_max);
  const sd::test::directory there;
  std::ofstream(there / "own.socket") << "[Socket]\nAccept=yes\nMaxConnections=4096\nListenStream=" << there / "own"
                                      << '\n';
  std::ofstream(there / "own@.service")
      << "[Service]\nExecStartPre=/bin/true\nStandardInput=socket\nExecStart=/bin/cat\n";
  activator program({"-q", "--stop-idle", "200ms", "-l", "127.0.0.1:0", "-s",
                     "ListenStream=" + there / "plain" + " Accept=yes MaxConnections=4096", "--", ACCEPTING_SERVICE,
                     there / "journal"});
  const auto address = program.address();
  activator other({"-q", there / "own.socket"});
  other.address();
  other.stop_reading_events();

  struct sampled {
    const activator& program;
    std::size_t descriptors;  ///< without a service
    std::vector<int> memory;  ///< in kB, after each round
  };
  std::array<sampled, 2> all = {
      {{program, count_descriptors(program.pid()), {}}, {other, count_descriptors(other.pid()), {}}}};
  std::size_t served = 0;
  std::size_t kills = 0;
  std::size_t lost = 0;
  const auto add = [&](load& clients) {
    clients.stop();
    EXPECT_EQ(clients.count(outcome::refused), 0U);
    served += clients.count(outcome::answered);
    return clients.lost().size();
  };
  // More processes at once than later, when the machine may be busy for a moment: the memory for them may stay.
  for (const auto* const name : {"plain", "own"}) {
    for (const auto& each : sd::test::connect_many(100, there / name)) EXPECT_EQ(sd::test::converse(each, "x"), "x");
  }
  for (int round = 0; round < 3 || clock::now() < end; ++round) {
    load clients(address, per_second);
    load with_process(there / "plain", connections_per_second);
    load with_processes(there / "own", connections_per_second);
    for (int i = 0; i < 2; ++i) {
      clients.wait_for(per_second / 2);
      program.send(SIGHUP);
      const int pid = program.event("restarted").value("pid", 0);
      ASSERT_GT(pid, 0);
      clients.wait_for(per_second / 2);
      ::kill(pid, SIGKILL);
      ++kills;
      while (program.event("exited").value("status", 128 + SIGKILL) != 128 + SIGKILL) continue;
      clients.wait_for_answer();
    }
    lost += add(clients);
    EXPECT_EQ(add(with_process), 0U);
    EXPECT_EQ(add(with_processes), 0U);
    program.event("idle");
    if (prints) std::cout << served << " clients, " << lost << " lost by " << kills << " kills";
    for (auto& each : all) {
      const int pid = each.program.pid();
      EXPECT_TRUE(eventually([&] { return count_descendants(pid) == 0; }));
      EXPECT_TRUE(eventually([&] { return count_descriptors(pid) == each.descriptors; }))
          << count_descriptors(pid) << " descriptors, and " << each.descriptors << " before";
      each.memory.push_back(anonymous_memory(pid));
      if (prints) std::cout << "; " << count_descriptors(pid) << " descriptors, " << each.memory.back() << " kB";
    }
    if (prints) std::cout << std::endl;
  }
  EXPECT_LE(lost, kills);
  for (const auto& each : all) {
    EXPECT_LE(each.memory.back(), each.memory.at(each.memory.size() / 4) + 64);
  }
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(other.stop(), 0);
}

}  // namespace
