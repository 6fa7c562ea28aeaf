#pragma once

#include <sd/address.hpp>
#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sd {

/// The path of a unix socket that this process bound. When it goes it unlinks the path, if what is there is still ours.
/// Shape:   moves, never copies. Empty for sockets that were passed or have no path. In a forked child it does nothing.
/// Errors:  none: a path that cannot be unlinked stays.
/// Threads: distinct objects from any thread, one object from one thread at a time. To unlink, it waits while another
///          process that uses this library is about to bind the same path.
/// Source:  unix(7)
class bound_path {
 public:
  bound_path() noexcept = default;
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

  /// The path; empty where there is none to unlink.
  [[nodiscard]] const std::string& get() const noexcept { return path_; }
  /// From here on the path stays, whatever becomes of this object.
  void release() noexcept { path_.clear(); }

  friend void swap(bound_path& a, bound_path& b) noexcept {
    std::swap(a.path_, b.path_);
    std::swap(a.file_, b.file_);
    std::swap(a.pid_, b.pid_);
  }

  /// What tells a file from another that took its place: the time, too, as inode numbers are used again.
  struct identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t modified = 0;  // nanoseconds
  };
  /// Takes charge of a path that this process has just bound.
  bound_path(std::string path, const identity& file, int pid) noexcept
      : path_(std::move(path)), file_(file), pid_(pid) {}

 private:
  SD_EXPORT void unlink() noexcept;

  std::string path_;
  identity file_;
  int pid_ = 0;
};

/// Where a socket comes from.
enum class origin {
  passed,  ///< from the service manager, which holds it, too
  bound,   ///< from this process
};

/// A socket to serve, and what has to be cleaned up after it.
/// Shape:   `fd` may be moved into a network library. Keep `path` for as long as the socket is served; it is empty
///          where the socket was passed, as what the manager made is the manager's to remove.
struct listener {
  unique_fd fd;
  sd::origin origin = origin::bound;
  bound_path path;
};

/// `O_NONBLOCK` of a socket, which all who hold it share: for one that was passed, the service manager and whoever else
/// it is passed to.
enum class nonblocking { leave, off, on };

/// `IPV6_V6ONLY` of a socket that is bound to `[::]`.
enum class bind_ipv6_only { system_default, both, ipv6_only };

/// How a socket is opened that was not passed. Names and defaults are those of the unit's directives where these make
/// sense without a service manager.
/// Source:  systemd.socket(5)
struct bind_options {
  sd::kind kind = kind::stream;  ///< `stream`, `seqpacket` or `datagram`
  int backlog = -1;              ///< connections that may wait; -1: as many as the system allows
  bind_ipv6_only ipv6 = bind_ipv6_only::system_default;
  std::optional<unsigned> socket_mode;   ///< of a unix socket's path; by default what the umask leaves of 0777
  std::optional<unsigned> socket_user;   ///< a user id, likewise; by default this process's
  std::optional<unsigned> socket_group;  ///< a group id, likewise
  unsigned directory_mode = 0755;        ///< of parent directories that have to be made
  sd::nonblocking nonblocking = nonblocking::leave;  ///< also of a socket that was passed
};

/// Takes the socket for this address out of the list of those that were passed, or opens it.
/// Shape:   an internet socket is opened with `SO_REUSEADDR` unless it is a datagram one. Of a unix socket, parent
///          directories are made, and a path that a dead server left behind is unlinked, under a lock on `PATH.sd-lock`;
///          nobody can connect before mode and owner are right. A socket that was passed stays as it is, but for
///          `nonblocking` where that is asked for.
/// Errors:  those of `take()` but `errc::not_passed`; the `errno` of a failed system call, as `EADDRINUSE` where somebody
///          serves the address; `EINVAL` for a kind that cannot be bound. On an error the list is as it was, and no
///          socket or path is left behind; a lock file only where it could not be locked.
/// Threads: as the list. Waits while another process that uses this library is about to bind the same path.
/// Source:  systemd.socket(5), bind(2), unix(7)
[[nodiscard]] SD_EXPORT listener take_or_bind(std::vector<listen_fd>& fds, const address& where,
                                              const bind_options& options, std::error_code& ec);

#if SD_HAS_EXCEPTIONS
/// The same, but an error is thrown as `std::system_error`, whose `what()` says which step failed on what.
[[nodiscard]] SD_EXPORT listener take_or_bind(std::vector<listen_fd>& fds, const address& where,
                                              const bind_options& options = {});
#endif

}  // namespace sd
