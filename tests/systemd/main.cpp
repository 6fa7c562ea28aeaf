// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <string>

// The tests stop all units and write to /run, so they run only in namespaces of their own.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::string manager;
  std::getline(std::ifstream("/run/systemd/container"), manager);
  if (manager != "private-systemd" && manager != "without-systemd") {
    std::cerr << argv[0] << ": not started by scripts/private-systemd or without-systemd\n";
    return 2;
  }
  const int status = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::cerr << argv[0] << ": no such test\n";
    return 2;
  }
  return status;
}
