// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests examples/keep-connections, whose clients stay connected across restarts, under systemd.

#include "client.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
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
#include <utility>
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

bool eventually_keeps(int connections) {
  return eventually(
      [&] { return property("keep-connections.service", "NFileDescriptorStore") == std::to_string(connections); });
}

TEST_F(keep_connections, restarts_lose_and_duplicate_no_message) {
  constexpr std::size_t clients = 200;
  constexpr int restarts = 20;
  systemctl("start keep-connections.socket");
  std::vector<talker> talkers;
  talkers.reserve(clients);
  for (std::size_t i = 0; i < clients; ++i) talkers.emplace_back(i, clients);
  EXPECT_TRUE(eventually_keeps(clients));

  auto restarting = std::async(std::launch::async, [] {
    for (int i = 0; i < restarts; ++i) {
      systemctl("restart keep-connections.service");
      std::this_thread::sleep_for(50ms);
    }
  });
  talk(
      talkers, [&] { return restarting.wait_for(0s) != std::future_status::ready; }, 100ms);
  restarting.get();
  EXPECT_TRUE(eventually_keeps(clients));
}

TEST_F(keep_connections, crash_resets_no_connection) {
  systemctl("start keep-connections.socket");
  std::vector<talker> talkers;
  for (std::size_t i = 0; i < 3; ++i) talkers.emplace_back(i, 3);
  EXPECT_TRUE(eventually_keeps(3));
  const int pid = main_pid("keep-connections.service");
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually([&] {
    const int next = main_pid("keep-connections.service");
    return next != 0 && next != pid;
  }));
  int messages = 5;
  talk(
      talkers, [&] { return messages-- > 0; }, 0ms);
}

TEST_F(keep_connections, closed_connections_are_dropped) {
  systemctl("start keep-connections.socket");
  {
    const auto first = connect(chat);
    const auto second = connect(chat);
    EXPECT_TRUE(eventually_keeps(2));
  }
  EXPECT_TRUE(eventually_keeps(0));
}

TEST_F(keep_connections, stop_closes_the_connections) {
  systemctl("start keep-connections.socket");
  const auto client = connect(chat);
  EXPECT_TRUE(eventually_keeps(1));
  systemctl("stop keep-connections.service");
  std::array<char, 16> buffer;
  EXPECT_EQ(::recv(client.get(), buffer.data(), buffer.size(), 0), 0);
}

}  // namespace
