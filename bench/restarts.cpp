// SPDX-License-Identifier: MIT OR Apache-2.0
// restarts UNITS [ROUNDS [SECONDS [RESTARTS [RATE]]]]: restarts servers while clients connect at a steady rate, each in
// turn. UNITS is a directory with the socket units "plain" and "quick", which listen on ports 21800 and 21801. systemd
// has loaded the same units if the variable SD_SYSTEMD is set.
//
// Prints a line for each client and for each restart: server, round, seconds since the start, what happened
// (answered, refused, reset, unanswered, or restart), milliseconds until the reply, and the process that replied or
// that is restarted. The clients start on schedule, whether or not those before were served, and the milliseconds
// count from then.
#include "servers.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <thread>

namespace {

using bench::check;
using bench::words;
using clock = std::chrono::steady_clock;

// Servers that open their port again have a port each, because bind(2) looks at all its connections in TIME_WAIT.
constexpr int plain_port = 21800;
constexpr int quick_port = 21801;
constexpr int first_own_port = 21802;
constexpr auto patience = std::chrono::seconds(12);  // with the clients that are left at the end
constexpr std::uint32_t timer_number = UINT32_MAX;

struct plan {
  int rounds;
  int seconds;
  int restarts;
  int rate;
};

/// How a server is restarted: by a signal to the process that serves, by SIGHUP to sd-activate, or by a command.
enum class way { none, terminate, kill, hang_up, command };

struct contender {
  std::string name;
  words command;  ///< starts the server, or what keeps it running, or has systemd listen
  int port;
  way how;
  words restart = {};
  words stop = {};  ///< has systemd stop
};

struct client {
  int fd = -1;
  clock::time_point start;
  const char* result = nullptr;  ///< null while it waits
  bool has_sent = false;
  double milliseconds = 0;
  int server = 0;
};

struct restart {
  clock::time_point time;
  int server;
};

/// Connects clients at a steady rate and waits for the replies.
class load {
 public:
  load(int port, int rate)
      : where_(bench::address_of(port)), interval_(std::chrono::nanoseconds(1'000'000'000 / rate)) {}
  load(const load&) = delete;
  load& operator=(const load&) = delete;
  ~load() { ::close(epoll_); }

  /// Returns the process that replied last, or 0.
  [[nodiscard]] int server() const { return server_; }
  [[nodiscard]] const std::vector<client>& clients() const { return clients_; }

  void run(clock::time_point start, std::chrono::seconds length) {
    const int timer = check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
    const itimerspec period{{0, interval_.count()}, {0, interval_.count()}};
    check(::timerfd_settime(timer, 0, &period, nullptr), "timerfd_settime");
    watch(EPOLL_CTL_ADD, timer, EPOLLIN, timer_number);
    clients_.reserve(static_cast<std::size_t>(length / interval_) + 1);
    const auto end = start + length;
    while (clock::now() < end || (open_ > 0 && clock::now() < end + patience)) {
      std::array<epoll_event, 64> events;
      const int count = ::epoll_wait(epoll_, events.data(), events.size(), 100);
      for (int i = 0; i < count; ++i) {
        const auto number = events[static_cast<std::size_t>(i)].data.u32;
        if (number != timer_number) {
          proceed(clients_[number]);
          continue;
        }
        std::uint64_t ignored = 0;
        if (::read(timer, &ignored, sizeof ignored) < 0) continue;
        for (auto next = start + interval_ * clients_.size(); next <= clock::now() && next < end; next += interval_) {
          connect(next);
        }
      }
    }
    ::close(timer);
    for (auto& each : clients_) {
      if (each.result == nullptr) finish(each, "unanswered");
    }
  }

 private:
  void watch(int operation, int fd, std::uint32_t events, std::uint32_t number) const {
    epoll_event event{};
    event.events = events;
    event.data.u32 = number;
    check(::epoll_ctl(epoll_, operation, fd, &event), "epoll_ctl");
  }

  /// Connects the next client, from an address of its own, so that there are always enough free ports.
  void connect(clock::time_point start) {
    const auto number = static_cast<std::uint32_t>(clients_.size());
    auto& next = clients_.emplace_back();
    next.start = start;
    next.fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    ++open_;
    auto own = bench::address_of(0);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number);
    const int yes = 1;
    check(::setsockopt(next.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes), "IP_BIND_ADDRESS_NO_PORT");
    check(::bind(next.fd, reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    const int result = ::connect(next.fd, reinterpret_cast<const sockaddr*>(&where_), sizeof where_);
    if (result < 0 && errno != EINPROGRESS) return finish(next, errno == ECONNREFUSED ? "refused" : "reset");
    watch(EPOLL_CTL_ADD, next.fd, EPOLLOUT, number);
  }

  void proceed(client& each) {
    if (!each.has_sent) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(each.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == ECONNREFUSED) return finish(each, "refused");
      if (::send(each.fd, "?", 1, MSG_NOSIGNAL) < 0) return finish(each, "reset");
      each.has_sent = true;
      return watch(EPOLL_CTL_MOD, each.fd, EPOLLIN, static_cast<std::uint32_t>(&each - clients_.data()));
    }
    std::array<char, 16> reply;
    const auto size = ::recv(each.fd, reply.data(), reply.size(), 0);
    if (size < 2) return finish(each, "reset");
    each.server = bench::number_of({reply.data(), static_cast<std::size_t>(size - 1)});
    server_ = each.server;
    finish(each, "answered");
  }

  void finish(client& each, const char* result) {
    // Closing is not enough: a child that has not executed its program yet still has the descriptor.
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, each.fd, nullptr);
    ::close(each.fd);
    --open_;
    each.result = result;
    each.milliseconds = std::chrono::duration<double, std::milli>(clock::now() - each.start).count();
  }

  sockaddr_in where_;
  std::chrono::nanoseconds interval_;
  int epoll_ = check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::vector<client> clients_;
  std::size_t open_ = 0;
  std::atomic<int> server_ = 0;
};

bool is_served(int port) {
  const int fd = bench::connect_to(port);
  if (fd < 0) return false;
  char reply[16];
  const bool is_answered = ::send(fd, "?", 1, MSG_NOSIGNAL) == 1 && ::read(fd, reply, sizeof reply) > 0;
  ::close(fd);
  return is_answered;
}

void run_command(const words& command) { check(::waitpid(bench::start(command), nullptr, 0), command[0]); }

/// Restarts the server at even intervals, which vary a little so that they do not keep step with the clients. A
/// process is killed only once.
std::vector<restart> restart_often(const contender& each, const load& clients, int manager, clock::time_point start,
                                   const plan& what) {
  std::vector<restart> all;
  std::vector<int> commands;
  std::minstd_rand random;
  std::uniform_real_distribution<double> part(0.3, 0.7);
  int killed = 0;
  for (int i = 0; i < what.restarts && each.how != way::none; ++i) {
    const std::chrono::duration<double> time((i + part(random)) * what.seconds / what.restarts);
    std::this_thread::sleep_until(start + std::chrono::duration_cast<clock::duration>(time));
    const int server = clients.server();
    const bool is_signal = each.how == way::terminate || each.how == way::kill;
    if (is_signal && server == killed) continue;  // the restart before is not over
    all.push_back({clock::now(), server});
    if (is_signal) ::kill(killed = server, each.how == way::kill ? SIGKILL : SIGTERM);
    if (each.how == way::hang_up) ::kill(manager, SIGHUP);
    if (each.how == way::command) commands.push_back(bench::start(each.restart));
  }
  for (const int pid : commands) ::waitpid(pid, nullptr, 0);
  return all;
}

void measure(const contender& each, int round, const plan& what) {
  int pid = 0;
  if (each.stop.empty()) {
    pid = bench::start(each.command);
  } else {
    run_command(each.command);
  }
  bench::wait_until([&] { return is_served(each.port); }, each.name + " serves");

  load clients(each.port, what.rate);
  const auto start = clock::now();
  std::vector<restart> restarts;
  std::thread restarting([&] { restarts = restart_often(each, clients, pid, start, what); });
  clients.run(start, std::chrono::seconds(what.seconds));
  restarting.join();
  if (each.stop.empty()) {
    bench::end(pid);
  } else {
    run_command(each.stop);
  }

  const auto print = [&](clock::time_point time, const char* result, double milliseconds, int server) {
    const auto at = std::chrono::duration<double>(time - start).count();
    std::printf("%s;%d;%.6f;%s;%.3f;%d\n", each.name.c_str(), round, at, result, milliseconds, server);
  };
  for (const auto& one : clients.clients()) print(one.start, one.result, one.milliseconds, one.server);
  for (const auto& one : restarts) print(one.time, "restart", 0, one.server);
}

}  // namespace

int main(int argc, char** argv) try {
  const auto argument = [&](int i, int otherwise) { return argc > i ? bench::number_of(argv[i]) : otherwise; };
  const plan what{argument(2, 3), argument(3, 5), argument(4, 20), argument(5, 2000)};
  if (argc < 2 || what.rounds < 1 || what.seconds < 1 || what.restarts < 1 || what.rate < 2) {
    std::fprintf(stderr, "usage: restarts UNITS [ROUNDS [SECONDS [RESTARTS [RATE]]]]\n");
    return 2;
  }
  rlimit limit{};  // of clients that wait at once
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  const auto units = std::filesystem::canonical(argv[1]).string();
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path().string();
  const auto server = here + "/small_server";
  const words plain = {SD_ACTIVATE, "-q", units + "/plain.socket"};
  const words quick = {SD_ACTIVATE, "-q", units + "/quick.socket"};
  const auto loop = [&](int port) { return words{here + "/vfork_loop", "hold", std::to_string(port), server}; };
  const auto own = [&](int port) { return words{here + "/vfork_loop", "restart", server, std::to_string(port)}; };
  std::vector<contender> all = {
      {"sd-activate, no restart", quick, quick_port, way::none},
      {"sd-activate, SIGHUP", quick, quick_port, way::hang_up},
      {"sd-activate, SIGTERM", quick, quick_port, way::terminate},
      {"sd-activate, SIGKILL", quick, quick_port, way::kill},
      {"sd-activate, plain unit, SIGTERM", plain, plain_port, way::terminate},
      {"sd-activate, plain unit, SIGKILL", plain, plain_port, way::kill},
      {"vfork loop (floor), SIGKILL", loop(first_own_port), first_own_port, way::kill},
      {"own port, SIGTERM", own(first_own_port + 1), first_own_port + 1, way::terminate},
      {"own port, SIGKILL", own(first_own_port + 2), first_own_port + 2, way::kill},
  };
  if (bench::is_installed("systemd-socket-activate")) {
    const int port = first_own_port + 3;
    const words command = {"systemd-socket-activate", "-l", "127.0.0.1:" + std::to_string(port), server};
    all.push_back({"systemd-socket-activate, SIGKILL", command, port, way::kill});
  }
  if (std::getenv("SD_SYSTEMD") != nullptr) {
    const auto add = [&](const std::string& name, const std::string& unit, int port) {
      const words start = {"systemctl", "start", unit + ".socket"};
      const auto names = unit + ".socket " + unit + ".service";
      const words stop = {"sh", "-c", "systemctl stop " + names + "; systemctl reset-failed " + names};
      all.push_back({name + ", restart", start, port, way::command, {"systemctl", "restart", unit}, stop});
      all.push_back({name + ", SIGKILL", start, port, way::kill, {}, stop});
    };
    add("systemd", "quick", quick_port);
    add("systemd, plain unit", "plain", plain_port);
  }
  for (int round = 1; round <= what.rounds; ++round) {
    for (const auto& each : all) measure(each, round, what);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "restarts: %s\n", error.what());
  return 1;
}
