// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions that replace those of the C library. Without passed sockets, each of them only calls the original.
#include <sd/config.hpp>

#include "adoption.hpp"
#include "detail/os/sockets.hpp"
#include "detail/os/vsock.hpp"
#include "functions.hpp"
#include "guards.hpp"
#include "ipv4_view.hpp"
#include "message.hpp"
#include "passed_sockets.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

using namespace sd::adopt;
namespace detail = sd::detail;

namespace {

int failed(int error) noexcept {
  errno = error;
  return -1;
}

void say_kept(const char* path, const char* what) noexcept {
  if (!is_verbose()) return;
  message words;
  words << path << ": " << what << ", because it is the path of a passed socket";
  say(words);
}

/// Returns whether the path is that of a passed socket. The caller then reports success without changing it.
bool is_protected(int directory, const char* path, const char* what, int flags = AT_SYMLINK_NOFOLLOW) noexcept {
  const errno_kept kept;
  if (find_by_path(directory, path, flags) == nullptr) return false;
  say_kept(path, what);
  return true;
}

/// Calls a function that renames a file. The path of a passed socket is not renamed, which is reported as successful,
/// and not replaced, which fails with EBUSY.
template <class Call>
int rename_unless_passed(int from_directory, const char* from, int to_directory, const char* to, Call call) noexcept {
  if (is_protected(from_directory, from, "not renamed")) return 0;
  return is_protected(to_directory, to, "not replaced") ? failed(EBUSY) : call();
}

/// Makes room for a copy of `fd` if a passed socket is kept under the number. Returns 0, or a negated errno.
int make_room(int fd, int number) noexcept {
  const bool is_needed = fd != number && is_kept(number) && ::fcntl(fd, F_GETFD) >= 0;
  return is_needed ? vacate(number) : 0;
}

/// Returns whether the address is complete. The kernel chooses a name for a unix socket if there is none.
bool is_complete(const detail::address_view& wanted) noexcept {
  switch (wanted.family()) {
    case AF_INET:
      return wanted.size >= sizeof(sockaddr_in);
    case AF_INET6:
      return wanted.size >= offsetof(sockaddr_in6, sin6_scope_id);
    case AF_UNIX:
      return !detail::unix_name(wanted).empty();
    default:
      return true;
  }
}

bool is_bound(int fd) noexcept {
  sockaddr_storage local{};
  const int size = detail::os::local_address(fd, &local, sizeof local);
  switch (local.ss_family) {
    case AF_UNIX:
      return size > static_cast<int>(offsetof(sockaddr_un, sun_path));
    case AF_VSOCK: {
      sockaddr_vm vsock;
      std::memcpy(&vsock, &local, sizeof vsock);
      return vsock.svm_port != VMADDR_PORT_ANY;
    }
    default: {
      sockaddr_in inet;  // the port of an IPv6 address is in the same place
      std::memcpy(&inet, &local, sizeof inet);
      return inet.sin_port != 0;
    }
  }
}

/// Returns whether the kernel would accept the address for this socket.
bool can_be_bound(int fd, const detail::address_view& wanted) noexcept {
  return wanted.family() == detail::os::socket_family(fd) && is_complete(wanted) && !is_bound(fd);
}

void say_adopted(int fd, const passed_socket& from, const detail::address_view& wanted, int result) noexcept {
  if (!is_verbose()) return;
  message words;
  words << "bind " << fd << " to " << wanted << ": ";
  if (result < 0) {
    words << "the passed socket cannot be adopted: " << std::strerror(-result);
  } else {
    words << "adopted the passed socket at " << from.address();
  }
  say(words);
}

void say_not_passed(int fd, const detail::address_view& wanted, int result) noexcept {
  if (!is_verbose()) return;
  const errno_kept kept;
  message words;
  words << "bind " << fd << " to " << wanted << ": no such socket was passed";
  if (result < 0) words << "; the program's own one fails: " << std::strerror(errno);
  say(words);
}

/// Calls a function that fills in an address, with a buffer large enough for any address, and converts the result.
template <class Call>
auto with_room(int fd, sockaddr* address, socklen_t* size, Call call) noexcept {
  if (!has_ipv4_views() || address == nullptr || size == nullptr) return call(address, size);
  address_room room;
  const auto result = call(room.get(), &room.size);
  if (result < 0) return result;
  room.convert(fd);
  room.copy_to(address, *size);
  return result;
}

}  // namespace

extern "C" {

// --- sockets ---------------------------------------------------------------------------------------------------------

SD_VISIBLE int sd_adopt_bind(int fd, const sockaddr* address, socklen_t size) __asm__("bind");
int sd_adopt_bind(int fd, const sockaddr* address, socklen_t size) {
  if (!has_sockets() || address == nullptr || size > sizeof(sockaddr_storage))
    return functions::bind(fd, address, size);
  const int error = errno;
  const detail::address_view wanted{address, size};
  const auto found = can_be_bound(fd, wanted) ? claim_socket(fd, wanted) : claim{};
  if (found.socket == nullptr) {
    errno = error;
    const int result = functions::bind(fd, address, size);
    say_not_passed(fd, wanted, result);
    return result;
  }
  const int result = adopt(fd, found);
  say_adopted(fd, *found.socket, wanted, result);
  if (result < 0) return failed(-result);
  note_family(*found.socket, wanted.family());
  errno = error;
  return 0;
}

SD_VISIBLE int sd_adopt_listen(int fd, int backlog) __asm__("listen");
int sd_adopt_listen(int fd, int backlog) {
  if (has_sockets()) {
    const errno_kept kept;
    const auto* const adopted = find_adopted(fd);
    if (adopted != nullptr && adopted->is_listening) return 0;
  }
  return functions::listen(fd, backlog);
}

SD_VISIBLE int sd_adopt_shutdown(int fd, int how) __asm__("shutdown");
int sd_adopt_shutdown(int fd, int how) {
  if (has_sockets()) {
    const errno_kept kept;
    // It would end the socket for the service manager and for the next process of the service, too.
    if (find_adopted(fd) != nullptr) return 0;
  }
  return functions::shutdown(fd, how);
}

// --- addresses -------------------------------------------------------------------------------------------------------

SD_VISIBLE int sd_adopt_accept(int fd, sockaddr* address, socklen_t* size) __asm__("accept");
int sd_adopt_accept(int fd, sockaddr* address, socklen_t* size) {
  return with_room(fd, address, size, [fd](sockaddr* to, socklen_t* room) { return functions::accept(fd, to, room); });
}
SD_VISIBLE int sd_adopt_accept4(int fd, sockaddr* address, socklen_t* size, int flags) __asm__("accept4");
int sd_adopt_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return with_room(fd, address, size,
                   [=](sockaddr* to, socklen_t* room) { return functions::accept4(fd, to, room, flags); });
}
SD_VISIBLE int sd_adopt_getpeername(int fd, sockaddr* address, socklen_t* size) __asm__("getpeername");
int sd_adopt_getpeername(int fd, sockaddr* address, socklen_t* size) {
  return with_room(fd, address, size,
                   [fd](sockaddr* to, socklen_t* room) { return functions::getpeername(fd, to, room); });
}
SD_VISIBLE int sd_adopt_getsockname(int fd, sockaddr* address, socklen_t* size) __asm__("getsockname");
int sd_adopt_getsockname(int fd, sockaddr* address, socklen_t* size) {
  return with_room(fd, address, size,
                   [fd](sockaddr* to, socklen_t* room) { return functions::getsockname(fd, to, room); });
}
SD_VISIBLE ssize_t sd_adopt_recvfrom(int fd, void* data, std::size_t data_size, int flags, sockaddr* address,
                                     socklen_t* size) __asm__("recvfrom");
ssize_t sd_adopt_recvfrom(int fd, void* data, std::size_t data_size, int flags, sockaddr* address, socklen_t* size) {
  return with_room(fd, address, size, [=](sockaddr* to, socklen_t* room) {
    return functions::recvfrom(fd, data, data_size, flags, to, room);
  });
}
SD_VISIBLE ssize_t sd_adopt_recvmsg(int fd, msghdr* message, int flags) __asm__("recvmsg");
ssize_t sd_adopt_recvmsg(int fd, msghdr* message, int flags) {
  if (!has_ipv4_views() || message == nullptr || message->msg_name == nullptr) {
    return functions::recvmsg(fd, message, flags);
  }
  address_room room;
  msghdr with_room = *message;
  with_room.msg_name = room.get();
  with_room.msg_namelen = room.size;
  const auto result = functions::recvmsg(fd, &with_room, flags);
  if (result < 0) return result;
  room.size = with_room.msg_namelen;
  room.convert(fd);
  room.copy_to(message->msg_name, message->msg_namelen);
  message->msg_controllen = with_room.msg_controllen;
  message->msg_flags = with_room.msg_flags;
  return result;
}

// --- descriptors -----------------------------------------------------------------------------------------------------

SD_VISIBLE int sd_adopt_close(int fd) __asm__("close");
int sd_adopt_close(int fd) {
  if (is_kept(fd)) return failed(EBADF);
  leave_epoll(fd);
  return functions::close(fd);
}

SD_VISIBLE int sd_adopt_close_range(unsigned first, unsigned last, int flags) __asm__("close_range");
int sd_adopt_close_range(unsigned first, unsigned last, int flags) {
  if (first > INT32_MAX) return functions::close_range(first, last, flags);
  while (true) {
    const int kept = lowest_kept(static_cast<int>(first));
    if (kept < 0 || static_cast<unsigned>(kept) > last) return functions::close_range(first, last, flags);
    const auto end = static_cast<unsigned>(kept);
    if (end > first && functions::close_range(first, end - 1, flags) < 0) return -1;
    if (end == last) return 0;
    first = end + 1;
  }
}

SD_VISIBLE void sd_adopt_closefrom(int lowest) __asm__("closefrom");
void sd_adopt_closefrom(int lowest) {
  const errno_kept kept;
  const int first = std::max(lowest, 0);
  if (sd_adopt_close_range(static_cast<unsigned>(first), ~0U, 0) == 0) return;
  const long end = ::sysconf(_SC_OPEN_MAX);
  for (long fd = first; fd < end; ++fd) sd_adopt_close(static_cast<int>(fd));
}

SD_VISIBLE int sd_adopt_dup2(int fd, int number) __asm__("dup2");
int sd_adopt_dup2(int fd, int number) {
  const int result = make_room(fd, number);
  return result < 0 ? failed(-result) : functions::dup2(fd, number);
}
SD_VISIBLE int sd_adopt_dup3(int fd, int number, int flags) __asm__("dup3");
int sd_adopt_dup3(int fd, int number, int flags) {
  const int result = make_room(fd, number);
  return result < 0 ? failed(-result) : functions::dup3(fd, number, flags);
}

// --- paths -----------------------------------------------------------------------------------------------------------

SD_VISIBLE int sd_adopt_unlink(const char* path) __asm__("unlink");
int sd_adopt_unlink(const char* path) {
  return is_protected(AT_FDCWD, path, "not unlinked") ? 0 : functions::unlink(path);
}
SD_VISIBLE int sd_adopt_unlinkat(int directory, const char* path, int flags) __asm__("unlinkat");
int sd_adopt_unlinkat(int directory, const char* path, int flags) {
  const bool removes_file = (flags & AT_REMOVEDIR) == 0;
  return removes_file && is_protected(directory, path, "not unlinked") ? 0
                                                                       : functions::unlinkat(directory, path, flags);
}
SD_VISIBLE int sd_adopt_remove(const char* path) __asm__("remove");
int sd_adopt_remove(const char* path) {
  return is_protected(AT_FDCWD, path, "not unlinked") ? 0 : functions::remove(path);
}

SD_VISIBLE int sd_adopt_rename(const char* from, const char* to) __asm__("rename");
int sd_adopt_rename(const char* from, const char* to) {
  return rename_unless_passed(AT_FDCWD, from, AT_FDCWD, to, [=] { return functions::rename(from, to); });
}
SD_VISIBLE int sd_adopt_renameat(int from_directory, const char* from, int to_directory,
                                 const char* to) __asm__("renameat");
int sd_adopt_renameat(int from_directory, const char* from, int to_directory, const char* to) {
  return rename_unless_passed(from_directory, from, to_directory, to,
                              [=] { return functions::renameat(from_directory, from, to_directory, to); });
}
SD_VISIBLE int sd_adopt_renameat2(int from_directory, const char* from, int to_directory, const char* to,
                                  unsigned flags) __asm__("renameat2");
int sd_adopt_renameat2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  return rename_unless_passed(from_directory, from, to_directory, to,
                              [=] { return functions::renameat2(from_directory, from, to_directory, to, flags); });
}

SD_VISIBLE int sd_adopt_chmod(const char* path, mode_t mode) __asm__("chmod");
int sd_adopt_chmod(const char* path, mode_t mode) {
  return is_protected(AT_FDCWD, path, "mode not changed", 0) ? 0 : functions::chmod(path, mode);
}
SD_VISIBLE int sd_adopt_fchmodat(int directory, const char* path, mode_t mode, int flags) __asm__("fchmodat");
int sd_adopt_fchmodat(int directory, const char* path, mode_t mode, int flags) {
  return is_protected(directory, path, "mode not changed", flags) ? 0
                                                                  : functions::fchmodat(directory, path, mode, flags);
}
SD_VISIBLE int sd_adopt_chown(const char* path, uid_t user, gid_t group) __asm__("chown");
int sd_adopt_chown(const char* path, uid_t user, gid_t group) {
  return is_protected(AT_FDCWD, path, "owner not changed", 0) ? 0 : functions::chown(path, user, group);
}
SD_VISIBLE int sd_adopt_lchown(const char* path, uid_t user, gid_t group) __asm__("lchown");
int sd_adopt_lchown(const char* path, uid_t user, gid_t group) {
  return is_protected(AT_FDCWD, path, "owner not changed") ? 0 : functions::lchown(path, user, group);
}
SD_VISIBLE int sd_adopt_fchownat(int directory, const char* path, uid_t user, gid_t group,
                                 int flags) __asm__("fchownat");
int sd_adopt_fchownat(int directory, const char* path, uid_t user, gid_t group, int flags) {
  return is_protected(directory, path, "owner not changed", flags)
             ? 0
             : functions::fchownat(directory, path, user, group, flags);
}

}  // extern "C"

namespace {
[[gnu::constructor]] void start() noexcept {
  functions::find_all();
  receive_sockets();
}
}  // namespace
