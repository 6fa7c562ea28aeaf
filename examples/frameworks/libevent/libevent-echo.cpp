// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server with libevent, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

namespace {

struct deleter {
  void operator()(event_base* base) const noexcept { event_base_free(base); }
  void operator()(event* event) const noexcept { event_free(event); }
  void operator()(evconnlistener* listener) const noexcept { evconnlistener_free(listener); }
  void operator()(bufferevent* connection) const noexcept { bufferevent_free(connection); }
};
template <class Object>
using owner = std::unique_ptr<Object, deleter>;

void check(bool success, const char* what) {
  if (!success) throw std::system_error(errno, std::generic_category(), what);
}
template <class Object>
owner<Object> check(Object* object, const char* what) {
  check(object != nullptr, what);
  return owner<Object>(object);
}

using clients = std::map<const bufferevent*, owner<bufferevent>>;

// The server reads and writes by turns, so that a client that never reads cannot fill the memory.
void on_read(bufferevent* connection, void* all) {
  bufferevent_disable(connection, EV_READ);
  const bool accepted = bufferevent_write_buffer(connection, bufferevent_get_input(connection)) == 0;
  if (!accepted) static_cast<clients*>(all)->erase(connection);
}
void on_written(bufferevent* connection, void*) { bufferevent_enable(connection, EV_READ); }

// At the end of the input or on an error. The server sees the end only while it reads, when everything is written.
void on_event(bufferevent* connection, short, void* all) { static_cast<clients*>(all)->erase(connection); }

void on_connection(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int, void* all) {
  owner<bufferevent> connection(bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE));
  if (!connection) {
    evutil_closesocket(fd);
    return;
  }
  bufferevent_setcb(connection.get(), on_read, on_written, on_event, all);
  bufferevent_enable(connection.get(), EV_READ);
  static_cast<clients*>(all)->emplace(connection.get(), std::move(connection));
}

// For example, no descriptors are left. Trying again at once would only waste CPU time, so wait.
void on_accept_error(evconnlistener* listener, void*) {
  const timeval pause{0, 100'000};
  const auto resume = [](evutil_socket_t, short, void* self) {
    evconnlistener_enable(static_cast<evconnlistener*>(self));
  };
  if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, resume, listener, &pause) == 0) {
    evconnlistener_disable(listener);
  }
}

void on_sigterm(evutil_socket_t, short, void* base) { event_base_loopbreak(static_cast<event_base*>(base)); }

}  // namespace

int main() {
  try {
    std::signal(SIGPIPE, SIG_IGN);  // libevent writes to connections that the client has closed
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto fd = sd::take(fds, sd::kind::stream).fd;

    const auto base = check(event_base_new(), "event_base_new");
    clients all;
    // libevent expects the socket to be nonblocking and, with a backlog of 0, to listen already.
    check(evutil_make_socket_nonblocking(fd.get()) == 0, "evutil_make_socket_nonblocking");
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
    const auto listener =
        check(evconnlistener_new(base.get(), on_connection, &all, flags, 0, fd.get()), "evconnlistener_new");
    static_cast<void>(fd.release());  // the listener closes it from here on
    evconnlistener_set_error_cb(listener.get(), on_accept_error);

    const auto sigterm = check(evsignal_new(base.get(), SIGTERM, on_sigterm, base.get()), "evsignal_new");
    check(evsignal_add(sigterm.get(), nullptr) == 0, "evsignal_add");
    event_base_dispatch(base.get());
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "libevent-echo: " << error.what() << '\n';
    return 1;
  }
}
