// SPDX-License-Identifier: MIT OR Apache-2.0
#include "plugin.hpp"

#include <sd/listen_fds.hpp>

#include <system_error>
#include <vector>

int take() {
  static std::vector<sd::listen_fd> fds;
  std::error_code ec;
  auto received = sd::listen_fds(ec);
  if (ec) return -ec.value();
  const auto count = static_cast<int>(received.size());
  if (count > 0) fds = std::move(received);
  return count;
}
