// SPDX-License-Identifier: MIT OR Apache-2.0
#include "diagnostics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
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

struct character {
  std::uint32_t code;
  std::size_t length;  ///< in bytes
};

/// Returns the character in UTF-8 at the start of the text. A byte that belongs to no character counts as a NUL byte.
character first_character(std::string_view text) {
  constexpr character none = {0, 1};
  const std::uint32_t first = static_cast<unsigned char>(text.front());
  if (first < 0x80U) return {first, 1};
  if (first < 0xC2U || first > 0xF4U) return none;
  const std::size_t length = first < 0xE0U ? 2 : first < 0xF0U ? 3 : 4;
  std::uint32_t code = first & (0x7FU >> length);
  for (const char next : text.substr(1, length - 1)) {
    const std::uint32_t byte = static_cast<unsigned char>(next);
    if ((byte & 0xC0U) != 0x80U) return none;
    code = code << 6U | (byte & 0x3FU);
  }
  // Of the characters of each length. The code of a character that is cut off is smaller, too.
  static constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xD800 && code < 0xE000;
  if (code < least[length] || code > 0x10FFFF || is_surrogate) return none;
  return {code, length};
}

bool is_control(std::uint32_t code) { return (code < ' ' && code != '\t') || (code >= 0x7F && code < 0xA0); }

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto [code, length] = first_character(text);
    result += is_control(code) ? "?" : text.substr(0, length);
    text.remove_prefix(length);
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
  result += fmt::format("{:5} | {}\n      | {}{}^{}\n", line, printable(shown), blank(printable(before)), color, plain);
  return result;
}

}  // namespace sd::activate
