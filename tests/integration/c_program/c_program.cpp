// SPDX-License-Identifier: MIT OR Apache-2.0
// The core of the library, linked without the C++ runtime, as a C program is. Prints the number of descriptors that
// were passed.

#include "detail/receive.hpp"

#include <cstdio>

int main() {
  sd::detail::fault why;
  const auto offered = sd::detail::claim(sd::listen_options::none, sd::detail::ownership::exclusive, why);
  if (offered.range.count > 0) sd::detail::mark(offered, why);
  std::printf("%d\n", why ? 0 : offered.range.count);
  return why ? 1 : 0;
}
