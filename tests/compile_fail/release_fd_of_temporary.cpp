// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/take_or_bind.hpp>

#include <system_error>
#include <vector>

// The temporary unlinks the path of its socket.
sd::unique_fd listening_socket(std::vector<sd::listen_fd>& fds, sd::server_socket& socket, std::error_code& ec) {
#ifdef MISUSE
  return sd::take_or_bind(fds, sd::address("/run/x"), {}, ec).release_fd();
#else
  socket = sd::take_or_bind(fds, sd::address("/run/x"), {}, ec);
  return socket.release_fd();
#endif
}
