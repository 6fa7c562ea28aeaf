// SPDX-License-Identifier: MIT OR Apache-2.0
// A test of a user of the library. It starts the program that its argument names with a socket, and returns its exit
// status.

#include <sd/testing.hpp>

#include <vector>

int main(int, char** argv) {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0"));
  return sd::testing::process({argv[1]}, fds).wait();
}
