// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/activation.hpp>

#include "os/processes.hpp"

#include <system_error>

// The start of a program for callers that know more about the process than a library can.
#if SD_HAS_EXCEPTIONS && SD_HAS_DESCRIPTORS

namespace sd::detail {

struct program_start {
  struct preparation {
    int (*prepare)(void* argument) noexcept;
    void* argument;
    /// Whether the function may run in a child that shares the memory of this process while this thread is suspended.
    /// It must then make system calls without the C library if the library would do more in a process with threads.
    bool may_share_memory;
    os::signal_actions actions;
  };

  /// Does what `activation::spawn()` does.
  static int spawn(activation& program, const preparation& before, std::error_code& ec) noexcept;
};

}  // namespace sd::detail

#endif
