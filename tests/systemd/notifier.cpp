// SPDX-License-Identifier: MIT OR Apache-2.0
// notifier PATH [COMMAND]...: a service that executes the commands of its arguments, and then those of clients of the
// socket PATH, which send one command each. A command is a word of the table below and its argument. The reply is
// "sent", "no listener", "error: ..." or the information that the command asks for. On SIGHUP the service sends
// RELOADING=1.

#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/store.hpp>
#include <sd/watchdog.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

std::uint64_t inode(int fd) {
  struct stat file {};
  check(::fstat(fd, &file), "fstat");
  return file.st_ino;
}

sd::unique_fd listen(const std::string& path) {
  ::unlink(path.c_str());  // left by a previous instance
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  path.copy(local.sun_path, sizeof local.sun_path - 1);
  sd::unique_fd fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local), "bind");
  check(::listen(fd.get(), SOMAXCONN), "listen");
  return fd;
}

struct ends {
  sd::unique_fd read;
  sd::unique_fd write;
};

ends open_pipe() {
  std::array<int, 2> fds{};
  check(::pipe2(fds.data(), O_CLOEXEC), "pipe2");
  return {sd::unique_fd(fds[0]), sd::unique_fd(fds[1])};
}

std::string reply(sd::notify_result result) { return result == sd::notify_result::sent ? "sent" : "no listener"; }

std::string send(const sd::state& state) { return reply(sd::notify(state)); }

class notifier {
 public:
  explicit notifier(std::string path) : path_(std::move(path)), listener_(listen(path_)) {
    auto passed = sd::listen_fds();
    kept_ = sd::take_stored(passed);
    others_ = passed.size();
  }

  std::string execute(const std::string& line) {
    const auto end = line.find(' ');
    const auto command = commands_.find(line.substr(0, end));
    if (command == commands_.end()) return "error: no such command";
    try {
      return command->second(end == std::string::npos ? "" : line.substr(end + 1));
    } catch (const std::exception& error) {
      return std::string("error: ") + error.what();
    }
  }

  [[noreturn]] void serve() {
    while (true) {
      pollfd client{listener_.get(), POLLIN, 0};
      const int ready = ::poll(&client, 1, watchdog_.timeout());
      if (ready < 0 && errno != EINTR) check(ready, "poll");
      watchdog_.keep_alive();
      if (ready > 0) serve_client();
    }
  }

 private:
  void serve_client() {
    client_.reset(check(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    std::string line;
    std::array<char, 256> buffer;
    for (ssize_t n = 0; (n = ::recv(client_.get(), buffer.data(), buffer.size(), 0)) > 0;) {
      line.append(buffer.data(), static_cast<std::size_t>(n));
    }
    if (!line.empty()) {
      const auto text = execute(line);
      ::send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    client_.reset();
  }

  /// Starts a child that serves commands on the socket PATH.child, and returns its pid.
  std::string spawn() {
    const int pid = check(::fork(), "fork");
    if (pid != 0) return std::to_string(pid);
    client_.reset();
    listener_ = listen(path_ + ".child");
    serve();
  }

  /// Opens a descriptor that never hangs up, and returns its inode number.
  std::string open() {
    opened_.reset(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    return std::to_string(inode(opened_.get()));
  }

  /// Opens a pipe. `hang_up` closes its write end.
  std::string open_pipe_end() {
    auto pipe = open_pipe();
    opened_ = std::move(pipe.read);
    other_end_ = std::move(pipe.write);
    return std::to_string(inode(opened_.get()));
  }

  std::string hang_up() {
    other_end_.reset();
    return "hung up";
  }

  /// Returns the names and inode numbers of the stored descriptors, sorted, and the number of the others.
  std::string kept() {
    std::multiset<std::string> lines;
    for (const auto& entry : kept_) {
      lines.insert(entry.name.value_or("?") + ' ' + std::to_string(inode(entry.fd.get())) + '\n');
    }
    std::string text;
    for (const auto& line : lines) text += line;
    return text + "others " + std::to_string(others_);
  }

  static std::string main_pidfd(int pid) {
    const sd::unique_fd process(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open"));
    const int fd = process.get();
    return reply(sd::notify(sd::state::main_pidfd(), {fd}));
  }

  /// Takes a pid and a number, which is added to the inode number of its pidfd.
  static std::string main_pidfd_id(const std::string& text) {
    std::size_t end = 0;
    const int pid = std::stoi(text, &end);
    const sd::unique_fd process(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open"));
    const auto id = inode(process.get()) + std::stoul(text.substr(end));
    return reply(sd::notify({sd::state::main_pid(pid), sd::state::main_pidfd_id(id)}));
  }

  static std::string period() {
    const auto period = sd::watchdog_period();
    return period ? std::to_string(period->count()) : "none";
  }

  static std::string limit() {
    const auto limit = sd::store_limit();
    return limit ? std::to_string(*limit) : "none";
  }

  /// Takes a pid and a status, and sends the status as that process.
  static std::string status_for(const std::string& text) {
    sd::notify_options options;
    std::size_t end = 0;
    options.pid = std::stoi(text, &end);
    return reply(sd::notify(sd::state::status(std::string_view(text).substr(end + 1)), options));
  }

  [[noreturn]] static void hang() {
    while (true) ::pause();
  }

  using state = sd::state;
  using argument = const std::string&;

  std::string path_;
  sd::unique_fd listener_;
  sd::unique_fd client_;
  sd::watchdog watchdog_{sd::watchdog_period()};
  std::vector<sd::listen_fd> kept_;
  std::size_t others_ = 0;
  sd::unique_fd opened_;
  sd::unique_fd other_end_;

  const std::map<std::string, std::function<std::string(argument)>> commands_ = {
      {"ready", [](argument) { return send(state::ready()); }},
      {"stopping", [](argument) { return send(state::stopping()); }},
      {"status", [](argument value) { return send(state::status(value)); }},
      {"status_for", status_for},
      {"failed", [](argument value) { return send(state::failed(std::stoi(value))); }},
      {"bus_error", [](argument value) { return send(state::bus_error(value)); }},
      {"varlink_error", [](argument value) { return send(state::varlink_error(value)); }},
      {"main_pid", [](argument value) { return send(state::main_pid(std::stoi(value))); }},
      {"main_pidfd", [](argument value) { return main_pidfd(std::stoi(value)); }},
      {"main_pidfd_id", main_pidfd_id},
      {"notify_access", [](argument value) { return send(state::notify_access(value)); }},
      {"extend_timeout",
       [](argument value) { return send(state::extend_timeout(std::chrono::seconds(std::stoi(value)))); }},
      {"restart_reset", [](argument) { return send(state::restart_reset()); }},
      {"barrier", [](argument) { return reply(sd::notify_barrier(8s)); }},
      {"short_barrier", [](argument) { return reply(sd::notify_barrier(50ms)); }},
      {"watchdog_trigger", [](argument) { return send(state::watchdog_trigger()); }},
      {"watchdog_period",
       [](argument value) { return send(state::watchdog_period(std::chrono::milliseconds(std::stoi(value)))); }},
      {"period", [](argument) { return period(); }},
      {"open", [this](argument) { return open(); }},
      {"open_pipe", [this](argument) { return open_pipe_end(); }},
      {"hang_up", [this](argument) { return hang_up(); }},
      {"store", [this](argument name) { return reply(sd::store(name, opened_.get())); }},
      {"store_without_poll",
       [this](argument name) { return reply(sd::store(name, opened_.get(), sd::store_poll::off)); }},
      {"forget", [](argument name) { return reply(sd::forget(name)); }},
      {"kept", [this](argument) { return kept(); }},
      {"limit", [](argument) { return limit(); }},
      {"spawn", [this](argument) { return spawn(); }},
      {"hang", [](argument) -> std::string { hang(); }},
      {"exit", [](argument value) -> std::string { std::exit(std::stoi(value)); }},
  };
};

extern "C" void send_reloading(int) {
  std::error_code ec;
  sd::notify(sd::state::reloading(), ec);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    struct sigaction action {};
    action.sa_handler = send_reloading;
    check(::sigaction(SIGHUP, &action, nullptr), "sigaction");
    notifier service(argv[1]);
    for (int i = 2; i < argc; ++i) std::cerr << argv[i] << ": " << service.execute(argv[i]) << '\n';
    service.serve();
  } catch (const std::exception& error) {
    std::cerr << "notifier: " << error.what() << '\n';
    return 1;
  }
}
