// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "passed_sockets.hpp"

namespace sd::adopt {

/// Puts a copy of a passed socket in the place of the program's own socket, under each number that the program has for
/// it. The numbers keep their close-on-exec flags, and their registrations in epoll instances. The passed socket
/// becomes nonblocking if the program's own one is, and gets the options that the program has set.
///
/// @returns 0, or the negated errno, with the program's socket in its place.
int adopt(int fd, passed_socket& from) noexcept;

}  // namespace sd::adopt
