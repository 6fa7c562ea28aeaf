// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs examples/my-service and examples/keep-connections with their own unit files, and at their limits.

#include "client.hpp"
#include "descriptor_limit.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace sd::test;
using namespace std::chrono_literals;

using example = under_systemd;

/// Repeats an action while clients come and go, and expects that all of them are answered.
void under_clients(std::chrono::milliseconds pause, const std::function<void()>& action) {
  std::atomic<int> done{0};
  auto clients = std::async(std::launch::async, [&done] {
    do {
      const auto result = run(ECHO_CLIENTS " 1234 500 250 2>&1");
      EXPECT_EQ(result.output, "500 clients: 500 answered, 0 lost\n");
      EXPECT_EQ(result.status, 0);
    } while (done == 0);
  });
  for (int i = 0; i < 15; ++i) {
    action();
    std::this_thread::sleep_for(pause);
  }
  done = 1;
  clients.get();
}

TEST_F(example, first_client_starts_the_service) {
  systemctl("start my-service.socket");
  EXPECT_EQ(state("my-service.socket"), "active");
  EXPECT_EQ(state("my-service.service"), "inactive");
  EXPECT_THAT(processes("my-service"), testing::IsEmpty());

  EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
  EXPECT_EQ(state("my-service.service"), "active");
  const int pid = main_pid("my-service.service");
  EXPECT_THAT(processes("my-service"), testing::ElementsAre(pid));

  EXPECT_EQ(ask("[::1]:1234", "hello again\n"), "hello again\n");
  EXPECT_EQ(main_pid("my-service.service"), pid);
}

TEST_F(example, restarts_lose_no_client) {
  systemctl("start my-service.socket");
  int pid = 0;
  under_clients(100ms, [&pid] {
    systemctl("restart my-service.service");
    const int previous = std::exchange(pid, main_pid("my-service.service"));
    EXPECT_NE(pid, previous);
  });
}

TEST_F(example, next_client_starts_a_stopped_service) {
  systemctl("start my-service.socket");
  int pid = 0;
  // Not more often: by default, systemd refuses more than 20 activations in two seconds.
  under_clients(150ms, [&pid] {
    systemctl("stop my-service.service");
    EXPECT_EQ(state("my-service.socket"), "active");
    EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
    const int previous = std::exchange(pid, main_pid("my-service.service"));
    EXPECT_NE(pid, previous);
  });
}

TEST_F(example, idle_client_does_not_hold_up_a_stop) {
  systemctl("start my-service.socket");
  const auto idle = connect("127.0.0.1:1234");
  EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
  systemctl("stop my-service.service");
  EXPECT_EQ(state("my-service.service"), "inactive");  // not "failed", as after SIGKILL
}

TEST_F(example, client_that_never_reads_does_not_hold_up_a_stop) {
  systemctl("start my-service.socket");
  const auto client = connect("127.0.0.1:1234");
  flood(client, std::string(1 << 16, 'x'));
  EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
  systemctl("stop my-service.service");
  EXPECT_EQ(state("my-service.service"), "inactive");
}

TEST_F(example, next_client_starts_a_crashed_service) {
  systemctl("start my-service.socket");
  int pid = 0;
  // More often than the default start limit of a unit allows.
  for (int crash = 0; crash < 8; ++crash) {
    EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
    const int previous = std::exchange(pid, main_pid("my-service.service"));
    ASSERT_GT(pid, 0);
    EXPECT_NE(pid, previous);
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(eventually([] { return state("my-service.service") == "failed"; }));
    EXPECT_EQ(state("my-service.socket"), "active");
  }
}

TEST_F(example, service_without_a_socket_unit_opens_the_port_itself) {
  EXPECT_THROW(connect("127.0.0.1:1234"), std::system_error);
  systemctl("start own-port.service");
  EXPECT_TRUE(eventually([] { return accepts_connections("127.0.0.1:1234"); }));
  EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
  EXPECT_EQ(state("my-service.socket"), "inactive");

  systemctl("stop own-port.service");
  EXPECT_THROW(connect("127.0.0.1:1234"), std::system_error);
}

/// Connects 60 clients, which are more than the service can serve at once, and expects that all of them are answered
/// when others have left.
void expect_all_of_60_clients_answered(const std::string& service) {
  auto clients = connect_many(60, "127.0.0.1:1234");
  for (std::size_t i = 0; i < clients.size(); ++i) {
    ASSERT_EQ(converse(clients[i], "hello\n"), "hello\n") << i;
    clients[i].reset();
  }
  EXPECT_THAT(processes("my-service"), testing::ElementsAre(main_pid(service)));
  systemctl("stop " + service);
  EXPECT_EQ(state(service), "inactive");
}

TEST_F(example, clients_wait_if_the_service_has_24_descriptors) {
  if (run("command -v strace").status != 0) GTEST_SKIP() << "SKIPPED: strace is not installed";
  systemctl("start limited-my-service.socket");
  expect_all_of_60_clients_answered("limited-my-service.service");
  // Ten attempts a second while the service has no free descriptor.
  EXPECT_LE(count_lines("/run/limited-my-service/trace", "accept4("), 1000);
}

TEST_F(example, clients_wait_if_the_service_has_10_threads) {
  systemctl("start few-threads-my-service.socket");
  expect_all_of_60_clients_answered("few-threads-my-service.service");
}

/// examples/keep-connections.
class keep_connections_limits : public under_systemd {
 private:
  descriptor_limit for_clients_{descriptor_limit::current().rlim_max};
};

constexpr const char* chat = "127.0.0.1:1236";

/// Receives as many bytes. Fewer are returned if the connection is lost, or after ten seconds.
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

bool eventually_stores(const std::string& service, std::size_t connections) {
  return eventually([&] { return property(service, "NFileDescriptorStore") == std::to_string(connections); });
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
  ASSERT_TRUE(eventually_stores("keep-connections.service", 1000));
  send(clients.front(), "hel");
  restart("keep-connections.service");
  EXPECT_EQ(property("keep-connections.service", "NFileDescriptorStore"), "1000");
  send(clients.front(), "lo\n");
  for (const auto& client : clients) ASSERT_EQ(receive(client, 6), "hello\n");
  send(clients.back(), "hello again\n");
  for (const auto& client : clients) ASSERT_EQ(receive(client, 12), "hello again\n");
}

/// A client that is not stored would be lost in a restart. It is accepted by the service only when another one has
/// left.
TEST_F(keep_connections_limits, client_1001_waits_until_another_one_has_left) {
  systemctl("start keep-connections.socket");
  auto clients = connect_many(1000, chat);
  ASSERT_TRUE(eventually_stores("keep-connections.service", 1000));
  const auto last = connect(chat);
  send(last, "hello\n");
  restart("keep-connections.service");
  clients.pop_back();
  EXPECT_EQ(receive(last, 6), "hello\n");
  for (const auto& client : clients) ASSERT_EQ(receive(client, 6), "hello\n");
}

/// 700 descriptors and the numbers that systemd needs to pass them do not fit the default limit.
TEST_F(keep_connections_limits, restart_succeeds_with_the_default_limit_of_1024_descriptors) {
  systemctl("start default-limit-chat.socket");
  auto clients = connect_many(700, "127.0.0.1:7312");
  send(clients.front(), "hello\n");
  EXPECT_EQ(receive(clients.front(), 6), "hello\n");
  ASSERT_TRUE(eventually_stores("default-limit-chat.service", 506));
  restart("default-limit-chat.service");
  send(clients.back(), "hello again\n");
  EXPECT_TRUE(eventually_stores("default-limit-chat.service", 506));
  clients.erase(clients.begin(), clients.begin() + 506);
  EXPECT_EQ(receive(clients.back(), 12), "hello again\n");
}

TEST_F(keep_connections_limits, clients_that_disconnect_within_a_line_are_released) {
  systemctl("start keep-connections.socket");
  {
    const auto clients = connect_many(990, chat);
    for (const auto& client : clients) send(client, "half a line");
    ASSERT_TRUE(eventually_stores("keep-connections.service", 990));
  }
  EXPECT_TRUE(eventually_stores("keep-connections.service", 0));
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
    ASSERT_TRUE(eventually_stores("keep-connections.service", 1));
    ::kill(main_pid("keep-connections.service"), SIGSTOP);
  }
  const int pid = main_pid("keep-connections.service");
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually([pid] {
    const int next = main_pid("keep-connections.service");
    return next != 0 && next != pid;
  }));
  EXPECT_TRUE(eventually_stores("keep-connections.service", 0));
}

TEST_F(keep_connections_limits, clients_that_never_read_are_disconnected) {
  systemctl("start keep-connections.socket");
  const auto reader = connect(chat);
  std::vector<sd::unique_fd> hostile = connect_many(50, chat);
  ASSERT_TRUE(eventually_stores("keep-connections.service", 51));
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
  ASSERT_TRUE(eventually_stores("keep-connections.service", 1));

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
  EXPECT_TRUE(eventually_stores("keep-connections.service", 1));
}

/// With 24 descriptors, it serves 6 clients. All others wait.
TEST_F(keep_connections_limits, clients_wait_if_the_service_has_24_descriptors) {
  if (run("command -v strace").status != 0) GTEST_SKIP() << "SKIPPED: strace is not installed";
  systemctl("start limited-chat.socket");
  auto clients = connect_many(60, "127.0.0.1:7311");
  ASSERT_TRUE(eventually_stores("limited-chat.service", 6));
  const int pid = main_pid("limited-chat.service");
  for (auto& client : clients) {
    send(client, "hello\n");
    ASSERT_EQ(receive(client, 6), "hello\n");
    client.reset();
  }
  EXPECT_EQ(main_pid("limited-chat.service"), pid);
  EXPECT_TRUE(eventually_stores("limited-chat.service", 0));
  EXPECT_LE(count_lines("/run/limited-chat/trace", "accept4("), 70);
  EXPECT_LE(count_lines("/run/limited-chat/trace", "epoll_wait("), 1000);
}

}  // namespace
