// A gRPC server for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <hello.grpc.pb.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <system_error>

namespace {

using connection_type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;

class greeter : public hello::Greeter::Service {
  grpc::Status Greet(grpc::ServerContext*, const hello::Request*, hello::Reply* reply) override {
    reply->set_text("hello");
    return grpc::Status::OK;
  }
};

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// Gives all who connect to the server, until there is something to read from `stop`.
void accept_all(int listener, int stop, grpc::experimental::ExternalConnectionAcceptor& acceptor) {
  while (true) {
    pollfd ready[] = {{stop, POLLIN, 0}, {listener, POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) check(-1, "poll");
    if (ready[0].revents != 0) return;

    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters client;
    client.listener_fd = listener;
    client.fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client.fd >= 0) {
      acceptor.HandleNewConnection(&client);  // which owns client.fd now
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      ::poll(ready, 1, 100);  // until others have gone
    } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
      check(-1, "accept");
    }  // else this client went away, or somebody else who holds the socket was faster
  }
}

}  // namespace

int main() {
  try {
    // Before gRPC starts its threads, which would take the signal else.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const sd::unique_fd stop(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));

    auto fds = sd::listen_fds(sd::listen_options::required);
    const auto listener = sd::take(fds, sd::kind::stream).fd;
    const int flags = check(::fcntl(listener.get(), F_GETFL), "fcntl");
    check(::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK), "fcntl");

    greeter service;
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    const auto acceptor = builder.experimental().AddExternalConnectionAcceptor(connection_type::FROM_FD,
                                                                               grpc::InsecureServerCredentials());
    const auto server = builder.BuildAndStart();
    if (!server) throw std::runtime_error("cannot start");

    accept_all(listener.get(), stop.get(), *acceptor);
    // Clients that do not hang up by then are cut off.
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "grpc-hello: " << error.what() << '\n';
    return 1;
  }
}
