// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

auto take() {
#ifdef MISUSE
  return sd::listen_fds();
#else
  std::error_code ec;
  return sd::listen_fds(ec);
#endif
}
