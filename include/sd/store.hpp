// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Keeps file descriptors in the service manager across a restart.
///
/// The service manager passes the descriptors to the next instance of the service.

#include <sd/config.hpp>
#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>

#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace sd {
inline namespace v0 {

/// Says when the service manager drops a stored descriptor on its own.
enum class store_poll {
  on,   ///< when it hangs up or fails (`EPOLLHUP`, `EPOLLERR`), such as a connection that both sides have closed
  off,  ///< never (`FDPOLL=0`)
};

/// Gives the service manager a copy of a descriptor to keep. The caller keeps its own descriptor.
///
/// The manager does not report whether it keeps the descriptor. It does not if `FileDescriptorStoreMax=` is 0, which is
/// the default, or if it keeps that many already. It keeps no second copy of a descriptor that it has.
///
/// @param name The name to find the descriptor by: at most 248 ASCII characters, without ":" and control characters. It
///             need not be unique.
/// @param fd   The descriptor.
/// @param poll When the manager drops the descriptor on its own.
/// @returns Whether the message was sent. On an error, `notify_result::no_listener`.
/// @par Errors
/// Those of `notify()`; `EBADF` for a negative descriptor.
/// @threadsafety As for `notify()`.
/// @see sd_notify(3), systemd.service(5)
SD_EXPORT notify_result store(std::string_view name, int fd, store_poll poll, std::error_code& ec) noexcept;
/// Does the same as the overload with `poll`, which is `store_poll::on`.
inline notify_result store(std::string_view name, int fd, std::error_code& ec) noexcept {
  return store(name, fd, store_poll::on, ec);
}

/// Makes the service manager drop all descriptors that it keeps under `name`. The caller's own stay open.
///
/// @returns Whether the message was sent. On an error, `notify_result::no_listener`.
/// @par Errors
/// Those of `store()`.
/// @threadsafety As for `notify()`.
SD_EXPORT notify_result forget(std::string_view name, std::error_code& ec) noexcept;

/// Removes the stored descriptors from `fds`, the list that `listen_fds()` returned, and returns them.
///
/// @returns The descriptors that `store()` gave to the service manager, in the order in which they were passed, with
///          the names that were given to `store()`. The descriptors that stay in the list are those of socket units.
/// @throws std::bad_alloc in which case the list is unchanged.
/// @threadsafety As for the list.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> take_stored(std::vector<listen_fd>& fds);

/// Returns how many descriptors the service manager keeps for this service: `FileDescriptorStoreMax=`.
///
/// @returns `nullopt` if the manager does not pass the number. systemd passes it since version 254.
/// @threadsafety Safe from any thread as long as no thread changes the environment.
/// @see systemd.exec(5)
[[nodiscard]] SD_EXPORT std::optional<unsigned> store_limit() noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the descriptor and the name.
SD_EXPORT notify_result store(std::string_view name, int fd, store_poll poll = store_poll::on);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the name.
SD_EXPORT notify_result forget(std::string_view name);
#endif

}  // namespace v0
}  // namespace sd
