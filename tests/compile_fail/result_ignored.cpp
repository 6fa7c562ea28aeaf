// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

// The destructor of an ignored result would close every descriptor.
void start() {
#ifdef MISUSE
  sd::listen_fds();
#else
  const auto fds = sd::listen_fds();
#endif
}
