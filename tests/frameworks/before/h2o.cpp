// SPDX-License-Identifier: MIT OR Apache-2.0
#include <h2o.h>
#include <sys/socket.h>

void before(h2o_loop_t* loop) {
  int fd = socket(AF_INET6, SOCK_STREAM, 0);  // then bind() and listen()
  h2o_socket_t* listener = h2o_evloop_socket_create(loop, fd, H2O_SOCKET_FLAG_DONT_READ);
}
