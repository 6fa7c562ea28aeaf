// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <system_error>
#include <vector>

namespace sd::activate {

/// Returns the names of the entries of a directory, without "." and "..", in no particular order. Unlike the iterators
/// of libstdc++, it does not end the program if there is no memory.
///
/// @param ec The error, or cleared. After an error, some of the names may be missing.
std::vector<std::string> names_in(const std::string& directory, std::error_code& ec);

}  // namespace sd::activate
