// A web server with Pistache, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.
// The library cannot adopt a listening socket, but its transport adopts connections.

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
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace {

using namespace Pistache;

struct answer : Http::Handler {
  HTTP_PROTOTYPE(answer)

  void onRequest(const Http::Request& request, Http::ResponseWriter response) override {
    const bool found = request.method() == Http::Method::Get && request.resource() == "/";
    response.send(found ? Http::Code::Ok : Http::Code::Not_Found, found ? "hello\n" : "not found\n");
  }
};

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

/// SIGTERM as a descriptor, which can be polled.
sd::unique_fd open_sigterm() {
  sigset_t sigterm;
  sigemptyset(&sigterm);
  sigaddset(&sigterm, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
  return sd::unique_fd(check(::signalfd(-1, &sigterm, SFD_CLOEXEC), "signalfd"));
}

/// Gives the next client to the library, which closes the connection from then on.
void accept(const sd::unique_fd& listener, Tcp::Transport& transport) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  sd::unique_fd client(::accept4(listener.get(), where, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client) {
    if (errno == EAGAIN || errno == ECONNABORTED) return;  // it is gone
    std::cerr << "pistache-hello: accept: " << std::generic_category().message(errno) << '\n';
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // there may be room when clients have left
    return;
  }
  auto peer = Tcp::Peer::Create(client.get(), address.ss_family == AF_UNIX ? Address() : Address::fromUnix(where));
  static_cast<void>(client.release());
  transport.handleNewPeer(peer);
}

}  // namespace

int main() {
  try {
    std::signal(SIGPIPE, SIG_IGN);
    auto fds = sd::listen_fds(sd::listen_options::required);
    const auto listener = sd::take(fds, sd::kind::stream).fd;
    const auto sigterm = open_sigterm();
    // accept4() must not wait: a client may be gone again, or with another process that holds the socket.
    const int flags = check(::fcntl(listener.get(), F_GETFL), "F_GETFL");
    check(::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK), "F_SETFL");

    // What Http::Endpoint consists of, but for its listener.
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
      if (waiting[0].revents != 0) accept(listener, *transport);
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "pistache-hello: " << error.what() << '\n';
    return 1;
  }
}
