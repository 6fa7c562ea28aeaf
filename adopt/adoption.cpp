// SPDX-License-Identifier: MIT OR Apache-2.0
#include "adoption.hpp"

#include "detail/os/descriptors.hpp"
#include "detail/os/sockets.hpp"
#include "detail/protocol.hpp"
#include "functions.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sd::adopt {

namespace os = detail::os;

namespace {

// --- options ---------------------------------------------------------------------------------------------------------

struct option {
  int level;
  int name;
};

/// The options that are carried over. Those that bind(2) depends on have served their purpose, and the kernel does not
/// tell which multicast groups a socket has joined.
constexpr option options[] = {
    {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_DONTROUTE},
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_MARK},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_PASSCRED},
    {SOL_SOCKET, SO_PASSSEC},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_RCVBUF},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_RCVTIMEO},
    {SOL_SOCKET, SO_RXQ_OVFL},
    {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_TIMESTAMP},
    {SOL_SOCKET, SO_TIMESTAMPING},
    {SOL_SOCKET, SO_TIMESTAMPNS},
    {IPPROTO_TCP, TCP_CONGESTION},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_LINGER2},
    {IPPROTO_TCP, TCP_MAXSEG},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_QUICKACK},
    {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {IPPROTO_UDP, UDP_GRO},
    {IPPROTO_UDP, UDP_SEGMENT},
    {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IP, IP_MULTICAST_ALL},
    {IPPROTO_IP, IP_MULTICAST_LOOP},
    {IPPROTO_IP, IP_MULTICAST_TTL},
    {IPPROTO_IP, IP_PKTINFO},
    {IPPROTO_IP, IP_RECVERR},
    {IPPROTO_IP, IP_RECVOPTS},
    {IPPROTO_IP, IP_RECVORIGDSTADDR},
    {IPPROTO_IP, IP_RECVTOS},
    {IPPROTO_IP, IP_RECVTTL},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
    {IPPROTO_IPV6, IPV6_RECVERR},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {IPPROTO_IPV6, IPV6_RECVTCLASS},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
};

/// The value of an option, which may be a number, a time or a name.
struct value {
  alignas(8) unsigned char bytes[16] = {};
  socklen_t size = sizeof bytes;

  bool read(int fd, const option& which) noexcept {
    return ::getsockopt(fd, which.level, which.name, bytes, &size) == 0;
  }
  [[nodiscard]] bool is_same(const value& other) const noexcept {
    return size == other.size && std::memcmp(bytes, other.bytes, size) == 0;
  }
};

bool is_buffer_size(const option& which) noexcept {
  return which.level == SOL_SOCKET && (which.name == SO_RCVBUF || which.name == SO_SNDBUF);
}

/// Sets the options that the program has changed, which a new socket shows.
void carry_options(int from, const passed_socket& to) noexcept {
  const int fresh = os::open_socket(os::socket_family(from), to.type, os::socket_protocol(from));
  if (fresh < 0) return;
  for (const auto& each : options) {
    value before;
    value now;
    if (!before.read(fresh, each) || !now.read(from, each) || now.is_same(before)) continue;
    if (is_buffer_size(each)) {
      // The kernel doubles the value that it is given.
      int size = 0;
      std::memcpy(&size, now.bytes, sizeof size);
      size /= 2;
      std::memcpy(now.bytes, &size, sizeof size);
    }
    ::setsockopt(to.fd, each.level, each.name, now.bytes, now.size);
  }
  functions::close(fresh);
}

// --- other numbers and epoll instances -------------------------------------------------------------------------------

/// Reads a file line by line, without allocating memory.
class line_reader {
 public:
  explicit line_reader(const char* path) noexcept : fd_(::open(path, O_RDONLY | O_CLOEXEC)) {}
  line_reader(const line_reader&) = delete;
  line_reader& operator=(const line_reader&) = delete;
  ~line_reader() {
    if (fd_ >= 0) functions::close(fd_);
  }

  /// Returns the next line, or null at the end. A line that is too long is cut into several.
  const char* next() noexcept {
    std::size_t length = 0;
    while (length + 1 < sizeof line_) {
      if (position_ == end_) {
        const auto count = fd_ < 0 ? 0 : ::read(fd_, buffer_, sizeof buffer_);
        if (count <= 0) break;
        position_ = 0;
        end_ = static_cast<std::size_t>(count);
      }
      const char c = buffer_[position_++];
      line_[length++] = c;
      if (c == '\n') break;
    }
    line_[length] = '\0';
    return length == 0 ? nullptr : line_;
  }

 private:
  int fd_;
  char buffer_[512];
  std::size_t position_ = 0;
  std::size_t end_ = 0;
  char line_[128];
};

/// An entry of an epoll instance.
struct registration {
  int epoll;
  int fd;
  epoll_event event;
};

/// The numbers under which this process has a socket, and what watches them. More than fit are left alone.
class places {
 public:
  explicit places(int fd) noexcept : numbers_{fd} { os::status(fd, identity_); }

  /// Finds the numbers and the epoll instances of this process in /proc. Without /proc, only the given number is used.
  void find() noexcept {
    for_each_descriptor([this](int each) {
      os::file file;
      const bool is_other = count_ < most && each != numbers_[0] && os::status(each, file) == 0;
      if (is_other && os::is_same(file, identity_)) numbers_[count_++] = each;
    });
    for_each_descriptor([this](int each) {
      char entry[48];
      char target[32] = {};
      std::snprintf(entry, sizeof entry, "/proc/thread-self/fd/%d", each);
      if (::readlink(entry, target, sizeof target - 1) < 0) return;
      if (std::strcmp(target, "anon_inode:[eventpoll]") == 0) find_registrations(each);
    });
  }

  /// Puts copies of another socket in these places. Returns 0, or a negated errno when some may have been replaced.
  int replace_by(int fd) noexcept {
    for (std::size_t i = 0; i < registration_count_; ++i) {
      auto& each = registrations_[i];
      ::epoll_ctl(each.epoll, EPOLL_CTL_DEL, each.fd, nullptr);
    }
    int result = 0;
    for (std::size_t i = 0; i < count_ && result >= 0; ++i) {
      const int flags = os::is_close_on_exec(numbers_[i]) > 0 ? O_CLOEXEC : 0;
      // EBUSY: another thread is opening a descriptor under this number.
      do {
        result = functions::dup3(fd, numbers_[i], flags) < 0 ? -errno : 0;
      } while (result == -EINTR || result == -EBUSY);
    }
    for (std::size_t i = 0; i < registration_count_; ++i) {
      auto& each = registrations_[i];
      ::epoll_ctl(each.epoll, EPOLL_CTL_ADD, each.fd, &each.event);
    }
    return result;
  }

 private:
  static constexpr std::size_t most = 16;

  template <class Function>
  static void for_each_descriptor(Function function) noexcept {
    const int directory = ::open("/proc/thread-self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    alignas(8) char buffer[1024];
    for (long size = 0; (size = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0;) {
      for (long at = 0; at < size;) {
        // The layout of getdents64(2): two numbers of 64 bits, the size of the entry, its type, and its name.
        std::uint16_t entry_size = 0;
        std::memcpy(&entry_size, buffer + at + 16, sizeof entry_size);
        const char* const name = buffer + at + 19;
        std::uint64_t fd = 0;
        const bool is_number = detail::parse_decimal(name, INT_MAX, fd) == detail::number::ok;
        if (is_number && static_cast<int>(fd) != directory) function(static_cast<int>(fd));
        at += entry_size;
      }
    }
    functions::close(directory);
  }

  /// Returns the number that follows the name in a line of proc_pid_fdinfo(5), or 0 if there is none.
  static std::uint64_t field(const char* line, const char* name, int base) noexcept {
    const char* const found = std::strstr(line, name);
    return found == nullptr ? 0 : std::strtoull(found + std::strlen(name), nullptr, base);
  }

  [[nodiscard]] bool is_place(int fd) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      if (numbers_[i] == fd) return true;
    }
    return false;
  }

  void find_registrations(int epoll) noexcept {
    char path[48];
    std::snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%d", epoll);
    line_reader lines(path);
    while (const char* const line = lines.next()) {
      if (std::strncmp(line, "tfd:", 4) != 0 || registration_count_ == most) continue;
      registration found{epoll, static_cast<int>(field(line, "tfd:", 10)), {}};
      found.event.events = static_cast<std::uint32_t>(field(line, "events:", 16));
      found.event.data.u64 = field(line, "data:", 16);
      if (is_place(found.fd)) registrations_[registration_count_++] = found;
    }
  }

  os::file identity_;
  int numbers_[most];
  std::size_t count_ = 1;
  registration registrations_[most];
  std::size_t registration_count_ = 0;
};

}  // namespace

int adopt(int fd, passed_socket& from) noexcept {
  // bind(2) is no cancellation point, but what is called here is.
  int cancellation = 0;
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
  const bool is_nonblocking = os::is_nonblocking(fd) > 0;
  places all(fd);
  all.find();
  carry_options(fd, from);
  const int result = all.replace_by(from.fd);
  if (result >= 0) {
    // Other processes share the flag. One that has set it would block in accept(2) if it were cleared.
    if (is_nonblocking) os::set_nonblocking(fd, true);
    note_adoption(from);
  }
  ::pthread_setcancelstate(cancellation, nullptr);
  return result;
}

}  // namespace sd::adopt
