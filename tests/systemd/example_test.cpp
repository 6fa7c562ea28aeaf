// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs examples/my-service with its own unit files, and at its limits.

#include "client.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <future>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

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
    EXPECT_TRUE(eventually_is("my-service.service", "ActiveState", "failed"));
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

}  // namespace
