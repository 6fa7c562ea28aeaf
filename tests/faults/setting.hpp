// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

// The surroundings of the scenarios: passed descriptors, a service manager, and a program to start.
namespace sd::test {

/// Passes descriptors to this process, as a service manager does. Their names are "a", "b" and so on.
void pass(int count, bool has_pidfdid);

/// Returns the NOTIFY_SOCKET of a service manager, which is started by the first call.
const std::string& manager_address();

/// Returns the exit status of a program that was started with this many descriptors: 0 if it finds them and no others.
/// If the variable REPORT is set, the program reports "ok" to the descriptor of that number.
int check_target(int count);

/// Returns the name of `errno`.
std::string name_of_errno();

}  // namespace sd::test
