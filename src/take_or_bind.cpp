// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include "detail/bind_path.hpp"
#include "detail/choice.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/os/sockets.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#if SD_HAS_DESCRIPTORS

#include <netinet/in.h>
#include <sys/socket.h>

namespace sd {
inline namespace v0 {

namespace {

namespace os = detail::os;

using detail::failure;
using detail::succeeded;

int type_of(kind wanted) noexcept {
  switch (wanted) {
    case kind::stream:
      return SOCK_STREAM;
    case kind::seqpacket:
      return SOCK_SEQPACKET;
    case kind::datagram:
      return SOCK_DGRAM;
    default:
      return 0;
  }
}

/// Opens one socket.
class binder {
 public:
  binder(const address& where, const bind_options& options)
      : where_(where), text_(to_string(where)), options_(options), type_(type_of(options.kind)) {}

  server_socket open(failure& why) {
    if (type_ == 0) {
      why = {std::make_error_code(std::errc::invalid_argument), std::string("bind a ") + to_string(options_.kind)};
      return {};
    }
    return where_.path().empty() ? open_address(why) : open_path(why);
  }

 private:
  bool open_socket(unique_fd& fd, int family, failure& why) const {
    const int result = os::open_socket(family, type_);
    if (!succeeded(result, "open a socket for", text_, why)) return false;
    fd = unique_fd(result);
    return options_.nonblocking != nonblocking::on ||
           succeeded(os::set_nonblocking(result, true), "make nonblocking", text_, why);
  }

  bool set_option(const unique_fd& fd, int level, int option, int value, const char* step, failure& why) const {
    return succeeded(os::set_socket_option(fd.get(), level, option, value), step, text_, why);
  }

  server_socket open_address(failure& why) const {
    unique_fd fd;
    const int family = where_.family();
    if (!open_socket(fd, family, why)) return {};
    const bool internet = family == AF_INET || family == AF_INET6;
    if (internet && type_ != SOCK_DGRAM && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR for", why)) {
      return {};
    }
    if (family == AF_INET6 && options_.ipv6 != bind_ipv6_only::system_default &&
        !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options_.ipv6 == bind_ipv6_only::ipv6_only ? 1 : 0,
                    "set IPV6_V6ONLY for", why)) {
      return {};
    }
    if (!succeeded(os::bind(fd.get(), where_.data(), where_.size()), "bind to", text_, why)) return {};
    if (!detail::start_listening(fd.get(), options_, text_, why)) return {};
    return {std::move(fd), {}};
  }

  server_socket open_path(failure& why) const {
    std::string path(where_.path());  // copied here, because nothing may throw once the path is bound
    detail::file_identity file;
    unique_fd fd;
    if (!open_socket(fd, AF_UNIX, why) || !detail::bind_path(fd.get(), where_, options_, file, why)) return {};
    return {std::move(fd), {std::move(path), file, os::process_id()}};
  }

  const address& where_;
  std::string text_;
  const bind_options& options_;
  int type_;
};

/// Returns whether the descriptors that were passed for this address leave it free for a socket of this kind. TCP and
/// UDP have separate ports.
bool leaves_free(const std::vector<listen_fd>& fds, const address& where, kind wanted) {
  const auto passed = detail::describe_selected(fds, where);
  const auto is_same_protocol = [&](const description& what) {
    return (what.kind == kind::datagram) == (wanted == kind::datagram);
  };
  return where.family() != AF_UNIX && std::none_of(passed.begin(), passed.end(), is_same_protocol);
}

/// Opens the socket. The error lists the descriptors that were passed, because one of them often holds the address.
server_socket open(const std::vector<listen_fd>& fds, const address& where, const bind_options& options, failure& why) {
  auto socket = binder(where, options).open(why);
  if (why && !fds.empty()) why.step += ", passed: " + to_string(fds);
  return socket;
}

server_socket take_or_open(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, failure& why) {
  std::error_code ec;
  const auto index = detail::choose_one(fds, options.kind, which, ec);
  const bool is_free = ec == errc::wrong_kind && !which.name() && leaves_free(fds, where, options.kind);
  if (ec == errc::not_passed || is_free) return open(fds, where, options, why);
  if (ec) {
    why = {ec, detail::explain(fds, options.kind, which, ec)};
    return {};
  }
  if (options.nonblocking != nonblocking::leave) {
    const int result = os::set_nonblocking(fds[index].fd.get(), options.nonblocking == nonblocking::on);
    if (!succeeded(result, "make nonblocking", to_string(where), why)) return {};
  }
  return server_socket(detail::take_at(fds, index).fd);
}

}  // namespace

}  // namespace v0

void detail::bound_path::unlink() noexcept {
  if (os::process_id() != pid_) return;
  unlink_path(path_, file_);
}

inline namespace v0 {

server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, std::error_code& ec) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  ec = why.code;
  return socket;
}

#if SD_HAS_EXCEPTIONS
server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  if (why) throw std::system_error(why.code, why.step);
  return socket;
}
#endif

}  // namespace v0
}  // namespace sd

#endif
