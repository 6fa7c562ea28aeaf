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

// What the fuzzers have in common. An input is text, so that a person can write one and read what a fuzzer has found.
namespace sd::fuzz {

/// Prints the place and ends the program if the condition is false.
void require(bool condition, const char* file = __builtin_FILE(), int line = __builtin_LINE());

/// Ends the program with exit status 77 and a reason: this fuzzer cannot run here.
[[noreturn]] void skip(const std::string& reason);

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Returns the parts of the text between the separators, of which there is one more than separators.
std::vector<std::string_view> split(std::string_view text, std::string_view separator);

/// The lines `NAME=VALUE` of an input. Other lines are ignored, and so is what follows a NUL byte in a value.
class settings {
 public:
  /// @param replacements What stands in a value for `$NAME`, without the dollar sign.
  settings(std::string_view text, const std::map<std::string, std::string>& replacements);

  [[nodiscard]] std::optional<std::string> find(const std::string& name) const;
  /// Returns a number, reduced to the range from 0 to `most`. 0 if there is none.
  [[nodiscard]] int number(const std::string& name, int most) const;

 private:
  std::map<std::string, std::string> values_;
};

/// Sets the variable, or removes it.
void set_environment(const char* name, const std::optional<std::string>& value);

}  // namespace sd::fuzz
