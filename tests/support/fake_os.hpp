// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sd::test {

/// A fake process, linked in place of src/detail/os/*.cpp. It injects failures that are hard to cause in a real kernel.
struct fake_os {
  enum class pidfds { none, without_inode, with_inode };

  std::map<std::string, std::string> environment;
  std::map<int, bool> descriptors;  ///< the open ones, and whether they are close-on-exec
  int pid = 42;
  std::uint64_t inode = 4242;
  int descriptor_limit = 1024;
  bool has_close_range = true;
  pidfds pidfd = pidfds::with_inode;

  int fail_call = -1;                                        ///< the index of the call that fails
  int fail_with = 0;                                         ///< the errno of that call
  std::function<void(const std::string& call)> before_call;  ///< called before each call
  std::function<void()> before_process_id;                   ///< called before the next process_id()
  std::vector<std::string> calls;
};

/// The process that the library runs in. Assign a new one before each test.
extern fake_os os;

}  // namespace sd::test
