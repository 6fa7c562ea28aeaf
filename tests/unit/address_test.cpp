// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/address.hpp>
#include <sd/error.hpp>
#include <sd/unique_fd.hpp>

#include "descriptor_limit.hpp"
#include "errors.hpp"

#include <gmock/gmock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

// clang-format off: it needs <sys/socket.h> before it
#include <linux/vm_sockets.h>
// clang-format on

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using sd::address;
using sd::errc;
using sd::test::stale;
using sd::test::system_error;

static_assert(std::is_nothrow_default_constructible_v<address> && std::is_trivially_copyable_v<address>);
static_assert(!std::is_convertible_v<std::string_view, address>);

constexpr address none;

bool has_ipv6() {
  const sd::unique_fd probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe || errno != EAFNOSUPPORT;
}
int any_family() { return has_ipv6() ? AF_INET6 : AF_INET; }
/// What a port alone stands for on this host.
std::string at_any(const std::string& port) { return (has_ipv6() ? "[::]:" : "0.0.0.0:") + port; }

std::string path_of(std::size_t length) { return '/' + std::string(length - 1, 'p'); }
std::string abstract_of(std::size_t length) { return '@' + std::string(length - 1, 'a'); }

template <class Sockaddr>
address from(const Sockaddr& where) {
  return address::from_sockaddr(&where, sizeof where);
}

/// A unix address as the kernel returns it: the family and these bytes.
address from_unix(std::string_view bytes) {
  std::array<char, 256> where{};
  const sa_family_t family = AF_UNIX;
  std::memcpy(where.data(), &family, sizeof family);
  bytes.copy(where.data() + offsetof(sockaddr_un, sun_path), bytes.size());
  return address::from_sockaddr(where.data(), offsetof(sockaddr_un, sun_path) + bytes.size());
}

template <class Sockaddr>
Sockaddr as(const address& where) {
  EXPECT_EQ(where.size(), sizeof(Sockaddr));
  Sockaddr result;
  std::memcpy(&result, where.data(), sizeof result);
  return result;
}

std::string_view bytes_of(const address& where) { return {static_cast<const char*>(where.data()), where.size()}; }

// --- valid addresses -------------------------------------------------------------------------------------------------

struct valid_row {
  std::string text;
  int family;
  unsigned port = 0;
  std::string path = {};
  std::string canonical = {};  // as text, if it differs from what was parsed
};

std::ostream& operator<<(std::ostream& out, const valid_row& row) { return out << row.text; }

class valid_addresses : public testing::TestWithParam<valid_row> {};

TEST_P(valid_addresses, are_parsed_and_printed) {
  const auto& row = GetParam();
  auto ec = stale();
  const address where(row.text, ec);
  ASSERT_EQ(ec, std::error_code()) << row.text;
  EXPECT_TRUE(where);
  EXPECT_EQ(where.family(), row.family);
  EXPECT_EQ(where.port(), row.port);
  EXPECT_EQ(where.path(), row.path);

  const auto text = to_string(where);
  EXPECT_EQ(text, row.canonical.empty() ? row.text : row.canonical);
  const address again(text);
  EXPECT_EQ(again, where);
  EXPECT_EQ(bytes_of(again), bytes_of(where));
  EXPECT_EQ(bytes_of(address(row.text)), bytes_of(where));
  const auto parsed = address::parse(row.text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(bytes_of(*parsed), bytes_of(where));
  EXPECT_EQ(bytes_of(address::from_sockaddr(where.data(), where.size())), bytes_of(where));
}

std::vector<valid_row> valid_table() {
  return {
      {"/run/x", AF_UNIX, 0, "/run/x"},
      {"/", AF_UNIX, 0, "/"},
      {"/a b\t\"\\\n\xff:80", AF_UNIX, 0, "/a b\t\"\\\n\xff:80"},  // verbatim
      {path_of(107), AF_UNIX, 0, path_of(107)},
      {"@abstract", AF_UNIX},
      {"@@", AF_UNIX},
      {"@/run/x", AF_UNIX},
      {"@\n\xff", AF_UNIX},
      {"@a\0b\0"s, AF_UNIX},
      {"@\0"s, AF_UNIX},
      {abstract_of(107), AF_UNIX},
      {abstract_of(108), AF_UNIX},

      {"80", any_family(), 80, "", at_any("80")},
      {"0", any_family(), 0, "", at_any("0")},
      {"65535", any_family(), 65535, "", at_any("65535")},
      {"0080", any_family(), 80, "", at_any("80")},  // decimal, not octal
      {std::string(100, '0'), any_family(), 0, "", at_any("0")},
      {std::string(100, '0') + "65535", any_family(), 65535, "", at_any("65535")},
      {"127.0.0.1:80", AF_INET, 80},
      {"0.0.0.0:0", AF_INET, 0},
      {"255.255.255.255:65535", AF_INET, 65535},
      {"1.2.3.4:010", AF_INET, 10, "", "1.2.3.4:10"},
      {"[::]:80", AF_INET6, 80},
      {"[::1]:65535", AF_INET6, 65535},
      {"[2001:DB8:0:0::1]:80", AF_INET6, 80, "", "[2001:db8::1]:80"},
      {"[::ffff:127.0.0.1]:80", AF_INET6, 80},
      {"[0000:0000:0000:0000:0000:ffff:192.168.100.200]:080", AF_INET6, 80, "", "[::ffff:192.168.100.200]:80"},
      {"[fe80::1]:80%lo", AF_INET6, 80},
      {"[fe80::1%lo]:80", AF_INET6, 80, "", "[fe80::1]:80%lo"},
      {"[fe80::1]:80%4294967295", AF_INET6, 80},  // an interface with this number need not exist
      {"[fe80::1%4294967294]:80", AF_INET6, 80, "", "[fe80::1]:80%4294967294"},

      {"vsock:2:1234", AF_VSOCK, 1234},
      {"vsock::1234", AF_VSOCK, 1234},
      {"vsock:0:0", AF_VSOCK, 0},
      {"vsock:4294967294:4294967295", AF_VSOCK, 4294967295},
      {"vsock:4294967295:65536", AF_VSOCK, 65536, "", "vsock::65536"},
  };
}

INSTANTIATE_TEST_SUITE_P(address, valid_addresses, testing::ValuesIn(valid_table()));

// --- invalid addresses -----------------------------------------------------------------------------------------------

struct invalid_row {
  std::error_code expected;
  std::vector<std::string> texts;
};

std::ostream& operator<<(std::ostream& out, const invalid_row& row) { return out << row.expected; }

class invalid_addresses : public testing::TestWithParam<invalid_row> {};

TEST_P(invalid_addresses, cause_an_error_and_are_empty) {
  const auto& row = GetParam();
  for (const auto& text : row.texts) {
    auto ec = stale();
    const address where(text, ec);
    EXPECT_EQ(ec, row.expected) << '"' << text << '"';
    EXPECT_FALSE(where) << '"' << text << '"';
    EXPECT_EQ(where, none) << '"' << text << '"';
    EXPECT_EQ(address::parse(text), std::nullopt) << '"' << text << '"';
  }
}

std::vector<invalid_row> invalid_table() {
  return {
      {errc::malformed_address, {""}},
      // host names and service names
      {errc::host_name,
       {"localhost:80", "vsock2:3", "a.b:80", "web-1:80", "my_host.example.:99999", "1and1.example:080"}},
      {errc::host_name,
       {"[localhost]:80", "[a.b%lo]:80", "[a.b]:80%lo",
        "b\xc3\xbc"
        "cher.example:80",
        "cafe:80"}},
      // the first and the last letters, and the characters beside them
      {errc::host_name, {"A:80", "Z:80", "a:80", "z:80", "\x80:80"}},
      {errc::malformed_address, {"^:80", "~:80", "\x7f:80", "-.9:80"}},
      {errc::malformed_address, {"localhost", "http", "127.0.0.1:http", "[::1]:http", "*:80", "localhost:http"}},
      {errc::malformed_address, {"localhost:", "localhost:-1", "local host:80", "http://localhost:80", "a@b:80"}},
      // neither a path nor an abstract name
      {errc::malformed_address, {"relative/path", "./x", "~/x", "unix:/run/x", " /run/x"}},
      {errc::malformed_address, {"@", "/a\0b"s, "/a\0"s, "\0/a"s}},
      // ports
      {errc::port_out_of_range, {"65536", "99999", "127.0.0.1:65536", "[::1]:65536", "[::1]:65536%lo"}},
      {errc::port_out_of_range, {"4294967376", "18446744073709551696", std::string(1000, '9'), "00065536"}},
      {errc::malformed_address, {"-1", "+80", "-0", "127.0.0.1:+80", "127.0.0.1:-80", "[::1]:+80", "[::1]:-80"}},
      {errc::malformed_address,
       {" 80", "80 ", "\t80", "80\n", "127.0.0.1: 80", "127.0.0.1:80 ", "[::1]: 80", "[::1]:80 "}},
      {errc::malformed_address,
       {"0x50", "80/tcp", "8 0", "80,81", "80.", "80\0"s, "\0"s, "127.0.0.1:80\0"s, "[::1]:80\0"s}},
      // IPv4
      {errc::malformed_address, {":80", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:80:80", "127.0.0.1::80"}},
      {errc::malformed_address,
       {"127.1:80", "2130706433:80", "127.0.0.256:80", "1.2.3.4.5:80", "1.2.3.:80", "1.2.3:80"}},
      {errc::malformed_address, {" 127.0.0.1:80", "127.0.0.1 :80", "127.0.0.1\0:80"s, "255.255.255.2555:80"}},
      {errc::malformed_address, {"127.0.0.1:80%lo", "127.0.0.1%lo:80", "80%lo"}},
      // IPv6 and its brackets
      {errc::malformed_address, {"::1:80", "::", "::1", "fe80::1%lo", "[", "[]", "[:", "[::1", "[::1:80", "::1]:80"}},
      {errc::malformed_address, {"[::1]", "[::1]:", "[::1]80", "[::1].80", "[::1] :80", "[::1]::80", "[::1]:80:80"}},
      {errc::malformed_address, {"[]:80", "[:::1]:80", "[::g]:80", "[[::1]]:80", "[::1]]:80", "x[::1]:80"}},
      {errc::malformed_address, {"[ ::1]:80", "[::1 ]:80", "[::1\0]:80"s, "[1:2:3:4:5:6:7:8:9]:80", "[127.0.0.1]:80"}},
      {errc::malformed_address, {"[0000:0000:0000:0000:0000:ffff:192.168.100.2000]:80", "[::1/128]:80"}},
      // scopes
      {errc::malformed_address, {"[::1%]:80", "[::1]:80%", "[::1%]:80%lo", "[::1%lo]:80%", "[%lo]:80", "[::1]:%lo"}},
      {errc::malformed_address,
       {"[::1%lo]:80%lo", "[::1%1]:80%1", "[::1]%lo:80", "[::g]:80%sd-none0", "[::1]:x%sd-none0"}},
      {system_error(ENODEV),
       {"[fe80::1]:80%sd-none0", "[fe80::1%sd-none0]:80", "[fe80::1]:80%a-name-too-long-for-any"}},
      {system_error(ENODEV), {"[fe80::1]:80%0", "[fe80::1%0]:80", "[fe80::1]:80%4294967296", "[fe80::1]:80%-1"}},
      {system_error(ENODEV),
       {"[fe80::1%lo%lo]:80", "[fe80::1]:80%lo%lo", "[fe80::1]:80%lo ", "[fe80::1]:80%sd]", "[fe80::1]:80%lo\0"s}},
      // vsock
      {errc::malformed_address, {"vsock", "vsock:", "vsock:2", "vsock::", "vsock:2:", "vsock:2:3:4", "VSOCK:2:3"}},
      {errc::malformed_address, {"vsock:x:2", "vsock:2:x", "vsock:-1:2", "vsock:2:-1", "vsock: :2", "vsock:2: 3"}},
      {errc::malformed_address, {"vsock:4294967296:1", "vsock:2:4294967296", "vsock:2:18446744073709551617"}},
      // length
      {system_error(ENAMETOOLONG), {path_of(108), path_of(109), path_of(5000), abstract_of(109), abstract_of(5000)}},
  };
}

INSTANTIATE_TEST_SUITE_P(address, invalid_addresses, testing::ValuesIn(invalid_table()));

TEST(address, exception_names_text_and_cause) {
  const std::string malformed =
      ": not /path, @abstract, PORT, IPV4:PORT, [IPV6]:PORT, [IPV6]:PORT%INTERFACE or vsock:CID:PORT";
  const auto too_long = system_error(ENAMETOOLONG);
  const struct {
    std::string text;
    std::error_code code;
    std::string what;
  } rows[] = {
      {"localhost", errc::malformed_address, "address \"localhost\"" + malformed},
      {"99999", errc::port_out_of_range, "address \"99999\": port exceeds 65535"},
      {"127.0.0.1:99999", errc::port_out_of_range, "address \"127.0.0.1:99999\": port exceeds 65535"},
      {"localhost:80", errc::host_name, "address \"localhost:80\": host names are not resolved; write an IP address"},
      {"", errc::malformed_address, "address \"\"" + malformed},
      {"8\n\"\\\0\xff"s, errc::malformed_address, R"(address "8\x0a\"\\\x00\xff")" + malformed},
      {"[fe80::1]:80%sd-none0", system_error(ENODEV), R"(address "[fe80::1]:80%sd-none0": No such device)"},
      {path_of(108), too_long, "address \"" + path_of(64) + "...\": " + too_long.message()},
  };
  for (const auto& row : rows) {
    try {
      const address where(row.text);
      ADD_FAILURE() << "no error: " << to_string(where);
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), row.code);
      EXPECT_EQ(error.what(), row.what);
    }
  }
}

TEST(address, scope_without_a_free_descriptor_is_emfile_but_a_port_is_ipv6) {
  const sd::test::descriptor_limit no_descriptors(0);
  auto ec = stale();
  const address scoped("[fe80::1]:80%lo", ec);
  EXPECT_EQ(ec, system_error(EMFILE));
  EXPECT_FALSE(scoped);

  const address port("80", ec);
  EXPECT_EQ(ec, std::error_code());
  EXPECT_EQ(to_string(port), "[::]:80");  // EMFILE does not mean that there is no IPv6
}

// --- as a sockaddr ---------------------------------------------------------------------------------------------------

TEST(address, sockaddr_in) {
  const auto inet = as<sockaddr_in>(address("1.2.3.4:258"));
  EXPECT_EQ(inet.sin_family, AF_INET);
  EXPECT_EQ(inet.sin_port, htons(258));
  EXPECT_EQ(inet.sin_addr.s_addr, htonl(0x01020304));
}

TEST(address, sockaddr_in6) {
  const unsigned lo = ::if_nametoindex("lo");
  if (lo == 0) GTEST_SKIP() << "SKIPPED: there is no interface lo";
  const auto number = std::to_string(lo);
  for (const auto& text : {"[fe80::102]:258%lo"s, "[fe80::102%lo]:258"s, "[fe80::102]:258%" + number}) {
    const auto inet6 = as<sockaddr_in6>(address(text));
    EXPECT_EQ(inet6.sin6_family, AF_INET6);
    EXPECT_EQ(inet6.sin6_port, htons(258));
    EXPECT_EQ(inet6.sin6_scope_id, lo);
    EXPECT_EQ(inet6.sin6_flowinfo, 0U);
    EXPECT_EQ(bytes_of(from(inet6.sin6_addr)), "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\1\2"sv);
  }
  EXPECT_EQ(to_string(address("[fe80::102]:258%" + number)), "[fe80::102]:258%lo");
}

TEST(address, sockaddr_un_ends_after_the_name) {
  const struct {
    std::string text;
    std::string name;
  } rows[] = {
      {"/run/x", "/run/x\0"s},
      {"@x", "\0x"s},
      {"@x\0"s, "\0x\0"s},
      {path_of(107), path_of(107) + '\0'},
      {abstract_of(108), '\0' + std::string(107, 'a')},
  };
  for (const auto& row : rows) EXPECT_EQ(bytes_of(address(row.text)), bytes_of(from_unix(row.name))) << row.text;
}

TEST(address, sockaddr_vm) {
  const auto some = as<sockaddr_vm>(address("vsock:2:65536"));
  EXPECT_EQ(some.svm_family, AF_VSOCK);
  EXPECT_EQ(some.svm_cid, 2U);
  EXPECT_EQ(some.svm_port, 65536U);
  EXPECT_EQ(as<sockaddr_vm>(address("vsock::1")).svm_cid, VMADDR_CID_ANY);
}

// --- from a sockaddr -------------------------------------------------------------------------------------------------

TEST(address, empty) {
  for (const auto& where : {none, address(), address::from_sockaddr("", 0), address::from_sockaddr(nullptr, 0)}) {
    EXPECT_FALSE(where);
    EXPECT_EQ(where.size(), 0U);
    EXPECT_EQ(where.family(), AF_UNSPEC);
    EXPECT_EQ(where.port(), 0U);
    EXPECT_EQ(where.path(), "");
    EXPECT_EQ(to_string(where), "");
    EXPECT_EQ(where, none);
  }
}

TEST(address, unix_path_ends_at_the_first_nul) {
  const struct {
    std::string bytes;
    std::string path;
    std::string text;
  } rows[] = {
      {"", "", ""},  // not bound
      {"/run/x", "/run/x", "/run/x"},
      {"/run/x\0"s, "/run/x", "/run/x"},
      {"/run/x\0\0junk"s, "/run/x", "/run/x"},
      {"relative\0"s, "relative", "relative"},
      {path_of(108) + '\0', path_of(108), path_of(108)},  // cannot be parsed, but the kernel returns it
      {"\0x"s, "", "@x"},
      {"\0x\0\0"s, "", "@x\0\0"s},
      {"\0"s, "", "@"},
  };
  for (const auto& row : rows) {
    const auto where = from_unix(row.bytes);
    EXPECT_TRUE(where);
    EXPECT_EQ(where.family(), AF_UNIX);
    EXPECT_EQ(where.port(), 0U);
    EXPECT_EQ(where.path(), row.path);
    EXPECT_EQ(to_string(where), row.text);
  }
}

TEST(address, oversized_sockaddr_is_cut) {
  std::string bytes(256, '\x5a');
  const sa_family_t family = AF_UNIX;
  std::memcpy(bytes.data(), &family, sizeof family);
  for (const std::size_t size : {127U, 128U, 129U, 256U}) {
    const auto where = address::from_sockaddr(bytes.data(), size);
    EXPECT_EQ(bytes_of(where), std::string_view(bytes).substr(0, std::min<std::size_t>(size, 128)));
    EXPECT_EQ(where.path().size(), where.size() - sizeof family);
  }
}

TEST(address, truncated_sockaddr_is_filled_with_zeros) {
  const sa_family_t family = AF_INET;
  EXPECT_EQ(to_string(from(family)), "0.0.0.0:0");
  EXPECT_EQ(from(family), address("0.0.0.0:0"));
  const auto one_byte = address::from_sockaddr("\1", 1);
  EXPECT_EQ(one_byte.family(), AF_UNSPEC);
  EXPECT_EQ(to_string(one_byte), "");
}

TEST(address, other_families_are_printed_as_a_number) {
  sockaddr_storage storage{};
  storage.ss_family = AF_APPLETALK;
  const auto where = from(storage);
  EXPECT_EQ(where.family(), AF_APPLETALK);
  EXPECT_EQ(where.port(), 0U);
  EXPECT_EQ(where.path(), "");
  EXPECT_EQ(to_string(where), "family " + std::to_string(AF_APPLETALK));
}

// --- equality --------------------------------------------------------------------------------------------------------

TEST(address, comparisons_and_hash_of_different_addresses) {
  std::vector<address> all = {none, from_unix("")};
  for (const auto& text : {"80"s,
                           "81"s,
                           "0.0.0.0:80"s,
                           "127.0.0.1:80"s,
                           "127.0.0.1:81"s,
                           "127.0.0.2:80"s,
                           "[::1]:80"s,
                           "[::1]:81"s,
                           "[::2]:80"s,
                           "[::ffff:0.0.0.0]:80"s,
                           "[::ffff:127.0.0.1]:80"s,
                           "[::1]:80%4294967295"s,
                           "[::1]:80%4294967294"s,
                           "vsock::80"s,
                           "vsock:2:80"s,
                           "vsock:2:81"s,
                           "/a"s,
                           "/b"s,
                           "/aa"s,
                           "/a/"s,
                           "@a"s,
                           "@b"s,
                           "@aa"s,
                           "@/a"s,
                           "@a\0"s}) {
    all.emplace_back(text);
  }
  const sa_family_t family_alone = AF_APPLETALK;
  all.push_back(from(family_alone));
  for (const auto family : {AF_APPLETALK, AF_PACKET}) {
    for (const char byte : {'\0', '\1'}) {
      sockaddr_storage storage{};
      storage.ss_family = static_cast<sa_family_t>(family);
      std::memcpy(reinterpret_cast<char*>(&storage) + 100, &byte, 1);
      all.push_back(from(storage));
    }
  }
  std::set<std::size_t> hashes;
  for (const auto& each : all) hashes.insert(std::hash<address>()(each));
  EXPECT_EQ(hashes.size(), all.size());
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) {
      const auto copy = all[j];
      EXPECT_EQ(all[i] == copy, i == j) << to_string(all[i]) << " and " << to_string(all[j]);
      EXPECT_EQ(all[i] != copy, i != j) << to_string(all[i]) << " and " << to_string(all[j]);
      EXPECT_EQ(all[i] < copy, i < j) << to_string(all[i]) << " and " << to_string(all[j]);
    }
  }
}

TEST(address, different_forms_of_one_address_are_equal) {
  auto flow = as<sockaddr_in6>(address("[::1]:80"));
  flow.sin6_flowinfo = htonl(1);  // concerns how packets are sent, not the address
  auto padded = as<sockaddr_in>(address("127.0.0.1:80"));
  std::memset(&padded.sin_zero, 1, sizeof padded.sin_zero);
  const std::pair<address, address> rows[] = {
      {from_unix("/a"), address("/a")},
      {from_unix("/a\0junk"sv), address("/a")},
      {address(at_any("80")), address("080")},
      {address("[0:0::0]:80"), address("[::]:080")},
      {address("[FE80::1%lo]:80"), address("[fe80::1]:80%lo")},
      {from(flow), address("[::1]:80")},
      {from(padded), address("127.0.0.1:80")},
  };
  for (const auto& [a, b] : rows) {
    EXPECT_EQ(a, b);
    EXPECT_FALSE(a != b);
    EXPECT_FALSE(a < b);
    EXPECT_FALSE(b < a);
    EXPECT_EQ(std::hash<address>()(a), std::hash<address>()(b)) << a;
  }
}

TEST(address, order_of_one_host_is_by_port) {
  const std::set<address> all = {address("127.0.0.1:8080"), address("127.0.0.2:1"), address("127.0.0.1:443"),
                                 address("127.0.0.1:80"), address("127.0.0.1:080")};
  EXPECT_THAT(all, testing::ElementsAre(address("127.0.0.1:80"), address("127.0.0.1:443"), address("127.0.0.1:8080"),
                                        address("127.0.0.2:1")));
}

TEST(address, key_of_an_unordered_container) {
  std::unordered_map<address, int> counts;
  for (const auto* const text : {"80", "/run/x", "080", "@x", "80"}) ++counts[address(text)];
  EXPECT_EQ(counts.size(), 3U);
  EXPECT_EQ(counts[address("80")], 3);
}

// --- any -------------------------------------------------------------------------------------------------------------

TEST(address, text_without_memory_is_malformed) {
  std::error_code ec;
  EXPECT_FALSE(address(std::string_view(), ec));
  EXPECT_EQ(ec, errc::malformed_address);
}

TEST(address, port_leaves_no_descriptor_open) {
  const auto lowest_free = [] {
    const sd::unique_fd probe(::socket(AF_UNIX, SOCK_DGRAM, 0));
    return probe.get();
  };
  const int before = lowest_free();
  ASSERT_GE(before, 0);
  EXPECT_TRUE(address("8080"));
  EXPECT_EQ(lowest_free(), before);
}

TEST(address, any_is_the_port_alone) {
  for (const auto port : std::vector<std::uint16_t>{0, 1, 258, 65535}) {
    const auto where = address::any(port);
    EXPECT_EQ(bytes_of(where), bytes_of(address(std::to_string(port))));
    EXPECT_EQ(where.port(), port);
    EXPECT_EQ(to_string(where), at_any(std::to_string(port)));
  }
}

}  // namespace
