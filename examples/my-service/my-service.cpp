// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server. Started by systemd, it takes the listening socket that my-service.socket describes. Started by hand,
// it opens port 1234 itself. On SIGTERM it serves the clients that it has accepted and exits. All other clients stay
// in the connection queue of the passed socket for the next instance.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <future>
#include <iostream>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

std::atomic<bool> stopping{false};

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// Waits for POLLIN or POLLOUT. Once the service is stopping, it waits for one to two seconds and then returns false.
bool wait_for(const sd::unique_fd& client, short event) {
  pollfd waiting{client.get(), event, 0};
  while (true) {
    const bool last_time = stopping;
    const int ready = ::poll(&waiting, 1, 1000);
    if (ready != 0 || last_time) return ready > 0;
  }
}

void echo(const sd::unique_fd& client) {
  std::array<char, 4096> buffer;
  while (wait_for(client, POLLIN)) {
    const ssize_t received = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (received <= 0) return;
    for (ssize_t sent = 0; sent < received;) {
      if (!wait_for(client, POLLOUT)) return;
      const auto rest = static_cast<std::size_t>(received - sent);
      const ssize_t n = ::send(client.get(), buffer.data() + sent, rest, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN) return;
      sent += std::max<ssize_t>(n, 0);
    }
  }
}

/// Blocks the signal and returns a descriptor that becomes readable when the signal arrives.
sd::unique_fd open_signal(int number) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, number);
  check(pthread_sigmask(SIG_BLOCK, &signals, nullptr), "pthread_sigmask");
  return sd::unique_fd(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

class server {
 public:
  explicit server(int listener) : listener_(listener) {}

  /// Returns after SIGTERM. The destructor waits for the clients.
  void serve() {
    const auto sigterm = open_signal(SIGTERM);
    bool full = false;
    while (!stopping) {
      std::array<pollfd, 2> events{{{sigterm.get(), POLLIN, 0}, {listener_, POLLIN, 0}}};
      // While the service is full, clients stay in the queue. poll(2) would report them again and again.
      check(full ? ::poll(events.data(), 1, 100) : ::poll(events.data(), 2, -1), "poll");
      stopping = events[0].revents != 0;
      if (full || events[1].revents != 0) {
        const bool was_full = std::exchange(full, !serve_next());
        if (full && !was_full) std::cerr << "my-service: out of descriptors or threads, new clients must wait\n";
      }
    }
    if (client_) echo(client_);
  }

 private:
  /// Accepts a client and starts a thread for it. Returns false if that failed; try again after a pause then.
  bool serve_next() {
    if (!client_) client_.reset(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client_) return errno == EAGAIN || errno == ECONNABORTED;  // it has disconnected
    try {
      const auto is_done = [](const auto& thread) { return thread.wait_for(0s) == std::future_status::ready; };
      threads_.erase(std::remove_if(threads_.begin(), threads_.end(), is_done), threads_.end());
      // The thread owns the descriptor if it could be started, and otherwise client_ still does.
      const int fd = client_.get();
      auto thread = std::async(std::launch::async, [fd] { echo(sd::unique_fd(fd)); });
      static_cast<void>(client_.release());
      threads_.push_back(std::move(thread));
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  int listener_;
  sd::unique_fd client_;  // accepted, but without a thread so far
  std::vector<std::future<void>> threads_;
};

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds();
    sd::bind_options options;
    // A client may disconnect before it is accepted, or another process that holds the socket may accept it. accept(2)
    // must not wait for the next client then. The setting is shared with systemd, which can handle it.
    options.nonblocking = sd::nonblocking::on;
    // The one socket that was passed, at any address, or port 1234.
    const auto socket = sd::take_or_bind(fds, sd::selector(), sd::address("1234"), options);
    sd::require_all_taken(fds);
    server(socket.get()).serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "my-service: " << error.what() << '\n';
    return 1;
  }
}
