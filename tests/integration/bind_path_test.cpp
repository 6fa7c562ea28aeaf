// What sd::take_or_bind() finds and leaves at paths: in crowds of programs, on what is there already, and with modes
// and owners.

#include <sd/address.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>

#include "binding.hpp"
#include "client.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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
using sd::test::of_kind;
using sd::test::program;
using sd::test::refuses;
using sd::test::scratch;
using sd::test::status_of;
using sd::test::words;
using testing::HasSubstr;
using testing::IsEmpty;

// --- crowds ----------------------------------------------------------------------------------------------------------

std::size_t crowd_size() { return is_slow() ? 6 : 20; }
int rounds() { return is_slow() ? 2 : 10; }

/// At most one serves, its path is live, and nothing else is there. Then the same once it has gone.
void expect_one_server(const scratch& directory, const std::vector<program*>& servers) {
  ASSERT_EQ(servers.size(), 1U);
  EXPECT_EQ(directory.entries(), words{"s"});
  EXPECT_EQ(ask(directory / "s", "words"), "words");
  EXPECT_EQ(servers.front()->stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(crowd, of_programs_has_one_server) {
  for (int round = 0; round < 2 * rounds(); ++round) {
    const scratch directory;
    if (round % 2 == 1) leave_dead_socket(directory / "s");
    crowd all(crowd_size(), directory / "s");
    all.release();
    expect_one_server(directory, all.servers());
  }
}

TEST(crowd, makes_the_directories_together) {
  const scratch directory;
  crowd all(crowd_size(), directory / "a/b/c/s");
  all.release();
  EXPECT_EQ(all.servers().size(), 1U);
  EXPECT_EQ(ask(directory / "a/b/c/s", "words"), "words");
}

TEST(crowd, while_the_server_stops_leaves_no_dead_path) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    program former(directory / "s", round % 2 == 0 ? words{} : words{"close-first"});
    ASSERT_EQ(former.says().count("serving"), 1U);
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

TEST(crowd, while_the_server_is_killed_has_one_server_at_most) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    program former(directory / "s");
    ASSERT_EQ(former.says().count("serving"), 1U);
    crowd all(crowd_size(), directory / "s");
    all.release();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    EXPECT_EQ(former.stop(SIGKILL), 128 + SIGKILL);
    if (const auto servers = all.servers(); !servers.empty()) expect_one_server(directory, servers);

    program next(directory / "s");
    EXPECT_EQ(next.says().count("serving"), 1U);
    expect_one_server(directory, {&next});
  }
}

TEST(crowd, whose_programs_are_killed_hinders_none_after_them) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    crowd all(crowd_size() / 2, directory / "s", {"times=1000000"});
    all.release();
    for (const auto& each : all.programs()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      EXPECT_EQ(each->stop(SIGKILL), 128 + SIGKILL);
    }
    program next(directory / "s");
    EXPECT_EQ(next.says().count("serving"), 1U);
    expect_one_server(directory, {&next});
  }
}

/// Programs that bind and go, over and over: whoever has bound is who clients get to.
void come_and_go(const words& options) {
  const scratch directory;
  leave_dead_socket(directory / "s");
  crowd all(is_slow() ? 3 : 6, directory / "s", options);
  all.release();
  int bound = 0;
  for (const auto& each : all.programs()) {
    auto said = each->says();
    EXPECT_EQ(said["lost"], "0");
    EXPECT_EQ(said["failed"], "none");
    EXPECT_EQ(each->wait(), 0);
    bound += std::stoi(said["bound"]);
  }
  EXPECT_GT(bound, 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

std::string times() { return is_slow() ? "times=100" : "times=1500"; }

TEST(crowd, that_comes_and_goes_reaches_whom_it_should) { come_and_go({times()}); }

TEST(crowd, that_comes_and_goes_by_way_of_dead_paths_reaches_whom_it_should) { come_and_go({times(), "close-first"}); }

// --- what is at the path already -------------------------------------------------------------------------------------

TEST(recovery, of_what_a_killed_server_left) {
  for (const auto kind : {kind::stream, kind::seqpacket, kind::datagram}) {
    const scratch directory;
    const auto option = std::string("kind=") + sd::to_string(kind);
    program former(directory / "s", {option});
    ASSERT_EQ(former.says().count("serving"), 1U);
    EXPECT_EQ(former.stop(SIGKILL), 128 + SIGKILL);
    EXPECT_EQ(directory.entries(), words{"s"});

    program next(directory / "s", {option});
    EXPECT_EQ(next.says().count("serving"), 1U);
    EXPECT_EQ(directory.entries(), words{"s"});
    const int type = kind == kind::datagram ? SOCK_DGRAM : kind == kind::seqpacket ? SOCK_SEQPACKET : SOCK_STREAM;
    EXPECT_EQ(ask(directory / "s", "words", type), "words");
    EXPECT_EQ(next.stop(), 0);
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(recovery, of_a_lock_file_that_nobody_holds) {
  const scratch directory;
  std::ofstream(directory / "s.sd-lock").close();
  leave_dead_socket(directory / "s");
  const auto server = bind_one(directory / "s");
  EXPECT_EQ(directory.entries(), words{"s"});
}

TEST(recovery, waits_for_who_holds_the_lock) {
  const scratch directory;
  const unique_fd lock(check(::open((directory / "s.sd-lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  check(::flock(lock.get(), LOCK_EX), "flock");
  crowd one(1, directory / "s");
  one.release();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(directory.entries(), words{"s.sd-lock"});
  // As a holder that goes does it.
  std::filesystem::remove(directory / "s.sd-lock");
  check(::flock(lock.get(), LOCK_UN), "flock");
  expect_one_server(directory, one.servers());
}

TEST(recovery, spares_a_server_that_does_not_use_the_library) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    for (const auto kind : {kind::stream, kind::seqpacket, kind::datagram}) {
      const scratch directory;
      const auto where = directory / "s";
      const auto server = foreign_server(where, type);
      const auto file = status_of(where).st_ino;
      EXPECT_EQ(failure_of(where, of_kind(kind)), "bind to " + where + ": Address already in use");
      EXPECT_FALSE(has_client(server)) << "the probe is seen";
      EXPECT_EQ(status_of(where).st_ino, file);
      EXPECT_EQ(directory.entries(), words{"s"});
      EXPECT_FALSE(refuses(where, type));
    }
  }
}

TEST(recovery, spares_a_server_that_does_not_listen_yet) {
  const scratch directory;
  const sd::address where(directory / "s");
  const unique_fd server(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const auto size = static_cast<socklen_t>(where.size());
  check(::bind(server.get(), static_cast<const sockaddr*>(where.data()), size), "bind");
  EXPECT_THAT(failure_of(directory / "s"), HasSubstr("Address already in use"));
  check(::listen(server.get(), 1), "listen");
  EXPECT_FALSE(refuses(directory / "s"));
}

TEST(recovery, spares_what_is_no_socket) {
  const scratch directory;
  const auto where = directory / "s";
  const auto expect_spared = [&](const char* what) {
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
  expect_spared("a file");
  std::filesystem::create_directory(where);
  expect_spared("a directory");
  check(::mkfifo(where.c_str(), 0600), "mkfifo");
  expect_spared("a fifo");
  std::filesystem::create_symlink(directory / "nowhere", where);
  expect_spared("a link to nowhere");
  leave_dead_socket(directory / "dead");
  std::filesystem::create_symlink(directory / "dead", where);
  expect_spared("a link to a dead socket");
  EXPECT_EQ(directory.entries(), words{"dead"});
}

// --- what is removed, and what is not --------------------------------------------------------------------------------

TEST(cleanup, removes_the_path) {
  const scratch directory;
  program server(directory / "s");
  ASSERT_EQ(server.says().count("serving"), 1U);
  EXPECT_EQ(directory.entries(), words{"s"});
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, removes_the_path_also_where_the_socket_went_first) {
  const scratch directory;
  program server(directory / "s", {"close-first"});
  ASSERT_EQ(server.says().count("serving"), 1U);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, leaves_a_path_that_was_released) {
  const scratch directory;
  program server(directory / "s", {"release"});
  ASSERT_EQ(server.says().count("serving"), 1U);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(directory.entries(), words{"s"});
}

TEST(cleanup, is_not_for_a_forked_child) {
  const scratch directory;
  program server(directory / "s", {"fork"});
  ASSERT_EQ(server.says().count("serving"), 1U);  // the child has gone by then
  EXPECT_EQ(directory.entries(), words{"s"});
  expect_one_server(directory, {&server});
}

TEST(cleanup, leaves_a_path_that_another_server_has_now) {
  for (const auto& [closes_first, at_the_same_time] :
       {std::pair{false, false}, std::pair{true, false}, std::pair{false, true}, std::pair{true, true}}) {
    const scratch directory;
    program server(directory / "s", closes_first ? words{"close-first"} : words{});
    ASSERT_EQ(server.says().count("serving"), 1U);
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

TEST(cleanup, leaves_what_was_renamed_and_what_took_its_place) {
  const scratch directory;
  program server(directory / "s");
  ASSERT_EQ(server.says().count("serving"), 1U);
  std::filesystem::rename(directory / "s", directory / "renamed");
  EXPECT_EQ(ask(directory / "renamed", "words"), "words");
  std::ofstream(directory / "s").close();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(directory.entries(), (words{"renamed", "s"}));
}

/// Directories of file systems that give out inode numbers in ways of their own.
words file_systems() {
  words all = {testing::TempDir()};
  if (::access("/dev/shm", W_OK) == 0) all.emplace_back("/dev/shm/");
  return all;
}

/// Servers, until one has got this inode number, which then has the path; if none has, the last has it.
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

TEST(cleanup, leaves_another_server_whose_file_has_the_same_inode_number) {
  int same = 0;
  for (const auto& parent : file_systems()) {
    for (int i = 0; i < 100; ++i) {
      const scratch directory(parent);
      const auto where = directory / "s";
      auto first = bind_one(where);
      const auto number = status_of(where).st_ino;
      std::filesystem::remove(where);
      first.release_fd().reset();  // which is what held the number
      std::this_thread::sleep_for(std::chrono::microseconds(i * 100));
      const auto others = servers_with(number, where, same);
      first = {};
      ASSERT_TRUE(exists(where)) << "in " << parent << ", " << i << " tenths of a millisecond later";
      EXPECT_FALSE(refuses(where));
    }
  }
  RecordProperty("same_inode_numbers", same);
}

TEST(cleanup, of_one_path_by_move_assignment_of_another) {
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

TEST(cleanup, survives_that_the_directory_has_gone) {
  const scratch directory;
  auto server = bind_one(directory / "d/s");
  std::filesystem::remove_all(directory / "d");
  server = {};
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, of_the_longest_path) {
  const scratch directory;
  const auto where = directory / std::string(107 - directory.path().size() - 1, 'x');
  program server(where);
  auto said = server.says();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(ask(where, "words"), "words");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, leaves_no_descriptor) {
  const scratch directory;
  const auto next_free = [] {
    const unique_fd copy(check(::dup(STDIN_FILENO), "dup"));
    return copy.get();
  };
  const int before = next_free();
  leave_dead_socket(directory / "s");
  for (int i = 0; i < 3; ++i) bind_one(directory / "s");
  std::ofstream(directory / "file").close();
  EXPECT_NE(failure_of(directory / "file"), "");
  EXPECT_EQ(next_free(), before);
}

// --- modes and owners ------------------------------------------------------------------------------------------------

TEST(permissions, of_directories_that_are_made) {
  struct made {
    words options;
    unsigned mode;
  };
  for (const auto& [options, mode] : {made{{"umask=0"}, 0755}, made{{"umask=022", "directory-mode=0777"}, 0755},
                                      made{{"umask=0", "directory-mode=0711"}, 0711}, made{{"umask=077"}, 0700}}) {
    const scratch directory;
    check(::chmod(directory.path().c_str(), 0751), "chmod");
    program server(directory / "a/b/s", options);
    EXPECT_EQ(server.says().count("serving"), 1U);
    EXPECT_EQ(mode_of(directory.path()), 0751U) << "this one was there";
    EXPECT_EQ(mode_of(directory / "a"), mode);
    EXPECT_EQ(mode_of(directory / "a/b"), mode);
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(directory.entries(), words{"a"}) << "directories stay";
  }
}

TEST(permissions, of_the_path_are_what_the_umask_leaves) {
  for (const auto& [umask, mode] :
       {std::pair{"umask=0", 0777U}, std::pair{"umask=022", 0755U}, std::pair{"umask=077", 0700U}}) {
    const scratch directory;
    program server(directory / "s", {umask});
    EXPECT_EQ(server.says().count("serving"), 1U);
    EXPECT_EQ(mode_of(directory / "s"), mode);
  }
}

TEST(permissions, of_the_path_are_exactly_what_was_asked_for) {
  for (const char* const umask : {"umask=0", "umask=077"}) {
    for (const char* const option : {"kind=stream", "kind=seqpacket", "kind=datagram"}) {
      for (const unsigned mode : {0600U, 0666U, 0777U, 0000U}) {
        const scratch directory;
        std::ostringstream text;
        text << "mode=" << std::oct << mode;
        program server(directory / "s", {umask, option, text.str()});
        EXPECT_EQ(server.says().count("serving"), 1U);
        EXPECT_EQ(mode_of(directory / "s"), mode) << umask << ' ' << option;
      }
    }
  }
}

TEST(permissions, owner_and_group_are_what_was_asked_for) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: this takes root";
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
    EXPECT_EQ(server.says().count("serving"), 1U);
    EXPECT_EQ(status_of(directory / "s").st_uid, user);
    EXPECT_EQ(status_of(directory / "s").st_gid, group);
    EXPECT_EQ(mode_of(directory / "s"), group == 4321 && user != 1234 ? 0660U : 0755U);
  }
}

}  // namespace
