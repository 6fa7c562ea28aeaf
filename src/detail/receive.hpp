#pragma once

#include <sd/config.hpp>

#include "protocol.hpp"

#include <atomic>

// How the descriptors change hands, in two steps, so that the caller can set up what is to own them in between.
namespace sd::detail {

/// Whether the descriptors have an owner, or one who is about to be. Copied by fork and reset by exec, as the
/// descriptors are. Visible beyond the module, so that the modules of a process share one where the dynamic linker can
/// join them: it joins shared libraries and, if gcc compiled them, plug-ins; not a plug-in and a program that exports
/// no symbols.
SD_VISIBLE inline std::atomic<bool> claimed{false};

/// What there is to take: `count` open descriptors from `first_descriptor` on.
struct offer {
  int count = 0;
  bool addressed = false;  ///< whether the variables name this process, if with a count of 0
  environment env;         ///< the variables that say so
};

/// What a descriptor says that is close-on-exec already: that it did not come through exec, so other code owns it; or
/// nothing, where the same owner may ask as often as it likes.
enum class reading { once, again };

/// Step one: reads the variables, claims the descriptors, and proves that the variables tell the truth. Where there is
/// something to take, `claimed` stays set, for the caller to clear if it fails before or in step two. It is set before
/// any descriptor is opened to look with: it could fill a hole that another caller looks for.
offer claim(listen_options options, reading reading, fault& why) noexcept;

/// Step two: marks the descriptors FD_CLOEXEC, from when on they are the caller's. On a fault none is marked.
void mark(const offer& offered, fault& why) noexcept;

/// The inode number of the process's pidfd, by which it is told from all others there ever are: 1, or 0 where the
/// kernel has none, or the negated errno.
int pidfd_inode(int pid, std::uint64_t& number) noexcept;

/// Removes the variables from the environment.
void unset_environment() noexcept;

}  // namespace sd::detail
