// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "passed_sockets.hpp"

namespace sd::adopt {

/// Replaces the program's own socket by a copy of a passed one, under each number that the program has for it. The
/// numbers keep their close-on-exec flags and their registrations in epoll instances. Sets O_NONBLOCK if the
/// program's socket has it, and copies the options that differ from those of a new socket.
///
/// @returns 0, or a negated errno. On failure, some numbers may already refer to the passed socket.
int adopt(int fd, const claim& from) noexcept;

/// Removes the registrations of `fd` in epoll instances if this process has adopted a socket under this number, and is
/// about to close it. The kernel would not do that, because the library keeps the socket open.
void leave_epoll(int fd) noexcept;

}  // namespace sd::adopt
