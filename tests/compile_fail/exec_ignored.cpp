// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/activation.hpp>

// exec() returns only if it fails. A caller that ignores the error would continue with overwritten descriptors.
void become(sd::activation& program) {
#ifdef MISUSE
  program.exec();
#else
  const auto error = program.exec();
#endif
}
