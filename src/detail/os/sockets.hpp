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
/// SCM_MAX_FD: Linux attaches no more descriptors than these to one message.
inline constexpr std::size_t most_attached = 253;
/// The most pieces that one message is made of.
inline constexpr std::size_t most_pieces = 64;

#if SD_HAS_DESCRIPTORS

/// F_GETFL: whether the descriptor has O_NONBLOCK (1) or not (0).
int is_nonblocking(int fd) noexcept;
int set_nonblocking(int fd, bool on) noexcept;

int socket_option(int fd, int level, int option, int& value) noexcept;
int set_socket_option(int fd, int level, int option, int value) noexcept;
/// SO_SNDBUFFORCE, which needs privilege, else SO_SNDBUF.
int set_send_buffer(int fd, int size) noexcept;
/// SO_DOMAIN, or the family of the local address on platforms without that option.
int socket_family(int fd) noexcept;
/// SO_PROTOCOL, or 0 on platforms without that option.
int socket_protocol(int fd) noexcept;
/// getsockname(2) and getpeername(2): the size of the address, of which at most `size` bytes are written.
int local_address(int fd, void* address, std::size_t size) noexcept;
int peer_address(int fd, void* address, std::size_t size) noexcept;

/// Opens a socket that is close-on-exec.
int open_socket(int family, int type) noexcept;
int bind(int fd, const void* address, std::size_t size) noexcept;
int listen(int fd, int backlog) noexcept;
/// connect(2), again on EINTR.
int connect(int fd, const void* address, std::size_t size) noexcept;
/// sendmsg(2), without SIGPIPE, again on EINTR. A null address: to where the socket is connected. With SCM_CREDENTIALS
/// of another process where `pid` is not 0. -EMSGSIZE for more pieces than there may be.
int send_message(int fd, const piece* pieces, std::size_t piece_count, const void* address, std::size_t size,
                 const int* fds, std::size_t fd_count, int pid) noexcept;
/// Whether the descriptor can be read from (1) at once or not (0).
int is_readable(int fd) noexcept;

/// if_nametoindex(3): -ENODEV if there is no such interface, and the negated errno of other failures.
int interface_number(const char* name, unsigned& number) noexcept;
/// if_indextoname(3): writes at most IF_NAMESIZE bytes. Returns null if there is no such interface.
const char* interface_name(unsigned number, char* name) noexcept;

#endif

}  // namespace sd::detail::os
