// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "os/platform.hpp"

#include <string>

#if SD_HAS_DESCRIPTORS

#include <sys/socket.h>
#include <sys/un.h>

namespace sd::detail {

/// Holds the right to bind or unlink the path of a unix socket, among all processes that use this library.
///
/// The constructor locks the file PATH.sd-lock and waits while another process holds it. The file exists only while a
/// process holds the lock or waits for it.
///
/// The lock is an flock(2) on a file of its own, rather than on the directory of the path: programs hold locks on
/// directories for as long as they run, to keep systemd-tmpfiles(8) out of them. A record lock of fcntl(2) would not
/// do, as it does not keep the threads of one process apart.
///
/// A child that another thread forks meanwhile has a copy of the descriptor until it exits or calls exec. It does not
/// keep the lock after the destructor has run. It does if this process is killed before that.
class path_lock {
 public:
  explicit path_lock(const std::string& path) noexcept;
  path_lock(const path_lock&) = delete;
  path_lock& operator=(const path_lock&) = delete;
  ~path_lock();

  /// Returns the negated errno if the lock could not be acquired.
  [[nodiscard]] int status() const noexcept { return status_; }
  /// Returns the path of the lock file.
  [[nodiscard]] const char* name() const noexcept { return name_; }

 private:
  int acquire(const std::string& path) noexcept;
  int open() noexcept;
  void share() noexcept;

  // Not .lock, which other programs use for purposes of their own.
  static constexpr char suffix[] = ".sd-lock";

  char name_[sizeof(sockaddr_un::sun_path) + sizeof suffix];
  unique_fd file_;
  int status_;
};

}  // namespace sd::detail

#endif
