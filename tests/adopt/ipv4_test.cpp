// SPDX-License-Identifier: MIT OR Apache-2.0
// Wildcard addresses, and programs of IPv4 with sockets of IPv6.
#include <sd/address.hpp>
#include <sd/testing.hpp>

#include "check.hpp"
#include "client.hpp"
#include "program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::kind;
using sd::adopt::test::address_of;
using sd::adopt::test::bound;
using sd::adopt::test::list;
using sd::adopt::test::port_of;
using sd::adopt::test::program;
using sd::adopt::test::same_results;
using sd::adopt::test::verbose;
using sd::adopt::test::with_library;
using sd::adopt::test::words;
using sd::test::check;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(adopt, ipv4_program_gets_a_dual_stack_socket_and_sees_ipv4_addresses) {
  auto passed = list(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  const auto client = sd::test::connect("127.0.0.1:" + port);
  program server({"fd=socket inet stream", "bind $fd 0.0.0.0:" + port, "listen $fd", "name $fd", "c=accept $fd",
                  "peer $c", "name $c"},
                 passed, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "bind $fd 0.0.0.0:" + port + ": 0", "listen $fd: 0",
                          "name $fd: inet 0.0.0.0:" + port, "c=accept $fd: 4 inet 16", "peer $c: inet 127.0.0.1",
                          "name $c: inet 127.0.0.1:" + port));
}

TEST(adopt, program_of_both_families_sees_addresses_of_ipv6) {
  const auto passed = list(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  program server({"a=socket inet stream", "bind $a 0.0.0.0:" + port, "b=socket inet6 stream", "set $b IPV6_V6ONLY 1",
                  "bind $b [::]:" + port, "name $b"},
                 passed, with_library);
  EXPECT_EQ(server.results().back(), "name $b: inet6 [::]:" + port);
}

TEST(adopt, ipv6_program_sees_mapped_addresses_as_usual) {
  same_results(kind::stream, "[::]", {"fd=socket inet6 stream", "bind $fd [::]:PORT", "listen $fd", "name $fd"});
  const auto passed = list(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  const auto client = sd::test::connect("127.0.0.1:" + port);
  program server({"fd=socket inet6 stream", "bind $fd [::]:" + port, "listen $fd", "c=accept $fd", "peer $c"}, passed,
                 with_library);
  EXPECT_EQ(server.results().back(), "peer $c: inet6 [::ffff:127.0.0.1]");
}

TEST(adopt, ipv4_program_receives_datagrams) {
  for (const char* const where : {"127.0.0.1:0", "[::]:0"}) {
    SCOPED_TRACE(where);
    const auto passed = list(sd::testing::open(kind::datagram, where));
    const auto port = port_of(passed[0]);
    const std::string own = where[0] == '[' ? "0.0.0.0:" : "127.0.0.1:";
    program server({"fd=socket inet datagram", "set $fd IP_PKTINFO 1", "bind $fd " + own + port, "receive $fd",
                    "receive-message $fd", "receive-message $fd 3", "receive-message $fd", "receive-unnamed $fd"},
                   passed, with_library);
    const auto client = sd::test::connect("127.0.0.1:" + port, SOCK_DGRAM);
    for (const std::string text : {"first", "second"}) {
      sd::test::send(client, text);
      std::string reply(64, '\0');
      reply.resize(static_cast<std::size_t>(check(::recv(client.get(), reply.data(), reply.size(), 0), "recv")));
      EXPECT_EQ(reply, text);
    }
    for (const auto* const text : {"third", "", "last"}) sd::test::send(client, text);
    const auto results = server.results();
    EXPECT_THAT(results, Contains("receive $fd: inet 127.0.0.1 16 5"));
    EXPECT_THAT(results, Contains("receive-message $fd: 6 inet 127.0.0.1 16 IP_PKTINFO"));
    EXPECT_THAT(results, Contains("receive-message $fd 3: 3 inet 127.0.0.1 16 truncated IP_PKTINFO"));
    EXPECT_THAT(results, Contains("receive-message $fd: 0 inet 127.0.0.1 16 IP_PKTINFO"));
    EXPECT_EQ(results.back(), "receive-unnamed $fd: 4 nobody 0 IP_PKTINFO");
  }
}

TEST(adopt, ipv4_program_sees_clients_of_ipv6) {
  const auto passed = list(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  const auto client = sd::test::connect("[::1]:" + port);
  sd::test::send(client, "hello");
  const auto other = sd::test::connect("127.0.0.1:" + port);
  const auto last = sd::test::connect("127.0.0.1:" + port);
  program server({"fd=socket inet stream", "bind $fd 0.0.0.0:" + port, "listen $fd", "c=accept $fd", "peer $c",
                  "receive $c", "receive-message $fd", "d=accept4 $fd", "peer $d", "flags $d", "accept-only $fd",
                  "peer $fd", "name-without-size $fd", "receive-nothing $fd"},
                 passed, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "bind $fd 0.0.0.0:" + port + ": 0", "listen $fd: 0",
                          "c=accept $fd: 4 inet6 28", "peer $c: inet6 [::1]", "receive $c: nobody 0 5",
                          "receive-message $fd: ENOTCONN", "d=accept4 $fd: 5 inet 16", "peer $d: inet 127.0.0.1",
                          "flags $d: cloexec", "accept-only $fd: 6", "peer $fd: ENOTCONN",
                          "name-without-size $fd: EFAULT", "receive-nothing $fd: EFAULT"));
}

TEST(adopt, ipv4_program_receives_datagrams_of_ipv6) {
  const auto passed = list(sd::testing::open(kind::datagram, "[::]:0"));
  const auto port = port_of(passed[0]);
  sd::test::send(sd::test::connect("[::1]:" + port, SOCK_DGRAM), "text");
  program server({"fd=socket inet datagram", "bind $fd 0.0.0.0:" + port, "receive-message $fd"}, passed, with_library);
  // The program has room for 16 bytes of the address.
  EXPECT_EQ(server.results().back(), "receive-message $fd: 4 inet6 [::] 28");
}

TEST(adopt, own_sockets_of_an_ipv4_program_keep_their_family) {
  const auto dual =
      list(sd::testing::open(kind::stream, "[::]:0"), bound("[::]:0", SOCK_STREAM, {{SOL_SOCKET, SO_REUSEPORT}}));
  const auto port = port_of(dual[0]);
  const auto other = port_of(dual[1]);
  program server(
      {"fd=socket inet stream", "bind $fd 0.0.0.0:" + port, "a=socket inet6 datagram", "bind $a [::]:" + port,
       "name $a", "b=socket inet6 stream", "set $b SO_REUSEPORT 1", "bind $b [::ffff:127.0.0.1]:" + other, "name $b",
       "c=socket inet6 stream", "bind $c [::]:0", "name $c"},
      dual, with_library);
  const auto results = server.results();
  EXPECT_THAT(results, Contains("name $a: inet6 [::]:" + port));
  EXPECT_THAT(results, Contains("name $b: inet6 [::ffff:127.0.0.1]:" + other));
  EXPECT_THAT(results.back(), StartsWith("name $c: inet6 [::]:"));

  const auto ipv4 = list(sd::testing::open(kind::stream, "0.0.0.0:0"));
  program both({"a=socket inet stream", "bind $a " + address_of(ipv4[0]), "b=socket inet6 stream",
                "set $b IPV6_V6ONLY 1", "bind $b [::]:" + port_of(ipv4[0]), "name $b"},
               ipv4, with_library);
  EXPECT_EQ(both.results().back(), "name $b: inet6 [::]:" + port_of(ipv4[0]));
}

TEST(adopt, socket_of_ipv6_alone_is_not_for_ipv4) {
  const auto passed = list(bound("[::]:0", SOCK_STREAM, {{IPPROTO_IPV6, IPV6_V6ONLY}}));
  program server({"fd=socket inet stream", "bind $fd 0.0.0.0:" + port_of(passed[0])}, passed, verbose);
  // It succeeds unless another process uses the port with IPv4.
  static_cast<void>(server.results());
  EXPECT_THAT(server.errors(), HasSubstr("no such socket was passed"));
}

TEST(adopt, exact_address_is_preferred_to_a_wildcard) {
  const std::vector<std::pair<int, int>> shared = {{SOL_SOCKET, SO_REUSEPORT}};
  auto fds = list(bound("[::]:0", SOCK_STREAM, shared));
  const auto port = port_of(fds[0]);
  fds.push_back(bound("0.0.0.0:" + port, SOCK_STREAM, shared));
  const words twice = {"a=socket inet stream", "bind $a 0.0.0.0:" + port, "b=socket inet stream",
                       "bind $b 0.0.0.0:" + port};
  const auto message = [&](int fd, const std::string& passed) {
    return "libsd-adopt: bind " + std::to_string(fd) + " to 0.0.0.0:" + port + ": adopted the passed socket at " +
           passed + ':' + port + '\n';
  };
  program exact(twice, fds, verbose);
  static_cast<void>(exact.results());
  EXPECT_EQ(exact.errors(), message(3, "0.0.0.0") + message(4, "0.0.0.0"));
  fds.pop_back();
  program wildcard(twice, fds, verbose);
  static_cast<void>(wildcard.results());
  EXPECT_EQ(wildcard.errors(), message(3, "[::]") + message(4, "[::]"));
}

}  // namespace
