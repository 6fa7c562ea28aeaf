// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

namespace sd::test {

/// Called after each successful bind(2) of this program, while sd::take_or_bind() still holds the path's lock and has
/// not set the owner and mode. Linking bind_hook.cpp replaces bind() of the C library.
extern void (*after_bind)(const void* address);

/// Called before each connect(2) of this program.
extern void (*before_connect)(const void* address);

/// Whether this program can open no netlink socket, as with RestrictAddressFamilies=AF_UNIX in a unit.
extern bool refuses_netlink;

}  // namespace sd::test
