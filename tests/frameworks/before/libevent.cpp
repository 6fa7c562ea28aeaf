// SPDX-License-Identifier: MIT OR Apache-2.0
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct clients {};

void before(event_base* base, evconnlistener_cb on_connection, clients& all, unsigned flags,
            const sockaddr_in6& address) {
  evconnlistener_new_bind(base, on_connection, &all, flags, -1, reinterpret_cast<const sockaddr*>(&address),
                          sizeof address);
}
