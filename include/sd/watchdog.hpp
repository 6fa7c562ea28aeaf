// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Reports to the service manager that the service is alive.

#include <sd/config.hpp>

#include <chrono>
#include <optional>
#include <system_error>

namespace sd {
inline namespace v0 {

/// Returns the period within which this process must report that it is alive: `WatchdogSec=`. Report twice as often.
///
/// @returns `nullopt` if no watchdog is set for this process.
/// @par Errors
/// `errc::malformed_watchdog_usec` or `errc::malformed_watchdog_pid` if that variable is set and malformed.
/// @threadsafety Safe from any thread as long as no thread changes the environment.
/// @see sd_watchdog_enabled(3)
[[nodiscard]] SD_EXPORT std::optional<std::chrono::microseconds> watchdog_period(std::error_code& ec) noexcept;

/// Reports from within an event loop that the service is alive.
///
///     sd::watchdog watchdog(sd::watchdog_period());
///     while (...) {
///       poll(fds, n, watchdog.timeout());
///       watchdog.keep_alive();
///     }
///
/// Without a period it does nothing. Use it in the loop that does the work, because the watchdog is meant to notice if
/// that loop hangs.
///
/// @note Errors are not reported. If `WATCHDOG=1` cannot be sent, `keep_alive()` tries again after a quarter of the
///       interval, so there are three more attempts before the period is over.
/// @threadsafety One object must not be used by several threads at once.
/// @see sd_watchdog_enabled(3), sd_notify(3)
class watchdog {
 public:
  /// Starts to report within `period`, which `watchdog_period()` returns. Nothing is sent if it is `nullopt`.
  SD_EXPORT explicit watchdog(std::optional<std::chrono::microseconds> period) noexcept;

  /// Returns half of the period, at least a millisecond: how often a timer must call `keep_alive()`. `nullopt` if there
  /// is no watchdog.
  [[nodiscard]] std::optional<std::chrono::milliseconds> interval() const noexcept { return interval_; }
  /// Returns how long to wait until the next call of `keep_alive()`, in milliseconds as poll(2) takes them: 0 if the
  /// call is due, -1 if there is no watchdog.
  [[nodiscard]] SD_EXPORT int timeout() const noexcept;
  /// Sends `WATCHDOG=1` if it is due. May be called at any time.
  SD_EXPORT void keep_alive() noexcept;

 private:
  using clock = std::chrono::steady_clock;

  std::optional<std::chrono::milliseconds> interval_;
  clock::time_point next_;
};

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the variable and its value.
[[nodiscard]] SD_EXPORT std::optional<std::chrono::microseconds> watchdog_period();
#endif

}  // namespace v0
}  // namespace sd
