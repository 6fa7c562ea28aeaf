#pragma once

#include <atomic>
#include <cstddef>

// A look at `operator new`, and a hand on it.
namespace sd::test {

/// The size of the largest block asked for since this was set to 0.
extern std::atomic<std::size_t> largest_allocation;

/// How many more allocations succeed before one fails; none does while it is negative.
extern std::atomic<int> allocations_left;

}  // namespace sd::test
