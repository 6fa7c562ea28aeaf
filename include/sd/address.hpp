#pragma once

#include <sd/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace sd {

/// Where a socket is bound: what bind(2) takes, and as text what `ListenStream=` of a socket unit says.
/// Shape:   `/path`, `@abstract`, `IPV4:PORT`, `[IPV6]:PORT`, `[IPV6]:PORT%INTERFACE`, `vsock:CID:PORT`, `vsock::PORT`
///          for any context id, or `PORT` alone, which is `[::]:PORT`. No host or service names: nothing is resolved.
/// Errors:  `errc::malformed_address`; `ENODEV` for an interface that is not there; `ENAMETOOLONG` for a path that
///          does not fit; `ENOSYS` on platforms without these sockets.
/// Threads: as an int.
/// Source:  systemd.socket(5), sockaddr(3type)
class address {
 public:
  /// No address at all: where there is no socket. (A unix socket without a name has an address that says so.)
  constexpr address() noexcept = default;
  /// On an error it is the empty one.
  address(std::string_view text, std::error_code& ec) noexcept { ec = parse(text); }
#if SD_HAS_EXCEPTIONS
  /// An error is thrown as `std::system_error`, whose `what()` holds the text.
  SD_EXPORT explicit address(std::string_view text);
#endif

  /// From a `sockaddr` of `size` bytes. What is longer than a `sockaddr_storage` is cut.
  [[nodiscard]] SD_EXPORT static address from_sockaddr(const void* sockaddr, std::size_t size) noexcept;

  /// The `sockaddr`, for the calls of the system, and its size. An empty address has size 0.
  [[nodiscard]] const void* data() const noexcept { return &storage_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] explicit operator bool() const noexcept { return size_ != 0; }

  /// `AF_INET`, `AF_INET6`, `AF_UNIX`, `AF_VSOCK`, ...; `AF_UNSPEC` (0) where the address is empty.
  [[nodiscard]] SD_EXPORT int family() const noexcept;
  /// The port of an internet or vsock address; 0 for others.
  [[nodiscard]] SD_EXPORT unsigned port() const noexcept;
  /// The path of a unix socket; empty for others, abstract ones included.
  [[nodiscard]] SD_EXPORT std::string_view path() const noexcept;

  [[nodiscard]] friend bool operator==(const address& a, const address& b) noexcept { return a.equals(b); }
  [[nodiscard]] friend bool operator!=(const address& a, const address& b) noexcept { return !(a == b); }

 private:
  [[nodiscard]] SD_EXPORT bool equals(const address& other) const noexcept;
  SD_EXPORT std::error_code parse(std::string_view text) noexcept;

  struct alignas(8) {
    unsigned char bytes[128];
  } storage_{};
  std::size_t size_ = 0;
};

/// The form that `address` reads. Names of unix sockets are verbatim.
[[nodiscard]] SD_EXPORT std::string to_string(const address& where);

}  // namespace sd
