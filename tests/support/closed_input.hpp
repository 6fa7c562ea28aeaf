// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "check.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace sd::test {

/// Closes standard input, so that the next descriptor that is opened is 0, and restores it on destruction.
class closed_input {
 public:
  closed_input() : saved_(check(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "F_DUPFD_CLOEXEC")) {
    ::close(STDIN_FILENO);
  }
  closed_input(const closed_input&) = delete;
  closed_input& operator=(const closed_input&) = delete;
  ~closed_input() { ::dup2(saved_.get(), STDIN_FILENO); }

 private:
  unique_fd saved_;
};

}  // namespace sd::test
