// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

// An ignored result is a leaked descriptor.
int give(sd::unique_fd& fd) {
#ifdef MISUSE
  fd.release();
  return 0;
#else
  return fd.release();
#endif
}
