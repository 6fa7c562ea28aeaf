// on-demand ADDRESS IDLE_MILLISECONDS: an echo server that is there while somebody needs it. Activated, it takes the
// socket for ADDRESS, and exits when there has been no client for so long: the next one starts it again. Started by
// hand, it opens ADDRESS itself, and stays.

#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/take_or_bind.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace {

void echo(const sd::unique_fd& client) {
  std::array<char, 4096> buffer;
  ssize_t received = 0;
  while ((received = ::recv(client.get(), buffer.data(), buffer.size(), 0)) > 0) {
    for (ssize_t sent = 0; sent < received;) {
      const auto rest = static_cast<std::size_t>(received - sent);
      const ssize_t n = ::send(client.get(), buffer.data() + sent, rest, MSG_NOSIGNAL);
      if (n < 0) return;
      sent += n;
    }
  }
}

/// Accepts a client, if there is still one, and serves it in a thread. The work ends with the thread.
void serve_next(const sd::server_socket& socket, sd::idle_exit::work work) {
  sd::unique_fd client(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client) return;
  std::thread serving([client = std::move(client), work = std::move(work)]() mutable {
    echo(client);
    client.reset();
  });
  serving.detach();
}

void serve(const sd::server_socket& socket, std::chrono::milliseconds idle_time) {
  sd::idle_exit idle(idle_time);
  idle.watch(socket.get(), socket.origin());
  while (!idle.try_stop()) {
    pollfd readable{socket.get(), POLLIN, 0};
    if (::poll(&readable, 1, idle.timeout()) <= 0) continue;
    if (auto work = idle.begin()) serve_next(socket, std::move(work));
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::invalid_argument("usage: on-demand ADDRESS IDLE_MILLISECONDS");
    auto fds = sd::listen_fds();
    sd::bind_options options;
    options.nonblocking = sd::nonblocking::on;  // accept must not wait where a client has gone again
    const auto socket = sd::take_or_bind(fds, sd::address(argv[1]), options);
    serve(socket, std::chrono::milliseconds(std::stoi(argv[2])));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "on-demand: " << error.what() << '\n';
    return 1;
  }
}
