// SPDX-License-Identifier: MIT OR Apache-2.0
#include "libraries.hpp"

#include <stdexcept>

namespace sd::test {

library our_library::ours{};
library both_libraries::theirs{};

void our_library::SetUpTestSuite() {
  ours = load(SD_DAEMON);
  if (ours.listen_fds == nullptr) throw std::runtime_error("cannot load " SD_DAEMON);
}

void both_libraries::SetUpTestSuite() {
  our_library::SetUpTestSuite();
  theirs = load("libsystemd.so.0");
}

void both_libraries::SetUp() {
  if (theirs.listen_fds == nullptr) GTEST_SKIP() << "SKIPPED: there is no libsystemd.so.0 to compare with";
}

}  // namespace sd::test
