#pragma once

#include <sd/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <system_error>

namespace sd {

/// One thing to tell the service manager: a `KEY=value` line of sd_notify(3), by what it says. Views the text that it
/// is made of.
/// Shape:   text is one line; times are rounded to microseconds.
/// Source:  sd_notify(3), systemd 262
class state {
 public:
  using microseconds = std::chrono::microseconds;

  /// The service has started, or has reloaded its configuration.
  [[nodiscard]] static state ready() noexcept { return {"READY=", "1"}; }
  /// It begins to reload, now: `RELOADING=1` with `MONOTONIC_USEC=`.
  [[nodiscard]] SD_EXPORT static state reloading() noexcept;
  /// It begins to stop. There is no way back from it.
  [[nodiscard]] static state stopping() noexcept { return {"STOPPING=", "1"}; }
  /// A line for people, in UTF-8, as `systemctl status` shows it.
  [[nodiscard]] static state status(std::string_view text) noexcept { return {"STATUS=", text}; }

  /// The service failed: with an errno, a D-Bus error, a Varlink error.
  [[nodiscard]] static state failed(int error) noexcept { return {"ERRNO=", std::int64_t{error}}; }
  [[nodiscard]] static state bus_error(std::string_view name) noexcept { return {"BUSERROR=", name}; }
  [[nodiscard]] static state varlink_error(std::string_view name) noexcept { return {"VARLINKERROR=", name}; }
  /// The exit status of what the sender manages, a machine or a container.
  [[nodiscard]] static state exit_status(int status) noexcept { return {"EXIT_STATUS=", std::int64_t{status}}; }

  /// Another process is the main one.
  [[nodiscard]] static state main_pid(int pid) noexcept { return {"MAINPID=", std::int64_t{pid}}; }
  /// With `main_pid`: the inode number of its pidfd, so that it cannot be mistaken.
  [[nodiscard]] static state main_pidfd_id(std::uint64_t inode) noexcept { return {"MAINPIDFDID=", inode}; }
  /// It is the process of the one pidfd that is attached.
  [[nodiscard]] static state main_pidfd() noexcept { return {"MAINPIDFD=", "1"}; }
  /// Who may notify from here on: "none", "main", "exec" or "all", as in `NotifyAccess=`.
  [[nodiscard]] static state notify_access(std::string_view who) noexcept { return {"NOTIFYACCESS=", who}; }

  /// The service is alive.
  [[nodiscard]] static state watchdog() noexcept { return {"WATCHDOG=", "1"}; }
  /// It is as good as dead: what the watchdog does is to be done now.
  [[nodiscard]] static state watchdog_trigger() noexcept { return {"WATCHDOG=", "trigger"}; }
  /// A new period for the watchdog.
  [[nodiscard]] static state watchdog_period(microseconds period) noexcept { return {"WATCHDOG_USEC=", period}; }
  /// The start, stop or run that is under way may take so much longer.
  [[nodiscard]] static state extend_timeout(microseconds time) noexcept { return {"EXTEND_TIMEOUT_USEC=", time}; }
  /// The restarts so far do not count.
  [[nodiscard]] static state restart_reset() noexcept { return {"RESTART_RESET=", "1"}; }

  /// The descriptors that are attached are to be kept for the next instance, or those of a name to be forgotten; their
  /// name; and that they are to be kept even when they hang up. `<sd/store.hpp>` has this ready.
  [[nodiscard]] static state fdstore() noexcept { return {"FDSTORE=", "1"}; }
  [[nodiscard]] static state fdstore_remove() noexcept { return {"FDSTOREREMOVE=", "1"}; }
  [[nodiscard]] static state fdname(std::string_view name) noexcept { return {"FDNAME=", name}; }
  [[nodiscard]] static state fdpoll_off() noexcept { return {"FDPOLL=", "0"}; }

  /// Whatever is not here: `KEY=value` lines, sent as they are.
  [[nodiscard]] static state raw(std::string_view lines) noexcept { return {"", lines}; }

  [[nodiscard]] std::string_view key() const noexcept { return key_; }
  [[nodiscard]] std::string_view value() const noexcept {
    return length_ == 0 ? text_ : std::string_view(digits_, length_);
  }

 private:
  state(std::string_view key, std::string_view text) noexcept : key_(key), text_(text) {}
  state(std::string_view key, const char* text) noexcept : key_(key), text_(text) {}
  SD_EXPORT state(std::string_view key, std::uint64_t number) noexcept;
  SD_EXPORT state(std::string_view key, std::int64_t number) noexcept;
  state(std::string_view key, microseconds time) noexcept : state(key, std::int64_t{time.count()}) {}

  std::string_view key_;
  std::string_view text_;
  char digits_[20];
  std::size_t length_ = 0;
};

/// What goes with a message.
struct notify_options {
  const int* fds = nullptr;  ///< descriptors that are attached
  std::size_t fd_count = 0;  ///< at most 253
  int pid = 0;               ///< the process that the message is from; 0: this one. For another it takes privilege.
};

/// Tells the service manager, in one message.
/// Shape:   true where it was sent, false where nobody listens (`NOTIFY_SOCKET` is not set). Whether the manager agrees
///          to it, it does not say.
/// Errors:  `EINVAL` for no state at all, for text of more than one line, and for a name that the store does not take;
///          `EAFNOSUPPORT` for a `NOTIFY_SOCKET` that is no address; `E2BIG` for more descriptors than can be attached;
///          `EPERM` where it may not speak for another process; `EMSGSIZE`; the errno of a failed system call, such as
///          `ECONNREFUSED` and `ENOENT` where the manager has gone. Waits where the manager is behind.
/// Threads: safe from any thread, and async-signal-safe, while nobody changes the environment. Allocates nothing.
/// Source:  sd_notify(3)
SD_EXPORT bool notify(std::initializer_list<state> states, const notify_options& options, std::error_code& ec) noexcept;
inline bool notify(std::initializer_list<state> states, std::error_code& ec) noexcept { return notify(states, {}, ec); }

/// Waits until the manager has dealt with all that this process has told it before.
/// Shape:   false where nobody listens. A negative time is any.
/// Errors:  those of `notify()`; `ETIMEDOUT`.
/// Threads: as `notify()`.
/// Source:  sd_notify_barrier(3)
SD_EXPORT bool notify_barrier(std::chrono::microseconds timeout, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// The same, but an error is thrown as `std::system_error`, whose `what()` names `NOTIFY_SOCKET` and its value.
SD_EXPORT bool notify(std::initializer_list<state> states, const notify_options& options = {});
SD_EXPORT bool notify_barrier(std::chrono::microseconds timeout);
#endif

}  // namespace sd
