// SPDX-License-Identifier: MIT OR Apache-2.0
// on-demand ADDRESS IDLE_MILLISECONDS: an echo server that exits when no client has been connected for that time.
// Activated, it takes the socket for ADDRESS, and the next client starts it again. Started by hand, it opens ADDRESS
// itself and keeps running.
//
// Without a free file descriptor it leaves the waiting clients in the connection queue until a client has left. A
// client that stays connected keeps the service running, even if it sends nothing.

#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
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
#include <utility>
#include <vector>

namespace {

/// A connection, and what was received from it and has not been sent back.
class client {
 public:
  client(sd::unique_fd fd, sd::idle_exit::work work) : fd_(std::move(fd)), work_(std::move(work)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Reads more only after everything was sent back, so a client that never reads needs no more memory than this.
  [[nodiscard]] short events() const { return text_.empty() ? POLLIN : POLLOUT; }
  /// Continues after poll(2) has reported an event. Returns false if the client has left.
  bool echo() {
    if (text_.empty()) {
      std::array<char, 4096> buffer;
      const ssize_t received = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (received < 0) return errno == EAGAIN;
      if (received == 0) return false;
      text_.assign(buffer.data(), static_cast<std::size_t>(received));
    }
    const ssize_t sent = ::send(fd_.get(), text_.data(), text_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN;
    text_.erase(0, static_cast<std::size_t>(sent));
    return true;
  }

 private:
  sd::unique_fd fd_;
  sd::idle_exit::work work_;  // ends with the connection
  std::string text_;
};

class server {
 public:
  server(const sd::server_socket& socket, std::chrono::milliseconds idle_time)
      : listener_(socket.get()), idle_(idle_time) {
    idle_.watch(socket);
  }

  /// Returns when the service is no longer needed.
  void serve() {
    while (!idle_.try_stop()) {
      const bool paused = clock::now() < paused_until_;
      std::vector<pollfd> fds;
      for (const auto& client : clients_) fds.push_back({client.fd(), client.events(), 0});
      if (!paused) fds.push_back({listener_, POLLIN, 0});
      if (::poll(fds.data(), fds.size(), timeout(paused)) <= 0) continue;

      std::vector<client> remaining;
      for (std::size_t i = 0; i < clients_.size(); ++i) {
        if (fds[i].revents == 0 || clients_[i].echo()) remaining.push_back(std::move(clients_[i]));
      }
      if (remaining.size() < clients_.size()) paused_until_ = {};
      clients_ = std::move(remaining);
      if (!paused && fds.back().revents != 0) accept();
    }
  }

 private:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] int timeout(bool paused) const {
    const int idle = idle_.timeout();
    return paused && (idle < 0 || idle > 1000) ? 1000 : idle;
  }

  void accept() {
    auto work = idle_.begin();
    sd::unique_fd fd(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) {
      clients_.emplace_back(std::move(fd), std::move(work));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The client is still in the queue, so poll(2) would report it again at once. Wait until a client has left, but
      // not for long: another process may be the one that frees what is missing.
      paused_until_ = clock::now() + std::chrono::seconds(1);
    }
  }

  int listener_;
  sd::idle_exit idle_;
  std::vector<client> clients_;  // destroyed before idle_, whose work they hold
  clock::time_point paused_until_{};
};

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::invalid_argument("usage: on-demand ADDRESS IDLE_MILLISECONDS");
    auto fds = sd::listen_fds();
    sd::bind_options options;
    options.nonblocking = sd::nonblocking::on;  // accept must not wait if the client has disconnected again
    const auto socket = sd::take_or_bind(fds, sd::address(argv[1]), options);
    sd::require_all_taken(fds);  // a passed socket with another address would never be served
    server(socket, std::chrono::milliseconds(std::stoi(argv[2]))).serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "on-demand: " << error.what() << '\n';
    return 1;
  }
}
