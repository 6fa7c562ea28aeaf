// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include <sys/socket.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <thread>

int main() try {
  auto fds = sd::listen_fds();  // the sockets that systemd passed, or none if started by hand
  const auto listener = sd::take_or_bind(fds, sd::selector(), sd::address("1234"));  // the one passed, or port 1234
  sd::require_all_taken(fds);
  while (true) {
    const sd::unique_fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) {
      ::send(client.get(), "hello\n", 6, MSG_NOSIGNAL);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));  // out of descriptors, for example
    }
  }
} catch (const std::exception& error) {
  std::cerr << "hello: " << error.what() << '\n';
  return 1;
}
