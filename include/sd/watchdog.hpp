#pragma once

#include <sd/config.hpp>

#include <chrono>
#include <optional>
#include <system_error>

namespace sd {

/// How often this process has to say that it is alive, if it has to: the period of `WatchdogSec=`. Say so twice as
/// often.
/// Shape:   `nullopt` where no watchdog watches this process.
/// Errors:  `WATCHDOG_USEC` or `WATCHDOG_PID` is there and wrong: `errc::malformed_watchdog_usec`,
///          `errc::malformed_watchdog_pid`.
/// Threads: safe from any thread while nobody changes the environment.
/// Source:  sd_watchdog_enabled(3)
[[nodiscard]] SD_EXPORT std::optional<std::chrono::microseconds> watchdog_period(std::error_code& ec) noexcept;

/// Keeps the watchdog content, from within an event loop.
///
///     sd::watchdog watchdog(sd::watchdog_period());
///     while (...) {
///       poll(fds, n, watchdog.timeout());
///       watchdog.keep_alive();
///     }
///
/// Shape:   without a period it does nothing.
/// Errors:  none: a keep-alive that could not be sent is tried again with the next call.
/// Threads: one object from one thread at a time. Say that you are alive from where the work is done, for that is what
///          is watched.
/// Source:  sd_watchdog_enabled(3), sd_notify(3)
class watchdog {
 public:
  SD_EXPORT explicit watchdog(std::optional<std::chrono::microseconds> period) noexcept;

  /// Half of the period: how often to call, where a timer does; `nullopt` where nobody watches.
  [[nodiscard]] std::optional<std::chrono::milliseconds> interval() const noexcept { return interval_; }
  /// How long to wait, in milliseconds as poll(2) takes it, until a call is worth it; -1 where nobody watches.
  [[nodiscard]] SD_EXPORT int timeout() const noexcept;
  /// Says `WATCHDOG=1`, if the interval is over: call it as often as you like.
  SD_EXPORT void keep_alive() noexcept;

 private:
  using clock = std::chrono::steady_clock;

  std::optional<std::chrono::milliseconds> interval_;
  clock::time_point next_;
};

#if SD_HAS_EXCEPTIONS
/// The same as with `ec`, but an error is thrown as `std::system_error`, whose `what()` names the variable and its
/// value.
[[nodiscard]] SD_EXPORT std::optional<std::chrono::microseconds> watchdog_period();
#endif

}  // namespace sd
