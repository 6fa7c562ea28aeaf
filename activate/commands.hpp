// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "settings.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

// Command lines of settings such as ExecStart=: systemd.service(5), section "Command lines".
namespace sd::activate {

/// A command line. Variables in its words have not been replaced yet.
struct command {
  std::string program;             ///< the path, or a name to search for
  std::vector<std::string> words;  ///< with the name of the program first
  bool ignores_failure = false;    ///< the prefix "-"
  bool expands_variables = true;   ///< false with the prefix ":"
  bool is_privileged = false;      ///< the prefix "+" or "!": runs with the privileges of sd-activate
  location at;
};

/// Reads the command lines of a setting, and adds them to the list. An empty value clears the list.
void read_commands(setting_reader& reader, const assignment& setting, std::vector<command>& commands);

/// Reports a program that cannot be executed.
void check_program(const command& line, diagnostics& problems);

/// Returns the words of a command with `$NAME` and `${NAME}` replaced.
///
/// @param value_of Returns the value of a variable, or `nullopt` if it is not set.
std::vector<std::string> expand_variables(
    const command& line, const std::function<std::optional<std::string>(const std::string&)>& value_of);

}  // namespace sd::activate
