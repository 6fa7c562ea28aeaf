// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "check.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

namespace sd::test {

/// Returns a file in memory, to which several processes may write.
inline unique_fd memory_file() {
  unique_fd fd(check(::memfd_create("output", MFD_CLOEXEC), "memfd_create"));
  check(::fcntl(fd.get(), F_SETFL, O_APPEND), "O_APPEND");
  return fd;
}

/// Returns what the file contains, wherever its offset is.
inline std::string contents(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t size = 0; (size = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace sd::test
