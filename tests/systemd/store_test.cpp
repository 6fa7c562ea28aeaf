// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests examples/keep-connections, whose clients stay connected across restarts, under systemd, and at its limits.

#include "client.hpp"
#include "descriptor_limit.hpp"
#include "manager.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace sd::test;
using namespace std::chrono_literals;

using keep_connections = under_systemd;

constexpr const char* chat = "127.0.0.1:1236";

/// A client of the chat, which sends numbered messages and reads those of all clients.
class talker {
 public:
  talker(std::size_t number, std::size_t talkers) : number_(number), next_(talkers, 0), fd_(connect(chat)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// How many messages it has received.
  [[nodiscard]] std::size_t received() const { return received_; }

  void say(std::size_t message) {
    const auto line = std::to_string(number_) + ' ' + std::to_string(message) + '\n';
    // In two parts, as the service may restart between them.
    const auto half = line.size() / 2;
    send(fd_, line.substr(0, half));
    send(fd_, line.substr(half));
  }

  /// Reads the messages that have arrived. Each one must be the next one of its sender.
  void read() {
    std::array<char, 4096> buffer;
    while (true) {
      const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count < 0 && errno == EAGAIN) return;
      ASSERT_GT(count, 0) << "talker " << number_ << " lost its connection";
      text_.append(buffer.data(), static_cast<std::size_t>(count));
      for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
        take(text_.substr(0, end));
        text_.erase(0, end + 1);
      }
    }
  }

 private:
  void take(const std::string& line) {
    std::size_t length = 0;
    const auto sender = std::stoul(line, &length);
    const auto message = std::stoul(line.substr(length));
    ASSERT_LT(sender, next_.size());
    ASSERT_EQ(message, next_[sender]++) << "lost or duplicated, of talker " << sender;
    ++received_;
  }

  std::size_t number_;
  std::vector<std::size_t> next_;
  sd::unique_fd fd_;
  std::string text_;
  std::size_t received_ = 0;
};

/// Makes all talkers send messages while `more` returns true, and waits until each has received all messages of all.
void talk(std::vector<talker>& talkers, const std::function<bool()>& more, std::chrono::milliseconds pause) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  std::vector<pollfd> readable;
  readable.reserve(talkers.size());
  for (const auto& talker : talkers) readable.push_back({talker.fd(), POLLIN, 0});
  std::size_t said = 0;
  auto next = std::chrono::steady_clock::now();
  const auto has_heard_all = [&](const talker& talker) { return talker.received() == said * talkers.size(); };
  for (bool talking = true; talking || !std::all_of(talkers.begin(), talkers.end(), has_heard_all);) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "messages were lost";
    talking = talking && more();
    if (talking && std::chrono::steady_clock::now() >= next) {
      for (auto& talker : talkers) talker.say(said);
      ++said;
      next += pause;
    }
    ASSERT_GE(::poll(readable.data(), readable.size(), 1), 0);
    for (std::size_t i = 0; i < talkers.size(); ++i) {
      if (readable[i].revents != 0) talkers[i].read();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_GT(said, 0);
}

bool eventually_stores(int connections, const std::string& service = "keep-connections.service") {
  return eventually_is(service, "NFileDescriptorStore", std::to_string(connections));
}

/// Waits until the service has another main process. Returns false if it has not after ten seconds.
bool eventually_restarts(int pid) {
  return eventually([pid] {
    const int next = main_pid("keep-connections.service");
    return next != 0 && next != pid;
  });
}

TEST_F(keep_connections, restarts_lose_and_duplicate_no_message) {
  constexpr std::size_t clients = 200;
  constexpr int restarts = 20;
  systemctl("start keep-connections.socket");
  std::vector<talker> talkers;
  talkers.reserve(clients);
  for (std::size_t i = 0; i < clients; ++i) talkers.emplace_back(i, clients);
  EXPECT_TRUE(eventually_stores(clients));

  auto restarting = std::async(std::launch::async, [] {
    for (int i = 0; i < restarts; ++i) {
      systemctl("restart keep-connections.service");
      std::this_thread::sleep_for(50ms);
    }
  });
  talk(
      talkers, [&] { return restarting.wait_for(0s) != std::future_status::ready; }, 100ms);
  restarting.get();
  EXPECT_TRUE(eventually_stores(clients));
}

TEST_F(keep_connections, crash_resets_no_connection) {
  systemctl("start keep-connections.socket");
  std::vector<talker> talkers;
  for (std::size_t i = 0; i < 3; ++i) talkers.emplace_back(i, 3);
  EXPECT_TRUE(eventually_stores(3));
  const int pid = main_pid("keep-connections.service");
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually_restarts(pid));
  int messages = 5;
  talk(
      talkers, [&] { return messages-- > 0; }, 0ms);
}

TEST_F(keep_connections, closed_connections_are_dropped) {
  systemctl("start keep-connections.socket");
  {
    const auto first = connect(chat);
    const auto second = connect(chat);
    EXPECT_TRUE(eventually_stores(2));
  }
  EXPECT_TRUE(eventually_stores(0));
}

TEST_F(keep_connections, stop_closes_the_connections) {
  systemctl("start keep-connections.socket");
  const auto client = connect(chat);
  EXPECT_TRUE(eventually_stores(1));
  systemctl("stop keep-connections.service");
  std::array<char, 16> buffer;
  EXPECT_EQ(::recv(client.get(), buffer.data(), buffer.size(), 0), 0);
}

// --- limits ----------------------------------------------------------------------------------------------------------

/// Tests with more clients than the default limit of descriptors allows.
class keep_connections_limits : public under_systemd {
 private:
  descriptor_limit for_clients_{descriptor_limit::current().rlim_max};
};

/// Receives this many bytes, or fewer if the connection is closed or no data arrives for ten seconds.
std::string receive(const sd::unique_fd& client, std::size_t size) {
  std::string text(size, '\0');
  std::size_t received = 0;
  while (received < size) {
    const auto count = ::recv(client.get(), text.data() + received, size - received, 0);
    if (count <= 0) break;
    received += static_cast<std::size_t>(count);
  }
  text.resize(received);
  return text;
}

bool is_disconnected(const sd::unique_fd& client) {
  std::array<char, 4096> buffer;
  ssize_t received = 0;
  do received = ::recv(client.get(), buffer.data(), buffer.size(), 0);
  while (received > 0);
  return received == 0 || errno == ECONNRESET;
}

void restart(const std::string& service) {
  const int pid = main_pid(service);
  systemctl("restart " + service);
  EXPECT_EQ(state(service), "active");
  EXPECT_NE(main_pid(service), pid);
}

TEST_F(keep_connections_limits, restart_keeps_1000_clients) {
  systemctl("start keep-connections.socket");
  const auto clients = connect_many(1000, chat);
  ASSERT_TRUE(eventually_stores(1000));
  send(clients.front(), "hel");
  restart("keep-connections.service");
  EXPECT_EQ(property("keep-connections.service", "NFileDescriptorStore"), "1000");
  send(clients.front(), "lo\n");
  for (const auto& client : clients) ASSERT_EQ(receive(client, 6), "hello\n");
  send(clients.back(), "hello again\n");
  for (const auto& client : clients) ASSERT_EQ(receive(client, 12), "hello again\n");
}

/// systemd stores 1000 connections, and a restart would close any other one. The service therefore accepts the next
/// client only after another one has left.
TEST_F(keep_connections_limits, client_1001_waits_until_another_one_has_left) {
  systemctl("start keep-connections.socket");
  auto clients = connect_many(1000, chat);
  ASSERT_TRUE(eventually_stores(1000));
  const auto last = connect(chat);
  send(last, "hello\n");
  restart("keep-connections.service");
  clients.pop_back();
  EXPECT_EQ(receive(last, 6), "hello\n");
  for (const auto& client : clients) ASSERT_EQ(receive(client, 6), "hello\n");
}

/// systemd needs up to two descriptors for each one that it passes, so 700 connections would exceed the limit.
TEST_F(keep_connections_limits, restart_succeeds_with_the_default_limit_of_1024_descriptors) {
  systemctl("start default-limit-chat.socket");
  auto clients = connect_many(700, "127.0.0.1:7312");
  send(clients.front(), "hello\n");
  EXPECT_EQ(receive(clients.front(), 6), "hello\n");
  ASSERT_TRUE(eventually_stores(506, "default-limit-chat.service"));
  restart("default-limit-chat.service");
  send(clients.back(), "hello again\n");
  EXPECT_TRUE(eventually_stores(506, "default-limit-chat.service"));
  clients.erase(clients.begin(), clients.begin() + 506);
  EXPECT_EQ(receive(clients.back(), 12), "hello again\n");
}

TEST_F(keep_connections_limits, clients_that_disconnect_within_a_line_are_released) {
  systemctl("start keep-connections.socket");
  {
    const auto clients = connect_many(990, chat);
    for (const auto& client : clients) send(client, "half a line");
    ASSERT_TRUE(eventually_stores(990));
  }
  EXPECT_TRUE(eventually_stores(0));
  restart("keep-connections.service");
  const auto client = connect(chat);
  send(client, "hello\n");
  EXPECT_EQ(receive(client, 6), "hello\n");
}

TEST_F(keep_connections_limits, client_that_disconnects_within_a_line_during_a_restart_is_released) {
  systemctl("start keep-connections.socket");
  {
    const auto client = connect(chat);
    send(client, "half a line");
    ASSERT_TRUE(eventually_stores(1));
    ::kill(main_pid("keep-connections.service"), SIGSTOP);
  }
  const int pid = main_pid("keep-connections.service");
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually_restarts(pid));
  EXPECT_TRUE(eventually_stores(0));
}

TEST_F(keep_connections_limits, clients_that_never_read_are_disconnected) {
  systemctl("start keep-connections.socket");
  const auto reader = connect(chat);
  std::vector<sd::unique_fd> hostile = connect_many(50, chat);
  ASSERT_TRUE(eventually_stores(51));
  // More than the socket buffers of a client can hold, in steps that the reader follows.
  const std::string line = std::string(4000, 'x') + '\n';
  int lines = 0;
  while (property("keep-connections.service", "NFileDescriptorStore") != "1") {
    for (int i = 0; i < 200; ++i, ++lines) {
      send(reader, line);
      ASSERT_EQ(receive(reader, line.size()), line) << lines;
    }
    ASSERT_LT(lines, 100'000);
  }
  for (const auto& client : hostile) EXPECT_TRUE(is_disconnected(client));
}

TEST_F(keep_connections_limits, client_that_never_stops_sending_does_not_hold_up_the_others) {
  systemctl("start keep-connections.socket");
  const auto hostile = connect(chat);
  const auto repeat = [&hostile](auto call) {
    std::array<char, 4096> buffer;
    buffer.fill('\n');
    while (call(hostile.get(), buffer.data(), buffer.size(), MSG_NOSIGNAL) > 0) continue;
  };
  auto sending = std::async(std::launch::async, repeat, ::send);
  auto receiving = std::async(std::launch::async, repeat, ::recv);
  ASSERT_TRUE(eventually_stores(1));

  const auto client = connect(chat);
  send(client, "hello\n");
  std::string text;
  while (text.size() < 5) {
    const auto next = receive(client, 1);
    if (next.empty()) break;
    if (next != "\n") text += next;
  }
  EXPECT_EQ(text, "hello");
  ::shutdown(hostile.get(), SHUT_RDWR);
}

TEST_F(keep_connections_limits, service_survives_1000_clients_that_disconnect_at_once) {
  systemctl("start keep-connections.socket");
  connect_many(1000, chat);
  for (int i = 0; i < 1000; ++i) connect(chat);
  const auto client = connect(chat);
  send(client, "hello\n");
  EXPECT_EQ(receive(client, 6), "hello\n");
  EXPECT_TRUE(eventually_stores(1));
}

/// With 24 descriptors, it serves 6 clients. All others wait.
TEST_F(keep_connections_limits, clients_wait_if_the_service_has_24_descriptors) {
  if (run("command -v strace").status != 0) GTEST_SKIP() << "SKIPPED: strace is not installed";
  systemctl("start limited-chat.socket");
  auto clients = connect_many(60, "127.0.0.1:7311");
  ASSERT_TRUE(eventually_stores(6, "limited-chat.service"));
  const int pid = main_pid("limited-chat.service");
  for (auto& client : clients) {
    send(client, "hello\n");
    ASSERT_EQ(receive(client, 6), "hello\n");
    client.reset();
  }
  EXPECT_EQ(main_pid("limited-chat.service"), pid);
  EXPECT_TRUE(eventually_stores(0, "limited-chat.service"));
  EXPECT_LE(count_lines("/run/limited-chat/trace", "accept4("), 70);
  EXPECT_LE(count_lines("/run/limited-chat/trace", "epoll_wait("), 1000);
}

}  // namespace
