// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sockets.hpp"

#if SD_HAS_DESCRIPTORS

#include "descriptors.hpp"
#include "result.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <cstring>

namespace sd::detail::os {

namespace {
int size_of(int result, socklen_t length) noexcept { return result < 0 ? -errno : static_cast<int>(length); }
}  // namespace

int is_nonblocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  return (flags & O_NONBLOCK) != 0 ? 1 : 0;
}
int set_nonblocking(int fd, bool on) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return wanted == flags ? 0 : negated_errno(::fcntl(fd, F_SETFL, wanted));
}

int socket_option(int fd, int level, int option, int& value) noexcept {
  socklen_t size = sizeof value;
  return negated_errno(::getsockopt(fd, level, option, &value, &size));
}
int set_socket_option(int fd, int level, int option, int value) noexcept {
  return negated_errno(::setsockopt(fd, level, option, &value, sizeof value));
}
int set_send_buffer(int fd, int size) noexcept {
#if defined(SO_SNDBUFFORCE)
  if (set_socket_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, size) >= 0) return 0;
#endif
  return set_socket_option(fd, SOL_SOCKET, SO_SNDBUF, size);
}
int socket_family(int fd) noexcept {
#if defined(SO_DOMAIN)
  int family = 0;
  const int result = socket_option(fd, SOL_SOCKET, SO_DOMAIN, family);
  return result < 0 ? result : family;
#else
  sockaddr_storage local{};
  const int result = local_address(fd, &local, sizeof local);
  return result < 0 ? result : local.ss_family;
#endif
}
int socket_protocol([[maybe_unused]] int fd) noexcept {
#if defined(SO_PROTOCOL)
  int protocol = 0;
  const int result = socket_option(fd, SOL_SOCKET, SO_PROTOCOL, protocol);
  return result < 0 ? result : protocol;
#else
  return 0;
#endif
}
int local_address(int fd, void* address, std::size_t size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const int result = ::getsockname(fd, static_cast<sockaddr*>(address), &length);
  return size_of(result, length);
}
int peer_address(int fd, void* address, std::size_t size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const int result = ::getpeername(fd, static_cast<sockaddr*>(address), &length);
  return size_of(result, length);
}

int open_socket(int family, int type, int protocol) noexcept {
#if defined(SOCK_CLOEXEC)
  return negated_errno(::socket(family, type | SOCK_CLOEXEC, protocol));
#else
  const int fd = negated_errno(::socket(family, type, protocol));
  if (fd >= 0) set_close_on_exec(fd, true);
  return fd;
#endif
}
int bind(int fd, const void* address, std::size_t size) noexcept {
  return negated_errno(::bind(fd, static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)));
}
int listen(int fd, int backlog) noexcept { return negated_errno(::listen(fd, backlog)); }
int connect(int fd, const void* address, std::size_t size) noexcept {
  const auto* const to = static_cast<const sockaddr*>(address);
  return uninterrupted([&] { return ::connect(fd, to, static_cast<socklen_t>(size)); });
}
int send_message(int fd, const piece* pieces, std::size_t piece_count, const void* address, std::size_t size,
                 const int* fds, std::size_t fd_count, int pid) noexcept {
  iovec text[most_pieces];
  if (piece_count > most_pieces) return -EMSGSIZE;
  for (std::size_t i = 0; i < piece_count; ++i) text[i] = {const_cast<void*>(pieces[i].data), pieces[i].size};

  constexpr std::size_t fds_size = sizeof(int) * most_attached;
#if defined(__linux__)
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(fds_size) + CMSG_SPACE(sizeof(ucred))];
#else
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(fds_size)];
#endif
  std::memset(control, 0, sizeof control);
  msghdr header{};
  header.msg_name = const_cast<void*>(address);
  header.msg_namelen = static_cast<socklen_t>(size);
  header.msg_iov = text;
  // The sizes here and below are int or socklen_t in some C libraries. All types take an unsigned short, which all
  // sizes fit.
  header.msg_iovlen = static_cast<unsigned short>(piece_count);
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  std::size_t control_size = 0;
  if (fd_count > 0) {
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = static_cast<unsigned short>(CMSG_LEN(sizeof(int) * fd_count));
    std::memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
    control_size += CMSG_SPACE(sizeof(int) * fd_count);
    part = static_cast<cmsghdr*>(static_cast<void*>(control + control_size));
  }
#if defined(__linux__)
  if (pid != 0) {
    const ucred credentials{pid, ::getuid(), ::getgid()};
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_CREDENTIALS;
    part->cmsg_len = CMSG_LEN(sizeof credentials);
    std::memcpy(CMSG_DATA(part), &credentials, sizeof credentials);
    control_size += CMSG_SPACE(sizeof credentials);
  }
#else
  if (pid != 0) return -EOPNOTSUPP;
#endif
  header.msg_controllen = static_cast<unsigned short>(control_size);
  if (control_size == 0) header.msg_control = nullptr;

#if defined(MSG_NOSIGNAL)
  constexpr int flags = MSG_NOSIGNAL;
#else
  constexpr int flags = 0;
#endif
  while (true) {
#if defined(__linux__) && !defined(__GLIBC__) && defined(SYS_sendmsg)
    // musl's sendmsg(3) copies the ancillary data to a buffer that is too small for 253 descriptors. It does so to
    // clear the padding, which is zero here.
    const auto sent = ::syscall(SYS_sendmsg, fd, &header, flags);
#else
    const auto sent = ::sendmsg(fd, &header, flags);
#endif
    if (sent >= 0) return static_cast<int>(sent);
    if (errno != EINTR) return -errno;
  }
}
int is_readable(int fd) noexcept {
  pollfd readable{fd, POLLIN, 0};
  return negated_errno(::poll(&readable, 1, 0));
}

#if defined(__linux__)
int interface_number(const char* name, unsigned& number) noexcept {
  // As if_nametoindex(3), which reports ENOENT with glibc if it cannot open a socket.
  const int fd = open_socket(AF_UNIX, SOCK_DGRAM);
  if (fd < 0) return fd;
  ifreq request{};
  std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  const int result = negated_errno(::ioctl(fd, SIOCGIFINDEX, &request));
  close(fd);
  number = static_cast<unsigned>(request.ifr_ifindex);
  return result;
}
#else
int interface_number(const char* name, unsigned& number) noexcept {
  errno = 0;
  number = ::if_nametoindex(name);
  if (number != 0) return 0;
  return errno == 0 || errno == ENXIO ? -ENODEV : -errno;
}
#endif
const char* interface_name(unsigned number, char* name) noexcept { return ::if_indextoname(number, name); }

}  // namespace sd::detail::os

#endif
