// SPDX-License-Identifier: MIT OR Apache-2.0
#include "notify_socket.hpp"

#include <sd/address.hpp>

#include "detail/os/sockets.hpp"
#include "process.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace sd::activate {

namespace {

constexpr std::size_t longest_message = 65536;

/// Takes the pid of the sender, and the descriptors.
void take_control_data(msghdr& message, notification& result) {
  for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
      result.pid = sender.pid;
    } else if (part->cmsg_type == SCM_RIGHTS) {
      const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      std::array<int, detail::os::most_attached> fds{};
      std::memcpy(fds.data(), CMSG_DATA(part), count * sizeof(int));
      for (std::size_t i = 0; i < count; ++i) result.fds.emplace_back(fds[i]);
    }
  }
}

}  // namespace

std::optional<std::string_view> notification::find(std::string_view name) const {
  const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& each) { return each.first == name; });
  return field == fields.end() ? std::nullopt : std::optional<std::string_view>(field->second);
}

notify_socket::notify_socket() {
  address_ = fmt::format("@sd-activate/{}/{}", ::getpid(), random_id());
  fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sd::address where(address_);
  const int yes = 1;
  if (!fd_ || ::bind(fd_.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())) < 0 ||
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) < 0) {
    throw std::system_error(errno, std::generic_category(), "open the socket for NOTIFY_SOCKET");
  }
}

std::optional<notification> notify_socket::receive() {
  static std::string text(longest_message, '\0');
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(detail::os::most_attached * sizeof(int))>
      control;
  // Before there are descriptors, which would be lost.
  notification result;
  result.fds.reserve(detail::os::most_attached);
  while (true) {
    iovec piece{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    take_control_data(message, result);
    result.lacks_descriptors = (message.msg_flags & MSG_CTRUNC) != 0;
    if ((message.msg_flags & MSG_TRUNC) != 0) result.pid = 0;
    std::string_view rest(text.data(), static_cast<std::size_t>(size));
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      const auto line = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      const auto equals = line.find('=');
      if (equals != std::string_view::npos) result.fields.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
    return result;
  }
}

}  // namespace sd::activate
