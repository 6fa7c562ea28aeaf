// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/testing.hpp>

#include "detail/open_other.hpp"
#include "detail/os/platform.hpp"

#if SD_HAS_DESCRIPTORS && SD_HAS_EXCEPTIONS

#include <sd/activation.hpp>
#include <sd/take_or_bind.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>
#include <system_error>

namespace sd::testing {

namespace {

void check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
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

/// Returns the descriptor. Throws `std::system_error` if it is a negated errno.
unique_fd opened(int result, const std::string& what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
  return unique_fd(result);
}

#if defined(__linux__)
unique_fd open_netlink(const std::string& where) {
  constexpr int route = 0;
  constexpr int kobject_uevent = 15;
  std::istringstream words(where);
  std::string family;
  unsigned group = 0;
  words >> family >> group;
  if (family != "route" && family != "kobject-uevent") invalid("netlink " + where);
  return opened(detail::open_netlink(family == "route" ? route : kobject_uevent, group), "netlink " + where);
}
#endif

unique_fd open_by(kind type, const std::string& where) {
  bool is_new = false;
  switch (type) {
    case kind::stream:
    case kind::seqpacket:
    case kind::datagram:
      return open_socket(type, where);
    case kind::fifo:
      return opened(detail::open_fifo(where, is_new), "open the fifo " + where);
    case kind::special:
      return opened(detail::open_special(where, true), "open " + where);
#if defined(__linux__)
    case kind::message_queue:
      return opened(detail::open_message_queue(where, S_IRUSR | S_IWUSR, nullptr, is_new),
                    "open the message queue " + where);
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
