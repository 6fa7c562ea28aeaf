// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sd::activate {

/// Finds out whether anybody uses the sockets of a service.
///
/// The kernel lists open connections: sock_diag(7). Traffic that has come and gone between two looks is seen by SIGIO:
/// the sockets have O_ASYNC, and the signal, which is blocked in the thread that makes this object, stays pending until
/// the next look. The traffic itself wakes nobody.
class connections {
 public:
  /// @throws std::system_error if the kernel does not tell whether one of the descriptors is used. The message names
  /// it.
  explicit connections(const std::vector<listen_fd>& fds);
  connections(const connections&) = delete;
  connections& operator=(const connections&) = delete;
  ~connections();

  /// Returns whether a connection is open, whether traffic waits for the service, and whether any has arrived since the
  /// last look. If the kernel does not reply, the sockets count as used.
  [[nodiscard]] bool are_in_use();

 private:
  struct listener;

  [[nodiscard]] bool has_traffic();
  [[nodiscard]] bool has_connections() const;

  std::vector<listener> listeners_;
};

}  // namespace sd::activate
