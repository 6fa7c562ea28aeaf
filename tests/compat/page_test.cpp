// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests that docs/sd-daemon.md lists the differences that the other tests expect, and no others.

#include "comparison.hpp"

#include <gmock/gmock.h>

namespace {

TEST(page, lists_the_differences) {
  EXPECT_THAT(
      sd::test::listed_differences(),
      testing::UnorderedElementsAre(
          "malformed variables that are for another process, or without `LISTEN_FDS`",
          "a number that is not plain decimal or is too large", "an error of `sd_listen_fds()`",
          "`LISTEN_FDS_FIRST_FD`", "a name with a backslash", "several threads that unset the environment at once",
          "`LISTEN_PIDFDID`, compared with libsystemd before 259",
          "more than 253 descriptors, compared with libsystemd before 257",
          "`sd_is_mq()` with a name that is not in `/dev/mqueue`", "`sd_is_socket_unix()` with the beginning of a path",
          "`sd_booted()` if `/run/systemd/system` is a file", "a malformed `NOTIFY_SOCKET`",
          "an empty message that cannot be sent", "descriptors for a vsock address"));
}

}  // namespace
