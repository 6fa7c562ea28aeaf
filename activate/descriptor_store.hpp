// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>
#include <sd/unique_fd.hpp>

#include "detail/os/files.hpp"
#include "events.hpp"
#include "notify_socket.hpp"
#include "watcher.hpp"

#include <asio/io_context.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace sd::activate {

/// The descriptors that a service stores with FDSTORE=1, for its next run.
///
/// @threadsafety Everything happens in the thread that runs the io_context.
class descriptor_store {
 public:
  /// Raises the limit of open descriptors of this process as far as possible.
  ///
  /// @param passed The list of the descriptors that the service is passed. The stored ones are appended to it, so that
  ///               passing them needs no copies.
  /// @param most   How many can be stored.
  /// @param unit   The name of the service, for warnings.
  /// @throws std::system_error if epoll_create1(2) fails.
  descriptor_store(asio::io_context& io, std::vector<listen_fd>& passed, std::size_t most, std::string unit,
                   const event_log& log);

  /// Does what a message with FDSTORE=1 or FDSTOREREMOVE=1 asks for, and takes its descriptors.
  void handle(notification& message);
  /// Closes the stored descriptors.
  void clear();

 private:
  [[nodiscard]] std::size_t size() const noexcept { return files_.size(); }
  [[nodiscard]] unique_fd& descriptor(std::size_t index) const noexcept { return passed_[first_ + index].fd; }
  [[nodiscard]] bool contains(int fd, const detail::os::file& what) const;
  void add(unique_fd fd, const std::string& name, bool is_watched);
  void erase(std::size_t index);
  void erase_those_that_hung_up();

  std::vector<listen_fd>& passed_;
  std::size_t first_;  ///< of the stored descriptors
  std::size_t most_;
  std::string unit_;
  const event_log& log_;
  std::vector<detail::os::file> files_;  ///< those of the stored descriptors
  unique_fd epoll_;                      ///< reports nothing but EPOLLHUP and EPOLLERR
  watcher watcher_;
};

}  // namespace sd::activate
