// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

namespace sd::test {

/// Makes execve(2) fail for one path, in this process and its forked children, until the object is destroyed.
class failing_execve {
 public:
  /// @param path Must outlive the object.
  failing_execve(const char* path, int error) noexcept;
  ~failing_execve();
  failing_execve(const failing_execve&) = delete;
  failing_execve& operator=(const failing_execve&) = delete;
};

}  // namespace sd::test
