// Inode numbers and times of 64 bits on 32-bit platforms as well.
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64  // NOLINT: the C library chose the name and that it is a macro
#endif

#include "files.hpp"

#if SD_HAS_DESCRIPTORS

#include "result.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#endif

#include <cerrno>
#include <cstdio>

namespace sd::detail::os {

namespace {

file_type type_of(mode_t mode) noexcept {
  if (S_ISFIFO(mode)) return file_type::fifo;
  if (S_ISCHR(mode)) return file_type::character;
  if (S_ISREG(mode)) return file_type::regular;
  if (S_ISDIR(mode)) return file_type::directory;
  if (S_ISSOCK(mode)) return file_type::socket;
  return file_type::other;
}

int answer(int result, const struct stat& status, file& file) noexcept {
  if (result < 0) return -errno;
  file.type = type_of(status.st_mode);
  file.device = status.st_dev;
  file.inode = status.st_ino;
  file.number = status.st_rdev;
#if defined(__APPLE__)
  const auto& modified = status.st_mtimespec;
#else
  const auto& modified = status.st_mtim;
#endif
  // Unsigned, so that times after 2262 wrap around: `modified` is only compared for equality.
  file.modified = static_cast<std::int64_t>(static_cast<std::uint64_t>(modified.tv_sec) * 1000000000U +
                                            static_cast<std::uint64_t>(modified.tv_nsec));
  file.links = status.st_nlink;
  return 0;
}

mode_t permissions(unsigned mode) noexcept { return mode & 07777U; }

}  // namespace

int status(int fd, file& result) noexcept {
  struct stat status;
  return answer(::fstat(fd, &status), status, result);
}
int status(const char* path, file& result) noexcept {
  struct stat status;
  return answer(::stat(path, &status), status, result);
}
int link_status(const char* path, file& result) noexcept {
  struct stat status;
  return answer(::lstat(path, &status), status, result);
}

#if defined(__linux__)
int is_message_queue(int fd) noexcept {
  constexpr std::uint32_t mqueue_magic = 0x19800202;
  struct statfs fs;
  if (::fstatfs(fd, &fs) < 0) return -errno;
  struct stat status;
  if (::fstat(fd, &status) < 0) return -errno;
  return static_cast<std::uint32_t>(fs.f_type) == mqueue_magic && S_ISREG(status.st_mode) ? 1 : 0;
}
int opened_path(int fd, char* result, std::size_t size) noexcept {
  char entry[32];
  std::snprintf(entry, sizeof entry, "/proc/self/fd/%d", fd);
  const auto length = ::readlink(entry, result, size);
  return length > 0 && *result == '/' ? static_cast<int>(length) : 0;
}
#else
int is_message_queue(int) noexcept { return 0; }
int opened_path(int, char*, std::size_t) noexcept { return 0; }
#endif

int make_directory(const char* path, unsigned mode) noexcept { return negated_errno(::mkdir(path, permissions(mode))); }
int change_mode(int fd, unsigned mode) noexcept { return negated_errno(::fchmod(fd, permissions(mode))); }
int change_mode(const char* path, unsigned mode) noexcept { return negated_errno(::chmod(path, permissions(mode))); }
int change_owner(const char* path, int user, int group) noexcept {
  return negated_errno(::lchown(path, static_cast<uid_t>(user), static_cast<gid_t>(group)));
}
int remove(const char* path) noexcept { return negated_errno(::unlink(path)); }
int open_lock(const char* path) noexcept {
  return negated_errno(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR));
}
int lock(int fd) noexcept {
  while (::flock(fd, LOCK_EX) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

}  // namespace sd::detail::os

#endif
