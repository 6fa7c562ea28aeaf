// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "manager.hpp"

#include <initializer_list>
#include <string>

namespace sd::test {

/// A test with one of Debian's daemons, under one of two managers. Under systemd, the daemon's calls of sd-daemon.h are
/// traced and handled by libsd-daemon. Under sd-activate, where no systemd runs, libsystemd handles them.
class daemons : public under_systemd {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] bool under_sd_activate() const noexcept { return under_sd_activate_; }

  /// Starts units, separated by spaces. Under sd-activate they are sockets of one service, or that service.
  void start(const std::string& units);

  /// Sends a signal to sd-activate.
  void signal(int number) const;

  /// Waits until the service is ready. Returns false if it does not become ready, or has ended.
  [[nodiscard]] bool active(const std::string& service) const;

  /// Returns the last status that the service has sent.
  [[nodiscard]] std::string status_text(const std::string& service) const;

  /// Makes the library whose name starts like this handle the calls of services that are started from now on:
  /// libsd-daemon.so.0, or libsystemd behind the trace alone.
  void use_library(const std::string& library);

  /// Waits until the library returns this result to a call of the function by the program. Returns false if it does
  /// not. Under sd-activate, where calls are not traced, it returns whether the service uses libsystemd and no other
  /// library.
  bool called(const std::string& program, const std::string& function, int result);

  /// Returns how often the library has returned this result so far.
  int calls(const std::string& program, const std::string& function, int result);

 private:
  void stop_sd_activate();

  bool under_sd_activate_ = false;
  int pid_ = 0;  ///< of sd-activate
  unique_fd fifo_;
  std::string library_;
  std::string trace_;
};

/// The output of the daemons and of sd-activate.
inline constexpr const char* log_path = "/run/daemons.log";

/// Returns the output of a client, and expects that it succeeds within ten seconds.
std::string client(const std::string& command);

/// Returns whether all these programs are installed. Prints the name of one that is not.
bool installed(std::initializer_list<const char*> programs);

}  // namespace sd::test
