// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

namespace sd::activate {

/// Throws `std::system_error` unless the states of processes can be read in /proc, as `suspend()` does.
void require_process_states();

/// Stops all threads of a process group by SIGSTOP, and waits until none of them runs.
///
/// @returns Whether they have stopped. If they do not do so in time, they go on.
[[nodiscard]] bool suspend(int group) noexcept;

/// Has the processes go on.
void resume(int group) noexcept;

}  // namespace sd::activate
