// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

namespace sd::activate {

struct service_unit;

/// Throws `std::system_error` unless the states of processes can be read in /proc, as `suspend()` does.
void require_process_states();

/// Stops all threads of a process group by SIGSTOP, and waits until none of them runs.
///
/// @returns Whether they have stopped. If they do not do so in time, they go on.
[[nodiscard]] bool suspend(int group) noexcept;

/// Has the processes go on.
void resume(int group) noexcept;

/// Asks processes to end by a signal, on which they also go on if they are suspended, and by SIGHUP with
/// SendSIGHUP=yes.
///
/// @param target As of kill(2): a pid, or -1 times the number of a group.
void ask_to_end(int target, int signal, const service_unit& unit) noexcept;

}  // namespace sd::activate
