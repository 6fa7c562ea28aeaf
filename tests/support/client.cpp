// SPDX-License-Identifier: MIT OR Apache-2.0
#include "client.hpp"

#include <sd/address.hpp>

#include "check.hpp"

#include <sys/time.h>

#include <array>
#include <cstddef>

namespace sd::test {

namespace {

const sockaddr* sockaddr_of(const address& where) { return static_cast<const sockaddr*>(where.data()); }

}  // namespace

unique_fd connect(const std::string& where, int type) {
  const address server(where);
  const int family = server.family();
  unique_fd fd(check(::socket(family, type | SOCK_CLOEXEC, 0), "socket"));
  const timeval patience{10, 0};
  check(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "SO_RCVTIMEO");
  check(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "SO_SNDTIMEO");
  if (family == AF_UNIX && type == SOCK_DGRAM) {
    // The kernel chooses a name, to which the server can reply.
    check(::bind(fd.get(), sockaddr_of(server), sizeof(sa_family_t)), "bind");
  }
  check(::connect(fd.get(), sockaddr_of(server), static_cast<socklen_t>(server.size())), "connect to " + where);
  return fd;
}

std::string converse(const unique_fd& connection, const std::string& text) {
  int type = 0;
  socklen_t size = sizeof type;
  check(::getsockopt(connection.get(), SOL_SOCKET, SO_TYPE, &type, &size), "SO_TYPE");
  const bool ends = type != SOCK_DGRAM;  // a datagram has no end of data
  check(::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL), "send");
  if (ends) check(::shutdown(connection.get(), SHUT_WR), "shutdown");

  std::string reply;
  std::array<char, 4096> buffer;
  ssize_t received = 0;
  do {
    received = check(::recv(connection.get(), buffer.data(), buffer.size(), 0), "recv");
    reply.append(buffer.data(), static_cast<std::size_t>(received));
  } while (ends && received > 0);
  return reply;
}

std::string ask(const std::string& where, const std::string& text, int type) {
  return converse(connect(where, type), text);
}

bool accepts_connections(const std::string& where) {
  try {
    connect(where);
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace sd::test
