// SPDX-License-Identifier: MIT OR Apache-2.0
#include "activating.hpp"

#include <sd/unique_fd.hpp>

#include "process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <utility>

namespace sd::test {

std::string inode(int fd) {
  struct stat status;
  check(::fstat(fd, &status), "fstat");
  return std::to_string(status.st_ino);
}

listen_fd socket_named(std::optional<std::string> name) {
  return {std::move(name), sd::unique_fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"))};
}

std::vector<listen_fd> sockets(int count) {
  std::vector<listen_fd> fds;
  fds.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) fds.push_back(socket_named());
  return fds;
}

words lines_of(const std::string& text) {
  words lines;
  std::istringstream from(text);
  for (std::string line; std::getline(from, line);) lines.push_back(line);
  return lines;
}

std::string contents_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> all;
  for (int fd = 0; fd < 4096; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0) all[fd] = inode(fd) + (flags == FD_CLOEXEC ? " cloexec" : " inheritable");
  }
  return all;
}

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

words reporter() { return sd::test::command(HANDING, {"report"}); }

std::error_code failure_of(const std::function<int(std::error_code&)>& with_code, const std::function<int()>& throwing,
                           const std::string& message) {
  const auto before = open_descriptors();
  std::error_code ec;
  EXPECT_LT(with_code(ec), 0);
  EXPECT_FALSE(has_children());
  try {
    throwing();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), ec);
    EXPECT_EQ(error.what(), message);
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(open_descriptors(), before);
  return ec;
}

std::error_code failure_of(sd::activation& program, const std::string& message) {
  return failure_of([&](std::error_code& ec) { return program.spawn(ec); }, [&] { return program.spawn(); }, message);
}

}  // namespace sd::test
