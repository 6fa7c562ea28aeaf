// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/idle.hpp>
#include <sd/take_or_bind.hpp>

#include <system_error>
#include <vector>

void watch(sd::idle_exit& idle, std::vector<sd::listen_fd>& fds, std::error_code& ec) {
#ifdef MISUSE
  idle.watch(sd::take_or_bind(fds, sd::address("1234"), {}, ec));
#else
  const auto socket = sd::take_or_bind(fds, sd::address("1234"), {}, ec);
  idle.watch(socket);
#endif
}
