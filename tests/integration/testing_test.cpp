// SPDX-License-Identifier: MIT OR Apache-2.0
// The helpers of <sd/testing.hpp>, as the programs that they start see them.

#include <sd/testing.hpp>

#include "directory.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace {

/// Reads until the other end is closed.
std::string read_all(const sd::unique_fd& from) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t n = 0; (n = ::read(from.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

/// Returns what a shell command prints to descriptor 3, which is a connection. The given descriptors follow it.
std::string printed(const std::string& command, std::vector<sd::listen_fd> more = {},
                    const std::map<std::string, std::string>& environment = {}) {
  auto [passed, client] = sd::testing::connection();
  std::vector<sd::listen_fd> fds;
  fds.push_back(std::move(passed));
  for (auto& entry : more) fds.push_back(std::move(entry));
  sd::testing::process shell({"sh", "-c", '(' + command + ") >&3"}, fds, environment);
  fds.clear();
  auto text = read_all(client);
  EXPECT_EQ(shell.wait(), 0);
  return text;
}

std::vector<sd::listen_fd> two_sockets() {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0", "web"));
  fds.push_back(sd::testing::open(sd::kind::datagram, "127.0.0.1:0"));
  return fds;
}

TEST(testing_process, variables_and_descriptors_are_passed) {
  EXPECT_EQ(printed("[ $LISTEN_PID = $$ ] && echo $LISTEN_FDS $LISTEN_FDNAMES", two_sockets()),
            "3 connection:web:unknown\n");
  EXPECT_EQ(printed("[ -S /dev/fd/4 ] && [ -S /dev/fd/5 ] && [ ! -e /dev/fd/6 ] && echo open", two_sockets()),
            "open\n");
}

TEST(testing_process, pidfdid_is_set_if_the_kernel_has_pidfs) {
  const auto set = printed("echo ${LISTEN_PIDFDID:+set}");
  EXPECT_EQ(set, sd::test::pidfd_inode(::getpid()) ? "set\n" : "\n");
}

TEST(testing_process, environment_is_inherited_and_replaced) {
  ::setenv("SD_TEST_INHERITED", "yes", 1);
  ::setenv("SD_TEST_REPLACED", "no", 1);
  ::setenv("LISTEN_FDNAMES", "stale:names:of:another", 1);
  EXPECT_EQ(printed("echo $SD_TEST_INHERITED $SD_TEST_REPLACED $LISTEN_FDNAMES", {}, {{"SD_TEST_REPLACED", "given"}}),
            "yes given connection\n");
  ::unsetenv("LISTEN_FDNAMES");
}

TEST(testing_process, caller_keeps_the_descriptors) {
  const auto fds = two_sockets();
  for (int i = 0; i < 2; ++i) {
    sd::testing::process shell({"sh", "-c", "[ -S /dev/fd/3 ] && [ -S /dev/fd/4 ]"}, fds);
    EXPECT_EQ(shell.wait(), 0);
  }
  EXPECT_EQ(sd::describe(fds[0].fd.get()).kind, sd::kind::stream);
}

TEST(testing_process, unnamed_descriptors_set_no_names) {
  std::vector<sd::listen_fd> fds;
  fds.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0"));
  sd::testing::process shell({"sh", "-c", "[ $LISTEN_FDS = 1 ] && [ -z \"${LISTEN_FDNAMES+set}\" ]"}, fds);
  EXPECT_EQ(shell.wait(), 0);
}

TEST(testing_process, empty_list_sets_no_variable) {
  sd::testing::process shell({"sh", "-c", "! env | grep ^LISTEN_"}, {});
  EXPECT_EQ(shell.wait(), 0);
}

TEST(testing_process, exit_status_or_signal) {
  sd::testing::process status({"sh", "-c", "exit 7"}, {});
  EXPECT_EQ(status.wait(), 7);
  EXPECT_EQ(status.wait(), 7);
  EXPECT_EQ(status.pid(), 0);
  sd::testing::process killed({"sleep", "100"}, {});
  EXPECT_GT(killed.pid(), 0);
  EXPECT_EQ(killed.stop(SIGKILL), 128 + SIGKILL);
  sd::testing::process stopped({"sleep", "100"}, {});
  EXPECT_EQ(stopped.stop(), 128 + SIGTERM);
}

TEST(testing_process, destructor_kills_the_program) {
  int pid = 0;
  {
    const sd::testing::process process({"sleep", "100"}, {});
    pid = process.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(testing_process, destructor_kills_a_program_that_ignores_other_signals) {
  auto [passed, client] = sd::testing::connection();
  std::vector<sd::listen_fd> fds;
  fds.push_back(std::move(passed));
  const sd::testing::process process({"sh", "-c", "trap '' TERM USR1; exec sleep 100 3>&-"}, fds);
  fds.clear();
  EXPECT_EQ(read_all(client), "");  // until the program has set its signals
}

TEST(testing_process, signals_do_not_interrupt_wait) {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART; it stays, as valgrind delivers late
  ASSERT_EQ(::sigaction(SIGALRM, &action, nullptr), 0);
  sd::testing::process process({"sh", "-c", "sleep 0.2; exit 7"}, {});
  const itimerval often{{0, 20'000}, {0, 20'000}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  EXPECT_EQ(process.wait(), 7);
  const itimerval never{};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &never, nullptr), 0);
}

TEST(testing_process, exit_status_is_unknown_if_sigchld_is_ignored) {
  auto* const saved = ::signal(SIGCHLD, SIG_IGN);
  sd::testing::process process({"true"}, {});
  EXPECT_EQ(process.wait(), -1);
  ::signal(SIGCHLD, saved);
}

TEST(testing_process, forked_copy_does_nothing) {
  auto process =
      std::make_unique<sd::testing::process>(std::vector<std::string>{"sleep", "100"}, std::vector<sd::listen_fd>());
  const auto in_a_child = [](const auto& function) {
    const int child = ::fork();
    if (child == 0) ::_exit(function() ? 0 : 1);
    int status = -1;
    return ::waitpid(child, &status, 0) == child && status == 0;
  };
  EXPECT_TRUE(in_a_child([&] { return process->wait() == -1 && process->pid() != 0; }));
  EXPECT_TRUE(in_a_child([&] { return process->stop(SIGKILL) == -1; }));
  EXPECT_TRUE(in_a_child([&] {
    const sd::testing::process moved(std::move(*process));
    return moved.pid() != 0;
  }));
  EXPECT_EQ(process->stop(), 128 + SIGTERM);
}

TEST(testing_process, failure_names_the_program) {
  try {
    const sd::testing::process process({"/nowhere/program"}, two_sockets());
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
    EXPECT_STREQ(error.what(), "start /nowhere/program: No such file or directory");
  }
}

TEST(testing_process, names_that_cannot_be_passed) {
  for (const auto& name : {std::string("a:b"), std::string("a\nb"), std::string(256, 'a'), std::string("\x7f")}) {
    auto fds = two_sockets();
    fds.front().name = name;
    EXPECT_THROW(sd::testing::process({"true"}, fds), std::system_error) << name;
  }
}

TEST(testing_open, every_kind) {
  const sd::test::directory directory;
  const std::vector<std::pair<sd::kind, std::string>> kinds = {
      {sd::kind::stream, "127.0.0.1:0"},
      {sd::kind::stream, "[::1]:0"},
      {sd::kind::stream, directory / "stream"},
      {sd::kind::stream, "@testing." + std::to_string(::getpid())},
      {sd::kind::seqpacket, directory / "packets"},
      {sd::kind::datagram, "[::1]:0"},
      {sd::kind::datagram, directory / "datagrams"},
      {sd::kind::fifo, directory / "fifo"},
      {sd::kind::special, "/dev/null"},
      {sd::kind::netlink, "route 1"},
  };
  for (const auto& [kind, where] : kinds) {
    const auto passed = sd::testing::open(kind, where, "name");
    EXPECT_EQ(passed.name, "name");
    EXPECT_EQ(sd::describe(passed.fd.get()).kind, kind) << where;
  }
  const auto opened = sd::testing::open(sd::kind::stream, "127.0.0.1:0");
  EXPECT_NE(sd::describe(opened.fd.get()).local.port(), 0U);
  const auto special = sd::testing::open(sd::kind::special, "/dev/null");
  EXPECT_EQ(::fcntl(special.fd.get(), F_GETFL) & O_ACCMODE, O_RDWR);
}

TEST(testing_open, netlink_families_and_groups) {
  constexpr int kobject_uevent = 15;
  const std::tuple<const char*, int, unsigned> rows[] = {
      {"route", 0, 0}, {"route 1", 0, 1}, {"route 5", 0, 5}, {"kobject-uevent 1", kobject_uevent, 1}};
  for (const auto& [where, protocol, groups] : rows) {
    const auto passed = sd::testing::open(sd::kind::netlink, where);
    const auto what = sd::describe(passed.fd.get());
    EXPECT_EQ(what.protocol, protocol) << where;
    sockaddr_nl local{};
    ASSERT_EQ(what.local.size(), sizeof local);
    std::memcpy(&local, what.local.data(), sizeof local);
    EXPECT_EQ(local.nl_groups, groups) << where;
  }
}

TEST(testing_open, descriptor_0) {
  const sd::unique_fd saved(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  ::close(STDIN_FILENO);
  {
    const auto passed = sd::testing::open(sd::kind::special, "/dev/null");
    EXPECT_EQ(passed.fd.get(), 0);
  }
  ::dup2(saved.get(), STDIN_FILENO);
}

TEST(testing_open, failure_names_the_address) {
  const auto error_of = [](sd::kind kind, const std::string& where) {
    try {
      static_cast<void>(sd::testing::open(kind, where));
      return std::string("none");
    } catch (const std::system_error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_THAT(error_of(sd::kind::stream, "localhost:80"), testing::StartsWith("address \"localhost:80\": "));
  EXPECT_EQ(error_of(sd::kind::special, "/nowhere/file"), "open /nowhere/file: No such file or directory");
  EXPECT_EQ(error_of(sd::kind::directory, "/tmp"), "open a directory by /tmp: Invalid argument");
  EXPECT_EQ(error_of(sd::kind::netlink, "nothing 1"), "netlink nothing 1: Invalid argument");
}

TEST(testing_connection, is_a_connection) {
  const auto [passed, client] = sd::testing::connection();
  EXPECT_EQ(passed.name, "connection");
  EXPECT_EQ(sd::describe(passed.fd.get()).kind, sd::kind::connection);
}

/// The type that socketpair() below was called with.
int pair_type = 0;

TEST(testing_connection, is_close_on_exec_from_the_start) {
  pair_type = 0;
  const auto [passed, client] = sd::testing::connection();
  EXPECT_EQ(pair_type, SOCK_STREAM | SOCK_CLOEXEC);
  EXPECT_EQ(::fcntl(passed.fd.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::fcntl(client.get(), F_GETFD), FD_CLOEXEC);
}

}  // namespace

extern "C" int socketpair(int domain, int type, int protocol, int* ends) {
  pair_type = type;
  return static_cast<int>(::syscall(SYS_socketpair, domain, type, protocol, ends));
}
