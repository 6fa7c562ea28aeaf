// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "diagnostics.hpp"
#include "service_unit.hpp"
#include "socket_unit.hpp"
#include "specifiers.hpp"
#include "unit.hpp"
#include "unit_file.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

// Reads units from text, for the tests of their settings.
namespace sd::activate::test {

/// Returns each problem as `LINE:COLUMN: LEVEL: MESSAGE`, or without line and column if it concerns the whole unit.
inline std::vector<std::string> lines_of(const diagnostics& problems) {
  std::vector<std::string> all;
  for (const auto& each : problems.all()) {
    const auto& at = each.at;
    const auto place = at.line == 0 ? "" : std::to_string(at.line) + ':' + std::to_string(at.column) + ": ";
    all.push_back(place + (each.level == severity::error ? "error: " : "warning: ") + each.message);
  }
  return all;
}

/// Returns a unit with this text, without a file.
inline unit unit_of(const std::string& name, std::string_view text, diagnostics& problems) {
  unit whole;
  whole.name = parse_unit_name(name).value();
  whole.path = "/etc/units/" + name;
  whole.text = make_source(name, text);
  whole.assignments = parse(whole.text, problems);
  return whole;
}

template <class Unit>
struct reading {
  Unit unit;
  std::vector<std::string> problems;
};

inline reading<socket_unit> read_socket(std::string_view text, const std::string& name = "web.socket") {
  diagnostics problems;
  const auto whole = unit_of(name, text, problems);
  auto result = read_socket_unit(whole, problems);
  return {std::move(result), lines_of(problems)};
}

inline reading<service_unit> read_service(std::string_view text, const std::string& name = "web.service") {
  diagnostics problems;
  const auto whole = unit_of(name, text, problems);
  auto result = read_service_unit(whole, problems);
  return {std::move(result), lines_of(problems)};
}

/// Returns the names of the settings of a section that are honored.
template <class Unit>
std::set<std::string> honored_names(const directive_table<Unit>& table) {
  std::set<std::string> names;
  for (const auto& each : table.honored) names.emplace(each.name);
  return names;
}

/// Returns the names of the settings in these lines of `NAME=VALUE`.
template <class Rows>
std::set<std::string> names_in(const Rows& rows) {
  std::set<std::string> names;
  for (const auto& each : rows) names.emplace(each.setting.substr(0, each.setting.find('=')));
  return names;
}

}  // namespace sd::activate::test
