// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs examples/on-demand, which exits when it is idle, under systemd.

#include "client.hpp"
#include "manager.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace sd::test;
using namespace std::chrono_literals;

using idle = under_systemd;

/// Sends a line and returns the next data that the service sends. The connection stays open.
std::string echo(const sd::unique_fd& client, const std::string& line) {
  send(client, line);
  std::array<char, 64> buffer{};
  const auto received = ::recv(client.get(), buffer.data(), buffer.size(), 0);
  return {buffer.data(), received > 0 ? static_cast<std::size_t>(received) : 0};
}

TEST_F(idle, next_client_starts_the_service_again_after_its_exit) {
  systemctl("start soon-idle.socket");
  int pid = 0;
  for (int i = 0; i < 5; ++i) {
    {
      const auto client = connect("127.0.0.1:7301");
      EXPECT_TRUE(eventually_is("soon-idle.service", "ActiveState", "active"));
      const int previous = std::exchange(pid, main_pid("soon-idle.service"));
      EXPECT_NE(pid, previous);
      std::this_thread::sleep_for(50ms);  // much longer than it keeps running without a client
      EXPECT_EQ(main_pid("soon-idle.service"), pid);
      EXPECT_EQ(converse(client, "hello\n"), "hello\n");
    }
    EXPECT_TRUE(eventually_is("soon-idle.service", "ActiveState", "inactive"));
    EXPECT_EQ(state("soon-idle.socket"), "active");
  }
}

/// One client every 3.3 ms, while the service exits after 3 ms: about as many connect shortly before the exit as after.
TEST_F(idle, no_client_is_lost_around_the_exit) {
  systemctl("start soon-idle.socket");
  const auto starts = [] { return count_lines("/run/manager.log", "Started soon-idle.service"); };
  for (int round = 0; round < 5 || starts() < 100; ++round) {  // a slow machine needs more than five rounds
    const auto result = run(ECHO_CLIENTS " 7301 2000 300 2>&1");
    ASSERT_EQ(result.output, "2000 clients: 2000 answered, 0 lost\n");
  }
}

TEST_F(idle, service_that_opened_the_socket_itself_keeps_running) {
  systemctl("start idle-own-port.service");
  const int pid = main_pid("idle-own-port.service");
  EXPECT_TRUE(eventually([] { return accepts_connections("127.0.0.1:7302"); }));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(ask("127.0.0.1:7302", "hello\n"), "hello\n");
  EXPECT_EQ(main_pid("idle-own-port.service"), pid);
}

TEST_F(idle, example_with_its_own_units_keeps_running_for_30_seconds) {
  systemctl("start on-demand.socket");
  EXPECT_EQ(ask("127.0.0.1:1235", "hello\n"), "hello\n");
  EXPECT_EQ(ask("[::1]:1235", "hello\n"), "hello\n");
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(state("on-demand.service"), "active");
}

/// The service has 24 descriptors and 8 processes or threads.
TEST_F(idle, clients_beyond_the_limits_of_the_service_wait_for_the_others) {
  if (run("command -v strace").status != 0) GTEST_SKIP() << "SKIPPED: strace is not installed";
  systemctl("start limited-on-demand.socket");
  auto clients = connect_many(60, "127.0.0.1:7303");
  for (int i = 0; i < 500; ++i) ASSERT_EQ(echo(clients[0], "x"), "x");
  const int pid = main_pid("limited-on-demand.service");
  for (std::size_t i = 0; i < clients.size(); ++i) {
    ASSERT_EQ(converse(clients[i], "hello\n"), "hello\n") << i;
    if (i == 50) {
      EXPECT_EQ(main_pid("limited-on-demand.service"), pid);
    }
    clients[i].reset();
  }
  EXPECT_TRUE(eventually_is("limited-on-demand.service", "ActiveState", "inactive"));
  // The service accepts 60 clients. It also tries in vain after a client has left, and once a second.
  const int attempts = count_lines("/run/limited-on-demand/trace", "accept4(");
  EXPECT_GE(attempts, 60);
  EXPECT_LE(attempts, 200);
}

TEST_F(idle, client_that_never_reads_does_not_hold_up_the_others) {
  systemctl("start on-demand.socket");
  const auto client = connect("127.0.0.1:1235");
  flood(client, std::string(1 << 16, 'x'));
  pollfd closed{client.get(), POLLRDHUP, 0};
  EXPECT_EQ(::poll(&closed, 1, 0), 0) << "the service has closed the connection";
  EXPECT_EQ(ask("127.0.0.1:1235", "hello\n"), "hello\n");
}

TEST_F(idle, service_exits_after_1000_clients_that_disconnect_at_once) {
  systemctl("start soon-idle.socket");
  for (int i = 0; i < 1000; ++i) connect("127.0.0.1:7301");
  EXPECT_EQ(ask("127.0.0.1:7301", "hello\n"), "hello\n");
  EXPECT_TRUE(eventually_is("soon-idle.service", "ActiveState", "inactive"));
}

}  // namespace
