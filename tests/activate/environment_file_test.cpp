// SPDX-License-Identifier: MIT OR Apache-2.0
#include "environment_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using sd::activate::parse_environment_file;

namespace {

struct environment_file_case {
  std::string text;
  std::vector<std::pair<std::string, std::string>> variables;
};

const std::vector<environment_file_case> cases = {
    {"", {}},
    {"A=1", {{"A", "1"}}},
    {"A=1\nB=2\n", {{"A", "1"}, {"B", "2"}}},
    {"A=1\nA=2\n", {{"A", "1"}, {"A", "2"}}},
    {"  A =\t two  words \r\n", {{"A", "two  words"}}},
    {"A=\nB=\"\"\nC=''", {{"A", ""}, {"B", ""}, {"C", ""}}},
    {"# A=1\n;B=2\nnothing\n1C=3\nexport D=4\n=5\nE=6", {{"E", "6"}}},
    {"A=a # b", {{"A", "a # b"}}},
    {R"(A=a\ b\"c\\)", {{"A", R"(a b"c\)"}}},
    {"A=a\\ ", {{"A", "a "}}},
    {"A=a\\\nb", {{"A", "ab"}}},
    {"A=\\\n", {{"A", ""}}},
    {"A=a\"b\"", {{"A", "a\"b\""}}},
    {"A='a \\ \"$x\nb' \nB=1", {{"A", "a \\ \"$x\nb"}, {"B", "1"}}},
    {R"(A="a \"\\\`\$ \t 'x'")", {{"A", R"(a "\`$ \t 'x')"}}},
    {"A=\"a\\\nb\nc\"", {{"A", "ab\nc"}}},
    {R"(A="a"'b' c)", {{"A", "abc"}}},
    {"A=\"open", {{"A", "open"}}},
    {"A='open", {{"A", "open"}}},
    {"A=\"open\\", {{"A", "open\\"}}},
    {"A=open\\", {{"A", "open\\"}}},
};

TEST(environment_file, syntax) {
  for (const auto& [text, variables] : cases) EXPECT_EQ(parse_environment_file(text), variables) << text;
}

TEST(environment_file, text_can_be_part_of_a_longer_one) {
  const std::vector<std::pair<std::string, std::string>> backslash = {{"A", "a\\"}};
  const std::vector<std::pair<std::string, std::string>> letter = {{"A", "a"}};
  EXPECT_EQ(parse_environment_file(std::string_view(R"(A="a\$")", 5)), backslash);
  EXPECT_EQ(parse_environment_file(std::string_view(R"(A=a\$)", 4)), backslash);
  EXPECT_EQ(parse_environment_file(std::string_view(R"(A="a" b)", 5)), letter);
}

}  // namespace
