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

// What the driver and the programs that it measures agree on, and the whole of these programs but the call itself.
namespace bench {

inline constexpr int first_descriptor = 3;

/// The name of a descriptor: 17 characters, which no std::string holds without allocating.
inline std::string name_of(int index) {
  char text[32];
  std::snprintf(text, sizeof text, "socket-name-%05d", index);
  return text;
}

// Two writes to no descriptor bracket the call where system calls are counted. They are plain to see in a trace, fail
// at once and touch nothing that the call might find warm.
inline constexpr std::string_view call_begins = "the call begins";
inline constexpr std::string_view call_ends = "the call ends";
/// The argument that asks for them.
inline constexpr std::string_view marked = "marked";

inline void mark(std::string_view text) { [[maybe_unused]] const auto failed = ::write(-1, text.data(), text.size()); }

/// Whether the call did its work: all names, in order, and all descriptors close-on-exec. Tells why not.
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

/// The main function of a program that receives COUNT descriptors: writes the nanoseconds that the first `call()` took
/// to stdout, if `names(result)` says that it did its work.
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
