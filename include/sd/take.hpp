#pragma once

#include <sd/address.hpp>
#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace sd {

/// By which of its marks a descriptor is chosen: any, a name, or an address.
/// Shape:   a name is that of `FileDescriptorName=`, compared byte for byte. An address is the one that a socket is
///          bound to. The same are: an IPv4 address and its v4-mapped form; `0.0.0.0` and a dual-stack `[::]` that was passed; paths
///          that lead to the same socket. A wildcard is not the same as an address that it includes.
class which {
 public:
  which() = default;
  which(const address& where) : where_(where) {}  // NOLINT(google-explicit-constructor): reads as the address it is

  [[nodiscard]] const std::optional<std::string>& name() const noexcept { return name_; }
  [[nodiscard]] const std::optional<address>& where() const noexcept { return where_; }

 private:
  friend which named(std::string name);

  std::optional<std::string> name_;
  std::optional<address> where_;
};

/// Those with this name.
[[nodiscard]] inline which named(std::string name) {
  which result;
  result.name_ = std::move(name);
  return result;
}

/// Takes the one descriptor of this kind out of the list. The others stay in it: what is left in the end was passed and
/// not asked for.
/// Errors:  `errc::not_passed`, `errc::wrong_kind` where the name or the address is there, but as another kind,
///          `errc::ambiguous` where there is more than one. On an error the list is as it was.
/// Threads: as the list.
/// Source:  systemd.socket(5)
[[nodiscard]] SD_EXPORT unique_fd take(std::vector<listen_fd>& fds, kind kind, const which& which, std::error_code& ec);

/// Takes all descriptors of this kind out of the list, in order. None is an empty answer; those of another kind stay.
/// Errors:  none but `std::bad_alloc`, on which the list is as it was.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> take_all(std::vector<listen_fd>& fds, kind kind,
                                                        const which& which = {});

#if SD_HAS_EXCEPTIONS
/// The same as with `ec`, but an error is thrown as `std::system_error`, whose `what()` says what was asked for, what
/// the list holds, and what to write in the unit.
[[nodiscard]] SD_EXPORT unique_fd take(std::vector<listen_fd>& fds, kind kind, const which& which = {});
#endif

/// The list as text, fit for a log: `3 "web" stream inet 127.0.0.1:80, 4 fifo /run/x`, or `nothing`.
[[nodiscard]] SD_EXPORT std::string to_string(const std::vector<listen_fd>& fds);

}  // namespace sd
