// An echo server. Started by systemd, it takes the listening socket that my-service.socket describes; started by hand,
// it opens port 1234 itself. On SIGTERM it answers the clients that it has accepted and exits: those that are still to
// be accepted wait in the passed socket for the next instance.

#include <sd/listen_fds.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/take.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <future>
#include <iostream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

std::atomic<bool> stopping{false};

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

sd::server_socket take_or_open_listener() {
  auto fds = sd::listen_fds();
  if (fds.empty()) return sd::take_or_bind(fds, sd::address("1234"));
  return sd::server_socket(sd::take(fds, sd::kind::stream).fd);
}

/// Waits until there is something to read. Once the service is to stop, a client has a second or two to say more.
bool has_more_to_say(const sd::unique_fd& client) {
  pollfd readable{client.get(), POLLIN, 0};
  while (true) {
    const bool last_time = stopping;
    const int ready = ::poll(&readable, 1, 1000);
    if (ready != 0 || last_time) return ready > 0;
  }
}

void echo(sd::unique_fd client) {
  char buffer[4096];
  while (has_more_to_say(client)) {
    const ssize_t received = ::recv(client.get(), buffer, sizeof buffer, 0);
    if (received <= 0) return;
    for (ssize_t sent = 0; sent < received;) {
      const auto rest = static_cast<std::size_t>(received - sent);
      const ssize_t n = ::send(client.get(), buffer + sent, rest, MSG_NOSIGNAL);
      if (n < 0) return;
      sent += n;
    }
  }
}

/// A descriptor that is readable once the signal has come, which interrupts nothing then.
sd::unique_fd open_signal(int number) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, number);
  check(pthread_sigmask(SIG_BLOCK, &signals, nullptr), "pthread_sigmask");
  return sd::unique_fd(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

void serve(const sd::server_socket& listener) {
  // A client may be gone again, or with another process that holds the socket: accept must not wait for the next one.
  // All who hold the socket share this flag, so do it where you know that they can bear it; systemd can.
  check(::fcntl(listener.get(), F_SETFL, check(::fcntl(listener.get(), F_GETFL), "F_GETFL") | O_NONBLOCK), "F_SETFL");

  const auto sigterm = open_signal(SIGTERM);
  std::vector<std::future<void>> clients;  // its destructor waits for all of them
  while (!stopping) {
    pollfd readable[] = {{listener.get(), POLLIN, 0}, {sigterm.get(), POLLIN, 0}};
    check(::poll(readable, std::size(readable), -1), "poll");
    if (readable[1].revents != 0) stopping = true;
    if (readable[0].revents == 0) continue;
    const auto done = [](const auto& client) { return client.wait_for(0s) == std::future_status::ready; };
    clients.erase(std::remove_if(clients.begin(), clients.end(), done), clients.end());
    sd::unique_fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client && (errno == EAGAIN || errno == ECONNABORTED)) continue;  // it is gone
    try {
      check(client.get(), "accept");
      clients.push_back(std::async(std::launch::async, echo, std::move(client)));
    } catch (const std::system_error& error) {
      // Out of descriptors or threads: there may be room when clients have left.
      std::cerr << "my-service: " << error.what() << '\n';
      std::this_thread::sleep_for(100ms);
    }
  }
}

}  // namespace

int main() {
  try {
    serve(take_or_open_listener());
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "my-service: " << error.what() << '\n';
    return 1;
  }
}
