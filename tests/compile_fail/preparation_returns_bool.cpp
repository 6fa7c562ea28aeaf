// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/activation.hpp>

// true, which usually means success, would be an errno.
int start(sd::activation& program) {
#ifdef MISUSE
  return program.spawn([]() noexcept { return true; });
#else
  return program.spawn([]() noexcept { return 0; });
#endif
}
