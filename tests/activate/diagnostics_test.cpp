// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnostics.hpp"

#include "unit_file.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace {

using sd::activate::diagnostics;
using sd::activate::location;
using sd::activate::make_source;
using sd::activate::printable;
using sd::activate::severity;
using sd::activate::to_string;

/// Returns the text of an error in the first line of a source.
std::string error_in(std::string_view line, std::size_t column) {
  return to_string({severity::error, {make_source("/etc/web.socket", std::string(line) + '\n'), 1, column}, "wrong"});
}

TEST(diagnostics, error_shows_the_line_and_a_caret) {
  EXPECT_EQ(to_string({severity::error, {make_source("web.socket", "[Socket]\nBacklog=x\n"), 2, 9}, "not a number"}),
            "web.socket:2:9: error: not a number\n"
            "    2 | Backlog=x\n"
            "      |         ^\n");
}

TEST(diagnostics, caret_can_be_at_both_ends_of_the_line) {
  EXPECT_EQ(error_in("abc", 1), "/etc/web.socket:1:1: error: wrong\n    1 | abc\n      | ^\n");
  EXPECT_EQ(error_in("abc", 4), "/etc/web.socket:1:4: error: wrong\n    1 | abc\n      |    ^\n");
  EXPECT_EQ(error_in("", 1), "/etc/web.socket:1:1: error: wrong\n    1 | \n      | ^\n");
}

TEST(diagnostics, warning_is_named_so) {
  EXPECT_EQ(to_string({severity::warning, {make_source("x", "a"), 1, 1}, "odd"}),
            "x:1:1: warning: odd\n"
            "    1 | a\n"
            "      | ^\n");
}

TEST(diagnostics, whole_source_has_no_line) {
  EXPECT_EQ(to_string({severity::error, {make_source("web.socket", "a\nb\n")}, "No such file or directory"}),
            "web.socket: error: No such file or directory\n");
}

TEST(diagnostics, line_numbers_are_aligned) {
  std::string text;
  for (int i = 1; i < 12345; ++i) text += '\n';
  text += "abc\n";
  EXPECT_EQ(to_string({severity::error, {make_source("x", text), 12345, 2}, "wrong"}),
            "x:12345:2: error: wrong\n"
            "12345 | abc\n"
            "      |  ^\n");
}

TEST(diagnostics, tabs_stay_before_the_caret) {
  EXPECT_EQ(error_in("\ta=\tb", 5), "/etc/web.socket:1:5: error: wrong\n    1 | \ta=\tb\n      | \t  \t^\n");
}

TEST(diagnostics, line_that_does_not_exist_is_not_shown) {
  EXPECT_EQ(to_string({severity::error, {make_source("x", ""), 1, 1}, "wrong"}), "x:1:1: error: wrong\n");
  EXPECT_EQ(to_string({severity::error, {make_source("x", "a\nb"), 3, 1}, "wrong"}), "x:3:1: error: wrong\n");
}

TEST(diagnostics, caret_is_below_the_character_in_utf_8) {
  // The column counts bytes.
  EXPECT_EQ(error_in("\u00e4\u20ac\U0001f600x", 10),
            "/etc/web.socket:1:10: error: wrong\n    1 | \u00e4\u20ac\U0001f600x\n      |    ^\n");
}

TEST(diagnostics, caret_is_below_the_character_after_what_is_not_utf_8) {
  EXPECT_EQ(error_in("\x80\xe4 x", 4), "/etc/web.socket:1:4: error: wrong\n    1 | ?? x\n      |    ^\n");
}

TEST(diagnostics, text_in_utf_8_stays) {
  // The first and the last characters of each length, and those next to the surrogates.
  for (const char* text : {"", "a\tb", " ~", "\xc2\xa0\xdf\xbf", "\xe0\xa0\x80\xef\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80",
                           "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\u00e4\u20ac\U0001f600"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(diagnostics, control_characters_and_what_is_not_utf_8_are_replaced) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"\x01z\x1f", "?z?"},
      {"\x7f", "?"},
      {{"a\0b", 3}, "a?b"},
      {"\xc2\x80 \xc2\x9f", "? ?"},
      {"\x80", "?"},
      {"a\xbf\xbf", "a??"},
      {"\u00e4\x80", "\u00e4?"},
      {"\xe4x", "?x"},
      {"\xe4\u00e4", "?\u00e4"},
      {"\xe2\x82", "??"},
      {{"\u20ac", 2}, "??"},
      {{"\xdf\xbf", 1}, "?"},
      {{"\xf4\x8f\xbf\xbf", 3}, "???"},
      {"\xe2\x82x", "??x"},
      {"\xe2\xc2\x82", "??"},
      {"\xf0\x9f\x98", "???"},
      {"\xc0\x80", "??"},
      {"\xc1\xbf", "??"},
      {"\xe0\x9f\xbf", "???"},
      {"\xed\xa0\x80", "???"},
      {"\xed\xbf\xbf", "???"},
      {"\xf0\x8f\xbf\xbf", "????"},
      {"\xf4\x90\x80\x80", "????"},
      {"\xf5\x80\x80\x80", "????"},
      {"\xf9\x80\x80\x80", "????"},
      {"\xff", "?"},
  };
  for (const auto& [text, shown] : rows) EXPECT_EQ(printable(text), shown);
}

TEST(diagnostics, control_characters_are_replaced) {
  EXPECT_EQ(to_string({severity::error, {make_source("x", "a\x1b[31m\x7f\x01z"), 1, 1}, "a\x1b[0mb\nc"}),
            "x:1:1: error: a?[0mb?c\n"
            "    1 | a?[31m??z\n"
            "      | ^\n");
}

TEST(diagnostics, control_characters_in_the_name_of_a_source_are_replaced) {
  EXPECT_EQ(to_string({severity::error, {make_source("a\x1b[2J\nb", "")}, "wrong"}), "a?[2J?b: error: wrong\n");
}

TEST(diagnostics, colors_surround_the_level_and_the_caret) {
  const location at = {make_source("x", "abc"), 1, 2};
  EXPECT_EQ(to_string({severity::error, at, "wrong"}, true),
            "x:1:2: \033[1;31merror:\033[0m wrong\n"
            "    1 | abc\n"
            "      |  \033[1;31m^\033[0m\n");
  EXPECT_EQ(to_string({severity::warning, at, "odd"}, true),
            "x:1:2: \033[1;35mwarning:\033[0m odd\n"
            "    1 | abc\n"
            "      |  \033[1;35m^\033[0m\n");
}

TEST(diagnostics, problems_of_each_source_are_in_the_order_of_its_lines) {
  const auto first = make_source("first", "a\nb\nc\n");
  const auto second = make_source("second", "a\nb\n");
  diagnostics problems;
  problems.warning({first, 2, 1}, "2");
  problems.error({second, 2, 1}, "5");
  problems.error({first, 3, 1}, "3");
  problems.error({second, 1, 1}, "4");
  problems.error({first}, "1");
  problems.warning({second, 2, 1}, "6");
  std::string order;
  for (const auto& each : problems.all()) order += each.message;
  EXPECT_EQ(order, "123456");
}

TEST(diagnostics, errors_and_warnings_are_told_apart) {
  diagnostics none;
  EXPECT_FALSE(none.has_errors());
  EXPECT_FALSE(none.has_warnings());
  EXPECT_TRUE(none.all().empty());

  diagnostics warned;
  warned.warning({make_source("x", "")}, "odd");
  EXPECT_FALSE(warned.has_errors());
  EXPECT_TRUE(warned.has_warnings());

  diagnostics failed;
  failed.error({make_source("x", "")}, "wrong");
  EXPECT_TRUE(failed.has_errors());
  EXPECT_FALSE(failed.has_warnings());

  diagnostics both = warned;
  both.error({make_source("y", "")}, "wrong");
  EXPECT_TRUE(both.has_errors());
  EXPECT_TRUE(both.has_warnings());
  ASSERT_EQ(both.all().size(), 2U);
  EXPECT_EQ(both.all()[0].message, "odd");
  EXPECT_EQ(both.all()[1].message, "wrong");
}

}  // namespace
