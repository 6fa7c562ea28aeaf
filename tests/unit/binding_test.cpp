// SPDX-License-Identifier: MIT OR Apache-2.0
// Binding with settings that only a socket unit has, and unlinking.

#include <sd/address.hpp>
#include <sd/socket.hpp>
#include <sd/take_or_bind.hpp>

#include "closed_input.hpp"
#include "descriptors.hpp"
#include "detail/bind_path.hpp"
#include "detail/bind_socket.hpp"
#include "detail/os/files.hpp"
#include "directory.hpp"
#include "errors.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

namespace {

using sd::bind_options;
using sd::detail::bind_socket;
using sd::detail::failure;
using sd::detail::file_identity;
using sd::detail::socket_details;
using sd::detail::unlink_path;
using sd::test::check;
using sd::test::directory;
using sd::test::listener;
using sd::test::system_error;
using testing::IsEmpty;

// --- configuring -----------------------------------------------------------------------------------------------------

using configuration = std::function<bool(int fd, failure& why)>;

/// Binds a socket after a function has configured it.
sd::server_socket bind_with(const configuration& configure, const std::string& where, failure& why,
                            const bind_options& options = {}) {
  socket_details details;
  details.argument = const_cast<configuration*>(&configure);
  details.configure = [](void* argument, int fd, failure& reason) {
    return (*static_cast<const configuration*>(argument))(fd, reason);
  };
  return bind_socket(sd::address(where), options, details, why);
}

std::string unused_name() { return "@sd-binding-test-" + std::to_string(::getpid()); }

TEST(bind_socket, socket_is_configured_before_it_is_bound) {
  failure why;
  int configured = -1;
  const auto server = bind_with(
      [&](int fd, failure&) {
        EXPECT_EQ(sd::to_string(sd::describe(fd).local), "0.0.0.0:0");
        configured = fd;
        return true;
      },
      "127.0.0.1:0", why);
  EXPECT_FALSE(why);
  EXPECT_EQ(server.get(), configured);
}

TEST(bind_socket, socket_that_cannot_be_configured_is_not_bound) {
  const directory dir;
  failure why;
  const auto server = bind_with(
      [](int, failure& reason) {
        reason = {system_error(EDOM), "configure"};
        return false;
      },
      dir / "s", why);
  EXPECT_FALSE(server);
  EXPECT_EQ(why.code, system_error(EDOM));
  EXPECT_THAT(dir.entries(), IsEmpty());
}

TEST(bind_socket, socket_that_cannot_listen_leaves_nothing) {
  const directory dir;
  const sd::address other(unused_name());
  const auto server = listener(other);
  for (const auto& where : {dir / "new/s", unused_name() + "-2"}) {
    failure why;
    const auto result = bind_with(
        [&](int fd, failure&) {
          // A connected socket cannot listen.
          check(::connect(fd, static_cast<const sockaddr*>(other.data()), static_cast<socklen_t>(other.size())),
                "connect");
          return true;
        },
        where, why);
    EXPECT_FALSE(result);
    EXPECT_EQ(why.code, system_error(EINVAL));
    EXPECT_EQ(why.step, "listen on " + where);
    EXPECT_THAT(dir.entries(), IsEmpty());
  }
}

TEST(bind_socket, failure_to_set_ipv6_only_is_reported) {
  bind_options options;
  options.ipv6 = sd::bind_ipv6_only::ipv6_only;
  failure why;
  bool has_ipv6 = true;
  const auto server = bind_with(
      [&](int fd, failure&) {
        sockaddr_in6 loopback{};
        loopback.sin6_family = AF_INET6;
        loopback.sin6_addr = in6addr_loopback;
        // The option cannot be set once the socket is bound.
        has_ipv6 = ::bind(fd, reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) == 0;
        return has_ipv6;
      },
      "[::1]:0", why, options);
  if (!has_ipv6 || why.step.find("open a socket") == 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  EXPECT_FALSE(server);
  EXPECT_EQ(why.code, system_error(EINVAL));
  EXPECT_EQ(why.step, "set IPV6_V6ONLY for [::1]:0");
}

// --- unlinking -------------------------------------------------------------------------------------------------------

file_identity make_file(const std::string& path) {
  sd::test::open_file(path, O_RDWR | O_CREAT);
  sd::detail::os::file file;
  sd::detail::os::link_status(path.c_str(), file);
  return {file.device, file.inode, file.modified};
}

TEST(unlink_path, removes_the_bound_file_only) {
  const directory dir;
  const auto bound = make_file(dir / "s");
  for (const auto& other : {file_identity{bound.device + 1, bound.inode, bound.modified},
                            file_identity{bound.device, bound.inode + 1, bound.modified},
                            file_identity{bound.device, bound.inode, bound.modified + 1}}) {
    unlink_path(dir / "s", other);
    EXPECT_TRUE(std::filesystem::exists(dir / "s"));
  }
  unlink_path(dir / "s", bound);
  EXPECT_THAT(dir.entries(), IsEmpty());
}

TEST(unlink_path, path_that_cannot_be_locked_stays) {
  const directory dir;
  const auto bound = make_file(dir / "s");
  std::filesystem::create_directory(dir / "s.sd-lock");
  unlink_path(dir / "s", bound);
  EXPECT_TRUE(std::filesystem::exists(dir / "s"));
}

TEST(unlink_path, locks_with_descriptor_0) {
  for (const bool lock_file_exists : {false, true}) {
    const directory dir;
    const auto bound = make_file(dir / "s");
    if (lock_file_exists) make_file(dir / "s.sd-lock");
    const sd::test::closed_input closed;
    unlink_path(dir / "s", bound);
    EXPECT_THAT(dir.entries(), IsEmpty());
  }
}

/// The previous holder removes the lock file after the waiting thread has opened it.
TEST(unlink_path, waits_for_the_lock) {
  const directory dir;
  const auto bound = make_file(dir / "s");
  const auto lock = sd::test::open_file(dir / "s.sd-lock", O_RDWR | O_CREAT);
  check(::flock(lock.get(), LOCK_EX), "flock");
  std::thread waiting([&] { unlink_path(dir / "s", bound); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(std::filesystem::exists(dir / "s"));
  std::filesystem::remove(dir / "s.sd-lock");
  check(::flock(lock.get(), LOCK_UN), "flock");
  waiting.join();
  EXPECT_THAT(dir.entries(), IsEmpty());
}

}  // namespace
