// SPDX-License-Identifier: MIT OR Apache-2.0
// A program of a user of the library. It prints the number of descriptors that it was passed.

#include <sd/listen_fds.hpp>

#include <cstdio>

int main() {
  std::error_code ec;
  const auto fds = sd::listen_fds(ec);
  if (ec) return 1;
  std::printf("%zu\n", fds.size());
  return 0;
}
