// SPDX-License-Identifier: MIT OR Apache-2.0
#include "idle_watch.hpp"

#include "process_group.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr int looks = 4;  ///< in the time after which a service is idle
constexpr period shortest_interval = 1ms;

}  // namespace

idle_watch::idle_watch(asio::io_context& io, const std::vector<listen_fd>& fds, period limit,
                       std::function<void()> on_idle)
    : connections_(fds),
      limit_(limit),
      interval_(std::max(limit / looks, shortest_interval)),
      on_idle_(std::move(on_idle)),
      timer_(io) {
  require_process_states();
}

void idle_watch::start() {
  idle_since_ = clock::now();
  wait();
}

void idle_watch::wait() {
  timer_.expires_after(interval_);
  timer_.async_wait([this](const std::error_code& cancelled) {
    if (!cancelled) look();
  });
}

void idle_watch::look() {
  const auto now = clock::now();
  // The use may end as late as the next look.
  if (is_in_use()) idle_since_ = now + interval_;
  if (now - idle_since_ < limit_) return wait();
  on_idle_();
}

}  // namespace sd::activate
