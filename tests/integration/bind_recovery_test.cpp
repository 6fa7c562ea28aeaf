// SPDX-License-Identifier: MIT OR Apache-2.0
// sd::take_or_bind() after a killed process or a failure, and what it leaves behind when it fails.

#include <sd/address.hpp>
#include <sd/take_or_bind.hpp>

#include "allocation.hpp"
#include "binding.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <ios>
#include <new>
#include <string>
#include <vector>

namespace {

using sd::test::check;
using sd::test::exists;
using sd::test::failure_of;
using sd::test::leave_dead_socket;
using sd::test::may_change_owners;
using sd::test::mode_of;
using sd::test::next_free;
using sd::test::program;
using sd::test::scratch;
using sd::test::start_and_stop;
using sd::test::status_of;
using sd::test::words;
using testing::IsEmpty;

/// Returns options to run a program without root's right to ignore modes.
words without_root(words options = {}) {
  if (::geteuid() == 0) options.emplace_back("become=65534");
  return options;
}

bool is_root_without_privilege() { return ::geteuid() == 0 && !may_change_owners(); }

void expect_killed_at_bind(const std::string& where, words options) {
  options.emplace_back("die");
  program server(where, options);
  EXPECT_EQ(server.read_report().count("serving"), 0U);
  EXPECT_EQ(server.wait(), 128 + SIGKILL);
}

// --- sockets whose owner may not write to them -----------------------------------------------------------------------

TEST(stale_path, of_a_process_killed_before_it_set_the_mode_is_replaced) {
  if (is_root_without_privilege()) GTEST_SKIP() << "SKIPPED: requires an unprivileged user, or root with CAP_SETUID";
  for (const char* const kind : {"kind=stream", "kind=seqpacket", "kind=datagram"}) {
    const scratch directory;
    expect_killed_at_bind(directory / "s", without_root({kind}));
    ASSERT_TRUE(exists(directory / "s"));
    auto said = start_and_stop(directory / "s", without_root({kind}));
    EXPECT_EQ(said.count("serving"), 1U) << said["what"];
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(stale_path, with_a_mode_without_owner_write_is_replaced) {
  if (is_root_without_privilege()) GTEST_SKIP() << "SKIPPED: requires an unprivileged user, or root with CAP_SETUID";
  for (const char* const mode : {"mode=0", "mode=0066", "mode=0444"}) {
    const scratch directory;
    {
      program server(directory / "s", without_root({mode}));
      ASSERT_EQ(server.read_report().count("serving"), 1U);
      EXPECT_EQ(server.stop(SIGKILL), 128 + SIGKILL);
    }
    auto said = start_and_stop(directory / "s", without_root({mode}));
    EXPECT_EQ(said.count("serving"), 1U) << said["what"];
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(stale_path, server_with_a_mode_without_owner_write_stays) {
  if (is_root_without_privilege()) GTEST_SKIP() << "SKIPPED: requires an unprivileged user, or root with CAP_SETUID";
  for (const char* const kind : {"kind=stream", "kind=datagram"}) {
    const scratch directory;
    program server(directory / "s", without_root({kind, "mode=0404"}));
    ASSERT_EQ(server.read_report().count("serving"), 1U);
    const auto file = status_of(directory / "s").st_ino;
    EXPECT_EQ(start_and_stop(directory / "s", without_root({kind}))["what"],
              "bind to " + directory / "s" + ": Address already in use");
    EXPECT_EQ(status_of(directory / "s").st_ino, file);
    EXPECT_EQ(mode_of(directory / "s"), 0404U) << "the probe changed the mode for good";
    EXPECT_EQ(server.stop(), 0);
  }
}

// --- the lock --------------------------------------------------------------------------------------------------------

TEST(path_lock, is_released_if_a_forked_child_has_a_copy) {
  const scratch directory;
  EXPECT_EQ(start_and_stop(directory / "s", {"fork-at-bind"})["lock"], "released");
}

TEST(path_lock, is_close_on_exec) {
  const scratch directory;
  auto said = start_and_stop(directory / "s", {});
  EXPECT_EQ(said["inheritable"], "as before");
}

TEST(path_lock, file_left_by_another_user_is_used) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  const scratch directory;
  expect_killed_at_bind(directory / "s", {"become=65533", "umask=077"});
  ASSERT_TRUE(exists(directory / "s.sd-lock"));
  std::filesystem::remove(directory / "s");
  auto said = start_and_stop(directory / "s", {"become=65534"});
  EXPECT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(path_lock, file_has_the_write_permissions_of_the_directory) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  struct directory_and_lock {
    unsigned owner;
    unsigned group;
    unsigned mode;
    unsigned lock_owner;
    unsigned lock_group;
    unsigned lock_mode;
    words options = {};
  };
  const words of_group = {"become=65534", "supplementary=4321"};
  const auto root_group = ::getegid();
  for (const auto& [owner, group, mode, lock_owner, lock_group, lock_mode, options] :
       {directory_and_lock{0, 0, 0755, 0, root_group, 0600}, directory_and_lock{0, 0, 0700, 0, root_group, 0600},
        directory_and_lock{1234, 4321, 0755, 1234, 4321, 0600}, directory_and_lock{0, 4321, 0775, 0, 4321, 0660},
        directory_and_lock{0, 4321, 0755, 0, root_group, 0600},
        directory_and_lock{1234, 4321, 01777, 0, root_group, 0666},
        // An unprivileged process can set the group only, if it is a member of that.
        directory_and_lock{1234, 4321, 0775, 65534, 4321, 0660, of_group},
        directory_and_lock{65534, 4321, 0775, 65534, 65534, 0600, {"become=65534"}}}) {
    const scratch directory;
    check(::chown(directory.path().c_str(), owner, group), "chown");
    check(::chmod(directory.path().c_str(), mode), "chmod");
    auto all_options = options;
    all_options.emplace_back("umask=077");
    expect_killed_at_bind(directory / "s", all_options);
    const auto lock = status_of(directory / "s.sd-lock");
    EXPECT_EQ(lock.st_uid, lock_owner) << std::oct << mode;
    EXPECT_EQ(lock.st_gid, lock_group) << std::oct << mode;
    EXPECT_EQ(lock.st_mode & 07777U, lock_mode) << std::oct << mode;
  }
}

// --- after a failure -------------------------------------------------------------------------------------------------

TEST(failure, removes_new_directories) {
  const scratch directory;
  std::filesystem::create_directory(directory / "there");
  EXPECT_EQ(start_and_stop(directory / "there/a/b/s", {"replace=removed"}).count("serving"), 0U);
  EXPECT_TRUE(exists(directory / "there"));
  EXPECT_FALSE(exists(directory / "there/a"));
}

TEST(failure, to_make_a_directory_removes_its_new_parents) {
  if (is_root_without_privilege()) GTEST_SKIP() << "SKIPPED: requires an unprivileged user, or root with CAP_SETUID";
  const scratch directory;
  EXPECT_EQ(start_and_stop(directory / "a/b/s", without_root({"directory-mode=0500"}))["what"],
            "make directory " + directory / "a/b" + ": Permission denied");
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(failure, leaves_new_directories_that_are_not_empty) {
  const scratch directory;
  EXPECT_EQ(start_and_stop(directory / "a/b/s", {"replace=file"}).count("serving"), 0U);
  EXPECT_TRUE(exists(directory / "a/b/s"));
}

TEST(failure, path_that_names_a_directory_makes_nothing) {
  const scratch directory;
  for (const char* const path : {"x/", "x/y/", "x/.", "x/.."}) {
    EXPECT_EQ(failure_of(directory / path), "bind to " + directory / path + ": Is a directory");
    EXPECT_THAT(directory.entries(), IsEmpty()) << path;
  }
}

/// Binds an address while only so many allocations succeed. Returns whether that was enough.
bool binds_with(int allocations, const sd::address& where) {
  std::vector<sd::listen_fd> none;
  bool bound = false;
  try {
    sd::test::allocations_left = allocations;
    const auto server = sd::take_or_bind(none, where);
    bound = true;
  } catch (const std::bad_alloc&) {
  }
  sd::test::allocations_left = -1;
  return bound;
}

TEST(failure, to_allocate_memory_leaves_no_lock_and_no_descriptor) {
  const scratch directory;
  const sd::address where(directory / "directory/socket-with-a-long-name");
  const int before = next_free();
  bool bound = false;
  for (int allocations = 0; !bound; ++allocations) {
    ASSERT_LT(allocations, 1000);
    std::filesystem::create_directory(directory / "directory");
    leave_dead_socket(directory / "directory/socket-with-a-long-name");
    bound = binds_with(allocations, where);
    EXPECT_FALSE(exists(directory / "directory/socket-with-a-long-name.sd-lock"));
    std::filesystem::remove(directory / "directory/socket-with-a-long-name");
    EXPECT_TRUE(std::filesystem::remove(directory / "directory"));
    EXPECT_EQ(next_free(), before);
  }
}

TEST(failure, to_allocate_memory_leaves_no_directory) {
  const scratch directory;
  const sd::address where(directory / "directory/another-directory/socket-with-a-long-name");
  bool bound = false;
  for (int allocations = 0; !bound; ++allocations) {
    ASSERT_LT(allocations, 1000);
    bound = binds_with(allocations, where);
    if (!bound) {
      EXPECT_THAT(directory.entries(), IsEmpty());
    }
  }
}

// --- owners ----------------------------------------------------------------------------------------------------------

TEST(permissions, unprivileged_process_sets_a_supplementary_group_only) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  const scratch directory;
  program server(directory / "s", {"become=65534", "supplementary=4321", "group=4321", "mode=0660"});
  auto said = server.read_report();
  EXPECT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(status_of(directory / "s").st_uid, 65534U);
  EXPECT_EQ(status_of(directory / "s").st_gid, 4321U);
  EXPECT_EQ(mode_of(directory / "s"), 0660U);
}

}  // namespace
