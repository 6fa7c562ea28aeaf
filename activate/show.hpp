// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

namespace sd::activate {

/// Prints what was passed to this process, which is of use in the ExecStart= of a unit. Returns the exit status.
int show();

}  // namespace sd::activate
