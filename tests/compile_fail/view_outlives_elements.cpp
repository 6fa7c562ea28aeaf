// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>

#include <vector>

// A view does not own its elements. Clang warns if they are temporary.
void give() {
#ifdef MISUSE
  const sd::array_view<int> fds = std::vector<int>(3);
#else
  const std::vector<int> numbers(3);
  const sd::array_view<int> fds = numbers;
#endif
  sd::notify(sd::state::fdstore(), {fds});
}
