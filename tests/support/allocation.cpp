// SPDX-License-Identifier: MIT OR Apache-2.0
#include "allocation.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace sd::test {

std::atomic<std::size_t> largest_allocation{0};
std::atomic<int> allocations_left{-1};
void (*before_allocation)() = nullptr;

bool fails_to_allocate() {
  if (before_allocation != nullptr) before_allocation();
  return allocations_left >= 0 && allocations_left-- == 0;
}

}  // namespace sd::test

// NOLINTBEGIN(cppcoreguidelines-no-malloc): these functions implement memory management
void* operator new(std::size_t size) {
  using namespace sd::test;
  largest_allocation = std::max(largest_allocation.load(), size);
  if (fails_to_allocate()) throw std::bad_alloc();
  // Not malloc(3), which the tests of failures replace.
  if (void* const memory = std::realloc(nullptr, size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc)
