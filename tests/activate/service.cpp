// SPDX-License-Identifier: MIT OR Apache-2.0
// A service that replies to requests, which are lines of text. On a connection that it was passed, it replies once and
// exits.
//
//   pid              its process id
//   names            the names of its descriptors, separated by spaces
//   descriptors      the numbers of its open descriptors from 3 on
//   blocking         for each descriptor that it was passed, "yes" or "no"
//   variable NAME    the value, or "(unset)"
//   variables        the names of all variables, one in each line
//   option LEVEL NAME  the value of an option of its first socket
//   save FILE        writes the process id to a file
//   ready            sends READY=1
//   notify TEXT      sends this text to the service manager
//   send TEXT        sends this text, in which "+" stands for a line break, with a new descriptor
//   send-and-exit TEXT    the same, but exits at once without a reply
//   send-from-child TEXT  the same, but from another process
//   store NAME       stores a new descriptor
//   store-again NAME stores the last one once more
//   store-end NAME   stores an end of a new connection, whose other end stays with the service
//   store-unpolled NAME   the same, but the service manager does not watch it
//   close-ends       closes the other ends
//   forget NAME      removes descriptors from the store
//   exit STATUS      exits without a reply
//   raise SIGNAL     sends itself a signal, without a reply
//   reset SIGNAL     takes the default action for a signal
//   kill PID SIGNAL  sends a process a signal
//   orphan           the process id of a process that has lost its parent, and ends
//   exists PID       whether there is such a process, "yes" or "no"
//
// Options:
//   --ready               sends READY=1
//   --notify TEXT         sends this text to the service manager, and exits
//   --ready-when FILE     sends READY=1 when the file exists
//   --fail-when FILE      exits with status 3 if the file exists
//   --any-pid             accepts descriptors without LISTEN_PID
//   --ignore SIGNAL       ignores the signal
//   --block SIGNAL        blocks the signal
//   --handle SIGNAL FILE  creates the file when it receives the signal
//   --handle-also SIGNAL  creates the file of --handle when it receives this signal
//   --on-reload SIGNAL    sends RELOADING=1 and READY=1 when it receives the signal
//   --processes N         serves in that many processes
//   --threads N           serves in that many threads
#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/socket.hpp>
#include <sd/store.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

std::string signal_file;

void handle_signal(int) { ::close(::open(signal_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); }

void reload(int) {
  std::error_code ignored;
  sd::notify(sd::state::reloading(), ignored);
  sd::notify(sd::state::ready(), ignored);
}

void notify_when_exists(const std::string& file) {
  while (!std::filesystem::exists(file)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  sd::notify(sd::state::ready());
}

std::string open_descriptors() {
  std::string all;
  for (int fd = 3; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) all += (all.empty() ? "" : " ") + std::to_string(fd);
  }
  return all;
}

std::string variable_names() {
  std::string all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    all += text.substr(0, text.find('=')) + '\n';
  }
  return all;
}

int make_orphan() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const int parent = ::fork();
  if (parent == 0) {
    const int orphan = ::fork();
    if (orphan > 0) static_cast<void>(::write(ends[1], &orphan, sizeof orphan) < 0);
    ::_exit(0);
  }
  ::waitpid(parent, nullptr, 0);
  int orphan = 0;
  static_cast<void>(::read(ends[0], &orphan, sizeof orphan) < 0);
  for (const int end : ends) ::close(end);
  return orphan;
}

class service {
 public:
  explicit service(std::vector<sd::listen_fd> fds) : fds_(std::move(fds)) {}

  void run() {
    while (true) {
      std::vector<pollfd> watched;
      for (const auto& each : fds_) watched.push_back({each.fd.get(), POLLIN, 0});
      const int count = ::poll(watched.data(), watched.size(), -1);
      if (count < 0 && errno != EINTR) return;
      if (count <= 0) continue;
      for (const auto& [fd, _, events] : watched) {
        if (events != 0 && !serve(fd)) return;
      }
    }
  }

 private:
  /// Returns whether the service goes on.
  bool serve(int fd) {
    std::array<char, 4096> buffer;
    const auto what = sd::describe(fd);
    switch (what.kind) {
      case sd::kind::stream:
      case sd::kind::seqpacket: {
        const sd::unique_fd connection(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
        if (connection) talk(connection.get());
        return true;
      }
      case sd::kind::connection:
        talk(fd);
        return false;
      case sd::kind::datagram: {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        auto* const address = reinterpret_cast<sockaddr*>(&peer);
        const auto received = ::recvfrom(fd, buffer.data(), buffer.size(), 0, address, &size);
        if (received < 0) return true;
        const auto text = reply(std::string(buffer.data(), static_cast<std::size_t>(received)));
        ::sendto(fd, text.data(), text.size(), 0, address, size);
        return true;
      }
      default: {
        const auto received = ::read(fd, buffer.data(), buffer.size());
        if (received > 0) reply(std::string(buffer.data(), static_cast<std::size_t>(received)));
        return true;
      }
    }
  }

  void talk(int connection) {
    std::array<char, 4096> buffer;
    const auto received = ::recv(connection, buffer.data(), buffer.size(), 0);
    if (received <= 0) return;
    const auto text = reply(std::string(buffer.data(), static_cast<std::size_t>(received)));
    ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
  }

  std::string reply(const std::string& request) {
    std::istringstream words(request);
    std::string verb;
    std::string argument;
    int signal = 0;
    words >> verb >> argument >> signal;
    if (verb == "pid") return std::to_string(::getpid());
    if (verb == "names") {
      std::string all;
      for (const auto& each : fds_) all += (all.empty() ? "" : " ") + each.name.value_or("(none)");
      return all;
    }
    if (verb == "descriptors") return open_descriptors();
    if (verb == "blocking") {
      std::string all;
      for (const auto& each : fds_) {
        all += all.empty() ? "" : " ";
        all += sd::describe(each.fd.get()).nonblocking ? "no" : "yes";
      }
      return all;
    }
    if (verb == "variable") {
      const char* const value = std::getenv(argument.c_str());
      return value == nullptr ? "(unset)" : value;
    }
    if (verb == "variables") return variable_names();
    if (verb == "option") {
      int value = 0;
      socklen_t size = sizeof value;
      ::getsockopt(fds_.front().fd.get(), std::stoi(argument), signal, &value, &size);
      return std::to_string(value);
    }
    if (verb == "save") std::ofstream(argument) << ::getpid() << std::endl;
    if (verb == "ready") sd::notify(sd::state::ready());
    if (verb.rfind("send", 0) == 0) {
      std::replace(argument.begin(), argument.end(), '+', '\n');
      const int child = verb == "send-from-child" ? ::fork() : -1;
      if (child <= 0) {
        const int fd = make_memory_file();
        sd::notify(sd::state::raw(argument), {{fd}});
      }
      if (child == 0) sd::notify_barrier(std::chrono::seconds(20));
      if (child == 0 || verb == "send-and-exit") ::_exit(0);
      if (child > 0) ::waitpid(child, nullptr, 0);
    }
    if (verb == "store") make_memory_file();
    if (verb == "store" || verb == "store-again") sd::store(argument, memory_files_.back().get());
    if (verb == "store-end") store_end(argument, sd::store_poll::on);
    if (verb == "store-unpolled") store_end(argument, sd::store_poll::off);
    if (verb == "close-ends") ends_.clear();
    if (verb == "forget") sd::forget(argument);
    // The reply follows when the service manager has acted.
    if (verb == "send" || verb == "forget" || verb.rfind("store", 0) == 0) sd::notify_barrier(std::chrono::seconds(20));
    if (verb == "notify") sd::notify(sd::state::raw(argument));
    if (verb == "exit") std::exit(std::stoi(argument));
    if (verb == "kill") ::kill(std::stoi(argument), signal);
    if (verb == "orphan") return std::to_string(make_orphan());
    if (verb == "exists") return ::kill(std::stoi(argument), 0) == 0 ? "yes" : "no";
    if (verb == "reset") ::signal(std::stoi(argument), SIG_DFL);
    if (verb == "raise") ::raise(std::stoi(argument));
    return "done";
  }

  int make_memory_file() {
    memory_files_.emplace_back(::memfd_create("stored", MFD_CLOEXEC));
    return memory_files_.back().get();
  }

  void store_end(const std::string& name, sd::store_poll poll) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) std::exit(5);
    ends_.emplace_back(ends[0]);
    const sd::unique_fd stored(ends[1]);
    sd::store(name, stored.get(), poll);
  }

  std::vector<sd::listen_fd> fds_;
  std::vector<sd::unique_fd> memory_files_;
  std::vector<sd::unique_fd> ends_;
};

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> options(argv + 1, argv + argc);
  auto how = sd::listen_options::none;
  std::optional<std::string> ready_when;
  bool is_ready = false;
  int processes = 1;
  std::size_t threads = 1;
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i] == "--ready") {
      is_ready = true;
    } else if (options[i] == "--ready-when") {
      ready_when = options.at(++i);
    } else if (options[i] == "--fail-when") {
      if (std::filesystem::exists(options.at(++i))) return 3;
    } else if (options[i] == "--any-pid") {
      how = sd::listen_options::any_pid;
    } else if (options[i] == "--ignore") {
      ::signal(std::stoi(options.at(++i)), SIG_IGN);
    } else if (options[i] == "--block") {
      sigset_t blocked;
      ::sigemptyset(&blocked);
      ::sigaddset(&blocked, std::stoi(options.at(++i)));
      ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    } else if (options[i] == "--notify") {
      sd::notify(sd::state::raw(options.at(++i)));
      return 0;
    } else if (options[i] == "--processes") {
      processes = std::stoi(options.at(++i));
    } else if (options[i] == "--threads") {
      threads = std::stoul(options.at(++i));
    } else if (options[i] == "--handle" || options[i] == "--handle-also") {
      const bool is_first = options[i] == "--handle";
      const int number = std::stoi(options.at(++i));
      if (is_first) signal_file = options.at(++i);
      struct sigaction action {};
      action.sa_handler = handle_signal;
      ::sigaction(number, &action, nullptr);
    } else if (options[i] == "--on-reload") {
      struct sigaction action {};
      action.sa_handler = reload;
      ::sigaction(std::stoi(options.at(++i)), &action, nullptr);
    }
  }
  auto fds = sd::listen_fds(how);
  const auto stored = sd::take_stored(fds);
  if (is_ready) sd::notify(sd::state::ready());
  while (processes > 1 && ::fork() != 0) --processes;
  // The thread that serves may have to wait in accept(), because another process was faster.
  if (ready_when) std::thread(notify_when_exists, *ready_when).detach();
  service server(std::move(fds));
  std::vector<std::thread> others;
  while (others.size() + 1 < threads) others.emplace_back([&] { server.run(); });
  server.run();
  for (auto& each : others) each.join();
  return 0;
} catch (const std::exception& error) {
  std::cerr << "service: " << error.what() << '\n';
  return 4;
}
