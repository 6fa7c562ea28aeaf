// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with POCO, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/Net/TCPServerConnection.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerParams.h>
#include <Poco/Thread.h>
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

    SocketImpl* acceptConnection(SocketAddress& client) override {
      try {
        return ServerSocketImpl::acceptConnection(client);
      } catch (const Poco::Exception&) {
        // For example, no descriptors are left. TCPServer would try again at once, so wait in its thread.
        Poco::Thread::sleep(100);
        throw;
      }
    }
  };
};

std::atomic<bool> stopping{false};

class client : public TCPServerConnection {
 public:
  using TCPServerConnection::TCPServerConnection;

  void run() override {
    socket().setReceiveTimeout(Poco::Timespan(0, 250000));  // not poll(), which needs a descriptor for each call
    socket().setSendTimeout(Poco::Timespan(5, 0));
    std::array<char, 4096> buffer;
    // A client occupies a thread, so the server closes the connection of one that is silent for ten seconds.
    for (int silent = 0; !stopping && silent < 40; ++silent) {
      int received = 0;
      try {
        received = socket().receiveBytes(buffer.data(), static_cast<int>(buffer.size()));
      } catch (const Poco::TimeoutException&) {
        continue;
      }
      if (received <= 0) return;
      for (int sent = 0; sent < received;) sent += socket().sendBytes(buffer.data() + sent, received - sent);
      silent = 0;
    }
  }
};

}  // namespace

int main() {
  try {
    sigset_t sigterm;
    sigemptyset(&sigterm);
    sigaddset(&sigterm, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);  // in all threads: sigwait() below receives it

    auto fds = sd::listen_fds(sd::listen_options::required);
    passed_socket listener(sd::take(fds, sd::kind::stream).fd);
    listener.setBlocking(false);  // accept must not block if the client that was there is gone

    Poco::ThreadPool threads(2, 64);  // at most 64 clients at a time
    TCPServerParams::Ptr params(new TCPServerParams);
    params->setMaxQueued(1'000'000);  // beyond that, POCO closes the connections of waiting clients
    TCPServer server(new TCPServerConnectionFactoryImpl<client>, threads, listener, params);
    server.start();

    int signal = 0;
    sigwait(&sigterm, &signal);
    server.stop();
    stopping = true;
    threads.joinAll();
    return 0;
  } catch (const Poco::Exception& error) {
    std::cerr << "poco-echo: " << error.displayText() << '\n';
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "poco-echo: " << error.what() << '\n';
    return 1;
  }
}
