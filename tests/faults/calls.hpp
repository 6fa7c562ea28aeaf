// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

// The system calls that can fail, and the errnos of each of them.
namespace sd::test {

/// One system call as a tracer sees it.
struct system_call {
  int process = 0;  ///< 0 for the traced process, and its children from 1 on, in the order in which they were created
  int index = 0;    ///< counts the calls of the process, or those with this text
  int phase = 0;
  long number = 0;
  std::array<std::uint64_t, 6> arguments{};
  std::string path;  ///< the path that it was called with, if any
};

/// Returns the call as text without numbers that differ from run to run: `openat s.sd-lock`, `fcntl F_GETFD`.
std::string text_of(const system_call& call);

/// Returns the errnos that the manual pages list for this call, for arguments that are valid. Empty for a call that
/// cannot fail then.
/// @throws std::out_of_range for a call that the table does not have
const std::vector<int>& errors_of(const system_call& call);

/// Returns the errnos to try: all of them, or EINTR and the first of the others.
std::vector<int> errors_to_try(const system_call& call, bool is_quick);

/// Returns the index of the argument that is a path, or -1.
int path_argument(long number);

/// Returns whether the call has its effect although it fails with this errno: close(2) closes the descriptor in any
/// case, and wait4(2) finds no child if another thread has waited for it.
bool is_carried_out(const system_call& call, int error);

/// Returns whether a child may make the call between fork(2) and execve(2), because an async-signal-safe function makes
/// it.
bool is_allowed_in_child(const system_call& call);

/// Returns the name of an errno, such as `EMFILE`.
std::string name_of_error(int error);

}  // namespace sd::test
