// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that does nothing but take the passed descriptors, for consumer.size.

#include <sd/listen_fds.hpp>

int main() {
  const auto fds = sd::listen_fds();
  return static_cast<int>(fds.size());
}
