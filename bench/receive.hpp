// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "measure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

// Shared by the driver and the programs that it measures. The programs differ only in the call.
namespace bench {

inline constexpr int first_descriptor = 3;

/// Returns the name of a descriptor: 17 characters, for which every std::string allocates.
inline std::string name_of(int index) {
  char text[32];
  std::snprintf(text, sizeof text, "socket-name-%05d", index);
  return text;
}

// Two writes to an invalid descriptor mark the begin and the end of the call if its system calls are counted. They are
// easy to find in a trace, fail immediately, and do not warm any cache for the call.
inline constexpr std::string_view call_begins = "the call begins";
inline constexpr std::string_view call_ends = "the call ends";
/// The argument that requests the marks.
inline constexpr std::string_view marked = "marked";

inline void mark(std::string_view text) { [[maybe_unused]] const auto failed = ::write(-1, text.data(), text.size()); }

/// Checks the result of the call: all names, in order, and all descriptors close-on-exec. Prints what is wrong.
inline bool is_right(const std::vector<std::string_view>& names, std::size_t expected) {
  if (names.size() != expected) {
    std::fprintf(stderr, "received %zu descriptors instead of %zu\n", names.size(), expected);
    return false;
  }
  int index = 0;
  for (const auto name : names) {
    const int fd = first_descriptor + index;
    if (name != name_of(index)) {
      std::fprintf(stderr, "descriptor %d has the name \"%.*s\"\n", fd, static_cast<int>(name.size()), name.data());
      return false;
    }
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) == 0) {
      std::fprintf(stderr, "descriptor %d is closed or not close-on-exec\n", fd);
      return false;
    }
    ++index;
  }
  return true;
}

/// The main function of a program that receives COUNT descriptors. Prints the duration of the first `call()` in
/// nanoseconds if `names(result)` are the expected names.
template <class Call, class Names>
int receive(int argc, char** argv, Call call, Names names) {
  const bool with_marks = argc == 3 && argv[2] == marked;
  if (argc != 2 && !with_marks) {
    std::fprintf(stderr, "usage: %s COUNT [%s]\n", argv[0], marked.data());
    return 2;
  }
  if (with_marks) mark(call_begins);
  const auto begin = now_ns();
  const auto result = call();
  const auto end = now_ns();
  if (with_marks) mark(call_ends);

  if (!is_right(names(result), std::strtoul(argv[1], nullptr, 10))) return 1;
  std::printf("%lld\n", static_cast<long long>(end - begin));
  return 0;
}

}  // namespace bench
