// SPDX-License-Identifier: MIT OR Apache-2.0
#include "values.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using sd::activate::escapes;
using sd::activate::infinity;
using sd::activate::is_fd_name;
using sd::activate::is_variable_name;
using sd::activate::parse_boolean;
using sd::activate::parse_mode;
using sd::activate::parse_number;
using sd::activate::parse_period;
using sd::activate::parse_signal;
using sd::activate::parse_size;
using sd::activate::period;
using sd::activate::signal_name;
using sd::activate::split;
using sd::activate::to_text;
using testing::ElementsAre;
using testing::IsEmpty;

/// A text, and the value that it stands for. Empty for malformed texts.
template <class Value>
struct row {
  std::string_view text;
  std::optional<Value> value;
};

TEST(values, booleans) {
  const row<bool> rows[] = {
      {"1", true},   {"yes", true},  {"y", true},      {"true", true},  {"t", true},  {"on", true},
      {"YES", true}, {"On", true},   {"0", false},     {"no", false},   {"n", false}, {"false", false},
      {"f", false},  {"off", false}, {"False", false}, {"", {}},        {"2", {}},    {"yess", {}},
      {"ye", {}},    {" yes", {}},   {"yes ", {}},     {"enabled", {}}, {"01", {}},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_boolean(text), value) << text;
}

TEST(values, numbers) {
  const row<std::uint64_t> rows[] = {
      {"0", 0},   {"1", 1},   {"007", 7},  {"255", 255}, {"256", {}}, {"18446744073709551616", {}},
      {"", {}},   {"-1", {}}, {"+1", {}},  {"0x10", {}}, {"1.0", {}}, {"1 ", {}},
      {" 1", {}}, {"1K", {}}, {"one", {}},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_number(text, 255), value) << text;
  EXPECT_EQ(parse_number("18446744073709551615", UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(parse_number("18446744073709551616", UINT64_MAX), std::nullopt);
}

TEST(values, sizes) {
  const row<std::uint64_t> rows[] = {
      {"0", 0},
      {"65536", 65536},
      {"64K", 65536},
      {"64 K", 65536},
      {"64B", 64},
      {"2M", 2U << 20U},
      {"1G", 1ULL << 30U},
      {"1T", 1ULL << 40U},
      {"1P", 1ULL << 50U},
      {"15E", 15ULL << 60U},
      {"1.5K", 1536},
      {"1.K", 1024},
      {".5M", 512U << 10U},
      {{"1234", 2}, 12},
      {"18446744073709551615", UINT64_MAX},
      {"16E", {}},
      {"18446744073709551616", {}},
      {"", {}},
      {"K", {}},
      {".", {}},
      {"-1", {}},
      {"1k", {}},
      {"1KB", {}},
      {"1KiB", {}},
      {"1 2", {}},
      {"infinity", {}},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_size(text), value) << text;
}

TEST(values, periods) {
  constexpr auto day = 24h;
  const row<period> rows[] = {
      {"0", 0s},
      {"90", 90s},
      {"5min 20s", 320s},
      {"5min20s", 320s},
      {"1h 2min 3s 4ms 5us", 1h + 2min + 3s + 4ms + 5us},
      {"1 h", 1h},
      {"20 5", 25s},
      {"1.5", 1500ms},
      {"1.25", 1250ms},
      {"1.", 1s},
      {"1.s", 1s},
      {".5s", 500ms},
      {"1.000001s", 1s + 1us},
      {"1.0000001s", 1s},
      {"1.0000009w", 7 * day},
      {"2usec", 2us},
      {"2\u00b5s", 2us},
      {"2\u03bcs", 2us},
      {"2msec", 2ms},
      {"2sec", 2s},
      {"2second", 2s},
      {"2seconds", 2s},
      {"2m", 2min},
      {"2minute", 2min},
      {"2minutes", 2min},
      {"2hr", 2h},
      {"2hour", 2h},
      {"2hours", 2h},
      {"2d", 2 * day},
      {"2day", 2 * day},
      {"2days", 2 * day},
      {"2w", 14 * day},
      {"2week", 14 * day},
      {"2weeks", 14 * day},
      {"1M", 2629800s},
      {"1month", 2629800s},
      {"2months", 2 * 2629800s},
      {"1y", 31557600s},
      {"1year", 31557600s},
      {"2years", 2 * 31557600s},
      {"infinity", infinity},
      {"9223372036854775807us", infinity},
      {"9223372036854775808us", {}},
      {"18446744073709551615", {}},
      {"18446744073709551616", {}},
      {"18446744073709.9", {}},
      {"10000000000000 10000000000000", {}},
      {"300000y", {}},
      {"", {}},
      {" ", {}},
      {"s", {}},
      {".", {}},
      {"-1", {}},
      {"+1", {}},
      {"1x", {}},
      {"1 sec foo", {}},
      {"1s,2s", {}},
      {"5mins", {}},
      {"1.5.5", {}},
      {"Infinity", {}},
      {"infinity 5s", {}},
      {"0x10", {}},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_period(text), value) << text;
}

TEST(values, periods_as_text) {
  EXPECT_EQ(to_text(1500ms), "1.5 s");
  EXPECT_EQ(to_text(0s), "0 s");
  EXPECT_EQ(to_text(infinity), "infinity");
}

TEST(values, modes) {
  const row<unsigned> rows[] = {
      {"0", 0U},     {"0660", 0660U}, {"660", 0660U}, {"7777", 07777U}, {"07777", 07777U},
      {"10000", {}}, {"", {}},        {"8", {}},      {"0o7", {}},      {"-1", {}},
      {"+7", {}},    {"rwx", {}},     {" 7", {}},     {"0x1", {}},      {"77777777777777", {}},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_mode(text), value) << text;
}

TEST(values, signals) {
  const row<int> rows[] = {
      {"SIGTERM", SIGTERM},
      {"TERM", SIGTERM},
      {"15", SIGTERM},
      {"HUP", SIGHUP},
      {"SIGKILL", SIGKILL},
      {"WINCH", SIGWINCH},
      {"SIGIO", SIGIO},  // the name that systemd has for SIGPOLL
      {"SIGRTMIN", SIGRTMIN},
      {"RTMIN+1", SIGRTMIN + 1},
      {"SIGRTMIN+2", SIGRTMIN + 2},
      {"RTMAX", SIGRTMAX},
      {"SIGRTMAX-3", SIGRTMAX - 3},
      {"64", 64},
      {"65", {}},
      {"0", {}},
      {"-1", {}},
      {"", {}},
      {"SIG", {}},
      {"sigterm", {}},
      {"SIGSIGTERM", {}},
      {"TERM ", {}},
      {"SIGFOO", {}},
      {"RTMIN-1", {}},
      {"RTMAX+1", {}},
      {"RTMIN+", {}},
      {"RTMIN+1000", {}},
      {"RTMINUS", {}},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_signal(text), value) << text;
}

TEST(values, names_of_signals) {
  EXPECT_EQ(signal_name(SIGHUP), "SIGHUP");
  EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
  EXPECT_EQ(signal_name(SIGSYS), "SIGSYS");
  EXPECT_EQ(signal_name(32), "SIG32");  // of the C library
  EXPECT_EQ(signal_name(SIGRTMIN - 1), "SIG" + std::to_string(SIGRTMIN - 1));
  EXPECT_EQ(signal_name(SIGRTMIN), "SIGRTMIN+0");
  EXPECT_EQ(signal_name(SIGRTMIN + 5), "SIGRTMIN+5");
}

TEST(values, names_of_descriptors) {
  for (const char* name : {"", "a", "web.socket", "a b", "~", "!"}) EXPECT_TRUE(is_fd_name(name)) << name;
  for (const char* name : {"a:b", "a\n", "\x1f", "\x7f", "\u00e4"}) EXPECT_FALSE(is_fd_name(name)) << name;
  EXPECT_TRUE(is_fd_name(std::string(255, 'a')));
  EXPECT_FALSE(is_fd_name(std::string(256, 'a')));
}

TEST(values, names_of_variables) {
  for (const char* name : {"A", "Z", "z", "_", "a1", "A0", "PATH", "_x9"}) EXPECT_TRUE(is_variable_name(name)) << name;
  for (const char* name : {"", "1a", "a-b", "a b", "a=b", "\u00e4", "a.b"})
    EXPECT_FALSE(is_variable_name(name)) << name;
}

// --- words -----------------------------------------------------------------------------------------------------------

using words = std::vector<std::string>;

words words_of(std::string_view value, escapes handling = escapes::resolve) {
  words result;
  for (auto& each : split(value, handling).words) result.push_back(std::move(each.text));
  return result;
}

TEST(split, white_space_separates_words) {
  EXPECT_EQ(words_of(""), words());
  EXPECT_EQ(words_of(" \t "), words());
  EXPECT_EQ(words_of("a"), words({"a"}));
  EXPECT_EQ(words_of(" a  b\tc\r\nd\fe\vf "), words({"a", "b", "c", "d", "e", "f"}));
}

TEST(split, quotes_are_removed) {
  EXPECT_EQ(words_of(R"("a b" 'c d')"), words({"a b", "c d"}));
  EXPECT_EQ(words_of(R"("" '')"), words({"", ""}));
  EXPECT_EQ(words_of(R"("it's" 'say "x"')"), words({"it's", "say \"x\""}));
  EXPECT_EQ(words_of(R"("a\"b" 'c\'d')"), words({"a\"b", "c'd"}));
}

TEST(split, quotes_can_surround_a_part_of_a_word) {
  // systemd.syntax(7) does not mention it, but systemd 252 does it, and units contain it.
  EXPECT_EQ(words_of(R"(--name="a b" c)"), words({"--name=a b", "c"}));
  EXPECT_EQ(words_of(R"('a'"b c"d)"), words({"ab cd"}));
  EXPECT_EQ(words_of(R"("a"b)"), words({"ab"}));
}

TEST(split, escapes_are_resolved) {
  const std::pair<std::string_view, std::string> rows[] = {
      {R"(\a)", "\a"},
      {R"(\b)", "\b"},
      {R"(\f)", "\f"},
      {R"(\n)", "\n"},
      {R"(\r)", "\r"},
      {R"(\t)", "\t"},
      {R"(\v)", "\v"},
      {R"(\\)", "\\"},
      {R"(\")", "\""},
      {R"(\')", "'"},
      {R"(\s)", " "},
      {R"(\;)", ";"},
      {R"(\x41)", "A"},
      {R"(\xff)", "\xff"},
      {R"(\101)", "A"},
      {R"(\377)", "\xff"},
      {R"(\u0041)", "A"},
      {R"(\u00e4)", "\u00e4"},
      {R"(\u20ac)", "\u20ac"},
      {R"(\U0001f600)", "\U0001f600"},
      {R"(a\sb)", "a b"},
      {R"("a\nb")", "a\nb"},
      {R"(\x41\x42)", "AB"},
      {R"(\x412)", "A2"},
      {R"(\1012)", "A2"},
      {R"(\u00412)", "A2"},
      // The first and the last characters of each length in UTF-8, and those next to the surrogates.
      {R"(\u0001)", "\x01"},
      {R"(\u007f)", "\x7f"},
      {R"(\u0080)", "\xc2\x80"},
      {R"(\u07ff)", "\u07ff"},
      {R"(\u0800)", "\u0800"},
      {R"(\ud7ff)", "\ud7ff"},
      {R"(\ue000)", "\ue000"},
      {R"(\uffff)", "\uffff"},
      {R"(\U00010000)", "\U00010000"},
      {R"(\U0010ffff)", "\U0010ffff"},
  };
  for (const auto& [value, text] : rows) {
    const auto result = split(value);
    ASSERT_EQ(result.words.size(), 1U) << value;
    EXPECT_EQ(result.words[0].text, text) << value;
    EXPECT_TRUE(result.words[0].quoted) << value;
    EXPECT_THAT(result.unknown_escapes, IsEmpty()) << value;
  }
}

TEST(split, unknown_escapes_are_kept_and_reported) {
  for (const char* value : {R"(\q)", R"(\x4)", R"(\xgg)", R"(\x00)", R"(\400)", R"(\18)", R"(\000)", R"(\u123)",
                            R"(\u0000)", R"(\ud800)", R"(\udfff)", R"(\U00110000)", R"(\)", R"(\%)", R"(\x-1)"}) {
    const auto result = split(value);
    EXPECT_EQ(words_of(value), words({value}));
    EXPECT_THAT(result.unknown_escapes, ElementsAre(0U)) << value;
  }
  EXPECT_THAT(split(R"(a "b\q" c\w)").unknown_escapes, ElementsAre(4U, 9U));
}

TEST(split, escapes_stay_if_they_are_not_to_be_resolved) {
  const auto result = split(R"(a\nb "c\td")", escapes::keep);
  EXPECT_EQ(words_of(R"(a\nb "c\td")", escapes::keep), words({R"(a\nb)", R"(c\td)"}));
  EXPECT_THAT(result.unknown_escapes, IsEmpty());
}

TEST(split, words_have_their_offsets) {
  const auto result = split(R"(  a  "b c" \x41d e)");
  std::vector<std::size_t> offsets;
  std::vector<bool> quoted;
  for (const auto& each : result.words) {
    offsets.push_back(each.offset);
    quoted.push_back(each.quoted);
  }
  EXPECT_THAT(offsets, ElementsAre(2U, 5U, 11U, 17U));
  EXPECT_THAT(quoted, ElementsAre(false, true, true, false));
}

TEST(split, errors_have_their_offsets) {
  struct {
    std::string_view value;
    std::string_view problem;
    std::size_t offset;
  } const rows[] = {
      {"\"", "the quote is not closed", 0},
      {"a 'b c", "the quote is not closed", 2},
      {R"(a "b\")", "the quote is not closed", 2},
      {"it's", "the quote is not closed", 2},
      {R"(a --b="c d)", "the quote is not closed", 6},
  };
  for (const auto& [value, problem, offset] : rows) {
    const auto result = split(value);
    EXPECT_EQ(result.problem, problem) << value;
    EXPECT_EQ(result.problem_offset, offset) << value;
    EXPECT_THAT(result.words, IsEmpty()) << value;
  }
}

TEST(split, escape_ends_with_the_value) {
  const auto result = split(std::string_view(R"(a\nb)", 2));
  EXPECT_THAT(result.unknown_escapes, ElementsAre(1U));
  ASSERT_EQ(result.words.size(), 1U);
  EXPECT_EQ(result.words[0].text, "a\\");
}

TEST(split, nul_bytes_are_characters) { EXPECT_EQ(words_of("a\0b c"s), words({"a\0b"s, "c"})); }

}  // namespace
