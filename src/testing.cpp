// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/testing.hpp>

#include "detail/os/platform.hpp"

#if SD_HAS_DESCRIPTORS && SD_HAS_EXCEPTIONS

#include <sd/activation.hpp>
#include <sd/take_or_bind.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <mqueue.h>
#if __has_include(<linux/netlink.h>)
#include <linux/netlink.h>
#else
// The layout and the numbers of netlink(7), for musl without the kernel's headers.
struct sockaddr_nl {
  unsigned short nl_family;
  unsigned short nl_pad;
  unsigned nl_pid;
  unsigned nl_groups;
};
enum { NETLINK_ROUTE = 0, NETLINK_KOBJECT_UEVENT = 15 };  // NOLINT: the names in the kernel's header
#endif
#endif

#include <cerrno>
#include <csignal>
#include <sstream>
#include <system_error>

namespace sd::testing {

namespace {

int check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

[[noreturn]] void invalid(const std::string& what) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument), what);
}

unique_fd open_socket(kind type, const std::string& where) {
  std::vector<listen_fd> none;
  bind_options options;
  options.kind = type;
  auto socket = take_or_bind(none, address(where), options);
  socket.keep_path();
  return socket.release_fd();
}

unique_fd open_fifo(const std::string& path) {
  if (::mkfifo(path.c_str(), S_IRUSR | S_IWUSR) < 0 && errno != EEXIST) check(-1, "create the fifo " + path);
  return unique_fd(check(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK), "open " + path));
}

#if defined(__linux__)
unique_fd open_message_queue(const std::string& name) {
  return unique_fd(
      check(::mq_open(name.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, S_IRUSR | S_IWUSR, nullptr),
            "open the message queue " + name));
}

unique_fd open_netlink(const std::string& where) {
  std::istringstream words(where);
  std::string family;
  unsigned group = 0;
  words >> family >> group;
  const int protocol = family == "route" ? NETLINK_ROUTE : family == "kobject-uevent" ? NETLINK_KOBJECT_UEVENT : -1;
  if (protocol < 0) invalid("netlink " + where);
  unique_fd fd(check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), "netlink " + where));
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = group;
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local), "netlink " + where);
  return fd;
}
#endif

unique_fd open_by(kind type, const std::string& where) {
  switch (type) {
    case kind::stream:
    case kind::seqpacket:
    case kind::datagram:
      return open_socket(type, where);
    case kind::fifo:
      return open_fifo(where);
    case kind::special:
      return unique_fd(check(::open(where.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY), "open " + where));
#if defined(__linux__)
    case kind::message_queue:
      return open_message_queue(where);
    case kind::netlink:
      return open_netlink(where);
#endif
    default:
      invalid(std::string("open a ") + to_string(type) + " by " + where);
  }
}

int wait_for(int pid) noexcept {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

listen_fd open(kind type, const std::string& where, std::optional<std::string> name) {
  return {std::move(name), open_by(type, where)};
}

std::pair<listen_fd, unique_fd> connection(std::optional<std::string> name) {
  int ends[2];
#if defined(SOCK_CLOEXEC)
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
#else
  check(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
#endif
  return {listen_fd{std::move(name), unique_fd(ends[0])}, unique_fd(ends[1])};
}

process::process(const std::vector<std::string>& command, const std::vector<listen_fd>& fds,
                 const std::map<std::string, std::string>& environment)
    : pid_(activation(command, fds, environment).spawn()), owner_(::getpid()) {}

process::~process() { stop(SIGKILL); }

int process::wait() noexcept {
  if (pid_ != 0 && owner_ == ::getpid()) status_ = wait_for(std::exchange(pid_, 0));
  return status_;
}

int process::stop() noexcept { return stop(SIGTERM); }

int process::stop(int signal) noexcept {
  if (pid_ != 0 && owner_ == ::getpid()) ::kill(pid_, signal);
  return wait();
}

}  // namespace sd::testing

#endif
