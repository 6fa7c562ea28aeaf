// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sys/socket.h>
#include <uv.h>

void before(uv_loop_t* loop, uv_tcp_t& listener, sockaddr_in6& address, uv_connection_cb on_connection) {
  uv_tcp_init(loop, &listener);
  uv_ip6_addr("::", 8080, &address);
  uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), SOMAXCONN, on_connection);
}
