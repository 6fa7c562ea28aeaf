// SPDX-License-Identifier: MIT OR Apache-2.0
// Measures messages to the service manager: sd::notify() against libsystemd's sd_notify(), with alternating calls to a
// real socket that is emptied after each call. Also measures the barriers, with a manager that replies immediately.

#include <sd/notify.hpp>

#include "receive.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <thread>

namespace {

using bench::check;
using bench::number_of;
using bench::quantile;

using message = bool (*)(int number);  // returns whether the message was sent

bool sd_ready(int) { return sd::notify(sd::state::ready()) == sd::notify_result::sent; }
bool libsystemd_ready(int) { return ::sd_notify(0, "READY=1") > 0; }

bool sd_status(int number) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "%d clients are connected", number);
  return sd::notify(sd::state::status({text, static_cast<std::size_t>(length)})) == sd::notify_result::sent;
}
bool libsystemd_status(int number) { return ::sd_notifyf(0, "STATUS=%d clients are connected", number) > 0; }

constexpr std::chrono::seconds patience{10};
bool sd_barrier(int) { return sd::notify_barrier(patience) == sd::notify_result::sent; }
bool libsystemd_barrier(int) {
  return ::sd_notify_barrier(0, static_cast<std::uint64_t>(std::chrono::microseconds(patience).count())) > 0;
}

struct subject {
  const char* name;
  message libsystemd;
  message sd;
  bool waits;   ///< whether the call waits for the manager
  int divisor;  ///< the number of rounds is divided by it
};

constexpr std::array subjects = {
    subject{"READY=1", libsystemd_ready, sd_ready, false, 1},
    subject{"STATUS=<number>", libsystemd_status, sd_status, false, 1},
    subject{"barrier", libsystemd_barrier, sd_barrier, true, 10},
};

/// The service manager: a socket. NOTIFY_SOCKET is set to its path.
class manager {
 public:
  manager() : fd_(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = std::filesystem::temp_directory_path() / ("sd-bench-notify." + std::to_string(::getpid()));
    path_ = path.string();
    if (path_.size() >= sizeof address.sun_path) throw std::runtime_error(path_ + " is too long for a socket");
    path_.copy(address.sun_path, path_.size());
    check(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind to " + path_);
    ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;
  ~manager() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }

  /// Waits for a message, closes the descriptor that is attached, and returns the text.
  std::string receive() const {
    std::array<char, 4096> text;
    alignas(cmsghdr) std::array<unsigned char, CMSG_SPACE(sizeof(int))> control;
    iovec where{text.data(), text.size()};
    msghdr header{};
    header.msg_iov = &where;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const auto size = check(static_cast<int>(::recvmsg(fd_, &header, MSG_CMSG_CLOEXEC)), "recvmsg");
    if (const cmsghdr* const part = CMSG_FIRSTHDR(&header); part != nullptr && part->cmsg_type == SCM_RIGHTS) {
      int attached = -1;
      std::memcpy(&attached, CMSG_DATA(part), sizeof attached);
      ::close(attached);
    }
    return {text.data(), static_cast<std::size_t>(size)};
  }

 private:
  int fd_;
  std::string path_;
};

/// Replies to barriers in another thread until it is destroyed.
class barrier_thread {
 public:
  explicit barrier_thread(const manager& receiver)
      : thread_([&receiver] {
          while (receiver.receive() != "STOPPING=1") continue;
        }) {}
  ~barrier_thread() {
    ::sd_notify(0, "STOPPING=1");
    thread_.join();
  }
  barrier_thread(const barrier_thread&) = delete;
  barrier_thread& operator=(const barrier_thread&) = delete;

 private:
  std::thread thread_;
};

/// Returns the time of one call in microseconds.
double time_call(message call, int number) {
  const auto begin = bench::now_ns();
  const bool sent = call(number);
  const auto end = bench::now_ns();
  if (!sent) throw std::runtime_error("a message was not sent");
  return static_cast<double>(end - begin) / 1000;
}

/// Makes one call between two marks. A first call before them does what is done only once per process.
void call_marked(const subject& what, bool is_sd) {
  const message call = is_sd ? what.sd : what.libsystemd;
  const manager manager;
  const barrier_thread thread(manager);
  const bool warm = call(0);
  bench::mark(bench::call_begins);
  const bool sent = call(12345);
  bench::mark(bench::call_ends);
  if (!warm || !sent) throw std::runtime_error("a message was not sent");
}

/// Returns the number of system calls of one call, as text.
std::string count_system_calls(std::size_t index, bool is_sd) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      "strace '" + self + "' marked " + std::to_string(index) + (is_sd ? " sd" : " libsystemd") + " 2>&1";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "?";
  std::string trace;
  std::array<char, 4096> buffer;
  while (const auto size = std::fread(buffer.data(), 1, buffer.size(), pipe)) trace.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  const auto begin = trace.find("write(-1, \"" + std::string(bench::call_begins));
  const auto end = trace.find("write(-1, \"" + std::string(bench::call_ends));
  if (status != 0 || begin == std::string::npos || end == std::string::npos) return "?";
  return std::to_string(std::count(trace.data() + begin, trace.data() + end, '\n') - 1);  // one call per line
}

void compare(const subject& what, std::size_t index, int rounds) {
  std::vector<double> libsystemd_us;
  std::vector<double> sd_us;
  std::vector<double> ratios;
  const int pairs = std::max(1, rounds / what.divisor);
  {
    const manager manager;
    const auto measure = [&](message call, int number, std::vector<double>& times) {
      times.push_back(time_call(call, number));
      return what.waits ? std::string() : manager.receive();
    };
    const auto run = [&] {
      for (int pair = 0; pair < pairs; ++pair) {
        const bool sd_first = pair % 2 != 0;  // alternates, because the second call may find warm caches
        std::string text;
        if (sd_first) text = measure(what.sd, pair, sd_us);
        const auto libsystemd_text = measure(what.libsystemd, pair, libsystemd_us);
        if (!sd_first) text = measure(what.sd, pair, sd_us);
        if (text != libsystemd_text) throw std::runtime_error('"' + text + "\" is not \"" + libsystemd_text + '"');
        ratios.push_back(sd_us.back() / libsystemd_us.back());
      }
    };
    if (what.waits) {
      const barrier_thread thread(manager);
      run();
    } else {
      run();
    }
  }
  const auto calls = count_system_calls(index, false) + ", " + count_system_calls(index, true);
  std::printf("%-15s | %13.2f | %5.2f | %.2f (%.2f to %.2f) | %28s | %5d\n", what.name, quantile(libsystemd_us, 0.5),
              quantile(sd_us, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75),
              calls.c_str(), pairs);
  std::fflush(stdout);
}

void compare_all(int rounds) {
  std::printf(
      "A message to the service manager: sd_notify(), sd_notifyf() and sd_notify_barrier() or sd::notify() and\n"
      "sd::notify_barrier(). Medians; the ratio is the median of sd/libsystemd over pairs of calls. libsystemd %s is\n"
      "linked as a shared library, libsd-listen-fds as a %s one, with -z now. A barrier waits for another thread.\n\n",
      LIBSYSTEMD_VERSION, SD_LINKED);
  std::printf("message         | libsystemd us | sd us | ratio (quartiles)   | system calls: libsystemd, sd | pairs\n");
  for (std::size_t i = 0; i < subjects.size(); ++i) compare(subjects[i], i, rounds);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const bool is_marked = words.size() == 3 && words[0] == bench::marked;
  const int number = is_marked ? number_of(words[1]) : words.empty() ? 20000 : number_of(words[0]);
  const bool is_valid =
      is_marked ? number >= 0 && number < static_cast<int>(subjects.size()) : words.size() <= 1 && number >= 1;
  if (!is_valid) {
    std::fprintf(stderr, "usage: notify [ROUNDS] | notify %s NUMBER sd|libsystemd\n", bench::marked.data());
    return 2;
  }
  try {
    if (is_marked) {
      call_marked(subjects[static_cast<std::size_t>(number)], words[2] == "sd");
    } else {
      compare_all(number);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "notify: %s\n", error.what());
    return 1;
  }
}
