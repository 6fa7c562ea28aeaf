// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/socket.hpp>

#include "detail/inspect.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/os/sockets.hpp"
#include "detail/text.hpp"

#if SD_HAS_DESCRIPTORS

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>

namespace sd {
inline namespace v0 {

namespace {

int number_of(listening state) noexcept {
  return state == listening::any ? detail::any : state == listening::yes ? 1 : 0;
}

/// Returns the result of a check, and sets `ec` if the check failed.
bool result_of_check(int result, std::error_code& ec) noexcept {
  ec.clear();
  if (result < 0) ec.assign(-result, std::generic_category());
  return result > 0;
}

/// Whether an option can be read and is not 0.
bool is_option_set(int fd, int level, int name) noexcept {
  int value = 0;
  detail::os::socket_option(fd, level, name, value);
  return value != 0;
}

using get_address = int (*)(int fd, void* address, std::size_t size) noexcept;

address address_of_socket(get_address get, int fd) noexcept {
  sockaddr_storage storage{};
  const int size = get(fd, &storage, sizeof storage);
  return size < 0 ? address() : address::from_sockaddr(&storage, static_cast<std::size_t>(size));
}

/// Finds out the kind of a socket whose family and type are known.
kind kind_of_socket(int fd, const description& what) noexcept {
#if defined(AF_NETLINK)
  if (what.family == AF_NETLINK) return kind::netlink;
#endif
  if (what.type == SOCK_RAW) return kind::raw;
  if (what.type != SOCK_STREAM && what.type != SOCK_SEQPACKET) return kind::datagram;
  int is_listening = 0;
  if (detail::os::socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN, is_listening) < 0) return kind::other;
  if (is_listening != 0) return what.type == SOCK_STREAM ? kind::stream : kind::seqpacket;
  return what.peer.size() != 0 ? kind::connection : kind::unconnected;
}

/// Describes a socket as far as its properties can be read. Nothing is known without its family, and its kind is
/// unknown without its type.
void describe_socket(int fd, description& what) noexcept {
  const int family = detail::os::socket_family(fd);
  if (family < 0) return;
  what.family = family;
  what.protocol = std::max(detail::os::socket_protocol(fd), 0);
  what.local = address_of_socket(detail::os::local_address, fd);
  what.peer = address_of_socket(detail::os::peer_address, fd);
  what.v6only = what.family == AF_INET6 && is_option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  const bool is_internet = what.family == AF_INET || what.family == AF_INET6;
  what.reuse_port = is_internet && is_option_set(fd, SOL_SOCKET, SO_REUSEPORT);
  int type = 0;
  if (detail::os::socket_option(fd, SOL_SOCKET, SO_TYPE, type) < 0) return;
  what.type = type;
  what.kind = kind_of_socket(fd, what);
}

/// Returns the path that a file was opened by. Linux appends a marker if the file has been unlinked since.
std::string path_of_file(int fd, const detail::os::file& file) {
  char buffer[4096];
  const int length = detail::os::opened_path(fd, buffer, sizeof buffer);
  std::string_view path(buffer, static_cast<std::size_t>(length));
  constexpr std::string_view marker = " (deleted)";
  const bool is_marked = path.size() > marker.size() && path.substr(path.size() - marker.size()) == marker;
  if (file.links == 0 && is_marked) path.remove_suffix(marker.size());
  return std::string(path);
}

kind kind_of_file(detail::os::file_type type) noexcept {
  switch (type) {
    case detail::os::file_type::fifo:
      return kind::fifo;
    case detail::os::file_type::character:
    case detail::os::file_type::regular:
      return kind::special;
    case detail::os::file_type::directory:
      return kind::directory;
    default:
      return kind::other;
  }
}

const char* name_of_family(int family) noexcept {
  switch (family) {
    case AF_INET:
      return "inet";
    case AF_INET6:
      return "inet6";
    case AF_UNIX:
      return "unix";
#if defined(AF_VSOCK)
    case AF_VSOCK:
      return "vsock";
#endif
#if defined(AF_NETLINK)
    case AF_NETLINK:
      return "netlink";
#endif
    default:
      return nullptr;
  }
}

const char* name_of_type(int type) noexcept {
  switch (type) {
    case SOCK_STREAM:
      return "stream";
    case SOCK_DGRAM:
      return "datagram";
    case SOCK_SEQPACKET:
      return "seqpacket";
    case SOCK_RAW:
      return "raw";
    default:
      return nullptr;
  }
}

std::string word(const char* name, const char* what, int number) {
  return name != nullptr ? name : what + std::to_string(number);
}

/// Returns the protocol if family and type do not imply it.
std::string other_protocol(const description& what) {
  const bool internet = what.family == AF_INET || what.family == AF_INET6;
  const bool usual = what.protocol == 0 || (what.type == SOCK_STREAM && what.protocol == IPPROTO_TCP) ||
                     (what.type == SOCK_DGRAM && what.protocol == IPPROTO_UDP);
  if (internet ? usual : what.kind != kind::netlink) return "";
  return " protocol-" + std::to_string(what.protocol);
}

std::string text_of_socket(const description& what) {
  std::string text = to_string(what.kind);
  if (what.kind != kind::netlink) text += ' ' + word(name_of_family(what.family), "family-", what.family);
  if (const auto type = word(name_of_type(what.type), "type-", what.type); type != to_string(what.kind)) {
    text += ' ' + type;
  }
  text += other_protocol(what);
  if (what.kind != kind::netlink) {
    const auto local = detail::escaped(to_string(what.local));
    text += ' ' + (local.empty() ? "unnamed" : local);
    if (const auto peer = detail::escaped(to_string(what.peer)); !peer.empty()) text += " from " + peer;
  }
  const bool any_address = what.family == AF_INET6 && to_string(what.local).compare(0, 5, "[::]:") == 0;
  if (any_address) text += what.v6only ? " v6only" : " dual-stack";
  if (what.reuse_port) text += " reuse-port";
  return text;
}

}  // namespace

const char* to_string(kind value) noexcept {
  switch (value) {
    case kind::stream:
      return "stream";
    case kind::seqpacket:
      return "seqpacket";
    case kind::connection:
      return "connection";
    case kind::unconnected:
      return "unconnected";
    case kind::datagram:
      return "datagram";
    case kind::raw:
      return "raw";
    case kind::netlink:
      return "netlink";
    case kind::fifo:
      return "fifo";
    case kind::special:
      return "special";
    case kind::message_queue:
      return "message-queue";
    case kind::directory:
      return "directory";
    case kind::other:
      return "other";
  }
  return "?";
}

description describe(int fd, std::error_code& ec) {
  detail::os::file file;
  static_cast<void>(result_of_check(detail::os::status(fd, file), ec));
  if (ec) return {};
  description what;
  if (file.type == detail::os::file_type::socket) {
    describe_socket(fd, what);
  } else {
    what.kind = detail::os::is_message_queue(fd) > 0 ? kind::message_queue : kind_of_file(file.type);
  }
  if (what.family == 0) what.path = path_of_file(fd, file);
  what.nonblocking = detail::os::is_nonblocking(fd) > 0;
  return what;
}

std::string to_string(const description& what) {
  std::string text;
  if (what.family != 0) {
    text = text_of_socket(what);
  } else {
    text = to_string(what.kind);
    if (!what.path.empty()) text += ' ' + detail::escaped(what.path);
  }
  if (what.nonblocking) text += " nonblocking";
  return text;
}

bool is_fifo(int fd, const char* path, std::error_code& ec) noexcept {
  return result_of_check(detail::is_fifo(fd, path), ec);
}
bool is_special(int fd, const char* path, std::error_code& ec) noexcept {
  return result_of_check(detail::is_special(fd, path), ec);
}
bool is_socket(int fd, int family, int type, listening state, std::error_code& ec) noexcept {
  return result_of_check(detail::is_socket(fd, family, type, number_of(state)), ec);
}
bool is_socket_inet(int fd, int family, int type, listening state, unsigned port, std::error_code& ec) noexcept {
  return result_of_check(detail::is_socket_inet(fd, family, type, number_of(state), port), ec);
}
bool is_socket_sockaddr(int fd, int type, const address& where, listening state, std::error_code& ec) noexcept {
  return result_of_check(detail::is_socket_sockaddr(fd, type, where.data(), where.size(), number_of(state)), ec);
}
bool is_socket_unix(int fd, int type, listening state, std::optional<std::string_view> path,
                    std::error_code& ec) noexcept {
  // A null pointer means any path, but an empty view may have one.
  const char* const data = !path ? nullptr : path->empty() ? "" : path->data();
  return result_of_check(detail::is_socket_unix(fd, type, number_of(state), data, path.value_or("").size()), ec);
}
bool is_mq(int fd, const char* name, std::error_code& ec) noexcept {
  return result_of_check(detail::is_message_queue(fd, name), ec);
}

}  // namespace v0
}  // namespace sd

#endif

#if SD_HAS_EXCEPTIONS

namespace sd {
inline namespace v0 {

namespace {

template <class Result>
Result checked(int fd, const std::error_code& ec, Result result) {
  if (ec) throw std::system_error(ec, "descriptor " + std::to_string(fd));
  return result;
}

}  // namespace

description describe(int fd) {
  std::error_code ec;
  auto what = describe(fd, ec);
  return checked(fd, ec, std::move(what));
}
bool is_fifo(int fd, const char* path) {
  std::error_code ec;
  const bool is = is_fifo(fd, path, ec);
  return checked(fd, ec, is);
}
bool is_special(int fd, const char* path) {
  std::error_code ec;
  const bool is = is_special(fd, path, ec);
  return checked(fd, ec, is);
}
bool is_socket(int fd, int family, int type, listening state) {
  std::error_code ec;
  const bool is = is_socket(fd, family, type, state, ec);
  return checked(fd, ec, is);
}
bool is_socket_inet(int fd, int family, int type, listening state, unsigned port) {
  std::error_code ec;
  const bool is = is_socket_inet(fd, family, type, state, port, ec);
  return checked(fd, ec, is);
}
bool is_socket_sockaddr(int fd, int type, const address& where, listening state) {
  std::error_code ec;
  const bool is = is_socket_sockaddr(fd, type, where, state, ec);
  return checked(fd, ec, is);
}
bool is_socket_unix(int fd, int type, listening state, std::optional<std::string_view> path) {
  std::error_code ec;
  const bool is = is_socket_unix(fd, type, state, path, ec);
  return checked(fd, ec, is);
}
bool is_mq(int fd, const char* name) {
  std::error_code ec;
  const bool is = is_mq(fd, name, ec);
  return checked(fd, ec, is);
}

}  // namespace v0
}  // namespace sd

#endif
