#pragma once

#include <sd/address.hpp>
#include <sd/config.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace sd {

/// What a descriptor is to the service that was passed it.
/// Source:  systemd.socket(5)
enum class kind {
  stream,         ///< a stream socket that is listening: `ListenStream=`
  seqpacket,      ///< a sequential-packet socket that is listening: `ListenSequentialPacket=`
  connection,     ///< a stream or sequential-packet socket that is connected: `Accept=yes`
  unconnected,    ///< such a socket that is neither, or no longer
  datagram,       ///< a datagram socket: `ListenDatagram=`
  raw,            ///< a raw socket
  netlink,        ///< a netlink socket: `ListenNetlink=`
  fifo,           ///< a fifo or a pipe: `ListenFIFO=`
  special,        ///< a character device or a regular file, as in /proc: `ListenSpecial=`
  message_queue,  ///< a POSIX message queue: `ListenMessageQueue=`
  directory,      ///< a directory
  other,          ///< a block device, an epoll, a timer, ...
};

/// The name of the kind, as in `stream`; words are parted by a hyphen.
[[nodiscard]] SD_EXPORT const char* to_string(kind kind) noexcept;

/// All that is worth to know of a descriptor.
/// Shape:   what does not apply to its kind is zero, empty or false.
struct description {
  sd::kind kind = kind::other;
  int family = 0;            ///< `AF_INET`, ...
  int type = 0;              ///< `SOCK_STREAM`, ...
  int protocol = 0;          ///< `IPPROTO_TCP`, ..., or 0
  address local;             ///< where the socket is bound
  address peer;              ///< where it is connected to
  std::string path;          ///< where a fifo, file, directory or message queue was opened, if the system can tell
  bool nonblocking = false;  ///< `O_NONBLOCK`, which all who hold the socket share
  bool v6only = false;       ///< `IPV6_V6ONLY`: an `AF_INET6` socket that serves no IPv4
  bool reuse_port = false;   ///< `SO_REUSEPORT`: others may be bound to the same address
};

/// Looks at a descriptor and changes nothing.
/// Errors:  `EBADF`; `ENOSYS` on platforms without the protocol.
/// Threads: safe from any thread.
/// Source:  fstat(2), getsockopt(2), getsockname(2)
[[nodiscard]] SD_EXPORT description describe(int fd, std::error_code& ec);

/// One line, fit for a log: `stream inet 127.0.0.1:80`, `datagram inet6 [::]:53 dual-stack nonblocking`,
/// `fifo /run/x`.
[[nodiscard]] SD_EXPORT std::string to_string(const description& what);

/// Whether the socket is to be a listening one.
enum class listening { any, no, yes };

// The checks of sd_is_fifo(3). A descriptor of another sort is false, not an error.
// Errors:  `EBADF` for a descriptor that is not open; `EINVAL` for a family or type below 0; the errno of stat(2) for a
//          path that cannot be followed, but for one where nothing is; `ENOSYS` on platforms without the protocol.
// Threads: safe from any thread.

/// Whether it is a fifo or a pipe, and, if a path is given, the one that is there.
[[nodiscard]] SD_EXPORT bool is_fifo(int fd, const char* path, std::error_code& ec) noexcept;
/// Whether it is a character device or a regular file, and, if a path is given, the one that is there.
[[nodiscard]] SD_EXPORT bool is_special(int fd, const char* path, std::error_code& ec) noexcept;
/// Whether it is a socket of this family (0: any) and type (0: any).
[[nodiscard]] SD_EXPORT bool is_socket(int fd, int family, int type, listening listening, std::error_code& ec) noexcept;
/// Whether it is an internet socket of this family (0: either), type (0: any) and port (0: any).
/// Errors:  `EINVAL` for a family that is not of the internet.
[[nodiscard]] SD_EXPORT bool is_socket_inet(int fd, int family, int type, listening listening, unsigned port,
                                            std::error_code& ec) noexcept;
/// Whether it is a socket of this type (0: any) that is bound to exactly this address. A port, a scope or a flow
/// label that is 0 in `where` is any.
[[nodiscard]] SD_EXPORT bool is_socket_sockaddr(int fd, int type, const address& where, listening listening,
                                                std::error_code& ec) noexcept;
/// Whether it is a unix socket of this type (0: any) and, if a path is given, bound there: byte for byte what bind(2)
/// was given, an abstract name with the NUL in front, empty for a socket that is not bound.
[[nodiscard]] SD_EXPORT bool is_socket_unix(int fd, int type, listening listening, std::optional<std::string_view> path,
                                            std::error_code& ec) noexcept;
/// Whether it is a POSIX message queue, and, if a name is given ("/name"), that one.
/// Errors:  `EINVAL` for a name without the slash, `ENAMETOOLONG`.
[[nodiscard]] SD_EXPORT bool is_mq(int fd, const char* name, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
// The same, but an error is thrown as `std::system_error`, whose `what()` names the descriptor.
[[nodiscard]] SD_EXPORT description describe(int fd);
[[nodiscard]] SD_EXPORT bool is_fifo(int fd, const char* path = nullptr);
[[nodiscard]] SD_EXPORT bool is_special(int fd, const char* path = nullptr);
[[nodiscard]] SD_EXPORT bool is_socket(int fd, int family = 0, int type = 0, listening listening = listening::any);
[[nodiscard]] SD_EXPORT bool is_socket_inet(int fd, int family = 0, int type = 0, listening listening = listening::any,
                                            unsigned port = 0);
[[nodiscard]] SD_EXPORT bool is_socket_sockaddr(int fd, int type, const address& where,
                                                listening listening = listening::any);
[[nodiscard]] SD_EXPORT bool is_socket_unix(int fd, int type = 0, listening listening = listening::any,
                                            std::optional<std::string_view> path = std::nullopt);
[[nodiscard]] SD_EXPORT bool is_mq(int fd, const char* name = nullptr);
#endif

}  // namespace sd
