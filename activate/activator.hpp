// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "events.hpp"
#include "plan.hpp"

namespace sd::activate {

/// Opens the sockets, and runs the service until a signal, `runs_once` or a limit of a unit ends this process.
///
/// @returns The exit status of this process.
/// @throws std::system_error if a socket cannot be opened, or the service cannot be prepared.
int run(const plan& what, const event_log& log);

}  // namespace sd::activate
