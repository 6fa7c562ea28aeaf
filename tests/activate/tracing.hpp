// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "process.hpp"

#include <string>

// The system calls of sd-activate, seen by strace.
namespace sd::activate::test {

/// Returns why they cannot be seen here, or an empty string if they can.
inline std::string reason_not_to_trace() {
  if (sd::test::sanitized) return "the sanitizer makes system calls of its own";
  if (std::string(STRACE).empty()) return "strace is not installed";
  if (!sd::test::emulator().empty()) return "strace would trace the emulator";
  sd::test::activation trivial;
  trivial.command = {STRACE, "-qq", "-o", "/dev/null", "true"};
  return sd::test::run(trivial).status == 0 ? "" : "strace may not trace here";
}

}  // namespace sd::activate::test
