// SPDX-License-Identifier: MIT OR Apache-2.0
#include "manager.hpp"

#include "waiting.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace sd::test {

namespace {

std::string first_line(const shell_outcome& result) { return result.output.substr(0, result.output.find('\n')); }

}  // namespace

void systemctl(const std::string& arguments) {
  const auto result = run("systemctl " + arguments + " 2>&1");
  EXPECT_EQ(result.status, 0) << "systemctl " << arguments << '\n' << result.output;
}

std::string state(const std::string& unit) { return first_line(run("systemctl is-active " + unit)); }

std::string property(const std::string& unit, const std::string& name) {
  return first_line(run("systemctl show --property=" + name + " --value " + unit));
}

int main_pid(const std::string& service) { return std::stoi(property(service, "MainPID")); }

std::vector<int> processes(const std::string& name) {
  std::vector<int> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string found;
    if (std::getline(std::ifstream(entry.path() / "comm"), found) && found == name) {
      pids.push_back(std::stoi(entry.path().filename()));
    }
  }
  return pids;
}

int count_lines(const std::string& path, const std::string& text) {
  int count = 0;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.find(text) != std::string::npos) ++count;
  }
  return count;
}

bool eventually(const std::function<bool()>& condition) {
  return holds_within(std::chrono::seconds(10), std::chrono::milliseconds(10), condition);
}

bool eventually_is(const std::string& unit, const std::string& name, const std::string& value) {
  return eventually([&] { return property(unit, name) == value; });
}

void under_systemd::TearDown() {
  if (HasFailure()) std::cout << "the log of systemd:\n" << std::ifstream("/run/manager.log").rdbuf() << std::endl;
}

}  // namespace sd::test
