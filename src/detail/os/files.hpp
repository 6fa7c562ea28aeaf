// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "platform.hpp"

#include <cstddef>
#include <cstdint>

// Files and paths.
#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

enum class file_type { fifo, character, regular, directory, socket, other };
struct file {
  file_type type = file_type::other;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t number = 0;   ///< the device that a character device is
  std::int64_t modified = 0;  ///< in nanoseconds, modulo 2^64
  std::uint64_t links = 0;    ///< the number of directory entries; 0 if the file has been unlinked
  unsigned owner = 0;
  unsigned group = 0;
  unsigned mode = 0;  ///< the permission bits
};
/// Returns whether two descriptions are of the same file.
inline bool is_same(const file& a, const file& b) noexcept { return a.device == b.device && a.inode == b.inode; }
/// fstat(2)
int status(int fd, file& result) noexcept;
/// stat(2)
int status(const char* path, file& result) noexcept;
/// lstat(2)
int link_status(const char* path, file& result) noexcept;
/// Returns whether the descriptor is a POSIX message queue (1) or not (0).
int is_message_queue(int fd) noexcept;
/// Copies the path that the descriptor was opened by. Returns its length, at most `size`, or 0 if the system cannot
/// tell. Linux appends " (deleted)" if that path has been unlinked.
int opened_path(int fd, char* result, std::size_t size) noexcept;

/// geteuid(2)
unsigned effective_user() noexcept;

int make_directory(const char* path, unsigned mode) noexcept;
int remove_directory(const char* path) noexcept;
int remove(const char* path) noexcept;

/// Creates a file that only this user may open. Returns a close-on-exec descriptor, or -EEXIST if the path exists.
int create_file(const char* path) noexcept;
/// Opens a file for reading and writing, close-on-exec. Follows no symbolic link.
int open_file(const char* path) noexcept;
/// fchmod(2)
int change_mode(int fd, unsigned mode) noexcept;
/// fchown(2). An id of `same_id` stays as it is.
int change_owner(int fd, unsigned user, unsigned group) noexcept;
inline constexpr unsigned same_id = static_cast<unsigned>(-1);
/// flock(LOCK_EX)
int lock(int fd) noexcept;
/// flock(LOCK_UN). Releases the lock even if a forked child has a copy of the descriptor.
int unlock(int fd) noexcept;

/// Whether the system has descriptors that refer to a file without opening it (O_PATH of Linux). Sockets cannot be
/// opened in any other way.
#if defined(__linux__)
inline constexpr bool has_path_descriptors = true;
#else
inline constexpr bool has_path_descriptors = false;
#endif
/// Opens such a descriptor. Does not follow a symbolic link at the end of the path, but refers to the link itself.
int open_path(const char* path) noexcept;
/// Opens such a descriptor for the file that a unix socket is bound to, wherever that is now (SIOCUNIXFILE,
/// Linux 4.12). -EPERM without CAP_NET_ADMIN.
int open_bound_file(int socket) noexcept;
/// Returns whether a unix socket is bound to the file that a path descriptor refers to (1) or not (0), or the negated
/// errno if the kernel cannot tell (CONFIG_UNIX_DIAG).
int is_bound_to(int socket, int path_fd) noexcept;
/// Returns whether a reply of sock_diag(7) about a unix socket names this file as the one that it is bound to (1) or
/// not (0), or -EPROTO if it names none. `file_system` is the type of statfs(2). Linux only, like CONFIG_UNIX_DIAG.
int names_file(const char* reply, std::size_t size, const file& there, std::uint32_t file_system) noexcept;
/// Changes the mode of the file that a path descriptor refers to. Without path descriptors it changes what is at
/// `path`, and does not follow a symbolic link.
int change_mode(int path_fd, const char* path, unsigned mode) noexcept;
/// Changes the owner in the same way.
int change_owner(int path_fd, const char* path, unsigned user, unsigned group) noexcept;

}  // namespace sd::detail::os

#endif
