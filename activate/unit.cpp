// SPDX-License-Identifier: MIT OR Apache-2.0
#include "unit.hpp"

#include "names_in.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;

/// Returns the file that holds the settings of the unit at a path: its own, or that of its template.
std::string file_of(const std::string& path, const unit_name& name) {
  std::error_code missing;
  if (!name.instance || fs::exists(path, missing)) return path;
  return fs::path(path).replace_filename(name.template_name()).string();
}

/// Returns the drop-ins of a unit in the order in which they apply. Those of the instance replace those of the template
/// that have the same file name. A unit that is a symbolic link has those of its target as well. A directory that is
/// there but cannot be read is an error.
std::vector<std::string> drop_ins_of(const std::string& path, const unit_name& name, diagnostics& problems) {
  std::vector<std::string> units;
  std::error_code missing;
  if (const auto target = fs::canonical(path, missing); !missing && fs::is_symlink(path)) units.push_back(target);
  if (name.instance && !name.is_template()) {
    units.push_back(fs::path(path).replace_filename(name.template_name()).string());
  }
  units.push_back(path);
  std::map<std::string, std::string> by_name;
  for (const auto& each : units) {
    const auto directory = each + ".d";
    std::error_code ec;
    for (const auto& file : names_in(directory, ec)) {
      if (fs::path(file).extension() == ".conf") by_name[file] = directory + '/' + file;
    }
    if (ec && ec != std::errc::no_such_file_or_directory) {
      problems.error({std::make_shared<const source>(source{directory, {}})}, ec.message());
    }
  }
  std::vector<std::string> all;
  all.reserve(by_name.size());
  for (const auto& [_, file] : by_name) all.push_back(file);
  return all;
}

void add_file(unit& whole, const std::string& path, diagnostics& problems) {
  std::shared_ptr<const source> text;
  try {
    text = read_source(path, problems);
  } catch (const std::system_error& error) {
    return problems.error({std::make_shared<const source>(source{path, {}})}, error.code().message());
  }
  if (!whole.text) whole.text = text;
  auto assignments = parse(text, problems);
  std::move(assignments.begin(), assignments.end(), std::back_inserter(whole.assignments));
}

}  // namespace

unit read_unit(const std::string& path, diagnostics& problems) {
  unit whole;
  whole.path = path;
  const auto name = parse_unit_name(fs::path(path).filename().string());
  if (!name) {
    problems.error({std::make_shared<const source>(source{path, {}})}, "not the name of a unit");
    return whole;
  }
  whole.name = *name;
  add_file(whole, file_of(path, whole.name), problems);
  for (const auto& file : drop_ins_of(path, whole.name, problems)) add_file(whole, file, problems);
  return whole;
}

bool unit_exists(const std::string& path) {
  const auto name = parse_unit_name(fs::path(path).filename().string());
  std::error_code missing;
  return name && fs::exists(file_of(path, *name), missing);
}

}  // namespace sd::activate
