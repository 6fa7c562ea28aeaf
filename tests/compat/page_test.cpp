// That the page lists the differences that the other tests look for, and no others.

#include "comparison.hpp"

#include <gmock/gmock.h>

namespace {

TEST(page, lists_the_differences) {
  EXPECT_THAT(
      sd::test::listed_differences(),
      testing::UnorderedElementsAre(
          "variables that are for another process, or `LISTEN_FDS` not set, and something malformed",
          "a number that is not plain decimal, or too large", "an error of `sd_listen_fds()`",
          "a name with a backslash", "threads that unset the environment at once",
          "`LISTEN_PIDFDID`, and a libsystemd before 259", "more than 253 descriptors, and a libsystemd before 257",
          "`sd_is_mq()` with a name that is not in `/dev/mqueue`", "`sd_is_socket_unix()` with a part of a path",
          "`sd_booted()` with a file in the place of `/run/systemd/system/`", "a `NOTIFY_SOCKET` that makes no sense",
          "an empty text that cannot be sent as asked", "descriptors for a vsock address"));
}

}  // namespace
