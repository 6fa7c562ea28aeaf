// SPDX-License-Identifier: MIT OR Apache-2.0
#include "adoption.hpp"

#include "detail/os/descriptors.hpp"
#include "detail/os/sockets.hpp"
#include "detail/protocol.hpp"
#include "functions.hpp"
#include "guards.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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

/// The value of an option, which may be a number, a time or a name. It is zero if the socket has no such option.
struct value {
  value(int fd, const option& which) noexcept { ::getsockopt(fd, which.level, which.name, bytes, &size); }

  [[nodiscard]] bool is_same(const value& other) const noexcept {
    return std::memcmp(bytes, other.bytes, sizeof bytes) == 0;
  }

  alignas(8) unsigned char bytes[16] = {};
  socklen_t size = sizeof bytes;
};

bool is_buffer_size(const option& which) noexcept {
  return which.level == SOL_SOCKET && (which.name == SO_RCVBUF || which.name == SO_SNDBUF);
}

/// Sets the options that the program has changed, which a new socket shows.
void carry_options(int from, const passed_socket& to) noexcept {
  const int fresh = os::open_socket(os::socket_family(from), to.type, os::socket_protocol(from));
  if (fresh < 0) return;
  for (const auto& each : options) {
    value now(from, each);
    if (now.is_same(value(fresh, each))) continue;
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

/// Reads a file line by line, without allocating memory. A file that cannot be opened has no lines.
class line_reader {
 public:
  explicit line_reader(const char* path) noexcept : fd_(::open(path, O_RDONLY | O_CLOEXEC)) {}
  line_reader(const line_reader&) = delete;
  line_reader& operator=(const line_reader&) = delete;
  ~line_reader() { functions::close(fd_); }

  /// Returns the next line, or null at the end. A line that is too long is cut into several.
  const char* next() noexcept {
    std::size_t length = 0;
    while (length + 1 < sizeof line_) {
      if (position_ == end_) {
        const auto count = ::read(fd_, buffer_, sizeof buffer_);
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
  char buffer_[128];
  std::size_t position_ = 0;
  std::size_t end_ = 0;
  char line_[128];
};

/// A list of at most 16 elements. More are left out.
template <class Type>
class short_list {
 public:
  void add(const Type& element) noexcept {
    if (size_ < most) elements_[size_++] = element;
  }
  [[nodiscard]] Type* begin() noexcept { return elements_; }
  [[nodiscard]] Type* end() noexcept { return elements_ + size_; }

 private:
  static constexpr std::size_t most = 16;

  Type elements_[most];
  std::size_t size_ = 0;
};

/// An entry of an epoll instance.
struct registration {
  int epoll;
  int fd;
  epoll_event event;
  bool is_removed;
};

/// An entry of a directory, as getdents64(2) returns it.
struct directory_entry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t size;
  unsigned char type;
  char name[256];  // shorter: the entry ends after a NUL byte
};

/// The numbers under which this process has a socket, and what watches them.
class places {
 public:
  explicit places(int fd) noexcept {
    os::status(fd, identity_);
    numbers_.add(fd);
  }

  /// Finds the numbers and the epoll instances of this process in /proc. Without /proc, only the given number is used.
  void find() noexcept {
    const int first = *numbers_.begin();
    for_each_descriptor([this, first](int each) {
      os::file file;
      os::status(each, file);
      if (each != first && os::is_same(file, identity_)) numbers_.add(each);
    });
    find_registrations();
  }

  /// Finds the epoll instances that watch the numbers found so far.
  void find_registrations() noexcept {
    for_each_descriptor([this](int each) { find_registrations_in(each); });
  }
  void remove_registrations() noexcept {
    // This fails for an entry of another file, which had the number when it was registered.
    for (auto& each : registrations_) {
      each.is_removed = ::epoll_ctl(each.epoll, EPOLL_CTL_DEL, each.fd, nullptr) == 0;
    }
  }

  /// Puts copies of another socket in these places. Returns 0, or a negated errno when some may have been replaced.
  int replace_by(int fd) noexcept {
    remove_registrations();
    int result = replace_numbers_by(fd);
    for (auto& each : registrations_) {
      if (each.is_removed && ::epoll_ctl(each.epoll, EPOLL_CTL_ADD, each.fd, &each.event) < 0) result = -errno;
    }
    return result;
  }

 private:
  template <class Function>
  static void for_each_descriptor(Function function) noexcept {
    const int directory = ::open("/proc/thread-self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    alignas(directory_entry) char buffer[1024];
    while (true) {
      const long size = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
      if (size <= 0) break;
      for (long at = 0; at < size;) {
        const auto* const entry = reinterpret_cast<const directory_entry*>(buffer + at);
        std::uint64_t fd = 0;
        if (detail::parse_decimal(entry->name, INT_MAX, fd) == detail::number::ok) function(static_cast<int>(fd));
        at += entry->size;
      }
    }
    functions::close(directory);
  }

  /// Returns the number that follows the name in a line of proc_pid_fdinfo(5).
  static std::uint64_t field(const char* line, const char* name, int base) noexcept {
    const char* const found = std::strstr(line, name);
    return found == nullptr ? 0 : std::strtoull(found + std::strlen(name), nullptr, base);
  }

  [[nodiscard]] bool is_place(int fd) noexcept {
    return std::find(numbers_.begin(), numbers_.end(), fd) != numbers_.end();
  }

  /// Finds the entries for these places. Only the file of an epoll instance has any.
  void find_registrations_in(int epoll) noexcept {
    char path[48];
    std::snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%d", epoll);
    line_reader lines(path);
    while (const char* const line = lines.next()) {
      if (std::strncmp(line, "tfd:", 4) != 0) continue;
      registration found{epoll, static_cast<int>(field(line, "tfd:", 10)), {}, false};
      found.event.events = static_cast<std::uint32_t>(field(line, "events:", 16));
      found.event.data.u64 = field(line, "data:", 16);
      if (is_place(found.fd)) registrations_.add(found);
    }
  }

  int replace_numbers_by(int fd) noexcept {
    for (const int each : numbers_) {
      const int flags = os::is_close_on_exec(each) > 0 ? O_CLOEXEC : 0;
      // EBUSY: another thread is opening a descriptor under this number.
      while (functions::dup3(fd, each, flags) < 0) {
        if (errno != EINTR && errno != EBUSY) return -errno;
      }
    }
    return 0;
  }

  os::file identity_;
  short_list<int> numbers_;
  short_list<registration> registrations_;
};

std::atomic<bool> adopted_remainders[256];

/// Whether a socket has been adopted under this number, or another one with the same remainder. Most numbers that a
/// program closes have no such remainder.
std::atomic<bool>& may_be_adopted(int fd) noexcept { return adopted_remainders[static_cast<unsigned>(fd) % 256]; }

}  // namespace

int adopt(int fd, const claim& from) noexcept {
  const uncancellable guard;
  const bool is_nonblocking = os::is_nonblocking(fd) > 0;
  places all(fd);
  all.find();
  carry_options(fd, *from.socket);
  const int result = all.replace_by(from.socket->fd);
  if (result < 0) {
    give_up(from);
    return result;
  }
  // Other processes share the flag. One that has set it would block in accept(2) if it were cleared.
  if (is_nonblocking) os::set_nonblocking(fd, true);
  note_adoption(from);
  may_be_adopted(fd) = true;
  return 0;
}

void leave_epoll(int fd) noexcept {
  if (!may_be_adopted(fd)) return;
  const uncancellable guard;
  const errno_kept kept;
  const auto* const socket = find_adopted(fd);
  // A child shares the epoll instances of its parent, which may go on using the socket.
  if (socket != nullptr && socket->adopter == os::process_id()) {
    places only(fd);
    only.find_registrations();
    only.remove_registrations();
  }
}

}  // namespace sd::adopt
