// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bind_path.hpp"

#if SD_HAS_DESCRIPTORS

#include "os/descriptors.hpp"
#include "os/sockets.hpp"
#include "path_lock.hpp"
#include "text.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <climits>
#include <optional>
#include <vector>

namespace sd::detail {

namespace {

/// Returns the directory of a path. Empty if that is the root or the current directory.
std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// Returns whether a path can only be one of a directory, such as "/run/x/".
bool names_directory(const std::string& path) {
  const auto name = path.substr(path.rfind('/') + 1);
  return name.empty() || name == "." || name == "..";
}

/// Makes directories, and removes those that it made unless they are kept. A directory that is not empty stays.
class new_directories {
 public:
  new_directories() = default;
  new_directories(const new_directories&) = delete;
  new_directories& operator=(const new_directories&) = delete;
  ~new_directories() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) os::remove_directory(made->c_str());
  }

  /// Makes a directory and its parents, unless they exist. Returns 0 or the negated errno, and sets `why` accordingly.
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the path, which is short
  int make(const std::string& directory, unsigned mode, failure& why) {
    if (directory.empty()) return 0;
    int result = make_one(directory, mode);
    if (result == -ENOENT) {
      if (const int parents = make(parent(directory), mode, why); parents < 0) return parents;
      result = make_one(directory, mode);
    }
    if (result >= 0) return 0;
    os::file there;
    const int status = os::status(directory.c_str(), there);
    if (status == 0 && there.type == os::file_type::directory) return 0;
    succeeded(result, "make directory", directory, why);
    // Another process may have removed a directory that was there a moment ago.
    return result == -EEXIST && status == -ENOENT ? -ENOENT : result;
  }

  void keep() noexcept { made_.clear(); }

 private:
  int make_one(const std::string& directory, unsigned mode) {
    made_.push_back(directory);  // before it is made, as this may throw
    const int result = os::make_directory(directory.c_str(), mode);
    if (result < 0) made_.pop_back();
    return result;
  }

  std::vector<std::string> made_;
};

/// Makes the parent directories of a path and locks the path.
bool make_and_lock(const std::string& path, unsigned mode, new_directories& directories, std::optional<path_lock>& lock,
                   failure& why) {
  // A process that fails removes the directories that it made, and others may rely on them by then. Once the lock file
  // is in the directory, no other process can remove it any more.
  int attempts = 100;
  int result = 0;
  do {
    why = {};
    result = directories.make(parent(path), mode, why);
    if (result < 0) continue;
    lock.emplace(path);
    result = lock->status();
    succeeded(result, "lock", lock->name(), why);
  } while (result == -ENOENT && --attempts > 0);
  return result >= 0;
}

constexpr unsigned owner_write = 0200;

/// Returns whether no process serves the socket at a path. The server does not notice the probe, which is a datagram
/// socket: the kernel reports that a server of another type is there, and a datagram server is not told.
bool is_dead(const address& where, const std::string& path) noexcept {
  os::file there;
  if (os::link_status(path.c_str(), there) < 0 || there.type != os::file_type::socket) return false;
  const unique_fd probe(os::open_socket(AF_UNIX, SOCK_DGRAM));
  // Without a descriptor this fails with EBADF, and the socket stays.
  const auto connect_probe = [&] { return os::connect(probe.get(), where.data(), where.size()); };
  int result = connect_probe();
  if (result != -EACCES) return result == -ECONNREFUSED;

  // The mode may keep even the owner out, if it was meant so, or if its server was killed before it had set the mode.
  unique_fd file;
  if constexpr (os::has_path_descriptors) {
    file = unique_fd(os::open_path(path.c_str()));
    if (os::status(file.get(), there) < 0) return false;
  }
  if (there.type != os::file_type::socket || there.owner != os::effective_user() || (there.mode & owner_write) != 0) {
    return false;
  }
  os::change_mode(file.get(), path.c_str(), there.mode | owner_write);  // if this fails, so does the probe
  result = connect_probe();
  if (result != -ECONNREFUSED) os::change_mode(file.get(), path.c_str(), there.mode);
  return result == -ECONNREFUSED;
}

bool bind_or_replace(int fd, const address& where, const std::string& path, failure& why) {
  // Linux takes the path's mode from the socket, so that no other user can send to the path before its owner and mode
  // are set. The owner may, so that the next process can tell whether the socket is dead if this one is killed.
  os::change_mode(fd, owner_write);
  int result = os::bind(fd, where.data(), where.size());
  if (result == -EADDRINUSE && is_dead(where, path)) {
    if (!succeeded(os::remove(path.c_str()), "remove the dead socket", path, why)) return false;
    result = os::bind(fd, where.data(), where.size());
  }
  return succeeded(result, "bind to", path, why);
}

/// The file of a socket that was just bound. The caller must hold the path's lock.
///
/// A user with write access to the directory may since have replaced the path by a link to another file, or by another
/// socket of this user. The file is therefore identified once, and then changed through a descriptor. On systems
/// without such descriptors, such as macOS and the BSDs, symbolic links are not followed, but a file that has taken the
/// place of the socket is changed.
class bound_file {
 public:
  explicit bound_file(const std::string& path) noexcept : path_(path) {}
  bound_file(const bound_file&) = delete;
  bound_file& operator=(const bound_file&) = delete;
  ~bound_file() {
    if (!kept_) remove();
  }

  /// Finds the file that a socket is bound to. -ESTALE if the path does not refer to it.
  int find(int socket) noexcept {
    const int result = identify(socket);
    is_replaced_ = result == -ESTALE;
    return result;
  }

  bool set_owner_and_mode(const bind_options& options, failure& why) const {
    if (options.socket_uid || options.socket_gid) {
      const int result = os::change_owner(fd_.get(), path_.c_str(), options.socket_uid.value_or(os::same_id),
                                          options.socket_gid.value_or(os::same_id));
      if (!succeeded(result, "change the owner of", path_, why)) return false;
    }
    const int result = os::change_mode(fd_.get(), path_.c_str(), options.socket_mode);
    return succeeded(result, "change the mode of", path_, why);
  }

  [[nodiscard]] file_identity identity() const noexcept { return {status_.device, status_.inode, status_.modified}; }

  /// Lets the path stay.
  void keep() noexcept { kept_ = true; }

 private:
  int identify(int socket) noexcept {
    if constexpr (!os::has_path_descriptors) {
      const int result = os::link_status(path_.c_str(), status_);
      return result < 0 || status_.type == os::file_type::socket ? result : -ESTALE;
    }
    fd_ = unique_fd(os::open_bound_file(socket));
    if (fd_) {
      os::file there;
      if (const int result = os::status(fd_.get(), status_); result < 0) return result;
      if (const int result = os::link_status(path_.c_str(), there); result < 0) return result;
      return os::is_same(status_, there) ? 0 : -ESTALE;
    }
    // Without the privilege for that, ask about the file that is at the path now.
    const int fd = os::open_path(path_.c_str());
    if (fd < 0) return fd;
    fd_ = unique_fd(fd);
    if (const int result = os::status(fd, status_); result < 0) return result;
    if (status_.type != os::file_type::socket || status_.owner != os::effective_user() || status_.links != 1) {
      return -ESTALE;
    }
    // If the kernel cannot tell, this may still be another socket of this user that was moved here.
    return os::is_bound_to(socket, fd) == 0 ? -ESTALE : 0;
  }

  void remove() const noexcept {
    if (!is_replaced_) os::remove(path_.c_str());
  }

  const std::string& path_;
  unique_fd fd_;
  os::file status_;
  bool is_replaced_ = false;
  bool kept_ = false;
};

}  // namespace

bool succeeded(int result, const char* step, const std::string& subject, failure& why) {
  if (result < 0) why = {{-result, std::generic_category()}, step + (' ' + escaped(subject))};
  return result >= 0;
}

bool start_listening(int fd, const bind_options& options, const std::string& subject, failure& why) {
  if (options.kind == kind::datagram) return true;
  return succeeded(os::listen(fd, options.backlog < 0 ? INT_MAX : options.backlog), "listen on", subject, why);
}

bool bind_path(int fd, const address& where, const bind_options& options, file_identity& bound, failure& why) {
  const std::string path(where.path());
  if (names_directory(path)) return succeeded(-EISDIR, "bind to", path, why);
  new_directories directories;
  std::optional<path_lock> lock;  // released before the directories are removed
  if (!make_and_lock(path, options.directory_mode, directories, lock, why)) return false;
  if (!bind_or_replace(fd, where, path, why)) return false;
  bound_file file(path);
  if (!succeeded(file.find(fd), "find the bound socket at", path, why) || !file.set_owner_and_mode(options, why) ||
      !start_listening(fd, options, path, why)) {
    return false;
  }
  bound = file.identity();
  file.keep();
  directories.keep();
  return true;
}

void unlink_path(const std::string& path, const file_identity& bound) noexcept {
  const path_lock lock(path);
  os::file there;
  if (lock.status() < 0 || os::link_status(path.c_str(), there) < 0) return;
  if (there.device == bound.device && there.inode == bound.inode && there.modified == bound.modified) {
    os::remove(path.c_str());
  }
}

}  // namespace sd::detail

#endif
