// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads any text as units of both types. The part after the first NUL is their drop-in.
#include "commands.hpp"
#include "diagnostics.hpp"
#include "service_unit.hpp"
#include "socket_unit.hpp"
#include "unit.hpp"
#include "unit_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace sd::activate;

void require(bool condition) {
  if (!condition) std::abort();
}

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

unit unit_of(std::string_view name, std::string_view text, diagnostics& problems) {
  unit whole;
  whole.name = parse_unit_name(name).value();
  whole.path = "/etc/units/" + std::string(name);
  const auto end = text.find('\0');
  whole.text = make_source(whole.path, text.substr(0, end));
  whole.assignments = parse(whole.text, problems);
  if (end == std::string_view::npos) return whole;
  auto added = parse(make_source("drop-in", text.substr(end + 1)), problems);
  whole.assignments.insert(whole.assignments.end(), std::make_move_iterator(added.begin()),
                           std::make_move_iterator(added.end()));
  return whole;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  diagnostics problems;
  const auto socket = read_socket_unit(unit_of("web@8080.socket", text, problems), problems);
  for (const auto* const list : {&socket.start_pre, &socket.start_post, &socket.stop_pre, &socket.stop_post}) {
    for (const auto& line : *list) check(line);
  }
  const auto service = read_service_unit(unit_of("web@a-b\\x2dc.service", text, problems), problems);
  for (const auto* const list :
       {&service.start, &service.start_pre, &service.start_post, &service.stop, &service.stop_post}) {
    for (const auto& line : *list) check(line);
  }
  for (const auto& each : problems.all()) check(each);
  return 0;
}
