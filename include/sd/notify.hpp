// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Sends messages to the service manager, such as `READY=1`.

#include <sd/array_view.hpp>
#include <sd/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace sd {
namespace detail {
struct state_access;
/// Is there only if the argument is a temporary string.
template <class Text>
using if_temporary_string = std::enable_if_t<std::is_same_v<Text, std::string>, int>;
}  // namespace detail

inline namespace v0 {

/// Holds one message to the service manager: a `KEY=value` line of sd_notify(3).
///
/// A state that is made from text refers to that text, which must exist until the state has been sent. A temporary
/// string therefore does not compile. Keep the text in a variable: `const auto text = "x" + y;
/// notify(state::status(text));`. Times are rounded to microseconds.
///
/// @see sd_notify(3) of systemd 262
class state {
 public:
  /// The unit of the times in messages.
  using microseconds = std::chrono::microseconds;

  /// Reports that the service has started, or has finished reloading its configuration.
  [[nodiscard]] static state ready() noexcept { return {"READY=", "1"}; }
  /// Reports that the service begins to reload its configuration: `RELOADING=1` and, on a second line,
  /// `MONOTONIC_USEC=` with the current time.
  [[nodiscard]] SD_EXPORT static state reloading() noexcept;
  /// Reports that the service begins to stop. It cannot take this back.
  [[nodiscard]] static state stopping() noexcept { return {"STOPPING=", "1"}; }
  /// Sets the line that `systemctl status` shows to `text`, in UTF-8.
  [[nodiscard]] static state status(std::string_view text SD_LIFETIMEBOUND) noexcept { return {"STATUS=", text}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state status(Text&& text) = delete;

  /// Reports that the service failed with an errno, `error`.
  [[nodiscard]] static state failed(int error) noexcept { return {"ERRNO=", std::int64_t{error}}; }
  /// Reports that the service failed with the D-Bus error `name`.
  [[nodiscard]] static state bus_error(std::string_view name SD_LIFETIMEBOUND) noexcept { return {"BUSERROR=", name}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state bus_error(Text&& name) = delete;
  /// Reports that the service failed with the Varlink error `name`.
  [[nodiscard]] static state varlink_error(std::string_view name SD_LIFETIMEBOUND) noexcept {
    return {"VARLINKERROR=", name};
  }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state varlink_error(Text&& name) = delete;
  /// Reports `status`, the exit status of what the sender manages, such as a virtual machine or a container.
  [[nodiscard]] static state exit_status(int status) noexcept { return {"EXIT_STATUS=", std::int64_t{status}}; }

  /// Makes the process `pid` the main process of the service.
  [[nodiscard]] static state main_pid(int pid) noexcept { return {"MAINPID=", std::int64_t{pid}}; }
  /// Names `inode`, the inode number of the main process's pidfd, so that a reused pid is not mistaken for that
  /// process. Sent together with `main_pid()`.
  [[nodiscard]] static state main_pidfd_id(std::uint64_t inode) noexcept { return {"MAINPIDFDID=", inode}; }
  /// Makes the process of the attached pidfd the main process. Exactly one descriptor must be attached.
  [[nodiscard]] static state main_pidfd() noexcept { return {"MAINPIDFD=", "1"}; }
  /// Sets to `access` which processes of the service may send messages from now on: "none", "main", "exec" or "all", as
  /// in `NotifyAccess=`.
  [[nodiscard]] static state notify_access(std::string_view access SD_LIFETIMEBOUND) noexcept {
    return {"NOTIFYACCESS=", access};
  }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state notify_access(Text&& access) = delete;

  /// Reports that the service is alive.
  [[nodiscard]] static state watchdog() noexcept { return {"WATCHDOG=", "1"}; }
  /// Asks the service manager to act as if the watchdog had expired.
  [[nodiscard]] static state watchdog_trigger() noexcept { return {"WATCHDOG=", "trigger"}; }
  /// Sets the period of the watchdog to `period`.
  [[nodiscard]] static state watchdog_period(microseconds period) noexcept { return {"WATCHDOG_USEC=", period}; }
  /// Extends the time limit of the current start, run or stop to `time` from now.
  [[nodiscard]] static state extend_timeout(microseconds time) noexcept { return {"EXTEND_TIMEOUT_USEC=", time}; }
  /// Resets the restart counter of the service.
  [[nodiscard]] static state restart_reset() noexcept { return {"RESTART_RESET=", "1"}; }

  /// Asks the service manager to keep the attached descriptors for the next instance. `<sd/store.hpp>` has functions
  /// that combine this with the three states that follow.
  [[nodiscard]] static state fdstore() noexcept { return {"FDSTORE=", "1"}; }
  /// Asks the service manager to drop the descriptors that it keeps under the name given by `fdname()`.
  [[nodiscard]] static state fdstore_remove() noexcept { return {"FDSTOREREMOVE=", "1"}; }
  /// Sets the `name` of the descriptors to keep or to drop.
  [[nodiscard]] static state fdname(std::string_view name SD_LIFETIMEBOUND) noexcept { return {"FDNAME=", name}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state fdname(Text&& name) = delete;
  /// Asks the service manager to keep the descriptors even if they hang up.
  [[nodiscard]] static state fdpoll_off() noexcept { return {"FDPOLL=", "0"}; }

  /// Holds `lines`, `KEY=value` lines that have no function here. They are sent unchanged and unchecked.
  [[nodiscard]] static state raw(std::string_view lines SD_LIFETIMEBOUND) noexcept { return {"", lines}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state raw(Text&& lines) = delete;

  /// Returns the key without the "=", such as "READY"; empty for `raw()`.
  [[nodiscard]] std::string_view key() const noexcept { return key_.substr(0, key_.find('=')); }
  /// Returns the text after the "=". That of `reloading()` has its second line, too.
  [[nodiscard]] std::string_view value() const noexcept SD_LIFETIMEBOUND {
    return length_ == 0 ? text_ : std::string_view(own_text_, length_);
  }

 private:
  friend struct detail::state_access;

  state(std::string_view key, std::string_view text) noexcept : key_(key), text_(text) {}
  state(std::string_view key, const char* text) noexcept : key_(key), text_(text) {}
  SD_EXPORT state(std::string_view key, std::uint64_t number) noexcept;
  SD_EXPORT state(std::string_view key, std::int64_t number) noexcept;
  state(std::string_view key, microseconds time) noexcept : state(key, std::int64_t{time.count()}) {}

  std::string_view key_;   // with the "="
  std::string_view text_;  // unless there is text in `own_text_`
  char own_text_[40];
  std::size_t length_ = 0;
};

/// Says what is sent along with a message.
struct notify_options {
  array_view<int> fds = {};  ///< descriptors to attach, at most 253; the caller keeps its own
  int pid = 0;               ///< the process to send as, which takes privilege; 0 is this process
};

/// Says what became of a message.
enum class notify_result {
  sent,         ///< the message was sent
  no_listener,  ///< there is no service manager to send to: `NOTIFY_SOCKET` is not set
};

/// Sends states to the service manager, in one message.
///
/// The service manager does not confirm the message: it may ignore it. Blocks while the manager's queue is full.
///
/// @param states  One state, a list such as `{state::ready(), state::status("up")}`, or a container of states, up
/// to 21.
/// @param options What to send along.
/// @returns Whether the message was sent. On an error, `notify_result::no_listener`.
/// @par Errors
/// The arguments are checked in any case, with a service manager or without one: `EINVAL` for no state, for text of
/// more than one line, for a name that the file descriptor store does not accept, and for `state::main_pidfd()` unless
/// exactly one descriptor is attached; `E2BIG` for more than 253 descriptors, `EBADF` for a negative one, `EMSGSIZE`
/// for more than 21 states. `EAFNOSUPPORT`, `EINVAL` or `E2BIG` for a `NOTIFY_SOCKET` that is not an address; `EPERM`
/// if this process may not send as another one; `EMSGSIZE` for a message that is too long; the errno of a failed system
/// call, such as `ECONNREFUSED` or `ENOENT` if the manager is gone.
/// @threadsafety Safe from any thread, and async-signal-safe, as long as no thread changes the environment. Allocates
///               no memory.
/// @see sd_notify(3)
SD_EXPORT notify_result notify(array_view<state> states, const notify_options& options, std::error_code& ec) noexcept;
/// Does the same as the overload with `options`, without options.
inline notify_result notify(array_view<state> states, std::error_code& ec) noexcept { return notify(states, {}, ec); }

/// Waits until the service manager has processed all messages that this process has sent before.
///
/// @param timeout How long to wait. A negative time waits for as long as it takes.
/// @returns `notify_result::sent` once the messages are processed. On an error, `notify_result::no_listener`.
/// @par Errors
/// Those of `notify()`; `ETIMEDOUT`.
/// @threadsafety As for `notify()`.
/// @see sd_notify_barrier(3)
SD_EXPORT notify_result notify_barrier(std::chrono::microseconds timeout, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the argument that is invalid, or else `NOTIFY_SOCKET` and its value.
SD_EXPORT notify_result notify(array_view<state> states, const notify_options& options = {});
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names `NOTIFY_SOCKET` and its value.
SD_EXPORT notify_result notify_barrier(std::chrono::microseconds timeout);
#endif

}  // namespace v0
}  // namespace sd
