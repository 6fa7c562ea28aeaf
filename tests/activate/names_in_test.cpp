// SPDX-License-Identifier: MIT OR Apache-2.0
#include "names_in.hpp"

#include "directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace {

using sd::activate::names_in;

auto count_of_descriptors() {
  namespace fs = std::filesystem;
  return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}

TEST(names_in, names_are_those_of_all_entries) {
  const sd::test::directory there;
  std::ofstream(there / "file");
  std::ofstream(there / ".hidden");
  std::filesystem::create_directory(there / "directory");
  auto ec = std::make_error_code(std::errc::io_error);
  const auto before = count_of_descriptors();
  EXPECT_THAT(names_in(there.path(), ec), testing::UnorderedElementsAre("file", ".hidden", "directory"));
  EXPECT_EQ(count_of_descriptors(), before);
  EXPECT_FALSE(ec) << ec.message();
}

TEST(names_in, error_is_that_of_the_system) {
  const sd::test::directory there;
  std::ofstream(there / "file");
  std::error_code ec;
  EXPECT_THAT(names_in(there / "missing", ec), testing::IsEmpty());
  EXPECT_EQ(ec, std::errc::no_such_file_or_directory);
  EXPECT_THAT(names_in(there / "file", ec), testing::IsEmpty());
  EXPECT_EQ(ec, std::errc::not_a_directory);
}

}  // namespace
