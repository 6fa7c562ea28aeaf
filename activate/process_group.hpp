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

/// Sends a signal to a process, or to a process group whose leader may have ended.
///
/// @param target As for kill(2): a pid, or -1 times the number of a group.
/// @param pidfd  Of the process or leader, so that no other process gets the signal if the number has become that of
///               another one. -1 if there is none. Needs Linux 5.1, and 6.9 for a group.
/// @returns Whether there was such a process.
bool send_signal(int target, int pidfd, int signal) noexcept;

/// Asks processes to end by a signal, on which they also go on if they are suspended, and by SIGHUP with
/// SendSIGHUP=yes.
///
/// The other parameters are those of `send_signal()`.
void ask_to_end(int target, int pidfd, int signal, const service_unit& unit) noexcept;

}  // namespace sd::activate
