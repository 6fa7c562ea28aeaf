// SPDX-License-Identifier: MIT OR Apache-2.0
#include "detail/protocol.hpp"

#include <gtest/gtest.h>

#include <climits>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace {

using sd::errc;
using sd::listen_options;
using sd::detail::addressee;
using sd::detail::environment;
using sd::detail::fault;
using sd::detail::number;

// --- numbers ---------------------------------------------------------------------------------------------------------

struct number_row {
  const char* text;
  std::uint64_t max;
  number expected;
  std::uint64_t value = 0;
};

class parse_decimal : public testing::TestWithParam<number_row> {};

TEST_P(parse_decimal, accepts_only_decimal_digits_in_range) {
  const auto& row = GetParam();
  std::uint64_t value = 0;
  ASSERT_EQ(sd::detail::parse_decimal(row.text, row.max, value), row.expected) << '"' << row.text << '"';
  if (row.expected != number::ok) return;
  EXPECT_EQ(value, row.value) << row.text;
}

constexpr number_row number_table[] = {
    {"0", 9, number::ok, 0},
    {"1", 9, number::ok, 1},
    {"1024", INT_MAX, number::ok, 1024},
    {"010", 99, number::ok, 10},  // decimal, not octal
    {"000000000000000000000000000007", 9, number::ok, 7},
    {"0", 0, number::ok, 0},
    {"9", 9, number::ok, 9},
    {"2147483647", INT_MAX, number::ok, INT_MAX},
    {"2147483648", INT_MAX, number::out_of_range},
    {"9", 8, number::out_of_range},
    {"3", 2, number::out_of_range},
    {"130", 12, number::out_of_range},              // 10 without the digit that is too much
    {"4294967299", INT_MAX, number::out_of_range},  // 3 if cut to 32 bits
    {"18446744073709551615", UINT64_MAX, number::ok, UINT64_MAX},
    {"18446744073709551616", UINT64_MAX, number::out_of_range},
    {"18446744073709551619", INT_MAX, number::out_of_range},  // 3 if cut to 64 bits
    {"99999999999999999999999999999999999999", UINT64_MAX, number::out_of_range},
    {"99999999999999999999999999999999999999x", UINT64_MAX, number::malformed},
    {"", 9, number::malformed},
    {"+1", 9, number::malformed},
    {"-1", 9, number::malformed},
    {"-0", 9, number::malformed},
    {" 1", 9, number::malformed},
    {"1 ", 9, number::malformed},
    {"\t1", 9, number::malformed},
    {"1\n", 9, number::malformed},
    {"0x1", 9, number::malformed},
    {"1x", 9, number::malformed},
    {"x1", 9, number::malformed},
    {"1,0", 99, number::malformed},
    {"1.0", 99, number::malformed},
    {"1e1", 99, number::malformed},
    {"a", 99, number::malformed},
    {"/", 99, number::malformed},        // the byte before '0'
    {":", 99, number::malformed},        // the byte after '9'
    {"\xd9\xa3", 9, number::malformed},  // a digit, but not an ASCII one
};

INSTANTIATE_TEST_SUITE_P(protocol, parse_decimal, testing::ValuesIn(number_table));

// --- addressed_to ----------------------------------------------------------------------------------------------------

constexpr int own_pid = 42;
constexpr auto any_pid = listen_options::any_pid;

struct addressee_row {
  environment env;
  addressee expected;
  errc code{};
  const char* variable = nullptr;
  listen_options options = listen_options::none;
};

class addressed_to : public testing::TestWithParam<addressee_row> {};

TEST_P(addressed_to, returns_the_process_that_the_variables_name) {
  const auto& row = GetParam();
  std::uint64_t pidfdid = 0;
  fault why;
  EXPECT_EQ(sd::detail::addressed_to(row.env, own_pid, row.options, pidfdid, why), row.expected);
  EXPECT_EQ(why.code, row.code);
  EXPECT_STREQ(why.variable, row.variable);
  EXPECT_EQ(why.out_of_range,
            row.code == errc::listen_pid_out_of_range || row.code == errc::listen_pidfdid_out_of_range);
  EXPECT_EQ(static_cast<bool>(why), row.variable != nullptr);
  if (row.expected != addressee::by_pidfdid) return;
  EXPECT_EQ(pidfdid, 77U);
}

constexpr addressee_row addressee_table[] = {
    // LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS, LISTEN_FDNAMES
    {{nullptr, nullptr, nullptr, nullptr}, addressee::another},
    {{"42", nullptr, nullptr, nullptr}, addressee::another},
    {{nullptr, nullptr, "1", nullptr}, addressee::another},
    {{"42", nullptr, "1", nullptr}, addressee::this_one},
    {{"0042", nullptr, "1", nullptr}, addressee::this_one},
    {{"42", "77", "1", nullptr}, addressee::by_pidfdid},
    {{"43", nullptr, "1", nullptr}, addressee::another},
    {{"0", nullptr, "1", nullptr}, addressee::another},
    // the other variables are not read if they address another process
    {{"43", "junk", "junk", "::"}, addressee::another},
    // no error in variables that do not address this process, even if they are not numbers
    {{"junk", "junk", nullptr, nullptr}, addressee::another},
    {{nullptr, "junk", "junk", nullptr}, addressee::another},
    {{"", nullptr, "1", nullptr}, addressee::another, errc::malformed_listen_pid, "LISTEN_PID"},
    {{"42 ", nullptr, "1", nullptr}, addressee::another, errc::malformed_listen_pid, "LISTEN_PID"},
    {{"-42", nullptr, "1", nullptr}, addressee::another, errc::malformed_listen_pid, "LISTEN_PID"},
    {{"0x2a", nullptr, "1", nullptr}, addressee::another, errc::malformed_listen_pid, "LISTEN_PID"},
    {{"2147483648", nullptr, "1", nullptr}, addressee::another, errc::listen_pid_out_of_range, "LISTEN_PID"},
    {{"4294967338", nullptr, "1", nullptr}, addressee::another, errc::listen_pid_out_of_range, "LISTEN_PID"},
    {{"42", "", "1", nullptr}, addressee::another, errc::malformed_listen_pidfdid, "LISTEN_PIDFDID"},
    {{"42", "77x", "1", nullptr}, addressee::another, errc::malformed_listen_pidfdid, "LISTEN_PIDFDID"},
    {{"42", "18446744073709551616", "1", nullptr},
     addressee::another,
     errc::listen_pidfdid_out_of_range,
     "LISTEN_PIDFDID"},
    // LISTEN_FDS is not read yet: the inode may be that of another process
    {{"42", "77", "junk", nullptr}, addressee::by_pidfdid},

    {{nullptr, nullptr, "1", nullptr}, addressee::this_one, {}, nullptr, any_pid},
    {{"43", nullptr, "1", nullptr}, addressee::this_one, {}, nullptr, any_pid},
    {{"43", "78", "1", nullptr}, addressee::this_one, {}, nullptr, any_pid},
    {{"42", "78", "1", nullptr}, addressee::this_one, {}, nullptr, any_pid},
    {{"43", nullptr, nullptr, nullptr}, addressee::another, {}, nullptr, any_pid},
    {{"junk", nullptr, "1", nullptr}, addressee::another, errc::malformed_listen_pid, "LISTEN_PID", any_pid},
    {{"43", "junk", "1", nullptr}, addressee::another, errc::malformed_listen_pidfdid, "LISTEN_PIDFDID", any_pid},
};

INSTANTIATE_TEST_SUITE_P(protocol, addressed_to, testing::ValuesIn(addressee_table));

TEST(addressed_to_process_1, missing_pid_is_that_of_no_process) {
  environment env;
  env.listen_fds = "1";
  std::uint64_t pidfdid = 0;
  fault why;
  EXPECT_EQ(sd::detail::addressed_to(env, 1, listen_options::none, pidfdid, why), addressee::another);
}

// --- passed_range ----------------------------------------------------------------------------------------------------

int count(const char* listen_fds, fault& why) {
  environment env;
  env.listen_fds = listen_fds;
  return sd::detail::passed_range(env, why).count;
}

TEST(passed_range, count_from_0_to_the_last_descriptor_number) {
  for (const auto& [text, expected] : {std::pair("0", 0), {"1", 1}, {"010", 10}, {"2147483644", INT_MAX - 3}}) {
    fault why;
    EXPECT_EQ(count(text, why), expected);
    EXPECT_FALSE(why);
  }
}

struct first_fd_row {
  const char* first;
  const char* count;
  int expected;  // the first descriptor, or 0 for an error
  errc code;
};

constexpr first_fd_row first_fd_table[] = {
    {"3", "1", 3, {}},
    {"5", "2", 5, {}},
    {"0005", "1", 5, {}},
    {"2147483646", "1", INT_MAX - 1, {}},
    {"2147483647", "0", INT_MAX, {}},
    {"", "1", 0, errc::malformed_listen_fds_first_fd},
    {"-5", "1", 0, errc::malformed_listen_fds_first_fd},
    {"5x", "1", 0, errc::malformed_listen_fds_first_fd},
    {" 5", "0", 0, errc::malformed_listen_fds_first_fd},
    {"0", "1", 0, errc::listen_fds_first_fd_out_of_range},
    {"2", "1", 0, errc::listen_fds_first_fd_out_of_range},
    {"2", "0", 0, errc::listen_fds_first_fd_out_of_range},
    {"2147483647", "1", 0, errc::listen_fds_first_fd_out_of_range},
    {"4", "2147483644", 0, errc::listen_fds_first_fd_out_of_range},
    {"2147483648", "1", 0, errc::listen_fds_first_fd_out_of_range},
    {"18446744073709551619", "1", 0, errc::listen_fds_first_fd_out_of_range},
};

TEST(passed_range, first_fd_is_listen_fds_first_fd_or_an_error) {
  for (const auto& row : first_fd_table) {
    environment env;
    env.listen_fds = row.count;
    env.listen_fds_first_fd = row.first;
    fault why;
    const auto range = sd::detail::passed_range(env, why);
    if (row.expected != 0) {
      EXPECT_FALSE(why) << row.first;
      EXPECT_EQ(range.first, row.expected);
      EXPECT_EQ(std::to_string(range.count), row.count);
    } else {
      EXPECT_EQ(range.count, 0);
      EXPECT_EQ(why.code, row.code) << row.first;
      EXPECT_EQ(why.out_of_range, row.code == errc::listen_fds_first_fd_out_of_range) << row.first;
      EXPECT_STREQ(why.variable, "LISTEN_FDS_FIRST_FD");
      EXPECT_STREQ(why.value, row.first);
    }
  }
}

TEST(passed_range, malformed_count_is_reported_before_malformed_first_fd) {
  environment env;
  env.listen_fds = "x";
  env.listen_fds_first_fd = "y";
  fault why;
  EXPECT_EQ(sd::detail::passed_range(env, why).count, 0);
  EXPECT_STREQ(why.variable, "LISTEN_FDS");
}

TEST(passed_range, error_names_variable_and_value) {
  const struct {
    const char* text;
    errc code;
  } table[] = {
      {"", errc::malformed_listen_fds},
      {"-1", errc::malformed_listen_fds},
      {"1 ", errc::malformed_listen_fds},
      {"2147483645", errc::listen_fds_out_of_range},
      {"18446744073709551617", errc::listen_fds_out_of_range},
  };
  for (const auto& row : table) {
    fault why;
    EXPECT_EQ(count(row.text, why), 0);
    EXPECT_TRUE(why);
    EXPECT_EQ(why.code, row.code) << row.text;
    EXPECT_EQ(why.out_of_range, row.code == errc::listen_fds_out_of_range) << row.text;
    EXPECT_STREQ(why.variable, "LISTEN_FDS");
    EXPECT_STREQ(why.value, row.text);
  }
}

// --- names -----------------------------------------------------------------------------------------------------------

std::vector<std::string> names(const char* listen_fdnames) {
  std::vector<std::string> all;
  sd::detail::name_list list(listen_fdnames);
  while (const auto name = list.next()) all.emplace_back(*name);
  EXPECT_EQ(list.next(), std::nullopt);
  return all;
}

TEST(name_list, splits_at_colons_and_keeps_names_verbatim) {
  using strings = std::vector<std::string>;
  EXPECT_EQ(names(nullptr), strings{});
  EXPECT_EQ(names(""), strings{});
  EXPECT_EQ(names("http"), strings{"http"});
  EXPECT_EQ(names("http:https"), (strings{"http", "https"}));
  EXPECT_EQ(names("a:a:a"), (strings{"a", "a", "a"}));
  EXPECT_EQ(names("a::b"), (strings{"a", "", "b"}));
  EXPECT_EQ(names(":"), (strings{"", ""}));
  EXPECT_EQ(names("a:"), (strings{"a", ""}));
  EXPECT_EQ(names(":a"), (strings{"", "a"}));
  EXPECT_EQ(names("\\x3a:\"q\":'s': b "), (strings{"\\x3a", "\"q\"", "'s'", " b "}));
  EXPECT_EQ(names("\xff\xfe:\xc3"), (strings{"\xff\xfe", "\xc3"}));
  EXPECT_EQ(names(std::string(4096, 'n').c_str()), (strings{std::string(4096, 'n')}));
}

}  // namespace
