// A program that uses both: the C++ library and sd-daemon. It calls them in the order of its argument, c for the C
// function, p for sd::listen_fds(), and prints what each answered: a number of descriptors, or minus the error's value.

#include <sd/listen_fds.hpp>

#include <systemd/sd-daemon.h>

#include <iostream>
#include <system_error>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<sd::listen_fd> fds;
  const auto take = [&] {
    std::error_code ec;
    auto answer = sd::listen_fds(ec);
    if (ec) return -ec.value();
    const auto count = static_cast<int>(answer.size());
    if (count > 0) fds = std::move(answer);
    return count;
  };
  for (const char* call = argv[1]; *call != '\0'; ++call) {
    std::cout << (*call == 'c' ? sd_listen_fds(0) : take()) << '\n';
  }
}
