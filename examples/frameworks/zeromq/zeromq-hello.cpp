// A ZeroMQ server that answers every request with "hello\n", at whatever stream socket its unit describes: TCP over
// IPv4 and IPv6, or unix.

#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <zmq.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>

namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// As ZeroMQ writes it: tcp://127.0.0.1:80, tcp://[::1]:80, ipc:///run/web.
std::string endpoint_of(const sd::unique_fd& fd) {
  const auto local = sd::describe(fd.get()).local;
  return (local.family() == AF_UNIX ? "ipc://" : "tcp://") + to_string(local);
}

sd::unique_fd sigterm_as_descriptor() {
  sigset_t sigterm;
  sigemptyset(&sigterm);
  sigaddset(&sigterm, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
  return sd::unique_fd(check(::signalfd(-1, &sigterm, SFD_CLOEXEC), "signalfd"));
}

}  // namespace

int main() {
  try {
    const auto sigterm = sigterm_as_descriptor();
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto fd = sd::take(fds, sd::kind::stream).fd;

    // ZeroMQ leaves that as it is, but a client may be gone again, and accept must not wait for the next one.
    const int flags = check(::fcntl(fd.get(), F_GETFL), "F_GETFL");
    check(::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK), "F_SETFL");

    zmq::context_t context;
    zmq::socket_t server(context, zmq::socket_type::rep);
    server.set(zmq::sockopt::linger, 1000);  // milliseconds for the last answers, in the end
    server.set(zmq::sockopt::ipv6, true);
    server.set(zmq::sockopt::use_fd, fd.get());
    server.bind(endpoint_of(fd));     // binds nothing: the endpoint says which sort of socket it is
    static_cast<void>(fd.release());  // ZeroMQ closes it from here on

    std::array<zmq::pollitem_t, 2> events{
        {{server.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, sigterm.get(), ZMQ_POLLIN, 0}}};
    while (true) {
      zmq::poll(events);
      if (events[1].revents != 0) return 0;
      zmq::message_t request;
      if (server.recv(request, zmq::recv_flags::dontwait))
        server.send(zmq::str_buffer("hello\n"), zmq::send_flags::none);
    }
  } catch (const std::exception& error) {
    std::cerr << "zeromq-hello: " << error.what() << '\n';
    return 1;
  }
}
