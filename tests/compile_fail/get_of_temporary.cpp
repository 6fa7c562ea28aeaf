// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/take.hpp>

#include <system_error>
#include <vector>

// The temporary closes its descriptor, so its number would be that of a closed one.
int listening_socket(std::vector<sd::listen_fd>& fds, sd::listen_fd& taken, std::error_code& ec) {
#ifdef MISUSE
  return sd::take(fds, sd::kind::stream, ec).fd.get();
#else
  taken = sd::take(fds, sd::kind::stream, ec);
  return taken.fd.get();
#endif
}
