// SPDX-License-Identifier: MIT OR Apache-2.0
// Failures of the system calls and allocations of the functions of <sd/...>.
#include "library.hpp"

#include <sd/testing.hpp>

#include "enumeration.hpp"
#include "setting.hpp"

#include <string>
#include <vector>

namespace sd::test {

std::vector<listen_fd> passed(const run& each) {
  std::vector<listen_fd> fds;
  fds.push_back(testing::open(kind::stream, "127.0.0.1:0", "web"));
  fds.push_back(testing::open(kind::datagram, each / "log", "log"));
  fds.push_back(testing::open(kind::fifo, each / "fifo", "fifo"));
  return fds;
}

exceptions reading(const std::string& results) {
  return {{"getsockopt *", "", "usual|" + results},
          {"getsockname", "", "usual|" + results},
          {"getpeername", "", "usual|" + results},
          {"fcntl F_GETFL", "", "usual|" + results},
          {"fstat", "", "usual|same|" + results}};
}
exceptions reading_files(const std::string& results) {
  return {{"fstatfs", "", "usual|" + results},
          {"readlink /proc/self/fd", "", "usual|" + results},
          {"fcntl F_GETFL", "", "usual"},
          {"fstat", "", "usual|same|" + results}};
}

}  // namespace sd::test

int main(int argc, char** argv) {
  using namespace sd::test;
  if (argc == 3 && argv[1] == std::string("target")) return check_target(std::stoi(argv[2]));
  auto all = receiving();
  for (const auto& more : {binding(), reporting(), starting()}) all.insert(all.end(), more.begin(), more.end());
  return enumerate(all, argc, argv);
}
