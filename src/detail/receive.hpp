#pragma once

#include <sd/export.hpp>

#include "protocol.hpp"

#include <atomic>

// How the descriptors change hands, in two steps, so that the caller can set up what is to own them in between and a
// failure there loses nothing.
namespace sd::detail {

/// Whether the descriptors have an owner. An exported inline variable: where several modules of a process contain this
/// library, the dynamic linker makes them share one, so that a winner in any of them is the winner for all. Copied by
/// fork, reset by exec, as the descriptors are.
SD_EXPORT inline std::atomic<bool> claimed{false};

/// What there is to take: `count` open descriptors from `first_descriptor` on. 0: nothing for this process.
struct offer {
  int count = 0;
  environment env;  ///< the variables that say so
};

/// Step one: reads the variables and proves that they tell the truth. Changes nothing.
offer inspect(listen_options options, fault& why) noexcept;

/// Step two: makes the descriptors the caller's and marks them FD_CLOEXEC. False where another caller of this process
/// was first, and on a fault, which leaves them as they were and free to be claimed.
bool claim(const offer& offered, fault& why) noexcept;

/// Removes the variables from the environment.
void unset_environment() noexcept;

}  // namespace sd::detail
