// SPDX-License-Identifier: MIT OR Apache-2.0
#include "supervision.hpp"

#include "service_unit.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace sd::activate {

const char* to_string(outcome how) noexcept {
  switch (how) {
    case outcome::success:
      break;
    case outcome::protocol:
      return "protocol";
    case outcome::timeout:
      return "timeout";
    case outcome::exit_code:
      return "exit-code";
    case outcome::signal:
      return "signal";
    case outcome::core_dump:
      return "core-dump";
    case outcome::watchdog:
      return "watchdog";
  }
  return "success";
}

bool exit_statuses::contains(int status) const noexcept {
  const auto& list = WIFSIGNALED(status) ? signals : statuses;
  const int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  return std::find(list.begin(), list.end(), number) != list.end();
}

std::string describe_status(int status) {
  if (WIFSIGNALED(status)) return "killed by " + signal_name(WTERMSIG(status));
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

int shell_status(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

bool is_success(const service_unit& unit, int status) {
  if (unit.success_statuses.contains(status)) return true;
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status) == 0;
  const int signal = WTERMSIG(status);
  const bool is_clean = signal == SIGHUP || signal == SIGINT || signal == SIGTERM || signal == SIGPIPE;
  return is_clean && unit.type != service_type::oneshot;
}

bool lacks_resources(const std::error_code& error) noexcept {
  return error.category() == std::generic_category() &&
         (error.value() == EMFILE || error.value() == ENFILE || error.value() == ENOMEM || error.value() == EAGAIN);
}

bool is_restarted(const service_unit& unit, const service_result& result) noexcept {
  if (result.main_status && unit.restart_prevent_statuses.contains(*result.main_status)) return false;
  if (result.main_status && unit.restart_force_statuses.contains(*result.main_status)) return true;
  const auto how = result.how;
  const bool is_abort = how == outcome::signal || how == outcome::core_dump;
  switch (unit.restart) {
    case restart_policy::no:
      break;
    case restart_policy::always:
      return true;
    case restart_policy::on_success:
      return how == outcome::success;
    case restart_policy::on_failure:
      return how != outcome::success;
    case restart_policy::on_abnormal:
      return how != outcome::success && how != outcome::exit_code;
    case restart_policy::on_abort:
      return is_abort;
    case restart_policy::on_watchdog:
      return how == outcome::watchdog;
  }
  return false;
}

bool rate_limit::admits(clock::time_point now) noexcept {
  if (!is_set()) return true;
  if (!begin_ || now - *begin_ > interval_) {
    begin_ = now;
    count_ = 0;
  }
  return ++count_ <= burst_;
}

std::string to_text(const rate_limit& limit) {
  return fmt::format("{} times in {}", limit.burst(), to_text(limit.interval()));
}

std::string exceeded_trigger_limit(const std::string& unit, const rate_limit& limit) {
  return fmt::format(
      "{}: traffic starts the service more often than {}, which TriggerLimitBurst= and TriggerLimitIntervalSec= allow; "
      "the sockets are closed",
      unit, to_text(limit));
}

start_pauses::duration start_pauses::after_run(bool is_short) noexcept {
  constexpr duration first = std::chrono::milliseconds(20);
  constexpr duration longest = std::chrono::seconds(10);
  pause_ = is_short ? std::clamp(pause_ * 2, first, longest) : duration::zero();
  return pause_;
}

}  // namespace sd::activate
