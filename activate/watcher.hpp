// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <functional>

namespace sd::activate {

/// Waits for the next traffic on a descriptor.
class watcher {
 public:
  watcher(asio::io_context& io, int fd, std::function<void()> on_traffic);

  /// Calls the function once when there is traffic.
  void arm();
  void disarm();

 private:
  asio::posix::stream_descriptor descriptor_;
  std::function<void()> on_traffic_;
  bool is_armed_ = false;
};

}  // namespace sd::activate
