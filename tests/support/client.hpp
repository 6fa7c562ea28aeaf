// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include <sys/socket.h>

#include <string>

namespace sd::test {

/// Returns a socket that is connected to the address. Its calls fail after ten seconds. Throws `std::system_error` if
/// no socket listens there.
unique_fd connect(const std::string& where, int type = SOCK_STREAM);

/// Sends the text, ends the data of this side, and returns the whole reply.
std::string converse(const unique_fd& connection, const std::string& text);

/// Connects, sends the text, and returns the reply of the server.
std::string ask(const std::string& where, const std::string& text, int type = SOCK_STREAM);

/// Returns whether a server accepts connections at the address.
bool accepts_connections(const std::string& where);

}  // namespace sd::test
