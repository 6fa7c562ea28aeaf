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

int open_something() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(unique_fd, owns_nothing_by_default) {
  const sd::unique_fd none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), -1);
  EXPECT_FALSE(sd::unique_fd(-7));
}

TEST(unique_fd, closes_what_it_owns) {
  const int fd = open_something();
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

TEST(unique_fd, moves) {
  const int fd = open_something();
  sd::unique_fd a(fd);
  sd::unique_fd b(std::move(a));
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): a moved-from object owns nothing, and that is documented
  EXPECT_EQ(b.get(), fd);

  const int other = open_something();
  sd::unique_fd c(other);
  c = std::move(b);
  EXPECT_EQ(c.get(), fd);
  EXPECT_FALSE(is_open(other));
  EXPECT_TRUE(is_open(fd));
}

TEST(unique_fd, survives_a_move_to_itself) {
  const int fd = open_something();
  sd::unique_fd a(fd);
  sd::unique_fd& same = a;
  a = std::move(same);
  EXPECT_EQ(a.get(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(unique_fd, releases) {
  const int fd = open_something();
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

TEST(unique_fd, resets) {
  const int first = open_something();
  const int second = open_something();
  sd::unique_fd owner(first);
  owner.reset(second);
  EXPECT_FALSE(is_open(first));
  EXPECT_EQ(owner.get(), second);
  owner.reset();
  EXPECT_FALSE(is_open(second));
  EXPECT_FALSE(owner);
  owner.reset();
}

TEST(unique_fd, swaps) {
  const int first = open_something();
  const int second = open_something();
  sd::unique_fd a(first);
  sd::unique_fd b(second);
  swap(a, b);
  EXPECT_EQ(a.get(), second);
  EXPECT_EQ(b.get(), first);
}

TEST(unique_fd, keeps_errno) {
  sd::unique_fd owner(open_something());
  errno = EILSEQ;
  owner.reset();
  EXPECT_EQ(errno, EILSEQ);
}

TEST(unique_fd_death, stops_the_program_on_a_double_close) {
#ifdef NDEBUG
  GTEST_SKIP() << "SKIPPED: built without assertions";
#else
  EXPECT_DEATH(
      {
        const sd::unique_fd owner(open_something());
        ::close(owner.get());
      },
      "somebody else closed");
#endif
}

TEST(unique_fd_death, refuses_to_be_reset_to_what_it_owns) {
#ifdef NDEBUG
  GTEST_SKIP() << "SKIPPED: built without assertions";
#else
  EXPECT_DEATH(
      {
        sd::unique_fd owner(open_something());
        owner.reset(owner.get());
      },
      "fd != fd_");
#endif
}

}  // namespace
