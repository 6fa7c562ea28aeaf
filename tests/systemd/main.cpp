// SPDX-License-Identifier: MIT OR Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <string>

// The tests stop all units, so they run only under a private systemd.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::string manager;
  std::getline(std::ifstream("/run/systemd/container"), manager);
  if (manager != "private-systemd") {
    std::cerr << "systemd_test: not started by scripts/private-systemd\n";
    return 2;
  }
  const int status = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::cerr << "systemd_test: no such test\n";
    return 2;
  }
  return status;
}
