// SPDX-License-Identifier: MIT OR Apache-2.0
// unit-support: prints docs/unit-support.md, which lists the settings of sd-activate's tables.
#include "service_unit.hpp"
#include "socket_unit.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <string_view>

namespace {

using namespace sd::activate;

template <class Result>
void print_honored(const directive_table<Result>& table, std::string_view section) {
  fmt::print("| setting | meaning |\n|---|---|\n");
  std::map<std::string, std::string> sorted;
  for (const auto& row : table.honored) {
    if (row.section == section) sorted[std::string(row.name)] = row.meaning;
  }
  for (const auto& [name, meaning] : sorted) fmt::print("| `{}=` | {} |\n", name, meaning);
}

void print_others(const std::vector<directive_group>& groups, support level) {
  bool is_first = true;
  for (const auto& group : groups) {
    if (group.level != level) continue;
    std::string names;
    for (const auto& name : group.names) names += fmt::format("{}`{}=`", names.empty() ? "" : ", ", name);
    if (is_first) fmt::print("\n| section | settings | reason |\n|---|---|---|\n");
    is_first = false;
    fmt::print("| `[{}]` | {} | {} |\n", group.section, names, group.note);
  }
  if (is_first) fmt::print("\nNone.\n");
}

}  // namespace

int main() try {
  fmt::print(
      "# Settings of units that sd-activate reads\n\n"
      "<!-- Written by scripts/update-unit-support from the tables in activate/. -->\n\n"
      "A setting that is not listed here is an error. Settings and sections whose names start with `X-` are skipped. "
      "An empty\n"
      "value restores the default, or clears a list.\n\n"
      "## Honored in `[Socket]`\n\n");
  print_honored(socket_directives(), "Socket");
  fmt::print("\n## Honored in `[Service]`\n\n");
  print_honored(service_directives(), "Service");
  fmt::print("\n## Honored in `[Unit]` of services\n\n");
  print_honored(service_directives(), "Unit");
  auto all = common_groups();
  for (const auto* const more : {&socket_directives().others, &service_directives().others}) {
    all.insert(all.end(), more->begin(), more->end());
  }
  fmt::print("\n## Refused\n\nThese are errors, because the service would not work as it is meant to.\n");
  print_others(all, support::refused);
  fmt::print("\n## Not enforced\n\nA warning lists these. With `--strict` it is an error.\n");
  print_others(all, support::not_enforced);
  fmt::print("\n## Without effect\n\nThese concern what sd-activate does not do.\n");
  print_others(all, support::without_effect);
} catch (const std::exception& error) {
  static_cast<void>(std::fprintf(stderr, "unit-support: %s\n", error.what()));
  return 1;
}
