// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/activation.hpp>

// The preparation runs in the child, which no exception can leave.
int start(sd::activation& program) {
#ifdef MISUSE
  return program.spawn([] { return 0; });
#else
  return program.spawn([]() noexcept { return 0; });
#endif
}
