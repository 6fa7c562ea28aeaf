// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Takes the file descriptors that the service manager passed.

#include <sd/config.hpp>
#include <sd/error.hpp>
#include <sd/unique_fd.hpp>

#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace sd {
inline namespace v0 {

/// A file descriptor that the service manager passed, and its name.
/// @see sd_listen_fds(3), systemd.socket(5)
struct listen_fd {
  /// The name that `FileDescriptorName=` sets, byte for byte. It may be empty and need not be unique. `nullopt` if the
  /// service manager passed fewer names than descriptors.
  std::optional<std::string> name;
  /// The descriptor: open and close-on-exec.
  unique_fd fd;
};

/// Options for `listen_fds()`. Combine them with `|`.
enum class listen_options : unsigned {
  /// No options.
  none = 0,
  /// Removes `LISTEN_PID`, `LISTEN_PIDFDID`, `LISTEN_FDS`, `LISTEN_FDS_FIRST_FD` and `LISTEN_FDNAMES` from the
  /// environment unless there is an error. Like unsetenv(3), this is not thread-safe.
  unset_environment = 1,
  /// Accepts a `LISTEN_PID` and a `LISTEN_PIDFDID` that are missing or another process's, for programs that run under a
  /// wrapper. Nothing proves then that the descriptors are meant for this process: in a child that merely inherited the
  /// variables, descriptor 3 may be anything.
  any_pid = 2,
  /// Makes an empty list an error, for services that cannot work without a socket: `errc::not_activated`, or
  /// `errc::already_taken` on a second call.
  required = 4,
};

[[nodiscard]] constexpr listen_options operator|(listen_options a, listen_options b) noexcept {
  return static_cast<listen_options>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr listen_options operator&(listen_options a, listen_options b) noexcept {
  return static_cast<listen_options>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr listen_options& operator|=(listen_options& a, listen_options b) noexcept { return a = a | b; }

/// Takes ownership of the file descriptors that the service manager passed to this process.
///
/// @param options See `listen_options`.
/// @returns One entry per descriptor, in the order in which they were passed: entry i was descriptor 3 + i, or
///          `LISTEN_FDS_FIRST_FD` + i if that variable is set. All are open and close-on-exec. The list is empty if
///          nothing was passed to this process, if the descriptors were taken before, and on platforms without the
///          protocol.
/// @par Errors
///   An `sd::errc` if the variables are meant for this process but are wrong, `EBADF` if a descriptor is not open, or
///   the errno of a failed check of `LISTEN_PIDFDID`. After an error, including `std::bad_alloc`, nothing has been
///   adopted, closed, marked or unset, and the next call finds everything as it was.
/// @threadsafety Safe from any thread, except with `listen_options::unset_environment`. If several threads call it at
///               once, exactly one receives the descriptors. The others get an empty list, even if that call then
///               fails.
/// @see sd_listen_fds(3)
[[nodiscard]] SD_EXPORT std::vector<listen_fd> listen_fds(listen_options options, std::error_code& ec);

/// Does the same as the overload with `options`, without options.
[[nodiscard]] inline std::vector<listen_fd> listen_fds(std::error_code& ec) {
  return listen_fds(listen_options::none, ec);
}

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the variable and its value.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> listen_fds(listen_options options = listen_options::none);
#endif

}  // namespace v0
}  // namespace sd
