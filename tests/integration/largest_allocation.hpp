#pragma once

#include <atomic>
#include <cstddef>

namespace sd::test {

/// The size of the largest block that `operator new` was asked for since this was set to 0.
extern std::atomic<std::size_t> largest_allocation;

}  // namespace sd::test
