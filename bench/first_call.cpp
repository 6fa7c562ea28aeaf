// SPDX-License-Identifier: MIT OR Apache-2.0
// Measures the first call that receives the descriptors in a fresh process: sd::listen_fds() against libsystemd's
// sd_listen_fds_with_names(), with processes of each in turn.

#include "receive.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <system_error>

namespace {

using bench::check;
using bench::number_of;
using bench::quantile;

constexpr std::array counts = {1, 4, 16, 64, 256, 1024};

struct outcome {
  int exit_status = 0;
  std::string output;
};

/// Runs a program as a service manager does, with the open descriptors of this process from 3 on. LISTEN_PID is set to
/// the pid of the program; LISTEN_FDS and LISTEN_FDNAMES are in the environment already. The output is what the program
/// writes to the `captured` descriptors.
outcome run(std::vector<std::string> command, std::initializer_list<int> captured) {
  int pipe[2];
  check(::pipe2(pipe, O_CLOEXEC), "pipe");
  std::vector<char*> arguments;
  for (auto& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);

  const pid_t pid = check(::fork(), "fork");
  if (pid == 0) {  // there are no other threads, so the child may call any function
    for (const int fd : captured) ::dup2(pipe[1], fd);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::execvp(arguments[0], arguments.data());
    std::fprintf(stderr, "%s: %s\n", arguments[0], std::strerror(errno));
    ::_exit(127);
  }
  ::close(pipe[1]);
  outcome result;
  char buffer[4096];
  ssize_t size = 0;
  while ((size = check(static_cast<int>(::read(pipe[0], buffer, sizeof buffer)), "read")) > 0) {
    result.output.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(pipe[0]);
  check(::waitpid(pid, &result.exit_status, 0), "waitpid");
  return result;
}

/// Returns the time of one first call in microseconds.
double time_call(const std::string& receiver, int count) {
  const auto result = run({receiver, std::to_string(count)}, {STDOUT_FILENO});
  long long ns = 0;
  const char* const end = result.output.data() + result.output.size();
  const auto parsed = std::from_chars(result.output.data(), end, ns);
  if (result.exit_status != 0 || parsed.ec != std::errc{} || parsed.ptr + 1 != end || ns <= 0) {
    throw std::runtime_error(receiver + " failed with " + std::to_string(count) + " descriptors");
  }
  return static_cast<double>(ns) / 1000;
}

/// The number of system calls of one first call, or the reason why it is unknown.
struct system_calls {
  int count = -1;
  std::string problem;
};

system_calls count_system_calls(const std::string& receiver, int count) {
  // -D: the program that this process starts becomes the traced one, so that LISTEN_PID is right.
  const auto result = run({"strace", "-D", receiver, std::to_string(count), std::string(bench::marked)},
                          {STDOUT_FILENO, STDERR_FILENO});
  const auto begin = result.output.find("write(-1, \"" + std::string(bench::call_begins));
  const auto end = result.output.find("write(-1, \"" + std::string(bench::call_ends));
  if (begin == std::string::npos || end == std::string::npos) {
    return {-1, result.output.substr(0, result.output.find('\n'))};
  }
  if (result.exit_status != 0) throw std::runtime_error(receiver + " failed under strace:\n" + result.output);
  // One call per line.
  const auto lines = std::count(result.output.data() + begin, result.output.data() + end, '\n');
  return {static_cast<int>(lines) - 1, {}};
}

/// Opens listening sockets up to number 3 + count - 1. This process has no other descriptors past 2 between two runs,
/// so the child does not move any, and its descriptor table is as small as possible.
void open_sockets(int from, int count) {
  for (int i = from; i < count; ++i) {
    const int fd = check(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");
    if (fd != bench::first_descriptor + i) throw std::runtime_error("stdin, stdout or stderr is closed");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;  // without a path: the kernel chooses an abstract name
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family), "bind");
    check(::listen(fd, 1), "listen");
  }
}

void raise_descriptor_limit(rlim_t needed) {
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
  if (limit.rlim_cur >= needed) return;
  if (limit.rlim_max < needed) {
    throw std::runtime_error("needs " + std::to_string(needed) + " descriptors, but the hard limit (ulimit -Hn) is " +
                             std::to_string(limit.rlim_max));
  }
  limit.rlim_cur = needed;
  check(::setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
}

void announce(int count) {
  std::string names;
  for (int i = 0; i < count; ++i) names += (i > 0 ? ":" : "") + bench::name_of(i);
  ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
}

std::string text_of(const system_calls& calls) { return calls.count < 0 ? "not counted" : std::to_string(calls.count); }

void compare(int rounds) {
  const auto directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string libsystemd = directory / "receive_libsystemd";
  const std::string sd = directory / "receive_sd";

  std::printf(
      "The first sd_listen_fds_with_names() or sd::listen_fds() in a fresh process, with 17-character names. Medians;\n"
      "the ratio is the median of sd/libsystemd over pairs of processes. libsystemd %s is linked as a shared library,\n"
      "libsd-listen-fds as a %s one, both programs with -z now.\n\n",
      LIBSYSTEMD_VERSION, SD_LINKED);
  std::printf("descriptors | libsystemd us |   sd us | ratio (quartiles)   | system calls: libsystemd, sd | pairs\n");

  std::string problem;
  int opened = 0;
  for (const int count : counts) {
    open_sockets(opened, count);
    opened = count;
    announce(count);

    std::vector<double> libsystemd_us;
    std::vector<double> sd_us;
    std::vector<double> ratios;
    const int pairs = count < 1000 ? rounds : (rounds + 2) / 3;
    for (int pair = 0; pair < pairs; ++pair) {
      const bool sd_first = pair % 2 != 0;  // alternates, because the second call may find warm caches
      if (sd_first) sd_us.push_back(time_call(sd, count));
      libsystemd_us.push_back(time_call(libsystemd, count));
      if (!sd_first) sd_us.push_back(time_call(sd, count));
      ratios.push_back(sd_us.back() / libsystemd_us.back());
    }
    const auto libsystemd_calls = count_system_calls(libsystemd, count);
    const auto sd_calls = count_system_calls(sd, count);
    for (const auto& calls : {libsystemd_calls, sd_calls}) {
      if (calls.count < 0) problem = calls.problem;
    }

    std::printf("%11d | %13.1f | %7.1f | %.2f (%.2f to %.2f) | %16s, %-11s | %5d\n", count,
                quantile(libsystemd_us, 0.5), quantile(sd_us, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25),
                quantile(ratios, 0.75), text_of(libsystemd_calls).c_str(), text_of(sd_calls).c_str(), pairs);
    std::fflush(stdout);
  }
  if (!problem.empty()) std::printf("\nThe system calls were not counted: %s\n", problem.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? number_of(argv[1]) : 300;
  if (argc > 2 || rounds < 1) {
    std::fprintf(stderr, "usage: first_call [ROUNDS]\n");
    return 2;
  }
  try {
    ::closefrom(bench::first_descriptor);
    ::unsetenv("LISTEN_PIDFDID");
    raise_descriptor_limit(bench::first_descriptor + counts.back() + 8);
    compare(rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "first_call: %s\n", error.what());
    return 1;
  }
}
