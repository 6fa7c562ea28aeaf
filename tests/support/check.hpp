// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace sd::test {

/// Returns the result of a system call. Throws `std::system_error` if it failed.
template <class Number>
Number check(Number result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

}  // namespace sd::test
