// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

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

  /// Calls the function once when there is traffic. Throws `std::system_error` from the io_context if that cannot be
  /// seen.
  void arm();
  /// Takes back `arm()`.
  void disarm();

 private:
  asio::posix::stream_descriptor descriptor_;
  std::function<void()> on_traffic_;
  bool is_armed_ = false;
};

}  // namespace sd::activate
