// SPDX-License-Identifier: MIT OR Apache-2.0
// The program that notify_calls_test starts. It makes one call, between two marks in the trace of strace, and prints
// its result.
//
//   notifier notify|attach|attach_as_self|status|barrier|booted [NUMBER]
//
// NUMBER is the number of descriptors to attach, or the timeout of the barrier in microseconds.

#include <sd/booted.hpp>
#include <sd/notify.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

namespace {

std::vector<int> open_descriptors() {
  std::vector<int> all;
  for (int fd = 0; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) all.push_back(fd);
  }
  return all;
}

sd::notify_result notify(const std::string& what, long long number, std::error_code& ec) {
  if (what == "barrier") return sd::notify_barrier(std::chrono::microseconds(number), ec);
  if (what == "notify") return sd::notify({sd::state::ready()}, ec);
  if (what == "status") return sd::notify({sd::state::ready(), sd::state::status("up"), sd::state::main_pid(1)}, ec);
  const std::vector<int> fds(static_cast<std::size_t>(number), STDOUT_FILENO);
  sd::notify_options options;
  options.fds = fds;
  if (what == "attach_as_self") options.pid = ::getpid();
  return sd::notify({sd::state::fdstore()}, options, ec);
}

/// Returns whether the message was sent, or the system was booted with systemd.
bool call(const std::string& what, long long number, std::error_code& ec) {
  return what == "booted" ? sd::booted() : notify(what, number, ec) == sd::notify_result::sent;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const long long number = argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 0;
  const auto before = open_descriptors();
  std::error_code ec;
  [[maybe_unused]] auto marked = ::write(-1, "begin", 5);
  const bool result = call(what, number, ec);
  marked = ::write(-1, "end", 3);
  std::printf("%s %d %s\n", result ? "true" : "false", ec.value(),
              open_descriptors() == before ? "as before" : "leaks");
  return 0;
}
