// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace sd::test {

/// Returns whether the condition holds, at last after `patience`. It is checked once in each `interval`.
inline bool holds_within(std::chrono::milliseconds patience, std::chrono::milliseconds interval,
                         const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(interval);
  }
  return true;
}

}  // namespace sd::test
