// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Takes the passed socket for an address, or opens one.

#include <sd/address.hpp>
#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sd {
namespace detail {

/// Identifies a file. Inode numbers are reused, so the modification time is compared as well.
struct file_identity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t modified = 0;  // nanoseconds
};

/// Owns the path of a unix socket that this process has bound, and unlinks it on destruction if it still refers to that
/// socket. Does nothing in a forked child.
class bound_path {
 public:
  bound_path() noexcept = default;
  bound_path(std::string path, const file_identity& file, int pid) noexcept
      : path_(std::move(path)), file_(file), pid_(pid) {}
  bound_path(bound_path&& other) noexcept { swap(*this, other); }
  bound_path& operator=(bound_path&& other) noexcept {
    bound_path moved(std::move(other));
    swap(*this, moved);
    return *this;
  }
  bound_path(const bound_path&) = delete;
  bound_path& operator=(const bound_path&) = delete;
  ~bound_path() {
    if (!path_.empty()) unlink();
  }

  [[nodiscard]] const std::string& get() const noexcept { return path_; }
  void release() noexcept { path_.clear(); }

  friend void swap(bound_path& a, bound_path& b) noexcept {
    std::swap(a.path_, b.path_);
    std::swap(a.file_, b.file_);
    std::swap(a.pid_, b.pid_);
  }

 private:
  SD_EXPORT void unlink() noexcept;

  std::string path_;
  file_identity file_;
  int pid_ = 0;
};

}  // namespace detail

inline namespace v0 {

/// Where a socket comes from.
enum class origin {
  passed,  ///< The service manager passed it, and holds it as well.
  bound,   ///< This process has bound it.
};

/// Owns a socket that a server serves and, if this process has bound it to a path, that path.
///
/// The destructor closes the socket and unlinks the path. The path is unlinked only if it still refers to the socket
/// that was bound, so a socket that another process has put in its place is never removed. In a child created by fork()
/// the path stays. Movable, not copyable.
///
/// Keep the object for as long as the socket is served, even after `release_fd()`.
///
/// @note Failure to unlink is ignored.
/// @threadsafety Distinct objects may be used from different threads. The destructor may block briefly while another
///               process that uses this library binds the same path.
/// @see unix(7)
class server_socket {
 public:
  /// Holds no socket.
  server_socket() noexcept = default;
  /// Takes ownership of `fd`, a descriptor that the service manager passed.
  explicit server_socket(unique_fd fd) noexcept : fd_(std::move(fd)), origin_(sd::origin::passed) {}
  /// @private
  /// Takes ownership of `fd`, a socket that this process has bound, and of its `path`. Only `take_or_bind()` can call
  /// it.
  server_socket(unique_fd fd, detail::bound_path path) noexcept : fd_(std::move(fd)), path_(std::move(path)) {}

  /// Returns the descriptor, still owned by this object, or -1.
  [[nodiscard]] int get() const& noexcept { return fd_.get(); }
  [[nodiscard]] int get() const&& = delete;
  /// Returns whether the object holds a descriptor.
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  /// Moves the descriptor out, for a network library that owns its sockets. The object keeps the path, and still
  /// unlinks it.
  [[nodiscard]] unique_fd release_fd() & noexcept { return std::move(fd_); }
  [[nodiscard]] unique_fd release_fd() && = delete;

  /// Returns where the socket comes from.
  [[nodiscard]] sd::origin origin() const noexcept { return origin_; }
  /// Returns the path that the destructor unlinks. Empty for a socket that was passed or that has no path.
  [[nodiscard]] const std::string& path() const& noexcept { return path_.get(); }
  [[nodiscard]] const std::string& path() const&& = delete;
  /// Leaves the path in place: the destructor does not unlink it.
  void keep_path() noexcept { path_.release(); }

 private:
  unique_fd fd_;
  detail::bound_path path_;  // unlinked before the socket is closed, so that no path remains without a server
  sd::origin origin_ = sd::origin::bound;
};

/// What to do with `O_NONBLOCK`. All processes that hold the socket share the flag: for a passed socket, that includes
/// the service manager and every process to which the manager passes the socket later.
enum class nonblocking {
  leave,  ///< Leave it as it is.
  off,    ///< Clear it.
  on,     ///< Set it.
};

/// `IPV6_V6ONLY` of a socket that is bound to `[::]`: `BindIPv6Only=`.
enum class bind_ipv6_only {
  system_default,  ///< `default`: as the system is configured, see ipv6(7).
  both,            ///< `both`: the socket serves IPv4 as well.
  ipv6_only,       ///< `ipv6-only`: the socket serves IPv6 alone.
};

/// Describes how `take_or_bind()` opens a socket that was not passed. Where a member has the name of a directive, it
/// has the directive's meaning and default.
/// @see systemd.socket(5)
struct bind_options {
  sd::kind kind = sd::kind::stream;  ///< `stream`, `seqpacket` or `datagram`.
  int backlog = -1;                  ///< Length of the connection queue; -1: as long as the system allows.
  bind_ipv6_only ipv6 = bind_ipv6_only::system_default;  ///< Which protocols `[::]` serves: `BindIPv6Only=`.
  unsigned socket_mode = 0666;                           ///< Access mode of a unix socket's path.
  std::optional<unsigned> socket_uid{};                  ///< Owner of a unix socket's path; default: this process's.
  std::optional<unsigned> socket_gid{};                  ///< Group of a unix socket's path; default: this process's.
  unsigned directory_mode = 0755;                        ///< Access mode of parent directories that are created.
  sd::nonblocking nonblocking = sd::nonblocking::leave;  ///< Applies to passed sockets as well.
};

/// Takes the selected socket out of the list of passed descriptors, or opens one at `where`.
///
/// Internet sockets other than datagram sockets are opened with `SO_REUSEADDR`. For a unix socket, parent directories
/// are created, a path that a dead server has left behind is replaced, and no client can connect before owner and mode
/// are right. A passed socket is left as it is, except for `bind_options::nonblocking`.
///
/// @param fds     The list that `listen_fds()` returned.
/// @param which   Selects the passed socket.
/// @param where   The address at which to open a socket if no passed one is selected.
/// @param options How to open it.
/// @returns The socket. Keep it for as long as the socket is served: its destructor unlinks the path.
/// @par Errors
///   Those of `take()` except `errc::not_passed`; the errno of a failed system call, such as `EADDRINUSE` if the
///   address is being served; `EINVAL` for a kind that cannot be bound; `EISDIR` for a path that can only be a
///   directory's; `ESTALE` if another process has replaced the path right after it was bound. The list is unchanged
///   then, and no socket, path or new directory is left behind, except for the lock file and its directories if that
///   file can be created but not locked, examined or removed.
/// @threadsafety Distinct lists may be used from different threads. Blocks while another process that uses this library
///               binds the same path.
/// @see systemd.socket(5), bind(2), unix(7)
[[nodiscard]] SD_EXPORT server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which,
                                                   const address& where, const bind_options& options,
                                                   std::error_code& ec);
/// Without `which`, the passed socket that is bound to `where` is selected.
[[nodiscard]] inline server_socket take_or_bind(std::vector<listen_fd>& fds, const address& where,
                                                const bind_options& options, std::error_code& ec) {
  return take_or_bind(fds, where, where, options, ec);
}

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the step that failed, its subject, and what was
///         passed.
[[nodiscard]] SD_EXPORT server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which,
                                                   const address& where, const bind_options& options = {});
/// Does the same as the overload with `ec`, and throws errors.
[[nodiscard]] inline server_socket take_or_bind(std::vector<listen_fd>& fds, const address& where,
                                                const bind_options& options = {}) {
  return take_or_bind(fds, where, where, options);
}
#endif

}  // namespace v0
}  // namespace sd
