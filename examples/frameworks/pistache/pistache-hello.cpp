// SPDX-License-Identifier: MIT OR Apache-2.0
// A web server with Pistache. Its socket unit may describe any stream socket: TCP over IPv4 or IPv6, or unix. The
// library cannot adopt a listening socket, but its transport adopts accepted connections.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <pistache/http.h>
#include <pistache/net.h>
#include <pistache/peer.h>
#include <pistache/reactor.h>
#include <pistache/transport.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <system_error>

namespace {

using namespace Pistache;

struct answer : Http::Handler {
  HTTP_PROTOTYPE(answer)

  void onRequest(const Http::Request& request, Http::ResponseWriter response) override {
    // Pistache queues responses without limit. A client that sends but does not read is disconnected.
    const auto client = response.getPeer();
    const auto unsent = unsent_.try_emplace(client->getID(), 0).first;
    if (unsent->second == 100) {
      ::shutdown(client->fd(), SHUT_RDWR);
      return;
    }
    ++unsent->second;
    const auto done = [this, id = unsent->first] {
      const auto sent = unsent_.find(id);
      if (--sent->second == 0) unsent_.erase(sent);
    };
    const bool found = request.method() == Http::Method::Get && request.resource() == "/";
    response.send(found ? Http::Code::Ok : Http::Code::Not_Found, found ? "hello\n" : "not found\n")
        .then([=](ssize_t) { done(); }, [=](const std::exception_ptr&) { done(); });
  }

 private:
  std::map<std::size_t, int> unsent_;
};

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

/// Accepts a client and passes the connection to the library, which owns it from then on.
/// @returns False if no descriptor is left. The caller must wait before it tries again.
bool accept(const sd::unique_fd& listener, Tcp::Transport& transport) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  sd::unique_fd client(::accept4(listener.get(), where, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client) {
    // Most often the client has left already, or another process that holds the socket has accepted it.
    return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
  }
  auto peer = Tcp::Peer::Create(client.get(), address.ss_family == AF_UNIX ? Address() : Address::fromUnix(where));
  static_cast<void>(client.release());
  transport.handleNewPeer(peer);
  return true;
}

}  // namespace

int main() {
  try {
    std::signal(SIGPIPE, SIG_IGN);
    auto fds = sd::listen_fds(sd::listen_options::required);
    const auto listener = sd::take(fds, sd::kind::stream).fd;
    const auto sigterm = open_sigterm();
    // accept4() must not wait: the client may have left, or another process that holds the socket may have accepted it.
    const int flags = check(::fcntl(listener.get(), F_GETFL), "F_GETFL");
    check(::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK), "F_SETFL");

    // The parts of Http::Endpoint, except its listener.
    const auto reactor = Aio::Reactor::create();
    reactor->init(Aio::AsyncContext(1));
    const auto key = reactor->addHandler(std::make_shared<Tcp::Transport>(std::make_shared<answer>()));
    const auto transport = std::static_pointer_cast<Tcp::Transport>(reactor->handlers(key).front());
    reactor->run();
    const auto shut_down = [](Aio::Reactor* running) { running->shutdown(); };
    const std::unique_ptr<Aio::Reactor, void (*)(Aio::Reactor*)> running(reactor.get(), shut_down);

    std::array<pollfd, 2> waiting{{{listener.get(), POLLIN, 0}, {sigterm.get(), POLLIN, 0}}};
    while (waiting[1].revents == 0) {
      if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
      // Without a pause the loop would spin: the listening socket stays readable while clients wait in its queue.
      if (waiting[0].revents != 0 && !accept(listener, *transport)) ::poll(&waiting[1], 1, 100);
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "pistache-hello: " << error.what() << '\n';
    return 1;
  }
}
