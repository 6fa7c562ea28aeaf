// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

#include "fake_os.hpp"

#include <gmock/gmock.h>

#include <cerrno>

namespace {

using sd::test::fake_os;
using sd::test::os;
using testing::ElementsAre;

TEST(unique_fd_failure, failed_close_is_not_retried) {
  for (const int error : {EINTR, EIO, ENOSPC}) {
    os = fake_os();
    os.descriptors = {{7, false}};
    os.fail_call = 0;
    os.fail_with = error;
    errno = EILSEQ;
    sd::unique_fd(7).reset();
    EXPECT_THAT(os.calls, ElementsAre("close 7"));
    EXPECT_EQ(errno, EILSEQ);
  }
}

}  // namespace
