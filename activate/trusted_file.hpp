// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include <sys/types.h>

#include <string>

// Files that units name. Other users may be able to replace some of them.
namespace sd::activate {

/// Opens a file like open(2), close-on-exec, but does not follow the symbolic links of other users.
///
/// A link is followed if it belongs to root or to the user of this process. Otherwise, a service that may replace its
/// log file, for example, could have this process open a file that only root may open.
///
/// @param flags Without `O_PATH`, unless it comes with `O_DIRECTORY`.
/// @returns The descriptor. Empty, with `errno` set, if that fails: ELOOP for a link of another user.
unique_fd open_trusted(const std::string& path, int flags, mode_t mode = 0);

/// Creates the directory `name` below another one, and missing directories in between.
///
/// @param is_new Set to whether the directory was missing.
/// @returns A descriptor from `open_trusted()` with `O_PATH`. Empty, with `errno` set, if that fails.
unique_fd make_directory(const std::string& below, const std::string& name, bool& is_new);

/// Removes a directory and what it contains, unless a symbolic link of another user leads there. Failures are ignored.
void remove_directory(const std::string& path) noexcept;

/// Returns the users other than root and the user of this process that can change a regular file, such as "user 1000".
/// Empty if there are none.
std::string other_writers(int fd);

/// The contents of a file.
struct file_contents {
  std::string text;
  std::string other_writers;
};

/// Reads a file that `open_trusted()` opens.
///
/// @throws std::system_error if that fails, or the file is longer than 16 MiB.
file_contents read_trusted(const std::string& path);

}  // namespace sd::activate
