// SPDX-License-Identifier: MIT OR Apache-2.0
#include "daemon.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>

namespace sd::test {

namespace {

// The directory at which CMakeLists.txt mounts the libraries. Services do not see the build directory.
const std::string libraries = "/usr/local/lib/";
const char* const fifo = "/run/sd-daemon.trace";

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void daemons::SetUp() {
  under_systemd::SetUp();
  ::unlink(fifo);
  check(::mkfifo(fifo, 0), fifo);
  check(::chmod(fifo, 0666), fifo);
  // Opened for writing, too, so that it always has a reader.
  fifo_.reset(::open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  check(fifo_.get(), fifo);
  // Allows to compare with the daemon without libsd-daemon.
  const char* const other = std::getenv("SD_DAEMONS_LIBRARY");
  use_library(other != nullptr ? other : "libsd-daemon.so.0");
}

void daemons::use_library(const std::string& library) {
  library_ = library;
  const auto ours = library == "libsd-daemon.so.0" ? ":" + libraries + library : "";
  systemctl("set-environment LD_PRELOAD=" + libraries + "libtrace.so" + ours);
}

int daemons::calls(const std::string& program, const std::string& function, int result) {
  std::array<char, 4096> buffer;
  for (ssize_t size = 0; (size = ::read(fifo_.get(), buffer.data(), buffer.size())) > 0;) {
    trace_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  const auto wanted = ' ' + program + ' ' + function + ' ' + std::to_string(result) + ' ' + library_;
  std::istringstream lines(trace_);
  int count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(wanted) != std::string::npos ? 1 : 0;
  return count;
}

bool daemons::called(const std::string& program, const std::string& function, int result) {
  return eventually([&] { return calls(program, function, result) > 0; });
}

void daemons::TearDown() {
  if (IsSkipped()) return;
  calls("", "", 0);
  // In every test, no other library may have handled a call.
  std::istringstream lines(trace_);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line.find(library_, line.rfind(' ')), line.rfind(' ') + 1) << line;
  }
  std::cout << "the trace:\n" << trace_;
  if (HasFailure()) std::cout << "the log of the daemon:\n" << std::ifstream("/run/daemons.log").rdbuf() << '\n';
  under_systemd::TearDown();
}

std::string client(const std::string& command) {
  const auto result = run("timeout 10 " + command + " 2>&1");
  EXPECT_EQ(result.status, 0) << command << '\n' << result.output;
  return result.output;
}

bool installed(std::initializer_list<const char*> programs) {
  for (const auto* const program : programs) {
    if (::access(program, X_OK) == 0) continue;
    std::cout << program << " is not installed\n";
    return false;
  }
  return true;
}

}  // namespace sd::test
