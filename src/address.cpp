#include <sd/address.hpp>
#include <sd/error.hpp>

#include "detail/os/sockets.hpp"

#if SD_HAS_DESCRIPTORS

#include "detail/protocol.hpp"
#include "detail/text.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#if defined(__linux__)
#include <linux/vm_sockets.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

namespace sd {

namespace {

static_assert(sizeof(sockaddr_storage) <= 128);

template <class Sockaddr>
Sockaddr as(const address& where) noexcept {
  Sockaddr result;
  std::memcpy(&result, where.data(), sizeof result);
  return result;
}

/// A copy of the text that ends in a NUL. Empty where it does not fit or holds one.
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

std::optional<std::uint32_t> number(std::string_view text, std::uint64_t max) noexcept {
  std::uint64_t value = 0;
  const c_string<16> digits(text);
  if (detail::parse_decimal(digits.get(), max, value) != detail::number::ok) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

std::optional<in_port_t> port_number(std::string_view text) noexcept {
  const auto value = number(text, UINT16_MAX);
  if (!value) return std::nullopt;
  return htons(static_cast<std::uint16_t>(*value));
}

/// What a unix socket is bound to: a path, an abstract name with its NUL in front, or nothing. It views the address.
std::string_view unix_name(const address& where) noexcept {
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  if (where.family() != AF_UNIX || where.size() <= start) return {};
  const std::string_view name(static_cast<const char*>(where.data()) + start, where.size() - start);
  return name.front() == '\0' ? name : name.substr(0, name.find('\0'));
}

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

std::error_code parse_ipv4(std::string_view host, std::string_view port, address& result) noexcept {
  sockaddr_in inet{};
  const auto port_value = port_number(port);
  if (!port_value || ::inet_pton(AF_INET, c_string<INET_ADDRSTRLEN>(host).get(), &inet.sin_addr) != 1) {
    return errc::malformed_address;
  }
  inet.sin_family = AF_INET;
  inet.sin_port = *port_value;
  result = address::from_sockaddr(&inet, sizeof inet);
  return {};
}

std::error_code parse_ipv6(std::string_view host, std::string_view port, std::string_view scope,
                           address& result) noexcept {
  sockaddr_in6 inet6{};
  const auto port_value = port_number(port);
  if (!port_value || ::inet_pton(AF_INET6, c_string<INET6_ADDRSTRLEN>(host).get(), &inet6.sin6_addr) != 1) {
    return errc::malformed_address;
  }
  if (!scope.empty()) {
    const auto as_number = number(scope, UINT32_MAX);
    inet6.sin6_scope_id = as_number ? *as_number : detail::os::interface_number(c_string<IF_NAMESIZE>(scope).get());
    if (inet6.sin6_scope_id == 0) return {ENODEV, std::generic_category()};
  }
  inet6.sin6_family = AF_INET6;
  inet6.sin6_port = *port_value;
  result = address::from_sockaddr(&inet6, sizeof inet6);
  return {};
}

#if defined(__linux__)
std::error_code parse_vsock(std::string_view text, address& result) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return errc::malformed_address;
  const auto cid =
      colon == 0 ? std::optional<std::uint32_t>(VMADDR_CID_ANY) : number(text.substr(0, colon), UINT32_MAX);
  const auto port = number(text.substr(colon + 1), UINT32_MAX);
  if (!cid || !port) return errc::malformed_address;
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = *cid;
  vsock.svm_port = *port;
  result = address::from_sockaddr(&vsock, sizeof vsock);
  return {};
}
#endif

/// [IPV6]:PORT, with %INTERFACE behind either.
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

std::error_code address::parse(std::string_view text) noexcept {
  if (text.empty()) return errc::malformed_address;
  if (text.front() == '/' || text.front() == '@') return parse_unix(text, *this);
  if (text.front() == '[') return parse_bracketed(text, *this);
#if defined(__linux__)
  constexpr std::string_view vsock = "vsock:";
  if (text.substr(0, vsock.size()) == vsock) return parse_vsock(text.substr(vsock.size()), *this);
#endif
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return parse_ipv6("::", text, {}, *this);
  return parse_ipv4(text.substr(0, colon), text.substr(colon + 1), *this);
}

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

bool address::equals(const address& other) const noexcept {
  if (family() != other.family()) return false;
  switch (family()) {
    case AF_INET:
      return port() == other.port() && as<sockaddr_in>(*this).sin_addr.s_addr == as<sockaddr_in>(other).sin_addr.s_addr;
    case AF_INET6: {
      const auto a = as<sockaddr_in6>(*this);
      const auto b = as<sockaddr_in6>(other);
      return a.sin6_port == b.sin6_port && a.sin6_scope_id == b.sin6_scope_id &&
             std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0;
    }
    case AF_UNIX:
      return unix_name(*this) == unix_name(other);
    default:
      return size_ == other.size_ && std::memcmp(&storage_, &other.storage_, size_) == 0;
  }
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
  if (const auto ec = parse(text)) throw std::system_error(ec, "address " + detail::quoted(text));
}
#endif

}  // namespace sd

#endif
