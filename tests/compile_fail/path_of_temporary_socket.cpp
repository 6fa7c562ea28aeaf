// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/take_or_bind.hpp>

#include <system_error>
#include <vector>

// The temporary would unlink the path of the socket at the end of the expression.
sd::unique_fd descriptor(std::vector<sd::listen_fd>& fds, std::error_code& ec) {
#ifdef MISUSE
  return sd::take_or_bind(fds, sd::address("/run/my-service"), {}, ec).release_fd();
#else
  auto socket = sd::take_or_bind(fds, sd::address("/run/my-service"), {}, ec);
  return socket.release_fd();
#endif
}
