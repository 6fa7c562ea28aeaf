// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The functions of a fuzzer that libFuzzer calls, or replay.cpp. The first one is optional. NOLINTBEGIN: their names
extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// NOLINTEND

// The inputs of the fuzzers. They are text, so people can write them, and read those that a fuzzer finds.
namespace sd::fuzz {

/// Prints the place and ends the program if the condition is false.
void require(bool condition, const char* file = __builtin_FILE(), int line = __builtin_LINE());

/// Ends the program with exit status 77 and a reason: this fuzzer cannot run here.
[[noreturn]] void skip(const std::string& reason);

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Splits the text at each separator.
std::vector<std::string_view> split(std::string_view text, std::string_view separator);

/// The lines `NAME=VALUE` of an input. Other lines are ignored, and so is what follows a NUL byte in a value.
class settings {
 public:
  /// @param replacements The text that replaces `$NAME` in values, by the name.
  settings(std::string_view text, const std::map<std::string, std::string>& replacements);

  [[nodiscard]] std::optional<std::string> find(const std::string& name) const;
  /// Returns a number from 0 to `most`. 0 if the setting is missing.
  [[nodiscard]] int number(const std::string& name, int most) const;

 private:
  std::map<std::string, std::string> values_;
};

/// Sets the variable, or removes it.
void set_environment(const char* name, const std::optional<std::string>& value);

}  // namespace sd::fuzz
