#include "largest_allocation.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace sd::test {

std::atomic<std::size_t> largest_allocation{0};

}  // namespace sd::test

// NOLINTBEGIN(cppcoreguidelines-no-malloc): these are what others manage memory with
void* operator new(std::size_t size) {
  sd::test::largest_allocation = std::max(sd::test::largest_allocation.load(), size);
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc)
