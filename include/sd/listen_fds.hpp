#pragma once

#include <sd/config.hpp>
#include <sd/error.hpp>
#include <sd/unique_fd.hpp>

#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace sd {

/// One descriptor that the service manager passed, and its name.
/// Shape:   `name` is what `FileDescriptorName=` says, byte for byte; it may be empty and need not be unique. `nullopt`
///          where the manager passed fewer names than descriptors. `fd` is open and `FD_CLOEXEC`.
/// Source:  sd_listen_fds(3), systemd.socket(5)
struct listen_fd {
  std::optional<std::string> name;
  unique_fd fd;
};

/// How `listen_fds()` goes about it; combine with `|`.
enum class listen_options : unsigned {
  none = 0,
  /// Remove `LISTEN_PID`, `LISTEN_PIDFDID`, `LISTEN_FDS` and `LISTEN_FDNAMES` from the environment, unless there is an
  /// error. Not thread-safe, as any unsetenv(3).
  unset_environment = 1,
  /// Accept a `LISTEN_PID` and a `LISTEN_PIDFDID` that are missing or another process's, for programs that run under
  /// a wrapper. Nothing proves then that the descriptors are meant for this process: in a child that only inherited
  /// the variables, descriptor 3 may be anything.
  any_pid = 2,
  /// An empty answer is the error `errc::not_activated`, for services that cannot do without.
  required = 4,
};

[[nodiscard]] constexpr listen_options operator|(listen_options a, listen_options b) noexcept {
  return static_cast<listen_options>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr listen_options operator&(listen_options a, listen_options b) noexcept {
  return static_cast<listen_options>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr listen_options& operator|=(listen_options& a, listen_options b) noexcept { return a = a | b; }

/// Takes ownership of the descriptors that the service manager passed to this process.
/// Shape:   0..n entries in the order passed; entry i is descriptor 3+i; all open, all `FD_CLOEXEC`. Empty where none
///          was passed to this process, where they are taken already, and on platforms without the protocol.
/// Errors:  the variables name this process and are wrong: any `sd::errc`; `EBADF` where a descriptor is not open; the
///          `errno` of a failed check of `LISTEN_PIDFDID`. On an error, `std::bad_alloc` included, nothing is adopted,
///          closed, marked or unset, and the next call finds it all as it was.
/// Threads: safe from any thread, but see `listen_options::unset_environment`. Of all callers in the process exactly
///          one receives the descriptors. While one is at it the others get an empty answer, whatever becomes of it.
/// Source:  sd_listen_fds(3)
[[nodiscard]] SD_EXPORT std::vector<listen_fd> listen_fds(listen_options options, std::error_code& ec);

/// The same with no options.
[[nodiscard]] inline std::vector<listen_fd> listen_fds(std::error_code& ec) {
  return listen_fds(listen_options::none, ec);
}

#if SD_HAS_EXCEPTIONS
/// The same, but an error is thrown as `std::system_error`, whose `what()` names the variable and its value.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> listen_fds(listen_options options = listen_options::none);
#endif

}  // namespace sd
