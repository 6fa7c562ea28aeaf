// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>

#if defined(__linux__)
#include <mqueue.h>
#endif

// Opening what a socket unit can listen on beside sockets. Each function returns a close-on-exec descriptor, or a
// negated errno.
namespace sd::detail {

/// Opens a FIFO for reading and writing, nonblocking, and creates it unless it exists. `is_new` tells which. A FIFO
/// that was created is removed again if it cannot be opened.
int open_fifo(const std::string& path, bool& is_new) noexcept;

/// Opens a special file.
int open_special(const std::string& path, bool is_writable) noexcept;

#if defined(__linux__)

/// Opens a POSIX message queue for reading, nonblocking, and creates it unless it exists.
///
/// @param attributes The size of a queue that is created; null for the system's default.
int open_message_queue(const std::string& name, unsigned mode, const mq_attr* attributes, bool& is_new) noexcept;

/// Opens a netlink socket that receives the messages of one multicast group, or of none if that is 0.
int open_netlink(int family, unsigned group) noexcept;

#endif

}  // namespace sd::detail
