#pragma once

#include <sd/config.hpp>

#include <system_error>
#include <type_traits>

namespace sd {

/// What was wrong: one code per variable and defect, and one for each way in which what was passed is not what was
/// asked for. Failed system calls are reported with their `errno` in `std::generic_category()` instead.
/// Source:  sd_listen_fds(3), systemd.socket(5)
enum class errc {
  malformed_listen_pid = 1,          ///< `LISTEN_PID` is not a decimal number
  listen_pid_out_of_range,           ///< `LISTEN_PID` is larger than any pid
  malformed_listen_pidfdid,          ///< `LISTEN_PIDFDID` is not a decimal number
  listen_pidfdid_out_of_range,       ///< `LISTEN_PIDFDID` does not fit 64 bits
  malformed_listen_fds,              ///< `LISTEN_FDS` is not a decimal number
  listen_fds_out_of_range,           ///< `LISTEN_FDS` counts more descriptors than there are numbers for
  malformed_listen_fds_first_fd,     ///< `LISTEN_FDS_FIRST_FD` is not a decimal number
  listen_fds_first_fd_out_of_range,  ///< `LISTEN_FDS_FIRST_FD` is below 3, or the descriptors would exceed the largest
                                     ///< number
  already_claimed,                   ///< a descriptor is close-on-exec already, so other code of this process owns it
  already_taken,            ///< this process has taken the descriptors before, which `required` does not accept
  not_activated,            ///< nothing was passed to this process, which `required` does not accept
  malformed_address,        ///< the text is no address of systemd.socket(5)
  port_out_of_range,        ///< the port of an internet address exceeds 65535
  host_name,                ///< the text has a host name instead of an IP address
  not_passed,               ///< no such descriptor was passed
  wrong_kind,               ///< the descriptor is not of the kind that was asked for
  ambiguous,                ///< more than one such descriptor was passed
  not_taken,                ///< a descriptor was passed that this process does not use
  malformed_watchdog_usec,  ///< `WATCHDOG_USEC` is not a decimal number, or no period
  malformed_watchdog_pid,   ///< `WATCHDOG_PID` is not a pid
};

/// The category of `sd::errc`; its name is "sd".
/// Threads: safe from any thread.
[[nodiscard]] SD_EXPORT const std::error_category& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

}  // namespace sd

template <>
struct std::is_error_code_enum<sd::errc> : std::true_type {};
