#pragma once

#include <sd/config.hpp>

namespace sd {

/// Whether systemd is what this system was booted with: whether `/run/systemd/system/` is there. Not whether it manages
/// this process, which `listen_fds()` and `notify()` find out by themselves.
/// Errors:  none: where it cannot be told, false.
/// Threads: safe from any thread.
/// Source:  sd_booted(3)
[[nodiscard]] SD_EXPORT bool booted() noexcept;

}  // namespace sd
