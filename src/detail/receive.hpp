// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/config.hpp>

#include "protocol.hpp"

#include <atomic>

// Receives the descriptors in two steps, so that the caller can allocate their owners in between.
namespace sd::detail {

/// 1 if the descriptors have an owner or are being taken. Copied by fork() and reset by exec(), as the descriptors
/// are. Exported, so that all modules of a process share one flag if the dynamic linker can join them: it joins shared
/// libraries and, if gcc compiled them, plug-ins; it does not join a plug-in and a program that exports no symbols. An
/// int, because some architectures have no atomic operations on smaller types.
SD_VISIBLE inline std::atomic<int> claimed{0};

/// Why an offer is empty if there was no fault.
enum class emptiness {
  none,           ///< It is not empty.
  not_addressed,  ///< LISTEN_PID or LISTEN_FDS is not set, or LISTEN_PID or LISTEN_PIDFDID names another process.
  zero,           ///< LISTEN_FDS is 0.
  taken,          ///< Another caller in this process has taken the descriptors, or is taking them.
};

/// The open descriptors that can be taken.
struct offer {
  descriptor_range range;
  environment env;
  emptiness empty = emptiness::none;
  const char* variable = nullptr;  ///< The variable that makes the offer empty.
};

/// Whether a descriptor that is close-on-exec already is a fault.
enum class ownership {
  exclusive,  ///< A fault: it did not come through exec(), so other code in this process owns it.
  shared,     ///< No fault: its owner may call the function again.
};

/// Step one: reads the variables, claims the descriptors, and verifies that they are open. If the offer is not empty,
/// `claimed` stays set; the caller clears it if it fails before or in step two. The claim precedes every call that
/// opens a descriptor, because that descriptor could fill a hole in the range that another caller is verifying.
offer claim(listen_options options, ownership wanted, fault& why) noexcept;

/// Step two: marks the descriptors FD_CLOEXEC. The caller owns them from then on. On a fault none is marked.
void mark(const offer& offered, fault& why) noexcept;

/// Reads the inode number of the process's pidfd, which no other process ever has. Returns 1, or 0 if the kernel has no
/// such numbers, or the negated errno.
int pidfd_inode(int pid, std::uint64_t& number) noexcept;

/// Removes the variables from the environment.
void unset_environment() noexcept;

}  // namespace sd::detail
