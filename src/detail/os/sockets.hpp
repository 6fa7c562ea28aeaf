// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "platform.hpp"

#include <cstddef>

// Sockets.
namespace sd::detail::os {

/// A piece of a message that is sent from several places in memory.
struct piece {
  const void* data;
  std::size_t size;
};
/// SCM_MAX_FD: the most descriptors that Linux attaches to one message.
inline constexpr std::size_t most_attached = 253;
/// The most pieces that one message may have.
inline constexpr std::size_t most_pieces = 64;

#if SD_HAS_DESCRIPTORS

/// F_GETFL. Returns whether the descriptor has O_NONBLOCK (1) or not (0).
int is_nonblocking(int fd) noexcept;
int set_nonblocking(int fd, bool on) noexcept;

int socket_option(int fd, int level, int option, int& value) noexcept;
int set_socket_option(int fd, int level, int option, int value) noexcept;
/// Sets SO_SNDBUFFORCE, or SO_SNDBUF if the process lacks the privilege.
int set_send_buffer(int fd, int size) noexcept;
/// Returns SO_DOMAIN, or the family of the local address on platforms without that option.
int socket_family(int fd) noexcept;
/// Returns SO_PROTOCOL, or 0 on platforms without that option.
int socket_protocol(int fd) noexcept;
/// getsockname(2) and getpeername(2). Return the size of the address, and write at most `size` bytes of it.
int local_address(int fd, void* address, std::size_t size) noexcept;
int peer_address(int fd, void* address, std::size_t size) noexcept;

/// Opens a socket that is close-on-exec.
int open_socket(int family, int type, int protocol = 0) noexcept;
int bind(int fd, const void* address, std::size_t size) noexcept;
int listen(int fd, int backlog) noexcept;
/// connect(2)
int connect(int fd, const void* address, std::size_t size) noexcept;
/// sendmsg(2) without SIGPIPE. Retries on EINTR. If the address is null, the message goes to the peer of a connected
/// socket. If `pid` is not 0, SCM_CREDENTIALS of that process are attached. -EMSGSIZE for more than `most_pieces`.
int send_message(int fd, const piece* pieces, std::size_t piece_count, const void* address, std::size_t size,
                 const int* fds, std::size_t fd_count, int pid) noexcept;
/// Returns whether the descriptor can be read from without waiting (1) or not (0).
int is_readable(int fd) noexcept;

/// if_nametoindex(3). -ENODEV if there is no such interface.
int interface_number(const char* name, unsigned& number) noexcept;
/// if_indextoname(3). Writes at most IF_NAMESIZE bytes. Returns null if there is no such interface.
const char* interface_name(unsigned number, char* name) noexcept;

#endif

}  // namespace sd::detail::os
