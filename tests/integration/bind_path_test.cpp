// SPDX-License-Identifier: MIT OR Apache-2.0
// sd::take_or_bind() on paths: many processes at once, existing files, cleanup, modes and owners.

#include <sd/address.hpp>
#include <sd/take_or_bind.hpp>

#include "binding.hpp"
#include "client.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using sd::kind;
using sd::unique_fd;
using sd::test::ask;
using sd::test::bind_one;
using sd::test::check;
using sd::test::crowd;
using sd::test::exists;
using sd::test::failure_of;
using sd::test::foreign_server;
using sd::test::has_client;
using sd::test::is_slow;
using sd::test::leave_dead_socket;
using sd::test::may_change_owners;
using sd::test::mode_of;
using sd::test::next_free;
using sd::test::of_kind;
using sd::test::program;
using sd::test::refuses;
using sd::test::scratch;
using sd::test::status_of;
using sd::test::words;
using testing::HasSubstr;
using testing::IsEmpty;

// --- many processes --------------------------------------------------------------------------------------------------

std::size_t crowd_size() { return is_slow() ? 6 : 20; }
int rounds() { return is_slow() ? 2 : 10; }

/// Expects that one program serves, that the directory holds its path only, and that it removes the path.
void expect_one_server(const scratch& directory, const std::vector<program*>& servers) {
  ASSERT_EQ(servers.size(), 1U);
  EXPECT_EQ(directory.entries(), words{"s"});
  EXPECT_EQ(ask(directory / "s", "words"), "words");
  EXPECT_EQ(servers.front()->stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(race, one_process_gets_the_path) {
  for (int round = 0; round < 2 * rounds(); ++round) {
    const scratch directory;
    if (round % 2 == 1) leave_dead_socket(directory / "s");
    crowd all(crowd_size(), directory / "s");
    all.release();
    expect_one_server(directory, all.servers());
  }
}

TEST(race, for_missing_directories) {
  const scratch directory;
  crowd all(crowd_size(), directory / "a/b/c/s");
  all.release();
  EXPECT_EQ(all.servers().size(), 1U);
  EXPECT_EQ(ask(directory / "a/b/c/s", "words"), "words");
}

TEST(race, with_a_server_that_stops) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    program former(directory / "s", round % 2 == 0 ? words{} : words{"close-first"});
    ASSERT_EQ(former.read_report().count("serving"), 1U);
    crowd all(crowd_size(), directory / "s");
    all.release();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    EXPECT_EQ(former.stop(), 0);
    const auto servers = all.servers();
    if (servers.empty()) {
      EXPECT_THAT(directory.entries(), IsEmpty());
    } else {
      expect_one_server(directory, servers);
    }
  }
}

TEST(race, with_a_server_that_is_killed) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    program former(directory / "s");
    ASSERT_EQ(former.read_report().count("serving"), 1U);
    crowd all(crowd_size(), directory / "s");
    all.release();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    EXPECT_EQ(former.stop(SIGKILL), 128 + SIGKILL);
    if (const auto servers = all.servers(); !servers.empty()) expect_one_server(directory, servers);

    program next(directory / "s");
    EXPECT_EQ(next.read_report().count("serving"), 1U);
    expect_one_server(directory, {&next});
  }
}

TEST(race, killed_processes_do_not_block_the_next) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    crowd all(crowd_size() / 2, directory / "s", {"times=1000000"});
    all.release();
    for (const auto& each : all.programs()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      EXPECT_EQ(each->stop(SIGKILL), 128 + SIGKILL);
    }
    program next(directory / "s");
    EXPECT_EQ(next.read_report().count("serving"), 1U);
    expect_one_server(directory, {&next});
  }
}

std::string times(int normally) { return "times=" + std::to_string(is_slow() ? 100 : normally); }

/// Programs bind and unlink the path over and over. Expects that clients reach the program that has bound it.
void come_and_go(const std::string& where, const words& options) {
  crowd all(is_slow() ? 3 : 6, where, options);
  all.release();
  int bound = 0;
  for (const auto& each : all.programs()) {
    auto said = each->read_report();
    EXPECT_EQ(said["lost"], "0");
    EXPECT_EQ(said["failed"], "none");
    EXPECT_EQ(each->wait(), 0);
    bound += std::stoi(said["bound"]);
  }
  EXPECT_GT(bound, 0);
}

TEST(race, repeated_bind_and_unlink) {
  const scratch directory;
  leave_dead_socket(directory / "s");
  come_and_go(directory / "s", {times(1500)});
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(race, repeated_bind_of_a_stale_path) {
  const scratch directory;
  leave_dead_socket(directory / "s");
  come_and_go(directory / "s", {times(1500), "close-first"});
  EXPECT_THAT(directory.entries(), IsEmpty());
}

/// A directory that one process removes while another is about to bind in it is made again.
TEST(race, with_directories_that_are_removed) {
  const scratch directory;
  come_and_go(directory / "a/b/s", {times(500), "remove-directories"});
}

// --- relative paths --------------------------------------------------------------------------------------------------

TEST(relative_path, is_bound_in_the_working_directory) {
  const scratch directory;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  const sockaddr_un where{AF_UNIX, "s"};
  std::vector<sd::listen_fd> none;
  auto server = take_or_bind(none, sd::address::from_sockaddr(&where, sizeof where));
  EXPECT_EQ(directory.entries(), words{"s"});
  server = {};
  EXPECT_THAT(directory.entries(), IsEmpty());
  std::filesystem::current_path(before);
}

// --- existing files --------------------------------------------------------------------------------------------------

TEST(stale_path, of_a_killed_server_is_replaced) {
  for (const auto kind : {kind::stream, kind::seqpacket, kind::datagram}) {
    const scratch directory;
    const auto option = std::string("kind=") + sd::to_string(kind);
    program former(directory / "s", {option});
    ASSERT_EQ(former.read_report().count("serving"), 1U);
    EXPECT_EQ(former.stop(SIGKILL), 128 + SIGKILL);
    EXPECT_EQ(directory.entries(), words{"s"});

    program next(directory / "s", {option});
    EXPECT_EQ(next.read_report().count("serving"), 1U);
    EXPECT_EQ(directory.entries(), words{"s"});
    const int type = kind == kind::datagram ? SOCK_DGRAM : kind == kind::seqpacket ? SOCK_SEQPACKET : SOCK_STREAM;
    EXPECT_EQ(ask(directory / "s", "words", type), "words");
    EXPECT_EQ(next.stop(), 0);
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(path_lock, unlocked_file_is_used) {
  const scratch directory;
  std::ofstream(directory / "s.sd-lock").close();
  leave_dead_socket(directory / "s");
  const auto server = bind_one(directory / "s");
  EXPECT_EQ(directory.entries(), words{"s"});
}

TEST(path_lock, is_waited_for) {
  const scratch directory;
  const unique_fd lock(check(::open((directory / "s.sd-lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  check(::flock(lock.get(), LOCK_EX), "flock");
  crowd one(1, directory / "s");
  one.release();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(directory.entries(), words{"s.sd-lock"});
  // As the holder releases it.
  std::filesystem::remove(directory / "s.sd-lock");
  check(::flock(lock.get(), LOCK_UN), "flock");
  expect_one_server(directory, one.servers());
}

TEST(stale_path, server_without_the_library_stays) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    for (const auto kind : {kind::stream, kind::seqpacket, kind::datagram}) {
      const scratch directory;
      const auto where = directory / "s";
      const auto server = foreign_server(where, type);
      const auto file = status_of(where).st_ino;
      EXPECT_EQ(failure_of(where, of_kind(kind)), "bind to " + where + ": Address already in use");
      EXPECT_FALSE(has_client(server)) << "the server received the probe";
      EXPECT_EQ(status_of(where).st_ino, file);
      EXPECT_EQ(directory.entries(), words{"s"});
      EXPECT_FALSE(refuses(where, type));
    }
  }
}

TEST(stale_path, server_that_does_not_listen_yet_stays) {
  const scratch directory;
  const sd::address where(directory / "s");
  const unique_fd server(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const auto size = static_cast<socklen_t>(where.size());
  check(::bind(server.get(), static_cast<const sockaddr*>(where.data()), size), "bind");
  EXPECT_THAT(failure_of(directory / "s"), HasSubstr("Address already in use"));
  check(::listen(server.get(), 1), "listen");
  EXPECT_FALSE(refuses(directory / "s"));
}

TEST(stale_path, file_that_is_not_a_socket_stays) {
  const scratch directory;
  const auto where = directory / "s";
  const auto expect_unchanged = [&](const char* what) {
    const auto before = status_of(where);
    EXPECT_EQ(failure_of(where), "bind to " + where + ": Address already in use") << what;
    const auto after = status_of(where);
    EXPECT_EQ(after.st_ino, before.st_ino) << what;
    EXPECT_EQ(after.st_mode, before.st_mode) << what;
    EXPECT_EQ(after.st_size, before.st_size) << what;
    EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec) << what;
    EXPECT_FALSE(exists(where + ".sd-lock")) << what;
    std::filesystem::remove(where);
  };
  std::ofstream(where) << "words";
  expect_unchanged("a file");
  std::filesystem::create_directory(where);
  expect_unchanged("a directory");
  check(::mkfifo(where.c_str(), 0600), "mkfifo");
  expect_unchanged("a fifo");
  std::filesystem::create_symlink(directory / "nowhere", where);
  expect_unchanged("a dangling link");
  leave_dead_socket(directory / "dead");
  std::filesystem::create_symlink(directory / "dead", where);
  expect_unchanged("a link to a dead socket");
  EXPECT_EQ(directory.entries(), words{"dead"});
}

// --- cleanup ---------------------------------------------------------------------------------------------------------

TEST(cleanup, removes_the_path) {
  const scratch directory;
  program server(directory / "s");
  ASSERT_EQ(server.read_report().count("serving"), 1U);
  EXPECT_EQ(directory.entries(), words{"s"});
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, removes_the_path_after_the_socket_was_closed) {
  const scratch directory;
  program server(directory / "s", {"close-first"});
  ASSERT_EQ(server.read_report().count("serving"), 1U);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, leaves_a_path_that_was_released) {
  const scratch directory;
  program server(directory / "s", {"release"});
  ASSERT_EQ(server.read_report().count("serving"), 1U);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(directory.entries(), words{"s"});
}

TEST(cleanup, does_nothing_in_a_forked_child) {
  const scratch directory;
  program server(directory / "s", {"fork"});
  ASSERT_EQ(server.read_report().count("serving"), 1U);  // the child has exited by then
  EXPECT_EQ(directory.entries(), words{"s"});
  expect_one_server(directory, {&server});
}

TEST(cleanup, leaves_the_path_of_another_server) {
  for (const auto& [closes_first, at_the_same_time] :
       {std::pair{false, false}, std::pair{true, false}, std::pair{false, true}, std::pair{true, true}}) {
    const scratch directory;
    program server(directory / "s", closes_first ? words{"close-first"} : words{});
    ASSERT_EQ(server.read_report().count("serving"), 1U);
    const auto modified = status_of(directory / "s").st_mtim;
    std::filesystem::remove(directory / "s");
    const auto next = foreign_server(directory / "s");
    if (at_the_same_time) {
      const timespec times[] = {modified, modified};
      check(::utimensat(AT_FDCWD, (directory / "s").c_str(), times, 0), "utimensat");
    }
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(directory.entries(), words{"s"});
    EXPECT_FALSE(refuses(directory / "s"));
  }
}

TEST(cleanup, leaves_a_renamed_path_and_its_replacement) {
  const scratch directory;
  program server(directory / "s");
  ASSERT_EQ(server.read_report().count("serving"), 1U);
  std::filesystem::rename(directory / "s", directory / "renamed");
  EXPECT_EQ(ask(directory / "renamed", "words"), "words");
  std::ofstream(directory / "s").close();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(directory.entries(), (words{"renamed", "s"}));
}

/// Returns directories of file systems that allocate inode numbers differently.
words file_systems() {
  words all = {testing::TempDir()};
  if (::access("/dev/shm", W_OK) == 0) all.emplace_back("/dev/shm/");
  return all;
}

/// Starts servers at the path until one has this inode number. If none has, the last one keeps the path.
std::vector<unique_fd> servers_with(std::uint64_t number, const std::string& where, int& found) {
  std::vector<unique_fd> servers;
  for (int i = 0; i < 8; ++i) {
    servers.push_back(foreign_server(where));
    if (status_of(where).st_ino == number) {
      ++found;
      return servers;
    }
    if (i < 7) std::filesystem::rename(where, where + std::to_string(i));
  }
  return servers;
}

TEST(cleanup, leaves_another_server_with_the_same_inode_number) {
  int same = 0;
  for (const auto& parent : file_systems()) {
    for (int i = 0; i < 100; ++i) {
      const scratch directory(parent);
      const auto where = directory / "s";
      auto first = bind_one(where);
      const auto number = status_of(where).st_ino;
      std::filesystem::remove(where);
      first.release_fd().reset();  // which kept the number in use
      std::this_thread::sleep_for(std::chrono::microseconds(i * 100));
      const auto others = servers_with(number, where, same);
      first = {};
      ASSERT_TRUE(exists(where)) << "in " << parent << ", " << i << " tenths of a millisecond later";
      EXPECT_FALSE(refuses(where));
    }
  }
  RecordProperty("same_inode_numbers", same);
}

TEST(cleanup, by_move_assignment) {
  const scratch directory;
  auto server = bind_one(directory / "first");
  server = bind_one(directory / "second");
  EXPECT_EQ(directory.entries(), words{"second"});
  EXPECT_EQ(server.path(), directory / "second");

  auto moved = std::move(server);
  EXPECT_EQ(server.path(), "");  // NOLINT(bugprone-use-after-move): a moved-from object is empty
  server = {};
  EXPECT_EQ(directory.entries(), words{"second"});
  auto& same = moved;
  moved = std::move(same);
  EXPECT_EQ(directory.entries(), words{"second"});
  moved.release_fd().reset();
  EXPECT_EQ(directory.entries(), words{"second"});
  moved = {};
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, without_the_directory_does_nothing) {
  const scratch directory;
  auto server = bind_one(directory / "d/s");
  std::filesystem::remove_all(directory / "d");
  server = {};
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, removes_a_path_of_maximum_length) {
  const scratch directory;
  const auto where = directory / std::string(107 - directory.path().size() - 1, 'x');
  program server(where);
  auto said = server.read_report();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(ask(where, "words"), "words");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, closes_every_descriptor) {
  const scratch directory;
  const int before = next_free();
  leave_dead_socket(directory / "s");
  for (int i = 0; i < 3; ++i) bind_one(directory / "s");
  std::ofstream(directory / "file").close();
  EXPECT_NE(failure_of(directory / "file"), "");
  EXPECT_EQ(next_free(), before);
}

// --- modes and owners ------------------------------------------------------------------------------------------------

TEST(permissions, mode_of_new_directories) {
  struct made {
    words options;
    unsigned mode;
  };
  for (const auto& [options, mode] : {made{{"umask=0"}, 0755}, made{{"umask=022", "directory-mode=0777"}, 0755},
                                      made{{"umask=0", "directory-mode=0711"}, 0711}, made{{"umask=077"}, 0700}}) {
    const scratch directory;
    check(::chmod(directory.path().c_str(), 0751), "chmod");
    program server(directory / "a/b/s", options);
    EXPECT_EQ(server.read_report().count("serving"), 1U);
    EXPECT_EQ(mode_of(directory.path()), 0751U) << "the existing directory";
    EXPECT_EQ(mode_of(directory / "a"), mode);
    EXPECT_EQ(mode_of(directory / "a/b"), mode);
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(directory.entries(), words{"a"}) << "directories stay";
  }
}

TEST(permissions, mode_is_0666_by_default) {
  for (const char* const umask : {"umask=0", "umask=022", "umask=077"}) {
    const scratch directory;
    program server(directory / "s", {umask});
    EXPECT_EQ(server.read_report().count("serving"), 1U);
    EXPECT_EQ(mode_of(directory / "s"), 0666U) << umask;
  }
}

TEST(permissions, mode_does_not_depend_on_the_umask) {
  for (const char* const umask : {"umask=0", "umask=077"}) {
    for (const char* const option : {"kind=stream", "kind=seqpacket", "kind=datagram"}) {
      for (const unsigned mode : {0600U, 0666U, 0777U, 0000U}) {
        const scratch directory;
        std::ostringstream text;
        text << "mode=" << std::oct << mode;
        program server(directory / "s", {umask, option, text.str()});
        EXPECT_EQ(server.read_report().count("serving"), 1U);
        EXPECT_EQ(mode_of(directory / "s"), mode) << umask << ' ' << option;
      }
    }
  }
}

TEST(permissions, owner_and_group) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  struct owned {
    words options;
    unsigned user;
    unsigned group;
  };
  for (const auto& [options, user, group] : {owned{{"umask=022", "user=1234", "group=4321"}, 1234, 4321},
                                             owned{{"umask=022", "user=1234"}, 1234, ::getegid()},
                                             owned{{"umask=022", "group=4321", "mode=0660"}, ::geteuid(), 4321},
                                             owned{{"umask=022"}, ::geteuid(), ::getegid()}}) {
    const scratch directory;
    program server(directory / "s", options);
    EXPECT_EQ(server.read_report().count("serving"), 1U);
    EXPECT_EQ(status_of(directory / "s").st_uid, user);
    EXPECT_EQ(status_of(directory / "s").st_gid, group);
    EXPECT_EQ(mode_of(directory / "s"), group == 4321 && user != 1234 ? 0660U : 0666U);
  }
}

}  // namespace
