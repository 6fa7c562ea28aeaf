// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bind_hook.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

// <sys/socket.h> is not included because C libraries declare these with different exception specifications.
extern "C" int bind(int fd, const void* address, unsigned size);
extern "C" int connect(int fd, const void* address, unsigned size);
extern "C" int socket(int family, int type, int protocol);

void (*sd::test::after_bind)(const void* address) = nullptr;
void (*sd::test::before_connect)(const void* address) = nullptr;
bool sd::test::refuses_netlink = false;

int bind(int fd, const void* address, unsigned size) {
  const auto result = static_cast<int>(::syscall(SYS_bind, fd, address, size));
  if (result == 0 && sd::test::after_bind != nullptr) sd::test::after_bind(address);
  return result;
}

int connect(int fd, const void* address, unsigned size) {
  if (sd::test::before_connect != nullptr) sd::test::before_connect(address);
  return static_cast<int>(::syscall(SYS_connect, fd, address, size));
}

int socket(int family, int type, int protocol) {
  constexpr int netlink = 16;  // AF_NETLINK
  if (family == netlink && sd::test::refuses_netlink) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_socket, family, type, protocol));
}
