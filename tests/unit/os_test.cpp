// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <set>

namespace {

namespace os = sd::detail::os;

sd::unique_fd open_null() { return sd::unique_fd(::open("/dev/null", O_RDONLY)); }
bool is_close_on_exec(const sd::unique_fd& fd) { return (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0; }

TEST(os, close_on_exec_can_be_set_and_cleared) {
  const auto fd = open_null();
  EXPECT_EQ(os::is_close_on_exec(fd.get()), 0);
  EXPECT_EQ(os::set_close_on_exec(fd.get(), true), 0);
  EXPECT_EQ(os::is_close_on_exec(fd.get()), 1);
  EXPECT_TRUE(is_close_on_exec(fd));
  EXPECT_EQ(os::set_close_on_exec(fd.get(), false), 0);
  EXPECT_EQ(os::is_close_on_exec(fd.get()), 0);
  EXPECT_FALSE(is_close_on_exec(fd));
}

TEST(os, failure_is_the_negated_errno) {
  EXPECT_EQ(os::is_close_on_exec(-1), -EBADF);
  EXPECT_EQ(os::set_close_on_exec(-1, true), -EBADF);
  EXPECT_EQ(os::duplicate(-1, 3), -EBADF);
  EXPECT_EQ(os::close(-1), -EBADF);
  std::uint64_t number = 0;
  EXPECT_EQ(os::inode(-1, number), -EBADF);
  EXPECT_LT(os::open_pidfd(-1), 0);
}

TEST(os, duplicate_is_close_on_exec) {
  const auto fd = open_null();
  const sd::unique_fd copy(os::duplicate(fd.get(), 500));
  EXPECT_GE(copy.get(), 500);
  EXPECT_TRUE(is_close_on_exec(copy));
  EXPECT_FALSE(is_close_on_exec(fd));
}

TEST(os, process_id_and_inode) {
  EXPECT_EQ(os::process_id(), ::getpid());
  const auto fd = open_null();
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  std::uint64_t number = 0;
  EXPECT_EQ(os::inode(fd.get(), number), 0);
  EXPECT_EQ(number, status.st_ino);
}

TEST(os, modification_times_after_2262_differ) {
  if (sizeof(time_t) < sizeof(std::int64_t)) GTEST_SKIP() << "SKIPPED: time_t has 32 bits here";
  const sd::unique_fd fd(::memfd_create("x", MFD_CLOEXEC));
  std::set<std::int64_t> times;
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{1} << 34, (std::int64_t{1} << 34) + 1}) {
    for (const long nanoseconds : {0, 1}) {
      const timespec time{static_cast<time_t>(seconds), nanoseconds};
      const timespec both[] = {time, time};
      ASSERT_EQ(::futimens(fd.get(), both), 0);
      os::file file;
      ASSERT_EQ(os::status(fd.get(), file), 0);
      times.insert(file.modified);
    }
  }
  EXPECT_EQ(times.size(), 6U);
}

}  // namespace
