#include <sd/error.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include "detail/choice.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/os/sockets.hpp"
#include "detail/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>

#if SD_HAS_DESCRIPTORS

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <climits>
#include <cstdio>
#include <cstring>

namespace sd {

namespace {

namespace os = detail::os;

/// Why there is no socket: what was done, and on what.
struct failure {
  std::error_code code;
  std::string step;

  explicit operator bool() const noexcept { return static_cast<bool>(code); }
};

/// Whether a system call went well. If not, that is the failure.
bool ok(int result, const char* step, const std::string& subject, failure& why) {
  if (result < 0) why = {{-result, std::generic_category()}, step + (' ' + detail::escaped(subject))};
  return result >= 0;
}

bool is_same(const os::file& a, const os::file& b) noexcept { return a.device == b.device && a.inode == b.inode; }

/// The right to bind or unlink a path, among all processes that use this library. It is a lock on the file
/// PATH.sd-lock, which is there for no longer than somebody holds or awaits it.
class path_lock {
 public:
  explicit path_lock(const std::string& path) noexcept : status_(acquire(path)) {}
  path_lock(const path_lock&) = delete;
  path_lock& operator=(const path_lock&) = delete;
  ~path_lock() {
    if (status_ >= 0) os::remove(name_);
  }

  /// Negative where it could not be had.
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const char* name() const noexcept { return name_; }

 private:
  int acquire(const std::string& path) noexcept {
    std::snprintf(name_, sizeof name_, "%s%s", path.c_str(), suffix);
    while (true) {
      const int fd = os::open_lock(name_);
      if (fd < 0) return fd;
      file_ = unique_fd(fd);
      if (const int result = os::lock(fd); result < 0) return result;
      os::file locked;
      os::file there;
      if (const int result = os::status(fd, locked); result < 0) return result;
      // If whoever held it has removed the file, what is locked now is nobody's any more.
      if (os::link_status(name_, there) == 0 && is_same(locked, there)) return 0;
    }
  }

  // Not .lock, which other programs use in ways of their own.
  static constexpr char suffix[] = ".sd-lock";

  char name_[sizeof(sockaddr_un::sun_path) + sizeof suffix];
  unique_fd file_;
  int status_;
};

/// The directory of a path; empty where it is the root or the current one.
std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// Makes the directory, and those above it, where they are not there.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the path, which is short
bool make_directories(const std::string& directory, unsigned mode, failure& why) {
  if (directory.empty()) return true;
  int result = os::make_directory(directory.c_str(), mode);
  if (result == -ENOENT) {
    if (!make_directories(parent(directory), mode, why)) return false;
    result = os::make_directory(directory.c_str(), mode);
  }
  os::file there;
  if (os::status(directory.c_str(), there) == 0 && there.type == os::file_type::directory) return true;
  return ok(result, "make directory", directory, why);
}

int type_of(kind kind) noexcept {
  switch (kind) {
    case kind::stream:
      return SOCK_STREAM;
    case kind::seqpacket:
      return SOCK_SEQPACKET;
    case kind::datagram:
      return SOCK_DGRAM;
    default:
      return 0;
  }
}

/// Whether nobody serves the path of a unix socket. A datagram socket finds out unseen: of another type of server the
/// kernel says so, and one of its own type is not told either.
bool is_dead(const address& where) noexcept {
  os::file file;
  if (os::link_status(std::string(where.path()).c_str(), file) < 0 || file.type != os::file_type::socket) return false;
  const unique_fd probe(os::open_socket(AF_UNIX, SOCK_DGRAM));
  return probe && os::connect(probe.get(), where.data(), where.size()) == -ECONNREFUSED;
}

/// Removes a path that was bound, if nothing comes of it. For while its lock is held.
class half_bound {
 public:
  explicit half_bound(const std::string& path) noexcept : path_(path) {}
  half_bound(const half_bound&) = delete;
  half_bound& operator=(const half_bound&) = delete;
  ~half_bound() {
    if (!kept_) os::remove(path_.c_str());
  }
  void keep() noexcept { kept_ = true; }

 private:
  const std::string& path_;
  bool kept_ = false;
};

/// Opens one socket.
class binder {
 public:
  binder(const address& where, const bind_options& options)
      : where_(where), text_(to_string(where)), options_(options), type_(type_of(options.kind)) {}

  server_socket open(failure& why) {
    if (type_ == 0) {
      why = {std::make_error_code(std::errc::invalid_argument), std::string("bind a ") + to_string(options_.kind)};
      return {};
    }
    return where_.path().empty() ? open_address(why) : open_path(why);
  }

 private:
  bool open_socket(unique_fd& fd, int family, failure& why) const {
    const int result = os::open_socket(family, type_);
    if (!ok(result, "open a socket for", text_, why)) return false;
    fd = unique_fd(result);
    return options_.nonblocking != nonblocking::on ||
           ok(os::set_nonblocking(result, true), "make nonblocking", text_, why);
  }

  bool set_option(const unique_fd& fd, int level, int option, int value, const char* step, failure& why) const {
    return ok(os::set_socket_option(fd.get(), level, option, value), step, text_, why);
  }

  bool listen(const unique_fd& fd, failure& why) const {
    if (type_ == SOCK_DGRAM) return true;
    return ok(os::listen(fd.get(), options_.backlog < 0 ? INT_MAX : options_.backlog), "listen at", text_, why);
  }

  server_socket open_address(failure& why) const {
    unique_fd fd;
    const int family = where_.family();
    if (!open_socket(fd, family, why)) return {};
    const bool internet = family == AF_INET || family == AF_INET6;
    if (internet && type_ != SOCK_DGRAM && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR for", why)) {
      return {};
    }
    if (family == AF_INET6 && options_.ipv6 != bind_ipv6_only::system_default &&
        !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options_.ipv6 == bind_ipv6_only::ipv6_only ? 1 : 0,
                    "set IPV6_V6ONLY for", why)) {
      return {};
    }
    if (!ok(os::bind(fd.get(), where_.data(), where_.size()), "bind to", text_, why)) return {};
    if (!listen(fd, why)) return {};
    return {std::move(fd), {}};
  }

  server_socket open_path(failure& why) const {
    std::string path(where_.path());
    if (!make_directories(parent(path), options_.directory_mode, why)) return {};
    const path_lock lock(path);
    if (!ok(lock.status(), "lock", lock.name(), why)) return {};
    unique_fd fd;
    if (!open_socket(fd, AF_UNIX, why) || !bind_path(fd, path, why)) return {};
    half_bound bound(path);
    os::file file;
    if (!ok(os::link_status(path.c_str(), file), "look at", path, why) || !set_owner_and_mode(path, why) ||
        !listen(fd, why)) {
      return {};
    }
    bound.keep();
    return {std::move(fd), {std::move(path), {file.device, file.inode, file.modified}, os::process_id()}};
  }

  bool bind_path(const unique_fd& fd, const std::string& path, failure& why) const {
    // Where the system takes the path's mode from the socket, nobody can send to it before it has its owner.
    os::change_mode(fd.get(), 0);
    int result = os::bind(fd.get(), where_.data(), where_.size());
    if (result == -EADDRINUSE && is_dead(where_)) {
      if (!ok(os::remove(path.c_str()), "remove the dead socket", path, why)) return false;
      result = os::bind(fd.get(), where_.data(), where_.size());
    }
    return ok(result, "bind to", path, why);
  }

  bool set_owner_and_mode(const std::string& path, failure& why) const {
    if (options_.socket_uid || options_.socket_gid) {
      const auto as_id = [](const std::optional<unsigned>& id) { return static_cast<int>(id.value_or(UINT_MAX)); };
      const int result = os::change_owner(path.c_str(), as_id(options_.socket_uid), as_id(options_.socket_gid));
      if (!ok(result, "change the owner of", path, why)) return false;
    }
    return ok(os::change_mode(path.c_str(), options_.socket_mode), "change the mode of", path, why);
  }

  const address& where_;
  std::string text_;
  const bind_options& options_;
  int type_;
};

/// Whether what was passed for this address leaves it free for a socket of this kind: TCP and UDP have ports of their
/// own.
bool leaves_free(const std::vector<listen_fd>& fds, const address& where, kind wanted) {
  const auto passed = detail::describe_selected(fds, where);
  const auto is_same_protocol = [&](const description& what) {
    return (what.kind == kind::datagram) == (wanted == kind::datagram);
  };
  return where.family() != AF_UNIX && std::none_of(passed.begin(), passed.end(), is_same_protocol);
}

/// Opens the socket. A failure lists what was passed: often a passed socket holds the address.
server_socket open(const std::vector<listen_fd>& fds, const address& where, const bind_options& options, failure& why) {
  auto socket = binder(where, options).open(why);
  if (why && !fds.empty()) why.step += ", passed: " + to_string(fds);
  return socket;
}

server_socket take_or_open(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, failure& why) {
  std::error_code ec;
  const auto index = detail::choose_one(fds, options.kind, which, ec);
  const bool is_free = ec == errc::wrong_kind && !which.name() && leaves_free(fds, where, options.kind);
  if (ec == errc::not_passed || is_free) return open(fds, where, options, why);
  if (ec) {
    why = {ec, detail::explain(fds, options.kind, which, ec)};
    return {};
  }
  if (options.nonblocking != nonblocking::leave) {
    const int result = os::set_nonblocking(fds[index].fd.get(), options.nonblocking == nonblocking::on);
    if (!ok(result, "make nonblocking", to_string(where), why)) return {};
  }
  return server_socket(detail::take_at(fds, index).fd);
}

}  // namespace

void detail::bound_path::unlink() noexcept {
  if (os::process_id() != pid_) return;
  const path_lock lock(path_);
  os::file file;
  if (lock.status() < 0 || os::link_status(path_.c_str(), file) < 0) return;
  if (file.device == file_.device && file.inode == file_.inode && file.modified == file_.modified) {
    os::remove(path_.c_str());
  }
}

server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, std::error_code& ec) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  ec = why.code;
  return socket;
}

#if SD_HAS_EXCEPTIONS
server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  if (why) throw std::system_error(why.code, why.step);
  return socket;
}
#endif

}  // namespace sd

#endif
