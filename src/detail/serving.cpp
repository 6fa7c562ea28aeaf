// SPDX-License-Identifier: MIT OR Apache-2.0
#include "serving.hpp"

#if SD_HAS_DESCRIPTORS

#include "os/files.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace sd::detail {

namespace {

static_assert(sizeof(sockaddr_storage) <= 128);

template <class Sockaddr>
Sockaddr as(const address_view& where) noexcept {
  Sockaddr result{};
  std::memcpy(&result, where.data, where.size < sizeof result ? where.size : sizeof result);
  return result;
}

template <class Sockaddr>
bool is_same(const Sockaddr& a, const Sockaddr& b) noexcept {
  return address_key({&a, sizeof a}).get() == address_key({&b, sizeof b}).get();
}

/// Returns an internet address in the form of IPv6: an IPv4 address is mapped. Other addresses have no such form, and
/// the family of the result is `AF_UNSPEC` then.
sockaddr_in6 as_inet6(const address_view& where) noexcept {
  sockaddr_in6 result{};
  if (where.family() == AF_INET6) result = as<sockaddr_in6>(where);
  if (where.family() != AF_INET) return result;
  const auto inet = as<sockaddr_in>(where);
  result.sin6_family = AF_INET6;
  result.sin6_port = inet.sin_port;
  result.sin6_addr.s6_addr[10] = 0xff;
  result.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(&result.sin6_addr.s6_addr[12], &inet.sin_addr, sizeof inet.sin_addr);
  return result;
}

bool is_any_v4(const sockaddr_in6& where) noexcept {
  static const unsigned char mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
  return std::memcmp(&where.sin6_addr, mapped, sizeof mapped) == 0;
}

service serves_inet(sockaddr_in6 local, bool v6only, sockaddr_in6 wanted) noexcept {
  // The kernel keeps the interface only of link-local addresses.
  if (local.sin6_scope_id == 0 || wanted.sin6_scope_id == 0) local.sin6_scope_id = wanted.sin6_scope_id = 0;
  if (is_same(local, wanted)) return service::exact;
  const bool is_wildcard = IN6_IS_ADDR_UNSPECIFIED(&local.sin6_addr) && !v6only;
  return is_wildcard && is_any_v4(wanted) && local.sin6_port == wanted.sin6_port ? service::wildcard : service::none;
}

/// Returns whether there is a file at the path of the address, and describes it.
bool find_file(const address_view& where, os::file& file) noexcept {
  const auto name = unix_name(where);
  if (name.empty() || name.front() == '\0') return false;
  char path[sizeof(sockaddr_storage)] = {};  // longer than any path of an address
  std::memcpy(path, name.data(), name.size());
  return os::status(path, file) == 0;
}

bool is_same_file(const address_view& a, const address_view& b) noexcept {
  os::file file_a;
  os::file file_b;
  return find_file(a, file_a) && find_file(b, file_b) && os::is_same(file_a, file_b);
}

}  // namespace

int address_view::family() const noexcept {
  return size < sizeof(sa_family_t) ? AF_UNSPEC : as<sockaddr>(*this).sa_family;
}

std::string_view unix_name(const address_view& where) noexcept {
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  if (where.family() != AF_UNIX || where.size <= start) return {};
  const char* const name = static_cast<const char*>(where.data) + start;
  const std::size_t size = where.size - start;
  return {name, *name == '\0' ? size : ::strnlen(name, size)};
}

address_key::address_key(const address_view& where) noexcept {
  switch (where.family()) {
    case AF_INET: {
      const auto inet = as<sockaddr_in>(where);
      append(inet.sin_addr);
      append(inet.sin_port);
      break;
    }
    case AF_INET6: {
      const auto inet6 = as<sockaddr_in6>(where);
      append(inet6.sin6_addr);
      append(inet6.sin6_port);
      append(inet6.sin6_scope_id);
      break;
    }
    case AF_UNIX: {
      const auto name = unix_name(where);
      append(name.data(), name.size());
      break;
    }
    default:
      append(where.data, where.size);
  }
}

void address_key::append(const void* bytes, std::size_t size) noexcept {
  if (size != 0) std::memcpy(bytes_ + size_, bytes, size);
  size_ += size;
}

service serves(const address_view& local, bool v6only, const address_view& wanted) noexcept {
  const auto local_inet = as_inet6(local);
  const auto wanted_inet = as_inet6(wanted);
  const bool are_inet = local_inet.sin6_family == AF_INET6 && wanted_inet.sin6_family == AF_INET6;
  if (are_inet) return serves_inet(local_inet, v6only, wanted_inet);
  if (wanted.family() == AF_UNSPEC || local.family() != wanted.family()) return service::none;
  const bool is_same_address = address_key(local).get() == address_key(wanted).get();
  return is_same_address || is_same_file(local, wanted) ? service::exact : service::none;
}

}  // namespace sd::detail

#endif
