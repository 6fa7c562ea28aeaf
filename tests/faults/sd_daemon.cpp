// SPDX-License-Identifier: MIT OR Apache-2.0
// Failures of the system calls and allocations of the functions of <systemd/sd-daemon.h>.
#include "calls.hpp"
#include "enumeration.hpp"
#include "setting.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace sd::test;
using exceptions = std::vector<sd::test::exception>;

/// A result greater than 0, 0, or the name of the errno.
std::string text_of(int result) { return result > 0 ? "ok" : result == 0 ? "0" : name_of_error(-result); }

void require(bool holds) {
  if (!holds) std::abort();
}

auto receives(int unset_environment) {
  return [=](run& each) {
    pass(4, true);
    each.test([&] { return text_of(sd_listen_fds(unset_environment)); });
  };
}

void receives_names(run& each) {
  pass(4, true);
  char** names = nullptr;
  each.test(
      [&] {
        const int result = sd_listen_fds_with_names(0, &names);
        if (result <= 0 && names != nullptr) return std::string("names after an error");
        return text_of(result);
      },
      [&] { return std::string(names != nullptr && names[3] == std::string("d") ? "ok" : "no names"); });
}

int listening_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  require(fd >= 0 && ::listen(fd, 1) == 0);
  return fd;
}

int unix_socket(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  require(::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
  return fd;
}

void checks_fifo(run& each) {
  require(::mkfifo("s", 0600) == 0);
  const int fd = ::open("s", O_RDWR | O_CLOEXEC);
  each.test([&] { return text_of(sd_is_fifo(fd, "s")); });
}

void checks_special(run& each) {
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  each.test([&] { return text_of(sd_is_special(fd, "/dev/null")); });
}

void checks_socket(run& each) {
  const int fd = listening_socket();
  each.test([&] { return text_of(sd_is_socket(fd, AF_INET, SOCK_STREAM, 1)); });
}

void checks_internet_socket(run& each) {
  const int fd = listening_socket();
  each.test([&] { return text_of(sd_is_socket_inet(fd, AF_INET, SOCK_STREAM, 1, 0)); });
}

void checks_address(run& each) {
  const int fd = listening_socket();
  sockaddr_in any{};
  any.sin_family = AF_INET;
  const auto* const address = reinterpret_cast<const sockaddr*>(&any);
  each.test([&] { return text_of(sd_is_socket_sockaddr(fd, SOCK_STREAM, address, sizeof any, 1)); });
}

void checks_unix_socket(run& each) {
  const int fd = unix_socket(each / "s");
  const auto path = each / "s";
  each.test([&] { return text_of(sd_is_socket_unix(fd, SOCK_DGRAM, 0, path.c_str(), 0)); });
}

void checks_message_queue(run& each) {
  constexpr const char* name = "/sd-faults-daemon";
  const int fd = ::mq_open(name, O_RDONLY | O_CREAT | O_CLOEXEC, 0600, nullptr);
  require(fd >= 0);
  each.test([&] { return text_of(sd_is_mq(fd, name)); });
  ::mq_unlink(name);
}

auto sends(std::function<int()> function) {
  return [=](run& each) {
    unix_socket(each / "notify");
    ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
    each.test([&] { return text_of(function()); });
  };
}

void waits_for_manager(run& each) {
  ::setenv("NOTIFY_SOCKET", manager_address().c_str(), 1);
  each.test([&] { return text_of(sd_notify_barrier(0, UINT64_MAX)); });
}

void waits_for_manager_as_other(run& each) {
  ::setenv("NOTIFY_SOCKET", manager_address().c_str(), 1);
  each.test([&] { return text_of(sd_pid_notify_barrier(1, 1, 10000000)); });
}

void looks_for_systemd(run& each) {
  each.test([&] { return text_of(sd_booted()); });
}

void reads_watchdog(run& each) {
  ::setenv("WATCHDOG_USEC", "1000", 1);
  std::uint64_t period = 0;
  each.test([&] { return text_of(sd_watchdog_enabled(1, &period)); });
}

void reads_inode(run& each) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  std::uint64_t number = 1;
  each.test([&] {
    const int result = sd_pidfd_get_inode_id(pidfd, &number);
    if (result < 0 && number != 1) return std::string("a number after an error");
    return result == 0 ? std::string("ok") : name_of_error(-result);
  });
}

void reads_inode_of_other(run& each) {
  std::uint64_t number = 0;
  each.test([&] { return name_of_error(-sd_pidfd_get_inode_id(0, &number)); });
}

const exceptions receiving = {
    {"pidfd_open", "ENOSYS", "usual"}, {"fcntl F_DUPFD_CLOEXEC", "", "usual"}, {"close_range", "", "usual"}};
const exceptions sending = {{"sendmsg", "EMSGSIZE", "usual"}};
/// A message on behalf of another process is sent as this process if the kernel does not permit it.
const exceptions sending_as_other = {{"sendmsg", "", "usual"}};

exceptions absent(const std::string& path) {
  return {{"newfstatat " + path, "ENOENT", "0"}, {"newfstatat " + path, "ENOTDIR", "0"}};
}

const words marked = {"~fd 3", "~fd 4", "~fd 5", "~fd 6"};
const words unset_notify = {"-env NOTIFY_SOCKET"};

const std::vector<scenario>& scenarios() {
  static const int null = 0;
  static const std::vector<scenario> all = {
      {"sd_listen_fds", receives(0), "ok", marked, receiving},
      {"sd_listen_fds.unset",
       receives(1),
       "ok",
       {"~fd 3", "~fd 4", "~fd 5", "~fd 6", "-env LISTEN_PID", "-env LISTEN_PIDFDID", "-env LISTEN_FDS",
        "-env LISTEN_FDNAMES"},
       receiving},
      {"sd_listen_fds_with_names", receives_names, "ok", marked, receiving},
      {"sd_is_fifo", checks_fifo, "ok", {}, absent("s")},
      {"sd_is_special", checks_special, "ok", {}, absent("/dev/null")},
      {"sd_is_socket", checks_socket},
      {"sd_is_socket_inet", checks_internet_socket},
      {"sd_is_socket_sockaddr", checks_address},
      {"sd_is_socket_unix", checks_unix_socket},
      // Without the file system of the queues, the name that the queue was opened by is compared.
      {"sd_is_mq",
       checks_message_queue,
       "ok",
       {},
       {{"newfstatat /dev/mqueue/sd-faults-daemon", "", "usual"}, {"readlink /proc/self/fd", "", "0"}}},
      {"sd_notify", sends([] { return sd_notify(0, "READY=1"); }), "ok", {}, sending},
      {"sd_notifyf", sends([] { return sd_notifyf(0, "STATUS=%d", 1); }), "ok", {}, sending},
      {"sd_pid_notify", sends([] { return sd_pid_notify(1, 0, "READY=1"); }), "ok", {}, sending_as_other},
      {"sd_pid_notifyf", sends([] { return sd_pid_notifyf(1, 0, "STATUS=%d", 1); }), "ok", {}, sending_as_other},
      {"sd_pid_notify_with_fds",
       sends([] { return sd_pid_notify_with_fds(0, 0, "FDSTORE=1", &null, 1); }),
       "ok",
       {},
       sending},
      {"sd_pid_notifyf_with_fds",
       sends([] { return sd_pid_notifyf_with_fds(0, 0, &null, 1, "FDSTORE=%d", 1); }),
       "ok",
       {},
       sending},
      {"sd_notify_barrier", waits_for_manager, "ok", {}, sending},
      // The variable is removed even if the call fails.
      {"sd_pid_notify_barrier", waits_for_manager_as_other, "ok", unset_notify,
       sending_as_other + exceptions{{"socket", "", "same", unset_notify},
                                     {"pipe2", "", "same", unset_notify},
                                     {"poll", "", "same", unset_notify}}},
      {"sd_booted", looks_for_systemd, "0", {}, {{"newfstatat *", "ENOENT", "0"}, {"newfstatat *", "ENOTDIR", "0"}}},
      {"sd_watchdog_enabled", reads_watchdog, "ok", {"-env WATCHDOG_USEC"}},
      {"sd_pidfd_get_inode_id", reads_inode},
      // A kernel whose pidfds have no inodes does not tell whether another descriptor is a pidfd.
      {"sd_pidfd_get_inode_id.other", reads_inode_of_other, "EBADF", {}, {{"pidfd_open", "ENOSYS", "EOPNOTSUPP"}}},
  };
  return all;
}

}  // namespace

int main(int argc, char** argv) { return enumerate(scenarios(), argc, argv); }
