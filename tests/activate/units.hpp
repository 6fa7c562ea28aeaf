// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "directory.hpp"
#include "running.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

// Any units.
namespace sd::activate::test {

/// A directory with unit files.
class units : public ::testing::Test {
 protected:
  /// Writes a file. Returns its path.
  // NOLINTNEXTLINE(modernize-use-nodiscard): a test may know the path
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(there_ / name) << text;
    return there_ / name;
  }

  sd::test::directory there_;
};

/// Returns the command of the helper program, as a unit file has it.
inline std::string exec_start(const words& options = {}) {
  std::string line = "ExecStart=";
  for (const auto& each : service(options)) line += each + ' ';
  return line + '\n';
}

}  // namespace sd::activate::test
