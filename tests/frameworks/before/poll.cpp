// SPDX-License-Identifier: MIT OR Apache-2.0
#include <netinet/in.h>
#include <sys/socket.h>

void before(const sockaddr_in6& address) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  listen(fd, SOMAXCONN);
}
