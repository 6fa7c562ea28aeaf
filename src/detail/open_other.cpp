// SPDX-License-Identifier: MIT OR Apache-2.0
#include "open_other.hpp"

#include "os/platform.hpp"

#if SD_HAS_DESCRIPTORS

#include <sd/unique_fd.hpp>

#include "os/result.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#if __has_include(<linux/netlink.h>)
#include <linux/netlink.h>
#else
// The layout of netlink(7), for musl without the kernel's headers.
struct sockaddr_nl {
  unsigned short nl_family;
  unsigned short nl_pad;
  unsigned nl_pid;
  unsigned nl_groups;
};
#endif
#endif

#include <cerrno>
#include <utility>

namespace sd::detail {

namespace {

using os::negated_errno;
using os::uninterrupted;

constexpr mode_t owner_only = S_IRUSR | S_IWUSR;

int open_existing_fifo(const std::string& path) noexcept {
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
  const int result = uninterrupted([&] { return ::open(path.c_str(), flags); });
  if (result < 0) return result;
  unique_fd fd(result);
  struct stat status;
  if (::fstat(fd.get(), &status) < 0) return -errno;
  return S_ISFIFO(status.st_mode) ? fd.release() : -EEXIST;
}

}  // namespace

int open_fifo(const std::string& path, bool& is_new) noexcept {
  is_new = ::mkfifo(path.c_str(), owner_only) == 0;
  if (!is_new && errno != EEXIST) return -errno;
  const int result = open_existing_fifo(path);
  if (result < 0 && std::exchange(is_new, false)) ::unlink(path.c_str());
  return result;
}

int open_special(const std::string& path, bool is_writable) noexcept {
  const int flags = (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
  return uninterrupted([&] { return ::open(path.c_str(), flags); });
}

#if defined(__linux__)

int open_message_queue(const std::string& name, unsigned mode, const mq_attr* attributes, bool& is_new) noexcept {
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  const int created = ::mq_open(name.c_str(), flags | O_CREAT | O_EXCL, mode, attributes);
  is_new = created >= 0;
  if (is_new || errno != EEXIST) return negated_errno(created);
  return negated_errno(::mq_open(name.c_str(), flags));
}

int open_netlink(int family, unsigned group) noexcept {
  unique_fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family));
  if (!fd) return -errno;
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = group;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) < 0) return -errno;
  return fd.release();
}

#endif

}  // namespace sd::detail

#endif
