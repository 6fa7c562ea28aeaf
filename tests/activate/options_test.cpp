// SPDX-License-Identifier: MIT OR Apache-2.0
#include "options.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace {

using sd::activate::list_options;
using sd::activate::option_help;

/// Returns the description of an option for the completions of shells.
option_help option(const std::string& name) {
  for (const auto& each : list_options()) {
    if (each.name == name) return each;
  }
  return {};
}

TEST(list_options, options_have_letters_and_values) {
  const struct {
    const char* name;
    const char* letter;
    const char* value;
    bool is_list;
  } rows[] = {{"listen", "l", "ADDRESS", true},
              {"setenv", "E", "NAME[=VALUE]", true},
              {"stop-idle", "", "SEC", false},
              {"quiet", "q", "", false},
              {"seqpacket", "", "", false}};
  for (const auto& [name, letter, value, is_list] : rows) {
    const auto found = option(name);
    EXPECT_EQ(found.name, name);
    EXPECT_EQ(found.letter, letter) << name;
    EXPECT_EQ(found.value, value) << name;
    EXPECT_EQ(found.is_list, is_list) << name;
    EXPECT_NE(found.description, "") << name;
  }
}

TEST(list_options, words_without_an_option_are_left_out) {
  const auto all = list_options();
  EXPECT_TRUE(std::none_of(all.begin(), all.end(), [](const auto& each) { return each.name == "words"; }));
}

}  // namespace
