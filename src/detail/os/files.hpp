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
};
/// fstat(2)
int status(int fd, file& result) noexcept;
/// stat(2)
int status(const char* path, file& result) noexcept;
/// lstat(2)
int link_status(const char* path, file& result) noexcept;
/// Whether the descriptor is a POSIX message queue (1) or not (0).
int is_message_queue(int fd) noexcept;
/// The path that the descriptor was opened by: its length, not above `size`; 0 if the system cannot tell. Linux appends
/// " (deleted)" if that path has been unlinked.
int opened_path(int fd, char* result, std::size_t size) noexcept;

int make_directory(const char* path, unsigned mode) noexcept;
int change_mode(int fd, unsigned mode) noexcept;
int change_mode(const char* path, unsigned mode) noexcept;
/// -1: as it is.
int change_owner(const char* path, int user, int group) noexcept;
int remove(const char* path) noexcept;
/// Opens, for writing, a file that nobody else may open, close-on-exec; makes it if need be; follows no link.
int open_lock(const char* path) noexcept;
/// flock(LOCK_EX), again on EINTR.
int lock(int fd) noexcept;

}  // namespace sd::detail::os

#endif
