// SPDX-License-Identifier: MIT OR Apache-2.0
// Each example of examples/frameworks that is part of this build is started with a listening socket, talks to a client,
// is stopped, and is started again with the same socket, in which a client waits meanwhile. So the library adopts the
// socket, replies, and neither shuts the socket down nor unlinks its path when it exits.

#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "directory.hpp"
#include "examples.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <ostream>
#include <string>
#include <vector>

namespace {

struct scenario {
  sd::test::example server;
  std::string where;
};

std::ostream& operator<<(std::ostream& out, const scenario& scenario) {
  return out << scenario.server.program << " at " << scenario.where;
}

std::vector<scenario> scenarios() {
  std::vector<scenario> all;
  for (const auto& server : sd::test::built_examples()) {
    all.push_back({server, "127.0.0.1:0"});
    all.push_back({server, "[::1]:0"});
    if (server.adopts_unix) all.push_back({server, "unix"});
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<scenario>& info) {
  const auto& where = info.param.where;
  const char* const address = where == "unix" ? "_unix" : where.front() == '[' ? "_ipv6" : "_ipv4";
  return sd::test::test_name(info.param.server.framework + address);
}

class frameworks : public testing::TestWithParam<scenario> {
 protected:
  std::string where() { return GetParam().where == "unix" ? directory_ / "socket" : GetParam().where; }

 private:
  sd::test::directory directory_;
};

TEST_P(frameworks, serves_the_socket_and_leaves_it_to_the_next_instance) {
  const auto& server = GetParam().server;
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, where(), "web"));
  const auto address = to_string(sd::describe(fds.front().fd.get()).local);

  sd::testing::process first({server.path()}, fds);
  talk(server, address);
  talk(server, address);
  EXPECT_EQ(first.stop(), 0) << "SIGTERM must end it with status 0";

  // A client that connects now waits.
  const auto waiting = std::async(std::launch::async, [&] { talk(server, address); });
  pollfd queue{fds.front().fd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&queue, 1, 10000), 1) << "no client could connect: the socket or its path is gone";
  sd::testing::process second({server.path()}, fds);
  waiting.wait();
  EXPECT_EQ(second.stop(), 0);
}

TEST_P(frameworks, refuses_to_start_with_the_wrong_kind) {
  const auto& server = GetParam().server;
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::datagram, where(), "web"));
  sd::testing::process process({server.path()}, fds);
  EXPECT_EQ(process.wait(), 1);
}

INSTANTIATE_TEST_SUITE_P(adopt, frameworks, testing::ValuesIn(scenarios()), name_of);

}  // namespace
