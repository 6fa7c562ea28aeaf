// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Finds out whether the system was booted with systemd.

#include <sd/config.hpp>

namespace sd {
inline namespace v0 {

/// Returns whether the system was booted with systemd, which is the case if `/run/systemd/system/` exists.
///
/// This does not mean that systemd manages this process. `listen_fds()` and `notify()` find that out themselves.
///
/// @returns False, too, if the directory cannot be examined.
/// @threadsafety Safe from any thread.
/// @see sd_booted(3)
[[nodiscard]] SD_EXPORT bool booted() noexcept;

}  // namespace v0
}  // namespace sd
