// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that bind their own sockets behave the same with libsd-adopt as without it.
#include <sd/activation.hpp>
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "client.hpp"
#include "descriptor_limit.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "waiting.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::kind;
using sd::listen_fd;
using sd::test::check;
using testing::_;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using words = std::vector<std::string>;
using environment = std::map<std::string, std::string>;

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A program that takes steps, which steps.cpp lists.
class program {
 public:
  program(const words& steps, const std::vector<listen_fd>& fds, const environment& more = {}) {
    const auto command = sd::test::command(STEPS, steps);
    sd::activation started(command, fds, more);
    const sd::unique_fd output(create("output"));
    const sd::unique_fd errors(create("errors"));
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // what the test has inherited
    const sd::test::descriptor_limit raised(sd::test::descriptor_limit::current().rlim_max);
    pid_ = started.spawn([&]() noexcept {
      return ::dup2(output.get(), STDOUT_FILENO) < 0 || ::dup2(errors.get(), STDERR_FILENO) < 0 ? errno : 0;
    });
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) sd::test::wait_for(pid_);
  }

  /// Waits for its end. Returns the results of the steps but for the first ones.
  words results(std::size_t skipped = 0) {
    const int status = sd::test::wait_for(std::exchange(pid_, 0));
    EXPECT_EQ(status, 0) << contents_of(directory_ / "errors");
    words all;
    std::istringstream lines(contents_of(directory_ / "output"));
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(skipped, all.size())));
    return all;
  }
  /// Returns what was written to standard error, without the lines of valgrind.
  [[nodiscard]] std::string errors() const {
    return std::regex_replace(contents_of(directory_ / "errors"), std::regex("(==|--)[0-9]+(==|--)[^\n]*\n"), "");
  }
  [[nodiscard]] std::string output() const { return contents_of(directory_ / "output"); }

 private:
  [[nodiscard]] int create(const std::string& name) const {
    return check(::open((directory_ / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), name);
  }

  sd::test::directory directory_;
  int pid_ = 0;
};

const environment with_library = {{"LD_PRELOAD", LIBRARY}};
const environment verbose = {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_VERBOSE", "1"}};

template <class... Fds>
std::vector<listen_fd> list(Fds... fds) {
  std::vector<listen_fd> all;
  (all.push_back(std::move(fds)), ...);
  return all;
}

/// Opens a socket with options, which sd::testing::open() does not set. It does not listen.
listen_fd bound(const std::string& where, int type, const std::vector<std::pair<int, int>>& options = {}) {
  const sd::address address(where);
  listen_fd result{std::nullopt, sd::unique_fd(check(::socket(address.family(), type | SOCK_CLOEXEC, 0), "socket"))};
  const int on = 1;
  for (const auto& [level, name] : options) {
    check(::setsockopt(result.fd.get(), level, name, &on, sizeof on), "setsockopt");
  }
  const auto* const data = static_cast<const sockaddr*>(address.data());
  check(::bind(result.fd.get(), data, static_cast<socklen_t>(address.size())), "bind to " + where);
  return result;
}

std::string address_of(const listen_fd& passed) { return to_string(sd::describe(passed.fd.get()).local); }

std::string port_of(const listen_fd& passed) { return std::to_string(sd::describe(passed.fd.get()).local.port()); }

/// A socket that receives the reports of adoptions, as that of sd-activate does.
class reports {
 public:
  explicit reports(const std::string& where) : where_(where), socket_(sd::testing::open(kind::datagram, where)) {}
  reports() : reports("@sd-adopt-reports-" + std::to_string(::getpid())) {}

  /// Returns the variables of a program that sends reports.
  [[nodiscard]] environment enabled() const { return {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_NOTIFY", where_}}; }
  [[nodiscard]] words all() const {
    words received;
    char text[64];
    for (ssize_t size = 0; (size = ::recv(socket_.fd.get(), text, sizeof text, MSG_DONTWAIT)) >= 0;) {
      received.emplace_back(text, static_cast<std::size_t>(size));
    }
    return received;
  }
  /// Sends messages until the queue is full.
  void fill() const {
    const auto sender = sd::test::connect(where_, SOCK_DGRAM);
    while (::send(sender.get(), "text", 4, MSG_DONTWAIT) >= 0) continue;
  }

 private:
  std::string where_;
  listen_fd socket_;
};

/// Runs the steps without the library and without a passed socket, and then with both. Returns what they print, which
/// must be the same. PORT in the steps stands for the port of the passed socket.
words same_results(kind type, const std::string& where, const words& steps) {
  auto passed = sd::testing::open(type, where + ":0");
  const auto port = port_of(passed);
  passed = {};
  words with_port;
  for (auto each : steps) {
    const auto at = each.find("PORT");
    if (at != std::string::npos) each.replace(at, 4, port);
    with_port.push_back(std::move(each));
  }
  const auto plain = program(with_port, {}).results();
  const auto fds = list(sd::testing::open(type, where + ':' + port));
  program adopting(with_port, fds, verbose);
  const auto adopted = adopting.results();
  EXPECT_EQ(adopted, plain);
  EXPECT_THAT(adopting.errors(), HasSubstr("adopted the passed socket"));
  return adopted;
}

// --- binding ---------------------------------------------------------------------------------------------------------

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
  program server({"fd=socket vsock stream", "bind $fd " + address_of(fds[0])}, fds, verbose);
  EXPECT_THAT(server.results().back(), EndsWith(": 0"));
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

// --- wildcard addresses and IPv4 -------------------------------------------------------------------------------------

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

// --- what programs do ------------------------------------------------------------------------------------------------

class closing_all_descriptors : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, closing_all_descriptors, testing::Values("loop", "close_range", "closefrom", "proc"),
                         [](const auto& method) { return std::string(method.param); });

TEST_P(closing_all_descriptors, keeps_passed_sockets) {
  const std::string method = GetParam();
  same_results(kind::stream, "127.0.0.1",
               {"open /dev/null", "close-all " + method, "fd=socket inet stream", "bind $fd 127.0.0.1:PORT",
                "listen $fd", "close-all " + method, "flags 3"});
}

TEST_P(closing_all_descriptors, keeps_adopted_sockets) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"a=socket inet stream", "bind $a " + address_of(fds[0]), "close-all " + std::string(GetParam()),
                  "b=socket inet stream", "bind $b " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "bind $b " + address_of(fds[0]) + ": 0");
}

TEST(adopt, close_of_a_kept_number_fails) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"descriptors", "close 1024", "dup2 0 1024", "close 1024", "close -1", "fd=socket inet stream",
                  "bind $fd " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("descriptors: 1024", "close 1024: EBADF", "dup2 0 1024: 1024", "close 1024: 0",
                          "close -1: EBADF", "fd=socket inet stream: 3", "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, kept_socket_makes_room_for_a_copy) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"a=socket inet stream", "b=socket inet stream cloexec", "dup2 1024 1024", "dup2 99 1024",
                  "dup3 99 1024", "dup2 $a 7", "descriptors", "dup2 $a 1024", "descriptors", "dup3 $b 1025", "flags $a",
                  "flags $b", "flags 1025", "flags 1026", "descriptors", "bind $a " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("a=socket inet stream: 3", "b=socket inet stream cloexec: 4", "dup2 1024 1024: 1024",
                          "dup2 99 1024: EBADF", "dup3 99 1024: EBADF", "dup2 $a 7: 7", "descriptors: 3 4 7 1024",
                          "dup2 $a 1024: 1024", "descriptors: 3 4 7 1024 1025", "dup3 $b 1025: 1025",
                          "flags $a: ", "flags $b: cloexec", "flags 1025: cloexec", "flags 1026: ",
                          "descriptors: 3 4 7 1024 1025 1026", "bind $a " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, close_range_leaves_kept_sockets_out) {
  const auto open = [] { return sd::testing::open(kind::stream, "127.0.0.1:0"); };
  const auto fds = list(open(), open(), open());
  // The first socket is then kept under the highest number.
  program server({"dup2 0 1024", "dup2 0 1023", "dup2 0 1028", "dup2 0 1030", "close-range 5 3",
                  "close-range 2147483648 4294967295", "close-range 1025 1025", "close-range 1025 1027", "descriptors",
                  "close-range 3 1023", "descriptors", "close-range 1024 1027", "descriptors",
                  "close-range 3 4294967295 64", "close-range 3 1025 64", "close-range 3 4294967295", "descriptors"},
                 fds, with_library);
  EXPECT_THAT(
      server.results(4),
      ElementsAre("close-range 5 3: EINVAL", "close-range 2147483648 4294967295: 0", "close-range 1025 1025: 0",
                  "close-range 1025 1027: 0", "descriptors: 1023 1024 1025 1026 1027 1028 1030",
                  "close-range 3 1023: 0", "descriptors: 1024 1025 1026 1027 1028 1030", "close-range 1024 1027: 0",
                  "descriptors: 1025 1026 1027 1028 1030", "close-range 3 4294967295 64: EINVAL",
                  "close-range 3 1025 64: EINVAL", "close-range 3 4294967295: 0", "descriptors: 1025 1026 1027"));
}

TEST(adopt, closefrom_without_close_range) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"without-close-range", "limit 2000", "dup2 0 3", "dup2 0 4", "dup2 0 1999", "closefrom 4", "descriptors"}, fds,
      with_library);
  const auto results = server.results();
  if (results[0] != "without-close-range: 0") GTEST_SKIP() << "SKIPPED: no seccomp: " << results[0];
  EXPECT_EQ(results.back(), "descriptors: 3 1024");
}

TEST(adopt, closefrom_a_negative_number_closes_all) {
  const reports received;
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  // Its standard output is then closed.
  program server({"closefrom -5", "socket inet stream", "bind 0 " + address_of(fds[0])}, fds, received.enabled());
  EXPECT_THAT(server.results(), IsEmpty());
  EXPECT_THAT(received.all(), ElementsAre("SD_ADOPTED=0"));
}

TEST(adopt, server_executed_by_a_wrapper_adopts) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"descriptors", "exec", "dup2 0 1024", "exec", "fd=socket inet stream", "bind $fd " + address_of(fds[0]), "exec",
       "again=socket inet stream", "bind $again " + address_of(fds[0])},
      fds, verbose);
  EXPECT_EQ(server.results().size(), 6U);
  const auto adopted = ": adopted the passed socket at " + address_of(fds[0]) + '\n';
  EXPECT_EQ(server.errors(), "libsd-adopt: bind 3 to " + address_of(fds[0]) + adopted + "libsd-adopt: bind 4 to " +
                                 address_of(fds[0]) + adopted);
}

TEST(adopt, program_that_the_server_executes_gets_nothing) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  for (const words& steps : {words{"fork", "exec"}, {"spawn"}, {"fork", "clear-environment", "exec"}}) {
    words all = {"fd=socket inet stream cloexec", "bind $fd " + address_of(fds[0])};
    all.insert(all.end(), steps.begin(), steps.end());
    all.emplace_back("descriptors");
    program server(all, fds, with_library);
    EXPECT_EQ(server.results().back(), "descriptors: ") << steps.back();
  }
}

TEST(adopt, program_executed_without_the_environment_gets_nothing) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"clear-environment", "fd=socket inet stream cloexec", "bind $fd " + address_of(fds[0]), "dup2 0 1024",
                  "exec", "descriptors"},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "descriptors: 1024");
}

TEST(adopt, server_executed_by_a_child_adopts) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fork", "exec", "fork", "dup2 0 1024", "exec", "fd=socket inet stream",
                  "bind $fd " + address_of(fds[0]), "listen $fd"},
                 fds, verbose);
  EXPECT_EQ(server.results().back(), "listen $fd: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST(adopt, several_sockets_survive_exec) {
  std::vector<listen_fd> fds(6);
  for (auto& each : fds) each = sd::testing::open(kind::stream, "127.0.0.1:0");
  words steps = {"variable SD_ADOPT_FDS",         "exec", "variable SD_ADOPT_FDS", "a=socket inet stream cloexec",
                 "bind $a " + address_of(fds[1]), "exec"};
  for (const auto& each : fds) {
    steps.emplace_back("fd=socket inet stream");
    steps.push_back("bind $fd " + address_of(each));
  }
  const auto results = program(steps, fds, with_library).results();
  ASSERT_EQ(results.size(), 4 + 2 * fds.size());
  EXPECT_EQ(results[0], results[1]);
  for (std::size_t i = 0; i < fds.size(); ++i) EXPECT_THAT(results[5 + 2 * i], EndsWith(": 0"));
}

TEST(adopt, more_than_253_descriptors) {
  const auto result =
      sd::test::run({{STEPS, "descriptors", "exec", "descriptors"}, 254, {}, {{"LD_PRELOAD", LIBRARY}}});
  std::string expected = "descriptors: 256";
  for (int fd = 1024; fd < 1024 + 253; ++fd) expected += ' ' + std::to_string(fd);
  expected += '\n';
  EXPECT_EQ(result.output, expected + expected);
}

TEST(adopt, descriptor_that_is_no_socket_is_kept) {
  listen_fd file{std::nullopt, sd::unique_fd(check(::open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null"))};
  const auto fds = list(std::move(file), sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"exec", "descriptors", "fd=socket inet stream", "bind $fd " + address_of(fds[1])}, fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("descriptors: 1024 1025", "fd=socket inet stream: 3",
                                            "bind $fd " + address_of(fds[1]) + ": 0"));
}

TEST(adopt, numbers_that_have_another_meaning_by_now_are_not_kept) {
  const std::string other = "0000000000:00000000000000000001:0000000000 ";
  const std::string closed = "0000000050:00000000000000000000:0000000000 ";
  std::string value = closed;
  for (int i = 1; i < 300; ++i) value += other;
  program server({"variable SD_ADOPT_FDS", "shutdown 99", "close 0", "open /dev/null", "dup2 0 50", "close 50"}, {},
                 {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_FDS", value}});
  const auto results = server.results();
  EXPECT_EQ(results[0].size(), std::string("variable SD_ADOPT_FDS: ").size() + 253 * other.size());
  EXPECT_THAT(results,
              ElementsAre(_, "shutdown 99: EBADF", "close 0: 0", "open /dev/null: 0", "dup2 0 50: 50", "close 50: 0"));
}

TEST(adopt, child_of_the_server_can_close_all_descriptors) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "fork", "close-all close_range", "descriptors"}, fds,
      with_library);
  EXPECT_EQ(server.results().back(), "descriptors: ");
}

TEST(adopt, new_sockets_precede_those_of_an_ancestor) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[1]), "name $fd"}, fds,
                 {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_FDS", "0000000000:00000000000000000001:0000000001 "}});
  EXPECT_EQ(server.results().back(), "name $fd: inet " + address_of(fds[1]));
}

TEST(adopt, daemon_without_environment_and_privileges_adopts) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  words steps = {"clear-environment", "fork", "fork", "fd=socket inet stream", "bind $fd " + address_of(fds[0]),
                 "listen $fd"};
  if (::geteuid() == 0) steps.insert(steps.begin() + 3, "user");
  program server(steps, fds, verbose);
  EXPECT_EQ(server.results().back(), "listen $fd: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST(adopt, adopts_with_a_low_limit_of_descriptors) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"limit 64", "exec", "limit 32", "fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds,
                 verbose);
  EXPECT_EQ(server.results().size(), 4U);
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

/// Returns steps that start the library with this limit of descriptors.
words with_limit(int limit, const words& steps) {
  words all = {"limit " + std::to_string(limit), std::string("variable LD_PRELOAD ") + LIBRARY, "exec"};
  all.insert(all.end(), steps.begin(), steps.end());
  return all;
}

TEST(adopt, kept_numbers_are_as_high_as_the_limit_allows) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  for (const auto& [limit, number] : {std::pair{1025, "1024"}, {1024, "1023"}, {64, "63"}}) {
    program server(with_limit(limit, {"descriptors", "fd=socket inet stream", "bind $fd " + address_of(fds[0])}), fds);
    const auto results = server.results();
    EXPECT_EQ(results[2], std::string("descriptors: ") + number);
    EXPECT_THAT(results.back(), EndsWith(": 0"));
  }
}

TEST(adopt, kept_socket_makes_room_below_the_limit) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(with_limit(64, {"close 0", "dup2 1 63", "descriptors", "close 3", "fd=socket inet stream",
                                 "bind $fd " + address_of(fds[0])}),
                 fds);
  EXPECT_THAT(server.results(2), ElementsAre("close 0: 0", "dup2 1 63: 63", "descriptors: 3 63", "close 3: EBADF",
                                             "fd=socket inet stream: 0", "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, socket_stays_where_it_is_if_no_other_number_is_free) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: a sanitizer needs descriptors at the end";
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  words steps = with_limit(5, {"fd=socket inet stream", "dup2 1 3", "dup3 1 3", "bind $fd " + address_of(fds[0])});
  steps.insert(steps.begin(), {"open /dev/null", "close 0"});
  EXPECT_THAT(program(steps, fds).results(4),
              ElementsAre("fd=socket inet stream: 0", "dup2 1 3: EMFILE", "dup3 1 3: EMFILE",
                          "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, shutdown_does_not_end_the_passed_socket) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "listen $fd", "shutdown $fd", "close $fd"},
                 fds, with_library);
  EXPECT_THAT(server.results(), Contains("shutdown $fd: 0"));
  EXPECT_TRUE(sd::test::accepts_connections(address_of(fds[0])));
}

TEST(adopt, epoll_registration_and_copies_from_before_the_bind) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  program server({"fd=socket inet stream", "copy=dup $fd", "a=epoll $fd", "b=epoll $copy", "bind $fd " + where,
                  "listen $fd", "wait $a", "wait $b", "name $copy", "accept $copy"},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "copy=dup $fd: 4", "a=epoll $fd: 5", "b=epoll $copy: 6",
                          "bind $fd " + where + ": 0", "listen $fd: 0", "wait $a: event", "wait $b: event",
                          "name $copy: inet " + where, "accept $copy: 7 inet 16"));
}

TEST(adopt, sixteen_copies_are_replaced) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  words steps = {"fd=socket inet stream", "e=epoll $fd", "dup2 $fd 0", "add $e 0"};
  for (int number = 20; number <= 34; ++number) {
    steps.push_back("dup2 $fd " + std::to_string(number));
    steps.push_back("add $e " + std::to_string(number));
  }
  for (const auto* const step : {"name 0", "name 33", "name 34", "pending $e", "descriptors"}) steps.emplace_back(step);
  steps.insert(steps.end() - 5, "bind $fd " + where);
  // The 17th is still registered, too. As a socket that is not connected, it has hung up.
  EXPECT_THAT(program(steps, fds, with_library).results(steps.size() - 6),
              ElementsAre("bind $fd " + where + ": 0", "name 0: inet " + where, "name 33: inet " + where,
                          "name 34: inet 0.0.0.0:0", "pending $e: 16 readable, 1 hung up",
                          "descriptors: 3 4 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 1024"));
}

TEST(adopt, epoll_registrations_of_other_files_stay) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  // A socket that is not connected has hung up. The first instance has an entry for a number of another socket by now.
  program server(
      {"a=socket inet stream", "old=epoll $a", "b=dup $a", "other=epoll $b edge", "pending $other", "pending $other",
       "close $a", "fd=socket inet stream", "add $other $fd", "bind $fd " + where, "pending $old", "pending $other"},
      fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("a=socket inet stream: 3", "old=epoll $a: 4", "b=dup $a: 5", "other=epoll $b edge: 6",
                          "pending $other: 0 readable, 1 hung up", "pending $other: 0 readable, 0 hung up",
                          "close $a: 0", "fd=socket inet stream: 3", "add $other $fd: 0", "bind $fd " + where + ": 0",
                          "pending $old: 0 readable, 1 hung up", "pending $other: 1 readable, 0 hung up"));
}

TEST(adopt, bind_is_no_cancellation_point) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "cancel-bind $fd " + address_of(fds[0]), "name $fd"}, fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("fd=socket inet stream: 3", "cancel-bind $fd " + address_of(fds[0]) + ": 0",
                                            "name $fd: inet " + address_of(fds[0])));
}

TEST(adopt, thread_in_accept_can_be_cancelled) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "cancel-accept $fd"}, fds, with_library);
  EXPECT_EQ(server.results().back(), "cancel-accept $fd: cancelled");
}

TEST(adopt, child_of_vfork_changes_nothing) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"vfork-close 1024", "vfork-dup2 0 1024", "fd=socket inet stream", "bind $fd " + address_of(fds[0]),
                  "vfork-close $fd", "name $fd"},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "name $fd: inet " + address_of(fds[0]));
}

// --- unix sockets ----------------------------------------------------------------------------------------------------

class adopt_unix : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_ / "socket"; }
  [[nodiscard]] std::string other() const { return directory_ / "other"; }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }
  [[nodiscard]] std::vector<listen_fd> passed(kind type = kind::stream) const {
    return list(sd::testing::open(type, path()));
  }

  /// Returns the steps that would change a file.
  [[nodiscard]] static words on_paths(const std::string& from, const std::string& to) {
    words steps;
    for (const char* const step :
         {"unlink ", "remove ", "unlinkat ", "chmod ", "fchmodat ", "chown ", "lchown ", "fchownat "}) {
      steps.push_back(step + from);
    }
    for (const char* const step : {"rename ", "renameat ", "renameat2 "}) {
      steps.emplace_back(step).append(from).append(" ").append(to);
    }
    return steps;
  }

 private:
  sd::test::directory directory_;
};

TEST_F(adopt_unix, path_stays) {
  const auto fds = passed();
  check(::chmod(path().c_str(), 0640), "chmod");
  const auto steps = on_paths(path(), other());
  EXPECT_THAT(program(steps, fds, with_library).results(), Each(EndsWith(": 0")));
  program server({"exists " + path(), "exists " + other(), "fchownat-empty " + path(), "mode " + path(),
                  "fd=socket unix stream", "bind $fd " + path(), "listen $fd"},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("exists " + path() + ": yes", "exists " + other() + ": no",
                          "fchownat-empty " + path() + ": 0", "mode " + path() + ": 640 " + std::to_string(::geteuid()),
                          "fd=socket unix stream: 3", "bind $fd " + path() + ": 0", "listen $fd: 0"));
  EXPECT_TRUE(sd::test::accepts_connections(path()));
}

TEST_F(adopt_unix, missing_files_are_reported_as_usual) {
  auto fds = passed();
  fds.push_back(sd::testing::open(kind::stream, "127.0.0.1:0"));
  EXPECT_THAT(program(on_paths(other(), other() + '2'), fds, with_library).results(), Each(EndsWith(": ENOENT")));
}

TEST_F(adopt_unix, file_in_the_place_of_the_socket_is_not_protected) {
  const auto fds = passed();
  std::filesystem::remove(path());
  std::ofstream(path()).flush();
  program server({"fd=socket unix stream", "bind $fd " + path(), "unlink " + path(), "unlink " + path()}, fds,
                 with_library);
  EXPECT_THAT(server.results(), ElementsAre("fd=socket unix stream: 3", "bind $fd " + path() + ": 0",
                                            "unlink " + path() + ": 0", "unlink " + path() + ": ENOENT"));
}

TEST_F(adopt_unix, socket_of_another_type_or_with_a_name_is_bound_as_usual) {
  const auto fds = passed();
  program server({"a=socket unix datagram", "bind $a " + path(), "b=socket unix stream", "bind $b " + other(),
                  "bind $b " + path()},
                 fds, with_library);
  const auto results = server.results();
  EXPECT_EQ(results[1], "bind $a " + path() + ": EADDRINUSE");
  EXPECT_EQ(results[3], "bind $b " + other() + ": 0");
  EXPECT_THAT(results[4], Not(EndsWith(": 0")));  // the error depends on the kernel
}

TEST(adopt, kernel_chooses_a_name) {
  listen_fd unnamed{std::nullopt, sd::unique_fd(check(::socket(AF_UNIX, SOCK_STREAM, 0), "socket"))};
  const auto fds = list(std::move(unnamed));
  program server({"fd=socket unix stream", "bind $fd @x 2", "name $fd"}, fds, verbose);
  EXPECT_THAT(server.results().back(), StartsWith("name $fd: other @"));
  EXPECT_EQ(server.errors(), "libsd-adopt: bind 3 to an unnamed unix socket: no such socket was passed\n");
}

TEST_F(adopt_unix, messages_contain_no_control_characters) {
  const auto fds = list(sd::testing::open(kind::stream, directory() / "a b!~\x7f\n\x80z"));
  std::filesystem::create_symlink(directory() / "a b!~\x7f\n\x80z", other());
  program server({"fd=socket unix stream", "bind $fd " + other()}, fds, verbose);
  static_cast<void>(server.results());
  EXPECT_THAT(server.errors(), EndsWith("adopted the passed socket at " + (directory() / "a?b!~???z\n")));
}

TEST_F(adopt_unix, path_is_not_replaced_by_another_socket) {
  const auto fds = passed();
  program server({"fd=socket unix stream", "bind $fd " + other(), "rename " + other() + ' ' + path()}, fds, verbose);
  EXPECT_EQ(server.results().back(), "rename " + other() + ' ' + path() + ": EBUSY");
  EXPECT_THAT(server.errors(), HasSubstr(path() + ": not replaced, because it is the path of a passed socket\n"));
}

TEST_F(adopt_unix, other_files_are_not_protected) {
  const auto fds = passed();
  std::ofstream(other()).flush();
  program server({"chmod " + other(), "rename " + other() + ' ' + other() + '2', "unlink " + other() + '2',
                  "unlink " + other() + '2'},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("chmod " + other() + ": 0", "rename " + other() + ' ' + other() + "2: 0",
                                            "unlink " + other() + "2: 0", "unlink " + other() + "2: ENOENT"));
}

TEST_F(adopt_unix, path_through_a_symbolic_link) {
  std::filesystem::create_directory_symlink(directory().path(), other());
  const auto fds = passed();
  program server({"unlink " + other() + "/socket", "fd=socket unix stream", "bind $fd " + other() + "/socket"}, fds,
                 verbose);
  EXPECT_EQ(server.results().back(), "bind $fd " + other() + "/socket: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST_F(adopt_unix, mode_and_owner_stay_through_a_symbolic_link) {
  const auto fds = passed();
  check(::chmod(path().c_str(), 0640), "chmod");
  std::filesystem::create_symlink(path(), other());
  program server({"chmod " + other(), "fchmodat " + other(), "chown " + other(), "mode " + path(), "unlink " + other()},
                 fds, with_library);
  EXPECT_EQ(server.results()[3], "mode " + path() + ": 640 " + std::to_string(::geteuid()));
  EXPECT_FALSE(std::filesystem::is_symlink(other()));
}

TEST_F(adopt_unix, types_and_abstract_names) {
  for (const auto& [type, name] : {std::pair{kind::datagram, "datagram"}, {kind::seqpacket, "seqpacket"}}) {
    const auto fds = passed(type);
    program server({"fd=socket unix " + std::string(name), "bind $fd " + path()}, fds, verbose);
    EXPECT_EQ(server.results().back(), "bind $fd " + path() + ": 0");
    std::filesystem::remove(path());
  }
  const auto where = "@sd-adopt-test-" + std::to_string(::getpid());
  const auto fds = list(sd::testing::open(kind::stream, where));
  program server({"fd=socket unix stream", "bind $fd " + where}, fds, verbose);
  EXPECT_EQ(server.results().back(), "bind $fd " + where + ": 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted the passed socket at " + where));
}

// --- programs without passed sockets ---------------------------------------------------------------------------------

/// Returns the system calls of a program from its first step on, with all addresses in memory replaced.
std::string calls_of(const words& steps, const environment& more) {
  const sd::test::directory directory;
  words command = {STRACE, "-f", "-qq", "-o", directory / "trace", STEPS, "exists /begin"};
  command.insert(command.end(), steps.begin(), steps.end());
  std::map<std::string, std::optional<std::string>> variables(more.begin(), more.end());
  variables["LISTEN_FDS"] = std::nullopt;
  variables["LISTEN_PID"] = std::nullopt;
  variables["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0";  // LeakSanitizer fails under strace
  EXPECT_EQ(sd::test::run({command, 0, {}, variables}).status, 0);
  const auto trace = contents_of(directory / "trace");
  const auto begin = trace.rfind("/begin");
  EXPECT_NE(begin, std::string::npos) << trace;
  auto calls = std::regex_replace(trace.substr(begin), std::regex("0x[0-9a-f]+"), "ADDRESS");
  return std::regex_replace(calls, std::regex("(^|\n)[0-9]+ +"), "$1");
}

TEST(adopt, program_without_passed_sockets_makes_the_same_system_calls) {
  if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
  const sd::test::directory directory;
  const auto port = port_of(sd::testing::open(kind::datagram, "[::]:0"));
  const words steps = {"fd=socket inet stream",
                       "set $fd SO_REUSEADDR 1",
                       "bind $fd 127.0.0.1:0",
                       "listen $fd",
                       "flags $fd",
                       "u=socket unix stream",
                       "bind $u " + (directory / "socket"),
                       "chmod " + (directory / "socket"),
                       "rename " + (directory / "socket") + ' ' + (directory / "other"),
                       "unlink " + (directory / "other"),
                       "shutdown $u",
                       "dup2 $u 20",
                       "close 20",
                       "epoll $fd",
                       "six=socket inet6 datagram",
                       "bind $six [::]:" + port,
                       "name $six",
                       "send $six [::ffff:127.0.0.1]:" + port,
                       "receive-message $six",
                       "close-all close_range"};
  const auto plain = calls_of(steps, {});
  EXPECT_THAT(plain, HasSubstr("bind("));
  const auto normalized = [](const std::string& calls) {
    return std::regex_replace(calls, std::regex("sin_port=htons\\([0-9]+\\)"), "PORT");
  };
  EXPECT_EQ(normalized(calls_of(steps, with_library)), normalized(plain));
}

// --- messages and variables ------------------------------------------------------------------------------------------

TEST(adopt, program_does_not_find_the_variables_of_the_protocol) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"variable LISTEN_FDS", "variable LISTEN_PID", "variable LISTEN_FDNAMES", "variable LISTEN_PIDFDID"},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("variable LISTEN_FDS: (unset)", "variable LISTEN_PID: (unset)",
                                            "variable LISTEN_FDNAMES: (unset)", "variable LISTEN_PIDFDID: (unset)"));
}

TEST(adopt, prints_nothing_by_default) {
  const sd::test::directory directory;
  const auto fds =
      list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, directory / "socket"));
  const auto where = address_of(fds[0]);
  for (const environment& variables : {with_library, {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_VERBOSE", ""}}}) {
    program server(
        {"fd=socket inet stream", "bind $fd " + where, "bind $fd " + where, "unlink " + (directory / "socket")}, fds,
        variables);
    EXPECT_EQ(server.results().size(), 4U);
    EXPECT_EQ(server.errors(), "");
  }
}

TEST(adopt, file_opened_as_descriptor_2_receives_no_messages) {
  const sd::test::directory directory;
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"close 2", "open " + (directory / "database"), "fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds,
      verbose);
  EXPECT_EQ(server.results()[1], "open " + (directory / "database") + ": 2");
  EXPECT_EQ(contents_of(directory / "database"), "");
}

TEST(adopt, malformed_variables_are_reported) {
  const auto result = sd::test::run({{STEPS, "descriptors"}, 0, {}, {{"LD_PRELOAD", LIBRARY}, {"LISTEN_PID", "1x"}}});
  EXPECT_EQ(result.output, "descriptors: \n");
  EXPECT_EQ(result.errors, "libsd-adopt: LISTEN_PID=\"1x\": not valid; the program gets no passed socket\n");
  EXPECT_EQ(sd::test::run({{STEPS, "descriptors"}, 2, {4}, {{"LD_PRELOAD", LIBRARY}}}).errors,
            "libsd-adopt: LISTEN_FDS=\"2\": descriptor 4: Bad file descriptor; the program gets no passed socket\n");
}

TEST(adopt, variables_for_another_process_stay) {
  const auto result = sd::test::run({{STEPS, "variable LISTEN_FDS", "variable LISTEN_PID", "variable SD_ADOPT_FDS"},
                                     1,
                                     {},
                                     {{"LD_PRELOAD", LIBRARY}, {"LISTEN_PID", "1"}}});
  EXPECT_EQ(result.output, "variable LISTEN_FDS: 1\nvariable LISTEN_PID: 1\nvariable SD_ADOPT_FDS: (unset)\n");
}

// --- reports to sd-activate ------------------------------------------------------------------------------------------

TEST(adopt, adoptions_are_reported_once) {
  const sd::test::directory directory;
  auto longest = "@sd-adopt-" + std::to_string(::getpid()) + '-';
  longest.resize(108, 'x');
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"), sd::testing::open(kind::stream, "127.0.0.1:0"));
  for (const auto& where : {directory / "socket", longest}) {
    const reports received(where);
    program server(
        {"exec", "a=socket inet stream", "bind $a " + address_of(fds[1]), "b=socket inet stream",
         "bind $b " + address_of(fds[1]), "c=socket inet stream", "bind $c " + address_of(fds[0]), "descriptors"},
        fds, received.enabled());
    EXPECT_EQ(server.results().back(), "descriptors: 3 4 5 1024 1025");
    EXPECT_THAT(received.all(), ElementsAre("SD_ADOPTED=1", "SD_ADOPTED=0")) << where;
  }
}

TEST(adopt, program_does_not_wait_forever_for_reports) {
  const auto fds = list(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const words steps = {"fd=socket inet stream", "bind $fd " + address_of(fds[0])};
  const reports not_received;
  not_received.fill();
  EXPECT_THAT(program(steps, fds, not_received.enabled()).results().back(), EndsWith(": 0"));
  const environment too_long = {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_NOTIFY", std::string(120'000, '/')}};
  EXPECT_THAT(program(steps, fds, too_long).results().back(), EndsWith(": 0"));
}

}  // namespace
