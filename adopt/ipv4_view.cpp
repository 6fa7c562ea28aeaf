// SPDX-License-Identifier: MIT OR Apache-2.0
#include "ipv4_view.hpp"

#include "detail/os/sockets.hpp"
#include "functions.hpp"
#include "guards.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sd::adopt {

namespace {

std::atomic<bool> has_views{false};

in_port_t port_of(const sockaddr_storage& where) noexcept {
  sockaddr_in6 inet6;
  std::memcpy(&inet6, &where, sizeof inet6);
  return inet6.sin6_port;
}

bool is_viewed(int type, in_port_t port) noexcept {
  const auto all = all_sockets();
  return std::any_of(all.begin(), all.end(), [type, port](const auto& each) {
    return each.is_ipv4 && !each.is_ipv6 && each.type == type && port_of(each.local) == port;
  });
}

}  // namespace

void note_family(passed_socket& adopted, int family) noexcept {
  if (family == AF_INET6) {
    adopted.is_ipv6 = true;
  } else if (adopted.family == AF_INET6) {
    adopted.is_ipv4 = true;
    has_views = true;
  }
}

bool has_ipv4_views() noexcept { return has_views.load(std::memory_order_relaxed); }

void address_room::convert(int fd) noexcept {
  sockaddr_in6 inet6;
  std::memcpy(&inet6, &storage, sizeof inet6);
  if (inet6.sin6_family != AF_INET6) return;
  const bool is_wildcard = IN6_IS_ADDR_UNSPECIFIED(&inet6.sin6_addr);
  if (!is_wildcard && !IN6_IS_ADDR_V4MAPPED(&inet6.sin6_addr)) return;

  const errno_kept kept;
  address_room local;
  functions::getsockname(fd, local.get(), &local.size);
  int type = 0;
  detail::os::socket_option(fd, SOL_SOCKET, SO_TYPE, type);
  if (!is_viewed(type, port_of(local.storage))) return;
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_port = inet6.sin6_port;
  std::memcpy(&inet.sin_addr, &inet6.sin6_addr.s6_addr[12], sizeof inet.sin_addr);
  std::memcpy(&storage, &inet, sizeof inet);
  size = sizeof inet;
}

void address_room::copy_to(void* address, socklen_t& room) const noexcept {
  std::memcpy(address, &storage, std::min(room, size));
  room = size;
}

}  // namespace sd::adopt
