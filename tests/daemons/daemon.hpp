#pragma once

#include <sd/unique_fd.hpp>

#include "manager.hpp"

#include <initializer_list>
#include <string>

namespace sd::test {

/// A case with one of Debian's daemons, whose calls of sd-daemon.h are traced and answered by libsd-daemon.
class daemons : public beside_systemd {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Has the calls of services that are started from now on go to the library whose name starts so: libsd-daemon.so.0,
  /// or libsystemd with nothing but the trace before it.
  void answered_by(const std::string& library);

  /// Whether the program comes to call the function and get this answer from the library.
  bool called(const std::string& program, const std::string& function, int answer);

  /// How often that has happened so far.
  int calls(const std::string& program, const std::string& function, int answer);

 private:
  unique_fd fifo_;
  std::string library_;
  std::string trace_;
};

/// The output of a client, which is to succeed within ten seconds.
std::string client(const std::string& command);

/// Whether all these programs are there. Says which is not.
bool installed(std::initializer_list<const char*> programs);

}  // namespace sd::test
