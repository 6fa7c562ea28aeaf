// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "passed_sockets.hpp"

#include <sys/socket.h>

// A program that binds 0.0.0.0 and gets a socket at [::] expects IPv4 addresses. The kernel gives v4-mapped ones.
namespace sd::adopt {

/// Records that a socket of IPv4 was replaced by the passed one, if that is of IPv6.
void note_ipv4(const passed_socket& adopted, int family) noexcept;

/// Returns whether there is such a socket, so that addresses may have to be converted.
bool has_ipv4_views() noexcept;

/// Room for an address, which a call fills in.
struct address_room {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }

  /// Makes a v4-mapped address one of IPv4 if `fd` is such a socket or a connection of one.
  void convert(int fd) noexcept;
  /// Copies the address as the kernel does: cut off to the size of the caller's room, with its full size.
  void copy_to(void* address, socklen_t& room) const noexcept;
};

}  // namespace sd::adopt
