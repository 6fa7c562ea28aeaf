// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

// With an implicit conversion to bool this would compile, and be true only for the number 1.
bool is_three(const sd::unique_fd& fd) {
#ifdef MISUSE
  return fd == 3;
#else
  return fd.get() == 3;
#endif
}
