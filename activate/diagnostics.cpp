// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnostics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace sd::activate {

namespace {

/// Replaces control characters, which would confuse a terminal. A tab stays, so that the caret is below its column.
std::string printable(std::string_view text) {
  std::string result(text);
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 127; }, '?');
  return result;
}

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
