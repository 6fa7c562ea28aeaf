// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "directory.hpp"
#include "running.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>

// A service with unit files.
namespace sd::activate::test {

/// A directory with the units web.socket and web.service.
class web : public ::testing::Test {
 protected:
  /// Writes the units. Returns the path of the socket unit.
  ///
  /// @param settings Lines of [Service]. A line "[Unit]" may follow them, with its settings.
  [[nodiscard]] std::string write(const std::string& settings, const words& options = {}) const {
    std::ofstream(there_ / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
    std::ofstream file(there_ / "web.service");
    file << "[Service]\nExecStart=";
    for (const auto& each : service(options)) file << each << ' ';
    file << '\n' << settings;
    return there_ / "web.socket";
  }

  /// Writes the units of a service that fails while a file is there. A shell looks for it, because the service itself
  /// starts slowly if it has a sanitizer.
  [[nodiscard]] std::string write_failing(const std::string& path, const std::string& settings = "") const {
    auto unit = write("");
    std::ofstream(there_ / "web.service")
        << "[Service]\nExecStart=/bin/sh -c '[ ! -e " << path << " ] || exit 3; exec " << service()[0] << "'\n"
        << settings;
    return unit;
  }

  sd::test::directory there_;
};

inline void create(const std::string& path) { std::ofstream(path).flush(); }

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t result = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++result;
  return result;
}

inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Returns the pid that a file contains, once it does.
inline int pid_in(const std::string& path) {
  int pid = 0;
  EXPECT_TRUE(eventually([&] { return static_cast<bool>(std::ifstream(path) >> pid); })) << path;
  return pid;
}

}  // namespace sd::activate::test
