// SPDX-License-Identifier: MIT OR Apache-2.0
#include "client.hpp"

#include <sd/address.hpp>

#include "check.hpp"

#include <poll.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <system_error>

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

std::vector<unique_fd> connect_many(std::size_t count, const std::string& where) {
  std::vector<unique_fd> connections;
  connections.reserve(count);
  for (std::size_t i = 0; i < count; ++i) connections.push_back(connect(where));
  return connections;
}

void send(const unique_fd& connection, std::string_view text) {
  const auto sent = check(::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL), "send");
  if (static_cast<std::size_t>(sent) < text.size())
    throw std::system_error(make_error_code(std::errc::timed_out), "send");
}

std::size_t flood(const unique_fd& connection, std::string_view text, std::size_t limit) {
  std::size_t sent = 0;
  pollfd writable{connection.get(), POLLOUT, 0};
  while (sent < limit && ::poll(&writable, 1, 1000) == 1) {
    const ssize_t n = ::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) break;
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  return sent;
}

std::string converse(const unique_fd& connection, const std::string& text) {
  int type = 0;
  socklen_t size = sizeof type;
  check(::getsockopt(connection.get(), SOL_SOCKET, SO_TYPE, &type, &size), "SO_TYPE");
  const bool ends = type != SOCK_DGRAM;  // a datagram has no end of data
  send(connection, text);
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
