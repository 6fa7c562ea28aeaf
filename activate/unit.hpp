// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "diagnostics.hpp"
#include "specifiers.hpp"
#include "unit_file.hpp"

#include <memory>
#include <string>
#include <vector>

// A unit as it is written: its file and its drop-ins.
namespace sd::activate {

/// A unit as it is written.
struct unit {
  unit_name name;
  std::string path;                     ///< the unit file, or empty if the settings come from the command line
  std::shared_ptr<const source> text;   ///< null if the file could not be read
  std::vector<assignment> assignments;  ///< of the file, then of its drop-ins
};

/// Reads a unit file and its drop-ins, which are the files `NAME.d/*.conf` beside it.
///
/// For an instance, such as `web@8080.service`, that has no file of its own, reads the file of the template.
///
/// @returns The unit. If it cannot be read, the problem is reported, and the unit has no assignments.
unit read_unit(const std::string& path, diagnostics& problems);

/// Returns whether `read_unit()` finds a file.
bool unit_exists(const std::string& path);

}  // namespace sd::activate
