// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/error.hpp>
#include <sd/listen_fds.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

// Parses the variables of the protocol with pure functions over their text, so that a table can test them. They are
// part of the core: nothing here or in receive.hpp allocates, throws or needs the C++ runtime.
namespace sd::detail {

/// The number of the first descriptor unless LISTEN_FDS_FIRST_FD is set: SD_LISTEN_FDS_START of sd_listen_fds(3).
inline constexpr int first_descriptor = 3;

/// The values of the variables. A null pointer is a variable that is not set.
struct environment {
  const char* listen_pid = nullptr;
  const char* listen_pidfdid = nullptr;
  const char* listen_fds = nullptr;
  const char* listen_fdnames = nullptr;
  const char* listen_fds_first_fd = nullptr;
};

/// Describes an error. Converts to false if there was none.
struct fault {
  errc code{};                     ///< what is wrong with the variable, or 0 if a system call failed
  int error = 0;                   ///< the errno of that system call
  const char* variable = nullptr;  ///< the variable at fault
  const char* value = nullptr;     ///< the value of that variable
  int descriptor = -1;             ///< the descriptor at fault, or -1
  bool out_of_range = false;       ///< the value is a number, but too large

  explicit operator bool() const noexcept { return variable != nullptr; }
};

enum class number { ok, malformed, out_of_range };

/// Parses a number from 0 to `max` that consists of ASCII decimal digits alone. Sets `value` if it returns `ok`.
number parse_decimal(std::string_view text, std::uint64_t max, std::uint64_t& value) noexcept;

enum class addressee {
  another,    ///< another process, or no process at all
  this_one,   ///< this process
  by_pidfdid  ///< this process if its pidfs inode matches; the pid does
};

/// Returns the process that the variables address. Sets `pidfdid` if it returns `by_pidfdid`. On a fault, returns
/// `another`.
addressee addressed_to(const environment& env, int pid, listen_options options, std::uint64_t& pidfdid,
                       fault& why) noexcept;

/// Consecutive descriptors.
struct descriptor_range {
  int first = first_descriptor;
  int count = 0;

  /// Returns the number after the last one.
  [[nodiscard]] int end() const noexcept { return first + count; }
};

/// Returns the descriptors that the variables name. Empty on a fault.
descriptor_range passed_range(const environment& env, fault& why) noexcept;

/// Returns whether the watchdog is enabled for the process `pid`, and sets its period in microseconds. A null pointer
/// is a variable that is not set. Returns false on a fault.
bool watchdog_period(const char* watchdog_usec, const char* watchdog_pid, int pid, std::uint64_t& period,
                     fault& why) noexcept;

/// Splits `LISTEN_FDNAMES`. Each call of `next()` returns one name, verbatim, and `nullopt` after the last one.
class name_list {
 public:
  explicit name_list(const char* names) noexcept : rest_(names != nullptr && *names != '\0' ? names : nullptr) {}
  std::optional<std::string_view> next() noexcept;

 private:
  const char* rest_;  // null after the last name; an empty string is one more name, the empty one
};

}  // namespace sd::detail
