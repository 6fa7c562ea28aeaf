// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sd::test {

/// Whether a sanitizer is built in. It makes its own system calls and needs its own libraries.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// A program to start as a service manager does.
struct activation {
  std::vector<std::string> command;

  int descriptors = 1;  ///< the number of sockets, from descriptor 3 on
  std::set<int> holes;  ///< the numbers among them that are closed
  /// Variables to set, or to unset if the value is `nullopt`. `{pid}` and `{pidfdid}` stand for those of the program.
  /// Without an entry here, LISTEN_PID and LISTEN_FDS have the right values, and other variables are inherited.
  std::map<std::string, std::optional<std::string>> environment;
};

struct outcome {
  int status = -1;                     ///< the exit status, or 128 + the signal
  std::string output;                  ///< the standard output
  std::string errors;                  ///< the standard error, without the lines of valgrind
  std::vector<std::uint64_t> sockets;  ///< the inode numbers of the sockets, including the closed ones
};

/// Starts the program with the descriptors and variables in place, and no other descriptor open past standard error.
/// Waits until it exits.
outcome run(const activation& program);

/// Waits for a child and returns its exit status, or 128 + the signal that killed it.
int wait_for(int pid);

/// Returns the words that start a test program, after those of the emulator if there is one.
std::vector<std::string> command(const std::string& program, const std::vector<std::string>& arguments);

/// Returns the words of the emulator that test programs run on, or an empty string. An emulator is slow and makes its
/// own system calls.
std::string emulator();

/// Returns whether test programs run on valgrind.
bool on_valgrind();

/// Forks without the C library, which does not notice it. Returns what fork(2) returns.
int raw_clone();

/// Returns the inode number of the process's pidfd. `nullopt` if the kernel has no such numbers.
std::optional<std::uint64_t> pidfd_inode(int pid);

}  // namespace sd::test
