// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "passed_sockets.hpp"

#include <sys/socket.h>

// A program that binds 0.0.0.0 and gets a socket at [::] expects IPv4 addresses. The kernel gives v4-mapped ones.
namespace sd::adopt {

/// Records the family of the socket that was replaced by the passed one.
void note_family(passed_socket& adopted, int family) noexcept;

/// Returns whether there may be such a socket. Addresses are not converted if the program has bound a socket of IPv6 to
/// it, too.
bool has_ipv4_views() noexcept;

/// Room for an address, which a call fills in.
struct address_room {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }

  /// Converts a v4-mapped or wildcard address of IPv6 to IPv4 if the type and the local port of `fd` are those of such
  /// a socket.
  void convert(int fd) noexcept;
  /// Copies the address, truncated to the size of the caller's buffer, and sets `room` to the full size.
  void copy_to(void* address, socklen_t& room) const noexcept;
};

}  // namespace sd::adopt
