// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "library.hpp"

#include <gtest/gtest.h>

namespace sd::test {

/// A test of our library alone.
class our_library : public testing::Test {
 protected:
  static void SetUpTestSuite();

  static library ours;
};

/// A test that calls both libraries in one process. Skipped if there is no libsystemd.
class both_libraries : public our_library {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;

  static library theirs;
};

}  // namespace sd::test
