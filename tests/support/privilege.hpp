// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

// The privileges of this process.

#include <fstream>
#include <string>

namespace sd::test {

/// Returns whether this process has CAP_SYS_ADMIN, which a process that runs as root in a container often lacks.
inline bool has_sys_admin() {
  constexpr unsigned long long bit = 1ULL << 21U;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    const std::string label = "CapEff:";
    if (line.compare(0, label.size(), label) == 0)
      return (std::stoull(line.substr(label.size()), nullptr, 16) & bit) != 0;
  }
  return false;
}

}  // namespace sd::test
