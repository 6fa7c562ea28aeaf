// SPDX-License-Identifier: MIT OR Apache-2.0
// A Thrift server. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <fcntl.h>
#include <greeter.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TServerTransport.h>
#include <thrift/transport/TSocket.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace {

using apache::thrift::transport::TSocket;
using apache::thrift::transport::TTransport;
using apache::thrift::transport::TTransportException;

// What a client may take. Without the first limit, a few bytes make Thrift allocate up to 2 GiB.
constexpr int max_string = 65536;
constexpr int max_container = 1024;
constexpr int max_clients = 500;  // each has a thread

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

[[noreturn]] void fail(TTransportException::TTransportExceptionType type, const char* what, int error = 0) {
  throw TTransportException(type, what, error);  // NOLINT(cert-err60-cpp): Thrift expects this type
}

/// Accepts clients on the passed listening socket. Waiting for clients, and for their requests, ends when `stop`
/// becomes readable.
class passed_socket : public apache::thrift::transport::TServerTransport {
 public:
  passed_socket(sd::unique_fd listener, int stop)
      : listener_(std::move(listener)), stop_(std::make_shared<THRIFT_SOCKET>(stop)) {
    const int flags = check(::fcntl(listener_.get(), F_GETFL), "fcntl");
    check(::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK), "fcntl");
  }

  [[nodiscard]] bool isOpen() const override { return static_cast<bool>(listener_); }
  THRIFT_SOCKET getSocketFD() override { return listener_.get(); }
  void close() override { listener_.reset(); }

 protected:
  std::shared_ptr<TTransport> acceptImpl() override {
    while (true) {
      pollfd ready[] = {{*stop_, POLLIN, 0}, {listener_.get(), POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0 && errno != EINTR) fail(TTransportException::UNKNOWN, "poll", errno);
      if (ready[0].revents != 0) fail(TTransportException::INTERRUPTED, "stopped");

      if (sd::unique_fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); client) {
        auto socket = std::make_shared<TSocket>(client.get(), stop_);
        static_cast<void>(client.release());
        return socket;
      }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // Without a pause the loop would spin: the listening socket stays readable while clients wait in its queue.
        ::poll(ready, 1, 100);
      } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
        fail(TTransportException::NOT_OPEN, "accept", errno);
      }  // else the client has left already, or another process that holds the socket has accepted it
    }
  }

 private:
  sd::unique_fd listener_;
  std::shared_ptr<THRIFT_SOCKET> stop_;
};

class greeter : public hello::greeterIf {
  void greet(std::string& text) override { text = "hello"; }
};

}  // namespace

int main() {
  try {
    // Threads inherit the signal mask, so block the signal before Thrift starts any.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const sd::unique_fd stop(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));

    auto fds = sd::listen_fds(sd::listen_options::required);
    auto listener = std::make_shared<passed_socket>(sd::take(fds, sd::kind::stream).fd, stop.get());

    apache::thrift::server::TThreadedServer server(
        std::make_shared<hello::greeterProcessor>(std::make_shared<greeter>()), listener,
        std::make_shared<apache::thrift::transport::TBufferedTransportFactory>(),
        std::make_shared<apache::thrift::protocol::TBinaryProtocolFactory>(max_string, max_container, true, true));
    server.setConcurrentClientLimit(max_clients);
    server.serve();

    pollfd stopped{stop.get(), POLLIN, 0};
    return ::poll(&stopped, 1, 0) == 1 ? 0 : 1;  // serve() also returns if the socket failed; Thrift has logged that
  } catch (const std::exception& error) {
    std::cerr << "thrift-hello: " << error.what() << '\n';
    return 1;
  }
}
