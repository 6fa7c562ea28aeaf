// SPDX-License-Identifier: MIT OR Apache-2.0
// Opening FIFOs, special files, message queues and netlink sockets.

#include "detail/open_other.hpp"

#include <sd/socket.hpp>

#include "closed_input.hpp"
#include "descriptor_limit.hpp"
#include "descriptors.hpp"
#include "directory.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace {

using sd::unique_fd;
using sd::detail::open_fifo;
using sd::detail::open_message_queue;
using sd::detail::open_netlink;
using sd::detail::open_special;
using sd::test::closed_input;
using sd::test::descriptor_limit;
using sd::test::directory;
using sd::test::is_close_on_exec;
using sd::test::open_file;
using sd::test::queue_name;
using sd::test::queue_remover;

constexpr unsigned owner_only = 0600;

TEST(open_fifo, creates_a_fifo_or_opens_the_existing_one) {
  const directory dir;
  for (const bool created : {true, false}) {
    bool is_new = !created;
    const unique_fd fd(open_fifo(dir / "fifo", is_new));
    EXPECT_EQ(is_new, created);
    EXPECT_TRUE(sd::is_fifo(fd.get()));
    EXPECT_TRUE(is_close_on_exec(fd));
  }
}

TEST(open_fifo, another_file_is_eexist) {
  const directory dir;
  open_file(dir / "file", O_RDWR | O_CREAT);
  bool is_new = true;
  EXPECT_EQ(open_fifo(dir / "file", is_new), -EEXIST);
  EXPECT_FALSE(is_new);
  EXPECT_TRUE(std::filesystem::exists(dir / "file"));
}

TEST(open_fifo, removes_a_new_fifo_that_cannot_be_opened) {
  const directory dir;
  bool is_new = true;
  {
    const descriptor_limit no_descriptors(0);
    EXPECT_EQ(open_fifo(dir / "fifo", is_new), -EMFILE);
  }
  EXPECT_FALSE(is_new);
  EXPECT_FALSE(std::filesystem::exists(dir / "fifo"));
}

TEST(open_special, is_close_on_exec_and_writable_on_request) {
  for (const bool is_writable : {false, true}) {
    const unique_fd fd(open_special("/dev/null", is_writable));
    EXPECT_EQ(::fcntl(fd.get(), F_GETFL) & O_ACCMODE, is_writable ? O_RDWR : O_RDONLY);
    EXPECT_TRUE(is_close_on_exec(fd));
  }
}

TEST(open_special, symbolic_link_is_eloop) {
  const directory dir;
  std::filesystem::create_symlink("/dev/null", dir / "link");
  EXPECT_EQ(open_special(dir / "link", false), -ELOOP);
}

TEST(open_message_queue, creates_a_queue_or_opens_the_existing_one) {
  const queue_remover remover;
  for (const bool created : {true, false}) {
    bool is_new = !created;
    const unique_fd fd(open_message_queue(queue_name(), owner_only, nullptr, is_new));
    EXPECT_EQ(is_new, created);
    EXPECT_TRUE(sd::is_mq(fd.get()));
    EXPECT_EQ(::fcntl(fd.get(), F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
  }
}

#if defined(__GLIBC__)  // musl accepts the name
TEST(open_message_queue, invalid_name_is_einval) {
  bool is_new = true;
  EXPECT_EQ(open_message_queue("no-slash", owner_only, nullptr, is_new), -EINVAL);
  EXPECT_FALSE(is_new);
}
#endif

TEST(open_netlink, joins_the_group) {
  for (const unsigned group : {0U, 1U}) {
    const unique_fd fd(open_netlink(NETLINK_ROUTE, group));
    ASSERT_TRUE(fd);
    sockaddr_nl local{};
    socklen_t size = sizeof local;
    ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &size), 0);
    EXPECT_EQ(local.nl_groups, group);
  }
}

TEST(open_other, descriptor_0_is_a_success) {
  const directory dir;
  const queue_remover remover;
  open_file(dir / "file", O_RDWR | O_CREAT);
  const closed_input closed;
  bool is_new = false;
  EXPECT_EQ(open_fifo(dir / "file", is_new), -EEXIST);
  EXPECT_EQ(open_fifo(dir / "fifo", is_new), 0);
  EXPECT_TRUE(is_new);
  EXPECT_TRUE(std::filesystem::exists(dir / "fifo"));
  ::close(0);
  EXPECT_EQ(open_message_queue(queue_name(), owner_only, nullptr, is_new), 0);
  EXPECT_TRUE(is_new);
}

}  // namespace
