// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/address.hpp>
#include <sd/error.hpp>
#include <sd/unique_fd.hpp>

#include "detail/os/sockets.hpp"

#if SD_HAS_DESCRIPTORS

#include "detail/os/vsock.hpp"
#include "detail/protocol.hpp"
#include "detail/serving.hpp"
#include "detail/text.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>

namespace sd {
inline namespace v0 {

namespace {

template <class Sockaddr>
Sockaddr as(const address& where) noexcept {
  Sockaddr result;
  std::memcpy(&result, where.data(), sizeof result);
  return result;
}

/// Copies text and ends it with a NUL. The copy is empty if the text does not fit or contains a NUL.
template <std::size_t Size>
class c_string {
 public:
  explicit c_string(std::string_view text) noexcept {
    if (text.size() < Size && text.find('\0') == std::string_view::npos) text.copy(text_, Size);
  }
  [[nodiscard]] const char* get() const noexcept { return text_; }

 private:
  char text_[Size] = {};
};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_decimal(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// Whether text could be the name of a host: labels of letters, digits, hyphens and underscores, and not digits and
/// dots alone, which are a malformed IPv4 address.
bool is_host_name(std::string_view text) noexcept {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
  };
  const auto is_allowed = [&](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; };
  return std::all_of(text.begin(), text.end(), is_allowed) && std::any_of(text.begin(), text.end(), is_letter);
}

std::optional<std::uint32_t> number_up_to(std::uint64_t max, std::string_view text) noexcept {
  std::uint64_t value = 0;
  if (detail::parse_decimal(text, max, value) != detail::number::ok) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

std::error_code parse_port(std::string_view text, in_port_t& port) noexcept {
  const auto value = number_up_to(UINT16_MAX, text);
  if (!value) return is_decimal(text) ? errc::port_out_of_range : errc::malformed_address;
  port = htons(static_cast<std::uint16_t>(*value));
  return {};
}

std::string_view unix_name(const address& where) noexcept { return detail::unix_name({where.data(), where.size()}); }

std::error_code parse_unix(std::string_view text, address& result) noexcept {
  sockaddr_un local{};
  const bool abstract = text.front() == '@';
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  if (text.size() + (abstract ? 0 : 1) > sizeof local.sun_path) return {ENAMETOOLONG, std::generic_category()};
  if (abstract ? text.size() == 1 : text.find('\0') != std::string_view::npos) return errc::malformed_address;
  local.sun_family = AF_UNIX;
  text.copy(local.sun_path, text.size());
  if (abstract) local.sun_path[0] = '\0';
  result = address::from_sockaddr(&local, start + text.size() + (abstract ? 0 : 1));
  return {};
}

/// Parses the IP address of `HOST:PORT`.
std::error_code parse_host(int family, const char* host, std::string_view text, std::string_view port,
                           void* result) noexcept {
  if (::inet_pton(family, host, result) == 1) return {};
  return is_host_name(text) && is_decimal(port) ? errc::host_name : errc::malformed_address;
}

std::error_code parse_ipv4(std::string_view host, std::string_view port, address& result) noexcept {
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  const c_string<INET_ADDRSTRLEN> copy(host);
  if (const auto ec = parse_host(AF_INET, copy.get(), host, port, &inet.sin_addr)) return ec;
  if (const auto ec = parse_port(port, inet.sin_port)) return ec;
  result = address::from_sockaddr(&inet, sizeof inet);
  return {};
}

std::error_code parse_scope(std::string_view text, std::uint32_t& scope) noexcept {
  const auto value = number_up_to(UINT32_MAX, text);
  if (value.value_or(0) != 0) {
    scope = *value;
    return {};
  }
  const int result = value ? -ENODEV : detail::os::interface_number(c_string<IF_NAMESIZE>(text).get(), scope);
  return result < 0 ? std::error_code(-result, std::generic_category()) : std::error_code();
}

std::error_code parse_ipv6(std::string_view host, std::string_view port, std::string_view scope,
                           address& result) noexcept {
  sockaddr_in6 inet6{};
  inet6.sin6_family = AF_INET6;
  const c_string<INET6_ADDRSTRLEN> copy(host);
  if (const auto ec = parse_host(AF_INET6, copy.get(), host, port, &inet6.sin6_addr)) return ec;
  if (const auto ec = parse_port(port, inet6.sin6_port)) return ec;
  if (!scope.empty()) {
    std::uint32_t number = 0;
    if (const auto ec = parse_scope(scope, number)) return ec;
    inet6.sin6_scope_id = number;
  }
  result = address::from_sockaddr(&inet6, sizeof inet6);
  return {};
}

/// Whether the kernel has IPv6. Only EAFNOSUPPORT means that it has not: other errors, such as EMFILE, say nothing
/// about it.
bool has_ipv6() noexcept {
  const int result = detail::os::open_socket(AF_INET6, SOCK_DGRAM);
  const unique_fd probe(result < 0 ? -1 : result);
  return result != -EAFNOSUPPORT;
}

address any_address(in_port_t port) noexcept {
  if (!has_ipv6()) {
    sockaddr_in inet{};
    inet.sin_family = AF_INET;
    inet.sin_port = port;
    return address::from_sockaddr(&inet, sizeof inet);
  }
  sockaddr_in6 inet6{};
  inet6.sin6_family = AF_INET6;
  inet6.sin6_port = port;
  return address::from_sockaddr(&inet6, sizeof inet6);
}

#if defined(__linux__)
std::error_code parse_vsock(std::string_view text, address& result) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return errc::malformed_address;
  const auto cid =
      colon == 0 ? std::optional<std::uint32_t>(VMADDR_CID_ANY) : number_up_to(UINT32_MAX, text.substr(0, colon));
  const auto port = number_up_to(UINT32_MAX, text.substr(colon + 1));
  if (!cid || !port) return errc::malformed_address;
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = *cid;
  vsock.svm_port = *port;
  result = address::from_sockaddr(&vsock, sizeof vsock);
  return {};
}
#endif

/// Parses [IPV6]:PORT, with %INTERFACE after either part.
std::error_code parse_bracketed(std::string_view text, address& result) noexcept {
  const auto bracket = text.find(']');
  if (bracket == std::string_view::npos || text.substr(bracket + 1, 1) != ":") return errc::malformed_address;
  auto host = text.substr(1, bracket - 1);
  auto port = text.substr(bracket + 2);
  std::string_view scope;
  for (auto* const part : {&host, &port}) {
    const auto percent = part->find('%');
    if (percent == std::string_view::npos) continue;
    if (!scope.empty() || percent + 1 == part->size()) return errc::malformed_address;
    scope = part->substr(percent + 1);
    *part = part->substr(0, percent);
  }
  return parse_ipv6(host, port, scope, result);
}

}  // namespace

std::error_code address::assign(std::string_view text) noexcept {
  if (text.empty()) return errc::malformed_address;
  if (text.front() == '/' || text.front() == '@') return parse_unix(text, *this);
  if (text.front() == '[') return parse_bracketed(text, *this);
#if defined(__linux__)
  constexpr std::string_view vsock = "vsock:";
  if (text.substr(0, vsock.size()) == vsock) return parse_vsock(text.substr(vsock.size()), *this);
#endif
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos) return parse_ipv4(text.substr(0, colon), text.substr(colon + 1), *this);
  in_port_t port = 0;
  if (const auto ec = parse_port(text, port)) return ec;
  *this = any_address(port);
  return {};
}

address address::any(std::uint16_t port) noexcept { return any_address(htons(port)); }

address address::from_sockaddr(const void* sockaddr, std::size_t size) noexcept {
  address result;
  result.size_ = std::min(size, sizeof result.storage_.bytes);
  if (result.size_ != 0) std::memcpy(result.storage_.bytes, sockaddr, result.size_);
  return result;
}

int address::family() const noexcept { return size_ < sizeof(sa_family_t) ? AF_UNSPEC : as<sockaddr>(*this).sa_family; }

unsigned address::port() const noexcept {
  switch (family()) {
    case AF_INET:
      return ntohs(as<sockaddr_in>(*this).sin_port);
    case AF_INET6:
      return ntohs(as<sockaddr_in6>(*this).sin6_port);
#if defined(__linux__)
    case AF_VSOCK:
      return as<sockaddr_vm>(*this).svm_port;
#endif
    default:
      return 0;
  }
}

std::string_view address::path() const noexcept {
  const auto name = unix_name(*this);
  return name.empty() || name.front() == '\0' ? std::string_view() : name;
}

namespace {
detail::address_key key_of(const address& where) noexcept { return detail::address_key({where.data(), where.size()}); }
}  // namespace

int address::compare(const address& other) const noexcept {
  if (family() != other.family()) return family() < other.family() ? -1 : 1;
  return key_of(*this).get().compare(key_of(other).get());
}

std::size_t address::hash() const noexcept {
  return std::hash<std::string_view>()(key_of(*this).get()) ^ static_cast<std::size_t>(family());
}

std::string to_string(const address& where) {
  char host[INET6_ADDRSTRLEN] = {};
  switch (where.family()) {
    case AF_UNSPEC:
      return "";
    case AF_INET: {
      const auto inet = as<sockaddr_in>(where);
      ::inet_ntop(AF_INET, &inet.sin_addr, host, sizeof host);
      return host + (':' + std::to_string(where.port()));
    }
    case AF_INET6: {
      const auto inet6 = as<sockaddr_in6>(where);
      ::inet_ntop(AF_INET6, &inet6.sin6_addr, host, sizeof host);
      auto text = '[' + std::string(host) + "]:" + std::to_string(where.port());
      if (inet6.sin6_scope_id == 0) return text;
      char name[IF_NAMESIZE];
      const char* const interface = detail::os::interface_name(inet6.sin6_scope_id, name);
      return text + '%' + (interface != nullptr ? interface : std::to_string(inet6.sin6_scope_id));
    }
    case AF_UNIX: {
      const auto name = unix_name(where);
      if (name.empty() || name.front() != '\0') return std::string(name);
      return '@' + std::string(name.substr(1));
    }
#if defined(__linux__)
    case AF_VSOCK: {
      const auto vsock = as<sockaddr_vm>(where);
      const auto cid = vsock.svm_cid == VMADDR_CID_ANY ? "" : std::to_string(vsock.svm_cid);
      return "vsock:" + cid + ':' + std::to_string(vsock.svm_port);
    }
#endif
    default:
      return "family " + std::to_string(where.family());
  }
}

#if SD_HAS_EXCEPTIONS
address::address(std::string_view text) {
  if (const auto ec = assign(text)) throw std::system_error(ec, "address " + detail::quoted(text));
}
#endif

}  // namespace v0
}  // namespace sd

#endif
