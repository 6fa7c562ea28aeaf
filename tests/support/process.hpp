#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sd::test {

/// Whether a sanitizer is built in, which makes system calls and brings libraries of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// A program to start as a service manager would.
struct activation {
  std::vector<std::string> command;

  int descriptors = 1;  ///< how many sockets it finds, from number 3 on
  std::set<int> holes;  ///< but not at these numbers
  /// LISTEN_PID and LISTEN_FDS are set to what is right, other variables are inherited. What stands here goes before
  /// that; `nullopt` is not set, and `{pid}` and `{pidfdid}` stand for the program's own.
  std::map<std::string, std::optional<std::string>> environment;
};

struct outcome {
  int status = -1;                     ///< exit status, or 128 + signal
  std::string output;                  ///< what it wrote to standard output
  std::string errors;                  ///< and to standard error, less what valgrind, if it runs on that, says there
  std::vector<std::uint64_t> sockets;  ///< inode numbers of the sockets, holes included
};

/// Starts it, with descriptors and variables in place and nothing else open past standard error, and waits for it.
outcome run(const activation& program);

/// The words that start a test program: the emulator's first, where it needs one.
std::vector<std::string> command(const std::string& program, const std::vector<std::string>& arguments);

/// The words of the emulator that test programs run on, which is slow and makes system calls of its own. Empty: none.
std::string emulator();

/// The inode number of the process's pidfd; `nullopt` where the kernel's pidfds have none of their own.
std::optional<std::uint64_t> pidfd_inode(int pid);

}  // namespace sd::test
