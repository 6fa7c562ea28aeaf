// SPDX-License-Identifier: MIT OR Apache-2.0
#include "isolation.hpp"

#include <sd/unique_fd.hpp>

#include "check.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace sd::test {

namespace {

void write_file(const char* path, const std::string& text) { std::ofstream(path) << text; }

void isolate() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    const auto user = std::to_string(::getuid());
    const auto group = std::to_string(::getgid());
    check(::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS), "unshare");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + user + " 1");
    write_file("/proc/self/gid_map", "0 " + group + " 1");
  }
  check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount");
  check(::mount("run", "/run", "tmpfs", 0, nullptr), "mount");
  const unique_fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  ifreq loopback{};
  std::string_view("lo").copy(loopback.ifr_name, sizeof loopback.ifr_name);
  loopback.ifr_flags = IFF_UP;
  check(::ioctl(socket.get(), SIOCSIFFLAGS, &loopback), "SIOCSIFFLAGS");
}

}  // namespace

const std::string& isolation_error() {
  static const std::string error = [] {
    try {
      isolate();
      return std::string();
    } catch (const std::system_error& failure) {
      return std::string("cannot make namespaces: ") + failure.what();
    }
  }();
  return error;
}

}  // namespace sd::test
