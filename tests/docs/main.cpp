// SPDX-License-Identifier: MIT OR Apache-2.0
// docs_test: runs the tests of the documents. docs_test --fragment NAME: runs a fragment.

#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "check.hpp"
#include "client.hpp"
#include "docs.hpp"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace sd::test {

namespace {

std::map<std::string, void (*)()>& fragments() {
  static std::map<std::string, void (*)()> all;
  return all;
}

void write_file(const char* path, const std::string& text) { std::ofstream(path) << text; }

/// Gives this process a network and a /run of its own.
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

/// Isolates this process once. Returns why that is impossible, or an empty text.
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

}  // namespace

void docs::SetUp() {
  if (!isolation_error().empty()) GTEST_SKIP() << "SKIPPED: " << isolation_error();
}

fragment::fragment(const char* name, void (*code)()) { fragments()[name] = code; }

int run_fragment(const std::string& name, const std::vector<listen_fd>& fds,
                 const std::map<std::string, std::string>& environment) {
  return sd::testing::process({"/proc/self/exe", "--fragment", name}, fds, environment).wait();
}

manager::manager() : fd_(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")) {
  const sockaddr_storage unnamed{AF_UNIX, {}, 0};  // the kernel chooses an abstract name
  check(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)), "bind");
}

std::map<std::string, std::string> manager::environment() const {
  return {{"NOTIFY_SOCKET", to_string(describe(fd_.get()).local)}};
}

std::string manager::next() const {
  std::array<char, 4096> buffer;
  const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  return size < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(size));
}

std::string ask(const address& where, const std::string& words) { return ask(to_string(where), words); }

}  // namespace sd::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--fragment") {
    GTEST_FLAG_SET(throw_on_failure, true);
    try {
      sd::test::fragments().at(arguments[1])();
      return 0;
    } catch (const std::exception& error) {
      std::cerr << arguments[1] << ": " << error.what() << '\n';
      return 1;
    }
  }
  return RUN_ALL_TESTS();
}
