// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>
#include <sd/notify.hpp>
#include <sd/watchdog.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/protocol.hpp"
#include "detail/text.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <string>

namespace sd {
inline namespace v0 {

namespace {

using namespace std::chrono;

std::error_code code_of(const detail::fault& why) noexcept {
  return why ? std::error_code(why.code) : std::error_code();
}

std::optional<microseconds> period(detail::fault& why) noexcept {
  std::uint64_t usec = 0;
  const char* const text = detail::os::get_environment("WATCHDOG_USEC");
  const char* const pid = detail::os::get_environment("WATCHDOG_PID");
  if (!detail::watchdog_period(text, pid, detail::os::process_id(), usec, why)) return std::nullopt;
  return microseconds(static_cast<std::int64_t>(usec));
}

}  // namespace

std::optional<microseconds> watchdog_period(std::error_code& ec) noexcept {
  detail::fault why;
  const auto result = period(why);
  ec = code_of(why);
  return result;
}

watchdog::watchdog(std::optional<microseconds> period) noexcept : next_(clock::now()) {
  // poll(2) can wait no longer than INT_MAX milliseconds.
  if (period) interval_ = std::clamp(duration_cast<milliseconds>(*period / 2), milliseconds(1), milliseconds(INT_MAX));
}

int watchdog::timeout() const noexcept {
  if (!interval_) return -1;
  const auto left = ceil<milliseconds>(next_ - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

void watchdog::keep_alive() noexcept {
  const auto now = clock::now();
  if (!interval_ || now < next_) return;
  std::error_code ec;
  notify({state::watchdog()}, ec);
  // At most three more attempts before the period is over, and none of them at once: the caller's loop would spin.
  next_ = now + (ec ? std::max(*interval_ / 4, milliseconds(1)) : *interval_);
}

#if SD_HAS_EXCEPTIONS
std::optional<microseconds> watchdog_period() {
  detail::fault why;
  const auto result = period(why);
  if (why) throw std::system_error(code_of(why), why.variable + ('=' + detail::quoted(why.value)));
  return result;
}
#endif

}  // namespace v0
}  // namespace sd
