// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "diagnostics.hpp"
#include "service_unit.hpp"

#include <string>
#include <string_view>

// The use of libsd-adopt, which gives the sockets to programs that bind their own.
namespace sd::activate {

/// Returns the path of libsd-adopt.so. Searches the directory of this program, then the installation directory.
///
/// @throws std::system_error with ENOENT if it is not there, or EINVAL if LD_PRELOAD cannot name its path.
std::string find_adopt_library();

/// Reports programs of the service that libsd-adopt does not reach: they are linked statically, are written in Go, or
/// gain privileges. For a script, examines the interpreter, unless that is env(1).
///
/// @param path PATH of the service.
void check_adoption(const service_unit& service, std::string_view path, diagnostics& problems);

}  // namespace sd::activate
