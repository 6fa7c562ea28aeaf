// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Selects passed descriptors by name, address and kind.

#include <sd/address.hpp>
#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>

#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sd {
inline namespace v0 {

/// Selects passed descriptors by name, by address, by both, or not at all.
///
/// A name is the one that `FileDescriptorName=` sets, compared byte for byte. An address is the one to which a socket
/// is bound. These count as the same address: an IPv4 address and its v4-mapped form; `0.0.0.0` and a dual-stack `[::]`
/// that was passed; paths that lead to the same socket. A wildcard address is not the same as an address that it
/// includes.
///
///     sd::named("web")
///     sd::address("[::]:80")
///     sd::named("web").at(sd::address("[::]:80"))
class selector {
 public:
  /// Selects every descriptor.
  selector() = default;
  /// Selects the sockets that are bound to `where`.
  selector(const address& where) : where_(where) {}  // NOLINT(google-explicit-constructor): an address is a selector

  /// Returns the selector with the additional condition that the socket is bound to `where`.
  [[nodiscard]] selector at(const address& where) const {
    selector result = *this;
    result.where_ = where;
    return result;
  }

  /// Returns the name to look for, if any.
  [[nodiscard]] const std::optional<std::string>& name() const noexcept { return name_; }
  /// Returns the address to look for, if any.
  [[nodiscard]] const std::optional<address>& where() const noexcept { return where_; }

 private:
  friend selector named(std::string name);

  std::optional<std::string> name_;
  std::optional<address> where_;
};

/// Selects the descriptors with the name `name`.
[[nodiscard]] inline selector named(std::string name) {
  selector result;
  result.name_ = std::move(name);
  return result;
}

/// Takes the one descriptor of this kind that the selector selects out of the list.
///
/// The other descriptors stay in the list, so that it finally holds what was passed and not used: see
/// `require_all_taken()`.
///
/// @param fds    The list that `listen_fds()` returned.
/// @param wanted The kind that the descriptor must have.
/// @param which  Selects the descriptor. A selector without conditions selects every descriptor.
/// @returns The descriptor and its name.
/// @par Errors
///   `errc::not_passed` if there is no such descriptor, `errc::wrong_kind` if the name or address was passed, but not
///   as a descriptor of this kind, `errc::ambiguous` if there is more than one. The list is unchanged then.
/// @threadsafety Distinct lists may be used from different threads.
/// @see systemd.socket(5)
[[nodiscard]] SD_EXPORT listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which,
                                       std::error_code& ec);
/// Does the same as the overload with `which`, with a selector that selects every descriptor.
[[nodiscard]] inline listen_fd take(std::vector<listen_fd>& fds, kind wanted, std::error_code& ec) {
  return take(fds, wanted, {}, ec);
}

/// Takes the one descriptor of this kind that the selector selects out of the list, if it was passed.
///
/// @param fds    The list that `listen_fds()` returned.
/// @param wanted The kind that the descriptor must have.
/// @param which  Selects the descriptor.
/// @returns The descriptor and its name, or nothing if there is no such descriptor.
/// @par Errors
///   Those of `take()` except `errc::not_passed`.
/// @threadsafety Distinct lists may be used from different threads.
[[nodiscard]] SD_EXPORT std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted,
                                                          const selector& which, std::error_code& ec);
/// Does the same as the overload with `which`, with a selector that selects every descriptor.
[[nodiscard]] inline std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted, std::error_code& ec) {
  return try_take(fds, wanted, {}, ec);
}

/// Takes all descriptors of this kind that the selector selects out of the list.
///
/// @param fds    The list that `listen_fds()` returned.
/// @param wanted The kind that the descriptors must have.
/// @param which  Selects the descriptors.
/// @returns The descriptors in the order in which they were passed; an empty list if there is none.
/// @throws std::bad_alloc The list is unchanged then.
/// @threadsafety Distinct lists may be used from different threads.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> take_all(std::vector<listen_fd>& fds, kind wanted,
                                                        const selector& which = {});

/// Fails if the list still holds a descriptor.
///
/// Call it at the end of the set-up. A socket that was passed and not taken accepts connections that are never served,
/// and a mismatch between the socket unit and the service is otherwise easy to miss.
///
/// @param fds The list that `listen_fds()` returned.
/// @par Errors
///   `errc::not_taken` if the list is not empty.
/// @threadsafety Distinct lists may be used from different threads.
SD_EXPORT void require_all_taken(const std::vector<listen_fd>& fds, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names what was asked for, what was passed, and what to
///         write in the socket unit.
[[nodiscard]] SD_EXPORT listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which = {});
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error as `take()` does.
[[nodiscard]] SD_EXPORT std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted,
                                                          const selector& which = {});
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` lists the descriptors.
SD_EXPORT void require_all_taken(const std::vector<listen_fd>& fds);
#endif

/// Returns `fds` as text for a log: `3 "web" stream inet 127.0.0.1:80, 4 fifo /run/x`, or `nothing`.
[[nodiscard]] SD_EXPORT std::string to_string(const std::vector<listen_fd>& fds);

}  // namespace v0
}  // namespace sd
