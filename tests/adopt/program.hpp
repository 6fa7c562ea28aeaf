// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>

#include "directory.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

// Runs the program of steps.cpp, which binds sockets, with libsd-adopt and without it.
namespace sd::adopt::test {

using words = std::vector<std::string>;
using environment = std::map<std::string, std::string>;

std::string contents_of(const std::string& path);

/// A program that takes steps, which steps.cpp lists.
class program {
 public:
  program(const words& steps, const std::vector<listen_fd>& fds, const environment& more = {});
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  /// Kills it if it runs.
  ~program();

  /// Waits for its end. Returns the results of the steps but for the first ones.
  words results(std::size_t skipped = 0);
  /// Returns what was written to standard error, without the lines of valgrind.
  [[nodiscard]] std::string errors() const;
  [[nodiscard]] std::string output() const;

 private:
  [[nodiscard]] int create(const std::string& name) const;

  sd::test::directory directory_;
  int pid_ = 0;
};

/// Variables of programs that load libsd-adopt.
extern const environment with_library;
extern const environment verbose;

template <class... Fds>
std::vector<listen_fd> list(Fds... fds) {
  std::vector<listen_fd> all;
  (all.push_back(std::move(fds)), ...);
  return all;
}

/// Opens a socket with options, which sd::testing::open() does not set. It does not listen.
listen_fd bound(const std::string& where, int type, const std::vector<std::pair<int, int>>& options = {});

std::string address_of(const listen_fd& passed);
std::string port_of(const listen_fd& passed);

/// A socket that receives the reports of adoptions, as that of sd-activate does.
class reports {
 public:
  explicit reports(const std::string& where) : where_(where), socket_(sd::testing::open(kind::datagram, where)) {}
  reports();

  /// Returns the variables of a program that sends reports.
  [[nodiscard]] environment enabled() const;
  [[nodiscard]] words all() const;
  /// Sends messages until the queue is full.
  void fill() const;

 private:
  std::string where_;
  listen_fd socket_;
};

/// Runs the steps without the library and without a passed socket, and then with both. Returns what they print, which
/// must be the same. PORT in the steps stands for the port of the passed socket.
words same_results(kind type, const std::string& where, const words& steps);

}  // namespace sd::adopt::test
