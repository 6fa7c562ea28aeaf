// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "manager.hpp"

#include <initializer_list>
#include <string>

namespace sd::test {

/// A test with one of Debian's daemons. Its calls of sd-daemon.h are traced and handled by libsd-daemon.
class daemons : public under_systemd {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Makes the library whose name starts like this handle the calls of services that are started from now on:
  /// libsd-daemon.so.0, or libsystemd behind the trace alone.
  void use_library(const std::string& library);

  /// Waits until the library returns this result to a call of the function by the program. Returns false if it does
  /// not.
  bool called(const std::string& program, const std::string& function, int result);

  /// Returns how often the library has returned this result so far.
  int calls(const std::string& program, const std::string& function, int result);

 private:
  unique_fd fifo_;
  std::string library_;
  std::string trace_;
};

/// Returns the output of a client, and expects that it succeeds within ten seconds.
std::string client(const std::string& command);

/// Returns whether all these programs are installed. Prints the name of one that is not.
bool installed(std::initializer_list<const char*> programs);

}  // namespace sd::test
