// The example service, with its own unit files.

#include "client.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <string>
#include <system_error>
#include <utility>

namespace {

using namespace sd::test;
using namespace std::chrono_literals;

using example = beside_systemd;

/// Repeats something, time and again, while 1,000 clients come and go. None is to be lost.
void under_clients(std::chrono::milliseconds pause, const std::function<void()>& repeated) {
  auto clients = std::async(std::launch::async, [] { return run(ECHO_CLIENTS " 1234 1000 250 2>&1"); });
  int times = 0;
  while (clients.wait_for(pause) != std::future_status::ready) {
    repeated();
    ++times;
  }
  const auto result = clients.get();
  EXPECT_EQ(result.output, "1000 clients: 1000 answered, 0 lost\n");
  EXPECT_EQ(result.status, 0);
  EXPECT_GT(times, 5);
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
  // Not more often: by default, more than 20 starts by clients in two seconds are too many for systemd.
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
  EXPECT_EQ(state("my-service.service"), "inactive");  // and not failed, as after SIGKILL
}

TEST_F(example, next_client_starts_a_crashed_service) {
  systemctl("start my-service.socket");
  int pid = 0;
  // More often than a unit's start limit allows by default.
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

TEST_F(example, opens_the_port_itself_where_nothing_is_passed) {
  EXPECT_THROW(connect("127.0.0.1:1234"), std::system_error);
  systemctl("start own-port.service");
  EXPECT_TRUE(eventually([] { return answers("127.0.0.1:1234"); }));
  EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
  EXPECT_EQ(state("my-service.socket"), "inactive");

  systemctl("stop own-port.service");
  EXPECT_THROW(connect("127.0.0.1:1234"), std::system_error);
}

}  // namespace
