#pragma once

#include <sd/unique_fd.hpp>

#include <sys/socket.h>

#include <string>

namespace sd::test {

/// A socket that is connected to the address, and whose calls fail rather than wait for more than ten
/// seconds. Throws `std::system_error` where nobody listens there.
unique_fd connect(const std::string& where, int type = SOCK_STREAM);

/// Sends the words, says that there are no more, and returns all of the answer.
std::string converse(const unique_fd& connection, const std::string& words);

/// The answer of a server to a client that says this.
std::string ask(const std::string& where, const std::string& words, int type = SOCK_STREAM);

/// Whether somebody listens there.
bool answers(const std::string& where);

}  // namespace sd::test
