// SPDX-License-Identifier: MIT OR Apache-2.0
// The program that concurrent_test starts: threads that receive, notify, spawn, fork, bind and use idle exit, all at
// once. It prints a line for each result that is wrong, and at the end what the threads have done.
//
//   concurrent DIRECTORY ROUNDS

#include <sd/activation.hpp>
#include <sd/address.hpp>
#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "check.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::test::check;

void expect(bool holds, const std::string& otherwise) {
  static std::mutex mutex;
  if (holds) return;
  const std::lock_guard lock(mutex);
  std::cout << otherwise << std::endl;
}

bool succeeded(int pid) {
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && status == 0;
}

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd) count += static_cast<int>(::fcntl(fd, F_GETFD) >= 0);
  return count;
}

/// Counts the messages on `fd`, by their texts, until `ended` and none is left.
std::map<std::string, int> count_messages(int fd, const std::atomic<bool>& ended) {
  std::map<std::string, int> counts;
  while (true) {
    const bool last = ended;
    pollfd readable{fd, POLLIN, 0};
    if (::poll(&readable, 1, last ? 0 : 10) > 0) {
      std::array<char, 256> text{};
      ++counts[std::string(text.data(),
                           static_cast<std::size_t>(check(::recv(fd, text.data(), text.size(), 0), "recv")))];
    } else if (last) {
      return counts;
    }
  }
}

bool notify(const std::string& status, std::error_code& ec) {
  return sd::notify({sd::state::status(status)}, ec) == sd::notify_result::sent;
}

// --- what the threads do, once ---------------------------------------------------------------------------------------

int receive_once() {
  std::error_code ec;
  const auto fds = sd::listen_fds(ec);
  expect(!ec, "listen_fds: " + ec.message());
  for (const auto& each : fds) expect(::fcntl(each.fd.get(), F_GETFD) == FD_CLOEXEC, "a received descriptor is closed");
  return static_cast<int>(fds.size());
}

int notify_once() {
  std::error_code ec;
  expect(notify("thread", ec), "notify: " + ec.message());
  return 1;
}

int spawn_once() {
  sd::activation program({"/bin/true"}, {});
  std::error_code ec;
  const int pid = program.spawn(ec);
  expect(!ec && succeeded(pid), "spawn: " + ec.message());
  return 1;
}

int fail_to_spawn_once() {
  sd::activation program({"/nowhere/program"}, {});
  std::error_code ec;
  program.spawn([]() noexcept { return 0; }, ec);
  expect(ec.value() == ENOENT, "spawn with a preparation: " + ec.message());
  return 1;
}

int fork_once() {
  const int pid = check(::fork(), "fork");
  if (pid == 0) {
    std::error_code ec;
    ::_exit(sd::listen_fds(ec).empty() && !ec && notify("child", ec) ? 0 : 1);
  }
  expect(succeeded(pid), "a forked child received descriptors or could not notify");
  return 1;
}

int bind_once(const sd::address& where) {
  static std::atomic<int> owners{0};
  std::vector<sd::listen_fd> none;
  std::error_code ec;
  const auto server = sd::take_or_bind(none, where, {}, ec);
  if (ec) {
    expect(ec.value() == EADDRINUSE, "take_or_bind: " + ec.message());
    return 0;
  }
  expect(++owners == 1, "two threads have bound the path");
  --owners;
  return 1;
}

int work_once(sd::idle_exit& idle, const std::atomic<bool>& stopped) {
  std::this_thread::sleep_for(10us);
  const auto work = idle.begin();
  expect(!work || !stopped, "work began after the service had stopped");
  return work ? 1 : 0;
}

}  // namespace

int main(int, char** argv) {
  const std::string directory = argv[1];
  const int rounds = std::atoi(argv[2]);
  const auto manager = sd::testing::open(sd::kind::datagram, directory + "/notify").fd;
  check(::setenv("NOTIFY_SOCKET", (directory + "/notify").c_str(), 1), "setenv");
  const sd::server_socket listener(sd::testing::open(sd::kind::stream, "127.0.0.1:0").fd);
  const sd::address path(directory + "/s");
  const int open = open_descriptors();

  std::atomic<bool> ended{false};
  std::map<std::string, int> messages;
  std::thread managing([&] { messages = count_messages(manager.get(), ended); });
  sd::idle_exit idle(0ms);
  idle.watch(listener);
  std::atomic<bool> stopped{false};

  struct role {
    const char* name;
    int threads;
    std::function<int()> once;
    std::atomic<int> done{0};
  };
  std::array<role, 7> roles{{{"received", 3, receive_once},
                             {"notified", 2, notify_once},
                             {"spawned", 1, spawn_once},
                             {"not spawned", 1, fail_to_spawn_once},
                             {"forked", 2, fork_once},
                             {"bound", 3, [&] { return bind_once(path); }},
                             {"worked", 2, [&] { return work_once(idle, stopped); }}}};
  std::atomic<bool> begun{false};
  std::vector<std::thread> threads;
  for (auto& role : roles) {
    for (int i = 0; i < role.threads; ++i) {
      threads.emplace_back([&] {
        while (!begun) std::this_thread::yield();
        for (int round = 0; round < rounds; ++round) role.done += role.once();
      });
    }
  }
  {
    const auto busy = idle.begin();
    begun = true;
    while (roles.back().done < rounds) std::this_thread::yield();
  }
  while (!idle.try_stop()) std::this_thread::sleep_for(100us);
  stopped = true;
  for (auto& thread : threads) thread.join();
  ended = true;
  managing.join();

  for (const auto& role : roles) std::cout << role.name << ' ' << role.done << '\n';
  for (const auto& [text, count] : messages) std::cout << text << ' ' << count << '\n';
  std::cout << "descriptors " << open_descriptors() - open << '\n';
}
