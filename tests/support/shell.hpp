// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

namespace sd::test {

struct shell_outcome {
  int status = -1;     ///< exit status, or 128 + the signal
  std::string output;  ///< what the command has written to its standard output
};

/// Runs a shell command.
inline shell_outcome run(const std::string& command) {
  FILE* const child = ::popen(command.c_str(), "re");
  if (child == nullptr) throw std::system_error(errno, std::generic_category(), "popen");
  shell_outcome result;
  for (int c = 0; (c = std::fgetc(child)) != EOF;) result.output += static_cast<char>(c);
  const int status = ::pclose(child);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace sd::test
