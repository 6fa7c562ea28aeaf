// SPDX-License-Identifier: MIT OR Apache-2.0
#include "setting.hpp"

#include "calls.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace sd::test {

namespace {

constexpr int first = 3;

[[noreturn]] void serve(int fd) {
  while (true) {
    char text = 0;
    iovec data{&text, 1};
    alignas(cmsghdr) std::array<unsigned char, 256> control{};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    if (::recvmsg(fd, &header, 0) < 0) continue;
    for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(part), sizeof received);
      if (part->cmsg_type == SCM_RIGHTS) ::close(received);
    }
  }
}

std::string start_manager() {
  const std::string name = "@sd-faults-" + std::to_string(::getpid());
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  name.copy(where.sun_path, name.size());
  where.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&where), size) < 0) std::abort();
  const int parent = ::getpid();
  if (::fork() == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);
    serve(fd);
  }
  ::close(fd);
  return name;
}

}  // namespace

void pass(int count, bool has_pidfdid) {
  std::string names;
  for (int i = 0; i < count; ++i) {
    if (::open("/dev/null", O_RDWR) != first + i) std::abort();
    names += (i > 0 ? ":" : "") + std::string(1, static_cast<char>('a' + i));
  }
  ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  if (!has_pidfdid) return;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  struct stat status;
  if (::fstat(pidfd, &status) < 0) std::abort();
  ::close(pidfd);
  ::setenv("LISTEN_PIDFDID", std::to_string(status.st_ino).c_str(), 1);
}

const std::string& manager_address() {
  static const std::string address = start_manager();
  return address;
}

int check_target(int count) {
  constexpr int last = 63;
  const char* const fds = std::getenv("LISTEN_FDS");
  const char* const pid = std::getenv("LISTEN_PID");
  if (count == 0 ? fds != nullptr || pid != nullptr : fds == nullptr || fds != std::to_string(count)) return 10;
  if (count > 0 && (pid == nullptr || pid != std::to_string(::getpid()))) return 11;
  for (int fd = first; fd <= last; ++fd) {
    if ((::fcntl(fd, F_GETFD) >= 0) != (fd < first + count)) return 12;
  }
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (::sigismember(&mask, signal) == 1) return 13;
  }
  if (const char* const report = std::getenv("REPORT")) {
    if (::write(std::atoi(report), "ok\n", 3) != 3) return 14;
  }
  return 0;
}

std::string name_of_errno() { return name_of_error(errno); }

}  // namespace sd::test
