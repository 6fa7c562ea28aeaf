// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include <sys/socket.h>

#include <string>
#include <vector>

int main() {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0"));
  const auto where = sd::describe(fds.front().fd.get()).local;
  const sd::testing::process hello({"./hello"}, fds);

  const sd::unique_fd client(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(where.size());
  if (::connect(client.get(), static_cast<const sockaddr*>(where.data()), size) != 0) return 1;
  std::string text(6, '\0');
  ::recv(client.get(), text.data(), text.size(), MSG_WAITALL);
  return text == "hello\n" ? 0 : 1;
}
