// An echo server. Started by systemd, it takes the listening socket that my-service.socket describes; started by hand,
// it opens port 1234 itself. On SIGTERM it answers the clients that it has accepted and exits: those that are still to
// be accepted wait in the passed socket for the next instance.

#include <sd/listen_fds.hpp>

#include <netinet/in.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <future>
#include <iostream>
#include <system_error>
#include <utility>
#include <vector>

namespace {

volatile std::sig_atomic_t stopping = 0;

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

sd::unique_fd open_port(std::uint16_t port) {
  sd::unique_fd listener(check(::socket(AF_INET6, SOCK_STREAM, 0), "socket"));
  const int on = 1;
  check(::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(listener.get(), SOMAXCONN), "listen");
  return listener;
}

void echo(sd::unique_fd client) {
  char buffer[4096];
  ssize_t received = 0;
  while ((received = ::recv(client.get(), buffer, sizeof buffer, 0)) > 0) {
    for (ssize_t sent = 0; sent < received;) {
      const auto rest = static_cast<std::size_t>(received - sent);
      const ssize_t n = ::send(client.get(), buffer + sent, rest, MSG_NOSIGNAL);
      if (n < 0) return;
      sent += n;
    }
  }
}

void serve(const sd::unique_fd& listener) {
  // SIGTERM stays blocked but while waiting for a client, so that it neither gets lost nor interrupts an answer.
  sigset_t term;
  sigset_t waiting;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, &waiting);
  std::signal(SIGTERM, [](int) { stopping = 1; });

  std::vector<std::future<void>> clients;  // its destructor waits for all of them
  while (stopping == 0) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(listener.get(), &readable);
    const int ready = ::pselect(listener.get() + 1, &readable, nullptr, nullptr, nullptr, &waiting);
    if (ready < 0 && errno == EINTR) continue;
    check(ready, "pselect");
    sd::unique_fd client(check(::accept(listener.get(), nullptr, nullptr), "accept"));

    const auto done = [](const auto& c) { return c.wait_for(std::chrono::seconds(0)) == std::future_status::ready; };
    clients.erase(std::remove_if(clients.begin(), clients.end(), done), clients.end());
    clients.push_back(std::async(std::launch::async, echo, std::move(client)));
  }
}

}  // namespace

int main() {
  try {
    auto passed = sd::listen_fds();
    serve(passed.empty() ? open_port(1234) : std::move(passed.front().fd));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "my-service: " << error.what() << '\n';
    return 1;
  }
}
