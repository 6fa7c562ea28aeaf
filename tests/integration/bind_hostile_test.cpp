// SPDX-License-Identifier: MIT OR Apache-2.0
// sd::take_or_bind() in a directory of another user, who replaces the path right after it was bound.

#include <sd/unique_fd.hpp>

#include "binding.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

namespace {

using sd::test::check;
using sd::test::exists;
using sd::test::leave_dead_socket;
using sd::test::may_change_owners;
using sd::test::mode_of;
using sd::test::private_server;
using sd::test::program;
using sd::test::scratch;
using sd::test::start_and_stop;
using sd::test::status_of;
using sd::test::words;

/// How the service runs.
struct privilege {
  const char* name;
  words options;
};

std::ostream& operator<<(std::ostream& out, const privilege& what) { return out << what.name; }

class replaced_path : public testing::TestWithParam<privilege> {
 protected:
  void SetUp() override {
    if (!GetParam().options.empty() && !may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  }

  static bool is_unprivileged() { return GetParam().options == words{"become=65534"}; }

  /// Binds a path that is replaced, and expects an error, and that the victim's mode and owner stay.
  static void expect_unchanged(const std::string& victim, const std::string& where, words options) {
    if (is_unprivileged()) check(::lchown(victim.c_str(), 65534, 65534), "lchown");
    const auto before = status_of(victim);
    options.insert(options.end(), GetParam().options.begin(), GetParam().options.end());
    options.emplace_back("mode=0666");
    if (!is_unprivileged() && may_change_owners()) options.insert(options.end(), {"user=1234", "group=4321"});
    program server(where, options);
    auto said = server.read_report();
    EXPECT_EQ(said["error"], "generic " + std::to_string(ESTALE));
    EXPECT_EQ(said["what"], "find the bound socket at " + where + ": Stale file handle");
    EXPECT_EQ(server.stop(), 1);
    const bool renamed = !exists(victim);
    const auto after = status_of(renamed ? where : victim);
    EXPECT_EQ(after.st_ino, before.st_ino);
    EXPECT_EQ(after.st_mode, before.st_mode);
    EXPECT_EQ(after.st_uid, before.st_uid);
    EXPECT_EQ(after.st_gid, before.st_gid);
    EXPECT_TRUE(exists(where)) << "the path that took the place of ours was removed";
  }

  [[nodiscard]] const scratch& directory() const { return directory_; }

 private:
  scratch directory_;
};

/// Attacks that cannot harm an unprivileged service.
class replaced_path_of_root : public replaced_path {};

/// Attacks with another socket of the same user. A service that cannot open a netlink socket is not protected.
class replaced_path_with_identification : public replaced_path {
 protected:
  void SetUp() override {
    replaced_path::SetUp();
    constexpr int netlink_sock_diag = 4;
    const sd::unique_fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, netlink_sock_diag));
    if (!netlink) GTEST_SKIP() << "SKIPPED: there is no sock_diag(7) here, as under qemu-user";
  }
};

TEST_P(replaced_path, symbolic_link_to_a_file) {
  const auto victim = directory() / "victim";
  std::ofstream(victim).close();
  check(::chmod(victim.c_str(), 0600), "chmod");
  expect_unchanged(victim, directory() / "s", {"replace=symlink", "victim=" + victim});
}

TEST_P(replaced_path, symbolic_link_to_a_socket) {
  const auto victim = directory() / "victim";
  const auto server = private_server(victim);
  expect_unchanged(victim, directory() / "s", {"replace=symlink", "victim=" + victim});
}

TEST_P(replaced_path_of_root, hard_link_to_a_socket) {
  const auto victim = directory() / "victim";
  const auto server = private_server(victim);
  expect_unchanged(victim, directory() / "s", {"replace=link", "victim=" + victim});
}

TEST_P(replaced_path_with_identification, socket_that_was_moved_there) {
  const auto victim = directory() / "victim";
  const auto server = private_server(victim);
  expect_unchanged(victim, directory() / "s", {"replace=rename", "victim=" + victim});
}

TEST_P(replaced_path_of_root, socket_of_another_user) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  const auto victim = directory() / "victim";
  const auto server = private_server(victim);
  check(::lchown(victim.c_str(), 2345, 2345), "lchown");
  expect_unchanged(victim, directory() / "s", {"replace=rename", "victim=" + victim});
}

TEST_P(replaced_path_with_identification, directory_with_a_socket_of_the_same_name) {
  const auto victim = directory() / "victim/s";
  std::filesystem::create_directory(directory() / "victim");
  std::filesystem::create_directory(directory() / "d");
  check(::chmod((directory() / "d").c_str(), 0777), "chmod");
  check(::chmod((directory() / "victim").c_str(), 0777), "chmod");
  const auto server = private_server(victim);
  expect_unchanged(victim, directory() / "d/s", {"replace=directory", "victim=" + directory() / "victim"});
}

TEST_P(replaced_path, file) {
  const auto victim = directory() / "victim";
  std::ofstream(victim).close();
  expect_unchanged(victim, directory() / "s", {"replace=file", "umask=077"});
  EXPECT_EQ(mode_of(directory() / "s"), 0600U) << "the mode of the other file was changed";
}

/// The mode of a dead socket may be changed to find out whether it is dead. Another file's mode is not.
TEST(replaced_dead_path, file_is_left_alone) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  const scratch directory;
  const auto where = directory / "s";
  const auto victim = directory / "victim";
  leave_dead_socket(where);
  std::ofstream(victim).close();
  check(::chmod(victim.c_str(), 0400), "chmod");
  check(::lchown(victim.c_str(), 65534, 65534), "lchown");
  const auto file = status_of(victim).st_ino;
  auto said = start_and_stop(where, {"become=65534", "replace-at-probe=rename", "victim=" + victim});
  EXPECT_EQ(said["what"], "bind to " + where + ": Address already in use");
  ASSERT_TRUE(exists(where));
  EXPECT_EQ(status_of(where).st_ino, file);
  EXPECT_EQ(mode_of(where), 0400U);
}

const privilege as_it_is{"as_it_is", {}};
const privilege without_net_admin{"without_net_admin", {"no-net-admin"}};
const privilege without_netlink{"without_net_admin_and_netlink", {"no-net-admin", "no-netlink"}};
const privilege unprivileged{"unprivileged", {"become=65534"}};

std::string name_of(const testing::TestParamInfo<privilege>& tested) { return tested.param.name; }

INSTANTIATE_TEST_SUITE_P(take_or_bind, replaced_path,
                         testing::Values(as_it_is, without_net_admin, without_netlink, unprivileged), name_of);
INSTANTIATE_TEST_SUITE_P(take_or_bind, replaced_path_of_root,
                         testing::Values(as_it_is, without_net_admin, without_netlink), name_of);
INSTANTIATE_TEST_SUITE_P(take_or_bind, replaced_path_with_identification,
                         testing::Values(as_it_is, without_net_admin, unprivileged), name_of);

}  // namespace
