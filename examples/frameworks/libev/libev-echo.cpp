// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with libev, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <ev++.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

namespace {

class server;

class client {
 public:
  client(server& owner, sd::unique_fd fd) : owner_(owner), fd_(std::move(fd)) {
    readable_.set<client, &client::read>(this);
    writable_.set<client, &client::write>(this);
    writable_.set(fd_.get(), ev::WRITE);
    readable_.start(fd_.get(), ev::READ);
  }

 private:
  void read(ev::io&, int);
  void write(ev::io&, int);
  void leave();  // destroys this object

  server& owner_;
  sd::unique_fd fd_;
  ev::io readable_;  // One of the two is active: the client reads, or it writes what it has read.
  ev::io writable_;
  std::array<char, 4096> buffer_;
  std::size_t sent_ = 0;
  std::size_t length_ = 0;
};

class server {
 public:
  explicit server(sd::unique_fd fd) : fd_(std::move(fd)) {
    // accept must not block if the client that libev has reported is gone.
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
      throw std::system_error(errno, std::generic_category(), "O_NONBLOCK");
    }
    readable_.set<server, &server::accept>(this);
    readable_.start(fd_.get(), ev::READ);
    pause_.set<server, &server::resume>(this);
  }
  void remove(client* gone) { clients_.erase(gone); }

 private:
  void accept(ev::io&, int) {
    sd::unique_fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EAGAIN) return;
      // For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
      readable_.stop();
      return pause_.start(0.1);
    }
    auto accepted = std::make_unique<client>(*this, std::move(fd));
    clients_.emplace(accepted.get(), std::move(accepted));
  }
  void resume(ev::timer&, int) { readable_.start(); }

  sd::unique_fd fd_;  // libev never closes the descriptors that it watches
  ev::io readable_;   // declared after the descriptor, so that it stops watching before the descriptor is closed
  ev::timer pause_;
  std::map<const client*, std::unique_ptr<client>> clients_;
};

void client::leave() { owner_.remove(this); }

void client::read(ev::io&, int) {
  const ssize_t n = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return leave();
  sent_ = 0;
  length_ = static_cast<std::size_t>(n);
  readable_.stop();
  writable_.start();
}

void client::write(ev::io&, int) {
  const ssize_t n = ::send(fd_.get(), buffer_.data() + sent_, length_ - sent_, MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return;
  if (n < 0) return leave();
  sent_ += static_cast<std::size_t>(n);
  if (sent_ < length_) return;
  writable_.stop();
  readable_.start();
}

void on_sigterm(ev::sig&, int) { ev::get_default_loop().break_loop(ev::ALL); }

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);

    ev::default_loop loop;
    server echo(sd::take(fds, sd::kind::stream).fd);

    ev::sig sigterm;
    sigterm.set<on_sigterm>();
    sigterm.start(SIGTERM);
    loop.run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "libev-echo: " << error.what() << '\n';
    return 1;
  }
}
