// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The syntax of the files of EnvironmentFile=: systemd.exec(5).
namespace sd::activate {

/// Returns the variables in the text of a file, in order, with quotes and escapes resolved. Lines that do not assign a
/// variable are skipped.
std::vector<std::pair<std::string, std::string>> parse_environment_file(std::string_view text);

}  // namespace sd::activate
