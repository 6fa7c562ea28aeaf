// The program that notify_calls_test starts: it makes one call, between two marks for strace, and reports in lines what
// came of it.
//
//   notifier notify|attach|status|barrier|booted [NUMBER]
//
// NUMBER is how many descriptors are attached, and how many microseconds the barrier may take.

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

/// Whether it was sent.
bool call(const std::string& what, long long number, std::error_code& ec) {
  if (what == "barrier") return sd::notify_barrier(std::chrono::microseconds(number), ec);
  if (what == "booted") return sd::booted();
  if (what == "notify") return sd::notify({sd::state::ready()}, ec);
  if (what == "status") return sd::notify({sd::state::ready(), sd::state::status("up"), sd::state::main_pid(1)}, ec);
  const std::vector<int> fds(static_cast<std::size_t>(number), STDOUT_FILENO);
  sd::notify_options options;
  options.fds = fds.data();
  options.fd_count = fds.size();
  return sd::notify({sd::state::fdstore()}, options, ec);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const long long number = argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 0;
  const auto before = open_descriptors();
  std::error_code ec;
  [[maybe_unused]] auto marked = ::write(-1, "begin", 5);
  const bool answer = call(what, number, ec);
  marked = ::write(-1, "end", 3);
  std::printf("%s %d %s\n", answer ? "true" : "false", ec.value(),
              open_descriptors() == before ? "as before" : "leaks");
  return 0;
}
