// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Parses, prints and compares the addresses of sockets.

#include <sd/config.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace sd {
inline namespace v0 {

/// Holds the address of a socket, as bind(2) takes it and as `ListenStream=` of a socket unit writes it.
///
/// The text is one of `/path`, `@abstract`, `IPV4:PORT`, `[IPV6]:PORT`, `[IPV6]:PORT%INTERFACE`, `vsock:CID:PORT`,
/// `vsock::PORT` for any context id, or `PORT` alone for all addresses of the host: `[::]:PORT`, or `0.0.0.0:PORT` if
/// the kernel has no IPv6. Host and service names are not resolved. In a unit file, `%` must be written as `%%`.
/// @threadsafety Distinct objects may be used from different threads, and one object may be read by several threads.
/// @see systemd.socket(5), sockaddr(3type)
class address {
 public:
  /// Makes an empty address, which stands for no socket at all. A unix socket without a name has an address that is not
  /// empty.
  constexpr address() noexcept = default;

#if SD_HAS_EXCEPTIONS
  /// Parses `text`.
  ///
  /// @throws std::system_error with one of the errors of the other constructor. Its `what()` contains the text.
  SD_EXPORT explicit address(std::string_view text);
#endif

  /// Parses `text`. The address is empty after an error.
  ///
  /// @par Errors
  /// `errc::port_out_of_range` for an internet port above 65535; `errc::host_name` for `NAME:PORT`;
  /// `errc::malformed_address` for other text that is no address; `ENODEV` if there is no such network interface, or
  /// another errno if it cannot be looked up (such as `EMFILE`); `ENAMETOOLONG` for a path that does not fit; `ENOSYS`
  /// on platforms without these sockets.
  address(std::string_view text, std::error_code& ec) noexcept { ec = assign(text); }

  /// Parses `text`, for callers that do not need the reason of a failure.
  ///
  /// @returns Nothing on any error.
  [[nodiscard]] static std::optional<address> parse(std::string_view text) noexcept {
    std::error_code ec;
    const address parsed(text, ec);
    return ec ? std::nullopt : std::optional<address>(parsed);
  }

  /// Returns the address of `port` on all addresses of the host, as the text `PORT` does. It is empty on platforms
  /// without these sockets.
  [[nodiscard]] SD_EXPORT static address any(std::uint16_t port) noexcept;

  /// Copies `sockaddr`, the address of a system call, which has `size` bytes. Bytes beyond the size of a
  /// `sockaddr_storage` are cut off.
  [[nodiscard]] SD_EXPORT static address from_sockaddr(const void* sockaddr, std::size_t size) noexcept;

  /// Returns the `sockaddr` to pass to system calls, of `size()` bytes.
  [[nodiscard]] const void* data() const noexcept { return &storage_; }
  /// Returns the size of the `sockaddr`, which is 0 for an empty address.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Returns whether the address is not empty.
  [[nodiscard]] explicit operator bool() const noexcept { return size_ != 0; }

  /// Returns `AF_INET`, `AF_INET6`, `AF_UNIX`, `AF_VSOCK` or another family, and `AF_UNSPEC` (0) for an empty address.
  [[nodiscard]] SD_EXPORT int family() const noexcept;
  /// Returns the port of an internet or vsock address, and 0 for other addresses.
  [[nodiscard]] SD_EXPORT unsigned port() const noexcept;
  /// Returns the path of a unix socket. It is empty for other addresses, including abstract names.
  [[nodiscard]] SD_EXPORT std::string_view path() const noexcept;

  /// Compares what the addresses refer to: bytes that the family does not use, and the flow label of IPv6, are ignored.
  [[nodiscard]] friend bool operator==(const address& a, const address& b) noexcept { return a.compare(b) == 0; }
  [[nodiscard]] friend bool operator!=(const address& a, const address& b) noexcept { return a.compare(b) != 0; }
  /// Orders addresses, for use in containers. Addresses of one family are together; internet addresses with the same
  /// host are sorted by port.
  [[nodiscard]] friend bool operator<(const address& a, const address& b) noexcept { return a.compare(b) < 0; }

 private:
  friend struct std::hash<address>;

  [[nodiscard]] SD_EXPORT int compare(const address& other) const noexcept;
  [[nodiscard]] SD_EXPORT std::size_t hash() const noexcept;
  SD_EXPORT std::error_code assign(std::string_view text) noexcept;

  struct alignas(8) {
    unsigned char bytes[128];
  } storage_{};
  std::size_t size_ = 0;
};

/// Returns `where` in the form that `address` parses. The names of unix sockets are not escaped.
[[nodiscard]] SD_EXPORT std::string to_string(const address& where);

/// Writes `to_string(where)`. The caller includes `<ostream>`.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const address& where) {
  return out << to_string(where);
}

}  // namespace v0
}  // namespace sd

/// Hashes an address consistently with `==`.
template <>
struct std::hash<sd::address> {
  [[nodiscard]] std::size_t operator()(const sd::address& where) const noexcept { return where.hash(); }
};
