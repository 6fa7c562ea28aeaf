// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "os/platform.hpp"

#include <cstddef>
#include <string_view>

// Compares the addresses of sockets. Part of the core.
#if SD_HAS_DESCRIPTORS

namespace sd::detail {

/// A sockaddr of `size` bytes, which are at most those of a `sockaddr_storage`. `data` need not be aligned.
struct address_view {
  const void* data = nullptr;
  std::size_t size = 0;

  /// Returns the family, or `AF_UNSPEC` (0) if there is no address.
  [[nodiscard]] int family() const noexcept;
};

/// Returns a view of the name of a unix socket: a path, an abstract name including its leading NUL, or nothing.
std::string_view unix_name(const address_view& where) noexcept;

/// The bytes of an address that distinguish it from others of its family, in the order in which they are compared.
class address_key {
 public:
  explicit address_key(const address_view& where) noexcept;

  [[nodiscard]] std::string_view get() const noexcept { return {bytes_, size_}; }

 private:
  template <class Value>
  void append(const Value& value) noexcept {
    append(&value, sizeof value);
  }
  void append(const void* bytes, std::size_t size) noexcept;

  char bytes_[128];
  std::size_t size_ = 0;
};

/// How well a socket serves an address.
enum class service {
  none,
  wildcard,  ///< The socket is bound to [::] without IPV6_V6ONLY, and the wanted address is 0.0.0.0.
  exact,     ///< The socket is bound to this address, perhaps in another form: as a v4-mapped one, or by another path.
};
/// Returns how well a socket that is bound to `local` serves an address. A socket at 0.0.0.0 or [::] does not serve a
/// specific address such as 127.0.0.1.
service serves(const address_view& local, bool v6only, const address_view& wanted) noexcept;

}  // namespace sd::detail

#endif
