// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with Asio, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/asio.hpp>
#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <asio.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <system_error>
#include <utility>

namespace {

using protocol = asio::generic::stream_protocol;
using acceptor = asio::basic_socket_acceptor<protocol>;

class client : public std::enable_shared_from_this<client> {
 public:
  explicit client(protocol::socket socket) : socket_(std::move(socket)) {}

  void read() {
    const auto on_read = [self = shared_from_this()](std::error_code error, std::size_t length) {
      if (!error) self->write(length);
    };
    socket_.async_read_some(asio::buffer(buffer_), on_read);
  }

 private:
  void write(std::size_t length) {
    const auto on_written = [self = shared_from_this()](std::error_code error, std::size_t) {
      if (!error) self->read();
    };
    asio::async_write(socket_, asio::buffer(buffer_, length), on_written);
  }

  protocol::socket socket_;
  std::array<char, 4096> buffer_;
};

void accept(acceptor& listener, asio::steady_timer& pause) {
  listener.async_accept([&](std::error_code error, protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      std::make_shared<client>(std::move(socket))->read();
      return accept(listener, pause);
    }
    // For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
    pause.expires_after(std::chrono::milliseconds(100));
    pause.async_wait([&](std::error_code) { accept(listener, pause); });
  });
}

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);

    asio::io_context io;
    acceptor listener(io);  // use asio::ip::tcp::acceptor for a server of TCP alone
    sd::assign(listener, sd::take(fds, sd::kind::stream).fd);
    asio::steady_timer pause(io);
    accept(listener, pause);

    asio::signal_set signals(io, SIGTERM);
    signals.async_wait([&](std::error_code, int) { io.stop(); });
    io.run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "asio-echo: " << error.what() << '\n';
    return 1;
  }
}
