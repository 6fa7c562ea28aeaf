// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>

// The journal of accepting.cpp: the numbers of the clients that were accepted, and these records.
namespace sd::activate::test {

inline constexpr std::uint32_t accepting = UINT32_MAX;          ///< a connection is about to be accepted
inline constexpr std::uint32_t accepted_none = UINT32_MAX - 1;  ///< there was none

}  // namespace sd::activate::test
