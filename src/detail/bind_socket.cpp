// SPDX-License-Identifier: MIT OR Apache-2.0
#include "bind_socket.hpp"

#if SD_HAS_DESCRIPTORS

#include "os/descriptors.hpp"
#include "os/sockets.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <system_error>
#include <utility>

namespace sd::detail {

namespace {

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
  binder(const address& where, const bind_options& options, const socket_details& details)
      : where_(where), text_(to_string(where)), options_(options), details_(details), type_(type_of(options.kind)) {}

  server_socket open(failure& why) {
    if (type_ == 0) {
      why = {std::make_error_code(std::errc::invalid_argument), std::string("bind a ") + to_string(options_.kind)};
      return {};
    }
    return where_.path().empty() ? open_address(why) : open_path(why);
  }

 private:
  bool open_socket(unique_fd& fd, int family, failure& why) const {
    const int result = os::open_socket(family, type_, details_.protocol);
    if (!succeeded(result, "open a socket for", text_, why)) return false;
    fd = unique_fd(result);
    if (options_.nonblocking == nonblocking::on &&
        !succeeded(os::set_nonblocking(result, true), "make nonblocking", text_, why)) {
      return false;
    }
    return details_.configure == nullptr || details_.configure(details_.argument, result, why);
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
    if (!start_listening(fd.get(), options_, text_, why)) return {};
    return {std::move(fd), {}};
  }

  server_socket open_path(failure& why) const {
    std::string path(where_.path());  // copied here, because nothing may throw once the path is bound
    file_identity file;
    unique_fd fd;
    if (!open_socket(fd, AF_UNIX, why) || !bind_path(fd.get(), where_, options_, file, why)) return {};
    return {std::move(fd), {std::move(path), file, os::process_id()}};
  }

  const address& where_;
  std::string text_;
  const bind_options& options_;
  const socket_details& details_;
  int type_;
};

}  // namespace

server_socket bind_socket(const address& where, const bind_options& options, const socket_details& details,
                          failure& why) {
  return binder(where, options, details).open(why);
}

}  // namespace sd::detail

#endif
