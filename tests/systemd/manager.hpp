#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace sd::test {

struct outcome {
  int status = -1;  ///< exit status
  std::string output;
};

/// Runs a shell command.
outcome run(const std::string& command);

/// Runs systemctl. It is to succeed.
void systemctl(const std::string& arguments);

/// active, inactive, failed, ...
std::string state(const std::string& unit);

/// What `systemctl show` tells of a unit.
std::string property(const std::string& unit, const std::string& name);

/// The process of a service; 0 where none runs.
int main_pid(const std::string& service);

/// The pids of the processes with this name.
std::vector<int> processes(const std::string& name);

/// Returns how many lines of the file contain the text.
int count_lines(const std::string& path, const std::string& text);

/// Whether the condition comes true within ten seconds.
bool eventually(const std::function<bool()>& condition);

/// A case beside systemd, which starts with no service running and no socket open.
class beside_systemd : public testing::Test {
 protected:
  void SetUp() override { systemctl("stop '*.socket' '*.service'"); }
  void TearDown() override;
};

}  // namespace sd::test
