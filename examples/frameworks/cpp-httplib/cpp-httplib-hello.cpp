// A web server with cpp-httplib, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <httplib.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace {

/// A server of a socket that is listening already.
class activated_server : public httplib::Server {
 public:
  explicit activated_server(sd::unique_fd listener) : listener_(std::move(listener)) {
    // Both, so that it waits in poll(2), and never in accept(2): there it would not see that it is to stop.
    set_idle_interval(std::chrono::milliseconds(100));
    const int flags = ::fcntl(listener_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
      throw std::system_error(errno, std::generic_category(), "O_NONBLOCK");
    }
    svr_sock_ = listener_.get();
  }

  /// Serves until SIGTERM. The library's stop() is not for this: it shuts the socket down.
  void serve() {
    running = this;
    std::signal(SIGTERM, [](int) { running->svr_sock_ = INVALID_SOCKET; });
    const bool stopped = listen_after_bind();
    std::signal(SIGTERM, SIG_IGN);
    running = nullptr;
    if (stopped) return;
    static_cast<void>(listener_.release());  // the library has closed it
    throw std::runtime_error("cannot accept clients");
  }

 private:
  static inline activated_server* running = nullptr;

  sd::unique_fd listener_;  // closed when nobody waits for it any more
};

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);

    activated_server server(sd::take(fds, sd::kind::stream).fd);
    server.Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("hello\n", "text/plain");
    });

    server.serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "cpp-httplib-hello: " << error.what() << '\n';
    return 1;
  }
}
