// SPDX-License-Identifier: MIT OR Apache-2.0
#include "commands.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

/// Removes the prefixes of the program, and records what they mean. Returns whether "@" is among them.
bool take_prefixes(std::string& program, command& line) {
  const auto prefixes = program.substr(0, program.find_first_not_of("@-:+!"));
  const auto has = [&](char prefix) { return prefixes.find(prefix) != std::string::npos; };
  line.ignores_failure = has('-');
  line.expands_variables = !has(':');
  line.is_privileged = has('+') || has('!');
  program.erase(0, prefixes.size());
  return has('@');
}

/// Reads the command line that consists of these words. Reports what is wrong with it.
std::optional<command> command_of(setting_reader& reader, const assignment& setting, std::vector<word> words) {
  command line;
  auto& program = words.front();
  const bool has_own_name = take_prefixes(program.text, line);
  if (program.text.empty()) {
    reader.error(setting, "there is no program", program.offset);
    return std::nullopt;
  }
  if (program.text.find('/') != std::string::npos && program.text.front() != '/') {
    reader.error(setting, "the program is neither an absolute path nor a name without a slash", program.offset);
    return std::nullopt;
  }
  if (has_own_name && words.size() == 1) {
    reader.error(setting, "with the prefix \"@\", the word after the program is its name, and there is none",
                 program.offset);
    return std::nullopt;
  }
  line.program = program.text;
  line.at = setting.value_at(program.offset);
  for (auto word = words.begin() + (has_own_name ? 1 : 0); word != words.end(); ++word) {
    line.words.push_back(std::move(word->text));
  }
  return line;
}

/// Returns the length of the name of a variable at the start of the text.
std::size_t name_length(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_variable_name(text.substr(0, length + 1))) ++length;
  return length;
}

/// Splits the value of a variable into words. A value whose quotes do not match is split at white space alone.
void add_words(const std::string& value, std::vector<std::string>& words) {
  auto parts = split(value);
  if (parts.problem.empty()) {
    for (auto& each : parts.words) words.push_back(std::move(each.text));
    return;
  }
  std::istringstream text(value);
  for (std::string word; text >> word;) words.push_back(std::move(word));
}

}  // namespace

void read_commands(setting_reader& reader, const assignment& setting, std::vector<command>& commands) {
  if (setting.value.empty()) {
    commands.clear();
    return;
  }
  auto words = reader.words(setting);
  if (!words) return;
  std::vector<word> current;
  const auto finish = [&] {
    if (current.empty()) return;
    if (auto line = command_of(reader, setting, std::exchange(current, {}))) commands.push_back(std::move(*line));
  };
  for (auto& each : *words) {
    if (each.text == ";" && !each.quoted) {
      finish();
    } else {
      current.push_back(std::move(each));
    }
  }
  finish();
}

void check_program(const command& line, diagnostics& problems) {
  if (line.ignores_failure) return;
  // Others are found by the PATH that the service is going to have.
  if (line.program.find('/') == std::string::npos) return;
  const auto report = [&](int error) {
    problems.error(line.at, line.program + ": " + std::generic_category().message(error));
  };
  struct stat status {};
  if (::stat(line.program.c_str(), &status) < 0) return report(errno);
  if (S_ISDIR(status.st_mode)) return report(EISDIR);
  if ((status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) report(EACCES);
}

std::vector<std::string> expand_variables(
    const command& line, const std::function<std::optional<std::string>(const std::string&)>& value_of) {
  std::vector<std::string> result = {line.words.front()};  // the program is never a variable
  for (std::size_t i = 1; i < line.words.size(); ++i) {
    const std::string_view text = line.words[i];
    if (!line.expands_variables) {
      result.emplace_back(text);
      continue;
    }
    if (text.size() > 1 && text.front() == '$' && name_length(text.substr(1)) == text.size() - 1) {
      add_words(value_of(std::string(text.substr(1))).value_or(""), result);
      continue;
    }
    std::string word;
    for (std::size_t at = 0; at < text.size();) {
      const auto rest = text.substr(at);
      const auto length = rest.starts_with("${") ? name_length(rest.substr(2)) : 0;
      if (rest.starts_with("$$")) {
        word += '$';
        at += 2;
      } else if (length != 0 && rest.substr(2 + length).starts_with('}')) {
        word += value_of(std::string(rest.substr(2, length))).value_or("");
        at += length + 3;
      } else {
        word += text[at++];
      }
    }
    result.push_back(std::move(word));
  }
  return result;
}

}  // namespace sd::activate
