#include <sd/booted.hpp>

#include "detail/inspect.hpp"

namespace sd {

#if SD_HAS_DESCRIPTORS
bool booted() noexcept { return detail::booted() > 0; }
#else
bool booted() noexcept { return false; }
#endif

}  // namespace sd
