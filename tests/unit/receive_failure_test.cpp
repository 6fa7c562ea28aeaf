// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

#include "detail/receive.hpp"
#include "errors.hpp"
#include "fake_os.hpp"

#include <gmock/gmock.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <string>
#include <system_error>

namespace {

using sd::test::fake_os;
using sd::test::os;
using sd::test::system_error;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class receive_failure : public testing::Test {
 protected:
  void SetUp() override { activate(1); }

  /// Simulates a new process that was passed `count` descriptors and has no others.
  static void activate(int count) {
    os = fake_os();
    os.environment = {{"LISTEN_PID", "42"}, {"LISTEN_FDS", std::to_string(count)}, {"LISTEN_FDNAMES", "one:two"}};
    for (int fd = 0; fd < 3 + count; ++fd) os.descriptors[fd] = false;
    sd::detail::claimed = false;
  }

  /// Calls listen_fds(), checks the descriptors, and releases them, so that the next call finds them again.
  static std::size_t take(std::error_code& ec, sd::listen_options options = sd::listen_options::none) {
    auto fds = sd::listen_fds(options, ec);
    int expected = 3;
    for (auto& entry : fds) {
      EXPECT_EQ(entry.fd.get(), expected);
      EXPECT_TRUE(os.descriptors.at(expected)) << expected << " is not close-on-exec";
      EXPECT_EQ(entry.fd.release(), expected++);
    }
    EXPECT_EQ(sd::detail::claimed, !fds.empty());
    sd::detail::claimed = false;
    return fds.size();
  }
};

TEST_F(receive_failure, makes_at_most_four_system_calls) {
  std::error_code ec;
  EXPECT_EQ(take(ec), 1U);
  EXPECT_THAT(os.calls, ElementsAre("F_GETFD 3", "F_SETFD 3"));

  activate(2);
  EXPECT_EQ(take(ec), 2U);
  EXPECT_THAT(os.calls, ElementsAre("F_GETFD 3", "F_GETFD 4", "F_SETFD 3", "F_SETFD 4"));

  activate(1000);
  EXPECT_EQ(take(ec), 1000U);
  EXPECT_THAT(os.calls, ElementsAre("F_GETFD 3", "F_DUPFD_CLOEXEC 3", "close 1003", "close_range 3 1002"));
}

TEST_F(receive_failure, failure_of_any_call_changes_nothing_and_can_be_retried) {
  for (const int count : {1, 2, 3, 5}) {
    for (const int error : {EBADF, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}) {
      for (int call = 0;; ++call) {
        SCOPED_TRACE(std::to_string(count) + " descriptors, call " + std::to_string(call) + " fails with " +
                     std::to_string(error));
        activate(count);
        os.environment["LISTEN_PIDFDID"] = "4242";
        os.fail_call = call;
        os.fail_with = error;
        const auto before = os;

        std::error_code ec;
        const auto taken = take(ec, sd::listen_options::unset_environment);
        if (ec) {
          EXPECT_EQ(taken, 0U);
          EXPECT_EQ(ec, system_error(error));
          EXPECT_EQ(os.descriptors, before.descriptors);
          EXPECT_EQ(os.environment, before.environment);
          EXPECT_EQ(take(ec, sd::listen_options::unset_environment), static_cast<std::size_t>(count));
          EXPECT_FALSE(ec);
        } else {
          EXPECT_EQ(taken, static_cast<std::size_t>(count));
          EXPECT_THAT(os.descriptors, SizeIs(before.descriptors.size()));
          EXPECT_THAT(os.environment, IsEmpty());
        }
        if (static_cast<int>(os.calls.size()) <= call) break;
      }
    }
  }
}

TEST_F(receive_failure, claims_before_any_call_that_opens_a_descriptor) {
  // A descriptor that one caller opens could fill the hole that another caller must find.
  activate(5);
  os.environment["LISTEN_PIDFDID"] = "4242";
  os.before_call = [](const std::string& call) { EXPECT_TRUE(sd::detail::claimed) << call; };
  std::error_code ec;
  EXPECT_EQ(take(ec), 5U);
  EXPECT_THAT(os.calls, Contains("pidfd_open"));
  EXPECT_THAT(os.calls, Contains("F_DUPFD_CLOEXEC 3"));
}

TEST_F(receive_failure, claim_is_held_until_the_descriptors_are_unmarked) {
  activate(5);
  os.has_close_range = false;
  os.fail_call = 6;  // F_SETFD 5, see below
  os.fail_with = EPERM;
  os.before_call = [](const std::string& call) { EXPECT_TRUE(sd::detail::claimed) << call; };
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_EQ(ec.value(), EPERM);
  EXPECT_FALSE(sd::detail::claimed);
}

TEST_F(receive_failure, call_during_another_call_is_empty) {
  os.before_call = [](const std::string&) {
    os.before_call = nullptr;
    std::error_code ec;
    EXPECT_THAT(sd::listen_fds(ec), IsEmpty());
    EXPECT_FALSE(ec) << ec.message();
  };
  std::error_code ec;
  EXPECT_EQ(take(ec), 1U);
}

TEST_F(receive_failure, descriptors_claimed_while_the_variables_are_read_are_already_taken) {
  os.before_process_id = [] { sd::detail::claimed = true; };
  std::error_code ec;
  EXPECT_THAT(sd::listen_fds(sd::listen_options::required, ec), IsEmpty());
  EXPECT_EQ(ec, sd::errc::already_taken);
  EXPECT_TRUE(sd::detail::claimed);
}

TEST_F(receive_failure, call_after_the_descriptors_are_taken_makes_no_system_call) {
  std::error_code ec;
  const auto fds = sd::listen_fds(ec);
  EXPECT_THAT(fds, SizeIs(1));
  os.calls.clear();
  for (const char* const name : {"LISTEN_PID", "LISTEN_FDS"}) os.environment[name] = "junk";
  EXPECT_THAT(sd::listen_fds(ec), IsEmpty());
  EXPECT_EQ(ec, std::error_code());
  EXPECT_THAT(os.calls, IsEmpty());
}

TEST_F(receive_failure, options_combine) {
  os.environment["LISTEN_PID"] = "43";
  std::error_code ec;
  EXPECT_EQ(take(ec, sd::listen_options::any_pid | sd::listen_options::unset_environment), 1U);
  EXPECT_THAT(os.environment, IsEmpty());
}

TEST_F(receive_failure, failed_check_of_the_pidfs_inode_is_an_error) {
  for (const int call : {0, 1, 2}) {  // pidfd_open, fstatfs, fstat
    activate(1);
    os.environment["LISTEN_PIDFDID"] = "4242";
    os.fail_call = call;
    os.fail_with = EIO;
    std::error_code ec;
    EXPECT_EQ(take(ec), 0U);
    EXPECT_EQ(ec, system_error(EIO)) << os.calls.back();
  }
}

TEST_F(receive_failure, result_for_an_inode_number_is_1) {
  std::uint64_t number = 0;
  EXPECT_EQ(sd::detail::pidfd_inode(42, number), 1);
  EXPECT_EQ(number, 4242U);
}

TEST_F(receive_failure, inode_number_has_64_bits) {
  os.inode = 4242 + (std::uint64_t{1} << 32U);
  os.environment["LISTEN_PIDFDID"] = "4242";
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  os.environment["LISTEN_PIDFDID"] = std::to_string(os.inode);
  EXPECT_EQ(take(ec), 1U);
}

TEST_F(receive_failure, error_names_the_descriptor_that_cannot_be_marked) {
  activate(2);
  os.fail_call = 3;  // F_SETFD 4
  os.fail_with = EPERM;
  try {
    const auto fds = sd::listen_fds();
    FAIL() << "no exception";
  } catch (const std::system_error& error) {
    EXPECT_STREQ(error.what(), "LISTEN_FDS=\"2\", descriptor 4: Operation not permitted");
  }
}

TEST_F(receive_failure, close_on_exec_descriptor_is_already_claimed) {
  activate(2);
  os.descriptors[4] = true;
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_EQ(ec, sd::errc::already_claimed);
  EXPECT_FALSE(os.descriptors[3]);
}

TEST_F(receive_failure, descriptors_are_marked_one_by_one_without_close_range) {
  activate(5);
  os.has_close_range = false;
  std::error_code ec;
  EXPECT_EQ(take(ec), 5U);
  EXPECT_FALSE(ec);
}

TEST_F(receive_failure, descriptors_are_verified_one_by_one_if_none_is_free) {
  activate(5);
  os.descriptor_limit = 8;
  std::error_code ec;
  EXPECT_EQ(take(ec), 5U);
  EXPECT_FALSE(ec);

  activate(5);
  os.descriptor_limit = 8;
  os.environment["LISTEN_FDS"] = "2147483644";
  EXPECT_EQ(take(ec), 0U);
  EXPECT_EQ(ec, system_error(EBADF));
  EXPECT_THAT(os.calls, SizeIs(7));  // not two billion
}

TEST_F(receive_failure, descriptors_are_verified_one_by_one_above_the_limit) {
  activate(5);
  os.descriptors.erase(5);
  os.descriptor_limit = 4;
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_EQ(ec, system_error(EBADF));
}

TEST_F(receive_failure, failure_to_mark_unmarks_the_marked_descriptors) {
  activate(5);
  os.has_close_range = false;
  os.fail_call = 6;  // F_GETFD, F_DUPFD_CLOEXEC, close, close_range, F_SETFD 3, F_SETFD 4, F_SETFD 5
  os.fail_with = EPERM;
  const auto before = os;
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_EQ(ec, system_error(EPERM));
  EXPECT_EQ(os.descriptors, before.descriptors);
}

TEST_F(receive_failure, pid_is_sufficient_without_pidfs) {
  for (const auto pidfd : {fake_os::pidfds::none, fake_os::pidfds::without_inode}) {
    activate(1);
    os.environment["LISTEN_PIDFDID"] = "1";
    os.pidfd = pidfd;
    std::error_code ec;
    EXPECT_EQ(take(ec), 1U);
    EXPECT_FALSE(ec);
    EXPECT_THAT(os.descriptors, SizeIs(4));
  }
}

TEST_F(receive_failure, other_pidfs_inode_is_empty) {
  os.environment["LISTEN_PIDFDID"] = "4243";
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_FALSE(ec);
  EXPECT_THAT(os.descriptors, SizeIs(4));
}

TEST_F(receive_failure, pidfd_may_be_descriptor_0) {
  os.descriptors.erase(0);
  os.environment["LISTEN_PIDFDID"] = "4243";
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_FALSE(ec);
  EXPECT_THAT(os.descriptors, SizeIs(3));
}

TEST_F(receive_failure, looks_for_pidfs_once) {
  for (int i = 0; i < 2; ++i) {
    activate(1);
    os.environment["LISTEN_PIDFDID"] = "4242";
    std::error_code ec;
    EXPECT_EQ(take(ec), 1U);
  }
  EXPECT_THAT(os.calls, ElementsAre("pidfd_open", "fstat", "close 4", "F_GETFD 3", "F_SETFD 3"));
}

TEST_F(receive_failure, other_pidfs_inode_is_empty_before_the_count_is_parsed) {
  os.environment["LISTEN_PIDFDID"] = "4243";
  os.environment["LISTEN_FDS"] = "junk";
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_FALSE(ec);
}

TEST_F(receive_failure, no_free_descriptor_to_check_the_inode_is_an_error) {
  os.environment["LISTEN_PIDFDID"] = "4242";
  os.descriptor_limit = 4;
  std::error_code ec;
  EXPECT_EQ(take(ec), 0U);
  EXPECT_EQ(ec, system_error(EMFILE));
}

}  // namespace
