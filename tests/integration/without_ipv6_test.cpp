// SPDX-License-Identifier: MIT OR Apache-2.0
// A port alone as an address on a host without IPv6: socket(AF_INET6, ...) fails in a child process.

#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>

#include "failing_call.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace {

using sd::address;
using sd::test::check;

/// The port that the kernel chose for a socket at 0.0.0.0, and that socket.
sd::listen_fd ipv4_socket() {
  sd::listen_fd entry;
  entry.fd = sd::unique_fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const address any("0.0.0.0:0");
  check(::bind(entry.fd.get(), static_cast<const sockaddr*>(any.data()), static_cast<socklen_t>(any.size())), "bind");
  check(::listen(entry.fd.get(), 1), "listen");
  return entry;
}

std::string port_of(const sd::listen_fd& entry) { return std::to_string(sd::describe(entry.fd.get()).local.port()); }

class without_ipv6 : public testing::Test {
 protected:
  static std::optional<std::string> run(const std::function<std::string()>& function, int error = EAFNOSUPPORT) {
    return sd::test::run_with({SYS_socket, 0, AF_INET6, error}, [&]() -> std::string {
      const sd::unique_fd probe(::socket(AF_INET6, SOCK_DGRAM, 0));
      return probe ? "the filter has no effect" : function();
    });
  }

  void SetUp() override {
    const auto works = run([] { return "yes"; });
    if (works != "yes") GTEST_SKIP() << "SKIPPED: " << works.value_or("seccomp filters are not available here");
  }
};

TEST_F(without_ipv6, a_port_alone_is_an_ipv4_address) {
  EXPECT_EQ(run([] { return to_string(address("8080")); }), "0.0.0.0:8080");
}

TEST_F(without_ipv6, an_ipv6_address_is_still_parsed) {
  EXPECT_EQ(run([] { return to_string(address("[::]:8080")); }), "[::]:8080");
}

TEST_F(without_ipv6, other_errors_do_not_count) {
  for (const int error : {EMFILE, EACCES, EPERM, ENOBUFS}) {
    EXPECT_EQ(run([] { return to_string(address("8080")); }, error), "[::]:8080") << error;
  }
}

TEST_F(without_ipv6, take_or_bind_takes_a_passed_ipv4_socket) {
  const auto text = run([] {
    std::vector<sd::listen_fd> fds;
    fds.push_back(ipv4_socket());
    const auto server = sd::take_or_bind(fds, address(port_of(fds.front())));
    return std::string(server.origin() == sd::origin::passed ? "passed" : "bound") + ", left: " + to_string(fds);
  });
  EXPECT_EQ(text, "passed, left: nothing");
}

TEST_F(without_ipv6, take_or_bind_binds_an_ipv4_socket) {
  const auto text = run([] {
    std::vector<sd::listen_fd> fds;
    const auto server = sd::take_or_bind(fds, address("0"));
    const auto what = sd::describe(server.get());
    return std::string(server.origin() == sd::origin::passed ? "passed" : "bound") + ' ' +
           to_string(what).substr(0, 20);
  });
  EXPECT_EQ(text, "bound stream inet 0.0.0.0:");
}

}  // namespace
