// SPDX-License-Identifier: MIT OR Apache-2.0
// docs_test: runs the tests of the documents. docs_test --fragment NAME: runs a fragment.

#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "check.hpp"
#include "client.hpp"
#include "docs.hpp"
#include "isolation.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace sd::test {

namespace {

std::map<std::string, void (*)()>& fragments() {
  static std::map<std::string, void (*)()> all;
  return all;
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
