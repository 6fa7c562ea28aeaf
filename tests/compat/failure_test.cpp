// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests that failures leave everything unchanged. Linked with the static library, whose calls of the C library are
// wrapped here.

#include "failing_call.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cwchar>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace {

int allocation_to_fail = -1;  // counted from 0
int allocations = 0;
int mark_to_fail = -1;
int marks = 0;
long allocated = 0;
long freed = 0;
std::function<void()> before_unset;  // called before the next unsetenv(3)

bool fails() { return allocations++ == allocation_to_fail; }
void* counted(void* memory) {
  if (memory != nullptr) ++allocated;
  return memory;
}

}  // namespace

// The names are those of the linker's --wrap. On all platforms of these tests, fcntl(2) may be called with three
// arguments.

// NOLINTBEGIN(bugprone-reserved-identifier, cert-*, readability-identifier-naming)
extern "C" {

void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
void __real_free(void* memory);
int __real_fcntl64(int fd, int command, int argument);
void* __wrap_malloc(std::size_t size);
void* __wrap_calloc(std::size_t count, std::size_t size);
void __wrap_free(void* memory);
int __wrap_fcntl64(int fd, int command, int argument);
int __real_unsetenv(const char* name);
int __wrap_unsetenv(const char* name);

void* __wrap_malloc(std::size_t size) { return fails() ? nullptr : counted(__real_malloc(size)); }
void* __wrap_calloc(std::size_t count, std::size_t size) {
  return fails() ? nullptr : counted(__real_calloc(count, size));
}
void __wrap_free(void* memory) {
  if (memory != nullptr) {
    --allocated;
    ++freed;
  }
  __real_free(memory);
}
int __wrap_fcntl64(int fd, int command, int argument) {
  if (command != F_SETFD || marks++ != mark_to_fail) return __real_fcntl64(fd, command, argument);
  errno = EPERM;
  return -1;
}
int __wrap_unsetenv(const char* name) {
  if (const auto hook = std::exchange(before_unset, nullptr)) hook();
  return __real_unsetenv(name);
}
}
// NOLINTEND(bugprone-reserved-identifier, cert-*, readability-identifier-naming)

namespace {

class failure : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "2", 1);
    ::setenv("LISTEN_FDNAMES", "one:two", 1);
    ASSERT_EQ(::dup2(STDIN_FILENO, 3), 3);
    ASSERT_EQ(::dup2(STDIN_FILENO, 4), 4);
    allocation_to_fail = mark_to_fail = -1;
    allocations = marks = 0;
    allocated = 0;
  }
  void TearDown() override {
    ::close(3);
    ::close(4);
  }

  static void expect_nothing_changed() {
    EXPECT_EQ(allocated, 0);
    EXPECT_EQ(::fcntl(3, F_GETFD), 0);
    EXPECT_EQ(::fcntl(4, F_GETFD), 0);
    EXPECT_NE(std::getenv("LISTEN_PID"), nullptr);
    EXPECT_NE(std::getenv("LISTEN_FDS"), nullptr);
    EXPECT_NE(std::getenv("LISTEN_FDNAMES"), nullptr);
  }
};

TEST_F(failure, enomem_changes_nothing) {
  for (const int which : {0, 1, 2}) {
    allocation_to_fail = which;
    allocations = 0;
    char** names = nullptr;
    EXPECT_EQ(sd_listen_fds_with_names(1, &names), -ENOMEM) << which;
    EXPECT_EQ(names, nullptr);
    expect_nothing_changed();
  }
  allocation_to_fail = 3;
  allocations = 0;
  char** names = nullptr;
  ASSERT_EQ(sd_listen_fds_with_names(1, &names), 2);
  EXPECT_EQ(allocated, 3);
  EXPECT_STREQ(names[0], "one");
  EXPECT_STREQ(names[1], "two");
  EXPECT_EQ(names[2], nullptr);
  for (char** name = names; *name != nullptr; ++name) std::free(*name);
  std::free(static_cast<void*>(names));
  EXPECT_EQ(allocated, 0);
}

TEST_F(failure, error_of_fcntl_changes_nothing) {
  for (const int which : {0, 1}) {
    mark_to_fail = which;
    marks = 0;
    char** names = nullptr;
    EXPECT_EQ(sd_listen_fds_with_names(1, &names), -EPERM) << which;
    EXPECT_EQ(names, nullptr);
    expect_nothing_changed();
  }
}

TEST_F(failure, wrong_number_of_names_changes_nothing) {
  for (const char* list : {"one", "one:two:three", ""}) {
    ::setenv("LISTEN_FDNAMES", list, 1);
    char** names = nullptr;
    EXPECT_EQ(sd_listen_fds_with_names(1, &names), -EINVAL) << list;
    EXPECT_EQ(names, nullptr);
    expect_nothing_changed();
  }
}

TEST_F(failure, too_many_descriptors_are_e2big_without_notify_socket) {
  ::unsetenv("NOTIFY_SOCKET");
  const std::array<int, 254> fds{};
  EXPECT_EQ(sd_pid_notify_with_fds(0, 0, "FDSTORE=1", fds.data(), 254), -E2BIG);
  EXPECT_EQ(sd_pid_notifyf_with_fds(0, 0, fds.data(), 254, "FDSTORE=1"), -E2BIG);
  EXPECT_EQ(sd_pid_notify_with_fds(0, 0, "FDSTORE=1", fds.data(), 253), 0);
}

TEST_F(failure, null_descriptor_array_is_einval) {
  ::unsetenv("NOTIFY_SOCKET");
  for (const char* where : {"", "/nowhere/notify"}) {
    if (*where != '\0') ::setenv("NOTIFY_SOCKET", where, 1);
    for (const unsigned count : {1U, 253U}) {
      EXPECT_EQ(sd_pid_notify_with_fds(0, 0, "FDSTORE=1", nullptr, count), -EINVAL) << where;
      EXPECT_EQ(sd_pid_notifyf_with_fds(0, 0, nullptr, count, "FDSTORE=1"), -EINVAL) << where;
    }
  }
  EXPECT_EQ(sd_pid_notify_with_fds(0, 1, "FDSTORE=1", nullptr, 1), -EINVAL);
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr) << "unset on errors, too";
}

TEST_F(failure, pidfd_inode_is_returned) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  if (pidfd < 0) GTEST_SKIP() << "SKIPPED: this kernel has no pidfds (Linux 5.3)";
  std::uint64_t number = 4711;
  const int result = sd_pidfd_get_inode_id(pidfd, &number);
  if (result == -EOPNOTSUPP) {
    EXPECT_EQ(number, 4711U);
    ::close(pidfd);
    GTEST_SKIP() << "SKIPPED: pidfds have no inodes with this kernel (Linux 6.9, for 32-bit programs Linux 6.14)";
  }
  EXPECT_EQ(result, 0);
  struct stat status {};
  ASSERT_EQ(::fstat(pidfd, &status), 0);
  EXPECT_EQ(static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(status.st_ino));
  EXPECT_EQ(sd_pidfd_get_inode_id(pidfd, nullptr), 0);
  ::close(pidfd);
}

TEST_F(failure, pidfd_inode_of_another_descriptor) {
  std::uint64_t number = 4711;
  for (const int fd : {-1, INT_MIN, 987'654}) EXPECT_EQ(sd_pidfd_get_inode_id(fd, &number), -EBADF) << fd;
  const int result = sd_pidfd_get_inode_id(STDIN_FILENO, &number);
  EXPECT_TRUE(result == -EBADF || result == -EOPNOTSUPP) << result;
  EXPECT_EQ(number, 4711U);
}

TEST_F(failure, pidfd_inode_without_pidfds_is_eopnotsupp) {
  constexpr int rejected = 255;
  const pid_t child = ::fork();
  if (child == 0) {
    if (sd::test::install({SYS_pidfd_open, 1, 0, ENOSYS}) < 0) ::_exit(rejected);
    std::uint64_t number = 0;
    ::_exit(-sd_pidfd_get_inode_id(STDIN_FILENO, &number));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == rejected) GTEST_SKIP() << "SKIPPED: the kernel rejects the filter";
  EXPECT_EQ(WEXITSTATUS(status), EOPNOTSUPP);
}

TEST_F(failure, null_format_is_einval) {
  // By pointers, as the compiler checks the format of direct calls.
  int (*const notifyf)(int, const char*, ...) = sd_notifyf;
  int (*const pid_notifyf)(pid_t, int, const char*, ...) = sd_pid_notifyf;
  int (*const pid_notifyf_with_fds)(pid_t, int, const int*, std::size_t, const char*, ...) = sd_pid_notifyf_with_fds;
  ::setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  EXPECT_EQ(notifyf(0, nullptr), -EINVAL);
  EXPECT_EQ(pid_notifyf(0, 0, nullptr), -EINVAL);
  EXPECT_EQ(pid_notifyf_with_fds(0, 0, nullptr, 0, nullptr), -EINVAL);
  EXPECT_NE(std::getenv("NOTIFY_SOCKET"), nullptr);
  EXPECT_EQ(notifyf(1, nullptr), -EINVAL);
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr) << "unset on errors, too";
}

TEST_F(failure, other_pidfs_inode_is_no_error) {
  ::setenv("LISTEN_PIDFDID", "1", 1);
  const int result = sd_listen_fds(0);
  ::unsetenv("LISTEN_PIDFDID");
  EXPECT_TRUE(result == 0 || result == 2) << result;  // without pidfs, the pid is sufficient
}

TEST_F(failure, call_waits_for_another_that_unsets_the_environment) {
  int other_result = -1;
  std::atomic<bool> has_returned{false};
  std::thread other;
  before_unset = [&] {
    other = std::thread([&] {
      other_result = sd_listen_fds(1);
      has_returned = true;
    });
    for (int i = 0; i < 100 && !has_returned; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  EXPECT_EQ(sd_listen_fds(1), 2);
  ASSERT_TRUE(other.joinable());
  other.join();
  EXPECT_EQ(other_result, 0);
}

TEST_F(failure, message_of_another_process_is_sent_once) {
  const std::string name = "sd-daemon-sent-once-" + std::to_string(::getpid());
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  name.copy(where.sun_path + 1, sizeof where.sun_path - 1);
  const int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(manager, reinterpret_cast<const sockaddr*>(&where), size), 0);
  ::setenv("NOTIFY_SOCKET", ('@' + name).c_str(), 1);
  for (const std::string text : {"READY=1", ""}) {
    std::array<char, 100> received{};
    EXPECT_EQ(sd_pid_notify(1, 0, text.c_str()), 1) << text;
    EXPECT_EQ(::recv(manager, received.data(), received.size(), MSG_DONTWAIT), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(received.data(), text);
    EXPECT_LT(::recv(manager, received.data(), received.size(), MSG_DONTWAIT), 0) << "a second message";
  }
  ::unsetenv("NOTIFY_SOCKET");
  ::close(manager);
}

TEST_F(failure, text_that_cannot_be_formatted_is_enomem) {
  ::setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  EXPECT_EQ(sd_notifyf(0, "STATUS=%lc", std::wint_t{0x110000}), -ENOMEM);
}

TEST_F(failure, formatted_text_is_freed) {
  ::unsetenv("NOTIFY_SOCKET");
  freed = 0;
  EXPECT_EQ(sd_notifyf(0, "STATUS=%d", 1), 0);
  EXPECT_GE(freed, 1);
}

TEST_F(failure, malformed_watchdog_period_is_einval) {
  std::uint64_t period = 4711;
  ::unsetenv("WATCHDOG_PID");
  for (const char* text : {"", "x", "0", "1x"}) {
    ::setenv("WATCHDOG_USEC", text, 1);
    EXPECT_EQ(sd_watchdog_enabled(0, &period), -EINVAL) << text;
  }
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(sd_watchdog_enabled(0, &period), 0);
  EXPECT_EQ(period, 4711U);
}

TEST_F(failure, descriptor_0_is_like_any_other) {
  sockaddr_in any{};
  any.sin_family = AF_INET;
  EXPECT_EQ(sd_is_socket_sockaddr(STDIN_FILENO, 0, reinterpret_cast<const sockaddr*>(&any), sizeof any, -1), 0);
}

TEST_F(failure, call_after_an_error_succeeds) {
  mark_to_fail = 1;
  EXPECT_EQ(sd_listen_fds(1), -EPERM);
  EXPECT_EQ(sd_listen_fds(1), 2);
  EXPECT_EQ(::fcntl(3, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(sd_listen_fds(1), 0);
}

}  // namespace
