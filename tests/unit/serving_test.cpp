// SPDX-License-Identifier: MIT OR Apache-2.0
// Which addresses a socket serves.
#include "detail/serving.hpp"

#include <sd/address.hpp>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <string>

namespace {

using sd::detail::address_view;
using sd::detail::service;

address_view view_of(const sd::address& where) { return {where.data(), where.size()}; }

service serves(const std::string& local, const std::string& wanted, bool v6only = false) {
  return sd::detail::serves(view_of(sd::address(local)), v6only, view_of(sd::address(wanted)));
}

TEST(serving, same_address) {
  for (const char* const each : {"127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "[::]:80", "/run/x", "@x", "vsock:1:80"}) {
    EXPECT_EQ(serves(each, each), service::exact) << each;
  }
}

TEST(serving, other_address) {
  for (const char* const each :
       {"127.0.0.2:80", "127.0.0.1:81", "[::1]:80", "0.0.0.0:80", "[::]:80", "/run/x", "@x", "vsock:1:80"}) {
    EXPECT_EQ(serves("127.0.0.1:80", each), service::none) << each;
    EXPECT_EQ(serves(each, "127.0.0.1:80"), service::none) << each;
  }
  EXPECT_EQ(serves("/run/x", "0.0.0.0:0"), service::none);
  EXPECT_EQ(serves("/run/x", "@/run/x"), service::none);
  EXPECT_EQ(serves("vsock:1:80", "vsock:2:80"), service::none);
}

TEST(serving, mapped_address_equals_ipv4_address) {
  EXPECT_EQ(serves("127.0.0.1:80", "[::ffff:127.0.0.1]:80"), service::exact);
  EXPECT_EQ(serves("[::ffff:127.0.0.1]:80", "127.0.0.1:80"), service::exact);
}

TEST(serving, dual_stack_socket_serves_the_wildcard_address_of_ipv4) {
  EXPECT_EQ(serves("[::]:80", "0.0.0.0:80"), service::wildcard);
  EXPECT_EQ(serves("[::]:80", "0.0.0.0:80", true), service::none);
  EXPECT_EQ(serves("[::]:80", "0.0.0.0:81"), service::none);
  EXPECT_EQ(serves("[::]:80", "127.0.0.1:80"), service::none);
  EXPECT_EQ(serves("0.0.0.0:80", "[::]:80"), service::none);
}

TEST(serving, interface_matters_if_both_addresses_have_one) {
  sockaddr_in6 first{};
  first.sin6_family = AF_INET6;
  first.sin6_addr.s6_addr[0] = 0xfe;
  first.sin6_addr.s6_addr[1] = 0x80;
  first.sin6_scope_id = 1;
  auto second = first;
  const auto result = [&] { return sd::detail::serves({&first, sizeof first}, false, {&second, sizeof second}); };
  EXPECT_EQ(result(), service::exact);
  second.sin6_scope_id = 2;
  EXPECT_EQ(result(), service::none);
  second.sin6_scope_id = 0;
  EXPECT_EQ(result(), service::exact);
  second.sin6_scope_id = 2;
  first.sin6_scope_id = 0;
  EXPECT_EQ(result(), service::exact);
}

TEST(serving, address_without_bytes_is_none) {
  const sd::address where("127.0.0.1:80");
  EXPECT_EQ(address_view({where.data(), 0}).family(), AF_UNSPEC);
  EXPECT_EQ(address_view({where.data(), 1}).family(), AF_UNSPEC);
  EXPECT_EQ(sd::detail::serves(view_of(where), false, {where.data(), 0}), service::none);
  EXPECT_EQ(sd::detail::serves({where.data(), 0}, false, {where.data(), 0}), service::none);
}

TEST(unix_name, paths_and_abstract_names) {
  EXPECT_EQ(sd::detail::unix_name(view_of(sd::address("/run/x"))), "/run/x");
  EXPECT_EQ(sd::detail::unix_name(view_of(sd::address("@x"))), std::string("\0x", 2));
  EXPECT_EQ(sd::detail::unix_name(view_of(sd::address("127.0.0.1:80"))), "");
  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  unnamed.sun_path[0] = 'x';
  EXPECT_EQ(sd::detail::unix_name({&unnamed, offsetof(sockaddr_un, sun_path)}), "");
}

}  // namespace
