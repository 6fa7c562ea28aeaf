// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/take_or_bind.hpp>

#include <system_error>
#include <vector>

int number(std::vector<sd::listen_fd>& fds, std::error_code& ec) {
#ifdef MISUSE
  return sd::take_or_bind(fds, sd::address("1234"), {}, ec).get();
#else
  const auto socket = sd::take_or_bind(fds, sd::address("1234"), {}, ec);
  return socket.get();
#endif
}
