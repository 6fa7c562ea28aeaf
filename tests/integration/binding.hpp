// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/address.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "check.hpp"
#include "directory.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Shared by the tests of sd::take_or_bind(): places to bind, and programs that bind them.
namespace sd::test {

using words = std::vector<std::string>;

/// Returns whether programs start and run slowly.
bool is_slow();

// --- places ----------------------------------------------------------------------------------------------------------

/// A temporary directory in which every user may bind.
class scratch : public directory {
 public:
  explicit scratch(const std::string& parent = ::testing::TempDir()) : directory(parent) {
    check(::chmod(path().c_str(), 0777), "chmod " + path());
  }
};

/// Returns a loopback address of IPv4 that no other test on this machine binds.
const std::string& loopback();

bool exists(const std::string& path);
struct stat status_of(const std::string& path);
unsigned mode_of(const std::string& path);
std::uint64_t inode(int fd);
/// Returns the number that the next descriptor will have.
int next_free();
int option(int fd, int level, int name);
template <class Socket>
int option(const Socket& socket, int level, int name) {
  return option(socket.get(), level, name);
}
bool is_nonblocking(int fd);
template <class Socket>
bool is_nonblocking(const Socket& socket) {
  return is_nonblocking(socket.get());
}

/// Returns whether this process may change the owners of files.
bool may_change_owners();

/// Opens a server without the library: binds a socket to the path and, unless it is a datagram socket, listens.
unique_fd foreign_server(const std::string& path, int type = SOCK_STREAM);

/// Likewise, with a path that no other user may connect to.
unique_fd private_server(const std::string& path);

/// Leaves the path of a socket that is closed.
void leave_dead_socket(const std::string& path);

/// Returns whether a connection or message is waiting to be received.
bool has_client(int server);
template <class Socket>
bool has_client(const Socket& socket) {
  return has_client(socket.get());
}

bool refuses(const std::string& where, int type = SOCK_STREAM);

/// Returns the text of what take_or_bind() throws. Empty if it succeeds.
std::string failure_of(std::vector<listen_fd>& fds, const std::string& where, const bind_options& options = {});
std::string failure_of(const std::string& where, const bind_options& options = {});

bind_options of_kind(kind wanted);
server_socket bind_one(const std::string& where, const bind_options& options = {});
std::vector<listen_fd> list_of(listen_fd entry);

// --- programs --------------------------------------------------------------------------------------------------------

using report = std::map<std::string, std::string>;

/// A running binder.
class program {
 public:
  explicit program(const std::string& where, const words& options = {}, const std::vector<listen_fd>& passed = {},
                   const words& tracer = {});

  /// Returns what it reports until it waits for the gate, serves or exits, by the first word of each line.
  report read_report();
  int stop(int signal = SIGTERM) { return process_->stop(signal); }
  int wait() { return process_->wait(); }

 private:
  /// The pipe must be opened before the process is started.
  class started {
   public:
    started(unique_fd pipe, const words& command, const std::vector<listen_fd>& passed)
        : pipe_(std::move(pipe)), process_(command, passed) {}
    sd::testing::process* operator->() { return &process_; }
    [[nodiscard]] int pipe() const { return pipe_.get(); }

   private:
    unique_fd pipe_;
    sd::testing::process process_;
  };

  unique_fd open_report();
  [[nodiscard]] words command(const std::string& where, words options, words tracer) const;
  std::optional<std::string> next_line();

  scratch directory_;
  started process_;
  std::string received_;
};

/// Runs a binder until it serves or fails, stops it, and returns what it reported.
report start_and_stop(const std::string& where, const words& options);

/// Programs that have started and wait to bind all at once.
class crowd {
 public:
  crowd(std::size_t size, const std::string& where, words options = {});

  void release();

  /// Waits until each program serves or has exited. Returns those that serve, and expects that the others were refused.
  std::vector<program*> servers();

  [[nodiscard]] const std::vector<std::unique_ptr<program>>& programs() const { return programs_; }

 private:
  scratch directory_;
  std::vector<std::unique_ptr<program>> programs_;
  unique_fd gate_;
};

}  // namespace sd::test
