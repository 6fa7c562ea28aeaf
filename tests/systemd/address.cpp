#include "address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace sd::test {

namespace {

template <class Address>
Address& as(sockaddr_storage& storage, int family) {
  storage.ss_family = static_cast<sa_family_t>(family);
  return reinterpret_cast<Address&>(storage);
}

}  // namespace

address::address(const std::string& text) {
  if (text.front() == '/' || text.front() == '@') {
    auto& local = as<sockaddr_un>(storage, AF_UNIX);
    if (text.size() >= sizeof local.sun_path) throw std::invalid_argument(text);
    text.copy(local.sun_path, text.size());
    if (text.front() == '@') local.sun_path[0] = '\0';
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (text.front() == '/' ? 1 : 0));
    return;
  }
  const auto colon = text.rfind(':');
  const auto port = htons(static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
  int valid = 0;
  if (text.front() == '[') {
    auto& inet6 = as<sockaddr_in6>(storage, AF_INET6);
    inet6.sin6_port = port;
    size = sizeof inet6;
    valid = ::inet_pton(AF_INET6, text.substr(1, colon - 2).c_str(), &inet6.sin6_addr);
  } else {
    auto& inet = as<sockaddr_in>(storage, AF_INET);
    inet.sin_port = port;
    size = sizeof inet;
    valid = ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &inet.sin_addr);
  }
  if (valid != 1) throw std::invalid_argument(text);
}

std::string address::text() const {
  char host[INET6_ADDRSTRLEN] = {};
  switch (storage.ss_family) {
    case AF_INET: {
      const auto& inet = reinterpret_cast<const sockaddr_in&>(storage);
      ::inet_ntop(AF_INET, &inet.sin_addr, host, sizeof host);
      return host + (':' + std::to_string(ntohs(inet.sin_port)));
    }
    case AF_INET6: {
      const auto& inet6 = reinterpret_cast<const sockaddr_in6&>(storage);
      ::inet_ntop(AF_INET6, &inet6.sin6_addr, host, sizeof host);
      return '[' + std::string(host) + "]:" + std::to_string(ntohs(inet6.sin6_port));
    }
    case AF_UNIX: {
      const auto& local = reinterpret_cast<const sockaddr_un&>(storage);
      const auto length = size - offsetof(sockaddr_un, sun_path);
      if (length == 0) return "";
      if (local.sun_path[0] == '\0') return '@' + std::string(local.sun_path + 1, length - 1);
      return {local.sun_path, ::strnlen(local.sun_path, length)};
    }
    default:
      return "family " + std::to_string(storage.ss_family);
  }
}

address local_address(int fd) {
  address local;
  if (::getsockname(fd, local.data(), &local.size) != 0) {
    throw std::system_error(errno, std::system_category(), "getsockname");
  }
  return local;
}

}  // namespace sd::test
