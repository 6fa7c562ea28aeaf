// SPDX-License-Identifier: MIT OR Apache-2.0
#include "commands.hpp"

#include "directory.hpp"
#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using sd::activate::check_program;
using sd::activate::command;
using sd::activate::diagnostics;
using sd::activate::expand_variables;
using sd::activate::test::lines_of;
using sd::activate::test::read_service;
using testing::ElementsAre;
using testing::IsEmpty;

using words = std::vector<std::string>;

/// Returns the commands of a service with Type=oneshot and these lines of settings.
std::vector<command> commands_of(const std::string& lines) {
  auto read = read_service("[Service]\nType=oneshot\n" + lines + '\n');
  EXPECT_THAT(read.problems, IsEmpty()) << lines;
  return read.unit.start;
}

/// Returns the only command, or one without words.
command command_of(const std::string& value) {
  auto all = commands_of("ExecStart=" + value);
  EXPECT_EQ(all.size(), 1U) << value;
  return all.size() == 1 ? all[0] : command();
}

/// Returns the problems of a service whose third line is this command.
words problems_in(const std::string& value) {
  return read_service("[Service]\nType=oneshot\nExecStart=" + value + '\n').problems;
}

TEST(commands, words_are_separated_and_unquoted) {
  const auto line = command_of(R"(/bin/echo a "b c" 'd\x20e' f\sg)");
  EXPECT_EQ(line.program, "/bin/echo");
  EXPECT_THAT(line.words, ElementsAre("/bin/echo", "a", "b c", "d e", "f g"));
  EXPECT_FALSE(line.ignores_failure);
  EXPECT_TRUE(line.expands_variables);
  EXPECT_FALSE(line.is_privileged);
}

TEST(commands, program_can_be_a_name) { EXPECT_EQ(command_of("sleep 5").program, "sleep"); }

TEST(commands, specifiers_are_replaced) {
  EXPECT_THAT(command_of("/bin/%p %n 100%%").words, ElementsAre("/bin/web", "web.service", "100%"));
}

TEST(commands, prefixes_have_their_meanings) {
  struct {
    std::string_view prefix;
    bool ignores_failure;
    bool expands_variables;
    bool is_privileged;
  } const rows[] = {
      {"", false, true, false}, {"-", true, true, false},  {":", false, false, false}, {"+", false, true, true},
      {"!", false, true, true}, {"!!", false, true, true}, {"-:+", true, false, true}, {"+-", true, true, true},
  };
  for (const auto& [prefix, ignores_failure, expands_variables, is_privileged] : rows) {
    const auto line = command_of(std::string(prefix) + "/bin/true");
    EXPECT_EQ(line.program, "/bin/true") << prefix;
    EXPECT_THAT(line.words, ElementsAre("/bin/true")) << prefix;
    EXPECT_EQ(line.ignores_failure, ignores_failure) << prefix;
    EXPECT_EQ(line.expands_variables, expands_variables) << prefix;
    EXPECT_EQ(line.is_privileged, is_privileged) << prefix;
  }
}

TEST(commands, at_sign_makes_the_next_word_the_name) {
  const auto line = command_of("-@/bin/sh -sh -c x");
  EXPECT_EQ(line.program, "/bin/sh");
  EXPECT_THAT(line.words, ElementsAre("-sh", "-c", "x"));
  EXPECT_TRUE(line.ignores_failure);
}

TEST(commands, semicolon_separates_commands) {
  const auto all = commands_of(R"(ExecStart=/bin/a x ; -/bin/b y ;)");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(all[0].words, ElementsAre("/bin/a", "x"));
  EXPECT_THAT(all[1].words, ElementsAre("/bin/b", "y"));
  EXPECT_TRUE(all[1].ignores_failure);
}

TEST(commands, quoted_or_escaped_semicolon_is_a_word) {
  EXPECT_THAT(command_of(R"(/bin/a \; x ";" y ';')").words, ElementsAre("/bin/a", ";", "x", ";", "y", ";"));
  EXPECT_THAT(command_of("/bin/a x; y").words, ElementsAre("/bin/a", "x;", "y"));
}

TEST(commands, assignments_add_up) { EXPECT_EQ(commands_of("ExecStart=/bin/a\nExecStart=/bin/b").size(), 2U); }

TEST(commands, empty_assignment_clears_the_list) {
  EXPECT_THAT(commands_of("ExecStart=/bin/a\nExecStart="), IsEmpty());
  EXPECT_EQ(commands_of("ExecStart=/bin/a\nExecStart=\nExecStart=/bin/b").size(), 1U);
}

TEST(commands, malformed_ones_are_reported) {
  EXPECT_THAT(problems_in("bin/a"), ElementsAre("3:11: error: ExecStart=bin/a: the program is neither an absolute path "
                                                "nor a name without a slash"));
  EXPECT_THAT(problems_in("/bin/a ; ./b"),
              ElementsAre("3:20: error: ExecStart=/bin/a ; ./b: the program is neither an absolute path nor a name "
                          "without a slash"));
  EXPECT_THAT(problems_in("-"), ElementsAre("3:11: error: ExecStart=-: there is no program"));
  EXPECT_THAT(problems_in("\"\" x"), ElementsAre("3:11: error: ExecStart=\"\" x: there is no program"));
  EXPECT_THAT(problems_in("@/bin/a"), ElementsAre("3:11: error: ExecStart=@/bin/a: with the prefix \"@\", the word "
                                                  "after the program is its name, and there is none"));
  EXPECT_THAT(problems_in("/bin/a 'b"), ElementsAre("3:18: error: ExecStart=/bin/a 'b: the quote is not closed"));
}

TEST(commands, unknown_specifiers_are_reported_where_they_are) {
  EXPECT_THAT(problems_in("/bin/a b%Zc"), ElementsAre("3:19: error: ExecStart=/bin/a b%Zc: unknown specifier \"%Z\"; "
                                                      "write \"%%\" for a percent sign"));
  EXPECT_THAT(problems_in("/bin/a \"b %Z\""),
              ElementsAre("3:21: error: ExecStart=/bin/a \"b %Z\": unknown specifier \"%Z\"; "
                          "write \"%%\" for a percent sign"));
  EXPECT_THAT(problems_in("/bin/a b\\x41%Z"),
              ElementsAre("3:23: error: ExecStart=/bin/a b\\x41%Z: unknown specifier \"%Z\"; "
                          "write \"%%\" for a percent sign"));
}

TEST(commands, unknown_escapes_are_kept_with_a_warning) {
  const auto read = read_service("[Service]\nExecStart=/bin/grep a\\.b\n");
  EXPECT_THAT(read.problems, ElementsAre("2:22: warning: ExecStart=/bin/grep a\\.b: unknown escape, which is kept"));
  ASSERT_EQ(read.unit.start.size(), 1U);
  EXPECT_THAT(read.unit.start[0].words, ElementsAre("/bin/grep", "a\\.b"));
}

TEST(commands, problem_in_a_continuation_line_is_reported_there) {
  EXPECT_THAT(read_service("[Service]\nExecStart=/bin/a \\\n  x \\\n  'y\n").problems,
              ElementsAre("4:3: error: ExecStart=/bin/a    x    'y: the quote is not closed"));
}

TEST(commands, programs_that_cannot_be_executed_are_reported) {
  const sd::test::directory there;
  const auto file = there / "file";
  std::ofstream(file).flush();
  const auto problems_of = [](const std::string& value) {
    diagnostics problems;
    check_program(command_of(value), problems);
    return lines_of(problems);
  };
  EXPECT_THAT(problems_of(file), ElementsAre("3:11: error: " + file + ": Permission denied"));
  for (const auto mode : {0100, 0010, 0001}) {
    std::filesystem::permissions(file, std::filesystem::perms(mode));
    EXPECT_THAT(problems_of(file), IsEmpty()) << mode;
  }
  const auto missing = there / "missing";
  EXPECT_THAT(problems_of(missing), ElementsAre("3:11: error: " + missing + ": No such file or directory"));
  EXPECT_THAT(problems_of('-' + missing), IsEmpty());
  EXPECT_THAT(problems_of("missing"), IsEmpty());
  EXPECT_THAT(problems_of(there.path()), ElementsAre("3:11: error: " + there.path() + ": Is a directory"));
}

// --- variables -------------------------------------------------------------------------------------------------------

words words_with_variables(const std::string& value) {
  const std::map<std::string, std::string> variables = {
      {"A", "one"}, {"TWO", "a  b"}, {"EMPTY", ""}, {"QUOTED", "'a b' c"}, {"DOLLAR", "$A"}, {"APOSTROPHE", "'tis x"}};
  return expand_variables(command_of(value), [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(variables, word_that_is_a_variable_is_split) {
  EXPECT_THAT(words_with_variables("/bin/x $A $TWO"), ElementsAre("/bin/x", "one", "a", "b"));
  EXPECT_THAT(words_with_variables("/bin/x $QUOTED"), ElementsAre("/bin/x", "a b", "c"));
}

TEST(variables, word_that_is_an_unset_or_empty_variable_vanishes) {
  EXPECT_THAT(words_with_variables("/bin/x $UNSET $EMPTY y"), ElementsAre("/bin/x", "y"));
}

TEST(variables, value_with_an_unclosed_quote_does_not_vanish) {
  EXPECT_GT(words_with_variables("/bin/x $APOSTROPHE").size(), 1U);
}

TEST(variables, braces_keep_the_value_together) {
  EXPECT_THAT(words_with_variables("/bin/x ${TWO} a${A}b${TWO}c"), ElementsAre("/bin/x", "a  b", "aoneba  bc"));
  EXPECT_THAT(words_with_variables("/bin/x ${QUOTED}"), ElementsAre("/bin/x", "'a b' c"));
}

TEST(variables, unset_one_in_braces_is_empty) {
  EXPECT_THAT(words_with_variables("/bin/x ${UNSET} a${EMPTY}b"), ElementsAre("/bin/x", "", "ab"));
}

TEST(variables, doubled_dollar_sign_stands_for_one) {
  EXPECT_THAT(words_with_variables("/bin/x $$A $${A} a$$ $$$$"), ElementsAre("/bin/x", "$A", "${A}", "a$", "$$"));
}

TEST(variables, other_dollar_signs_stay) {
  EXPECT_THAT(words_with_variables("/bin/x $ a$A aA ${ ${} ${A ${1} $1 $A- ${A-x}"),
              ElementsAre("/bin/x", "$", "a$A", "aA", "${", "${}", "${A", "${1}", "$1", "$A-", "${A-x}"));
}

TEST(variables, replaced_text_is_not_expanded_again) {
  EXPECT_THAT(words_with_variables("/bin/x ${DOLLAR} $DOLLAR"), ElementsAre("/bin/x", "$A", "$A"));
}

TEST(variables, colon_prefix_keeps_them) {
  EXPECT_THAT(words_with_variables(":/bin/x $A ${A} $$"), ElementsAre("/bin/x", "$A", "${A}", "$$"));
}

TEST(variables, program_is_never_one) { EXPECT_THAT(words_with_variables("$A x"), ElementsAre("$A", "x")); }

}  // namespace
