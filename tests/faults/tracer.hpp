// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "calls.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Runs a process under ptrace(2), lists its system calls, and makes one of them fail.
namespace sd::test {

/// Returns the reason why this process cannot trace others. Empty if it can.
std::string reason_not_to_trace();

/// The failure of one system call.
struct fault {
  int process;
  int index;
  int error;
  std::string text = {};  ///< Unless empty, only calls with this text are counted.
};

/// The phases of a traced process.
enum phase : int {
  function = 1,   ///< the function under test begins
  cleanup = 2,    ///< it has returned, and its results are about to be destroyed
  finished = 3,   ///< the results are destroyed; the process is no longer traced
  forbidden = 4,  ///< a child allocates memory or locks a mutex
};

/// Tells the tracer that a phase begins. The first call, with `function`, waits for the tracer.
void announce(phase phase);

/// The observations of a tracer.
struct trace {
  std::vector<system_call> calls;
  std::vector<std::string> violations;  ///< actions that are always wrong, such as closing a descriptor twice
  std::optional<system_call> injected;  ///< the call that failed
  int status = 0;                       ///< as waitpid(2) returns it
};

/// Runs a function in a child process, and traces it and its children until they execute a program. Records the
/// calls between the phases `function` and `finished`.
trace run_traced(const std::function<void()>& body, const std::optional<fault>& fault, const std::string& directory);

/// Runs a function that calls `execute_traced()` in a child process. Traces the program, which has threads and runs
/// until it ends or `patience` is over, and its children until they execute a program.
trace run_traced_program(const std::function<void()>& body, const std::optional<fault>& fault,
                         const std::string& directory, unsigned patience);

/// Executes a program that is traced from the beginning of its main() on.
[[noreturn]] void execute_traced(const std::vector<std::string>& command);

}  // namespace sd::test
