// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include "connections.hpp"
#include "values.hpp"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <vector>

namespace sd::activate {

/// Waits until the sockets of a service have not been used for a while.
class idle_watch {
 public:
  /// @param on_idle Is called when that is so. Call `start()` to wait again.
  /// @throws std::system_error if the kernel does not tell whether one of the sockets is used. The message names it.
  idle_watch(asio::io_context& io, const std::vector<listen_fd>& fds, period limit, std::function<void()> on_idle);

  /// Waits, from now on.
  void start();
  void cancel() { timer_.cancel(); }

  /// Returns whether somebody uses the sockets, or has done so since the last look.
  [[nodiscard]] bool is_in_use() { return connections_.are_in_use(); }

 private:
  void wait();
  void look();

  connections connections_;
  period limit_;
  period interval_;  ///< between two looks
  std::function<void()> on_idle_;
  std::chrono::steady_clock::time_point idle_since_;
  asio::steady_timer timer_;
};

}  // namespace sd::activate
