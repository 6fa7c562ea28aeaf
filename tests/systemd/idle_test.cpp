// The example that exits when nobody needs it, under systemd.

#include "client.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace sd::test;
using namespace std::chrono_literals;

using idle = beside_systemd;

/// How often systemd has started a service.
int starts(const std::string& service) {
  int count = 0;
  std::ifstream log("/run/manager.log");
  for (std::string line; std::getline(log, line);) {
    if (line.find("Started " + service) != std::string::npos) ++count;
  }
  return count;
}

TEST_F(idle, next_client_starts_a_service_that_has_gone) {
  systemctl("start soon-idle.socket");
  int pid = 0;
  for (int i = 0; i < 5; ++i) {
    {
      const auto client = connect("127.0.0.1:7301");
      EXPECT_TRUE(eventually([] { return state("soon-idle.service") == "active"; }));
      const int previous = std::exchange(pid, main_pid("soon-idle.service"));
      EXPECT_NE(pid, previous);
      std::this_thread::sleep_for(50ms);  // many times as long as it stays without a client
      EXPECT_EQ(main_pid("soon-idle.service"), pid);
      EXPECT_EQ(converse(client, "hello\n"), "hello\n");
    }
    EXPECT_TRUE(eventually([] { return state("soon-idle.service") == "inactive"; }));
    EXPECT_EQ(state("soon-idle.socket"), "active");
  }
}

/// One every 3.3 ms, where the service goes after 3 ms: about as many come shortly before it goes as shortly after.
TEST_F(idle, loses_none_of_10000_clients_around_the_moment_of_exit) {
  systemctl("start soon-idle.socket");
  const auto result = run(ECHO_CLIENTS " 7301 10000 300 2>&1");
  EXPECT_EQ(result.output, "10000 clients: 10000 answered, 0 lost\n");
  EXPECT_GT(starts("soon-idle.service"), 500);
}

TEST_F(idle, stays_where_it_opened_the_socket_itself) {
  systemctl("start idle-own-port.service");
  const int pid = main_pid("idle-own-port.service");
  EXPECT_TRUE(eventually([] { return answers("127.0.0.1:7302"); }));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(ask("127.0.0.1:7302", "hello\n"), "hello\n");
  EXPECT_EQ(main_pid("idle-own-port.service"), pid);
}

TEST_F(idle, the_example_stays_for_its_30_seconds) {
  systemctl("start on-demand.socket");
  EXPECT_EQ(ask("127.0.0.1:1235", "hello\n"), "hello\n");
  EXPECT_EQ(ask("[::1]:1235", "hello\n"), "hello\n");
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(state("on-demand.service"), "active");
}

}  // namespace
