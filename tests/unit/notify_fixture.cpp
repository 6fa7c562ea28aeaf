// SPDX-License-Identifier: MIT OR Apache-2.0
#include "notify_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>

namespace sd::test {

namespace {

void take(const cmsghdr& part, message& result) {
  if (part.cmsg_level != SOL_SOCKET) return;
  const auto* const data = reinterpret_cast<const char*>(&part) + CMSG_LEN(0);
  const std::size_t size = part.cmsg_len - CMSG_LEN(0);
  if (part.cmsg_type == SCM_RIGHTS) {
    for (std::size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, data + at, sizeof fd);
      result.fds.emplace_back(fd);
    }
  } else if (part.cmsg_type == SCM_CREDENTIALS) {
    ucred credentials{};
    std::memcpy(&credentials, data, sizeof credentials);
    result.pid = credentials.pid;
  }
}

}  // namespace

std::string without_nul(std::string text) {
  std::replace(text.begin(), text.end(), '\0', '!');
  return text;
}

std::vector<int> open_descriptors() {
  std::vector<int> all;
  for (int fd = 0; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) all.push_back(fd);
  }
  return all;
}

std::string abstract_address() {
  std::random_device random;
  return "@sd-notify-test-" + std::to_string(::getpid()) + '-' + std::to_string(random());
}

receiver::receiver(const std::string& where) : where_(where) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  where.copy(local.sun_path, sizeof local.sun_path);
  const bool is_abstract = where[0] == '@';
  if (is_abstract) local.sun_path[0] = '\0';
  const auto size = offsetof(sockaddr_un, sun_path) + where.size() + (is_abstract ? 0 : 1);
  fd_.reset(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&local), static_cast<socklen_t>(size)), "bind " + where);
  const int on = 1;
  check(::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), "SO_PASSCRED");
  ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
}

std::optional<message> receiver::next(int milliseconds) {
  pollfd readable{fd_.get(), POLLIN, 0};
  if (::poll(&readable, 1, milliseconds) <= 0) return std::nullopt;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * most_attached) + CMSG_SPACE(sizeof(ucred))> control{};
  constexpr std::size_t most = 1U << 19U;
  const auto text = std::make_unique<char[]>(most);
  iovec part{text.get(), most};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto length = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
  if (length < 0) return std::nullopt;
  EXPECT_EQ(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
  message result;
  result.text.assign(text.get(), static_cast<std::size_t>(length));
  for (auto* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) take(*c, result);
  return result;
}

std::string receiver::only() {
  const auto first = next();
  EXPECT_FALSE(next()) << "more than one message";
  return first ? without_nul(first->text) : "(none)";
}

void notify::expect_refused(array_view<state> states, int number, const notify_options& options) {
  const auto before = open_descriptors();
  std::error_code ec;
  EXPECT_EQ(sd::notify(states, options, ec), notify_result::no_listener);
  EXPECT_EQ(ec, system_error(number)) << ec.message();
  EXPECT_FALSE(manager_.next()) << "a message was sent";
  EXPECT_EQ(open_descriptors(), before);
}

void notify::expect_sent(array_view<state> states, const std::string& text) {
  auto ec = stale();
  EXPECT_EQ(sd::notify(states, ec), notify_result::sent);
  EXPECT_FALSE(ec) << ec.message();
  EXPECT_EQ(manager_.only(), text);
}

}  // namespace sd::test
