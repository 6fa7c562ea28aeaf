// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "values.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

// What follows the end of a run of a service: functions of the unit and of how the run ended.
namespace sd::activate {

struct service_unit;

/// How a run of a service ended.
enum class outcome { success, protocol, timeout, exit_code, signal, core_dump, watchdog };

/// Returns the value of SERVICE_RESULT.
const char* to_string(outcome how) noexcept;

/// The outcomes after which a service is started again: Restart=.
enum class restart_policy { no, on_success, on_failure, on_abnormal, on_abort, on_watchdog, always };

/// A list of ends of a process, as in SuccessExitStatus=.
struct exit_statuses {
  std::vector<int> statuses;
  std::vector<int> signals;

  /// @param status That of waitpid(2).
  [[nodiscard]] bool contains(int status) const noexcept;
};

/// How a service ended.
struct service_result {
  outcome how = outcome::success;
  int exit_status = 0;                  ///< as a shell has it: 128 + the signal for a killed process
  std::string description = "stopped";  ///< or "exited with status 1", for example
  bool lacks_resources = false;         ///< whether it could not be started because there are too few resources
  std::optional<int> main_status;       ///< that of waitpid(2) for the main process, if it has run

  [[nodiscard]] bool is_success() const noexcept { return how == outcome::success; }
};

/// These take a status of waitpid(2).
std::string describe_status(int status);
int shell_status(int status);  ///< 128 + the signal for a killed process
bool is_success(const service_unit& unit, int status);

/// Returns whether an error may go away when other processes have ended.
bool lacks_resources(const std::error_code& error) noexcept;

/// Returns whether the unit asks for another start after a run that ended like this.
bool is_restarted(const service_unit& unit, const service_result& result) noexcept;

/// Limits how often something happens. Without a limit if the interval or the burst is zero.
class rate_limit {
 public:
  using clock = std::chrono::steady_clock;

  rate_limit() noexcept = default;
  rate_limit(period interval, unsigned burst) noexcept : interval_(interval), burst_(burst) {}
  /// A limit of a unit. Without a limit if the unit sets neither the interval nor the burst.
  rate_limit(std::optional<period> interval, std::optional<unsigned> burst, period default_interval,
             unsigned default_burst) noexcept {
    if (!interval && !burst) return;
    interval_ = interval.value_or(default_interval);
    burst_ = burst.value_or(default_burst);
  }

  [[nodiscard]] bool is_set() const noexcept { return interval_ != period::zero() && burst_ != 0; }
  [[nodiscard]] period interval() const noexcept { return interval_; }
  [[nodiscard]] unsigned burst() const noexcept { return burst_; }

  /// Takes note that it happens. Returns false if that is more often than allowed.
  [[nodiscard]] bool admits(clock::time_point now) noexcept;

 private:
  period interval_ = period::zero();
  unsigned burst_ = 0;
  std::optional<clock::time_point> begin_;  ///< of the current interval
  unsigned count_ = 0;
};

/// Returns what a limit allows, such as "5 times in 10 s".
std::string to_text(const rate_limit& limit);
/// Returns the message for a socket unit whose traffic starts its service more often than it allows.
std::string exceeded_trigger_limit(const std::string& unit, const rate_limit& limit);

/// The pause between two attempts to start a service while descriptors, processes or memory are scarce.
inline constexpr period shortage_pause = std::chrono::milliseconds(100);

/// The pauses between the starts of a service that ends as soon as it is started.
class start_pauses {
 public:
  using duration = std::chrono::milliseconds;

  /// Takes note that a run has ended, and returns the pause before the next start.
  ///
  /// @param is_short Whether it ended so early that the service may be in a crash loop.
  duration after_run(bool is_short) noexcept;
  void reset() noexcept { pause_ = duration::zero(); }
  /// Returns whether the last run was one of a crash loop.
  [[nodiscard]] bool is_crash_loop() const noexcept { return pause_ != duration::zero(); }

 private:
  duration pause_{};
};

}  // namespace sd::activate
