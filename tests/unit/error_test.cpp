// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>

#include <gmock/gmock.h>

#include <set>
#include <string>
#include <system_error>

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr sd::errc all[] = {
    sd::errc::malformed_listen_pid,
    sd::errc::listen_pid_out_of_range,
    sd::errc::malformed_listen_pidfdid,
    sd::errc::listen_pidfdid_out_of_range,
    sd::errc::malformed_listen_fds,
    sd::errc::listen_fds_out_of_range,
    sd::errc::already_claimed,
    sd::errc::not_activated,
    sd::errc::malformed_address,
    sd::errc::port_out_of_range,
    sd::errc::host_name,
    sd::errc::not_passed,
    sd::errc::wrong_kind,
    sd::errc::ambiguous,
    sd::errc::malformed_listen_fds_first_fd,
    sd::errc::listen_fds_first_fd_out_of_range,
    sd::errc::already_taken,
    sd::errc::not_taken,
    sd::errc::malformed_watchdog_usec,
    sd::errc::malformed_watchdog_pid,
};

TEST(error, converts_to_an_error_code_of_its_category) {
  const std::error_code code = sd::errc::malformed_listen_fds;
  EXPECT_TRUE(code);
  EXPECT_EQ(code, sd::errc::malformed_listen_fds);
  EXPECT_NE(code, sd::errc::malformed_listen_pid);
  EXPECT_EQ(&code.category(), &sd::error_category());
  EXPECT_STREQ(code.category().name(), "sd");
}

TEST(error, each_code_has_its_own_message) {
  std::set<std::string> messages;
  for (const auto code : all) messages.insert(make_error_code(code).message());
  EXPECT_EQ(messages.size(), std::size(all));
  for (const auto& message : messages) EXPECT_THAT(message, AllOf(Not(IsEmpty()), Not(HasSubstr("unknown"))));
}

TEST(error, message_names_the_variable) {
  EXPECT_EQ(make_error_code(sd::errc::malformed_listen_pid).message(), "LISTEN_PID is not a decimal number");
  EXPECT_EQ(make_error_code(sd::errc::listen_pidfdid_out_of_range).message(), "LISTEN_PIDFDID exceeds 64 bits");
  EXPECT_EQ(make_error_code(sd::errc::listen_fds_out_of_range).message(),
            "LISTEN_FDS exceeds the largest possible number of descriptors");
}

TEST(error, unknown_code_has_a_message) {
  EXPECT_EQ(sd::error_category().message(0), "unknown error 0");
  EXPECT_EQ(sd::error_category().message(999), "unknown error 999");
}

}  // namespace
