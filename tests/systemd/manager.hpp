// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "shell.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace sd::test {

/// Runs systemctl, and expects that it succeeds.
void systemctl(const std::string& arguments);

/// Returns the state of a unit: active, inactive, failed, ...
std::string state(const std::string& unit);

/// Returns a property of a unit, as `systemctl show` prints it.
std::string property(const std::string& unit, const std::string& name);

/// Returns the main process of a service, or 0 if it is not running.
int main_pid(const std::string& service);

/// Returns the pids of the processes with this name.
std::vector<int> processes(const std::string& name);

/// Returns how many lines of the file contain the text.
int count_lines(const std::string& path, const std::string& text);

/// Waits until the condition is true. Returns false if it is not after ten seconds.
bool eventually(const std::function<bool()>& condition);

/// Waits until the property of the unit has the value. Returns false if it has not after ten seconds.
bool eventually_is(const std::string& unit, const std::string& name, const std::string& value);

/// A test under systemd. All services and sockets are stopped before it starts.
class under_systemd : public testing::Test {
 protected:
  void SetUp() override { systemctl("stop '*.socket' '*.service'"); }
  void TearDown() override;
};

}  // namespace sd::test
