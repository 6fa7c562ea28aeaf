// SPDX-License-Identifier: MIT OR Apache-2.0
#include "notify.hpp"

#include "os/descriptors.hpp"
#include "os/processes.hpp"

#include <cerrno>

namespace sd::detail {

namespace {

/// Returns 0, or the negated errno for a message that cannot be sent to any service manager.
int check(const message& message) noexcept {
  if (message.piece_count == 0 || (message.fds == nullptr && message.fd_count > 0)) return -EINVAL;
  return message.fd_count > os::most_attached ? -E2BIG : 0;
}

}  // namespace

}  // namespace sd::detail

#if SD_HAS_DESCRIPTORS

#include "os/vsock.hpp"
#include "protocol.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace sd::detail {

namespace {

/// The size of the send buffer for a message that does not fit the default one.
constexpr int large_buffer = 8 << 20;

/// The address of the service manager, and the type of its socket.
struct manager {
  alignas(8) unsigned char address[sizeof(sockaddr_un)] = {};
  std::size_t size = 0;
  int family = AF_UNIX;
  int type = SOCK_DGRAM;
  int second_type = 0;  // tried if there is no socket of the first type
};

int parse_unix(const char* where, manager& result) noexcept {
  sockaddr_un local{};
  const std::size_t length = std::strlen(where);
  if (length < 2) return -EINVAL;
  if (length + (*where == '/' ? 1 : 0) > sizeof local.sun_path) return -E2BIG;
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, where, length);
  if (*where == '@') local.sun_path[0] = '\0';
  std::memcpy(result.address, &local, sizeof local);
  // A path is terminated by a NUL, an abstract name by the size of the address.
  result.size = offsetof(sockaddr_un, sun_path) + length + (*where == '/' ? 1 : 0);
  return 0;
}

#if defined(__linux__)

/// Returns whether the text starts with the word, and removes the word from it.
bool skip(const char*& text, const char* word) noexcept {
  const std::size_t length = std::strlen(word);
  if (std::strncmp(text, word, length) != 0) return false;
  text += length;
  return true;
}

int parse_vsock(const char* where, manager& result) noexcept {
  if (skip(where, "vsock:")) {
    result.second_type = SOCK_SEQPACKET;
  } else if (skip(where, "vsock-stream:")) {
    result.type = SOCK_STREAM;
  } else if (skip(where, "vsock-seqpacket:")) {
    result.type = SOCK_SEQPACKET;
  } else if (!skip(where, "vsock-dgram:")) {
    return -EAFNOSUPPORT;
  }
  const char* const colon = std::strchr(where, ':');
  if (colon == nullptr) return -EINVAL;
  std::uint64_t cid = 0;
  std::uint64_t port = 0;
  if (parse_decimal({where, static_cast<std::size_t>(colon - where)}, UINT32_MAX - 1, cid) != number::ok ||
      parse_decimal(colon + 1, UINT32_MAX - 1, port) != number::ok) {
    return -EINVAL;
  }
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = static_cast<unsigned>(cid);
  vsock.svm_port = static_cast<unsigned>(port);
  std::memcpy(result.address, &vsock, sizeof vsock);
  result.size = sizeof vsock;
  result.family = AF_VSOCK;
  return 0;
}

#else
int parse_vsock(const char*, manager&) noexcept { return -EAFNOSUPPORT; }
#endif

int parse(const char* where, manager& result) noexcept {
  return *where == '/' || *where == '@' ? parse_unix(where, result) : parse_vsock(where, result);
}

/// Opens a socket of the type, and connects it unless it is a unix socket.
int open_socket(const manager& to, int type) noexcept {
  const int fd = os::open_socket(to.family, type);
  if (fd < 0 || to.family == AF_UNIX) return fd;
  const int result = os::connect(fd, to.address, to.size);
  if (result >= 0) return fd;
  os::close(fd);
  return result;
}

int send(const message& message, const manager& to) noexcept {
  int fd = open_socket(to, to.type);
  if (fd < 0 && to.second_type != 0) fd = open_socket(to, to.second_type);
  if (fd < 0) return fd;
  const bool connected = to.family != AF_UNIX;
  bool grown = false;
  const auto send_as = [&](int pid) {
    while (true) {
      const int sent = os::send_message(fd, message.pieces, message.piece_count, connected ? nullptr : to.address,
                                        connected ? 0 : to.size, message.fds, message.fd_count, pid);
      if (sent != -EMSGSIZE || grown || os::set_send_buffer(fd, large_buffer) < 0) return sent;
      grown = true;
    }
  };
  // The kernel adds the credentials of this process itself.
  const int pid = message.pid != 0 && message.pid != os::process_id() ? message.pid : 0;
  int result = send_as(pid);
  if (result < 0 && pid != 0 && message.falls_back_to_self) result = send_as(0);
  os::close(fd);
  return result;
}

}  // namespace

int notify(const message& message) noexcept {
  if (const int result = check(message); result < 0) return result;
  const char* const where = os::get_environment("NOTIFY_SOCKET");
  if (where == nullptr) return 0;
  manager to;
  if (const int result = parse(where, to); result < 0) return result;
  if (to.family != AF_UNIX && message.fd_count > 0) return -EOPNOTSUPP;
  const int result = send(message, to);
  return result < 0 ? result : 1;
}

int notify_barrier(std::int64_t timeout_usec, int pid) noexcept {
  if (os::get_environment("NOTIFY_SOCKET") == nullptr) return 0;
  int ends[2];
  if (const int result = os::open_pipe(ends); result < 0) return result;
  // The manager closes the attached write end when it processes this message, which hangs up the read end.
  constexpr char text[] = "BARRIER=1";
  const os::piece piece{text, sizeof text - 1};
  message barrier;
  barrier.pieces = &piece;
  barrier.piece_count = 1;
  barrier.fds = &ends[1];
  barrier.fd_count = 1;
  barrier.pid = pid;
  barrier.falls_back_to_self = true;
  int result = notify(barrier);
  os::close(ends[1]);
  if (result > 0) {
    const int waited = os::wait_for_hangup(ends[0], timeout_usec);
    result = waited < 0 ? waited : waited == 0 ? -ETIMEDOUT : 1;
  }
  os::close(ends[0]);
  return result;
}

}  // namespace sd::detail

#else

namespace sd::detail {
int notify(const message& message) noexcept { return check(message); }
int notify_barrier(std::int64_t, int) noexcept { return 0; }
}  // namespace sd::detail

#endif
