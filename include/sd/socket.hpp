// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Finds out what a file descriptor is.

#include <sd/address.hpp>
#include <sd/config.hpp>

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace sd {
inline namespace v0 {

/// What a file descriptor is to the service that it was passed to.
/// @see systemd.socket(5)
enum class kind {
  stream,         ///< a stream socket that is listening: `ListenStream=`
  seqpacket,      ///< a sequential-packet socket that is listening: `ListenSequentialPacket=`
  connection,     ///< a stream or sequential-packet socket that is connected: `Accept=yes`
  unconnected,    ///< a stream or sequential-packet socket that is neither listening nor connected
  datagram,       ///< a datagram socket: `ListenDatagram=`
  raw,            ///< a raw socket
  netlink,        ///< a netlink socket: `ListenNetlink=`
  fifo,           ///< a fifo or a pipe: `ListenFIFO=`
  special,        ///< a character device or a regular file, such as one in /proc: `ListenSpecial=`
  message_queue,  ///< a POSIX message queue: `ListenMessageQueue=`
  directory,      ///< a directory
  other,          ///< anything else, such as an epoll or timer descriptor, or a socket that cannot be examined
};

/// Returns the name of `value`, such as `stream` or `message-queue`.
[[nodiscard]] SD_EXPORT const char* to_string(kind value) noexcept;

/// Describes a file descriptor. Members that do not apply to its kind are zero, empty or false.
struct description {
  sd::kind kind = sd::kind::other;  ///< what the descriptor is
  int family = 0;                   ///< `AF_INET`, ...
  int type = 0;                     ///< `SOCK_STREAM`, ...
  int protocol = 0;                 ///< `IPPROTO_TCP`, ..., or 0 if there is none or it is unknown
  address local;                    ///< the address that the socket is bound to
  address peer;                     ///< the address that the socket is connected to
  std::string path;                 ///< the path that a file of any kind was opened by, if the system can tell
  bool nonblocking = false;         ///< `O_NONBLOCK`, which all processes that hold the socket share
  bool v6only = false;              ///< `IPV6_V6ONLY`: an `AF_INET6` socket that does not serve IPv4
  bool reuse_port = false;          ///< `SO_REUSEPORT`: other sockets may be bound to the same address
};

/// Describes a file descriptor without changing it.
///
/// A socket whose family, type or state cannot be read is of kind `other`: for example one opened with `O_PATH`, which
/// has a path and nothing else. The path of a file that has been unlinked is its last one, without the " (deleted)"
/// that Linux appends. If the file has another hard link, " (deleted)" stays, because it could be part of the name.
///
/// @param fd The descriptor.
/// @returns The description. It is empty after an error.
/// @par Errors
/// `EBADF` if the descriptor is not open; `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see fstat(2), getsockopt(2), getsockname(2)
[[nodiscard]] SD_EXPORT description describe(int fd, std::error_code& ec);

/// Returns `what` as one line that is fit for a log, such as `stream inet 127.0.0.1:80`, `datagram inet6 [::]:53
/// dual-stack nonblocking` or `fifo /run/x`.
[[nodiscard]] SD_EXPORT std::string to_string(const description& what);

/// Writes `to_string(value)`. The caller includes `<ostream>`.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, kind value) {
  return out << to_string(value);
}
/// Writes `to_string(what)`. The caller includes `<ostream>`.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const description& what) {
  return out << to_string(what);
}

/// Whether a socket must be listening to pass a check.
enum class listening {
  any,  ///< the state does not matter
  no,   ///< the socket must not be listening
  yes,  ///< the socket must be listening
};

/// Returns whether a descriptor is a fifo or a pipe.
///
/// @param fd The descriptor.
/// @param path If not null, the descriptor must be the fifo at this path.
/// @par Errors
/// `EBADF` if the descriptor is not open; the errno of stat(2) if the path cannot be followed, except that a path where
/// nothing is gives false; `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_fifo(3)
[[nodiscard]] SD_EXPORT bool is_fifo(int fd, const char* path, std::error_code& ec) noexcept;

/// Returns whether a descriptor is a character device or a regular file.
///
/// @param fd The descriptor.
/// @param path If not null, the descriptor must be the file at this path. Character devices are compared by their
/// device numbers.
/// @par Errors
/// `EBADF` if the descriptor is not open; the errno of stat(2) if the path cannot be followed, except that a path where
/// nothing is gives false; `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_special(3)
[[nodiscard]] SD_EXPORT bool is_special(int fd, const char* path, std::error_code& ec) noexcept;

/// Returns whether a descriptor is a socket.
///
/// @param fd The descriptor.
/// @param family The family that it must have, such as `AF_UNIX`, or 0 for any.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param state Whether it must be listening.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` if the family or type is negative; the errno of getsockopt(2);
/// `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket(3)
[[nodiscard]] SD_EXPORT bool is_socket(int fd, int family, int type, listening state, std::error_code& ec) noexcept;

/// Returns whether a descriptor is an internet socket.
///
/// @param fd The descriptor.
/// @param family `AF_INET`, `AF_INET6`, or 0 for either.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param state Whether it must be listening.
/// @param port The port that it must be bound to, or 0 for any.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` for another family or a negative type; the errno of getsockopt(2) or
/// getsockname(2); `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket_inet(3)
[[nodiscard]] SD_EXPORT bool is_socket_inet(int fd, int family, int type, listening state, unsigned port,
                                            std::error_code& ec) noexcept;

/// Returns whether a descriptor is a socket that is bound to an address.
///
/// @param fd The descriptor.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param where The address. A port, scope or flow label of 0 matches any; everything else must be equal.
/// @param state Whether it must be listening.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` if the type is negative; the errno of getsockopt(2) or
/// getsockname(2); `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket_sockaddr(3)
[[nodiscard]] SD_EXPORT bool is_socket_sockaddr(int fd, int type, const address& where, listening state,
                                                std::error_code& ec) noexcept;

/// Returns whether a descriptor is a unix socket.
///
/// @param fd The descriptor.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param state Whether it must be listening.
/// @param path If given, the name that the socket must be bound to, byte for byte as it was passed to bind(2): an
///             abstract name starts with its NUL, and the empty name matches a socket that is not bound.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` if the type is negative; the errno of getsockopt(2) or
/// getsockname(2); `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket_unix(3)
[[nodiscard]] SD_EXPORT bool is_socket_unix(int fd, int type, listening state, std::optional<std::string_view> path,
                                            std::error_code& ec) noexcept;

/// Returns whether a descriptor is a POSIX message queue.
///
/// @param fd The descriptor.
/// @param name If not null, the name that the queue must have, such as "/name".
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` for a name that does not start with a slash; `ENAMETOOLONG`;
/// `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_mq(3)
[[nodiscard]] SD_EXPORT bool is_mq(int fd, const char* name, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT description describe(int fd);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_fifo(int fd, const char* path = nullptr);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_special(int fd, const char* path = nullptr);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket(int fd, int family = 0, int type = 0, listening state = listening::any);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket_inet(int fd, int family = 0, int type = 0, listening state = listening::any,
                                            unsigned port = 0);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket_sockaddr(int fd, int type, const address& where,
                                                listening state = listening::any);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket_unix(int fd, int type = 0, listening state = listening::any,
                                            std::optional<std::string_view> path = std::nullopt);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_mq(int fd, const char* name = nullptr);
#endif

}  // namespace v0
}  // namespace sd
