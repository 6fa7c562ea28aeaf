// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>

static void serve(const sd::unique_fd& client) {
  const timeval patience{5, 0};  // for a client that neither sends nor reads
  setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  char text[4096];
  const ssize_t size = recv(client.get(), text, sizeof text, 0);
  if (size > 0) send(client.get(), text, static_cast<std::size_t>(size), MSG_NOSIGNAL);
}

int main() {
  try {
    auto fds = sd::listen_fds();
    sd::bind_options options;
    options.nonblocking = sd::nonblocking::on;  // accept4() must not wait if the client has already disconnected
    const auto socket = sd::take_or_bind(fds, sd::address("1235"), options);
    sd::require_all_taken(fds);  // a passed socket with another address would never be served

    sd::idle_exit idle(std::chrono::seconds(30));
    idle.watch(socket);
    while (!idle.try_stop()) {
      pollfd readable{socket.get(), POLLIN, 0};
      if (poll(&readable, 1, idle.timeout()) <= 0) continue;
      const auto work = idle.begin();
      const sd::unique_fd client(accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client) serve(client);
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
