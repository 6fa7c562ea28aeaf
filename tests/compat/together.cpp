// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that uses both the C++ library and libsd-daemon. It calls them in the order of its argument, c for the C
// function and p for sd::listen_fds(), and prints the results: a number of descriptors or the negated error value.

#include <sd/listen_fds.hpp>

#include <systemd/sd-daemon.h>

#include <iostream>
#include <system_error>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<sd::listen_fd> fds;
  const auto take = [&] {
    std::error_code ec;
    auto received = sd::listen_fds(ec);
    if (ec) return -ec.value();
    const auto count = static_cast<int>(received.size());
    if (count > 0) fds = std::move(received);
    return count;
  };
  for (const char* call = argv[1]; *call != '\0'; ++call) {
    std::cout << (*call == 'c' ? sd_listen_fds(0) : take()) << '\n';
  }
}
