#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sd::test {

/// What the library sees of a process, made up: linked in the place of src/detail/os/*.cpp to inject failures that a
/// real kernel is hard to bring to.
struct fake_os {
  enum class pidfds { none, without_inode, with_inode };

  std::map<std::string, std::string> environment;
  std::map<int, bool> descriptors;  ///< those that are open, and whether they are close-on-exec
  int pid = 42;
  std::uint64_t inode = 4242;
  int descriptor_limit = 1024;
  bool has_close_range = true;
  pidfds pidfd = pidfds::with_inode;

  int fail_call = -1;                                        ///< the call, counted from 0, that fails
  int fail_with = 0;                                         ///< with this errno
  std::function<void(const std::string& call)> before_call;  ///< what another thread does, or sees, meanwhile
  std::vector<std::string> calls;
};

/// The one that the library runs on. Assign a new one before each test.
extern fake_os os;

}  // namespace sd::test
