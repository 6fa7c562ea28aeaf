// SPDX-License-Identifier: MIT OR Apache-2.0
#include "exec_hook.hpp"

#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

// <unistd.h> is not included because C libraries declare these with different exception specifications.
extern "C" int execve(const char* path, char* const* arguments, char* const* environment);
extern "C" long syscall(long number, ...);

namespace {

const char* failing_path = nullptr;
int failing_with = 0;

}  // namespace

int execve(const char* path, char* const* arguments, char* const* environment) {
  if (failing_path == nullptr || std::strcmp(path, failing_path) != 0) {
    return static_cast<int>(::syscall(SYS_execve, path, arguments, environment));
  }
  errno = failing_with;
  return -1;
}

namespace sd::test {

failing_execve::failing_execve(const char* path, int error) noexcept {
  failing_path = path;
  failing_with = error;
}

failing_execve::~failing_execve() { failing_path = nullptr; }

}  // namespace sd::test
