// SPDX-License-Identifier: MIT OR Apache-2.0
// Part of a program that is traced from the beginning of its main() on.
#include <unistd.h>

// The linker calls __wrap_main() in place of main(). NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {

int __real_main(int argc, char** argv);
int __wrap_main(int argc, char** argv);

int __wrap_main(int argc, char** argv) {
  constexpr long marker = 100000;  // as in tracer.cpp
  constexpr int function = 1;
  ::syscall(marker, function);
  return __real_main(argc, argv);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
