// SPDX-License-Identifier: MIT OR Apache-2.0
#include "protocol.hpp"

#include <climits>
#include <cstring>

namespace sd::detail {

namespace {

struct variable {
  const char* name;
  std::uint64_t max;
  errc malformed;
  errc out_of_range;
};

constexpr variable listen_pid{"LISTEN_PID", INT_MAX, errc::malformed_listen_pid, errc::listen_pid_out_of_range};
constexpr variable listen_pidfdid{"LISTEN_PIDFDID", UINT64_MAX, errc::malformed_listen_pidfdid,
                                  errc::listen_pidfdid_out_of_range};
constexpr variable listen_fds{"LISTEN_FDS", INT_MAX - first_descriptor, errc::malformed_listen_fds,
                              errc::listen_fds_out_of_range};
constexpr variable first_fd{"LISTEN_FDS_FIRST_FD", INT_MAX, errc::malformed_listen_fds_first_fd,
                            errc::listen_fds_first_fd_out_of_range};
constexpr variable watchdog_usec_variable{"WATCHDOG_USEC", INT64_MAX, errc::malformed_watchdog_usec,
                                          errc::malformed_watchdog_usec};
constexpr variable watchdog_pid_variable{"WATCHDOG_PID", INT_MAX, errc::malformed_watchdog_pid,
                                         errc::malformed_watchdog_pid};

bool parse(const variable& which, const char* text, std::uint64_t& value, fault& why) noexcept {
  const auto result = parse_decimal(text, which.max, value);
  if (result == number::ok) return true;
  why.code = result == number::malformed ? which.malformed : which.out_of_range;
  why.variable = which.name;
  why.value = text;
  why.out_of_range = result == number::out_of_range;
  return false;
}

}  // namespace

number parse_decimal(std::string_view text, std::uint64_t max, std::uint64_t& value) noexcept {
  if (text.empty()) return number::malformed;
  value = 0;
  bool fits = true;  // if not, read to the end: a number of any size is malformed if other characters follow
  for (const char c : text) {
    if (c < '0' || c > '9') return number::malformed;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    fits = fits && digit <= max && value <= (max - digit) / 10;
    if (fits) value = value * 10 + digit;
  }
  return fits ? number::ok : number::out_of_range;
}

addressee addressed_to(const environment& env, int pid, listen_options options, std::uint64_t& pidfdid,
                       fault& why) noexcept {
  const bool any_pid = (options & listen_options::any_pid) != listen_options::none;
  if (env.listen_fds == nullptr) return addressee::another;

  std::uint64_t listen_pid_value = 0;  // without LISTEN_PID, that of no process
  if (env.listen_pid != nullptr && !parse(listen_pid, env.listen_pid, listen_pid_value, why)) return addressee::another;
  if (!any_pid && listen_pid_value != static_cast<std::uint64_t>(pid)) return addressee::another;

  if (env.listen_pidfdid == nullptr) return addressee::this_one;
  if (!parse(listen_pidfdid, env.listen_pidfdid, pidfdid, why)) return addressee::another;
  return any_pid ? addressee::this_one : addressee::by_pidfdid;
}

descriptor_range passed_range(const environment& env, fault& why) noexcept {
  std::uint64_t count = 0;
  if (!parse(listen_fds, env.listen_fds, count, why)) return {};
  std::uint64_t first = first_descriptor;
  if (env.listen_fds_first_fd != nullptr) {
    if (!parse(first_fd, env.listen_fds_first_fd, first, why)) return {};
    if (first < first_descriptor || first + count > INT_MAX) {
      why.code = first_fd.out_of_range;
      why.variable = first_fd.name;
      why.value = env.listen_fds_first_fd;
      why.out_of_range = true;
      return {};
    }
  }
  return {static_cast<int>(first), static_cast<int>(count)};
}

bool watchdog_period(const char* watchdog_usec, const char* watchdog_pid, int pid, std::uint64_t& period,
                     fault& why) noexcept {
  if (watchdog_usec == nullptr) return false;
  auto addressed = static_cast<std::uint64_t>(pid);
  if (watchdog_pid != nullptr && !parse(watchdog_pid_variable, watchdog_pid, addressed, why)) return false;
  if (addressed != static_cast<std::uint64_t>(pid) || !parse(watchdog_usec_variable, watchdog_usec, period, why)) {
    return false;
  }
  if (period == 0) {  // such a watchdog would expire at once
    why.code = errc::malformed_watchdog_usec;
    why.variable = watchdog_usec_variable.name;
    why.value = watchdog_usec;
    return false;
  }
  return true;
}

std::optional<std::string_view> name_list::next() noexcept {
  if (rest_ == nullptr) return std::nullopt;
  const char* const end = std::strchr(rest_, ':');
  const std::string_view name = end != nullptr ? std::string_view(rest_, static_cast<std::size_t>(end - rest_)) : rest_;
  rest_ = end != nullptr ? end + 1 : nullptr;
  return name;
}

}  // namespace sd::detail
