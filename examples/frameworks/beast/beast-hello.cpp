// SPDX-License-Identifier: MIT OR Apache-2.0
// A web server with Boost.Beast, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/asio.hpp>
#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <memory>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

using protocol = asio::generic::stream_protocol;
using acceptor = asio::basic_socket_acceptor<protocol>;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

response answer(const request& question) {
  const bool found = question.method() == http::verb::get && question.target() == "/";
  response result(found ? http::status::ok : http::status::not_found, question.version());
  result.set(http::field::content_type, "text/plain");
  result.keep_alive(question.keep_alive());
  result.body() = found ? "hello\n" : "not found\n";
  result.prepare_payload();
  return result;
}

class client : public std::enable_shared_from_this<client> {
 public:
  explicit client(protocol::socket socket) : stream_(std::move(socket)) {}

  void read() {
    request_ = {};
    stream_.expires_after(std::chrono::seconds(30));
    http::async_read(stream_, buffer_, request_, beast::bind_front_handler(&client::on_read, shared_from_this()));
  }

 private:
  void on_read(beast::error_code error, std::size_t) {
    if (error) return;
    response_ = answer(request_);
    http::async_write(stream_, response_, beast::bind_front_handler(&client::on_written, shared_from_this()));
  }

  void on_written(beast::error_code error, std::size_t) {
    if (!error && response_.keep_alive()) read();
  }

  beast::basic_stream<protocol> stream_;
  beast::flat_buffer buffer_;
  request request_;
  response response_;
};

void accept(acceptor& listener, asio::steady_timer& pause) {
  listener.async_accept([&](beast::error_code error, protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      std::make_shared<client>(std::move(socket))->read();
      return accept(listener, pause);
    }
    // For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
    pause.expires_after(std::chrono::milliseconds(100));
    pause.async_wait([&](beast::error_code) { accept(listener, pause); });
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
    signals.async_wait([&](beast::error_code, int) { io.stop(); });
    io.run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "beast-hello: " << error.what() << '\n';
    return 1;
  }
}
