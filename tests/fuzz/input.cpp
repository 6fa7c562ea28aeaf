// SPDX-License-Identifier: MIT OR Apache-2.0
#include "input.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace sd::fuzz {

void require(bool condition, const char* file, int line) {
  if (condition) return;
  std::fprintf(stderr, "%s:%d: this must hold\n", file, line);
  std::abort();
}

void skip(const std::string& reason) {
  std::printf("SKIPPED: %s\n", reason.c_str());
  std::exit(77);  // as ctest expects
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

settings::settings(std::string_view text, const std::map<std::string, std::string>& replacements) {
  for (const auto line : split(text, "\n")) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string value(line.substr(equals + 1));
    value.resize(std::min(value.find('\0'), value.size()));
    for (const auto& [name, meaning] : replacements) {
      const auto at = value.find('$' + name);
      if (at != std::string::npos) value.replace(at, name.size() + 1, meaning);
    }
    values_[std::string(line.substr(0, equals))] = value;
  }
}

std::optional<std::string> settings::find(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

int settings::number(const std::string& name, int most) const {
  const auto text = find(name).value_or("");
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return static_cast<int>(value % (static_cast<unsigned>(most) + 1));
}

void set_environment(const char* name, const std::optional<std::string>& value) {
  if (value) {
    ::setenv(name, value->c_str(), 1);
  } else {
    ::unsetenv(name);
  }
}

}  // namespace sd::fuzz
