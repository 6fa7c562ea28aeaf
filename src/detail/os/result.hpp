// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cerrno>

namespace sd::detail::os {

/// Returns the result of a system call, or the negated errno if the call failed.
inline int negated_errno(int result) noexcept { return result < 0 ? -errno : result; }

/// Makes a system call, again each time that a signal handler interrupts it. Returns the result, or the negated errno.
template <class Call>
int uninterrupted(Call call) noexcept {
  while (true) {
    const int result = call();
    if (result >= 0 || errno != EINTR) return negated_errno(result);
  }
}

}  // namespace sd::detail::os
