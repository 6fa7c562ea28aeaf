// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/booted.hpp>

#include "detail/inspect.hpp"

namespace sd {
inline namespace v0 {

#if SD_HAS_DESCRIPTORS
bool booted() noexcept { return detail::booted() > 0; }
#else
bool booted() noexcept { return false; }
#endif

}  // namespace v0
}  // namespace sd
