// SPDX-License-Identifier: MIT OR Apache-2.0
// A ZeroMQ server that replies to every request with "hello\n". Its socket unit may describe any stream socket: TCP
// over IPv4 or IPv6, or unix.

#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <zmq.hpp>
#include <zmq_addon.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// Blocks SIGTERM and returns a descriptor that is readable once it was sent.
sd::unique_fd open_sigterm() {
  sigset_t sigterm;
  sigemptyset(&sigterm);
  sigaddset(&sigterm, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
  return sd::unique_fd(check(::signalfd(-1, &sigterm, SFD_CLOEXEC), "signalfd"));
}

/// Returns the socket's address in ZeroMQ's notation: tcp://127.0.0.1:80, tcp://[::1]:80, ipc:///run/web.
std::string endpoint_of(const sd::unique_fd& fd) {
  const auto local = sd::describe(fd.get()).local;
  return (local.family() == AF_UNIX ? "ipc://" : "tcp://") + to_string(local);
}

/// Replies to a request. Requests from REQ sockets and their replies consist of the client's identity, an empty part
/// and the text. A REP socket would hide the first two, but a client that sends anything else could confuse it.
void reply(zmq::socket_t& server) {
  std::vector<zmq::message_t> parts;
  if (!zmq::recv_multipart(server, std::back_inserter(parts), zmq::recv_flags::dontwait)) return;
  if (parts.size() != 3 || parts[1].size() != 0) return;
  parts[2].rebuild("hello\n", 6);
  zmq::send_multipart(server, parts, zmq::send_flags::dontwait);  // drops it if the client does not read
}

}  // namespace

int main() {
  try {
    const auto sigterm = open_sigterm();
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto listener = sd::take(fds, sd::kind::stream).fd;

    // ZeroMQ does not set this on a passed socket. accept() must not wait: the client may have left already.
    const int flags = check(::fcntl(listener.get(), F_GETFL), "F_GETFL");
    check(::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK), "F_SETFL");

    zmq::context_t context;
    zmq::socket_t server(context, zmq::socket_type::router);
    server.set(zmq::sockopt::linger, 1000);  // milliseconds, for the last replies
    server.set(zmq::sockopt::ipv6, true);
    server.set(zmq::sockopt::maxmsgsize, std::int64_t{65536});
    server.set(zmq::sockopt::use_fd, listener.get());
    server.bind(endpoint_of(listener));     // does not bind, but learns the type of the socket from the endpoint
    static_cast<void>(listener.release());  // ZeroMQ closes it from here on

    std::array<zmq::pollitem_t, 2> events{
        {{server.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, sigterm.get(), ZMQ_POLLIN, 0}}};
    while (true) {
      zmq::poll(events);
      if (events[1].revents != 0) return 0;
      if (events[0].revents != 0) reply(server);
    }
  } catch (const std::exception& error) {
    std::cerr << "zeromq-hello: " << error.what() << '\n';
    return 1;
  }
}
