// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cerrno>
#include <system_error>

namespace sd::test {

inline std::error_code system_error(int error) { return {error, std::generic_category()}; }

/// Returns an error from before a call, which the call must clear or replace.
inline std::error_code stale() { return system_error(EIO); }

}  // namespace sd::test
