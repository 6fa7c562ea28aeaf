// SPDX-License-Identifier: MIT OR Apache-2.0
// Part of a program that is traced from the beginning of its main() on, or in which an allocation fails.
#include "allocation.hpp"

#include <execinfo.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

extern "C" const char __executable_start;  // NOLINT(bugprone-reserved-identifier): the linker defines it,
extern "C" const char etext;               // and this, the end of the code

namespace {

/// A number for the functions of the program that are being called, the same in each run.
std::uint64_t place() {
  constexpr int deepest = 64;
  std::array<void*, deepest> frames{};
  const int count = ::backtrace(frames.data(), deepest);
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (int i = 0; i < count; ++i) {
    const auto* const address = static_cast<const char*>(frames[static_cast<std::size_t>(i)]);
    if (address < &__executable_start || address >= &etext) continue;
    hash = (hash ^ static_cast<std::uint64_t>(address - &__executable_start)) * 1099511628211U;
  }
  return hash;
}

std::vector<std::pair<int, std::uint64_t>> places;  ///< of allocations, with the number of the first one of each
std::set<std::uint64_t> known_places;
bool is_noting = false;

void note_place() {
  if (is_noting) return;
  is_noting = true;
  const int left = sd::test::allocations_left.exchange(-1);
  const auto here = place();
  if (left >= 0 && known_places.insert(here).second) places.emplace_back(INT_MAX - left, here);
  sd::test::allocations_left = left;
  is_noting = false;
}

/// The file that the variable SD_TEST_ALLOCATIONS names. It holds the number of allocations that succeed before one
/// fails. In the end, it holds how many of these were not made and, if the number was the largest possible one, the
/// allocations from different places: the number of each, and that of the place.
std::string take_name_of_file() {
  const char* const value = std::getenv("SD_TEST_ALLOCATIONS");
  const std::string name = value == nullptr ? "" : value;
  ::unsetenv("SD_TEST_ALLOCATIONS");
  return name;
}

}  // namespace

// The linker calls __wrap_main() in place of main(). NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {

int __real_main(int argc, char** argv);
int __wrap_main(int argc, char** argv);

int __wrap_main(int argc, char** argv) {
  constexpr long marker = 100000;  // as in tracer.cpp
  constexpr int function = 1;
  const auto name = take_name_of_file();
  int allocations = -1;
  if (!name.empty()) std::ifstream(name) >> allocations;
  if (allocations == INT_MAX) sd::test::before_allocation = note_place;
  ::syscall(marker, function);
  sd::test::allocations_left = allocations;
  const int status = __real_main(argc, argv);
  allocations = sd::test::allocations_left.exchange(-1);
  if (name.empty()) return status;
  std::ofstream file(name);
  file << allocations << '\n';
  for (const auto& [number, place] : places) file << number << ' ' << place << '\n';
  return status;
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
