// SPDX-License-Identifier: MIT OR Apache-2.0
#include "connections.hpp"

#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/os/result.hpp"
#include "detail/os/sockets.hpp"
#include "sockets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <functional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

#if !defined(SO_NETNS_COOKIE)
constexpr int SO_NETNS_COOKIE = 71;
#endif
constexpr int protocol_mptcp = 262;

/// Returns a number that stands for the network namespace of a socket, or 0 on older kernels.
std::uint64_t network_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  ::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size);
  return cookie;
}

// --- sock_diag(7) ----------------------------------------------------------------------------------------------------

unique_fd open_sock_diag() {
  unique_fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) fail(errno, "sock_diag");
  return fd;
}

/// Copies a structure out of a message. One that is longer than the message is filled with zeros.
template <class Structure>
Structure read_structure(std::string_view text) {
  Structure result{};
  std::memcpy(&result, text.data(), std::min(sizeof result, text.size()));
  return result;
}

/// Sends a request to sock_diag(7), and calls the function with what the kernel replies about each socket.
///
/// @param matches Must return true if `flags` lacks NLM_F_DUMP, because nothing follows the only reply then.
/// @returns Whether the function has returned true for any of them.
/// @throws std::system_error if the kernel refuses the request.
template <class Request>
bool any_socket(const Request& what, int flags, const std::function<bool(std::string_view)>& matches) {
  struct {
    nlmsghdr header;
    Request what;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  request.what = what;
  const auto fd = open_sock_diag();
  const auto send = [&] { return static_cast<int>(::send(fd.get(), &request, sizeof request, 0)); };
  if (detail::os::uninterrupted(send) < 0) fail(errno, "sock_diag");
  std::vector<char> buffer(32768);  // the largest message that the kernel makes
  while (true) {
    // The kernel has the reply ready.
    const auto size = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail(errno, "sock_diag");
    std::string_view rest(buffer.data(), static_cast<std::size_t>(size));
    while (rest.size() >= sizeof(nlmsghdr)) {
      const auto header = read_structure<nlmsghdr>(rest);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) fail(EPROTO, "sock_diag");
      const auto body = rest.substr(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
      if (header.nlmsg_type == NLMSG_ERROR) fail(-read_structure<nlmsgerr>(body).error, "sock_diag");
      if (header.nlmsg_type == NLMSG_DONE) return false;
      if (matches(body)) return true;
      rest.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
  }
}

unix_diag_req unix_request() {
  unix_diag_req what{};
  what.sdiag_family = AF_UNIX;
  what.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS;
  return what;
}

/// Returns the name and the file of a unix socket, which an accepted one has from the socket that listens.
std::string identity_of_unix(std::string_view message) {
  std::string identity;
  message.remove_prefix(std::min(message.size(), sizeof(unix_diag_msg)));
  while (true) {
    const auto header = read_structure<nlattr>(message);
    if (header.nla_len < sizeof header) return identity;  // the end of the message
    if (header.nla_type == UNIX_DIAG_NAME || header.nla_type == UNIX_DIAG_VFS)
      identity += message.substr(0, header.nla_len);
    message.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(header.nla_len), message.size()));
  }
}

std::string identity_of_unix(int fd) {
  std::uint64_t inode = 0;
  if (const int error = detail::os::inode(fd, inode); error < 0) fail(-error, "fstat");
  auto what = unix_request();
  what.udiag_ino = static_cast<std::uint32_t>(inode);
  what.udiag_cookie[0] = ~0U;  // no cookie
  what.udiag_cookie[1] = ~0U;
  std::string identity;
  any_socket(what, 0, [&](std::string_view message) {
    identity = identity_of_unix(message);
    return true;
  });
  return identity;
}

/// Returns whether an internet socket is that of a connection to the address, and is held by a process or waits to be
/// accepted.
bool is_connection_to(const address& where, const inet_diag_msg& connection) {
  const bool is_closed = connection.idiag_state != TCP_ESTABLISHED && connection.idiag_state != TCP_CLOSE_WAIT;
  // The kernel goes on closing a connection when no process holds it any longer. An open one that has no inode number
  // waits to be accepted, or accept(2) has not finished with it.
  if (is_closed && connection.idiag_inode == 0) return false;
  const auto* const sockaddr = static_cast<const char*>(where.data());
  if (where.family() == AF_INET) {
    const auto local = read_structure<sockaddr_in>({sockaddr, where.size()});
    return local.sin_addr.s_addr == INADDR_ANY || local.sin_addr.s_addr == connection.id.idiag_src[0];
  }
  const auto local = read_structure<sockaddr_in6>({sockaddr, where.size()});
  return IN6_IS_ADDR_UNSPECIFIED(&local.sin6_addr) ||
         std::memcmp(&local.sin6_addr, connection.id.idiag_src, sizeof local.sin6_addr) == 0;
}

/// Returns whether there is a connection to a TCP socket. The kernel looks for the port.
bool is_tcp_connected(const address& where) {
  inet_diag_req_v2 what{};
  what.sdiag_family = static_cast<std::uint8_t>(where.family());
  what.sdiag_protocol = IPPROTO_TCP;
  what.idiag_states = 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 |
                      1U << TCP_CLOSING | 1U << TCP_LAST_ACK;
  what.id.idiag_sport = htons(static_cast<std::uint16_t>(where.port()));
  return any_socket(what, NLM_F_DUMP, [&](std::string_view message) {
    return is_connection_to(where, read_structure<inet_diag_msg>(message));
  });
}

/// Returns whether there is a connected unix socket with one of the identities.
bool is_unix_connected(const std::function<bool(const std::string&)>& is_ours) {
  auto what = unix_request();
  what.udiag_states = 1U << TCP_ESTABLISHED;
  return any_socket(what, NLM_F_DUMP, [&](std::string_view message) { return is_ours(identity_of_unix(message)); });
}

// --- SIGIO -----------------------------------------------------------------------------------------------------------

sigset_t sigio() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGIO);
  return set;
}

/// Returns whether a SIGIO was pending.
bool take_sigio() {
  const auto set = sigio();
  const timespec no_time{};
  return ::sigtimedwait(&set, nullptr, &no_time) == SIGIO;
}

/// Has the kernel send SIGIO to this process when traffic arrives. FIOASYNC leaves the other flags alone, such as
/// O_NONBLOCK, which the service may be changing.
bool set_async(int fd, int is_on) noexcept {
  return ::fcntl(fd, F_SETOWN, ::getpid()) == 0 && ::ioctl(fd, FIOASYNC, &is_on) == 0;
}

}  // namespace

// --- connections -----------------------------------------------------------------------------------------------------

struct connections::listener {
  explicit listener(int number);

  int fd;
  enum { nothing, tcp, unix_socket } connects = nothing;
  address local;
  std::string identity;  ///< of a unix socket
  bool has_signals = true;
  std::int64_t changed = 0;  ///< of a message queue, which has no SIGIO

  /// Returns whether a message queue has been used since the last look.
  [[nodiscard]] bool has_changed() {
    if (has_signals) return false;
    detail::os::file file;
    detail::os::status(fd, file);
    return std::exchange(changed, file.modified) != file.modified;
  }
};

connections::listener::listener(int number) : fd(number) {
  const auto what = describe(fd);
  const bool is_inet = what.family == AF_INET || what.family == AF_INET6;
  const bool is_tcp = is_inet && (what.protocol == IPPROTO_TCP || what.protocol == protocol_mptcp);
  bool is_known = true;
  local = what.local;
  switch (what.kind) {
    case kind::stream:
    case kind::seqpacket:
      connects = is_tcp ? tcp : unix_socket;
      is_known = is_tcp || what.family == AF_UNIX;
      break;
    case kind::datagram:
      is_known = is_inet || what.family == AF_UNIX;
      break;
    case kind::message_queue:
      has_signals = false;
      break;
    case kind::raw:
    case kind::netlink:
    case kind::fifo:
    case kind::special:
      break;
    default:
      is_known = false;
  }
  const auto refuse = [&](int error, std::string_view reason) {
    fail(error, fmt::format("--stop-idle: {}: {}", sd::to_string(what), reason));
  };
  if (!is_known) refuse(EOPNOTSUPP, "whether it is used cannot be seen");
  if (has_signals && !set_async(fd, 1)) refuse(errno, "its traffic cannot be seen");
  if (connects == nothing) return;
  bool is_foreign = false;
  try {
    const auto sock_diag = open_sock_diag();
    is_foreign = network_of(fd) != network_of(sock_diag.get());
    if (connects == tcp) {
      static_cast<void>(is_tcp_connected(local));
    } else if (!is_foreign) {
      identity = identity_of_unix(fd);
    }
  } catch (const std::system_error& error) {
    refuse(error.code().value(), "its connections cannot be seen: sock_diag");
  }
  if (is_foreign) refuse(EOPNOTSUPP, "its connections cannot be seen: it belongs to another network namespace");
}

connections::connections(const std::vector<listen_fd>& fds) {
  const auto set = sigio();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  for (const auto& each : fds) listeners_.emplace_back(each.fd.get());
}

connections::~connections() {
  // Others may hold the sockets that were passed.
  for (const auto& each : listeners_) {
    if (each.has_signals) set_async(each.fd, 0);
  }
}

bool connections::are_in_use() try {
  const bool has_traffic_now = has_traffic();
  return has_traffic_now || has_connections();
} catch (const std::system_error&) {
  return true;
}

bool connections::has_traffic() {
  bool result = take_sigio();
  for (auto& each : listeners_) {
    // The service may have cleared O_ASYNC as it set other flags.
    if (each.has_signals) set_async(each.fd, 1);
    if (each.has_changed() || detail::os::is_readable(each.fd) != 0) result = true;
  }
  return result;
}

bool connections::has_connections() const {
  const bool has_tcp = std::any_of(listeners_.begin(), listeners_.end(), [](const auto& each) {
    return each.connects == listener::tcp && is_tcp_connected(each.local);
  });
  if (has_tcp) return true;
  std::set<std::string> identities;
  for (const auto& each : listeners_) {
    if (each.connects == listener::unix_socket) identities.insert(each.identity);
  }
  return !identities.empty() &&
         is_unix_connected([&](const std::string& identity) { return identities.count(identity) != 0; });
}

}  // namespace sd::activate
