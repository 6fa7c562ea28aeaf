// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

int number(const sd::unique_fd& fd) {
#ifdef MISUSE
  return fd;
#else
  return fd.get();
#endif
}
