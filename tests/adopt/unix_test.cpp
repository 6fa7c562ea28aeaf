// SPDX-License-Identifier: MIT OR Apache-2.0
// Unix sockets and their paths.
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::kind;
using sd::listen_fd;
using sd::adopt::test::list;
using sd::adopt::test::program;
using sd::adopt::test::verbose;
using sd::adopt::test::with_library;
using sd::adopt::test::words;
using sd::test::check;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class adopt_unix : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_ / "socket"; }
  [[nodiscard]] std::string other() const { return directory_ / "other"; }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }
  [[nodiscard]] std::vector<listen_fd> passed(kind type = kind::stream) const {
    return list(sd::testing::open(type, path()));
  }

  /// Returns the steps that would change a file.
  [[nodiscard]] static words on_paths(const std::string& from, const std::string& to) {
    words steps;
    for (const char* const step :
         {"unlink ", "remove ", "unlinkat ", "chmod ", "fchmodat ", "chown ", "lchown ", "fchownat "}) {
      steps.push_back(step + from);
    }
    for (const char* const step : {"rename ", "renameat ", "renameat2 "}) {
      steps.emplace_back(step).append(from).append(" ").append(to);
    }
    return steps;
  }

 private:
  sd::test::directory directory_;
};

TEST_F(adopt_unix, path_stays) {
  const auto fds = passed();
  check(::chmod(path().c_str(), 0640), "chmod");
  const auto steps = on_paths(path(), other());
  EXPECT_THAT(program(steps, fds, with_library).results(), Each(EndsWith(": 0")));
  program server({"exists " + path(), "exists " + other(), "fchownat-empty " + path(), "mode " + path(),
                  "fd=socket unix stream", "bind $fd " + path(), "listen $fd"},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("exists " + path() + ": yes", "exists " + other() + ": no",
                          "fchownat-empty " + path() + ": 0", "mode " + path() + ": 640 " + std::to_string(::geteuid()),
                          "fd=socket unix stream: 3", "bind $fd " + path() + ": 0", "listen $fd: 0"));
  EXPECT_TRUE(sd::test::accepts_connections(path()));
}

TEST_F(adopt_unix, missing_files_are_reported_as_usual) {
  auto fds = passed();
  fds.push_back(sd::testing::open(kind::stream, "127.0.0.1:0"));
  EXPECT_THAT(program(on_paths(other(), other() + '2'), fds, with_library).results(), Each(EndsWith(": ENOENT")));
}

TEST_F(adopt_unix, file_in_the_place_of_the_socket_is_not_protected) {
  auto fds = passed();
  fds.push_back(sd::testing::open(kind::stream, other()));
  std::filesystem::remove(path());
  std::ofstream(path()).flush();
  program server({"fd=socket unix stream", "bind $fd " + path(), "unlink " + path(), "unlink " + path()}, fds,
                 with_library);
  EXPECT_THAT(server.results(), ElementsAre("fd=socket unix stream: 3", "bind $fd " + path() + ": 0",
                                            "unlink " + path() + ": 0", "unlink " + path() + ": ENOENT"));
}

TEST_F(adopt_unix, socket_of_another_type_or_with_a_name_is_bound_as_usual) {
  const auto fds = passed();
  program server({"a=socket unix datagram", "bind $a " + path(), "b=socket unix stream", "bind $b " + other(),
                  "bind $b " + path()},
                 fds, with_library);
  const auto results = server.results();
  EXPECT_EQ(results[1], "bind $a " + path() + ": EADDRINUSE");
  EXPECT_EQ(results[3], "bind $b " + other() + ": 0");
  EXPECT_THAT(results[4], Not(EndsWith(": 0")));  // the error depends on the kernel
}

TEST(adopt, kernel_chooses_a_name) {
  listen_fd unnamed{std::nullopt, sd::unique_fd(check(::socket(AF_UNIX, SOCK_STREAM, 0), "socket"))};
  const auto fds = list(std::move(unnamed));
  program server({"fd=socket unix stream", "bind $fd @x 2", "name $fd"}, fds, verbose);
  EXPECT_THAT(server.results().back(), StartsWith("name $fd: other @"));
  EXPECT_EQ(server.errors(), "libsd-adopt: bind 3 to an unnamed unix socket: no such socket was passed\n");
}

TEST_F(adopt_unix, messages_contain_no_control_characters) {
  const auto fds = list(sd::testing::open(kind::stream, directory() / "a b!~\x7f\n\x80z"));
  std::filesystem::create_symlink(directory() / "a b!~\x7f\n\x80z", other());
  program server({"fd=socket unix stream", "bind $fd " + other()}, fds, verbose);
  static_cast<void>(server.results());
  EXPECT_THAT(server.errors(), EndsWith("adopted the passed socket at " + (directory() / "a?b!~???z\n")));
}

TEST_F(adopt_unix, path_is_not_replaced_by_another_socket) {
  const auto fds = passed();
  program server({"fd=socket unix stream", "bind $fd " + other(), "rename " + other() + ' ' + path()}, fds, verbose);
  EXPECT_EQ(server.results().back(), "rename " + other() + ' ' + path() + ": EBUSY");
  EXPECT_THAT(server.errors(), HasSubstr(path() + ": not replaced, because it is the path of a passed socket\n"));
}

TEST_F(adopt_unix, other_files_are_not_protected) {
  const auto fds = passed();
  std::ofstream(other()).flush();
  program server({"chmod " + other(), "rename " + other() + ' ' + other() + '2', "unlink " + other() + '2',
                  "unlink " + other() + '2'},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("chmod " + other() + ": 0", "rename " + other() + ' ' + other() + "2: 0",
                                            "unlink " + other() + "2: 0", "unlink " + other() + "2: ENOENT"));
}

TEST_F(adopt_unix, path_through_a_symbolic_link) {
  std::filesystem::create_directory_symlink(directory().path(), other());
  const auto fds = passed();
  program server({"unlink " + other() + "/socket", "fd=socket unix stream", "bind $fd " + other() + "/socket"}, fds,
                 verbose);
  EXPECT_EQ(server.results().back(), "bind $fd " + other() + "/socket: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST_F(adopt_unix, path_in_a_changed_root_directory) {
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: needs root";
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: LeakSanitizer needs /proc";
  program server({"chroot " + directory().path(), "unlink /socket", "fd=socket unix stream", "bind $fd /socket"},
                 passed(), with_library);
  EXPECT_EQ(server.results().back(), "bind $fd /socket: 0");
}

TEST_F(adopt_unix, only_directories_are_to_be_removed) {
  program server({"unlinkat-directory " + path()}, passed(), with_library);
  EXPECT_EQ(server.results().back(), "unlinkat-directory " + path() + ": ENOTDIR");
}

TEST_F(adopt_unix, mode_and_owner_stay_through_a_symbolic_link) {
  const auto fds = passed();
  check(::chmod(path().c_str(), 0640), "chmod");
  std::filesystem::create_symlink(path(), other());
  program server({"chmod " + other(), "fchmodat " + other(), "chown " + other(), "mode " + path(), "unlink " + other()},
                 fds, with_library);
  EXPECT_EQ(server.results()[3], "mode " + path() + ": 640 " + std::to_string(::geteuid()));
  EXPECT_FALSE(std::filesystem::is_symlink(other()));
}

TEST_F(adopt_unix, types_and_abstract_names) {
  for (const auto& [type, name] : {std::pair{kind::datagram, "datagram"}, {kind::seqpacket, "seqpacket"}}) {
    const auto fds = passed(type);
    program server({"fd=socket unix " + std::string(name), "bind $fd " + path()}, fds, verbose);
    EXPECT_EQ(server.results().back(), "bind $fd " + path() + ": 0");
    std::filesystem::remove(path());
  }
  const auto where = "@sd-adopt-test-" + std::to_string(::getpid());
  const auto fds = list(sd::testing::open(kind::stream, where));
  program server({"fd=socket unix stream", "bind $fd " + where}, fds, verbose);
  EXPECT_EQ(server.results().back(), "bind $fd " + where + ": 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted the passed socket at " + where));
}

}  // namespace
