// SPDX-License-Identifier: MIT OR Apache-2.0
#include "descriptors.hpp"

#include "process.hpp"

#include <mqueue.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace sd::test {

namespace {

const sockaddr* sockaddr_of(const address& where) { return static_cast<const sockaddr*>(where.data()); }

/// By getsockname(2) or getpeername(2).
template <class Call>
address address_by(Call call, const unique_fd& fd) {
  std::array<char, 256> where{};
  socklen_t size = where.size();
  if (call(fd.get(), reinterpret_cast<sockaddr*>(where.data()), &size) < 0) return {};
  return address::from_sockaddr(where.data(), size);
}

}  // namespace

bool is_unsupported(const std::error_code& ec) {
  constexpr int errors[] = {EACCES,     EAFNOSUPPORT, EADDRNOTAVAIL,   ENODEV,         ENOSYS,
                            EOPNOTSUPP, EPERM,        EPROTONOSUPPORT, ESOCKTNOSUPPORT};
  return std::any_of(std::begin(errors), std::end(errors), [&](int error) { return ec == system_error(error); });
}

unique_fd open_socket(int family, int type, int protocol) {
  return unique_fd(check(::socket(family, type | SOCK_CLOEXEC, protocol), "socket"));
}

void set(const unique_fd& fd, int level, int option, int value) {
  check(::setsockopt(fd.get(), level, option, &value, sizeof value), "setsockopt");
}

void bind(const unique_fd& fd, const address& where) {
  check(::bind(fd.get(), sockaddr_of(where), static_cast<socklen_t>(where.size())), "bind");
}

void listen(const unique_fd& fd) { check(::listen(fd.get(), 5), "listen"); }

void connect(const unique_fd& fd, const address& where) {
  check(::connect(fd.get(), sockaddr_of(where), static_cast<socklen_t>(where.size())), "connect");
}

unique_fd accept(const unique_fd& fd) {
  return unique_fd(check(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
}

unique_fd bound(const address& where, int type, int protocol) {
  auto fd = open_socket(where.family(), type, protocol);
  bind(fd, where);
  return fd;
}

unique_fd listener(const address& where, int type) {
  auto fd = bound(where, type);
  listen(fd);
  return fd;
}

unique_fd bound_v6(const char* where, int type, bool v6only) {
  if (std::string_view(where).find('%') != std::string_view::npos && !emulator().empty()) {
    throw std::system_error(system_error(EOPNOTSUPP), "qemu gives the bytes of a scope in another order");
  }
  auto fd = open_socket(AF_INET6, type);
  set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only ? 1 : 0);
  bind(fd, address(where));
  return fd;
}

unique_fd listener_v6(const char* where, bool v6only) {
  auto fd = bound_v6(where, SOCK_STREAM, v6only);
  listen(fd);
  return fd;
}

address local_of(const unique_fd& fd) { return address_by(::getsockname, fd); }
address peer_of(const unique_fd& fd) { return address_by(::getpeername, fd); }

bool is_close_on_exec(const unique_fd& fd) { return (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0; }

bool has_option(const unique_fd& fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd.get(), level, option, &value, &size) == 0 && value != 0;
}

unique_fd open_file(const std::string& path, int flags) {
  return unique_fd(check(::open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR), "open"));
}

unique_fd open_fifo(const std::string& path, int flags) {
  check(::mkfifo(path.c_str(), S_IRUSR | S_IWUSR), "mkfifo");
  return open_file(path, flags);
}

std::string abstract_name() {
  auto name = "sd-socket-test-" + std::to_string(::getpid()) + '-';
  name.resize(sizeof(sockaddr_un::sun_path) - 1, 'x');
  return name;
}

std::string queue_name() { return "/sd-socket-test-" + std::to_string(::getpid()); }

unique_fd open_queue(const std::string& name) {
  const int flags = O_RDONLY | O_CREAT | O_CLOEXEC;
  return unique_fd(check(::mq_open(name.c_str(), flags, S_IRUSR | S_IWUSR, nullptr), "mq_open"));
}

queue_remover::~queue_remover() { ::mq_unlink(queue_name().c_str()); }

sample with(unique_fd fd, unique_fd other) {
  sample result{std::move(fd)};
  result.others.push_back(std::move(other));
  return result;
}

sample socket_pair(int type) {
  int ends[2];
  check(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  return with(unique_fd(ends[0]), unique_fd(ends[1]));
}

sample pipe_end(int which) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe");
  return with(unique_fd(ends[which]), unique_fd(ends[1 - which]));
}

sample accepted(const address& where, int type) {
  const auto server = listener(where, type);
  auto client = open_socket(where.family(), type);
  connect(client, local_of(server));
  return with(accept(server), std::move(client));
}

}  // namespace sd::test
