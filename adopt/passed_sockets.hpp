// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "detail/os/files.hpp"
#include "detail/serving.hpp"

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

// The sockets that were passed to the program. They are kept under numbers that the program does not use, and where its
// calls do not close them.
namespace sd::adopt {

/// A socket that was passed.
struct passed_socket {
  std::atomic<int> fd{-1};    ///< where it is kept; -1 if it is not
  detail::os::file identity;  ///< of the socket
  int family = 0;
  int type = 0;
  int protocol = 0;
  bool v6only = false;
  bool is_listening = false;
  sockaddr_storage local{};
  std::size_t local_size = 0;
  bool has_file = false;  ///< whether it is bound to a file that exists
  detail::os::file file;
  std::atomic<bool> is_ipv4{false};  ///< whether the program has bound a socket of IPv4 to it
  std::atomic<bool> is_ipv6{false};
  std::atomic<int> adopter{0};  ///< the process that has adopted or claimed it, this one or an ancestor, or 0

  [[nodiscard]] detail::address_view address() const noexcept { return {&local, local_size}; }
};

/// Receives the sockets that the service manager has passed, or that this library kept before this process, or its
/// parent, called exec(). Called once, before main().
void receive_sockets() noexcept;

/// Returns whether there is any passed socket.
bool has_sockets() noexcept;

/// The passed sockets.
struct socket_range {
  passed_socket* first;
  passed_socket* last;

  [[nodiscard]] passed_socket* begin() const noexcept { return first; }
  [[nodiscard]] passed_socket* end() const noexcept { return last; }
};
socket_range all_sockets() noexcept;

/// A passed socket that this process is about to adopt.
struct claim {
  passed_socket* socket;  ///< null if there is none
  bool is_first;          ///< whether nobody has adopted it before
};
/// Claims the passed socket that serves the address and has the type and protocol of `fd`. Prefers an exact match to a
/// wildcard, and then a socket that has not been adopted, nor claimed by another thread.
claim claim_socket(int fd, const detail::address_view& wanted) noexcept;
/// Gives up a claim: the adoption has failed.
void give_up(const claim& failed) noexcept;
/// Records that this process has adopted the socket, and reports it to sd-activate.
void note_adoption(const claim& adopted) noexcept;

/// Returns the passed socket that the descriptor refers to, or null.
passed_socket* find_adopted(int fd) noexcept;
/// Returns the passed socket that is bound to the file, or null.
///
/// @param flags Those of fstatat(2): with AT_SYMLINK_NOFOLLOW, a symbolic link to the file is another file.
passed_socket* find_by_path(int directory, const char* path, int flags) noexcept;

/// Returns whether a passed socket is kept under this number. The children of an adopter may close all of them.
bool is_kept(int fd) noexcept;
/// Returns the lowest number, not below `first`, under which a passed socket is kept, or -1.
int lowest_kept(int first) noexcept;
/// Keeps a socket under another number, so that the program can use this one. Returns 0, or a negated errno.
int vacate(int fd) noexcept;

}  // namespace sd::adopt
