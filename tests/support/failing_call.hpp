// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "check.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <optional>
#include <string>

namespace sd::test {

/// A system call that fails with this errno if one of its arguments has this value.
struct failing_call {
  long number;
  unsigned argument;
  std::uint32_t value;
  int error;
};

/// Makes the kernel fail these calls of this process.
/// @returns 0, or -1 and errno, for example if an emulator does not support such filters.
inline int install(const failing_call& call) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  constexpr unsigned low_half = 4;
#else
  constexpr unsigned low_half = 0;
#endif
  const auto argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args)) + 8 * call.argument + low_half;
  const auto error = static_cast<std::uint32_t>(call.error);
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call.number), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

/// Runs a function in a child process, after another function that prepares it.
/// @returns The result of the function or the text of its exception, or nothing if `prepare` returns a negative number.
inline std::optional<std::string> run_after(const std::function<int()>& prepare,
                                            const std::function<std::string()>& function) {
  int ends[2];
  check(::pipe(ends), "pipe");
  unique_fd read_end(ends[0]);
  unique_fd write_end(ends[1]);
  const pid_t child = check(::fork(), "fork");
  if (child == 0) {
    if (prepare() < 0) ::_exit(1);
    std::string text;
    try {
      text = function();
    } catch (const std::exception& error) {
      text = std::string("exception: ") + error.what();
    }
    const auto written = ::write(write_end.get(), text.data(), text.size());
    ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 2);
  }
  write_end.reset();
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t size = 0; (size = ::read(read_end.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  int status = 0;
  check(::waitpid(child, &status, 0), "waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1) return std::nullopt;
  return status == 0 ? text : "the child ended with status " + std::to_string(status);
}

/// Runs a function in a child process in which the system call fails.
/// @returns The result of the function or the text of its exception, or nothing if the kernel rejects the filter.
inline std::optional<std::string> run_with(const failing_call& call, const std::function<std::string()>& function) {
  return run_after([&] { return install(call); }, function);
}

}  // namespace sd::test
