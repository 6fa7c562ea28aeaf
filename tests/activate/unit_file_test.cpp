// SPDX-License-Identifier: MIT OR Apache-2.0
#include "unit_file.hpp"

#include "directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using namespace std::string_literals;
using sd::activate::assignment;
using sd::activate::diagnostics;
using sd::activate::location;
using sd::activate::make_source;
using sd::activate::parse;
using sd::activate::read_source;
using testing::ElementsAre;
using testing::IsEmpty;

using lines = std::vector<std::string>;

struct result {
  std::vector<assignment> assignments;
  lines values;    ///< as `SECTION|NAME|VALUE`
  lines problems;  ///< as `LINE:COLUMN: MESSAGE`
};

std::string place(const location& at) { return std::to_string(at.line) + ':' + std::to_string(at.column); }

result parsed(std::string_view text) {
  diagnostics problems;
  result all;
  all.assignments = parse(make_source("unit", text), problems);
  for (const auto& each : all.assignments) all.values.push_back(each.section + '|' + each.name + '|' + each.value);
  for (const auto& each : problems.all()) all.problems.push_back(place(each.at) + ": " + each.message);
  return all;
}

lines values_of(std::string_view text) {
  auto all = parsed(text);
  EXPECT_THAT(all.problems, IsEmpty());
  return all.values;
}

lines problems_of(std::string_view text) { return parsed(text).problems; }

TEST(unit_file, assignments_are_in_order_and_have_their_section) {
  EXPECT_THAT(values_of("[Unit]\nDescription=a b\n\n[Socket]\nListenStream=80\nListenStream=81\n[Unit]\nAfter=x\n"),
              ElementsAre("Unit|Description|a b", "Socket|ListenStream|80", "Socket|ListenStream|81", "Unit|After|x"));
}

TEST(unit_file, text_without_assignments_is_empty) {
  for (const char* text : {"", "\n", "  \n\t\n", "[Unit]", "# x", "; x\n"}) EXPECT_THAT(values_of(text), IsEmpty());
}

TEST(unit_file, white_space_around_names_and_values_is_removed) {
  EXPECT_THAT(values_of("  [S]  \n  a  =  b c  \n\td\t=\te\t\n"), ElementsAre("S|a|b c", "S|d|e"));
}

TEST(unit_file, value_can_contain_equals_signs_and_comment_characters) {
  EXPECT_THAT(values_of("[S]\na=b=c\nd=x # y ; z\n"), ElementsAre("S|a|b=c", "S|d|x # y ; z"));
}

TEST(unit_file, value_can_be_empty) { EXPECT_THAT(values_of("[S]\na=\nb=  \n"), ElementsAre("S|a|", "S|b|")); }

TEST(unit_file, last_line_needs_no_newline) { EXPECT_THAT(values_of("[S]\na=b"), ElementsAre("S|a|b")); }

TEST(unit_file, comments_are_skipped) {
  EXPECT_THAT(values_of("#a=1\n[S]\n  # b=2\n;c=3\n\t; d=4\ne=5\n"), ElementsAre("S|e|5"));
}

TEST(unit_file, comment_is_not_continued) { EXPECT_THAT(values_of("[S]\n# x \\\na=1\n"), ElementsAre("S|a|1")); }

TEST(unit_file, continuation_lines_are_joined_by_a_space) {
  EXPECT_THAT(values_of("[S]\na=b\\\nc\n"), ElementsAre("S|a|b c"));
  EXPECT_THAT(values_of("[S]\na=b \\\n  c \\\n d\ne=f\n"), ElementsAre("S|a|b    c   d", "S|e|f"));
  EXPECT_THAT(values_of("[S]\na=\\\nb\n"), ElementsAre("S|a|b"));
  EXPECT_THAT(values_of("[S]\na\\\n=b\n"), ElementsAre("S|a|b"));
}

TEST(unit_file, comments_between_continuation_lines_are_skipped) {
  EXPECT_THAT(values_of("[S]\na=b \\\n# x\n  ; y\\\nc\n"), ElementsAre("S|a|b  c"));
}

TEST(unit_file, empty_line_ends_a_continuation) {
  EXPECT_THAT(values_of("[S]\na=b \\\n\nc=d\n"), ElementsAre("S|a|b", "S|c|d"));
}

TEST(unit_file, backslash_in_the_last_line_continues_nothing) {
  EXPECT_THAT(values_of("[S]\na=b\\"), ElementsAre("S|a|b"));
  EXPECT_THAT(values_of("[S]\na=b\\\n"), ElementsAre("S|a|b"));
  EXPECT_THAT(values_of("[S]\na=b\\\n# x\n"), ElementsAre("S|a|b"));
}

TEST(unit_file, doubled_backslash_does_not_continue_the_line) {
  EXPECT_THAT(values_of("[S]\na=b\\\\\nc=d\n"), ElementsAre("S|a|b\\\\", "S|c|d"));
  EXPECT_THAT(values_of("[S]\na=b\\\\\\\nc\n"), ElementsAre("S|a|b\\\\ c"));
}

TEST(unit_file, backslash_before_white_space_does_not_continue_the_line) {
  EXPECT_THAT(values_of("[S]\na=b\\ \nc=d\n"), ElementsAre("S|a|b\\", "S|c|d"));
}

TEST(unit_file, lines_may_end_in_cr_lf) {
  EXPECT_THAT(values_of("[S]\r\na=b\\\r\nc\r\n\r\nd=e\r\n"), ElementsAre("S|a|b c", "S|d|e"));
}

TEST(unit_file, byte_order_mark_is_skipped) {
  EXPECT_THAT(values_of("\xef\xbb\xbf[S]\na=b\n"), ElementsAre("S|a|b"));
  EXPECT_THAT(values_of("\xef\xbb\xbf"), IsEmpty());
}

// --- problems --------------------------------------------------------------------------------------------------------

TEST(unit_file, malformed_lines_are_reported_and_skipped) {
  const auto all = parsed("[S]\na=1\nfoo\n =x\nb=2\n");
  EXPECT_THAT(all.values, ElementsAre("S|a|1", "S|b|2"));
  EXPECT_THAT(all.problems, ElementsAre("3:1: neither NAME=VALUE nor [SECTION]", "4:2: there is no name before \"=\""));
}

TEST(unit_file, assignment_outside_a_section_is_reported) {
  EXPECT_THAT(problems_of("a=1\n  b=2\n[S]\nc=3\n"),
              ElementsAre("1:1: a= is not in a section", "2:3: b= is not in a section"));
}

TEST(unit_file, malformed_section_is_reported) {
  EXPECT_THAT(problems_of("[S\n"), ElementsAre("1:1: the section header is not [NAME]"));
  EXPECT_THAT(problems_of("  []\n"), ElementsAre("1:3: the section header is not [NAME]"));
  EXPECT_THAT(problems_of("[S] x\n"), ElementsAre("1:1: the section header is not [NAME]"));
  EXPECT_THAT(problems_of("[S]\n[T\na=b\n"),
              ElementsAre("2:1: the section header is not [NAME]", "3:1: a= is not in a section"));
}

TEST(unit_file, nul_byte_is_reported_where_it_is) {
  EXPECT_THAT(problems_of("[S]\na=b\0c\n"s), ElementsAre("2:4: the line contains a NUL byte"));
  EXPECT_THAT(problems_of("[S]\na=b\\\nc\0\n"s), ElementsAre("3:2: the line contains a NUL byte"));
}

TEST(unit_file, line_of_more_than_a_mebibyte_is_reported) {
  constexpr std::size_t longest = 1U << 20U;
  EXPECT_THAT(problems_of("[S]\na=" + std::string(longest - 2, 'x') + '\n'), IsEmpty());
  EXPECT_THAT(problems_of("[S]\na=" + std::string(longest - 1, 'x') + "\nb=c\n"),
              ElementsAre("2:1: the line is longer than 1 MiB"));
  std::string continued = "[S]\na=";
  for (int i = 0; i < 3; ++i) continued += std::string(longest / 2, 'x') + "\\\n";
  EXPECT_THAT(problems_of(continued), ElementsAre("2:1: the line is longer than 1 MiB"));
}

// --- places ----------------------------------------------------------------------------------------------------------

/// Returns the places of the bytes at these offsets of the only value.
lines places(std::string_view text, const std::vector<std::size_t>& offsets) {
  const auto all = parsed(text);
  lines result;
  if (all.assignments.size() != 1) return {"not one assignment"};
  for (const auto offset : offsets) result.push_back(place(all.assignments[0].value_at(offset)));
  return result;
}

TEST(unit_file, name_and_value_have_their_places) {
  const auto all = parsed("[S]\n  abc =  def\n");
  ASSERT_EQ(all.assignments.size(), 1U);
  EXPECT_EQ(place(all.assignments[0].at), "2:3");
  EXPECT_EQ(place(all.assignments[0].value_at()), "2:10");
  EXPECT_EQ(place(all.assignments[0].value_at(2)), "2:12");
}

TEST(unit_file, empty_value_has_its_place) {
  EXPECT_THAT(places("[S]\nab=\n", {0}), ElementsAre("2:4"));
  EXPECT_THAT(places("[S]\nab=  \n", {0}), ElementsAre("2:4"));
}

TEST(unit_file, value_in_continuation_lines_has_its_places) {
  // The value is "bc   de fg".
  EXPECT_THAT(places("[S]\na=bc \\\n# x\n de\\\nfg\n", {0, 1, 5, 6, 8, 9}),
              ElementsAre("2:3", "2:4", "4:2", "4:3", "5:1", "5:2"));
}

TEST(unit_file, value_that_begins_in_a_continuation_line_has_its_place) {
  EXPECT_THAT(places("[S]\na=\\\n  bc\n", {0, 1}), ElementsAre("3:3", "3:4"));
  EXPECT_THAT(places("[S]\na\\\n = bc\n", {0}), ElementsAre("3:4"));
}

TEST(unit_file, byte_order_mark_has_no_column) {
  EXPECT_THAT(problems_of("\xef\xbb\xbfx\n"), ElementsAre("1:1: neither NAME=VALUE nor [SECTION]"));
}

// --- files -----------------------------------------------------------------------------------------------------------

TEST(unit_file, file_is_read_as_a_source) {
  const sd::test::directory there;
  std::ofstream(there / "x") << "[S]\r\na=b\n\nc";
  diagnostics problems;
  const auto text = read_source(there / "x", problems);
  EXPECT_TRUE(problems.all().empty());
  EXPECT_EQ(text->name, there / "x");
  EXPECT_THAT(text->lines, ElementsAre("[S]", "a=b", "", "c"));
}

TEST(unit_file, file_that_other_users_can_change_causes_a_warning) {
  const sd::test::directory there;
  std::ofstream(there / "x") << "[S]\n";
  std::filesystem::permissions(there / "x", std::filesystem::perms(0646));
  diagnostics problems;
  read_source(there / "x", problems);
  ASSERT_EQ(problems.all().size(), 1U);
  EXPECT_EQ(to_string(problems.all()[0]), (there / "x") + ": warning: can be changed by all users\n");
}

TEST(unit_file, empty_file_has_no_lines) {
  const sd::test::directory there;
  std::ofstream(there / "x").flush();
  diagnostics problems;
  EXPECT_THAT(read_source(there / "x", problems)->lines, IsEmpty());
}

std::string failure(const std::string& path) {
  try {
    diagnostics problems;
    read_source(path, problems);
  } catch (const std::system_error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(unit_file, file_that_cannot_be_read_is_an_error) {
  const sd::test::directory there;
  EXPECT_EQ(failure(there / "x"), (there / "x") + ": No such file or directory");
  EXPECT_EQ(failure(there.path()), there.path() + ": Is a directory");
}

}  // namespace
