// What sd::activation hands to a program, seen from inside the program, and what is left to the caller and to its
// preparation.

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>
#include <sd/unique_fd.hpp>

#include "activating.hpp"
#include "allocation.hpp"
#include "directory.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using sd::listen_fd;
using sd::test::all_of;
using sd::test::check;
using sd::test::failure_of;
using sd::test::inode;
using sd::test::lines_of;
using sd::test::open_descriptors;
using sd::test::reporter;
using sd::test::socket_named;
using sd::test::sockets;
using sd::test::system_error;
using sd::test::wait_for;
using sd::test::words;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using environment = std::map<std::string, std::string>;

// The words are pointed at from inside.
static_assert(!std::is_copy_constructible_v<sd::activation> && !std::is_copy_assignable_v<sd::activation>);
static_assert(!std::is_move_constructible_v<sd::activation> && !std::is_move_assignable_v<sd::activation>);

/// A file that a program's standard output goes to: what a preparation is good for.
class output {
 public:
  output() : file_(check(::open((directory_ / "output").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open")) {}
  static int attach(void* self) noexcept {
    return ::dup2(static_cast<output*>(self)->file_.get(), STDOUT_FILENO) < 0 ? errno : 0;
  }
  [[nodiscard]] std::string text() const { return all_of(directory_ / "output"); }

 private:
  sd::test::directory directory_;
  sd::unique_fd file_;
};

/// What a program prints that is started by spawn().
std::string printed(sd::activation& program) {
  output out;
  EXPECT_EQ(wait_for(program.spawn(output::attach, &out)), 0);
  return out.text();
}

std::string printed(words command, const std::vector<listen_fd>& fds, const environment& more = {}) {
  sd::activation program(std::move(command), fds, more);
  return printed(program);
}

std::string shell(const std::string& script, const std::vector<listen_fd>& fds, const environment& more = {}) {
  return printed({"sh", "-c", script}, fds, more);
}

// --- what the program finds ------------------------------------------------------------------------------------------

TEST(activation, passes_the_descriptors_in_order_and_inheritable) {
  std::vector<listen_fd> fds;
  for (const char* name : {"web", "admin", "metrics"}) fds.push_back(socket_named(name));
  std::reverse(fds.begin(), fds.end());  // not as they are numbered
  const auto report = lines_of(printed(reporter(), fds));
  const auto line = " 3=" + inode(fds[0].fd.get()) + " 4=" + inode(fds[1].fd.get()) + " 5=" + inode(fds[2].fd.get());
  EXPECT_THAT(report, Contains(StartsWith("open" + line)));
  EXPECT_THAT(report, Contains("LISTEN_FDNAMES=metrics:admin:web"));
}

TEST(activation, passes_nothing_else_but_what_is_inheritable) {
  const auto fds = sockets(2);
  const auto other = sockets(1);
  const sd::unique_fd inheritable(check(::fcntl(STDIN_FILENO, F_DUPFD, 700), "F_DUPFD"));
  std::string expected = "open 3=" + inode(fds[0].fd.get()) + " 4=" + inode(fds[1].fd.get());
  for (const auto& [fd, what] : open_descriptors()) {  // and whatever this program itself inherited
    const auto space = what.find(' ');
    if (fd > 4 && what.substr(space) == " inheritable") {
      expected += ' ' + std::to_string(fd) + '=' + what.substr(0, space);
    }
  }
  EXPECT_THAT(expected, HasSubstr(" 700="));
  EXPECT_THAT(lines_of(printed(reporter(), fds)), Contains(expected));
}

TEST(activation, sets_the_pid_and_the_count) {
  const auto fds = sockets(2);
  EXPECT_EQ(shell("[ $LISTEN_PID = $$ ] && echo $LISTEN_FDS", fds), "2\n");
}

TEST(activation, tells_the_program_the_pid_that_the_caller_is_told) {
  output out;
  sd::activation program({"sh", "-c", "echo $LISTEN_PID"}, {});
  const int pid = program.spawn(output::attach, &out);
  EXPECT_EQ(wait_for(pid), 0);
  EXPECT_EQ(out.text(), std::to_string(pid) + '\n');
}

TEST(activation, names_all_where_one_has_a_name) {
  std::vector<listen_fd> fds;
  fds.push_back(socket_named());
  fds.push_back(socket_named("web"));
  fds.push_back(socket_named());
  fds.push_back(socket_named(""));
  EXPECT_EQ(shell("echo $LISTEN_FDNAMES", fds), "unknown:web:unknown:\n");
}

TEST(activation, sets_no_names_where_nobody_has_one) {
  const auto fds = sockets(2);
  ::setenv("LISTEN_FDNAMES", "stale:names", 1);
  EXPECT_EQ(shell("echo ${LISTEN_FDNAMES-unset}", fds), "unset\n");
  ::unsetenv("LISTEN_FDNAMES");
}

TEST(activation, sets_the_pidfdid_where_there_is_one) {
  const auto set = shell("echo ${LISTEN_PIDFDID:+set}", sockets(1));
  EXPECT_EQ(set, sd::test::pidfd_inode(::getpid()) ? "set\n" : "\n");
}

TEST(activation, passes_none) {
  const auto report = lines_of(printed(reporter(), {}));
  EXPECT_THAT(report, Contains("LISTEN_FDS=0"));
  EXPECT_THAT(report, Contains(StartsWith("LISTEN_PID=")));
  EXPECT_THAT(report, Not(Contains(StartsWith("LISTEN_FDNAMES"))));
  EXPECT_THAT(printed(sd::test::command(PROBE, {"take"}), {}), StartsWith("fds 0\n"));
}

TEST(activation, replaces_what_was_for_the_parent) {
  const environment stale = {
      {"LISTEN_PID", "1"}, {"LISTEN_PIDFDID", "1"}, {"LISTEN_FDS", "77"}, {"LISTEN_FDNAMES", "stale"}};
  for (const auto& [name, value] : stale) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<listen_fd> fds;
  fds.push_back(socket_named("web"));
  const auto report = printed(reporter(), fds);
  for (const auto& [name, value] : stale) ::unsetenv(name.c_str());
  EXPECT_THAT(report, Not(HasSubstr("twice")));
  for (const auto& [name, value] : stale) {
    EXPECT_THAT(lines_of(report),
                Not(Contains(name + '=' + value)));  // NOLINT(performance-inefficient-string-concatenation)
  }
  EXPECT_THAT(lines_of(report), Contains("LISTEN_FDS=1"));
}

TEST(activation, inherits_the_environment_but_for_what_is_given) {
  ::setenv("SD_TEST_INHERITED", "yes", 1);
  ::setenv("SD_TEST_REPLACED", "no", 1);
  ::setenv("LISTEN_OTHER", "not the protocol's", 1);
  const auto report = lines_of(printed(reporter(), {}, {{"SD_TEST_REPLACED", "given"}, {"SD_TEST_ADDED", "a=b c"}}));
  for (const char* name : {"SD_TEST_INHERITED", "SD_TEST_REPLACED", "LISTEN_OTHER"}) ::unsetenv(name);
  EXPECT_THAT(report, Contains("SD_TEST_INHERITED=yes"));
  EXPECT_THAT(report, Contains("SD_TEST_REPLACED=given"));
  EXPECT_THAT(report, Contains("SD_TEST_ADDED=a=b c"));
  EXPECT_THAT(report, Contains("LISTEN_OTHER=not the protocol's"));
  EXPECT_THAT(report, Not(Contains(StartsWith("twice"))));
}

TEST(activation, sets_no_variable_twice) {
  const auto report = lines_of(
      printed(reporter(), sockets(1),
              {{"LISTEN_PID", "1"}, {"LISTEN_PIDFDID", "1"}, {"LISTEN_FDS", "77"}, {"LISTEN_FDNAMES", "given"}}));
  EXPECT_THAT(report, Not(Contains(StartsWith("twice"))));
}

TEST(activation, is_what_listen_fds_takes) {
  std::vector<listen_fd> fds;
  fds.push_back(socket_named("web"));
  fds.push_back(socket_named());
  EXPECT_THAT(printed(sd::test::command(PROBE, {"take", "required"}), fds),
              StartsWith("fds 2\n3 " + inode(fds[0].fd.get()) + " cloexec name=web\n4 " + inode(fds[1].fd.get()) +
                         " cloexec name=unknown\n"));
}

TEST(activation, is_what_listen_fds_takes_with_names_of_all_bytes) {
  for (const std::string& name :
       {std::string(255, 'n'), std::string("caf\xc3\xa9 \\ \"x\" = \xff"), std::string("-")}) {
    std::vector<listen_fd> fds;
    fds.push_back(socket_named(name));
    EXPECT_THAT(printed(sd::test::command(PROBE, {"take", "required"}), fds),
                HasSubstr(" cloexec name=" + name + '\n'));
  }
}

TEST(activation, passes_a_thousand) {
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  const rlimit saved = limit;
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_cur < 2100) GTEST_SKIP() << "SKIPPED: the hard limit of descriptors is too low";
  check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  auto fds = sockets(1000);
  std::string expected = "fds 1000\n";
  for (std::size_t i = 0; i < fds.size(); ++i) {
    fds[i].name = std::to_string(i);
    expected += std::to_string(i + 3) + ' ' + inode(fds[i].fd.get()) + " cloexec name=" + std::to_string(i) + '\n';
  }
  EXPECT_THAT(printed(sd::test::command(PROBE, {"take"}), fds), StartsWith(expected));
  fds.clear();
  check(::setrlimit(RLIMIT_NOFILE, &saved), "setrlimit");
}

// --- the command -----------------------------------------------------------------------------------------------------

TEST(activation, looks_the_command_up_in_path) {
  const sd::test::directory directory;
  const auto script = directory / "sd-test-command";
  std::ofstream(script) << "#!/bin/sh\necho found $1 $2\n";
  check(::chmod(script.c_str(), 0700), "chmod");
  EXPECT_EQ(printed({"sd-test-command", "a b", "c"}, {}, {{"PATH", directory.path() + ":/usr/bin:/bin"}}),
            "found a b c\n");
  sd::activation without({"sd-test-command"}, {});
  EXPECT_EQ(failure_of(without, "start sd-test-command: No such file or directory"), system_error(ENOENT));
}

TEST(activation, has_a_shell_run_what_has_no_header) {  // as execvp(3) does
  const sd::test::directory directory;
  std::ofstream(directory / "script") << "echo run by a shell\n";
  check(::chmod((directory / "script").c_str(), 0700), "chmod");
  EXPECT_EQ(printed({directory / "script"}, {}), "run by a shell\n");
}

TEST(activation, refuses_an_empty_command) {
  try {
    const sd::activation program({}, {});
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    EXPECT_STREQ(error.what(), "a command of no words: Invalid argument");
  }
}

TEST(activation, refuses_names_that_cannot_be_passed) {
  for (const auto& name : {std::string("a:b"), std::string("a\nb"), std::string(1, '\0'), std::string("\x1f"),
                           std::string("\x7f"), std::string(256, 'a')}) {
    std::vector<listen_fd> fds;
    fds.push_back(socket_named("good"));
    fds.push_back(socket_named(name));
    try {
      const sd::activation program({"true"}, fds);
      ADD_FAILURE() << testing::PrintToString(name);
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::invalid_argument);
      EXPECT_THAT(error.what(), StartsWith("name \""));
    }
  }
}

// --- the caller ------------------------------------------------------------------------------------------------------

TEST(activation, leaves_the_descriptors_to_the_caller) {
  const auto fds = sockets(3);
  const auto before = open_descriptors();
  sd::activation program({"true"}, fds);
  EXPECT_EQ(wait_for(program.spawn()), 0);
  EXPECT_EQ(open_descriptors(), before);
  for (const auto& entry : fds) EXPECT_THAT(before.at(entry.fd.get()), HasSubstr(" cloexec"));
}

TEST(activation, can_be_spawned_again) {
  const auto fds = sockets(2);
  sd::activation program(reporter(), fds);
  const auto without_own = [](const std::string& report) {
    words rest;
    for (const auto& line : lines_of(report)) {
      if (line.find("pid") == std::string::npos && line.find("LISTEN_PID") == std::string::npos) rest.push_back(line);
    }
    return rest;
  };
  const auto first = without_own(printed(program));
  EXPECT_THAT(first, Contains(StartsWith("open 3=" + inode(fds[0].fd.get()) + " 4=" + inode(fds[1].fd.get()))));
  EXPECT_EQ(without_own(printed(program)), first);
}

TEST(activation, clears_the_code) {
  auto ec = system_error(EIO);
  sd::activation program({"true"}, {});
  const int pid = program.spawn(ec);
  EXPECT_FALSE(ec);
  EXPECT_EQ(wait_for(pid), 0);
}

TEST(activation, allocates_nothing_when_it_is_spawned) {
  const auto fds = sockets(3);
  const auto no_memory = [](void*) noexcept { return sd::test::allocations_left == 0 ? 0 : EDOM; };
  sd::activation sound({"true"}, fds);
  sd::activation broken({"/nowhere/program"}, fds);
  std::error_code none;
  std::error_code failed;
  sd::test::allocations_left = 0;  // here and in the child
  const int pid = sound.spawn(none, no_memory);
  broken.spawn(failed, no_memory);
  sd::test::allocations_left = -1;
  EXPECT_EQ(failed, system_error(ENOENT));
  ASSERT_FALSE(none) << none.message();
  EXPECT_EQ(wait_for(pid), 0);
}

// --- the preparation -------------------------------------------------------------------------------------------------

TEST(preparation, runs_in_the_child_before_the_program) {
  struct told {
    int parent;
    int pipe[2];
  } told{::getpid(), {}};
  check(::pipe2(told.pipe, O_CLOEXEC), "pipe2");
  const sd::unique_fd from(told.pipe[0]);
  const sd::unique_fd to(told.pipe[1]);
  const auto prepare = [](void* argument) noexcept {
    const auto& here = *static_cast<struct told*>(argument);
    const bool is_child = ::getpid() != here.parent && ::getppid() == here.parent;
    return ::write(here.pipe[1], is_child ? "c" : "?", 1) == 1 && ::chdir("/proc") == 0 ? 0 : EDOM;
  };
  sd::activation program({"sh", "-c", "[ \"$(pwd)\" = /proc ]"}, {});
  const int pid = program.spawn(prepare, &told);
  EXPECT_EQ(wait_for(pid), 0);
  std::array<char, 8> text{};
  EXPECT_EQ(::read(from.get(), text.data(), text.size()), 1);
  EXPECT_EQ(text[0], 'c');
}

TEST(preparation, has_the_descriptors_where_they_were) {
  const auto fds = sockets(3);
  struct expected {
    std::array<int, 3> fds;
    std::array<unsigned long long, 3> inodes;
  } expected{};
  for (std::size_t i = 0; i < 3; ++i) {
    expected.fds[i] = fds[i].fd.get();
    expected.inodes[i] = std::stoull(inode(fds[i].fd.get()));
  }
  const auto prepare = [](void* argument) noexcept {
    const auto& here = *static_cast<struct expected*>(argument);
    for (std::size_t i = 0; i < 3; ++i) {
      struct stat status;
      if (::fstat(here.fds[i], &status) < 0 || status.st_ino != here.inodes[i]) return EDOM;
    }
    return 0;
  };
  sd::activation program({"true"}, fds);
  EXPECT_EQ(wait_for(program.spawn(prepare, &expected)), 0);
}

TEST(preparation, that_fails_is_the_error_and_there_is_no_program) {
  const sd::test::directory directory;
  const auto fds = sockets(2);
  sd::activation program({"touch", directory / "started"}, fds);
  const auto refuse = [](void* error) noexcept { return *static_cast<int*>(error); };
  int error = EXDEV;
  EXPECT_EQ(failure_of(program, "start touch: Invalid cross-device link", refuse, &error), system_error(EXDEV));
  EXPECT_THAT(directory.entries(), testing::IsEmpty());
}

TEST(preparation, gives_up_privileges) {
  if (::getuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
  const auto fds = sockets(1);
  struct nobody {
    output out;
    uid_t id = 65534;
  } nobody;
  const auto become = [](void* argument) noexcept {
    auto& self = *static_cast<struct nobody*>(argument);
    if (const int error = output::attach(&self.out)) return error;
    return ::setgid(self.id) == 0 && ::setuid(self.id) == 0 ? 0 : errno;
  };
  sd::activation program({"sh", "-c", "id -u; id -g; [ $LISTEN_PID = $$ ] && [ -S /dev/fd/3 ] && echo right"}, fds);
  EXPECT_EQ(wait_for(program.spawn(become, &nobody)), 0);
  EXPECT_EQ(nobody.out.text(), "65534\n65534\nright\n");
  EXPECT_EQ(::getuid(), 0U);

  const sd::test::directory secret;  // which only its owner may search
  std::ofstream(secret / "program") << "#!/bin/sh\n";
  check(::chmod((secret / "program").c_str(), 0755), "chmod");
  sd::activation forbidden({secret / "program"}, fds);
  EXPECT_EQ(failure_of(forbidden, "start " + secret / "program" + ": Permission denied", become, &nobody),
            system_error(EACCES));
}

}  // namespace
