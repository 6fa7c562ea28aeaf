#pragma once

#include <sys/socket.h>

#include <string>

namespace sd::test {

/// The address of a socket. As text it is 127.0.0.1:80, [::1]:80, /run/path, @abstract, or empty for an unnamed one.
struct address {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  address() = default;
  explicit address(const std::string& text);

  [[nodiscard]] std::string text() const;
  [[nodiscard]] sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// What the socket is bound to.
address local_address(int fd);

}  // namespace sd::test
