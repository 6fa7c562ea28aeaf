#pragma once

#include <sd/error.hpp>
#include <sd/listen_fds.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

// The meaning of the variables, apart from any process: pure functions over their text, so that a table can test them.
// They are part of the core: nothing here or in receive.hpp allocates, throws or needs the C++ runtime.
namespace sd::detail {

/// The number of the first descriptor unless LISTEN_FDS_FIRST_FD is set: SD_LISTEN_FDS_START of sd_listen_fds(3).
inline constexpr int first_descriptor = 3;

/// The variables' values; null where one is not set.
struct environment {
  const char* listen_pid = nullptr;
  const char* listen_pidfdid = nullptr;
  const char* listen_fds = nullptr;
  const char* listen_fdnames = nullptr;
  const char* listen_fds_first_fd = nullptr;
};

/// Why the answer is an error. False where it is not.
struct fault {
  errc code{};                     ///< what is wrong with the variable, or:
  int error = 0;                   ///< the errno of the system call that failed
  const char* variable = nullptr;  ///< the variable that led there
  const char* value = nullptr;     ///< and its value
  int descriptor = -1;             ///< the descriptor that the system call was about, if any
  bool out_of_range = false;       ///< the value is a number, but too large

  explicit operator bool() const noexcept { return variable != nullptr; }
};

enum class number { ok, malformed, out_of_range };

/// Reads ASCII decimal digits and nothing else, 0 to `max`. `value` is meaningful where the answer is `ok`.
number parse_decimal(const char* text, std::uint64_t max, std::uint64_t& value) noexcept;

enum class addressee {
  another,    ///< another process, or nobody
  this_one,   ///< this process
  by_pidfdid  ///< this process if it has the pidfs inode; the pid is right
};

/// Whom the variables address. `pidfdid` is set where the answer is `by_pidfdid`. On a fault the answer is `another`.
addressee addressed_to(const environment& env, int pid, listen_options options, std::uint64_t& pidfdid,
                       fault& why) noexcept;

/// Consecutive descriptors.
struct descriptor_range {
  int first = first_descriptor;
  int count = 0;

  /// The number behind the last one.
  [[nodiscard]] int end() const noexcept { return first + count; }
};

/// Returns the descriptors that the variables name. Empty on a fault.
descriptor_range passed_range(const environment& env, fault& why) noexcept;

/// The period of the watchdog, in microseconds: whether there is one for the process `pid`. Null values are not set.
/// False on a fault.
bool watchdog_period(const char* watchdog_usec, const char* watchdog_pid, int pid, std::uint64_t& period,
                     fault& why) noexcept;

/// The names of `LISTEN_FDNAMES`, one a call and verbatim; `nullopt` when there are no more.
class name_list {
 public:
  explicit name_list(const char* names) noexcept : rest_(names != nullptr && *names != '\0' ? names : nullptr) {}
  std::optional<std::string_view> next() noexcept;

 private:
  const char* rest_;  // null at the end; at an empty string there is one more name, the empty one
};

}  // namespace sd::detail
