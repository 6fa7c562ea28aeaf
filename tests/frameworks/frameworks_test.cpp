// Every example of examples/frameworks that is part of this build: started with a listening socket, asked by a real
// client, stopped, and started again with the same socket, on which a client waits meanwhile. So it is seen that the
// library adopts the socket, answers, and neither shuts the socket down nor unlinks its path when it goes.

#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "client.hpp"
#include "directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using sd::test::ask;

/// A conversation with the server at this address: whether it answered as it should.
using conversation = std::function<void(const std::string& where)>;

/// The output of a command.
[[maybe_unused]] std::string run(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
  std::string output;
  std::array<char, 256> buffer;
  while (const auto n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) output.append(buffer.data(), n);
  return output;
}

void echo(const std::string& where) { EXPECT_EQ(ask(where, "hello\n"), "hello\n"); }

/// By curl, which knows paths by an option.
[[maybe_unused]] void http(const std::string& where) {
  const auto url = where.front() == '/' ? "--unix-socket " + where + " http://localhost/" : "http://" + where + '/';
  EXPECT_EQ(run("curl --silent --show-error --max-time 10 --noproxy '*' " + url), "hello\n");
}

/// By a client that stands beside the server, written with the same library.
[[maybe_unused]] conversation by_client(const std::string& framework, const std::string& client) {
  return [=](const std::string& where) {
    EXPECT_EQ(run(EXAMPLES "/" + framework + '/' + client + ' ' + where), "hello\n");
  };
}

enum unix_sockets { with_unix, without_unix };

struct example {
  std::string framework;  ///< the directory
  std::string program;
  conversation talk;
  unix_sockets paths = with_unix;  ///< whether the library can adopt one
};

const std::vector<example> examples = {
    {"asio", "asio-echo", echo},
    {"libuv", "libuv-echo", echo},
    {"libevent", "libevent-echo", echo},
    {"libev", "libev-echo", echo},
    {"glib", "glib-echo", echo},
    {"qt6", "qt6-echo", echo},
    {"poco", "poco-echo", echo},
    {"zeromq", "zeromq-hello", by_client("zeromq", "zeromq-client")},
    {"grpc", "grpc-hello", by_client("grpc", "grpc-client")},
    {"thrift", "thrift-hello", by_client("thrift", "thrift-client")},
    {"capnproto", "capnproto-hello", by_client("capnproto", "capnproto-client")},
    {"beast", "beast-hello", http},
    {"microhttpd", "microhttpd-hello", http},
    {"h2o", "h2o-hello", http},
    {"libwebsockets", "libwebsockets-hello", http},
    {"cpp-httplib", "cpp-httplib-hello", http},
    {"pistache", "pistache-hello", http},
};

struct scenario {
  example server;
  std::string where;
};

std::ostream& operator<<(std::ostream& out, const scenario& scenario) {
  return out << scenario.server.program << " at " << scenario.where;
}

bool is_built(const std::string& framework) {
  std::istringstream words(FRAMEWORKS);
  for (std::string word; words >> word;) {
    if (word == framework) return true;
  }
  return false;
}

std::vector<scenario> scenarios() {
  std::vector<scenario> all;
  for (const auto& server : examples) {
    if (!is_built(server.framework)) continue;
    all.push_back({server, "127.0.0.1:0"});
    all.push_back({server, "[::1]:0"});
    if (server.paths == with_unix) all.push_back({server, "unix"});
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<scenario>& info) {
  auto name = info.param.server.framework + (info.param.where == "unix"        ? "_unix"
                                             : info.param.where.front() == '[' ? "_ipv6"
                                                                               : "_ipv4");
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

class frameworks : public testing::TestWithParam<scenario> {
 protected:
  std::string where() { return GetParam().where == "unix" ? directory_ / "socket" : GetParam().where; }

 private:
  sd::test::directory directory_;
};

TEST_P(frameworks, serves_the_socket_and_leaves_it_to_the_next) {
  const auto& [server, ignored] = GetParam();
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, where(), "web"));
  const auto address = to_string(sd::describe(fds.front().fd.get()).local);
  const std::vector<std::string> command = {EXAMPLES "/" + server.framework + '/' + server.program};

  sd::testing::process first(command, fds);
  server.talk(address);
  server.talk(address);
  EXPECT_EQ(first.stop(), 0) << "it is to stop in good order on SIGTERM";

  // Who comes now waits.
  const auto waiting = std::async(std::launch::async, server.talk, address);
  pollfd queue{fds.front().fd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&queue, 1, 10000), 1) << "no client could connect: the socket or its path is gone";
  sd::testing::process second(command, fds);
  waiting.wait();
  EXPECT_EQ(second.stop(), 0);
}

TEST_P(frameworks, refuses_to_start_with_the_wrong_kind) {
  const auto& [server, ignored] = GetParam();
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::datagram, where(), "web"));
  sd::testing::process process({EXAMPLES "/" + server.framework + '/' + server.program}, fds);
  EXPECT_EQ(process.wait(), 1);
}

INSTANTIATE_TEST_SUITE_P(adopt, frameworks, testing::ValuesIn(scenarios()), name_of);

}  // namespace
