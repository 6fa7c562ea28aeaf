// SPDX-License-Identifier: MIT OR Apache-2.0
// The page and the man page of sd-activate name the same options, signals and exit statuses as its help, and the page
// of settings those that it knows.
#include "running.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

using names = std::set<std::string>;

std::string file(const std::string& path) {
  std::ifstream input(path);
  return {std::istreambuf_iterator<char>(input), {}};
}

std::string help() { return sd::activate::test::run({"--help"}).output; }
std::string page() { return file(DOCS "/sd-activate.md"); }
std::string man_page() { return file(DOCS "/sd-activate.1"); }

/// Returns the lines that match, without line feeds.
std::string lines(const std::string& text, const std::string& pattern) {
  std::string all;
  const std::regex line(pattern, std::regex::multiline);
  for (std::sregex_iterator each(text.begin(), text.end(), line), end; each != end; ++each) all += each->str() + ' ';
  return all;
}

/// Returns what the first group of the pattern stands for, wherever the pattern matches.
names all(const std::string& text, const std::string& pattern) {
  names found;
  const std::regex name(pattern);
  for (std::sregex_iterator each(text.begin(), text.end(), name), end; each != end; ++each) found.insert(each->str(1));
  return found;
}

names options_in(const std::string& text) { return all(text, R"((?:^|[ ,`])(--?[a-zA-Z][a-z-]*))"); }
names signals_in(const std::string& text) { return all(text, R"((SIG[A-Z0-9]+))"); }

TEST(documents, have_the_options_of_the_help) {
  const auto expected = options_in(lines(help(), "^  -[^ ]*"));
  EXPECT_THAT(expected, testing::IsSupersetOf({"-l", "--listen", "--json", "--version"}));
  EXPECT_EQ(options_in(lines(page(), R"(^\| `-[^|]*)")), expected);
  auto man = lines(man_page(), R"(^\.It Fl .*)");
  man = std::regex_replace(man, std::regex("Fl "), "-");
  EXPECT_EQ(options_in(man), expected);
}

TEST(documents, have_the_signals_of_the_help) {
  const auto expected = signals_in(lines(help(), "^  SIG.*"));
  EXPECT_THAT(expected, testing::IsSupersetOf({"SIGHUP", "SIGTERM"}));
  EXPECT_EQ(signals_in(page()), expected);
  EXPECT_EQ(signals_in(lines(man_page(), R"(^\.It Dv SIG.*)")), expected);
}

TEST(documents, have_the_exit_statuses_of_the_help) {
  const auto text = help();
  const auto expected = all(text.substr(text.find("Exit status:")), R"( ([0-9]+) )");
  EXPECT_EQ(expected, (names{"0", "1", "2", "3"}));
  EXPECT_EQ(all(page(), R"(\n\| ([0-9]+) \|)"), expected);
  EXPECT_EQ(all(man_page(), R"(\n\.It ([0-9]+)\n)"), expected);
}

TEST(documents, page_of_settings_is_current) {
  sd::activate::test::circumstances how;
  how.program = {UNIT_SUPPORT};
  how.has_events = false;
  EXPECT_EQ(sd::activate::test::run({}, how).output, file(DOCS "/unit-support.md"))
      << "scripts/update-unit-support writes the page anew";
}

}  // namespace
