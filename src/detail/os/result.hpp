// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cerrno>

namespace sd::detail::os {

/// Returns the result of a system call, or the negated errno if the call failed.
inline int negated_errno(int result) noexcept { return result < 0 ? -errno : result; }

}  // namespace sd::detail::os
