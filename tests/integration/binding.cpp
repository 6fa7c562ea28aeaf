// SPDX-License-Identifier: MIT OR Apache-2.0
#include "binding.hpp"

#include "client.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <random>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace sd::test {

bool is_slow() { return sanitized || !emulator().empty(); }

const std::string& loopback() {
  static const std::string address = [] {
    std::random_device random;
    std::string text = "127";
    for (int i = 0; i < 3; ++i) text += '.' + std::to_string(1 + random() % 250);
    return text;
  }();
  return address;
}

bool exists(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

struct stat status_of(const std::string& path) {
  struct stat status;
  check(::lstat(path.c_str(), &status), "lstat " + path);
  return status;
}

unsigned mode_of(const std::string& path) { return status_of(path).st_mode & 07777U; }

std::uint64_t inode(int fd) {
  struct stat status;
  check(::fstat(fd, &status), "fstat");
  return status.st_ino;
}

int next_free() {
  const unique_fd copy(check(::dup(STDIN_FILENO), "dup"));
  return copy.get();
}

int option(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  check(::getsockopt(fd, level, name, &value, &size), "getsockopt");
  return value;
}

bool is_nonblocking(int fd) {
  return (static_cast<unsigned>(check(::fcntl(fd, F_GETFL), "F_GETFL")) & unsigned{O_NONBLOCK}) != 0;
}

unique_fd foreign_server(const std::string& path, int type) {
  const sd::address where(path);
  unique_fd fd(check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(fd.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())), "bind");
  if (type != SOCK_DGRAM) check(::listen(fd.get(), 8), "listen");
  return fd;
}

unique_fd private_server(const std::string& path) {
  auto fd = foreign_server(path);
  check(::chmod(path.c_str(), 0600), "chmod");
  return fd;
}

void leave_dead_socket(const std::string& path) { foreign_server(path).reset(); }

bool has_client(int server) {
  pollfd readable{server, POLLIN, 0};
  return ::poll(&readable, 1, 0) != 0;
}

bool refuses(const std::string& where, int type) {
  try {
    connect(where, type);
  } catch (const std::system_error&) {
    return true;
  }
  return false;
}

std::string failure_of(std::vector<listen_fd>& fds, const std::string& where, const bind_options& options) {
  const auto before = sd::to_string(fds);
  std::error_code ec;
  bool bound = false;
  {
    const auto server = take_or_bind(fds, sd::address(where), options, ec);
    bound = static_cast<bool>(server);
  }
  EXPECT_EQ(sd::to_string(fds), before);
  EXPECT_EQ(bound, !ec);
  std::string what;
  try {
    const auto second = take_or_bind(fds, sd::address(where), options);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), ec);
    what = error.what();
  }
  EXPECT_EQ(sd::to_string(fds), before);
  return what;
}

std::string failure_of(const std::string& where, const bind_options& options) {
  std::vector<listen_fd> none;
  return failure_of(none, where, options);
}

bind_options of_kind(kind wanted) {
  bind_options options;
  options.kind = wanted;
  return options;
}

sd::server_socket bind_one(const std::string& where, const bind_options& options) {
  std::vector<listen_fd> none;
  return take_or_bind(none, sd::address(where), options);
}

std::vector<listen_fd> list_of(listen_fd entry) {
  std::vector<listen_fd> fds;
  fds.push_back(std::move(entry));
  return fds;
}

bool may_change_owners() {
  static const bool may = [] {
    const scratch directory;
    std::ofstream(directory / "file").close();
    return ::lchown((directory / "file").c_str(), 1234, 4321) == 0;
  }();
  return may;
}

program::program(const std::string& where, const words& options, const std::vector<listen_fd>& passed,
                 const words& tracer)
    : process_(open_report(), command(where, options, tracer), passed) {}

report program::read_report() {
  report all;
  while (true) {
    const auto line = next_line();
    if (!line) return all;
    const auto space = line->find(' ');
    all[line->substr(0, space)] = space == std::string::npos ? "" : line->substr(space + 1);
    if (*line == "serving" || *line == "ready") return all;
  }
}

unique_fd program::open_report() {
  check(::mkfifo((directory_ / "report").c_str(), 0600), "mkfifo");
  return unique_fd(check(::open((directory_ / "report").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"));
}

words program::command(const std::string& where, words options, words tracer) const {
  options.insert(options.begin(), {where, directory_ / "report"});
  const auto binder = sd::test::command(BINDER, options);
  tracer.insert(tracer.end(), binder.begin(), binder.end());
  return tracer;
}

std::optional<std::string> program::next_line() {
  while (received_.find('\n') == std::string::npos) {
    pollfd readable{process_.pipe(), POLLIN, 0};
    if (::poll(&readable, 1, 60000) <= 0) throw std::runtime_error("the program does not report");
    std::array<char, 4096> buffer;
    const ssize_t length = ::read(process_.pipe(), buffer.data(), buffer.size());
    if (length <= 0) return std::nullopt;
    received_.append(buffer.data(), static_cast<std::size_t>(length));
  }
  const auto end = received_.find('\n');
  auto line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return line;
}

report start_and_stop(const std::string& where, const words& options) {
  program server(where, options);
  auto said = server.read_report();
  EXPECT_EQ(server.stop(), said.count("serving") != 0 ? 0 : 1) << said["what"];
  return said;
}

crowd::crowd(std::size_t size, const std::string& where, words options) {
  check(::mkfifo((directory_ / "gate").c_str(), 0600), "mkfifo");
  options.push_back("gate=" + directory_ / "gate");
  for (std::size_t i = 0; i < size; ++i) programs_.push_back(std::make_unique<program>(where, options));
  for (const auto& each : programs_) EXPECT_EQ(each->read_report().count("ready"), 1U);
}

void crowd::release() { gate_ = unique_fd(check(::open((directory_ / "gate").c_str(), O_WRONLY | O_CLOEXEC), "open")); }

std::vector<program*> crowd::servers() {
  std::vector<program*> all;
  for (const auto& each : programs_) {
    auto said = each->read_report();
    if (said.count("serving") != 0) {
      all.push_back(each.get());
    } else {
      EXPECT_EQ(said["error"], "generic " + std::to_string(EADDRINUSE)) << said["what"];
      EXPECT_EQ(said["open"], "as before");
      EXPECT_EQ(each->wait(), 1);
    }
  }
  return all;
}

}  // namespace sd::test
