// SPDX-License-Identifier: MIT OR Apache-2.0
// Measures the start of a small daemon with libsd-daemon against libsystemd: the same source linked with each library,
// started in turn. Measures the time from vfork(2) until READY=1 arrives, the system calls from execve(2) until then,
// and the mapped libraries and the memory while the daemon waits for its first client.

#include "measure.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using bench::check;
using bench::number_of;
using bench::quantile;

/// The service manager: the socket to pass, and the one for messages.
class manager {
 public:
  manager()
      : directory_(std::filesystem::temp_directory_path() / ("sd-bench-startup." + std::to_string(::getpid()))),
        notify_path_(directory_ / "notify") {
    std::filesystem::create_directory(directory_);
    listener_ = bind(SOCK_STREAM, directory_ / "listen");
    check(::listen(listener_, 1), "listen");
    notify_ = bind(SOCK_DGRAM, notify_path_);
  }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;
  ~manager() {
    ::close(listener_);
    ::close(notify_);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  int listener() const { return listener_; }
  const std::string& notify_path() const { return notify_path_; }

  /// Returns whether READY=1 has arrived, and waits for it if `wait` is true. Throws if another message has arrived.
  bool is_ready(bool wait) const {
    std::array<char, 64> text;
    const auto size = ::recv(notify_, text.data(), text.size(), wait ? 0 : MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return false;
    check(static_cast<int>(size), "READY=1 did not arrive");
    if (std::string_view(text.data(), static_cast<std::size_t>(size)) != "READY=1") {
      throw std::runtime_error("the daemon sent another message than READY=1");
    }
    return true;
  }

 private:
  static int bind(int type, const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + " is too long for a socket");
    path.copy(address.sun_path, path.size());
    const int fd = check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket");
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind to " + path);
    const timeval patience{10, 0};
    check(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "SO_RCVTIMEO");
    return fd;
  }

  std::filesystem::path directory_;
  std::string notify_path_;
  int listener_;
  int notify_;
};

/// A daemon to start.
struct variant {
  std::string name;
  std::string program;
};

class process {
 public:
  /// Starts the daemon as a service manager does: the socket is descriptor 3, and LISTEN_PID is the daemon's pid.
  process(const variant& what, const manager& parent, bool traced) {
    char listen_pid[32] = "LISTEN_PID=";
    char listen_fds[] = "LISTEN_FDS=1";
    auto notify_socket = "NOTIFY_SOCKET=" + parent.notify_path();
    auto program = what.program;
    std::array<char*, 2> arguments = {program.data(), nullptr};
    std::array<char*, 4> environment = {listen_pid, listen_fds, notify_socket.data(), nullptr};
    const int listener = parent.listener();
    char* const digits = listen_pid + std::strlen(listen_pid);
    char* const end = listen_pid + sizeof listen_pid - 1;

    // Everything is prepared before, so that the child, which shares this memory, makes system calls only.
    pid_ = check(::vfork(), "vfork");
    if (pid_ == 0) {
      *std::to_chars(digits, end, ::getpid()).ptr = '\0';
      if (traced) ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      ::dup2(listener, 3);  // without close-on-exec
      ::execve(arguments[0], arguments.data(), environment.data());
      ::_exit(127);
    }
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }

  std::string read(const char* file) const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/" + file);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  /// Waits until the daemon sleeps in poll(2), so that its memory is that of a waiting daemon.
  void wait_until_it_waits() const {
    for (int i = 0; i < 1000; ++i) {
      if (read("syscall").rfind("running", 0) != 0 && read("stat").find(") S ") != std::string::npos) return;
      ::usleep(200);
    }
    throw std::runtime_error("the daemon does not wait");
  }

 private:
  pid_t pid_;
};

/// The measurements of one start.
struct sample {
  double us = 0;
  double faults = 0;
  double rss_kib = 0;
  double anonymous_kib = 0;  ///< pages that it has written, which no other process shares
  std::set<std::string> libraries;
};

/// Returns the number after `key` in a text like that of /proc/PID/smaps_rollup.
double field(const std::string& text, const std::string& key) {
  const auto at = text.find("\n" + key + ":");
  if (at == std::string::npos) throw std::runtime_error("/proc has no " + key);
  return std::strtod(text.c_str() + at + key.size() + 2, nullptr);
}

std::set<std::string> libraries(const std::string& maps) {
  std::set<std::string> result;
  std::istringstream lines(maps);
  for (std::string line; std::getline(lines, line);) {
    const auto path = line.find('/');
    if (path != std::string::npos && line.find(".so", path) != std::string::npos) result.insert(line.substr(path));
  }
  return result;
}

/// Returns the tenth field of /proc/PID/stat: the page faults that did not read from disk.
double minor_faults(const std::string& stat) {
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string field;
  for (int i = 3; i <= 10; ++i) fields >> field;
  return std::strtod(field.c_str(), nullptr);
}

sample start(const variant& what, const manager& manager) {
  sample result;
  const auto begin = bench::now_ns();
  const process daemon(what, manager, false);
  manager.is_ready(true);
  result.us = static_cast<double>(bench::now_ns() - begin) / 1000;

  daemon.wait_until_it_waits();
  const auto memory = daemon.read("smaps_rollup");
  result.rss_kib = field(memory, "Rss");
  result.anonymous_kib = field(memory, "Anonymous");
  result.faults = minor_faults(daemon.read("stat"));
  result.libraries = libraries(daemon.read("maps"));
  return result;
}

/// The system calls after execve() up to that which sends READY=1. -1: tracing is not permitted.
int count_system_calls(const variant& what, const manager& manager) {
  const process daemon(what, manager, true);
  int status = 0;
  check(::waitpid(daemon.pid(), &status, 0), "waitpid");
  if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
    if (WIFSTOPPED(status)) throw std::runtime_error("the traced daemon stopped");
    return -1;
  }
  check(static_cast<int>(::ptrace(PTRACE_SETOPTIONS, daemon.pid(), nullptr, PTRACE_O_TRACESYSGOOD)), "ptrace");
  int calls = 0;
  for (bool entering = true;; entering = !entering) {
    check(static_cast<int>(::ptrace(PTRACE_SYSCALL, daemon.pid(), nullptr, nullptr)), "ptrace");
    check(::waitpid(daemon.pid(), &status, 0), "waitpid");
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80)) throw std::runtime_error("the traced daemon died");
    if (entering) ++calls;
    if (!entering && manager.is_ready(false)) return calls;
  }
}

/// A row of the table: all samples of one variant.
struct row {
  std::vector<double> us;
  std::vector<double> faults;
  std::vector<double> rss_kib;
  std::vector<double> anonymous_kib;
  std::set<std::string> libraries;
  int calls = -1;

  void add(const sample& one) {
    us.push_back(one.us);
    faults.push_back(one.faults);
    rss_kib.push_back(one.rss_kib);
    anonymous_kib.push_back(one.anonymous_kib);
    libraries = one.libraries;
  }
};

void print_share(double value, double of) { std::printf(" (%3.0f%%)", of > 0 ? 100 * value / of : 0); }

/// Compares the variants with the first one. The last one has no library.
void compare(const std::vector<variant>& variants, int rounds) {
  std::vector<row> rows(variants.size());
  const manager manager;
  for (const auto& what : variants) start(what, manager);  // so that all files are in the page cache
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < variants.size(); ++i) {
      // Each round begins with another variant, because a later one may find warm caches.
      const auto which = (i + static_cast<std::size_t>(round)) % variants.size();
      rows[which].add(start(variants[which], manager));
    }
  }
  for (std::size_t i = 0; i < variants.size(); ++i) rows[i].calls = count_system_calls(variants[i], manager);

  std::printf("%-22s | %5s  %-16s | %-12s | %-12s | %-9s | %-13s | %-13s | %s\n", "daemon with", "us", "(quartiles)",
              "us over none", "system calls", "libraries", "resident KiB", "anonymous KiB", "page faults");
  const row& base = rows.front();
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const row& now = rows[i];
    const auto print = [&](int width, std::vector<double> row::*what) {
      std::printf(" | %*.0f", width, quantile(now.*what, 0.5));
      print_share(quantile(now.*what, 0.5), quantile(base.*what, 0.5));
    };
    std::vector<double> ratios;
    std::vector<double> more;
    std::vector<double> base_more;
    for (std::size_t n = 0; n < now.us.size(); ++n) {
      ratios.push_back(100 * now.us[n] / base.us[n]);
      more.push_back(now.us[n] - rows.back().us[n]);
      base_more.push_back(base.us[n] - rows.back().us[n]);
    }
    std::printf("%-22s | %5.0f  %3.0f%% (%3.0f to %3.0f)", variants[i].name.c_str(), quantile(now.us, 0.5),
                quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75));
    std::printf(" | %5.0f", quantile(more, 0.5));
    print_share(quantile(more, 0.5), quantile(base_more, 0.5));
    if (now.calls < 0) {
      std::printf(" | %-12s", "not counted");
    } else {
      std::printf(" | %5d", now.calls);
      print_share(now.calls, base.calls);
    }
    std::printf(" | %2zu", now.libraries.size());
    print_share(static_cast<double>(now.libraries.size()), static_cast<double>(base.libraries.size()));
    print(6, &row::rss_kib);
    print(6, &row::anonymous_kib);
    print(4, &row::faults);
    std::printf("\n");
  }
}

/// Restricts this process and its children to one processor, or permits all processors again.
class processors {
 public:
  processors() { check(::sched_getaffinity(0, sizeof all_, &all_), "sched_getaffinity"); }
  void use_one() const {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(check(::sched_getcpu(), "sched_getcpu")), &one);
    check(::sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
  }
  void use_all() const { check(::sched_setaffinity(0, sizeof all_, &all_), "sched_setaffinity"); }

 private:
  cpu_set_t all_;
};

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? number_of(argv[1]) : 300;
  if (argc > 2 || rounds < 1) {
    std::fprintf(stderr, "usage: startup [ROUNDS]\n");
    return 2;
  }
  try {
    ::closefrom(3);
    // Occupies number 3, which is the passed socket in the daemon.
    check(::open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null");
    const auto directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    std::printf(
        "The start of a small daemon, from vfork() to READY=1: sd_listen_fds(), sd_is_socket(), sd_notify(). Medians\n"
        "of %d starts of each, in turn. Percentages are relative to libsystemd %s; those of times are medians over "
        "pairs\n"
        "of starts. The libraries include the C library and the dynamic linker. Anonymous memory is what the daemon "
        "has\n"
        "written. A \"static\" daemon has no shared library, which libsystemd does not permit; \"none\" calls "
        "neither.\n",
        rounds, LIBSYSTEMD_VERSION);
    const auto compare_linked = [&](const std::string& binding) {
      const auto program = [&](const std::string& name) {
        return directory / ("small_daemon_" + name + "_" + binding);
      };
      compare({{"libsystemd.so", program("libsystemd")},
               {"libsd-daemon.so", program("sd")},
               {"libsd-daemon.a", program("archive")},
               {"libsd-daemon.a, static", directory / "small_daemon_static"},
               {"none", program("floor")}},
              rounds);
      std::fflush(stdout);
    };
    const processors processors;
    processors.use_one();
    std::printf("\nLinked as distributions do, with -z now; on one processor:\n");
    compare_linked("now");
    std::printf("\nWithout -z now; on one processor:\n");
    compare_linked("lazy");
    processors.use_all();
    std::printf("\nWith -z now, on all processors:\n");
    compare_linked("now");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "startup: %s\n", error.what());
    return 1;
  }
}
