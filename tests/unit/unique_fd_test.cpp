// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>
#include <utility>

namespace {

static_assert(sizeof(sd::unique_fd) == sizeof(int));
static_assert(!std::is_copy_constructible_v<sd::unique_fd> && !std::is_copy_assignable_v<sd::unique_fd>);
static_assert(std::is_nothrow_move_constructible_v<sd::unique_fd> && std::is_nothrow_move_assignable_v<sd::unique_fd>);
static_assert(!std::is_convertible_v<int, sd::unique_fd> && !std::is_convertible_v<sd::unique_fd, int>);
static_assert(!std::is_convertible_v<sd::unique_fd, bool>);

int open_number() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(unique_fd, default_owns_nothing) {
  const sd::unique_fd none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), -1);
  EXPECT_FALSE(sd::unique_fd(-7));
}

TEST(unique_fd, destructor_closes) {
  const int fd = open_number();
  {
    const sd::unique_fd owner(fd);
    EXPECT_TRUE(owner);
    EXPECT_EQ(owner.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(unique_fd, owns_descriptor_0) {
  const sd::unique_fd saved(::fcntl(0, F_DUPFD_CLOEXEC, 3));
  ASSERT_TRUE(saved);
  {
    const sd::unique_fd owner(0);
    EXPECT_TRUE(owner);
  }
  EXPECT_FALSE(is_open(0));
  EXPECT_EQ(::dup2(saved.get(), 0), 0);
  sd::unique_fd(0).reset();
  EXPECT_FALSE(is_open(0));
  EXPECT_EQ(::dup2(saved.get(), 0), 0);
}

TEST(unique_fd, move_transfers_ownership) {
  const int fd = open_number();
  sd::unique_fd a(fd);
  sd::unique_fd b(std::move(a));
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): a moved-from object owns nothing, and that is documented
  EXPECT_EQ(b.get(), fd);

  const int other = open_number();
  sd::unique_fd c(other);
  c = std::move(b);
  EXPECT_EQ(c.get(), fd);
  EXPECT_FALSE(is_open(other));
  EXPECT_TRUE(is_open(fd));
}

TEST(unique_fd, self_move_keeps_the_descriptor) {
  const int fd = open_number();
  sd::unique_fd a(fd);
  sd::unique_fd& same = a;
  a = std::move(same);
  EXPECT_EQ(a.get(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(unique_fd, release_returns_the_open_descriptor) {
  const int fd = open_number();
  int released = -1;
  {
    sd::unique_fd owner(fd);
    released = owner.release();
    EXPECT_FALSE(owner);
  }
  EXPECT_EQ(released, fd);
  EXPECT_TRUE(is_open(fd));
  EXPECT_EQ(::close(fd), 0);
}

TEST(unique_fd, reset_closes_the_former_descriptor) {
  const int first = open_number();
  const int second = open_number();
  sd::unique_fd owner(first);
  owner.reset(second);
  EXPECT_FALSE(is_open(first));
  EXPECT_EQ(owner.get(), second);
  owner.reset();
  EXPECT_FALSE(is_open(second));
  EXPECT_FALSE(owner);
  owner.reset();
}

TEST(unique_fd, swap_exchanges_the_descriptors) {
  const int first = open_number();
  const int second = open_number();
  sd::unique_fd a(first);
  sd::unique_fd b(second);
  swap(a, b);
  EXPECT_EQ(a.get(), second);
  EXPECT_EQ(b.get(), first);
}

TEST(unique_fd, reset_keeps_errno) {
  sd::unique_fd owner(open_number());
  errno = EILSEQ;
  owner.reset();
  EXPECT_EQ(errno, EILSEQ);
}

TEST(unique_fd_death, double_close_fails_an_assertion) {
#ifdef NDEBUG
  GTEST_SKIP() << "SKIPPED: built without assertions";
#else
  EXPECT_DEATH(
      {
        const sd::unique_fd owner(open_number());
        ::close(owner.get());
      },
      "other code closed");
#endif
}

TEST(unique_fd_death, reset_to_its_own_descriptor_fails_an_assertion) {
#ifdef NDEBUG
  GTEST_SKIP() << "SKIPPED: built without assertions";
#else
  EXPECT_DEATH(
      {
        sd::unique_fd owner(open_number());
        owner.reset(owner.get());
      },
      "fd != fd_");
#endif
}

}  // namespace
