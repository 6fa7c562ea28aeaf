// SPDX-License-Identifier: MIT OR Apache-2.0
#include "inspect.hpp"

#include "os/files.hpp"
#include "os/sockets.hpp"
#include "os/vsock.hpp"

#if SD_HAS_DESCRIPTORS

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

namespace sd::detail {

namespace {

/// Holds an address of any family.
struct socket_address {
  alignas(8) unsigned char bytes[sizeof(sockaddr_storage)] = {};
  std::size_t size = 0;

  [[nodiscard]] int family() const noexcept { return as<sockaddr>().sa_family; }
  template <class Address>
  [[nodiscard]] Address as() const noexcept {
    Address address;
    std::memcpy(&address, bytes, sizeof address);
    return address;
  }
};

int local_address(int fd, socket_address& local) noexcept {
  const int size = os::local_address(fd, local.bytes, sizeof local.bytes);
  if (size < 0) return size;
  local.size = static_cast<std::size_t>(size);
  return 0;
}

/// Whether stat(2) failed because there is nothing at the path. A check gives false then; it does not fail.
bool is_absent(int result) noexcept { return result == -ENOENT || result == -ENOTDIR; }

/// Returns whether the file is the one at this path.
int is_at(const os::file& file, const char* path) noexcept {
  os::file other;
  if (const int result = os::status(path, other); result < 0) return is_absent(result) ? 0 : result;
  if (file.type != other.type) return 0;
  if (file.type == os::file_type::character) return file.number == other.number ? 1 : 0;
  return file.device == other.device && file.inode == other.inode ? 1 : 0;
}

bool is_internet_family(int family) noexcept { return family == AF_INET || family == AF_INET6; }

/// Returns the port of an IPv4 or IPv6 address.
unsigned port_of(const socket_address& address) noexcept {
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  return ntohs(address.as<sockaddr_in>().sin_port);
}

#if defined(__linux__)
bool matches(const sockaddr_vm& actual, const sockaddr_vm& wanted) noexcept {
  return (wanted.svm_port == 0 || actual.svm_port == wanted.svm_port) && actual.svm_cid == wanted.svm_cid;
}
#endif

bool matches(const sockaddr_in& actual, const sockaddr_in& wanted) noexcept {
  return (wanted.sin_port == 0 || actual.sin_port == wanted.sin_port) &&
         actual.sin_addr.s_addr == wanted.sin_addr.s_addr;
}

bool matches(const sockaddr_in6& actual, const sockaddr_in6& wanted) noexcept {
  return (wanted.sin6_port == 0 || actual.sin6_port == wanted.sin6_port) &&
         (wanted.sin6_flowinfo == 0 || actual.sin6_flowinfo == wanted.sin6_flowinfo) &&
         (wanted.sin6_scope_id == 0 || actual.sin6_scope_id == wanted.sin6_scope_id) &&
         std::memcmp(&actual.sin6_addr, &wanted.sin6_addr, sizeof actual.sin6_addr) == 0;
}

}  // namespace

int is_fifo(int fd, const char* path) noexcept {
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (file.type != os::file_type::fifo) return 0;
  return path != nullptr ? is_at(file, path) : 1;
}

int is_special(int fd, const char* path) noexcept {
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (file.type != os::file_type::regular && file.type != os::file_type::character) return 0;
  return path != nullptr ? is_at(file, path) : 1;
}

int is_socket(int fd, int family, int type, int listening) noexcept {
  if (fd < 0) return -EBADF;
  if (family < 0 || type < 0) return -EINVAL;
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (file.type != os::file_type::socket) return 0;
  if (type != 0) {
    int actual = 0;
    if (const int result = os::socket_option(fd, SOL_SOCKET, SO_TYPE, actual); result < 0) return result;
    if (actual != type) return 0;
  }
  if (listening >= 0) {
    int actual = 0;
    if (const int result = os::socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN, actual); result < 0) return result;
    if ((actual != 0) != (listening != 0)) return 0;
  }
  if (family == AF_UNSPEC) return 1;
  const int actual = os::socket_family(fd);
  if (actual < 0) return actual;
  return actual == family ? 1 : 0;
}

int is_socket_inet(int fd, int family, int type, int listening, unsigned port) noexcept {
  if (fd >= 0 && family != AF_UNSPEC && !is_internet_family(family)) return -EINVAL;
  if (const int result = is_socket(fd, family, type, listening); result <= 0) return result;
  socket_address local;
  if (const int result = local_address(fd, local); result < 0) return result;
  if (!is_internet_family(local.family())) return 0;
  return port == 0 || port_of(local) == port ? 1 : 0;
}

int is_socket_sockaddr(int fd, int type, const void* address, std::size_t size, int listening) noexcept {
  socket_address wanted;
  std::memcpy(wanted.bytes, address, size);
  wanted.size = size;
  if (const int result = is_socket(fd, wanted.family(), type, listening); result <= 0) return result;
  socket_address local;
  if (const int result = local_address(fd, local); result < 0) return result;
  switch (wanted.family()) {
    case AF_INET:
      return matches(local.as<sockaddr_in>(), wanted.as<sockaddr_in>()) ? 1 : 0;
    case AF_INET6:
      return matches(local.as<sockaddr_in6>(), wanted.as<sockaddr_in6>()) ? 1 : 0;
#if defined(__linux__)
    case AF_VSOCK:
      return matches(local.as<sockaddr_vm>(), wanted.as<sockaddr_vm>()) ? 1 : 0;
#endif
    default:
      return local.size == wanted.size && std::memcmp(local.bytes, wanted.bytes, size) == 0 ? 1 : 0;
  }
}

int is_socket_unix(int fd, int type, int listening, const char* path, std::size_t length) noexcept {
  if (const int result = is_socket(fd, AF_UNIX, type, listening); result <= 0 || path == nullptr) return result;
  socket_address local;
  if (const int result = local_address(fd, local); result < 0) return result;
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  std::size_t actual = local.size > start ? local.size - start : 0;
  const auto* const bytes = reinterpret_cast<const char*>(local.bytes) + start;
  // The size of a path includes a terminating NUL if it did in bind(2).
  if (*bytes != '\0') actual = ::strnlen(bytes, actual);
  return actual == length && std::memcmp(bytes, path, length) == 0 ? 1 : 0;
}

int is_message_queue(int fd, const char* name) noexcept {
  if (const int result = os::is_message_queue(fd); result <= 0 || name == nullptr) return result;
  // The file system of the queues, if it is mounted. If it is not, only the name that the queue was opened by is known.
  constexpr char queues[] = "/dev/mqueue";
  if (*name != '/') return -EINVAL;
  char path[PATH_MAX];
  const auto length = static_cast<std::size_t>(std::snprintf(path, sizeof path, "%s%s", queues, name));
  if (length >= sizeof path) return -ENAMETOOLONG;
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (is_at(file, path) > 0) return 1;
  const int opened = os::opened_path(fd, path, sizeof path);
  return static_cast<std::size_t>(opened) == std::strlen(name) && std::memcmp(path, name, std::strlen(name)) == 0 ? 1
                                                                                                                  : 0;
}

int booted() noexcept {
  os::file directory;
  // Because of the last slash, the call fails with ENOTDIR for another file.
  const int result = os::link_status("/run/systemd/system/", directory);
  if (result < 0) return is_absent(result) ? 0 : result;
  return 1;
}

}  // namespace sd::detail

#endif
