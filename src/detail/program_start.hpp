// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/activation.hpp>

#include "os/processes.hpp"

#include <system_error>

// The start of a program for callers that know more about the process than a library can.
#if SD_HAS_EXCEPTIONS && SD_HAS_DESCRIPTORS

namespace sd::detail {

/// What a supervisor needs besides `activation::spawn()`.
struct program_start {
  /// What a child does before it executes the program.
  struct preparation {
    int (*prepare)(void* argument) noexcept;  ///< returns 0, or the errno with which the start fails
    void* argument;
    /// Whether the function may run in a child that shares the memory of this process while this thread is suspended.
    /// It must then make system calls without the C library if the library would do more in a process with threads.
    bool may_share_memory;
    /// The signals whose action the child resets: those of `os::read_signal_actions()`, but for those that the program
    /// keeps. No handler may be added afterwards.
    os::signal_actions actions;
  };

  /// Does what `activation::spawn()` does, after the preparation. Returns the pid.
  static int spawn(activation& program, const preparation& before, std::error_code& ec) noexcept;
};

}  // namespace sd::detail

#endif
