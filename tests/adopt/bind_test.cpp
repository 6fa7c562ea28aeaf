// SPDX-License-Identifier: MIT OR Apache-2.0
// Binding: what a program gets, and what stays as usual.
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>

#include "check.hpp"
#include "client.hpp"
#include "process.hpp"
#include "program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using sd::kind;
using sd::listen_fd;
using sd::adopt::test::address_of;
using sd::adopt::test::bound;
using sd::adopt::test::list;
using sd::adopt::test::port_of;
using sd::adopt::test::program;
using sd::adopt::test::reports;
using sd::adopt::test::same_results;
using sd::adopt::test::verbose;
using sd::adopt::test::with_library;
using sd::adopt::test::words;
using sd::test::check;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(adopt, numbers_and_flags_are_those_of_the_program) {
  for (const char* const flags : {"", " nonblock", " cloexec", " nonblock cloexec"}) {
    same_results(kind::stream, "127.0.0.1",
                 {"fd=socket inet stream" + std::string(flags), "set $fd SO_REUSEADDR 1", "bind $fd 127.0.0.1:PORT",
                  "listen $fd", "flags $fd", "name $fd", "get $fd SO_TYPE", "socket inet stream", "close $fd",
                  "socket unix datagram"});
  }
}

TEST(adopt, client_is_served) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto early = sd::test::connect(where);
  program server({"fd=socket inet stream", "bind $fd " + where, "listen $fd", "c=accept $fd", "peer $c", "accept $fd"},
                 fds, with_library);
  const auto late = sd::test::connect(where);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "bind $fd " + where + ": 0", "listen $fd: 0",
                          "c=accept $fd: 4 inet 16", "peer $c: inet 127.0.0.1", "accept $fd: 5 inet 16"));
}

TEST(adopt, options_are_carried_over) {
  const auto results = same_results(
      kind::stream, "127.0.0.1",
      {"fd=socket inet stream", "set $fd SO_KEEPALIVE 1", "set $fd TCP_NODELAY 1", "set $fd SO_RCVBUF 20000",
       "set $fd SO_SNDBUF 30000", "set $fd IP_TOS 16", "set $fd TCP_DEFER_ACCEPT 3", "set $fd TCP_FASTOPEN 5",
       "bind $fd 127.0.0.1:PORT", "listen $fd", "get $fd SO_KEEPALIVE", "get $fd TCP_NODELAY", "get $fd SO_RCVBUF",
       "get $fd SO_SNDBUF", "get $fd IP_TOS", "get $fd TCP_DEFER_ACCEPT", "get $fd TCP_FASTOPEN"});
  EXPECT_THAT(results, Contains("get $fd SO_RCVBUF: 40000"));
  EXPECT_THAT(results, Contains("get $fd SO_SNDBUF: 60000"));
}

TEST(adopt, options_of_the_unit_stay) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const int on = 1;
  check(::setsockopt(fds[0].fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), "setsockopt");
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "get $fd SO_KEEPALIVE"}, fds,
                 with_library);
  EXPECT_EQ(server.results().back(), "get $fd SO_KEEPALIVE: 1");
}

TEST(adopt, adopts_without_a_free_descriptor) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: a sanitizer needs descriptors at the end";
  const reports received;
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const int size = 20'000;
  check(::setsockopt(fds[0].fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size), "setsockopt");
  program server({"fd=socket inet stream", "limit 4", "bind $fd " + where, "name $fd", "get $fd SO_RCVBUF"}, fds,
                 received.enabled());
  EXPECT_THAT(server.results(), ElementsAre("fd=socket inet stream: 3", "limit 4: 0", "bind $fd " + where + ": 0",
                                            "name $fd: inet " + where, "get $fd SO_RCVBUF: 40000"));
  EXPECT_THAT(received.all(), IsEmpty());
}

TEST(adopt, adopts_with_descriptor_0_closed) {
  const reports received;
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  program server(
      {"fd=socket inet stream", "set $fd SO_KEEPALIVE 1", "copy=dup $fd", "e=epoll $copy", "close 0",
       "bind $fd " + where, "get $fd SO_KEEPALIVE", "name $copy", "wait $e", "descriptors", "open /dev/null"},
      fds, received.enabled());
  EXPECT_THAT(server.results(), ElementsAre("fd=socket inet stream: 3", "set $fd SO_KEEPALIVE 1: 0", "copy=dup $fd: 4",
                                            "e=epoll $copy: 5", "close 0: 0", "bind $fd " + where + ": 0",
                                            "get $fd SO_KEEPALIVE: 1", "name $copy: inet " + where, "wait $e: event",
                                            "descriptors: 3 4 5 1024", "open /dev/null: 0"));
  EXPECT_THAT(received.all(), ElementsAre("SD_ADOPTED=0"));
}

TEST(adopt, failed_adoption_is_reported) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  program server({"fd=socket inet stream", "dup2 $fd 40", "limit 30", "bind 40 " + where, "name $fd", "fork", "exec",
                  "s=socket inet stream", "bind $s " + where},
                 fds, verbose);
  EXPECT_THAT(server.results(), ElementsAre("fd=socket inet stream: 3", "dup2 $fd 40: 40", "limit 30: 0",
                                            "bind 40 " + where + ": EBADF", "name $fd: inet 0.0.0.0:0", "fork: child",
                                            "s=socket inet stream: 4", "bind $s " + where + ": 0"));
  EXPECT_EQ(server.errors(), "libsd-adopt: bind 40 to " + where +
                                 ": the passed socket cannot be adopted: Bad file descriptor\n" +
                                 "libsd-adopt: bind 4 to " + where + ": adopted the passed socket at " + where + '\n');
}

TEST(adopt, listen_does_not_change_the_queue) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  tcp_info before{};
  socklen_t size = sizeof before;
  check(::getsockopt(fds[0].fd.get(), IPPROTO_TCP, TCP_INFO, &before, &size), "TCP_INFO");
  program server({"own=socket inet stream", "bind $own 127.0.0.2:0", "listen $own", "queue $own",
                  "fd=socket inet stream", "bind $fd " + address_of(fds[0]), "listen $fd", "queue $fd"},
                 fds, with_library);
  const auto results = server.results();
  EXPECT_THAT(results, Contains("queue $own: 7"));
  EXPECT_EQ(results.back(), "queue $fd: " + std::to_string(before.tcpi_sacked));
}

TEST(adopt, socket_that_does_not_listen_yet) {
  const auto fds = list(bound("127.0.0.1:0", SOCK_STREAM));
  const auto where = address_of(fds[0]);
  program server({"fd=socket inet stream", "bind $fd " + where, "listen $fd", "queue $fd"}, fds, verbose);
  EXPECT_EQ(server.results().back(), "queue $fd: 7");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST(adopt, calls_with_other_descriptors_and_addresses_fail_as_usual) {
  const words calls = {"fd=socket inet stream",
                       "bind $fd 127.0.0.1:PORT 15",
                       "bind $fd 127.0.0.1:PORT 0",
                       "bind $fd 127.0.0.1:PORT 129",
                       "bind $fd null",
                       "shutdown $fd",
                       "null=open /dev/null",
                       "bind $null 127.0.0.1:PORT",
                       "shutdown $null",
                       "listen $null",
                       "bind 99 127.0.0.1:PORT",
                       "shutdown 99",
                       "listen 99",
                       "name-without-size $fd",
                       "receive-nothing $fd",
                       "bind $fd 127.0.0.1:PORT 128"};
  const auto results = same_results(kind::stream, "127.0.0.1", calls);
  EXPECT_THAT(results[1], HasSubstr("EINVAL"));
  EXPECT_THAT(results.back(), EndsWith("128: 0"));
  same_results(kind::stream, "[::]",
               {"fd=socket inet6 stream", "bind $fd [::]:PORT 23", "bind $fd [::]:PORT 24", "name $fd"});
}

TEST(adopt, other_addresses_are_bound_as_usual) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto port = port_of(fds[0]);
  program server(
      {"a=socket inet stream", "bind $a 127.0.0.2:" + port, "b=socket inet datagram", "bind $b 127.0.0.1:" + port,
       "c=socket inet6 stream", "bind $c [::1]:" + port, "d=socket inet stream", "bind $d 0.0.0.0:" + port,
       "e=socket unix stream", "bind $e @sd-adopt-" + port, "bind $e @sd-adopt 0"},
      fds, verbose);
  EXPECT_EQ(server.results().size(), 11U);
  EXPECT_THAT(server.output(), HasSubstr("bind $d 0.0.0.0:" + port + ": EADDRINUSE"));
  EXPECT_THAT(server.errors(), Not(HasSubstr("adopted")));
  EXPECT_THAT(server.errors(), HasSubstr("libsd-adopt: bind 3 to 127.0.0.2:" + port + ": no such socket was passed\n"));
  EXPECT_THAT(server.errors(), HasSubstr("bind 5 to [::1]:" + port + ": no such socket was passed\n"));
  EXPECT_THAT(server.errors(),
              HasSubstr("bind 6 to 0.0.0.0:" + port +
                        ": no such socket was passed; the program's own one fails: Address already in use\n"));
  EXPECT_THAT(server.errors(), HasSubstr("bind 7 to @sd-adopt-" + port + ": no such socket was passed\n"));
  EXPECT_THAT(server.errors(), HasSubstr("bind 7 to an address of family 0: no such socket was passed; "));
}

TEST(adopt, workers_get_a_copy_each) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const words steps = {"a=socket inet stream", "set $a SO_REUSEPORT 1", "bind $a " + where, "listen $a", "fork",
                       "b=socket inet stream", "set $b SO_REUSEPORT 1", "bind $b " + where, "listen $b", "name $b"};
  program server(steps, fds, with_library);
  EXPECT_EQ(server.results().back(), "name $b: inet " + where);
  EXPECT_TRUE(sd::test::accepts_connections(where));
}

TEST(adopt, socket_cannot_be_bound_twice) {
  same_results(kind::stream, "127.0.0.1",
               {"fd=socket inet stream", "bind $fd 127.0.0.1:PORT", "bind $fd 127.0.0.1:PORT", "bind $fd 127.0.0.2:0",
                "other=socket inet stream", "bind $other 127.0.0.2:0", "bind $other 127.0.0.1:PORT"});
}

TEST(adopt, address_of_another_family_is_an_error_as_usual) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const words steps = {"fd=socket inet6 stream", "bind $fd " + address_of(fds[0])};
  const auto plain = program(steps, {}).results();
  EXPECT_EQ(program(steps, fds, with_library).results(), plain);
  EXPECT_EQ(plain.back(), "bind $fd " + address_of(fds[0]) + ": EINVAL");
}

TEST(adopt, sockets_of_the_same_address_are_adopted_in_turn) {
  const std::vector<std::pair<int, int>> shared = {{SOL_SOCKET, SO_REUSEPORT}};
  auto fds = list(bound("127.0.0.1:0", SOCK_STREAM, shared));
  const auto where = address_of(fds[0]);
  fds.push_back(bound(where, SOCK_STREAM, shared));
  const auto inode_of = [](const listen_fd& passed) {
    struct stat status {};
    check(::fstat(passed.fd.get(), &status), "fstat");
    return std::to_string(status.st_ino);
  };
  program server({"a=socket inet stream", "bind $a " + where, "b=socket inet stream", "bind $b " + where,
                  "c=socket inet stream", "bind $c " + where, "inode $a", "inode $b", "inode $c"},
                 fds, with_library);
  EXPECT_THAT(server.results(6), ElementsAre("inode $a: " + inode_of(fds[0]), "inode $b: " + inode_of(fds[1]),
                                             "inode $c: " + inode_of(fds[0])));
}

TEST(adopt, threads_adopt_different_sockets) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "SKIPPED: ThreadSanitizer reports threads that list the descriptors of each other";
#endif
  const std::vector<std::pair<int, int>> shared = {{SOL_SOCKET, SO_REUSEPORT}};
  auto fds = list(bound("127.0.0.1:0", SOCK_STREAM, shared));
  const auto where = address_of(fds[0]);
  fds.push_back(bound(where, SOCK_STREAM, shared));
  for (int i = 0; i < 20; ++i) {
    program server(
        {"a=socket inet stream", "b=socket inet stream", "bind-in-threads $a $b " + where, "inode $a", "inode $b"}, fds,
        with_library);
    const auto results = server.results(2);
    ASSERT_EQ(results[0], "bind-in-threads $a $b " + where + ": 0");
    EXPECT_NE(results[1].substr(10), results[2].substr(10));
  }
}

TEST(adopt, socket_of_another_interface_is_not_adopted) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  program server({"fd=socket inet stream", "device $fd lo", "bind $fd " + where}, fds, with_library);
  EXPECT_THAT(server.results(1), ElementsAre("device $fd lo: 0", "bind $fd " + where + ": EADDRINUSE"));

  auto of_lo = list(bound("127.0.0.1:0", SOCK_STREAM, {}));
  check(::setsockopt(of_lo[0].fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), "SO_BINDTODEVICE");
  program same({"fd=socket inet stream", "device $fd lo", "bind $fd " + address_of(of_lo[0])}, of_lo, with_library);
  EXPECT_EQ(same.results().back(), "bind $fd " + address_of(of_lo[0]) + ": 0");
  program any({"fd=socket inet stream", "bind $fd " + address_of(of_lo[0])}, of_lo, with_library);
  EXPECT_EQ(any.results().back(), "bind $fd " + address_of(of_lo[0]) + ": 0");
}

TEST(adopt, socket_of_another_protocol) {
  const auto stream = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program tcp({"fd=socket inet stream mptcp", "bind $fd " + address_of(stream[0])}, stream, verbose);
  const auto results = tcp.results();
  if (results[0].back() < '0' || results[0].back() > '9') GTEST_SKIP() << "SKIPPED: no MPTCP: " << results[0];
  EXPECT_THAT(results[1], EndsWith(": 0"));
  EXPECT_THAT(tcp.errors(), HasSubstr("adopted"));

  const auto datagram = list(sd::testing::open(kind::datagram, "127.0.0.1:0"));
  program udp({"fd=socket inet datagram udplite", "bind $fd " + address_of(datagram[0])}, datagram, verbose);
  static_cast<void>(udp.results());
  EXPECT_THAT(udp.errors(), Not(HasSubstr("adopted")));
}

TEST(adopt, vsock) {
  if (const int probe = ::socket(AF_VSOCK, SOCK_STREAM, 0); probe < 0 || ::close(probe) < 0) {
    GTEST_SKIP() << "SKIPPED: this kernel has no vsock";
  }
  const auto fds = list(bound("vsock::4294967295", SOCK_STREAM));
  const auto bind = "bind $fd " + address_of(fds[0]);
  program server({"fd=socket vsock stream", bind, bind}, fds, verbose);
  EXPECT_THAT(server.results(1), ElementsAre(bind + ": 0", bind + ": EINVAL"));
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
  EXPECT_THAT(server.errors(), HasSubstr("the program's own one fails: Invalid argument"));
}

}  // namespace
