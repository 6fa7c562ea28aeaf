// SPDX-License-Identifier: MIT OR Apache-2.0
// How values are written into error messages and logs.

#include "detail/text.hpp"

#include <sd/address.hpp>
#include <sd/take.hpp>

#include <gmock/gmock.h>

#include <climits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;

TEST(text, special_bytes_are_escaped) {
  const struct {
    std::string value;
    std::string escaped;
    std::string unit_value;
  } rows[] = {
      {"", "", ""},
      {"/run/x y", "/run/x y", "/run/x y"},
      {"a\n\t\0\x7f\xff"s, R"(a\x0a\x09\x00\x7f\xff)", R"(a\x0a\x09\x00\x7f\xff)"},
      {R"(\")", R"(\\\")", R"(\\\")"},
      {"[fe80::1]:80%lo", "[fe80::1]:80%lo", "[fe80::1]:80%%lo"},
      {"%", "%", "%%"},
      {"%%i%", "%%i%", "%%%%i%%"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(sd::detail::escaped(row.value), row.escaped);
    EXPECT_EQ(sd::detail::quoted(row.value), '"' + row.escaped + '"');
    EXPECT_EQ(sd::detail::as_unit_value(row.value), row.unit_value);
  }
}

TEST(text, quoted_values_are_cut) {
  EXPECT_EQ(sd::detail::quoted(std::string(64, 'x')), '"' + std::string(64, 'x') + '"');
  EXPECT_EQ(sd::detail::quoted(std::string(65, 'x')), '"' + std::string(64, 'x') + "...\"");
}

TEST(text, numbers_are_appended_in_decimal) {
  for (const int number : {0, 7, 10, 1234567890, INT_MAX, -1, -10, INT_MIN}) {
    std::string text = "x";
    sd::detail::append_decimal(text, number);
    EXPECT_EQ(text, 'x' + std::to_string(number));
  }
}

TEST(advice, doubles_percent_signs) {
  std::vector<sd::listen_fd> none;
  const std::pair<sd::selector, std::string> rows[] = {
      {sd::address("[fe80::1]:80%4294967295"), "ListenStream=[fe80::1]:80%%4294967295"},
      {sd::address("/run/100%"), "ListenStream=/run/100%%"},
      {sd::named("%n"), "ListenStream= and FileDescriptorName=%%n"},
  };
  for (const auto& [wanted, advice] : rows) {
    try {
      const auto taken = sd::take(none, sd::kind::stream, wanted);
      ADD_FAILURE() << "no error for " << advice;
    } catch (const std::system_error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("the socket unit needs " + advice));
    }
  }
}

}  // namespace
