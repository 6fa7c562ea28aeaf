// SPDX-License-Identifier: MIT OR Apache-2.0
// examples/keep-connections, whose connections sd-activate stores.
#include <sd/unique_fd.hpp>

#include "client.hpp"
#include "descriptor_limit.hpp"
#include "directory.hpp"
#include "running.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace {

using sd::activate::test::activator;
using sd::activate::test::eventually;
using sd::test::descriptor_limit;

/// Returns how many connections of TCP a process has open.
std::size_t connections_of(int pid) {
  std::set<std::string> established;
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream row(line);
    const std::vector<std::string> fields(std::istream_iterator<std::string>(row), {});
    if (fields.size() > 9 && fields[3] != "0A") established.insert("socket:[" + fields[9] + ']');
  }
  std::size_t number = 0;
  for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code closed;
    if (established.count(std::filesystem::read_symlink(each, closed)) != 0) ++number;
  }
  return number;
}

/// The example with its own units, but for the path of the program and the port.
class keep_connections : public testing::Test {
 protected:
  keep_connections() {
    for (const auto* const name : {"keep-connections.socket", "keep-connections.service"}) {
      std::ifstream source(std::string(KEEP_CONNECTIONS_UNITS "/") + name);
      std::ofstream copy(there_ / name);
      for (std::string line; std::getline(source, line);) {
        if (line.rfind("ExecStart=", 0) == 0) line = "ExecStart=" KEEP_CONNECTIONS;
        if (line.rfind("ListenStream=", 0) == 0) line = "ListenStream=127.0.0.1:0";
        copy << line << '\n';
      }
    }
  }

  sd::test::directory there_;
  const descriptor_limit raised_{descriptor_limit::current().rlim_max};
};

/// Returns what arrives up to the end of the line, or less if the connection is closed or nothing arrives in time.
std::string receive_line(const sd::unique_fd& client) {
  std::string text;
  for (char next = 0; next != '\n' && ::recv(client.get(), &next, 1, 0) == 1;) text += next;
  return text;
}

/// Waits until sd-activate has this number of accepted connections open: those that the service has stored.
bool eventually_stores(const activator& program, std::size_t connections) {
  return eventually([&] { return connections_of(program.pid()) == connections; });
}

/// The clients of the chat.
class conversation {
 public:
  conversation(std::size_t size, const std::string& where) : clients_(sd::test::connect_many(size, where)) {}

  /// Sends a line in two parts with this action in between, and checks that all clients receive it.
  template <class Action>
  void talk(std::size_t sender, const Action& action) {
    const auto line = "line " + std::to_string(++lines_) + '\n';
    sd::test::send(clients_[sender], line.substr(0, 3));
    action();
    sd::test::send(clients_[sender], line.substr(3));
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      auto received = receive_line(clients_[i]);
      // A service that is killed before it has removed a line from its sender's socket sends it again.
      if (received == last_) received = receive_line(clients_[i]);
      ASSERT_EQ(received, line) << "client " << i << " of " << clients_.size();
    }
    last_ = line;
  }

 private:
  std::vector<sd::unique_fd> clients_;
  std::size_t lines_ = 0;
  std::string last_;
};

TEST_F(keep_connections, clients_stay_connected_across_restarts_and_crashes) {
  for (const std::size_t size : {200U, 1000U}) {
    activator program({"-q", there_ / "keep-connections.socket"});
    conversation chat(size, program.address());
    int pid = program.event("ready").value("pid", 0);
    EXPECT_TRUE(eventually_stores(program, size));
    for (std::size_t i = 0; i < 5 && !HasFatalFailure(); ++i) {
      chat.talk(i, [&] {
        program.send(SIGHUP);
        const int next = program.event("restarted").value("pid", 0);
        EXPECT_NE(next, pid);
        pid = next;
      });
      chat.talk(size - 1 - i, [&] {
        ::kill(pid, SIGKILL);
        pid = program.event("ready").value("pid", 0);
      });
    }
    EXPECT_TRUE(eventually_stores(program, size));
    EXPECT_EQ(program.stop(), 0);
  }
}

TEST_F(keep_connections, connections_that_clients_close_are_dropped) {
  activator program({"-q", there_ / "keep-connections.socket"});
  const auto where = program.address();
  conversation chat(1, where);
  EXPECT_TRUE(eventually_stores(program, 1));
  {
    const conversation more(100, where);
    EXPECT_TRUE(eventually_stores(program, 101));
  }
  EXPECT_TRUE(eventually_stores(program, 1));
  chat.talk(0, [] {});
}

}  // namespace
