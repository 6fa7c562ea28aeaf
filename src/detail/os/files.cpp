// SPDX-License-Identifier: MIT OR Apache-2.0
// Selects inode numbers and times of 64 bits on 32-bit platforms, too.
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#if __has_include(<linux/unix_diag.h>)
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#endif
#endif

#include <cerrno>
#include <cstdio>
#include <cstring>

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

/// Converts numbers whose types differ between platforms: on macOS, device numbers are signed.
template <class Number>
constexpr std::uint64_t widened(Number number) noexcept {
  return static_cast<std::uint64_t>(number);
}

int copy_status(int result, const struct stat& status, file& file) noexcept {
  if (result < 0) return -errno;
  file.type = type_of(status.st_mode);
  file.device = widened(status.st_dev);
  file.inode = widened(status.st_ino);
  file.number = widened(status.st_rdev);
#if defined(__APPLE__)
  const auto& modified = status.st_mtimespec;
#else
  const auto& modified = status.st_mtim;
#endif
  // Unsigned, so that times after 2262 wrap around: `modified` is only compared for equality.
  file.modified = static_cast<std::int64_t>(static_cast<std::uint64_t>(modified.tv_sec) * 1000000000U +
                                            static_cast<std::uint64_t>(modified.tv_nsec));
  file.owner = status.st_uid;
  file.group = status.st_gid;
  file.mode = status.st_mode & 07777U;
  file.links = status.st_nlink;
  return 0;
}

mode_t permissions(unsigned mode) noexcept { return mode & 07777U; }

}  // namespace

int status(int fd, file& result) noexcept {
  struct stat status;
  return copy_status(::fstat(fd, &status), status, result);
}
int status(const char* path, file& result) noexcept {
  struct stat status;
  return copy_status(::stat(path, &status), status, result);
}
int link_status(const char* path, file& result) noexcept {
  struct stat status;
  return copy_status(::lstat(path, &status), status, result);
}

#if defined(__linux__)
int is_message_queue(int fd) noexcept {
  constexpr std::uint32_t mqueue_magic = 0x19800202;
  struct statfs fs;
  if (const int result = uninterrupted([&] { return ::fstatfs(fd, &fs); }); result < 0) return result;
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

unsigned effective_user() noexcept { return ::geteuid(); }

int make_directory(const char* path, unsigned mode) noexcept { return negated_errno(::mkdir(path, permissions(mode))); }
int remove_directory(const char* path) noexcept { return negated_errno(::rmdir(path)); }
int remove(const char* path) noexcept { return negated_errno(::unlink(path)); }

int create_file(const char* path) noexcept {
  return uninterrupted([&] { return ::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR); });
}
int open_file(const char* path) noexcept {
  return uninterrupted([&] { return ::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); });
}
int change_mode(int fd, unsigned mode) noexcept { return negated_errno(::fchmod(fd, permissions(mode))); }
int change_owner(int fd, unsigned user, unsigned group) noexcept { return negated_errno(::fchown(fd, user, group)); }
int lock(int fd) noexcept {
  return uninterrupted([&] { return ::flock(fd, LOCK_EX); });
}
int unlock(int fd) noexcept { return negated_errno(::flock(fd, LOCK_UN)); }

#if defined(__linux__)
int open_path(const char* path) noexcept {
  return uninterrupted([&] { return ::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC); });
}
int open_bound_file(int socket) noexcept {
  // SIOCUNIXFILE of <linux/un.h>, which cannot be included together with <sys/un.h>.
  constexpr int siocunixfile = 0x89e0;
  return negated_errno(::ioctl(socket, siocunixfile, 0));
}

#if __has_include(<linux/unix_diag.h>)
namespace {

/// Asks the kernel for the file that a unix socket is bound to, by the inode number of the socket itself. Returns the
/// size of the reply.
int ask_for_bound_file(std::uint64_t socket_inode, char* reply, std::size_t size) noexcept {
  const int netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0) return -errno;
  struct {
    nlmsghdr header;
    unix_diag_req request;
  } question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.request.sdiag_family = AF_UNIX;
  question.request.udiag_ino = static_cast<std::uint32_t>(socket_inode);
  question.request.udiag_show = UDIAG_SHOW_VFS;
  question.request.udiag_cookie[0] = ~0U;  // no cookie
  question.request.udiag_cookie[1] = ~0U;
  auto received = ::send(netlink, &question, sizeof question, 0);
  // The kernel replies before send() returns.
  if (received >= 0) received = ::recv(netlink, reply, size, MSG_DONTWAIT);
  const int error = errno;
  ::close(netlink);
  return received < 0 ? -error : static_cast<int>(received);
}

/// Returns whether the kernel's numbers are those of a file.
bool is_of(const unix_diag_vfs& bound, const file& there, std::uint32_t file_system) noexcept {
  if (bound.udiag_vfs_ino != static_cast<std::uint32_t>(there.inode)) return false;
  const unsigned in_major = bound.udiag_vfs_dev >> 20U;
  if (in_major == major(there.device) && (bound.udiag_vfs_dev & 0xfffffU) == minor(there.device)) return true;
  // stat(2) reports another device number than the kernel's own for some file systems without a device, such as btrfs
  // and overlayfs, but not for tmpfs.
  constexpr std::uint32_t tmpfs_magic = 0x01021994;
  return major(there.device) == 0 && in_major == 0 && file_system != tmpfs_magic;
}

}  // namespace

int names_file(const char* reply, std::size_t size, const file& there, std::uint32_t file_system) noexcept {
  nlmsghdr header{};
  std::size_t at = NLMSG_LENGTH(sizeof(unix_diag_msg));
  if (size < at) return -EPROTO;
  std::memcpy(&header, reply, sizeof header);
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) return -EPROTO;
  nlattr attribute;
  while (at + sizeof attribute <= size) {
    std::memcpy(&attribute, reply + at, sizeof attribute);
    unix_diag_vfs bound;
    if (attribute.nla_type == UNIX_DIAG_VFS && at + sizeof attribute + sizeof bound <= size) {
      std::memcpy(&bound, reply + at + sizeof attribute, sizeof bound);
      return is_of(bound, there, file_system) ? 1 : 0;
    }
    if (attribute.nla_len < sizeof attribute) break;
    at += NLMSG_ALIGN(attribute.nla_len);
  }
  return -EPROTO;
}

int is_bound_to(int socket, int path_fd) noexcept {
  file of_socket;
  file there;
  struct statfs file_system;
  if (const int result = status(socket, of_socket); result < 0) return result;
  if (const int result = status(path_fd, there); result < 0) return result;
  if (::fstatfs(path_fd, &file_system) < 0) return -errno;
  alignas(nlmsghdr) char reply[1024];
  const int size = ask_for_bound_file(of_socket.inode, reply, sizeof reply);
  if (size < 0) return size;
  return names_file(reply, static_cast<std::size_t>(size), there, static_cast<std::uint32_t>(file_system.f_type));
}
#else
int is_bound_to(int, int) noexcept { return -ENOSYS; }
#endif

int change_mode(int path_fd, const char*, unsigned mode) noexcept {
  char entry[32];
  std::snprintf(entry, sizeof entry, "/proc/self/fd/%d", path_fd);
  if (::chmod(entry, permissions(mode)) == 0) return 0;
  if (errno != ENOENT) return -errno;
    // Without /proc. Linux 6.6 has fchmodat2(2), which C libraries do not know yet.
#if defined(SYS_fchmodat2)
  constexpr long fchmodat2 = SYS_fchmodat2;
#else
  constexpr long fchmodat2 = 452;  // on every architecture but alpha
#endif
  return negated_errno(static_cast<int>(::syscall(fchmodat2, path_fd, "", permissions(mode), AT_EMPTY_PATH)));
}
int change_owner(int path_fd, const char*, unsigned user, unsigned group) noexcept {
  return negated_errno(::fchownat(path_fd, "", user, group, AT_EMPTY_PATH));
}
#else
int open_path(const char*) noexcept { return -ENOSYS; }
int open_bound_file(int) noexcept { return -ENOSYS; }
int is_bound_to(int, int) noexcept { return -ENOSYS; }
int change_mode(int, const char* path, unsigned mode) noexcept {
  return negated_errno(::fchmodat(AT_FDCWD, path, permissions(mode), AT_SYMLINK_NOFOLLOW));
}
int change_owner(int, const char* path, unsigned user, unsigned group) noexcept {
  return negated_errno(::lchown(path, user, group));
}
#endif

}  // namespace sd::detail::os

#endif
