// SPDX-License-Identifier: MIT OR Apache-2.0
#include "trusted_file.hpp"

#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "directory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace {

namespace fs = std::filesystem;

using sd::unique_fd;
using sd::activate::make_directory;
using sd::activate::open_trusted;
using sd::activate::read_trusted;
using sd::test::check;

class trusted_file : public testing::Test {
 protected:
  void SetUp() override { std::ofstream(there_ / "file") << "text"; }

  sd::test::directory there_;
};

TEST_F(trusted_file, as_many_links_as_in_linux_are_followed) {
  constexpr int most_links = 40;
  fs::create_symlink("file", there_ / "1");
  for (int i = 1; i <= most_links; ++i) fs::create_symlink(std::to_string(i), there_ / std::to_string(i + 1));
  EXPECT_TRUE(open_trusted(there_ / std::to_string(most_links), O_RDONLY));
  EXPECT_FALSE(open_trusted(there_ / std::to_string(most_links + 1), O_RDONLY));
  EXPECT_EQ(errno, ELOOP);
}

TEST_F(trusted_file, absolute_links_are_followed) {
  fs::create_directory(there_ / "directory");
  fs::create_symlink(there_ / "file", there_ / "directory/link");
  EXPECT_EQ(read_trusted(there_ / "directory/link").text, "text");
}

TEST_F(trusted_file, links_at_relative_paths_are_followed) {
  fs::create_symlink("file", there_ / "link");
  const auto before = fs::current_path();
  fs::current_path(there_.path());
  const auto found = open_trusted("link", O_RDONLY);
  fs::current_path(before);
  EXPECT_TRUE(found);
}

TEST_F(trusted_file, path_of_a_directory_may_end_with_a_slash) {
  fs::create_directory(there_ / "directory");
  fs::create_symlink("directory", there_ / "link");
  EXPECT_TRUE(open_trusted(there_ / "link/", O_RDONLY | O_DIRECTORY));
}

TEST_F(trusted_file, missing_directory_behind_a_link_is_an_error) {
  fs::create_directory(there_ / "directory");
  fs::create_symlink("directory", there_ / "link");
  EXPECT_FALSE(open_trusted(there_ / "link/missing/file", O_RDONLY));
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(trusted_file, descriptor_in_proc_is_opened_for_reading) {
  const unique_fd file(check(::open((there_ / "file").c_str(), O_RDWR | O_CLOEXEC), "open"));
  EXPECT_EQ(read_trusted("/proc/self/fd/" + std::to_string(file.get())).text, "text");
}

TEST_F(trusted_file, new_file_has_the_mode) {
  const auto mask = ::umask(0);
  const auto file = open_trusted(there_ / "new", O_WRONLY | O_CREAT, 0640);
  ::umask(mask);
  struct stat status {};
  check(::fstat(file.get(), &status), "fstat");
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_F(trusted_file, directories_are_made_below_a_missing_one) {
  bool is_new = false;
  EXPECT_TRUE(make_directory(there_ / "a/b", "c/d/", is_new));
  EXPECT_TRUE(is_new);
  EXPECT_TRUE(fs::is_directory(there_ / "a/b/c/d"));
  EXPECT_TRUE(make_directory(there_ / "a/b", "c/d", is_new));
  EXPECT_FALSE(is_new);
}

TEST_F(trusted_file, file_in_the_place_of_a_directory_is_an_error) {
  bool is_new = false;
  EXPECT_FALSE(make_directory(there_.path(), "file", is_new));
  EXPECT_EQ(errno, ENOTDIR);
}

TEST_F(trusted_file, directory_that_cannot_be_made_is_an_error) {
  bool is_new = false;
  EXPECT_FALSE(make_directory("/proc/self", "missing/name", is_new));
  EXPECT_FALSE(make_directory("/sys", "missing", is_new));
  EXPECT_NE(errno, ENOENT);
}

TEST_F(trusted_file, other_writers_are_those_of_a_regular_file) {
  check(::mkfifo((there_ / "fifo").c_str(), 0600), "mkfifo");
  for (const char* const name : {"fifo", "file"}) {
    fs::permissions(there_ / name, fs::perms(0666));
    const unique_fd fd(check(::open((there_ / name).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"));
    EXPECT_EQ(sd::activate::other_writers(fd.get()), std::string(name) == "file" ? "all users" : "");
  }
}

TEST_F(trusted_file, file_of_16_mib_is_read_and_no_longer_one) {
  constexpr std::uintmax_t longest = 16U << 20U;
  fs::resize_file(there_ / "file", longest);
  EXPECT_EQ(read_trusted(there_ / "file").text.size(), longest);
  fs::resize_file(there_ / "file", longest + 1);
  try {
    static_cast<void>(read_trusted(there_ / "file"));
    ADD_FAILURE() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EFBIG);
  }
}

}  // namespace
