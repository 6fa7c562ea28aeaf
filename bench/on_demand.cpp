// SPDX-License-Identifier: MIT OR Apache-2.0
// on_demand UNITS [SAMPLES]: measures the time from connect(2) to the first byte of a server that is started by the
// connection and exits after it, and the start and the memory of the programs that start it. UNITS is a directory with
// the socket unit "once", which listens on port 21810. If the variable SD_SYSTEMD is set, systemd has loaded the same
// unit with port 21811.
#include "servers.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace {

using bench::check;
using bench::median;
using bench::words;

constexpr int unit_port = 21810;
constexpr int systemd_port = 21811;
constexpr int fresh_port = 21812;
constexpr int loop_port = 21813;
constexpr auto settled = 20'000;  // microseconds until a program that has started, or whose service has ended, is idle

double microseconds_since(std::int64_t start) { return static_cast<double>(bench::now_ns() - start) / 1000; }

/// Returns whether some process listens on the port, without connecting to it.
bool is_listening(int port) {
  char address[32];
  std::snprintf(address, sizeof address, " 0100007F:%04X 00000000:0000 0A ", static_cast<unsigned>(port));
  std::ifstream sockets("/proc/net/tcp");
  for (std::string line; std::getline(sockets, line);) {
    if (line.find(address) != std::string::npos) return true;
  }
  return false;
}

void wait_for_listener(int port) {
  bench::wait_until([&] { return is_listening(port); }, "somebody listens");
  ::usleep(settled);
}

/// Connects a client. Returns how long it waited for the first byte of the reply, in microseconds.
double ask(int port) {
  const auto start = bench::now_ns();
  const int fd = check(bench::connect_to(port), "connect");
  char reply[16];
  const bool is_answered = ::send(fd, "?", 1, MSG_NOSIGNAL) == 1 && ::read(fd, reply, sizeof reply) > 0;
  const auto time = microseconds_since(start);
  ::close(fd);
  if (!is_answered) throw std::runtime_error("no reply");
  return time;
}

/// Returns a line of smaps_rollup, in KiB.
double memory_of(int pid, const std::string& key) {
  std::ifstream lines("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(key, 0) == 0) return std::stod(line.substr(key.size()));
  }
  throw std::runtime_error("no " + key + " of the program");
}

/// A program that listens, starts the server for the first client, and is started anew for each sample.
struct activator {
  std::string name;
  words command;
  int port;
  std::vector<double> first_bytes = {}, starts = {}, pss = {}, dirty = {};

  void measure_first_byte() {
    const int pid = bench::start(command);
    wait_for_listener(port);
    first_bytes.push_back(ask(port));
    ::usleep(settled);
    bench::end(pid);
  }

  /// Measures from before the start until a client can connect.
  void measure_start() {
    const auto start = bench::now_ns();
    const int pid = bench::start(command);
    int fd = -1;
    while ((fd = bench::connect_to(port)) < 0) continue;
    starts.push_back(microseconds_since(start));
    ::close(fd);
    ::usleep(settled);
    bench::end(pid);
  }

  void measure_memory() {
    const int pid = bench::start(command);
    wait_for_listener(port);
    pss.push_back(memory_of(pid, "Pss:"));
    dirty.push_back(memory_of(pid, "Private_Dirty:"));
    bench::end(pid);
  }
};

/// A port whose server is started for each sample, by a program that stays.
struct listener {
  std::string name;
  int port;
  std::vector<double> first_bytes = {};

  void measure_first_byte() {
    first_bytes.push_back(ask(port));
    ::usleep(settled);
  }
};

void print_first_bytes(const std::string& name, const std::vector<double>& values) {
  std::printf("%-40s %9.0f %9.0f\n", name.c_str(), median(values), bench::quantile(values, 0.99));
}

}  // namespace

int main(int argc, char** argv) try {
  const int samples = argc > 2 ? bench::number_of(argv[2]) : 300;
  if (argc < 2 || samples < 1) {
    std::fprintf(stderr, "usage: on_demand UNITS [SAMPLES]\n");
    return 2;
  }
  const auto units = std::filesystem::canonical(argv[1]).string();
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path().string();
  const auto server = here + "/small_server";
  const auto address = "127.0.0.1:" + std::to_string(fresh_port);
  std::vector<activator> fresh = {
      {"sd-activate", {SD_ACTIVATE, "-q", "-l", address, "--", server, "once"}, fresh_port},
  };
  if (bench::is_installed("systemd-socket-activate")) {
    fresh.push_back(
        {"systemd-socket-activate", {"systemd-socket-activate", "-l", address, server, "once"}, fresh_port});
  }
  // The memory first, while no other process maps the same files.
  for (int i = 0; i < 5; ++i) {
    for (auto& each : fresh) each.measure_memory();
  }

  std::vector<listener> staying = {{"sd-activate", unit_port}, {"vfork loop (floor)", loop_port}};
  if (std::getenv("SD_SYSTEMD") != nullptr) {
    check(::waitpid(bench::start({"systemctl", "start", "once.socket"}), nullptr, 0), "systemctl");
    staying.push_back({"systemd", systemd_port});
  }
  const int pid = bench::start({SD_ACTIVATE, "-q", units + "/once.socket"});
  const int loop = bench::start({here + "/vfork_loop", "hold", std::to_string(loop_port), server, "once"});
  for (const auto& each : staying) {
    wait_for_listener(each.port);
    ask(each.port);  // warms up
    ::usleep(settled);
  }
  for (int i = 0; i < samples; ++i) {
    for (auto& each : fresh) each.measure_first_byte();
    for (auto& each : staying) each.measure_first_byte();
    for (auto& each : fresh) each.measure_start();
  }
  bench::end(pid);
  bench::end(loop);

  std::printf("%-40s %9s %9s\n", "connect to first byte, us", "p50", "p99");
  for (const auto& each : fresh) print_first_bytes(each.name + ", started anew", each.first_bytes);
  for (const auto& each : staying) print_first_bytes(each.name + ", running", each.first_bytes);
  std::printf("\n%-40s %9s %9s %9s\n", "", "start us", "PSS KiB", "dirty KiB");
  for (const auto& each : fresh) {
    std::printf("%-40s %9.0f %9.0f %9.0f\n", each.name.c_str(), median(each.starts), median(each.pss),
                median(each.dirty));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "on_demand: %s\n", error.what());
  return 1;
}
