// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads any text as units of both types, as text with specifiers, and as an environment file. The text after a line
// "---" is a drop-in. A comment in the first line names the unit.
#include "commands.hpp"
#include "diagnostics.hpp"
#include "environment_file.hpp"
#include "input.hpp"
#include "service_unit.hpp"
#include "socket_unit.hpp"
#include "specifiers.hpp"
#include "unit.hpp"
#include "unit_file.hpp"
#include "values.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace sd::activate;
using sd::fuzz::require;

/// Requires that the place of a diagnostic is in its source, or at the end of a line.
void check(const diagnostic& problem) {
  const auto& [text, line, column] = problem.at;
  require(text != nullptr);
  require(!problem.message.empty());
  require(!to_string(problem).empty());
  if (line == 0) return;
  require(line <= text->lines.size());
  require(column >= 1 && column <= text->lines[line - 1].size() + 1);
}

void check(const command& line) {
  const auto words = expand_variables(
      line, [](const std::string& name) { return name.size() == 1 ? std::optional(name) : std::nullopt; });
  for (const auto& each : words) require(each.find('\0') == std::string::npos);
}

/// A unit whose file and drop-ins are the parts of the text.
unit unit_of(const unit_name& name, std::string_view text, diagnostics& problems) {
  unit whole;
  whole.name = name;
  whole.path = "/etc/units/" + name.full();
  for (const auto part : sd::fuzz::split(text, "\n---\n")) {
    const auto source = make_source(whole.text ? "drop-in" : whole.path, part);
    if (!whole.text) whole.text = source;
    auto assignments = parse(source, problems);
    std::move(assignments.begin(), assignments.end(), std::back_inserter(whole.assignments));
  }
  return whole;
}

/// Returns the name that the first line has, if it has one, or another one.
unit_name name_in(std::string_view text, const std::string& type, std::string_view otherwise) {
  const auto line = text.substr(0, text.find('\n'));
  const auto name = parse_unit_name(std::string(line.starts_with("# ") ? line.substr(2) : otherwise) + '.' + type);
  if (!name) return parse_unit_name(std::string(otherwise) + '.' + type).value();
  const auto again = parse_unit_name(name->full());
  require(again && again->full() == name->full());
  return *name;
}

void check_specifiers(std::string_view text, const unit_name& name) {
  require(unescape_unit_name(escape_unit_name(text)) == text);
  const auto escaped = escape_unit_name(text.substr(0, 60));
  if (!escaped.empty()) require(parse_unit_name(escaped + ".service").has_value());
  const auto result = expand(text, name, "/etc/units/" + name.full());
  require(result.problem.empty() ? text.find('%') != std::string_view::npos || result.text == text
                                 : text.substr(result.offset, 1) == "%");
}

void check_environment(std::string_view text) {
  for (const auto& [name, value] : parse_environment_file(text)) {
    require(is_variable_name(name));
    require(value.size() <= text.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = sd::fuzz::text_of(data, size);
  diagnostics problems;
  const auto socket_name = name_in(text, "socket", "web@8080");
  const auto socket = read_socket_unit(unit_of(socket_name, text, problems), problems);
  for (const auto* const list : {&socket.start_pre, &socket.start_post, &socket.stop_pre, &socket.stop_post}) {
    for (const auto& line : *list) check(line);
  }
  const auto service_name = name_in(text, "service", "web@a-b\\x2dc");
  const auto service = read_service_unit(unit_of(service_name, text, problems), problems);
  for (const auto* const list :
       {&service.start, &service.start_pre, &service.start_post, &service.stop, &service.stop_post}) {
    for (const auto& line : *list) check(line);
  }
  for (const auto& each : problems.all()) check(each);
  check_specifiers(text, service_name);
  check_environment(text);
  return 0;
}
