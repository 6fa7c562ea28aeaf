// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "measure.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

// Servers to compare, which are other programs.
namespace bench {

using words = std::vector<std::string>;

inline sockaddr_in address_of(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Returns a connection to a port of this machine, or -1.
inline int connect_to(int port) {
  const auto where = address_of(port);
  const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0) return fd;
  ::close(fd);
  return -1;
}

/// Starts a program as the leader of a process group, without input and messages.
inline int start(const words& command) {
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  int pid = -1;
  const int error = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) throw std::system_error(error, std::generic_category(), command[0]);
  return pid;
}

/// Ends a server that leads a process group. Returns what the server and its children have used.
inline rusage end(int pid) {
  ::kill(-pid, SIGTERM);
  rusage used{};
  check(::wait4(pid, nullptr, 0, &used), "wait4");
  return used;
}

/// Calls a function until it returns true, for five seconds at most.
template <typename Function>
void wait_until(Function is_true, const std::string& what) {
  for (int i = 0; i < 5000; ++i) {
    if (is_true()) return;
    ::usleep(1000);
  }
  throw std::runtime_error("waited in vain: " + what);
}

inline void find_programs_of_root() {
  ::setenv("PATH", (std::getenv("PATH") + std::string(":/usr/sbin:/sbin")).c_str(), 1);
}

/// Returns whether a program is in the PATH.
inline bool is_installed(const std::string& program) {
  std::istringstream path(std::getenv("PATH"));
  for (std::string directory; std::getline(path, directory, ':');) {
    if (::access((directory + '/' + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

}  // namespace bench
