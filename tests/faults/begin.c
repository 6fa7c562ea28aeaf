// SPDX-License-Identifier: MIT OR Apache-2.0
// A preloaded library that has the tracer begin before the library preloaded with it is initialized.
#include <unistd.h>

__attribute__((constructor)) static void begin(void) {
  enum { marker = 100000, function = 1 };  // as in tracer.cpp
  syscall(marker, function);
}
