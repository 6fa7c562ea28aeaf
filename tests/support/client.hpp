// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sd::test {

/// Returns a socket that is connected to the address. Its calls fail after ten seconds. Throws `std::system_error` if
/// no socket listens there.
unique_fd connect(const std::string& where, int type = SOCK_STREAM);

/// Returns that many connections to the address.
std::vector<unique_fd> connect_many(std::size_t count, const std::string& where);

/// Sends the whole text. Throws `std::system_error` if that fails or is not possible within ten seconds.
void send(const unique_fd& connection, std::string_view text);

/// Sends the text over and over, and receives nothing, until the server takes no more for a second, closes the
/// connection, or has taken `limit` bytes. Returns the number of bytes sent.
std::size_t flood(const unique_fd& connection, std::string_view text, std::size_t limit = SIZE_MAX);

/// Sends the text, ends the data of this side, and returns the whole reply.
std::string converse(const unique_fd& connection, const std::string& text);

/// Connects, sends the text, and returns the reply of the server.
std::string ask(const std::string& where, const std::string& text, int type = SOCK_STREAM);

/// Returns whether a server accepts connections at the address.
bool accepts_connections(const std::string& where);

}  // namespace sd::test
