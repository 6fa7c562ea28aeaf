// SPDX-License-Identifier: MIT OR Apache-2.0
#include "message.hpp"

#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "guards.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace sd::adopt {

namespace os = detail::os;

namespace {

os::file standard_error;
bool verbose = false;

bool is_printable(char c) noexcept { return c > ' ' && c < '\x7f'; }

}  // namespace

message& operator<<(message& out, const detail::address_view& where) noexcept {
  char host[INET6_ADDRSTRLEN] = {};
  switch (where.family()) {
    case AF_INET: {
      sockaddr_in inet{};
      std::memcpy(&inet, where.data, sizeof inet);
      ::inet_ntop(AF_INET, &inet.sin_addr, host, sizeof host);
      out << host << ':' << static_cast<int>(ntohs(inet.sin_port));
      return out;
    }
    case AF_INET6: {
      sockaddr_in6 inet6{};
      std::memcpy(&inet6, where.data, sizeof inet6);
      ::inet_ntop(AF_INET6, &inet6.sin6_addr, host, sizeof host);
      out << '[' << host << "]:" << static_cast<int>(ntohs(inet6.sin6_port));
      return out;
    }
    case AF_UNIX: {
      const auto name = detail::unix_name(where);
      if (name.empty()) out << "an unnamed unix socket";
      for (const char c : name) out << (c == '\0' ? '@' : is_printable(c) ? c : '?');
      return out;
    }
    default:
      out << "an address of family " << where.family();
      return out;
  }
}

void remember_standard_error() noexcept {
  const char* const value = os::get_environment("SD_ADOPT_VERBOSE");
  verbose = value != nullptr && *value != '\0';
  os::status(STDERR_FILENO, standard_error);
}

bool is_verbose() noexcept { return verbose; }

void say(message& words) noexcept {
  os::file now;
  os::status(STDERR_FILENO, now);
  if (!os::is_same(now, standard_error)) return;
  const uncancellable guard;
  message line;
  line << "libsd-adopt: " << words.get() << '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.get(), line.size());
}

}  // namespace sd::adopt
