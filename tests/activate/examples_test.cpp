// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs the examples with their own unit files.
#include "client.hpp"
#include "directory.hpp"
#include "isolation.hpp"
#include "running.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace {

using sd::activate::test::activator;
using sd::activate::test::words;
using sd::test::ask;

namespace fs = std::filesystem;

/// The examples are in /usr/local/bin, where their units expect them.
class examples : public testing::Test {
 protected:
  void SetUp() override {
    if (!sd::test::isolation_error().empty()) GTEST_SKIP() << "SKIPPED: " << sd::test::isolation_error();
    ASSERT_EQ(::mount("bin", "/usr/local/bin", "tmpfs", 0, nullptr), 0) << std::generic_category().message(errno);
    for (const fs::path program : {HELLO, KEEP_CONNECTIONS, MY_SERVICE, ON_DEMAND}) {
      fs::create_symlink(program, "/usr/local/bin" / program.filename());
    }
  }
  void TearDown() override { ::umount("/usr/local/bin"); }

  static std::string unit(const std::string& name) { return EXAMPLES "/" + name + '/' + name + ".socket"; }
};

TEST_F(examples, hello) {
  activator program({unit("hello")});
  EXPECT_EQ(program.address(), "[::]:1234");
  EXPECT_EQ(ask("127.0.0.1:1234", ""), "hello\n");
  EXPECT_EQ(ask("[::1]:1234", ""), "hello\n");
  EXPECT_EQ(program.stop(), 0);
}

TEST_F(examples, my_service_serves_across_restarts) {
  activator program({unit("my-service")});
  EXPECT_EQ(program.address(), "[::]:1234");
  EXPECT_EQ(ask("127.0.0.1:1234", "hello\n"), "hello\n");
  program.send(SIGHUP);
  program.event("restarted");
  EXPECT_EQ(ask("127.0.0.1:1234", "hello again\n"), "hello again\n");
  EXPECT_EQ(program.stop(), 0);
}

TEST_F(examples, on_demand_exits_when_idle_and_is_started_by_the_next_client) {
  const sd::test::directory units;
  for (const std::string name : {"on-demand.socket", "on-demand.service"}) {
    fs::copy_file(EXAMPLES "/on-demand/" + name, units / name);
  }
  // As in the example, but with a shorter time.
  fs::create_directory(units / "on-demand.service.d");
  std::ofstream(units / "on-demand.service.d/time.conf")
      << "[Service]\nExecStart=\nExecStart=/usr/local/bin/on-demand 1235 50\n";
  activator program({units / "on-demand.socket"});
  EXPECT_EQ(program.address(), "[::]:1235");
  int previous = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask("127.0.0.1:1235", "hello\n"), "hello\n");
    const int pid = program.event("started").at("pid");
    EXPECT_NE(pid, previous);
    previous = pid;
    EXPECT_EQ(program.event("exited").at("status"), 0);
  }
  EXPECT_EQ(program.stop(), 0);
}

TEST_F(examples, clients_of_keep_connections_talk) {
  activator program({unit("keep-connections")});
  EXPECT_EQ(program.address(), "[::]:1236");
  const auto alice = sd::test::connect("127.0.0.1:1236");
  const auto bob = sd::test::connect("127.0.0.1:1236");
  const auto read = [](const sd::unique_fd& client) {
    std::array<char, 64> buffer{};
    const auto size = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    return std::string(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  sd::test::send(alice, "hello\n");
  EXPECT_EQ(read(alice), "hello\n");
  sd::test::send(bob, "good morning\n");
  EXPECT_EQ(read(alice), "good morning\n");
  EXPECT_EQ(program.stop(), 0);
}

}  // namespace
