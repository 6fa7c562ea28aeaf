// SPDX-License-Identifier: MIT OR Apache-2.0
// replay DIRECTORY: calls a fuzzer with each file of a corpus, in a build without libFuzzer.
#include "input.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

// Not every fuzzer has one.
extern "C" [[gnu::weak]] int LLVMFuzzerInitialize(int* count, char*** arguments);  // NOLINT: its name

int main(int count, char** arguments) {
  // Before the first call, because some fuzzers close descriptors. Each is on the heap and of the exact size, so that
  // sanitizers notice a read beyond its end.
  std::map<std::filesystem::path, std::vector<std::uint8_t>> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs[entry.path()] = {std::istreambuf_iterator<char>(file), {}};
  }
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&count, &arguments);
  for (const auto& [path, input] : inputs) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return inputs.empty() ? 1 : 0;
}
