// SPDX-License-Identifier: MIT OR Apache-2.0
// A static sd-activate as process 1 of a container that holds nothing but itself, a unit pair, and a static service.
#include "client.hpp"
#include "directory.hpp"
#include "isolation.hpp"
#include "running.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::eventually;
using sd::activate::test::run;
using sd::activate::test::words;
using sd::test::accepts_connections;
using sd::test::ask;
using testing::HasSubstr;

namespace fs = std::filesystem;

class container : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(STATIC_SD_ACTIVATE).empty()) GTEST_SKIP() << "SKIPPED: no static program can be linked";
    if (!sd::test::isolation_error().empty()) GTEST_SKIP() << "SKIPPED: " << sd::test::isolation_error();
    const auto trial = run({}, with_program({"true"}));
    if (trial.status != 0) GTEST_SKIP() << "SKIPPED: cannot make namespaces: " << trial.errors;
    fs::copy_file(STATIC_SD_ACTIVATE, root_ / "sd-activate");
    fs::copy_file(STATIC_SERVICE, root_ / "service");
    write("it.socket", "[Socket]\nListenStream=127.0.0.1:0\nListenStream=/run/it.sock\n");
    write("it.service", "[Service]\nType=notify\nExecStart=/service --ready\n");
  }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }

  /// sd-activate as process 1 of new namespaces, with the directory as its root.
  [[nodiscard]] circumstances inside() const {
    return with_program({"--root=" + root_.path(), "--wd=/", "/sd-activate"});
  }

  sd::test::directory root_;

 private:
  static circumstances with_program(const words& last) {
    circumstances how;
    how.program = {"unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"};
    how.program.insert(how.program.end(), last.begin(), last.end());
    how.has_events = last.back() != "true";
    return how;
  }
};

TEST_F(container, process_1_serves_and_ends_on_sigterm) {
  ASSERT_EQ(root_.entries().size(), 4U);
  activator program({"/it.socket"}, inside());
  const auto where = program.addresses(2);
  EXPECT_EQ(where[1], "/run/it.sock");
  const auto path = root_.path() + where[1];
  const auto pid = ask(where[0], "pid");
  EXPECT_EQ(program.event("started").at("pid"), std::stoi(pid));
  program.event("ready");
  EXPECT_EQ(ask(path, "names"), "it.socket it.socket");

  const auto client = sd::test::connect(path);
  sd::test::send(client, "kill 1 15");
  EXPECT_EQ(program.event("exited").at("status"), 128 + SIGTERM);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_FALSE(accepts_connections(where[0]));
  EXPECT_EQ(program.errors(), "sd-activate: listening on stream inet " + where[0] +
                                  " nonblocking\nsd-activate: listening on stream unix /run/it.sock nonblocking\n");
}

TEST_F(container, process_1_reaps_orphans) {
  activator program({"/it.socket"}, inside());
  const auto where = program.address();
  const auto orphan = ask(where, "orphan");
  EXPECT_GT(std::stoi(orphan), 2);
  EXPECT_TRUE(eventually([&] { return ask(where, "exists " + orphan) == "no"; }));
}

TEST_F(container, second_sigterm_kills_the_service) {
  write("it.service", "[Service]\nExecStart=/service --handle 15 /stopping\n");
  activator program({"/it.socket"}, inside());
  const auto where = program.address();
  EXPECT_EQ(ask(where, "kill 1 15"), "done");
  EXPECT_TRUE(eventually([&] { return fs::exists(root_ / "stopping"); }));
  const auto client = sd::test::connect(where);
  sd::test::send(client, "kill 1 15");
  EXPECT_EQ(program.event("exited").at("status"), 128 + SIGKILL);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_THAT(program.errors(), HasSubstr("killing what has not stopped yet"));
}

TEST_F(container, users_are_found_in_etc_passwd) {
  write("it.socket", "[Socket]\nListenStream=/run/it.sock\nSocketUser=somebody\nSocketGroup=some\n");
  const auto missing = run({"/it.socket"}, inside());
  EXPECT_EQ(missing.errors, "sd-activate: error: SocketUser=somebody: there is no such user\n");
  EXPECT_EQ(missing.status, 1);

  write("etc/passwd", "somebody:x:0:0::/:/bin/sh\n");
  write("etc/group", "some:x:0:\n");
  activator program({"/it.socket"}, inside());
  EXPECT_EQ(program.address(), "/run/it.sock");
}

/// Such a module may belong to another C library than the one that the program contains.
TEST_F(container, modules_of_nsswitch_are_not_loaded) {
  write("it.socket", "[Socket]\nListenStream=/run/it.sock\nSocketUser=somebody\nSocketGroup=some\n");
  write("it.service", "[Service]\nExecStart=/service\nUser=root\n");
  write("etc/passwd", "root:x:0:0::/:/bin/sh\n");
  write("etc/nsswitch.conf", "passwd: other files\ngroup: other files\ninitgroups: other files\n");
  // A program that loads the module waits until somebody writes to it.
  fs::create_directory(root_ / "lib");
  ASSERT_EQ(::mkfifo((root_ / "lib/libnss_other.so.2").c_str(), 0600), 0) << std::generic_category().message(errno);
  const auto missing = run({"/it.socket"}, inside());
  EXPECT_EQ(missing.errors, "sd-activate: error: SocketUser=somebody: there is no such user\n");
}

TEST_F(container, missing_program_is_named) {
  fs::remove(root_ / "service");
  const auto result = run({"/it.socket"}, inside());
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.errors,
            "/it.service:3:11: error: /service: No such file or directory\n    3 | ExecStart=/service --ready\n"
            "      |           ^\n");
}

}  // namespace
