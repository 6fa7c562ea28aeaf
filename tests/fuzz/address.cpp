// SPDX-License-Identifier: MIT OR Apache-2.0
// Parses any text as an address, and takes any bytes for the address of a system call.
#include <sd/address.hpp>

#include "input.hpp"

#include <sys/socket.h>

#include <functional>

namespace {

using sd::address;
using sd::fuzz::require;

/// Requires what holds for every address.
void check(const address& where) {
  require(where.path().size() < sizeof(sockaddr_storage));
  const auto copy = address::from_sockaddr(where.data(), where.size());
  require(copy == where && !(copy < where));
}

/// Requires that the order, the equality and the hash agree.
void compare(const address& a, const address& b) {
  const bool are_equal = a == b;
  require(are_equal == (b == a));
  require(are_equal != (a != b));
  const int true_ones = (a < b ? 1 : 0) + (b < a ? 1 : 0) + (are_equal ? 1 : 0);
  require(true_ones == 1);
  if (are_equal) require(std::hash<address>()(a) == std::hash<address>()(b));
}

/// Parses a text. The text of the result is parsed to the same address.
address parse(std::string_view text) {
  std::error_code ec;
  const address where(text, ec);
  require(bool(where) == !ec);
  require(address::parse(text).has_value() == !ec);
  try {
    require(address(text) == where && !ec);
  } catch (const std::system_error& error) {
    require(error.code() == ec);
  }
  if (ec) return where;
  const auto canonical = to_string(where);
  const address again(canonical, ec);
  require(!ec);
  require(again == where);
  require(to_string(again) == canonical);
  require(std::hash<address>()(again) == std::hash<address>()(where));
  return where;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = sd::fuzz::text_of(data, size);
  const auto parsed = parse(text);
  const auto raw = address::from_sockaddr(data, size);
  // As the kernel returns it, with a family that the library knows.
  auto known = parsed;
  for (const auto family : {AF_INET, AF_INET6, AF_UNIX, AF_VSOCK}) {
    sockaddr_storage bytes{};
    text.copy(reinterpret_cast<char*>(&bytes), sizeof bytes);
    bytes.ss_family = static_cast<sa_family_t>(family);
    const auto other = address::from_sockaddr(&bytes, size);
    check(other);
    (void)to_string(other);
    compare(other, known);
    known = other;
  }
  check(raw);
  (void)to_string(raw);
  check(parsed);
  compare(raw, parsed);
  return 0;
}
