// An echo server with POCO, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/Net/TCPServerConnection.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/ThreadPool.h>
#include <Poco/Timespan.h>

#include <array>
#include <atomic>
#include <csignal>
#include <exception>
#include <iostream>
#include <utility>

namespace {

using namespace Poco::Net;

/// POCO lets a derived class set the descriptor, and closes it.
class passed_socket : public ServerSocket {
 public:
  explicit passed_socket(sd::unique_fd fd) : ServerSocket(new implementation(std::move(fd)), true) {}

 private:
  struct implementation : ServerSocketImpl {
    explicit implementation(sd::unique_fd fd) { reset(fd.release()); }
  };
};

std::atomic<bool> stopping{false};

class client : public TCPServerConnection {
 public:
  using TCPServerConnection::TCPServerConnection;

  void run() override {
    std::array<char, 4096> buffer;
    socket().setSendTimeout(Poco::Timespan(10, 0));
    while (!stopping) {
      if (!socket().poll(Poco::Timespan(0, 250000), Socket::SELECT_READ)) continue;
      const int received = socket().receiveBytes(buffer.data(), static_cast<int>(buffer.size()));
      if (received <= 0) return;
      for (int sent = 0; sent < received;) sent += socket().sendBytes(buffer.data() + sent, received - sent);
    }
  }
};

}  // namespace

int main() {
  try {
    sigset_t sigterm;
    sigemptyset(&sigterm);
    sigaddset(&sigterm, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);  // for all threads: sigwait fetches it

    auto fds = sd::listen_fds(sd::listen_options::required);
    passed_socket listener(sd::take(fds, sd::kind::stream).fd);
    listener.setBlocking(false);  // a client may be gone again, and accept must not wait for the next one

    Poco::ThreadPool threads;
    TCPServer server(new TCPServerConnectionFactoryImpl<client>, threads, listener);
    server.start();

    int signal = 0;
    sigwait(&sigterm, &signal);
    server.stop();
    stopping = true;
    threads.joinAll();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "poco-echo: " << error.what() << '\n';
    return 1;
  }
}
