// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/take.hpp>

#include <system_error>
#include <vector>

// The descriptor would be closed at the end of the expression, so the number would be that of a closed one.
int number(std::vector<sd::listen_fd>& fds, std::error_code& ec) {
#ifdef MISUSE
  return sd::take(fds, sd::kind::stream, ec).fd.get();
#else
  const auto taken = sd::take(fds, sd::kind::stream, ec);
  return taken.fd.get();
#endif
}
