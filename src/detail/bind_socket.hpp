// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/address.hpp>
#include <sd/take_or_bind.hpp>

#include "bind_path.hpp"

#if SD_HAS_DESCRIPTORS

// Opening a socket as a socket unit describes it.
namespace sd::detail {

/// What a socket unit can set beyond `bind_options`.
struct socket_details {
  int protocol = 0;
  /// Sets options of the socket before it is bound, unless it is null. Returns false, and sets `why`, if the socket
  /// must not be used.
  bool (*configure)(void* argument, int fd, failure& why) = nullptr;
  void* argument = nullptr;
};

/// Opens a socket, binds it and, unless it is a datagram socket, listens. The result is empty if `why` is set.
server_socket bind_socket(const address& where, const bind_options& options, const socket_details& details,
                          failure& why);

}  // namespace sd::detail

#endif
