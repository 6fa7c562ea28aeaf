// SPDX-License-Identifier: MIT OR Apache-2.0
#include "watcher.hpp"

#include "sockets.hpp"

#include <asio/error.hpp>

#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

void check(const std::error_code& ec) {
  if (ec) throw std::system_error(ec, "wait for traffic");
}

}  // namespace

void assign_duplicate(asio::posix::stream_descriptor& to, int fd) {
  auto copy = duplicate(fd);
  to.assign(copy.get());
  static_cast<void>(copy.release());
}

watcher::watcher(asio::io_context& io, int fd, std::function<void()> on_traffic)
    : copy_(duplicate(fd)), descriptor_(io), on_traffic_(std::move(on_traffic)) {}

void watcher::arm() {
  if (std::exchange(is_armed_, true)) return;
  std::error_code failure;
  if (!descriptor_.is_open()) descriptor_.assign(copy_.get(), failure);
  check(failure);
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& ec) {
    if (ec == asio::error::operation_aborted) return;
    check(ec);
    is_armed_ = false;
    on_traffic_();
  });
}

void watcher::disarm() {
  // Otherwise, each connection that the service accepts would wake this process up.
  descriptor_.release();
  is_armed_ = false;
}

}  // namespace sd::activate
