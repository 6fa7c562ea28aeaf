// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with poll(2) and accept(2) alone, for whatever stream socket its unit describes: TCP over IPv4 and
// IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// Blocks the signal and returns a descriptor that becomes readable when the signal arrives.
sd::unique_fd open_signal(int number) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, number);
  check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
  return sd::unique_fd(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

class client {
 public:
  explicit client(sd::unique_fd fd) : fd_(std::move(fd)) {}

  /// Returns what to wait for: the client reads, or it writes what it has read.
  [[nodiscard]] pollfd waiting() const { return {fd_.get(), static_cast<short>(length_ == 0 ? POLLIN : POLLOUT), 0}; }
  /// Reads or writes. Returns false once the client has left.
  bool proceed() { return length_ == 0 ? read() : write(); }

 private:
  bool read() {
    const ssize_t n = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    sent_ = 0;
    length_ = static_cast<std::size_t>(n);
    return true;
  }
  bool write() {
    const ssize_t n = ::send(fd_.get(), buffer_.data() + sent_, length_ - sent_, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    sent_ += static_cast<std::size_t>(n);
    if (sent_ == length_) length_ = 0;
    return true;
  }

  sd::unique_fd fd_;
  std::array<char, 4096> buffer_;
  std::size_t sent_ = 0;
  std::size_t length_ = 0;  // 0 while the client reads
};

class server {
 public:
  explicit server(sd::unique_fd fd) : fd_(std::move(fd)) {
    // accept must not block if the client that poll has reported is gone.
    const int flags = check(::fcntl(fd_.get(), F_GETFL), "F_GETFL");
    check(::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK), "O_NONBLOCK");
  }

  /// Serves until SIGTERM arrives.
  void serve() {
    const auto sigterm = open_signal(SIGTERM);
    std::vector<pollfd> waiting;
    while (true) {
      // poll ignores negative numbers.
      waiting = {{sigterm.get(), POLLIN, 0}, {pause_ ? -1 : fd_.get(), POLLIN, 0}};
      for (const auto& each : clients_) waiting.push_back(each->waiting());
      check(::poll(waiting.data(), waiting.size(), pause_ ? 100 : -1), "poll");
      if (waiting[0].revents != 0) return;

      for (std::size_t i = clients_.size(); i-- > 0;) {
        if (waiting[2 + i].revents == 0 || clients_[i]->proceed()) continue;
        std::swap(clients_[i], clients_.back());
        clients_.pop_back();
      }
      if (pause_ || waiting[1].revents != 0) accept();
    }
  }

 private:
  void accept() {
    sd::unique_fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    // For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
    pause_ = !fd && errno != EAGAIN;
    if (fd) clients_.push_back(std::make_unique<client>(std::move(fd)));
  }

  sd::unique_fd fd_;
  bool pause_ = false;
  std::vector<std::unique_ptr<client>> clients_;
};

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);
    server echo(sd::take(fds, sd::kind::stream).fd);
    sd::require_all_taken(fds);
    echo.serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "poll-echo: " << error.what() << '\n';
    return 1;
  }
}
