// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/address.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>

#include "os/files.hpp"

#include <string>
#include <system_error>

#if SD_HAS_DESCRIPTORS

// Binding a unix socket to a path of the file system, and unlinking the path.
namespace sd::detail {

/// Describes why a socket could not be opened: the error, and the step that failed with its subject.
struct failure {
  std::error_code code;
  std::string step;

  explicit operator bool() const noexcept { return static_cast<bool>(code); }
};

/// Returns whether a system call succeeded, and sets `why` if it did not.
bool succeeded(int result, const char* step, const std::string& subject, failure& why);

/// Listens on a socket with the backlog of the options. Does nothing for a datagram socket.
bool start_listening(int fd, const bind_options& options, const std::string& subject, failure& why);

/// Binds a unix socket to the path of `where`, sets the owner and mode of the path, and listens.
///
/// @param fd     An unbound unix socket.
/// @param bound  Receives the identity of the bound file.
/// @returns Whether it succeeded. Otherwise `why` is set and no path of this call is left behind.
bool bind_path(int fd, const address& where, const bind_options& options, file_identity& bound, failure& why);

/// Unlinks a path that `bind_path()` bound, if it still refers to the same file.
void unlink_path(const std::string& path, const file_identity& bound) noexcept;

}  // namespace sd::detail

#endif
