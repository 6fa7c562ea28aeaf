// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

namespace sd::test {

/// Gives this process a network, which is a loopback alone, and an empty /run of its own, once. Returns why that is
/// impossible, or an empty text.
const std::string& isolation_error();

}  // namespace sd::test
