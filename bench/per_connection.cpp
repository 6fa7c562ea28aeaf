// SPDX-License-Identifier: MIT OR Apache-2.0
// per_connection [ROUNDS [CONNECTIONS]]: measures servers that start a process for each connection. Clients, server and
// processes share one processor. All servers are measured in each round, one after the other.
#include "servers.hpp"

#include <sched.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

namespace {

using bench::check;
using bench::connect_to;
using bench::median;
using bench::words;

constexpr int clients = 8;
constexpr int first_port = 21700;
constexpr int measured_calls = 80;

struct server {
  std::string name;
  words command;
  int port;
  std::vector<double> rates, p99s, cpus;
  double calls = 0;
};

/// Returns whether the server replied.
bool ask(int port) {
  const int fd = connect_to(port);
  if (fd < 0) return false;
  char reply[64];
  ssize_t size = 0;
  ssize_t total = 0;
  while ((size = ::read(fd, reply, sizeof reply)) > 0) total += size;
  ::close(fd);
  return size == 0 && total == 6;
}

/// Makes connections from all clients. Returns how long each took, in microseconds.
std::vector<double> make_connections(int port, int count) {
  std::vector<double> all;
  std::mutex lock;
  std::vector<std::thread> threads;
  bool failed = false;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      std::vector<double> own;
      for (int n = 0; n < count / clients; ++n) {
        const auto start = bench::now_ns();
        const bool replied = ask(port);
        own.push_back(static_cast<double>(bench::now_ns() - start) / 1000);
        if (replied) continue;
        const std::lock_guard<std::mutex> locked(lock);
        failed = true;
      }
      const std::lock_guard<std::mutex> locked(lock);
      all.insert(all.end(), own.begin(), own.end());
    });
  }
  for (auto& each : threads) each.join();
  if (failed) throw std::runtime_error("a connection failed");
  return all;
}

void wait_until_served(int port) {
  bench::wait_until([&] { return ask(port); }, "the server serves");
}

/// Ends a server. Returns the processor time of the server and of its children, in microseconds.
double end(int pid) {
  const auto used = bench::end(pid);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

double run(server& each, int connections) {
  const int pid = bench::start(each.command);
  wait_until_served(each.port);
  const auto begin = bench::now_ns();
  auto times = make_connections(each.port, connections);
  each.rates.push_back(static_cast<double>(times.size()) * 1e9 / static_cast<double>(bench::now_ns() - begin));
  each.p99s.push_back(bench::quantile(times, 0.99));
  return end(pid);
}

/// Measures one round. The cost of starting and ending the server is taken off.
void measure(server& each, int connections) {
  const int idle = bench::start(each.command);
  wait_until_served(each.port);
  const auto base = end(idle);
  each.cpus.push_back((run(each, connections) - base) / connections);
}

/// Returns the number of system calls of a server and its children for so many connections.
double count_calls(const server& each, int connections) {
  const std::string file = "/tmp/per_connection." + std::to_string(::getpid());
  words command = {"strace", "-f", "-qq", "-c", "-U", "calls", "-o", file};
  command.insert(command.end(), each.command.begin(), each.command.end());
  const int pid = bench::start(command);
  wait_until_served(each.port);
  make_connections(each.port, connections);
  end(pid);
  std::ifstream lines(file);
  double calls = 0;
  for (std::string line; std::getline(lines, line);) {  // the last number is the total
    std::istringstream text(line);
    double number = 0;
    if (text >> number) calls = number;
  }
  std::filesystem::remove(file);
  return calls;
}

/// Returns the median of the ratios of the rounds.
double ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) ratios.push_back(a[i] / b[i]);
  return median(ratios);
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? bench::number_of(argv[1]) : 5;
  const int connections = argc > 2 ? bench::number_of(argv[2]) : 4000;
  if (rounds < 1 || connections < clients) {
    std::fprintf(stderr, "usage: per_connection [ROUNDS [CONNECTIONS]]\n");
    return 2;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  check(::sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
  bench::find_programs_of_root();

  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path().string();
  const auto responder = here + "/responder";
  const auto ballast = here + "/libballast.so";
  const std::string activate = SD_ACTIVATE;
  std::vector<server> servers;
  const auto add = [&](const std::string& name, std::function<words(const std::string& port)> command) {
    const int port = first_port + static_cast<int>(servers.size());
    const auto line = command(std::to_string(port));
    if (!bench::is_installed(line.front()) && line.front().find('/') == std::string::npos) {
      return void(std::printf("%s: skipped: %s is not installed\n", name.c_str(), line.front().c_str()));
    }
    server added;
    added.name = name;
    added.command = line;
    added.port = port;
    servers.push_back(std::move(added));
  };
  add("sd-activate, inetd", [&](const auto& port) {
    return words{activate, "-q", "-a", "--inetd", "-l", "127.0.0.1:" + port, "--", responder};
  });
  add("sd-activate, descriptor",
      [&](const auto& port) { return words{activate, "-q", "-a", "-l", "127.0.0.1:" + port, "--", responder, "3"}; });
  add("sd-activate, inetd, 200 MB", [&](const auto& port) {
    return words{"env", "LD_PRELOAD=" + ballast, activate, "-q",     "-a", "--inetd",
                 "-l",  "127.0.0.1:" + port,     "--",     responder};
  });
  add("vfork loop (ceiling)", [&](const auto& port) { return words{here + "/vfork_loop", port, responder}; });
  add("tcpserver", [&](const auto& port) {
    return words{"tcpserver", "-H", "-R", "-l", "0", "-b", "1024", "-c", "100", "127.0.0.1", port, responder};
  });
  add("inetd", [&](const auto& port) {
    const auto file = here + "/inetd.conf";
    std::ofstream(file) << "127.0.0.1:" << port << " stream tcp nowait.1000000 root " << responder << " responder\n";
    return words{"inetd", "-i", file};
  });
  add("socat", [&](const auto& port) {
    return words{"socat", "TCP-LISTEN:" + port + ",bind=127.0.0.1,reuseaddr,fork,backlog=1024",
                 "EXEC:" + responder + ",nofork"};
  });
  add("systemd-socket-activate -a", [&](const auto& port) {
    return words{"systemd-socket-activate", "-a", "--inetd", "-l", "127.0.0.1:" + port, responder};
  });

  for (int round = 0; round < rounds; ++round) {
    for (auto& each : servers) measure(each, connections);
  }
  for (auto& each : servers) {
    each.calls = (count_calls(each, 2 * measured_calls) - count_calls(each, measured_calls)) / measured_calls;
  }

  std::printf("%d rounds of %d connections of %d clients, on one processor; medians\n", rounds, connections, clients);
  std::printf("%-28s %10s %9s %10s %10s\n", "", "conn./s", "p99 us", "CPU us", "calls");
  for (const auto& each : servers) {
    std::printf("%-28s %10.0f %9.0f %10.1f %10.1f\n", each.name.c_str(), median(each.rates), median(each.p99s),
                median(each.cpus), each.calls);
  }
  std::printf("\n%-28s %21s %21s\n", "sd-activate, inetd, against", "rate", "CPU");
  for (std::size_t i = 1; i < servers.size(); ++i) {
    std::printf("%-28s %21.2f %21.2f\n", servers[i].name.c_str(), ratio(servers[0].rates, servers[i].rates),
                ratio(servers[0].cpus, servers[i].cpus));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "per_connection: %s\n", error.what());
  return 1;
}
