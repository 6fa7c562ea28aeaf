// SPDX-License-Identifier: MIT OR Apache-2.0
// sd::take_or_bind() with every kind of address: how it is bound, and which passed socket is taken instead.

#include <sd/address.hpp>
#include <sd/error.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "binding.hpp"
#include "client.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using sd::bind_options;
using sd::errc;
using sd::kind;
using sd::listen_fd;
using sd::origin;
using sd::take_or_bind;
using sd::unique_fd;
using sd::test::ask;
using sd::test::bind_one;
using sd::test::check;
using sd::test::connect;
using sd::test::failure_of;
using sd::test::has_client;
using sd::test::inode;
using sd::test::is_nonblocking;
using sd::test::list_of;
using sd::test::loopback;
using sd::test::mode_of;
using sd::test::of_kind;
using sd::test::option;
using sd::test::program;
using sd::test::refuses;
using sd::test::scratch;
using sd::test::words;
using testing::HasSubstr;
using testing::IsEmpty;

// --- every address ---------------------------------------------------------------------------------------------------

struct served {
  const char* name;
  sd::kind kind;
  int type;
  const char* where;  // DIR, IPV4 and PID are filled in; port 0 or 4294967295 is any free port
};

std::ostream& operator<<(std::ostream& out, const served& what) { return out << what.name; }

constexpr served everything[] = {
    {"inet", kind::stream, SOCK_STREAM, "IPV4:0"},
    {"inet6", kind::stream, SOCK_STREAM, "[::1]:0"},
    {"path", kind::stream, SOCK_STREAM, "DIR/socket"},
    {"abstract", kind::stream, SOCK_STREAM, "@sd-bind-PID"},
    {"vsock", kind::stream, SOCK_STREAM, "vsock:1:4294967295"},
    {"seqpacket_path", kind::seqpacket, SOCK_SEQPACKET, "DIR/socket"},
    {"seqpacket_abstract", kind::seqpacket, SOCK_SEQPACKET, "@sd-bind-PID"},
    {"datagram_inet", kind::datagram, SOCK_DGRAM, "IPV4:0"},
    {"datagram_inet6", kind::datagram, SOCK_DGRAM, "[::1]:0"},
    {"datagram_path", kind::datagram, SOCK_DGRAM, "DIR/socket"},
    {"datagram_abstract", kind::datagram, SOCK_DGRAM, "@sd-bind-PID"},
};

class every_address : public testing::TestWithParam<served> {
 protected:
  void SetUp() override {
    where_ = GetParam().where;
    for (const auto& [word, value] : {std::pair<std::string, std::string>{"DIR", directory_.path()},
                                      {"IPV4", loopback()},
                                      {"PID", std::to_string(::getpid())}}) {
      if (const auto at = where_.find(word); at != std::string::npos) where_.replace(at, word.size(), value);
    }
    try {
      const auto trial = sd::testing::open(GetParam().kind, where_);
    } catch (const std::system_error& error) {
      if (is_path()) throw;
      GTEST_SKIP() << "SKIPPED: this system has no such sockets: " << error.what();
    }
    if (is_path()) std::filesystem::remove(where_);
  }

  [[nodiscard]] bool is_path() const { return where_.front() == '/'; }
  static std::string kind_option() { return std::string("kind=") + sd::to_string(GetParam().kind); }
  /// An internet datagram to a closed port is not refused.
  [[nodiscard]] bool is_refused(const std::string& where) const {
    return GetParam().type == SOCK_DGRAM && where_.front() != '/' && where_.front() != '@'
               ? true
               : refuses(where, GetParam().type);
  }

  [[nodiscard]] const scratch& directory() const { return directory_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  scratch directory_;
  std::string where_;
};

TEST_P(every_address, is_bound_if_nothing_was_passed) {
  program server(where(), {kind_option()});
  auto said = server.read_report();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(said["origin"], "bound");
  EXPECT_EQ(said["path"], is_path() ? where() : "");
  EXPECT_EQ(said["left"], "nothing");
  EXPECT_EQ(ask(said["at"], "words", GetParam().type), "words");
  EXPECT_EQ(ask(said["at"], "more words", GetParam().type), "more words");
  EXPECT_EQ(directory().entries(), is_path() ? words{"socket"} : words{});

  EXPECT_EQ(server.stop(), 0);
  EXPECT_TRUE(is_refused(said["at"]));
  EXPECT_THAT(directory().entries(), IsEmpty());
}

TEST_P(every_address, is_taken_if_it_was_passed) {
  const auto passed = list_of(sd::testing::open(GetParam().kind, where(), "web"));
  const auto& fd = passed.front().fd;
  const auto before = sd::describe(fd.get());
  const auto at = sd::to_string(before.local);
  const auto mode = is_path() ? mode_of(where()) : 0;
  const auto reuse = option(fd, SOL_SOCKET, SO_REUSEADDR);

  program server(at, {kind_option(), "mode=0600", "umask=077", "ipv6=ipv6_only"}, passed);
  auto said = server.read_report();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(said["origin"], "passed");
  EXPECT_EQ(said["socket"], std::to_string(inode(fd.get())));
  EXPECT_EQ(said["path"], "");
  EXPECT_EQ(said["left"], "nothing");
  EXPECT_EQ(ask(at, "words", GetParam().type), "words");
  EXPECT_EQ(server.stop(), 0);

  // Unchanged, for the next instance.
  EXPECT_EQ(sd::to_string(sd::describe(fd.get())), sd::to_string(before));
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), reuse);
  EXPECT_EQ(directory().entries(), is_path() ? words{"socket"} : words{});
  EXPECT_EQ(is_path() ? mode_of(where()) : 0, mode);
  const auto client = connect(at, GetParam().type);
  check(static_cast<int>(::send(client.get(), "words", 5, MSG_NOSIGNAL)), "send");
  EXPECT_TRUE(has_client(fd));
}

TEST_P(every_address, of_another_server_is_in_use) {
  auto server = sd::testing::open(GetParam().kind, where());
  const auto at = sd::to_string(sd::describe(server.fd.get()).local);
  EXPECT_EQ(failure_of(at, of_kind(GetParam().kind)), "bind to " + at + ": Address already in use");
  EXPECT_FALSE(has_client(server.fd));
  EXPECT_EQ(directory().entries(), is_path() ? words{"socket"} : words{});
}

INSTANTIATE_TEST_SUITE_P(take_or_bind, every_address, testing::ValuesIn(everything),
                         [](const auto& tested) { return tested.param.name; });

TEST(bound, vsock_of_any_context_id) {
  std::vector<listen_fd> none;
  std::error_code ec;
  const auto server = take_or_bind(none, sd::address("vsock::4294967295"), {}, ec);
  if (ec) GTEST_SKIP() << "SKIPPED: this kernel has no vsock: " << ec.message();
  EXPECT_EQ(sd::describe(server.get()).kind, kind::stream);
  EXPECT_EQ(server.origin(), origin::bound);
}

// --- bound sockets ---------------------------------------------------------------------------------------------------

TEST(bound, descriptor_is_close_on_exec) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    const auto server = bind_one(where);
    EXPECT_EQ(::fcntl(server.get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(bound, only_internet_stream_sockets_reuse_their_address) {
  EXPECT_EQ(option(bind_one(loopback() + ":0"), SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(option(bind_one("0"), SOL_SOCKET, SO_REUSEADDR), 1);
  // Two datagram servers would share the address without noticing.
  EXPECT_EQ(option(bind_one(loopback() + ":0", of_kind(kind::datagram)), SOL_SOCKET, SO_REUSEADDR), 0);
  EXPECT_EQ(option(bind_one("@sd-bind-" + std::to_string(::getpid())), SOL_SOCKET, SO_REUSEADDR), 0);
}

TEST(bound, again_while_old_connections_linger) {
  auto server = bind_one(loopback() + ":0");
  const auto at = sd::to_string(sd::describe(server.get()).local);
  const auto client = connect(at);
  unique_fd connection(check(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  connection.reset();
  server.release_fd().reset();
  EXPECT_EQ(failure_of(at), "");
}

TEST(bound, wildcard_serves_ipv4_unless_ipv6_only) {
  for (const auto& [wanted, v6only] :
       {std::pair{sd::bind_ipv6_only::both, 0}, std::pair{sd::bind_ipv6_only::ipv6_only, 1}}) {
    for (const auto kind : {kind::stream, kind::datagram}) {
      auto options = of_kind(kind);
      options.ipv6 = wanted;
      const auto server = bind_one("[::]:0", options);
      EXPECT_EQ(option(server.get(), IPPROTO_IPV6, IPV6_V6ONLY), v6only);
      if (kind == kind::datagram) continue;
      const auto port = std::to_string(sd::describe(server.get()).local.port());
      EXPECT_EQ(refuses(loopback() + ':' + port), v6only == 1);
      EXPECT_FALSE(refuses("[::1]:" + port));
    }
  }
}

TEST(bound, ipv6_only_does_not_concern_ipv4) {
  bind_options options;
  options.ipv6 = sd::bind_ipv6_only::ipv6_only;
  EXPECT_TRUE(bind_one(loopback() + ":0", options));
}

TEST(bound, wildcard_follows_the_system_by_default) {
  int system_default = -1;
  std::ifstream("/proc/sys/net/ipv6/bindv6only") >> system_default;
  if (system_default < 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  EXPECT_EQ(option(bind_one("[::]:0"), IPPROTO_IPV6, IPV6_V6ONLY), system_default);
}

TEST(bound, nonblocking_only_on_request) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    for (const auto wanted : {sd::nonblocking::leave, sd::nonblocking::off, sd::nonblocking::on}) {
      bind_options options;
      options.nonblocking = wanted;
      EXPECT_EQ(is_nonblocking(bind_one(where, options)), wanted == sd::nonblocking::on);
    }
  }
}

TEST(bound, backlog_limits_waiting_connections) {
  const scratch directory;
  const auto waiting = [&](int backlog, int most) {
    bind_options options;
    options.backlog = backlog;
    const auto server = bind_one(directory / "s", options);
    const sd::address where(directory / "s");
    std::vector<unique_fd> clients;
    for (int i = 0; i < most; ++i) {
      clients.emplace_back(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
      const auto size = static_cast<socklen_t>(where.size());
      if (::connect(clients.back().get(), static_cast<const sockaddr*>(where.data()), size) < 0) return i;
    }
    return most;
  };
  EXPECT_EQ(waiting(0, 300), 1);  // the kernel admits one more
  EXPECT_EQ(waiting(3, 300), 4);
  int allowed = 0;
  std::ifstream("/proc/sys/net/core/somaxconn") >> allowed;
  EXPECT_EQ(waiting(-1, 300), std::min(allowed + 1, 300));
}

TEST(bound, kind_that_cannot_be_bound_is_an_error) {
  const scratch directory;
  for (const auto kind : {kind::connection, kind::unconnected, kind::fifo, kind::raw, kind::other}) {
    const auto name = std::string(sd::to_string(kind));
    EXPECT_EQ(failure_of(directory / "s", of_kind(kind)), "bind a " + name + ": Invalid argument");
  }
  EXPECT_THAT(directory.entries(), IsEmpty());
}

// --- passed sockets --------------------------------------------------------------------------------------------------

TEST(passed, is_the_same_descriptor) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    auto fds = list_of(sd::testing::open(kind::stream, where));
    const int number = fds.front().fd.get();
    const auto server = take_or_bind(fds, sd::describe(number).local);
    EXPECT_EQ(server.get(), number);
    EXPECT_EQ(server.origin(), origin::passed);
    EXPECT_EQ(server.path(), "");
    EXPECT_THAT(fds, IsEmpty());
  }
}

/// The socket, without a name, as a service manager passes it.
listen_fd passed_from(sd::server_socket socket) { return {std::nullopt, socket.release_fd()}; }

TEST(passed, keeps_its_options) {
  bind_options options;
  options.ipv6 = sd::bind_ipv6_only::ipv6_only;
  for (const int on : {0, 1}) {
    options.nonblocking = on == 1 ? sd::nonblocking::on : sd::nonblocking::off;
    const auto passed = list_of(passed_from(bind_one("[::]:0", options)));
    const auto& fd = passed.front().fd;
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    program server(sd::to_string(sd::describe(fd.get()).local), {"ipv6=both"}, passed);
    auto said = server.read_report();
    EXPECT_EQ(said["origin"], "passed") << said["what"];
    EXPECT_EQ(said["is"], sd::to_string(sd::describe(fd.get())));
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(is_nonblocking(fd), on == 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), on);
    EXPECT_EQ(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
  }
}

TEST(passed, is_made_nonblocking_on_request) {
  for (const bool before : {false, true}) {
    for (const auto wanted : {sd::nonblocking::leave, sd::nonblocking::off, sd::nonblocking::on}) {
      bind_options options;
      options.nonblocking = before ? sd::nonblocking::on : sd::nonblocking::off;
      auto fds = list_of(passed_from(bind_one(loopback() + ":0", options)));
      const auto holder = unique_fd(check(::dup(fds.front().fd.get()), "dup"));  // as the service manager holds one
      options.nonblocking = wanted;
      const auto server = take_or_bind(fds, sd::describe(holder.get()).local, options);
      const bool after = wanted == sd::nonblocking::leave ? before : wanted == sd::nonblocking::on;
      EXPECT_EQ(is_nonblocking(server.get()), after);
      EXPECT_EQ(is_nonblocking(holder), after);
    }
  }
}

TEST(passed, others_stay_in_the_list) {
  const scratch directory;
  std::vector<listen_fd> fds;
  fds.push_back(sd::testing::open(kind::stream, directory / "first", "first"));
  fds.push_back(sd::testing::open(kind::stream, directory / "wanted", "wanted"));
  fds.push_back(sd::testing::open(kind::fifo, directory / "fifo", "last"));
  const int number = fds[1].fd.get();
  const auto server = take_or_bind(fds, sd::address(directory / "wanted"));
  EXPECT_EQ(server.get(), number);
  ASSERT_EQ(fds.size(), 2U);
  EXPECT_EQ(fds[0].name, "first");
  EXPECT_EQ(fds[1].name, "last");
}

TEST(passed, for_another_address_stays_and_this_one_is_bound) {
  const scratch directory;
  std::vector<listen_fd> fds;
  fds.push_back(sd::testing::open(kind::stream, directory / "other", "path"));
  fds.push_back(sd::testing::open(kind::stream, loopback() + ":0", "port"));
  const auto before = sd::to_string(fds);
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    const auto server = take_or_bind(fds, sd::address(where));
    EXPECT_EQ(server.origin(), origin::bound);
    EXPECT_EQ(sd::to_string(fds), before);
    EXPECT_FALSE(refuses(sd::to_string(sd::describe(server.get()).local)));
  }
}

TEST(passed, is_found_through_a_symbolic_link) {
  const scratch directory;
  std::filesystem::create_directory_symlink(directory.path(), directory / "link");
  auto fds = list_of(sd::testing::open(kind::stream, directory / "s"));
  const auto server = take_or_bind(fds, sd::address(directory / "link/s"));
  EXPECT_EQ(server.origin(), origin::passed);
}

/// Opens a socket at a port that is free for the other protocol.
listen_fd passed_at_a_port(kind kind, std::string& where) {
  while (true) {
    auto passed = sd::testing::open(kind, loopback() + ":0");
    where = sd::to_string(sd::describe(passed.fd.get()).local);
    try {
      const auto other = sd::testing::open(kind == kind::datagram ? kind::stream : kind::datagram, where);
      return passed;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::address_in_use) throw;
    }
  }
}

TEST(passed, tcp_and_udp_ports_are_independent) {
  for (const auto& [given, wanted] :
       {std::pair{kind::datagram, kind::stream}, std::pair{kind::stream, kind::datagram}}) {
    std::string where;
    auto fds = list_of(passed_at_a_port(given, where));
    const auto before = sd::to_string(fds);
    const auto server = take_or_bind(fds, sd::address(where), of_kind(wanted));
    EXPECT_EQ(server.origin(), origin::bound);
    const auto what = sd::describe(server.get());
    EXPECT_EQ(what.kind, wanted);
    EXPECT_EQ(sd::to_string(what.local), where);
    EXPECT_EQ(sd::to_string(fds), before);

    // If both were passed, each is found.
    fds.push_back(listen_fd{"both", unique_fd(check(::dup(server.get()), "dup"))});
    const auto second = take_or_bind(fds, sd::address(where), of_kind(wanted));
    EXPECT_EQ(second.origin(), origin::passed);
    EXPECT_EQ(sd::to_string(fds), before);
  }
}

TEST(passed, several_udp_sockets_leave_the_tcp_port_free) {
  std::string where;
  std::vector<listen_fd> fds;
  fds.push_back(passed_at_a_port(kind::datagram, where));
  fds.push_back(listen_fd{"another", unique_fd(check(::dup(fds.front().fd.get()), "dup"))});  // as by ReusePort=
  const auto before = sd::to_string(fds);
  const auto server = take_or_bind(fds, sd::address(where));
  EXPECT_EQ(server.origin(), origin::bound);
  EXPECT_EQ(sd::to_string(fds), before);
}

TEST(passed, wrong_kind_at_a_path_is_an_error) {
  const scratch directory;
  const auto where = directory / "s";
  const std::pair<kind, kind> others[] = {{kind::datagram, kind::stream},
                                          {kind::stream, kind::datagram},
                                          {kind::seqpacket, kind::stream},
                                          {kind::stream, kind::seqpacket}};
  for (const auto& [given, wanted] : others) {
    auto fds = list_of(sd::testing::open(given, where));
    std::error_code ec;
    const auto server = take_or_bind(fds, sd::address(where), of_kind(wanted), ec);
    EXPECT_EQ(ec, errc::wrong_kind);
    EXPECT_FALSE(server);
    EXPECT_EQ(fds.size(), 1U);
    EXPECT_EQ(directory.entries(), words{"s"});
    std::filesystem::remove(where);
  }
}

/// Opens one end of a connection, as Accept=yes passes it.
listen_fd accepted(const std::string& where, unique_fd& client) {
  const auto server = bind_one(where);
  client = connect(sd::to_string(sd::describe(server.get()).local));
  return {"connection", unique_fd(check(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"))};
}

TEST(passed, connection_at_the_address_is_an_error) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s", "@sd-bind-" + std::to_string(::getpid())}) {
    unique_fd client;
    auto fds = list_of(accepted(where, client));
    const auto at = sd::describe(fds.front().fd.get()).local;
    for (const auto kind : {kind::stream, kind::datagram, kind::seqpacket}) {
      if (kind == kind::datagram && at.port() != 0) continue;  // UDP ports are independent
      std::error_code ec;
      const auto server = take_or_bind(fds, at, of_kind(kind), ec);
      EXPECT_EQ(ec, errc::wrong_kind) << where;
      EXPECT_FALSE(server);
      EXPECT_EQ(fds.size(), 1U);
    }
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(passed, connection_at_the_port_of_a_datagram_socket_is_an_error) {
  unique_fd client;
  auto fds = list_of(accepted(loopback() + ":0", client));
  const auto at = sd::to_string(sd::describe(fds.front().fd.get()).local);
  fds.push_back(sd::testing::open(kind::datagram, at, "udp"));
  EXPECT_THAT(failure_of(fds, at), HasSubstr(std::error_code(errc::wrong_kind).message()));
}

TEST(passed, datagram_socket_among_others_leaves_its_port_free) {
  auto fds = list_of(sd::testing::open(kind::datagram, loopback() + ":0"));
  fds.push_back(sd::testing::open(kind::special, "/dev/null"));
  const auto at = sd::describe(fds.front().fd.get()).local;
  std::error_code ec;
  const auto server = take_or_bind(fds, at, of_kind(kind::stream), ec);
  if (ec == std::errc::address_in_use) GTEST_SKIP() << "SKIPPED: another program has the TCP port";
  EXPECT_FALSE(ec) << ec.message();
  EXPECT_TRUE(server);
  EXPECT_EQ(fds.size(), 2U);
}

TEST(passed, same_address_twice_is_ambiguous) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    auto fds = list_of(sd::testing::open(kind::stream, where, "one"));
    fds.push_back(listen_fd{"two", unique_fd(check(::dup(fds.front().fd.get()), "dup"))});
    const auto at = sd::describe(fds.front().fd.get()).local;
    std::error_code ec;
    const auto server = take_or_bind(fds, at, {}, ec);
    EXPECT_EQ(ec, errc::ambiguous);
    EXPECT_FALSE(server);
    EXPECT_EQ(fds.size(), 2U);
  }
}

// --- by name, or bound -----------------------------------------------------------------------------------------------

TEST(by_name, the_passed_socket_is_taken_wherever_it_is_bound) {
  auto fds = list_of(sd::testing::open(kind::stream, loopback() + ":0", "web"));
  const int number = fds.front().fd.get();
  const auto server = take_or_bind(fds, sd::named("web"), sd::address(loopback() + ":1"));
  EXPECT_EQ(server.origin(), origin::passed);
  EXPECT_EQ(server.get(), number);
  EXPECT_TRUE(fds.empty());
}

TEST(by_name, the_address_is_bound_if_no_such_name_was_passed) {
  auto fds = list_of(sd::testing::open(kind::stream, loopback() + ":0", "admin"));
  const auto server = take_or_bind(fds, sd::named("web"), sd::address(loopback() + ":0"));
  EXPECT_EQ(server.origin(), origin::bound);
  EXPECT_EQ(fds.size(), 1U);
}

TEST(by_name, another_kind_is_an_error) {
  auto fds = list_of(sd::testing::open(kind::datagram, loopback() + ":0", "web"));
  std::error_code ec;
  EXPECT_FALSE(take_or_bind(fds, sd::named("web"), sd::address(loopback() + ":0"), {}, ec));
  EXPECT_EQ(ec, sd::errc::wrong_kind);
  EXPECT_EQ(fds.size(), 1U);
}

TEST(by_name, a_failed_bind_lists_what_was_passed) {
  auto fds = list_of(sd::testing::open(kind::stream, loopback() + ":0", "admin"));
  const auto where = sd::describe(fds.front().fd.get()).local;
  try {
    const auto server = take_or_bind(fds, sd::named("web"), where);
    ADD_FAILURE() << "no error: " << server.get();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.what(),
              "bind to " + sd::to_string(where) + ", available: " + sd::to_string(fds) + ": Address already in use");
  }
  EXPECT_EQ(fds.size(), 1U);
}

}  // namespace
