// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>

#include <array>

// A pointer and a count might not belong together.
void give(const std::array<int, 2>& fds) {
#ifdef MISUSE
  const sd::notify_options options{fds.data(), 2};
#else
  const sd::notify_options options{fds, 0};
#endif
  sd::notify(sd::state::fdstore(), options);
}
