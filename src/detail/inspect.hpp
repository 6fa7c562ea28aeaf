// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "os/platform.hpp"

#include <cstddef>

// The checks of sd_is_fifo(3) and sd_booted(3), which are part of the core. Each returns 1 if the check passes, 0 if it
// does not pass, and the negated errno on failure.
#if SD_HAS_DESCRIPTORS

namespace sd::detail {

/// As the argument `listening`: the socket may or may not be listening.
inline constexpr int any = -1;

int is_fifo(int fd, const char* path) noexcept;
int is_special(int fd, const char* path) noexcept;
int is_socket(int fd, int family, int type, int listening) noexcept;
int is_socket_inet(int fd, int family, int type, int listening, unsigned port) noexcept;
/// The address has at most the size of a `sockaddr_storage`.
int is_socket_sockaddr(int fd, int type, const void* address, std::size_t size, int listening) noexcept;
/// A null path matches any.
int is_socket_unix(int fd, int type, int listening, const char* path, std::size_t length) noexcept;
int is_message_queue(int fd, const char* name) noexcept;

/// sd_booted(3): whether systemd is the system's service manager.
int booted() noexcept;

}  // namespace sd::detail

#endif
