// SPDX-License-Identifier: MIT OR Apache-2.0
#include "environment_file.hpp"

#include "values.hpp"

#include <algorithm>

namespace sd::activate {

namespace {

/// Removes the text up to a character from its front, and returns it. The character is removed as well.
std::string_view take_until(std::string_view& text, char end) {
  const auto size = std::min(text.find(end), text.size());
  const auto taken = text.substr(0, size);
  text.remove_prefix(std::min(size + 1, text.size()));
  return taken;
}

/// Removes a text in double quotes, of which the first one was removed, from the front, and returns what it stands for.
std::string take_double_quoted(std::string_view& text) {
  constexpr std::string_view escaped = "\"\\`$";
  std::string value;
  while (!text.empty() && text.front() != '"') {
    const bool is_escape = text.front() == '\\' && text.size() > 1;
    if (is_escape && text[1] == '\n') {
      text.remove_prefix(2);
      continue;
    }
    if (is_escape && escaped.find(text[1]) != std::string_view::npos) text.remove_prefix(1);
    value += text.front();
    text.remove_prefix(1);
  }
  text.remove_prefix(std::min<std::size_t>(1, text.size()));
  return value;
}

/// Removes a text without quotes at its start from the front, up to the end of the line, and returns what it stands
/// for.
std::string take_unquoted(std::string_view& text) {
  std::string value;
  std::size_t kept = 0;  // of the value, whatever white space follows
  while (!text.empty() && text.front() != '\n') {
    const bool is_escape = text.front() == '\\' && text.size() > 1;
    if (is_escape) text.remove_prefix(1);
    const char next = text.front();
    text.remove_prefix(1);
    if (next == '\n') continue;  // it was escaped
    value += next;
    if (is_escape || white_space.find(next) == std::string_view::npos) kept = value.size();
  }
  value.resize(kept);
  return value;
}

std::string take_value(std::string_view& text) {
  std::string value;
  while (!text.empty() && text.front() != '\n') {
    const char first = text.front();
    if (first != '"' && first != '\'' && white_space.find(first) == std::string_view::npos)
      return value + take_unquoted(text);
    text.remove_prefix(1);
    if (first == '"') value += take_double_quoted(text);
    if (first == '\'') value += take_until(text, '\'');
  }
  return value;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_environment_file(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> variables;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    const auto equals = line.find('=');
    const auto name = trimmed(line.substr(0, equals));
    if (equals != std::string_view::npos && is_variable_name(name)) {
      text.remove_prefix(equals + 1);
      variables.emplace_back(name, take_value(text));
    }
    // What is left of the line.
    take_until(text, '\n');
  }
  return variables;
}

}  // namespace sd::activate
