// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Names the errors that no system call reports.
///
/// A function that can fail because of its environment has two forms. The form with a parameter `std::error_code& ec`
/// sets `ec` to the error, or clears it on success. The form without `ec` throws `std::system_error` with the same
/// error.

#include <sd/config.hpp>

#include <system_error>
#include <type_traits>

namespace sd {
inline namespace v0 {

/// Errors that no system call reports. A failed system call is reported with its errno in `std::generic_category()`
/// instead.
/// @see sd_listen_fds(3), systemd.socket(5)
enum class errc {
  malformed_listen_pid = 1,          ///< `LISTEN_PID` is not a decimal number.
  listen_pid_out_of_range,           ///< `LISTEN_PID` exceeds the largest possible pid.
  malformed_listen_pidfdid,          ///< `LISTEN_PIDFDID` is not a decimal number.
  listen_pidfdid_out_of_range,       ///< `LISTEN_PIDFDID` exceeds 64 bits.
  malformed_listen_fds,              ///< `LISTEN_FDS` is not a decimal number.
  listen_fds_out_of_range,           ///< `LISTEN_FDS` exceeds the largest possible number of descriptors.
  malformed_listen_fds_first_fd,     ///< `LISTEN_FDS_FIRST_FD` is not a decimal number.
  listen_fds_first_fd_out_of_range,  ///< `LISTEN_FDS_FIRST_FD` is below 3 or leaves no room for `LISTEN_FDS`
                                     ///< descriptors.
  already_claimed,                   ///< A descriptor is close-on-exec already, so other code in this process owns it.
  already_taken,                     ///< This process has already taken the descriptors (`listen_options::required`).
  not_activated,                     ///< No descriptor was passed to this process (`listen_options::required`).
  malformed_address,                 ///< The text is not an address of systemd.socket(5).
  port_out_of_range,                 ///< The port of an internet address exceeds 65535.
  host_name,                         ///< The address has a host name instead of an IP address.
  not_passed,                        ///< No such descriptor was passed.
  wrong_kind,                        ///< The descriptor is not of the kind that was asked for.
  ambiguous,                         ///< More than one such descriptor was passed.
  not_taken,                         ///< A passed descriptor is not used by this program.
  malformed_watchdog_usec,           ///< `WATCHDOG_USEC` is not a period in microseconds.
  malformed_watchdog_pid,            ///< `WATCHDOG_PID` is not a pid.
};

/// Returns the category of `sd::errc`, which is named "sd".
/// @threadsafety Safe from any thread.
[[nodiscard]] SD_EXPORT const std::error_category& error_category() noexcept;

/// Returns the error code for `code`.
[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

}  // namespace v0
}  // namespace sd

template <>
struct std::is_error_code_enum<sd::errc> : std::true_type {};
