// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>

#include "socket_unit.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// Opens what a socket unit describes.
namespace sd::activate {

/// Receives what did not work but does not keep the sockets from being used.
using warn_function = std::function<void(const std::string& message)>;

/// FIFOs, symbolic links, message queues and directories that were created, and that the destructor removes.
class created_files {
 public:
  created_files() = default;
  created_files(created_files&&) noexcept = default;
  created_files& operator=(created_files&&) = delete;
  created_files(const created_files&) = delete;
  created_files& operator=(const created_files&) = delete;
  ~created_files();

  /// Each of these calls `create()`, which returns whether it has created the file. Memory for the path is taken first.
  template <class Create>
  void add_path(const std::string& path, Create create) {
    add(paths_, path, create);
  }
  template <class Create>
  void add_message_queue(const std::string& name, Create create) {
    add(message_queues_, name, create);
  }
  template <class Create>
  void add_directory(const std::string& path, Create create) {
    add(directories_, path, create);
  }
  /// Leaves the directories in place.
  void keep_directories() noexcept { directories_.clear(); }
  /// Leaves everything else in place.
  void keep() noexcept;

 private:
  template <class Create>
  static void add(std::vector<std::string>& list, const std::string& path, Create create) {
    list.push_back(path);
    if (!create()) list.pop_back();
  }

  std::vector<std::string> paths_;
  std::vector<std::string> message_queues_;
  std::vector<std::string> directories_;  ///< each after its parent
};

/// The open sockets of a socket unit. The destructor closes them. It removes their paths if the unit has
/// `RemoveOnStop=yes`, or if `keep_paths()` was not called.
class open_sockets {
 public:
  /// Opens all sockets of the unit, in order.
  ///
  /// @throws std::exception if one cannot be opened, or a user or group does not exist. The message names the setting.
  /// Nothing is left then.
  open_sockets(const socket_unit& unit, const warn_function& warn);

  /// Leaves the paths in place, unless the unit has `RemoveOnStop=yes`.
  void keep_paths() noexcept;

  /// The descriptors, with the names that the unit gives them.
  [[nodiscard]] const std::vector<listen_fd>& fds() const noexcept { return fds_; }
  [[nodiscard]] const socket_unit& unit() const noexcept { return *unit_; }

 private:
  unique_fd open(const listen& what, const warn_function& warn);
  unique_fd open_socket(const listen& what, const warn_function& warn);
  unique_fd open_fifo(const listen& what, const warn_function& warn);
  unique_fd open_message_queue(const listen& what, const warn_function& warn);
  void make_parents(const std::string& path);
  void add_symlinks(const warn_function& warn);

  const socket_unit* unit_;
  created_files created_;               ///< outlives the sockets, whose paths are in its directories
  std::vector<server_socket> sockets_;  ///< which own the paths of unix sockets; the descriptors were moved out
  std::vector<listen_fd> fds_;
};

/// Throws the `std::system_error` of an errno value.
[[noreturn]] void fail(int error, const std::string& what);

/// Sets the options of the unit on a connection, which does not inherit all of them from the socket that accepted it.
/// Those that cannot be set have been reported for that socket.
void set_options_of_connection(int fd, const socket_unit& unit);

/// Returns a copy of a descriptor, close-on-exec, for an object that needs one of its own. Throws `std::system_error`.
unique_fd duplicate(int fd);

/// Returns the id of a user or group, which is named or numeric.
///
/// @param setting The setting that names it, for the error.
/// @throws std::runtime_error if there is no such user or group.
unsigned user_id(std::string_view setting, const std::string& name);
unsigned group_id(std::string_view setting, const std::string& name);

}  // namespace sd::activate
