// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnostics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace sd::activate {

namespace {

/// Returns white space as wide as the text.
std::string blank(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool continues_character = (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
    if (!continues_character) result += c == '\t' ? '\t' : ' ';
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result(text);
  int expected = 0;  // bytes that continue a character
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto byte = static_cast<unsigned char>(result[i]);
    const bool continues = byte >= 0x80U && byte < 0xC0U;
    const bool is_of_c1 = continues && byte < 0xA0U && i != 0 && result[i - 1] == '\xC2';
    const bool is_control = (byte < ' ' && byte != '\t') || byte == 127 || is_of_c1;
    if (is_control || (continues && expected == 0)) result[i] = '?';
    if (is_of_c1) result[i - 1] = '?';
    expected = continues      ? std::max(expected - 1, 0)
               : byte < 0xC2U ? 0
               : byte < 0xE0U ? 1
               : byte < 0xF0U ? 2
               : byte < 0xF5U ? 3
                              : 0;
  }
  return result;
}

void diagnostics::add(severity level, location at, std::string message) {
  const auto is_same_source = [&](const diagnostic& each) { return each.at.text == at.text; };
  const auto precedes = [&](const diagnostic& each) { return is_same_source(each) && each.at.line <= at.line; };
  auto place = std::find_if(all_.rbegin(), all_.rend(), precedes).base();
  if (place == all_.begin()) place = std::find_if(all_.begin(), all_.end(), is_same_source);
  all_.insert(place, {level, std::move(at), std::move(message)});
}

std::size_t diagnostics::errors() const noexcept {
  const auto is_error = [](const diagnostic& each) { return each.level == severity::error; };
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), is_error));
}

bool diagnostics::has_warnings() const noexcept {
  return std::any_of(all_.begin(), all_.end(), [](const auto& each) { return each.level == severity::warning; });
}

std::string to_string(const diagnostic& what, bool with_colors) {
  const bool is_error = what.level == severity::error;
  const auto* const level = is_error ? "error" : "warning";
  const auto* const color = !with_colors ? "" : is_error ? "\033[1;31m" : "\033[1;35m";
  const auto* const plain = with_colors ? "\033[0m" : "";
  const auto& [text, line, column] = what.at;
  auto place = printable(text->name);
  if (line != 0) place += fmt::format(":{}:{}", line, column);
  auto result = fmt::format("{}: {}{}:{} {}\n", place, color, level, plain, printable(what.message));
  if (line == 0 || line > text->lines.size()) return result;
  const auto& shown = text->lines[line - 1];
  const auto before = std::string_view(shown).substr(0, column - 1);
  result += fmt::format("{:5} | {}\n      | {}{}^{}\n", line, printable(shown), blank(before), color, plain);
  return result;
}

}  // namespace sd::activate
