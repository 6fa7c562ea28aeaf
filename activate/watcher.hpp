// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <functional>

namespace sd::activate {

/// Has Asio watch a duplicate of a descriptor, which it closes.
///
/// @throws std::system_error if there are too few resources.
void assign_duplicate(asio::posix::stream_descriptor& to, int fd);

/// Waits for the next traffic on a descriptor.
class watcher {
 public:
  /// Watches a duplicate of the descriptor.
  ///
  /// @throws std::system_error if there are too few resources.
  watcher(asio::io_context& io, int fd, std::function<void()> on_traffic);
  watcher(const watcher&) = delete;
  watcher& operator=(const watcher&) = delete;
  ~watcher() { disarm(); }

  /// Calls the function once when there is traffic. Throws `std::system_error`, perhaps from the io_context, if that
  /// cannot be seen.
  void arm();
  /// Takes back `arm()`. From then on, traffic does not wake this process up.
  void disarm();

 private:
  unique_fd copy_;
  asio::posix::stream_descriptor descriptor_;  ///< While the watcher is armed, it has the descriptor of the copy.
  std::function<void()> on_traffic_;
  bool is_armed_ = false;
};

}  // namespace sd::activate
