// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>

// Observes `operator new`, and makes it fail.
namespace sd::test {

/// The size of the largest block that was requested since this was set to 0.
extern std::atomic<std::size_t> largest_allocation;

/// The number of allocations that succeed before one fails. If it is negative, none fails.
extern std::atomic<int> allocations_left;

/// Called before each allocation unless it is null.
extern void (*before_allocation)();

/// Counts an allocation that is about to be made. Returns whether it must fail.
bool fails_to_allocate();

}  // namespace sd::test
