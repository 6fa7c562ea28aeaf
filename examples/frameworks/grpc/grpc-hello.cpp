// SPDX-License-Identifier: MIT OR Apache-2.0
// A gRPC server. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
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

/// Accepts clients and passes the connections to gRPC, until `stop` is readable.
void accept_all(int listener, int stop, grpc::experimental::ExternalConnectionAcceptor& acceptor) {
  while (true) {
    pollfd ready[] = {{stop, POLLIN, 0}, {listener, POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) check(-1, "poll");
    if (ready[0].revents != 0) return;

    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters client;
    client.listener_fd = listener;
    client.fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client.fd >= 0) {
      acceptor.HandleNewConnection(&client);  // owns client.fd from here on
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // Without a pause the loop would spin: the listening socket stays readable while clients wait in its queue.
      ::poll(ready, 1, 100);
    } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
      check(-1, "accept");
    }  // else the client has left already, or another process that holds the socket has accepted it
  }
}

}  // namespace

int main() {
  try {
    // Threads inherit the signal mask, so block the signal before gRPC starts any.
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
    // What one client may take.
    grpc::ResourceQuota quota;
    quota.SetMaxThreads(16);
    builder.SetResourceQuota(quota);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
    const auto acceptor = builder.experimental().AddExternalConnectionAcceptor(connection_type::FROM_FD,
                                                                               grpc::InsecureServerCredentials());
    const auto server = builder.BuildAndStart();
    if (!server) throw std::runtime_error("cannot start");

    accept_all(listener.get(), stop.get(), *acceptor);
    // Clients that do not disconnect within 5 seconds are disconnected.
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "grpc-hello: " << error.what() << '\n';
    return 1;
  }
}
