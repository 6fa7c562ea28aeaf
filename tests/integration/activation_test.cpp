// What sd::activation hands to a program: seen from inside the program, by wrappers that were activated themselves, and
// with failures in every step.

#include <sd/activation.hpp>

#include "allocation.hpp"
#include "directory.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using sd::listen_fd;
using sd::test::outcome;
using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using words = std::vector<std::string>;
using environment = std::map<std::string, std::string>;

// The words are pointed at from inside.
static_assert(!std::is_copy_constructible_v<sd::activation> && !std::is_copy_assignable_v<sd::activation>);
static_assert(!std::is_move_constructible_v<sd::activation> && !std::is_move_assignable_v<sd::activation>);

int check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

std::string inode(int fd) {
  struct stat status;
  check(::fstat(fd, &status), "fstat");
  return std::to_string(status.st_ino);
}

listen_fd socket_named(std::optional<std::string> name = std::nullopt) {
  return {std::move(name), sd::unique_fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"))};
}

std::vector<listen_fd> sockets(int count) {
  std::vector<listen_fd> fds;
  for (int i = 0; i < count; ++i) fds.push_back(socket_named());
  return fds;
}

words lines_of(const std::string& text) {
  words lines;
  std::istringstream from(text);
  for (std::string line; std::getline(from, line);) lines.push_back(line);
  return lines;
}

std::string all_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// What is open, with what, and how.
std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> all;
  for (int fd = 0; fd < 4096; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0) all[fd] = inode(fd) + (flags == FD_CLOEXEC ? " cloexec" : " inheritable");
  }
  return all;
}

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

int wait_for(int pid) {
  int status = 0;
  check(::waitpid(pid, &status, 0), "waitpid");
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

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

words reporter() { return sd::test::command(HANDING, {"report"}); }

/// The error of spawn() in both forms; nothing is left of it.
std::error_code failure_of(sd::activation& program, const std::string& what,
                           sd::activation::preparation prepare = nullptr, void* argument = nullptr) {
  const auto before = open_descriptors();
  std::error_code ec;
  const int pid = program.spawn(ec, prepare, argument);
  EXPECT_LT(pid, 0);
  EXPECT_FALSE(has_children());
  try {
    program.spawn(prepare, argument);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), ec);
    EXPECT_EQ(error.what(), what);
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(open_descriptors(), before);
  return ec;
}

std::error_code system_error(int error) { return {error, std::system_category()}; }

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

// --- errors ----------------------------------------------------------------------------------------------------------

TEST(spawn_failure, is_that_of_exec) {
  const sd::test::directory directory;
  std::ofstream(directory / "file") << "#!/bin/sh\n";
  std::ofstream(directory / "broken") << "#!/nowhere/interpreter\n";
  check(::chmod((directory / "file").c_str(), 0600), "chmod");
  check(::chmod((directory / "broken").c_str(), 0700), "chmod");
  const auto fds = sockets(2);
  const auto expect = [&](const std::string& command, int error) {
    sd::activation program({command}, fds);
    EXPECT_EQ(failure_of(program, "start " + command + ": " + system_error(error).message()), system_error(error));
  };
  expect("/nowhere/program", ENOENT);
  expect("", ENOENT);
  expect(directory / "broken", ENOENT);
  expect(directory / "file", EACCES);
  expect(directory.path(), EACCES);
  expect(directory / "file/program", ENOTDIR);
  expect('/' + std::string(5000, 'x'), ENAMETOOLONG);

  sd::activation too_long({"true", std::string(std::size_t{64} << 20U, 'x')}, fds);
  EXPECT_EQ(failure_of(too_long, "start true: Argument list too long"), system_error(E2BIG));
}

TEST(spawn_failure, is_that_of_a_descriptor_that_is_closed) {
  std::vector<listen_fd> fds = sockets(1);
  fds.emplace_back();
  sd::activation none({"true"}, fds);
  EXPECT_EQ(failure_of(none, "start true: Bad file descriptor"), system_error(EBADF));

  auto closed = sockets(2);
  closed[1].fd.reset(check(::fcntl(closed[1].fd.get(), F_DUPFD_CLOEXEC, 900), "F_DUPFD_CLOEXEC"));
  sd::activation high({"true"}, closed);
  closed.clear();
  EXPECT_EQ(failure_of(high, "start true: Bad file descriptor"), system_error(EBADF));
}

TEST(spawn_failure, is_that_of_a_limit_in_the_child) {
  const auto fds = sockets(6);
  const auto lower = [](void* descriptors) noexcept {
    const rlimit limit{*static_cast<rlim_t*>(descriptors), *static_cast<rlim_t*>(descriptors)};
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : errno;
  };
  for (rlim_t limit = 0; limit < 9 + 6; ++limit) {
    sd::activation program({"true"}, fds);
    std::error_code ec;
    program.spawn(ec, lower, &limit);
    // EINVAL is what F_DUPFD says to a number that is past the limit.
    EXPECT_THAT(ec.value(), AnyOf(EMFILE, EINVAL)) << limit;
    EXPECT_FALSE(has_children());
  }
}

TEST(spawn_failure, is_that_of_a_pipe) {
  sd::activation program({"true"}, {});
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  const rlimit saved = limit;
  const auto before = open_descriptors();
  for (const rlim_t free : {0U, 1U}) {
    limit.rlim_cur = 0;
    for (rlim_t left = free; left > 0 || before.count(static_cast<int>(limit.rlim_cur)) != 0; ++limit.rlim_cur) {
      if (before.count(static_cast<int>(limit.rlim_cur)) == 0) --left;
    }
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    std::error_code ec;
    program.spawn(ec);
    check(::setrlimit(RLIMIT_NOFILE, &saved), "setrlimit");
    EXPECT_EQ(ec, system_error(EMFILE));
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST(spawn_failure, is_waited_for_under_signals) {
  struct sigaction action {};
  static std::atomic<int> signals{0};
  action.sa_handler = [](int) { ++signals; };  // and no SA_RESTART; it stays, as valgrind delivers late
  check(::sigaction(SIGALRM, &action, nullptr), "sigaction");
  const itimerval often{{0, 5000}, {0, 5000}};
  check(::setitimer(ITIMER_REAL, &often, nullptr), "setitimer");
  sd::activation program({"true"}, {});
  const auto slow = [](void*) noexcept {
    const timespec time{0, 200'000'000};
    ::nanosleep(&time, nullptr);
    return EDOM;
  };
  std::error_code ec;
  program.spawn(ec, slow);
  const itimerval never{};
  check(::setitimer(ITIMER_REAL, &never, nullptr), "setitimer");
  EXPECT_GT(signals, 5);
  EXPECT_EQ(ec, system_error(EDOM));
  EXPECT_FALSE(has_children());
}

// --- wrappers --------------------------------------------------------------------------------------------------------

/// A wrapper that finds sockets from 3 on and hands those of the list on to the program.
sd::test::activation wrapper(const std::string& mode, const std::string& options, const std::string& list,
                             const words& program, int descriptors) {
  sd::test::activation result;
  words arguments = {mode, options, list};
  arguments.insert(arguments.end(), program.begin(), program.end());
  result.command = sd::test::command(HANDING, arguments);
  result.descriptors = descriptors;
  return result;
}

outcome handed(const std::string& mode, const std::string& options, const std::string& list, int descriptors = 3,
               const words& program = reporter()) {
  auto result = sd::test::run(wrapper(mode, options, list, program, descriptors));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.errors, "");
  return result;
}

/// The start of the report's line of open descriptors: these of the passed ones.
std::string opened(const outcome& result, const std::vector<std::size_t>& numbers) {
  std::string line = "open";
  int at = 3;
  for (const auto number : numbers) {
    line += ' ' + std::to_string(at++) + '=' + std::to_string(result.sockets.at(number - 3));
  }
  return line;
}

class wrapped : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(by, wrapped, testing::Values("exec", "spawn"),
                         [](const auto& how) { return std::string(how.param); });

TEST_P(wrapped, hands_on_some_of_what_it_took) {
  const auto result = handed(GetParam(), "take", "5=c,3=a", 4, sd::test::command(PROBE, {"take", "required"}));
  EXPECT_THAT(result.output, StartsWith("fds 2\n3 " + std::to_string(result.sockets[2]) + " cloexec name=c\n4 " +
                                        std::to_string(result.sockets[0]) + " cloexec name=a\nopen 3c 4c\n"));
}

TEST_P(wrapped, hands_on_what_it_found) {  // inheritable still
  const auto result = handed(GetParam(), "-", "3,4,5");
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4, 5})));
}

TEST_P(wrapped, hands_on_none) {
  const auto result = handed(GetParam(), "take", "-");
  EXPECT_THAT(lines_of(result.output), Contains("open"));
  EXPECT_THAT(lines_of(result.output), Contains("LISTEN_FDS=0"));
}

TEST_P(wrapped, hands_on_in_every_order) {
  std::array<std::size_t, 4> order = {3, 4, 5, 6};
  do {
    std::string list;
    for (const auto number : order) list += (list.empty() ? "" : ",") + std::to_string(number);
    const auto result = handed(GetParam(), "take", list, 4);
    EXPECT_THAT(lines_of(result.output), Contains(opened(result, {order.begin(), order.end()}))) << list;
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(wrapped, hands_on_subsets_in_every_order) {
  for (std::size_t first = 3; first <= 6; ++first) {
    for (std::size_t second = 3; second <= 6; ++second) {  // the same one twice, too
      const auto result = handed(GetParam(), "take", std::to_string(first) + ',' + std::to_string(second), 4);
      EXPECT_THAT(lines_of(result.output), Contains(opened(result, {first, second}))) << first << ' ' << second;
    }
  }
}

TEST_P(wrapped, hands_on_from_far) {
  const auto result = handed(GetParam(), "take", "3@900,4@6,5@7");
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4, 5})));
}

TEST_P(wrapped, hands_on_standard_streams) {
  const auto result = handed(GetParam(), "take", "3@0,4");
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4})));
}

// The pipe by which the child tells its error has the lowest free numbers: within the range that is filled.
TEST_P(wrapped, hands_on_into_numbers_that_are_in_use) {
  const auto result = handed(GetParam(), "take", "3@900,4@901,5@902,6@903,7@904,8@905", 6);
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4, 5, 6, 7, 8})));
  auto failing = wrapper(GetParam(), "take", "3@900,4@901,5@902,6@903,7@904,8@905", {"/nowhere/program"}, 6);
  const auto failed = sd::test::run(failing);
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.output, StartsWith("error 2 "));
}

TEST_P(wrapped, starts_a_program_from_an_environment_that_was_cleared) {
  const auto result = sd::test::run(wrapper(GetParam(), "take,clearenv", "3=web", reporter(), 1));
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(lines_of(result.output), Contains("LISTEN_FDNAMES=web"));
}

TEST(exec, keeps_the_pid) {
  const auto result = handed("exec", "take,pid", "4", 2);
  const auto lines = lines_of(result.output);
  ASSERT_GE(lines.size(), 2U);
  EXPECT_THAT(lines[0], StartsWith("pid "));
  EXPECT_EQ(lines[1], lines[0]);
  EXPECT_THAT(lines, Contains("LISTEN_" + ("PID=" + lines[0].substr(4))));
}

TEST(exec, has_the_same_pidfdid) {
  if (!sd::test::pidfd_inode(::getpid())) GTEST_SKIP() << "SKIPPED: this kernel has no pidfs (Linux 6.9)";
  auto program = wrapper("exec", "take", "3", {"sh", "-c", "[ $LISTEN_PIDFDID = $SD_TEST_PIDFDID ] && echo same"}, 1);
  program.environment["SD_TEST_PIDFDID"] = "{pidfdid}";
  EXPECT_EQ(sd::test::run(program).output, "same\n");
}

TEST(exec, can_be_done_again_and_again) {
  const auto inner = wrapper("exec", "take", "4=b,3=a", sd::test::command(PROBE, {"take", "required"}), 0);
  const auto middle = wrapper("spawn", "take", "5,3,4", inner.command, 0);
  const auto result = handed("exec", "take", "4,5,3", 3, middle.command);  // 4,5,3 then 3,4,5 then 4,3
  EXPECT_THAT(result.output, StartsWith("fds 2\n3 " + std::to_string(result.sockets[1]) + " cloexec name=b\n4 " +
                                        std::to_string(result.sockets[0]) + " cloexec name=a\n"));
}

TEST(exec, that_fails_returns_the_error_and_keeps_the_environment) {
  auto program = wrapper("exec", "take,SD_TEST_OWN=given", "4,3", {"/nowhere/program"}, 2);
  const auto result = sd::test::run(program);
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "error 2 No such file or directory\nenvironment unchanged\n");
}

TEST(exec, that_lacks_descriptors_returns_the_error) {
  // 3 to 6 are to be moved past 6, and then back.
  for (int limit = 0; limit < 7 + 4; ++limit) {
    const auto result = sd::test::run(wrapper("exec", "limit:" + std::to_string(limit), "6,5,4,3", {"true"}, 4));
    EXPECT_EQ(result.status, 1) << limit;
    EXPECT_THAT(result.output, AnyOf(StartsWith("error 24 "), StartsWith("error 22 "))) << limit;
  }
  EXPECT_EQ(sd::test::run(wrapper("exec", "limit:11", "6,5,4,3", {"true"}, 4)).status, 0);
}

// --- threads ---------------------------------------------------------------------------------------------------------

/// Whoever of these is in the midst of it when the process forks leaves a lock taken in the child.
class busy_threads {
 public:
  busy_threads() {
    for (int i = 0; i < 8; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  ~busy_threads() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }
  busy_threads(const busy_threads&) = delete;
  busy_threads& operator=(const busy_threads&) = delete;

 private:
  void work(int number) {
    const auto name = "SD_TEST_BUSY_" + std::to_string(number);
    while (!stop_) {
      const std::vector<std::unique_ptr<std::string>> memory = [] {
        std::vector<std::unique_ptr<std::string>> pieces;
        for (std::size_t i = 0; i < 32; ++i) pieces.push_back(std::make_unique<std::string>(i * 64, 'x'));
        return pieces;
      }();
      for (int i = 0; i < 32; ++i) {
        ::setenv(name.c_str(), memory.back()->c_str(), 1);
        const std::time_t now = 0;
        std::tm local{};
        ::localtime_r(&now, &local);
        ::freelocale(::newlocale(LC_ALL_MASK, "C", nullptr));
        std::setlocale(LC_ALL, nullptr);
        ::unsetenv(name.c_str());
      }
    }
  }

  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

TEST(threads, that_hold_locks_do_not_hold_up_the_child) {
  if (sd::test::sanitized)
    GTEST_SKIP() << "SKIPPED: the sanitizer does not see the C library's lock of the environment";
  const auto fds = sockets(3);
  sd::activation program({"true"}, fds);  // before they change the environment
  sd::activation broken({"/nowhere/program"}, fds);
  const int rounds = sd::test::emulator().empty() ? 200 : 20;
  const busy_threads threads;
  for (int i = 0; i < rounds; ++i) {
    ASSERT_EQ(wait_for(program.spawn()), 0);
    std::error_code ec;
    broken.spawn(ec);
    ASSERT_EQ(ec, system_error(ENOENT));
  }
}

// --- system calls ----------------------------------------------------------------------------------------------------

class spawn_calls : public testing::Test {
 protected:
  void SetUp() override {
    if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer makes system calls of its own";
    if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
    if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: strace would trace the emulator";
    sd::test::activation trivial;
    trivial.command = {STRACE, "-qq", "-o", "/dev/null", "true"};
    if (sd::test::run(trivial).status != 0) GTEST_SKIP() << "SKIPPED: strace may not trace here";
  }

  /// Hands 3 and 4 on to the program, under strace; with a failure, if one is given.
  outcome traced(const words& program, const std::string& injected = "") const {
    words tracer = {STRACE, "-f", "-qq", "-o", directory_ / "trace"};
    if (!injected.empty()) tracer.insert(tracer.end(), {"-e", "inject=" + injected});
    auto wrapping = wrapper("spawn", "-", "3,4", program, 2);
    wrapping.command.insert(wrapping.command.begin(), tracer.begin(), tracer.end());
    return sd::test::run(wrapping);
  }

  /// The calls of the last run: those that spawn() made itself, and those of the child up to exec.
  struct calls {
    words parent;
    words child;
  };
  [[nodiscard]] calls made() const {
    calls result;
    std::string parent;
    bool marked = false;
    bool executed = false;
    for (const auto& line : lines_of(all_of(directory_ / "trace"))) {
      const auto pid = line.substr(0, line.find(' '));
      auto call = line.substr(line.find_first_not_of(' ', pid.size()));
      if (parent.empty()) parent = pid;
      if (call.find("<... ") == 0 && call.find("(INJECTED)") == std::string::npos) continue;  // it began further up
      if (pid == parent) {
        if (call.find("\"end\"") != std::string::npos) marked = false;
        if (marked) result.parent.push_back(std::move(call));
        if (line.find("\"begin\"") != std::string::npos) marked = true;
      } else if (!executed) {
        executed = call.find("execve(") == 0;
        result.child.push_back(std::move(call));
      }
    }
    return result;
  }
  [[nodiscard]] bool was_injected() const {
    return all_of(directory_ / "trace").find("(INJECTED)") != std::string::npos;
  }

  /// How often the parent read in the last run before it was in spawn().
  [[nodiscard]] std::ptrdiff_t reads_before() const {
    const auto trace = all_of(directory_ / "trace");
    const auto lines = lines_of(trace.substr(0, trace.find("\"begin\"")));
    return std::count_if(lines.begin(), lines.end(),
                         [](const auto& line) { return line.find(" read(") != std::string::npos; });
  }

  /// A failure is the answer, and leaves nothing.
  void expect_failure(const std::string& injected, int error) const {
    const auto result = traced({"true"}, injected);
    EXPECT_TRUE(was_injected()) << injected;
    EXPECT_EQ(result.output, "error " + std::to_string(error) + " start true: " + system_error(error).message() + '\n')
        << injected;
    EXPECT_EQ(result.status, 1) << injected;
  }

 private:
  sd::test::directory directory_;
};

bool is_one_of(const std::string& call, const words& names) {
  const auto name = call.substr(0, call.find('('));
  return std::find(names.begin(), names.end(), name) != names.end();
}

TEST_F(spawn_calls, of_the_child_take_no_memory_and_no_lock) {
  ASSERT_EQ(traced({"true"}).status, 0);
  const auto child = made().child;
  ASSERT_FALSE(child.empty());
  EXPECT_THAT(child.back(), StartsWith("execve("));
  const words allowed = {"set_robust_list", "rseq",    "rt_sigprocmask", "getpid",     "pidfd_open", "fstatfs",
                         "fstatfs64",       "fstat",   "fstat64",        "newfstatat", "statx",      "close",
                         "fcntl",           "fcntl64", "dup2",           "dup3",       "execve"};
  for (const auto& call : child) EXPECT_TRUE(is_one_of(call, allowed)) << call;
}

TEST_F(spawn_calls, that_fail_are_reported_and_leave_nothing) {
  expect_failure("pipe2:error=ENFILE:when=1", ENFILE);
  expect_failure("clone,?clone3,?fork,?vfork:error=EAGAIN:when=1", EAGAIN);
  for (int nth = 1; nth <= 3; ++nth) {  // the pipe, and both descriptors
    expect_failure("/^fcntl(64)?$:error=EMFILE:when=" + std::to_string(nth), EMFILE);
  }
  for (int nth = 1; nth <= 2; ++nth) expect_failure("dup2,?dup3:error=EBUSY:when=" + std::to_string(nth), EBUSY);
}

TEST_F(spawn_calls, that_ask_for_the_pidfd_may_fail) {
  const auto result = traced(reporter(), "pidfd_open:error=ENOSYS:when=1");
  EXPECT_TRUE(was_injected());
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4})));
  EXPECT_THAT(result.output, Not(HasSubstr("LISTEN_PIDFDID")));
}

TEST_F(spawn_calls, that_are_interrupted_are_made_again) {
  const std::string error = "error 2 start /nowhere/program: No such file or directory\n";
  EXPECT_EQ(traced({"/nowhere/program"}, "wait4:error=EINTR:when=1").output, error);
  EXPECT_TRUE(was_injected());
  EXPECT_EQ(traced({"/nowhere/program"}, "write:error=EINTR:when=1").output, error);  // of the child, and the mark's
  EXPECT_TRUE(was_injected());

  // The loader reads, too: which one is spawn()'s is told by a run without failures.
  traced({"/nowhere/program"});
  const auto sound = made().parent;
  ASSERT_THAT(sound, Contains(StartsWith("read(")));
  const auto result = traced({"/nowhere/program"}, "read:error=EINTR:when=" + std::to_string(reads_before() + 1));
  EXPECT_EQ(result.output, error);
  EXPECT_TRUE(was_injected());
  EXPECT_THAT(made().parent, Contains(testing::ContainsRegex("read.*EINTR")));
}

}  // namespace
