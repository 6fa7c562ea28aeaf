#pragma once

#include <sd/config.hpp>
#include <sd/listen_fds.hpp>

#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

// Descriptors that outlive the process: the service manager keeps them, and passes them to the next instance.

namespace sd {

/// When the manager may let go of a descriptor by itself.
enum class store_poll {
  on,   ///< when it hangs up or fails (`EPOLLHUP`, `EPOLLERR`), as a connection does that both sides have closed
  off,  ///< never (`FDPOLL=0`)
};

/// Gives the manager a copy of a descriptor to keep, by a name to find it again. The service goes on with its own.
/// Shape:   true where it was sent, false where nobody listens. The manager does not say whether it keeps it: it does
///          not where `FileDescriptorStoreMax=` is 0, the default, or that many are kept already. Of a descriptor that
///          it has it keeps no second copy. A name need not be unique, and has at most 248 characters.
/// Errors:  those of `notify()`.
/// Threads: as `notify()`.
/// Source:  sd_notify(3), systemd.service(5)
SD_EXPORT bool store(std::string_view name, int fd, store_poll poll, std::error_code& ec) noexcept;

/// Lets the manager forget all descriptors of this name.
/// Shape:   and errors, and threads: as `store()`. Forgotten or not, the service's own stay open.
SD_EXPORT bool forget(std::string_view name, std::error_code& ec) noexcept;

/// Takes those out of the list that `store()` put by, with the names they had there. What is left was passed by socket
/// units.
/// Shape:   in the order passed.
/// Errors:  none but `std::bad_alloc`, on which the list is as it was.
/// Threads: as the list.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> take_stored(std::vector<listen_fd>& fds);

/// How many descriptors the manager keeps for this service: `FileDescriptorStoreMax=`.
/// Shape:   `nullopt` where it does not say: managers before systemd 254 do not.
/// Threads: safe from any thread while nobody changes the environment.
/// Source:  systemd.exec(5)
[[nodiscard]] SD_EXPORT std::optional<unsigned> store_limit() noexcept;

#if SD_HAS_EXCEPTIONS
/// The same, but an error is thrown as `std::system_error`.
SD_EXPORT bool store(std::string_view name, int fd, store_poll poll = store_poll::on);
SD_EXPORT bool forget(std::string_view name);
#endif

}  // namespace sd
