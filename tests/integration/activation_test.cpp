// SPDX-License-Identifier: MIT OR Apache-2.0
// What a program that sd::activation starts finds, what the caller keeps, and what a preparation may do.

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>
#include <sd/unique_fd.hpp>

#include "activating.hpp"
#include "allocation.hpp"
#include "descriptor_limit.hpp"
#include "directory.hpp"
#include "exec_hook.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using sd::listen_fd;
using sd::test::check;
using sd::test::contents_of;
using sd::test::descriptor_limit;
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

// The object contains pointers to its own strings.
static_assert(!std::is_copy_constructible_v<sd::activation> && !std::is_copy_assignable_v<sd::activation>);
static_assert(!std::is_move_constructible_v<sd::activation> && !std::is_move_assignable_v<sd::activation>);

/// A file for the standard output of a program.
class output {
 public:
  output() : file_(check(::open((directory_ / "output").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open")) {}
  [[nodiscard]] int attach() const noexcept { return ::dup2(file_.get(), STDOUT_FILENO) < 0 ? errno : 0; }
  [[nodiscard]] std::string text() const { return contents_of(directory_ / "output"); }

 private:
  sd::test::directory directory_;
  sd::unique_fd file_;
};

/// Starts the program with spawn(), and returns what it prints.
std::string printed(sd::activation& program) {
  output out;
  EXPECT_EQ(wait_for(program.spawn([&]() noexcept { return out.attach(); })), 0);
  return out.text();
}

std::string printed(words command, const std::vector<listen_fd>& fds, const environment& more = {}) {
  sd::activation program(std::move(command), fds, more);
  return printed(program);
}

std::string shell(const std::string& script, const std::vector<listen_fd>& fds, const environment& more = {}) {
  return printed({"sh", "-c", script}, fds, more);
}

/// Returns the message of the constructor's std::system_error with EINVAL.
std::string refusal(const words& command, const environment& more = {}) {
  try {
    const sd::activation program(command, {}, more);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    return error.what();
  }
  return "nothing was thrown";
}

void write_script(const std::string& path, const std::string& text, mode_t mode = 0700) {
  std::ofstream(path) << text;
  check(::chmod(path.c_str(), mode), "chmod");
}

// --- what the program finds ------------------------------------------------------------------------------------------

TEST(activation, descriptors_are_in_order_and_inheritable) {
  std::vector<listen_fd> fds;
  for (const char* name : {"web", "admin", "metrics"}) fds.push_back(socket_named(name));
  std::reverse(fds.begin(), fds.end());  // a different order from that of the numbers
  const auto report = lines_of(printed(reporter(), fds));
  const auto line = " 3=" + inode(fds[0].fd.get()) + " 4=" + inode(fds[1].fd.get()) + " 5=" + inode(fds[2].fd.get());
  EXPECT_THAT(report, Contains(StartsWith("open" + line)));
  EXPECT_THAT(report, Contains("LISTEN_FDNAMES=metrics:admin:web"));
}

TEST(activation_options, program_has_another_name) {
  sd::activation_options options;
  options.program = "/bin/sh";
  sd::activation program({"another", "-c", "echo $0; readlink /proc/$$/exe"}, {}, {}, options);
  EXPECT_THAT(printed(program), StartsWith("another\n"));
}

TEST(activation_options, name_of_the_program_is_searched_for) {
  sd::activation_options options;
  options.program = "sh";
  sd::activation program({"another", "-c", "echo $0"}, {}, {}, options);
  EXPECT_EQ(printed(program), "another\n");
}

TEST(activation_options, program_with_a_nul_byte_is_einval) {
  sd::activation_options options;
  options.program = std::string("s\0h", 3);
  try {
    const sd::activation program({"sh"}, {}, {}, options);
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr("program \"s\\x00h\": contains a NUL byte"));
  }
}

TEST(activation_options, environment_is_not_inherited) {
  ::setenv("SD_TEST_INHERITED", "yes", 1);
  sd::activation_options options;
  options.inherits_environment = false;
  sd::activation program({"/usr/bin/env"}, sockets(1), {{"A", "b"}}, options);
  const auto lines = lines_of(printed(program));
  ::unsetenv("SD_TEST_INHERITED");
  EXPECT_THAT(lines, Contains("A=b"));
  EXPECT_THAT(lines, Contains("LISTEN_FDS=1"));
  EXPECT_THAT(lines, Contains(StartsWith("LISTEN_PID=")));
  EXPECT_THAT(lines, Not(Contains(StartsWith("PATH="))));
  EXPECT_THAT(lines, Not(Contains(StartsWith("SD_TEST_INHERITED="))));
}

TEST(activation_options, pid_is_left_out) {
  sd::activation_options options;
  options.sets_listen_pid = false;
  sd::activation program({"env"}, sockets(2), {}, options);
  const auto lines = lines_of(printed(program));
  EXPECT_THAT(lines, Contains("LISTEN_FDS=2"));
  EXPECT_THAT(lines, Not(Contains(StartsWith("LISTEN_PID"))));
}

TEST(activation_options, environment_has_no_empty_entries) {
  using namespace std::string_literals;
  sd::activation_options options;
  options.inherits_environment = false;
  options.sets_listen_pid = false;
  const std::vector<std::string> show = {"cat", "/proc/self/environ"};
  sd::activation without_pid(show, sockets(1), {}, options);
  EXPECT_EQ(printed(without_pid), "LISTEN_FDS=1\0"s);
  options.sets_listen_pid = true;
  sd::activation without_descriptors(show, {}, {{"A", "b"}}, options);
  EXPECT_EQ(printed(without_descriptors), "A=b\0"s);
}

TEST(activation, close_on_exec_descriptors_are_not_inherited) {
  const auto fds = sockets(2);
  const auto other = sockets(1);
  const sd::unique_fd inheritable(check(::fcntl(STDIN_FILENO, F_DUPFD, 700), "F_DUPFD"));
  std::string expected = "open 3=" + inode(fds[0].fd.get()) + " 4=" + inode(fds[1].fd.get());
  for (const auto& [fd, what] : open_descriptors()) {  // includes what this program itself inherited
    const auto space = what.find(' ');
    if (fd > 4 && what.substr(space) == " inheritable") {
      expected += ' ' + std::to_string(fd) + '=' + what.substr(0, space);
    }
  }
  EXPECT_THAT(expected, HasSubstr(" 700="));
  EXPECT_THAT(lines_of(printed(reporter(), fds)), Contains(expected));
}

TEST(activation_options, variable_of_the_caller_is_set_to_the_pid) {
  sd::activation_options options;
  options.pid_variable = "WATCHDOG_PID";
  sd::activation program({"/bin/sh", "-c", "[ $WATCHDOG_PID = $$ ] && echo yes"}, {}, {}, options);
  EXPECT_EQ(printed(program), "yes\n");
  ::setenv("WATCHDOG_PID", "1", 1);
  sd::activation inheriting({"env"}, {}, {}, options);
  sd::activation setting({"env"}, {}, {{"WATCHDOG_PID", "2"}}, options);
  ::unsetenv("WATCHDOG_PID");
  for (auto* const each : {&inheriting, &setting}) {
    const auto lines = lines_of(printed(*each));
    EXPECT_THAT(lines, testing::Contains(StartsWith("WATCHDOG_PID=")).Times(1));
    EXPECT_THAT(lines, Not(testing::AnyOf(Contains("WATCHDOG_PID=1"), Contains("WATCHDOG_PID=2"))));
  }
  options.pid_variable = "A=";
  EXPECT_THROW(sd::activation({"/bin/true"}, {}, {}, options), std::system_error);
}

TEST(activation, pid_and_count_are_set) {
  const auto fds = sockets(2);
  EXPECT_EQ(shell("[ $LISTEN_PID = $$ ] && echo $LISTEN_FDS", fds), "2\n");
}

TEST(activation, listen_pid_is_the_pid_that_spawn_returns) {
  output out;
  const auto fds = sockets(1);
  sd::activation program({"sh", "-c", "echo $LISTEN_PID"}, fds);
  const int pid = program.spawn([&]() noexcept { return out.attach(); });
  EXPECT_EQ(wait_for(pid), 0);
  EXPECT_EQ(out.text(), std::to_string(pid) + '\n');
}

TEST(activation, unnamed_descriptor_beside_a_named_one_is_unknown) {
  std::vector<listen_fd> fds;
  fds.push_back(socket_named());
  fds.push_back(socket_named("web"));
  fds.push_back(socket_named());
  fds.push_back(socket_named(""));
  EXPECT_EQ(shell("echo $LISTEN_FDNAMES", fds), "unknown:web:unknown:\n");
}

TEST(activation, unnamed_descriptors_set_no_names) {
  const auto fds = sockets(2);
  ::setenv("LISTEN_FDNAMES", "stale:names", 1);
  EXPECT_EQ(shell("echo ${LISTEN_FDNAMES-unset}", fds), "unset\n");
  ::unsetenv("LISTEN_FDNAMES");
}

TEST(activation, pidfdid_is_set_if_the_kernel_has_pidfs) {
  const auto set = shell("echo ${LISTEN_PIDFDID:+set}", sockets(1));
  EXPECT_EQ(set, sd::test::pidfd_inode(::getpid()) ? "set\n" : "\n");
}

TEST(activation, empty_list_sets_no_variable) {
  ::setenv("LISTEN_FDS", "1", 1);
  const auto report = lines_of(printed(reporter(), {}));
  ::unsetenv("LISTEN_FDS");
  EXPECT_THAT(report, Not(Contains(StartsWith("LISTEN_"))));
  EXPECT_THAT(report, Contains(StartsWith("open")));
  EXPECT_THAT(printed(sd::test::command(PROBE, {"take"}), {}), StartsWith("fds 0\n"));
}

const environment stale = {{"LISTEN_PID", "1"},
                           {"LISTEN_PIDFDID", "1"},
                           {"LISTEN_FDS", "77"},
                           {"LISTEN_FDNAMES", "stale"},
                           {"LISTEN_FDS_FIRST_FD", "5"}};

void expect_nothing_stale(const std::string& report) {
  EXPECT_THAT(report, Not(HasSubstr("twice")));
  EXPECT_THAT(report, Not(HasSubstr("LISTEN_FDS_FIRST_FD")));
  for (const auto& [name, value] : stale) {
    const auto variable = name + '=' + value;  // NOLINT(performance-inefficient-string-concatenation)
    EXPECT_THAT(lines_of(report), Not(Contains(variable)));
  }
  EXPECT_THAT(lines_of(report), Contains("LISTEN_FDS=1"));
}

TEST(activation, variables_of_the_protocol_are_not_inherited) {
  for (const auto& [name, value] : stale) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<listen_fd> fds;
  fds.push_back(socket_named("web"));
  const auto report = printed(reporter(), fds);
  for (const auto& [name, value] : stale) ::unsetenv(name.c_str());
  expect_nothing_stale(report);
}

TEST(activation, variables_of_the_protocol_are_ignored_in_the_environment) {
  expect_nothing_stale(printed(reporter(), sockets(1), stale));
}

TEST(activation, environment_is_inherited_and_extended) {
  ::setenv("SD_TEST_INHERITED", "yes", 1);
  ::setenv("SD_TEST_REPLACED", "no", 1);
  ::setenv("LISTEN_OTHER", "not of the protocol", 1);
  const auto report = lines_of(printed(reporter(), {}, {{"SD_TEST_REPLACED", "given"}, {"SD_TEST_ADDED", "a=b c"}}));
  for (const char* name : {"SD_TEST_INHERITED", "SD_TEST_REPLACED", "LISTEN_OTHER"}) ::unsetenv(name);
  EXPECT_THAT(report, Contains("SD_TEST_INHERITED=yes"));
  EXPECT_THAT(report, Contains("SD_TEST_REPLACED=given"));
  EXPECT_THAT(report, Contains("SD_TEST_ADDED=a=b c"));
  EXPECT_THAT(report, Contains("LISTEN_OTHER=not of the protocol"));
  EXPECT_THAT(report, Not(Contains(StartsWith("twice"))));
}

TEST(activation, listen_fds_takes_what_was_passed) {
  std::vector<listen_fd> fds;
  fds.push_back(socket_named("web"));
  fds.push_back(socket_named());
  EXPECT_THAT(printed(sd::test::command(PROBE, {"take", "required"}), fds),
              StartsWith("fds 2\n3 " + inode(fds[0].fd.get()) + " cloexec name=web\n4 " + inode(fds[1].fd.get()) +
                         " cloexec name=unknown\n"));
}

TEST(activation, names_may_contain_any_byte_but_colons_and_controls) {
  for (const std::string& name :
       {std::string(255, 'n'), std::string("caf\xc3\xa9 \\ \"x\" = \xff"), std::string("-")}) {
    std::vector<listen_fd> fds;
    fds.push_back(socket_named(name));
    EXPECT_THAT(printed(sd::test::command(PROBE, {"take", "required"}), fds),
                HasSubstr(" cloexec name=" + name + '\n'));
  }
}

TEST(activation, a_thousand_descriptors) {
  const auto most = descriptor_limit::current().rlim_max;
  if (most < 2100) GTEST_SKIP() << "SKIPPED: the hard limit of open files is below 2100";
  const descriptor_limit raised(most);
  auto fds = sockets(1000);
  std::string expected = "fds 1000\n";
  for (std::size_t i = 0; i < fds.size(); ++i) {
    fds[i].name = std::to_string(i);
    expected += std::to_string(i + 3) + ' ' + inode(fds[i].fd.get()) + " cloexec name=" + std::to_string(i) + '\n';
  }
  EXPECT_THAT(printed(sd::test::command(PROBE, {"take"}), fds), StartsWith(expected));
}

// --- the command -----------------------------------------------------------------------------------------------------

/// Programs called "sd-test-command" in directories of a `PATH`.
class path_search : public testing::Test {
 protected:
  std::string directory(const std::string& name) {
    check(::mkdir((root_ / name).c_str(), 0700), "mkdir");
    return root_ / name;
  }
  static void write_command(const std::string& directory, const std::string& text, mode_t mode = 0700) {
    write_script(directory + "/sd-test-command", text, mode);
  }
  static std::string result(const std::string& list) {
    return printed({"sd-test-command", "a b", "c"}, {}, {{"PATH", list}});
  }
  static std::error_code failure(const std::string& list) {
    sd::activation program({"sd-test-command"}, {}, {{"PATH", list}});
    std::error_code ec;
    program.spawn(ec);
    return ec;
  }
  static constexpr const char* script = "#!/bin/sh\necho \"found $1,$2\"\n";

 private:
  sd::test::directory root_;
};

TEST_F(path_search, of_the_given_environment_is_searched) {
  const auto bin = directory("bin");
  write_command(bin, script);
  EXPECT_EQ(result(bin + ":/usr/bin:/bin"), "found a b,c\n");
  sd::activation without({"sd-test-command"}, {});
  EXPECT_EQ(failure_of(without, "start sd-test-command: No such file or directory"), system_error(ENOENT));
}

TEST_F(path_search, directories_without_the_program_are_skipped) {
  const auto bin = directory("bin");
  write_command(bin, script);
  write_script(bin + "/file", "");
  EXPECT_EQ(result("/nowhere:" + bin + "/file:" + bin), "found a b,c\n");
  EXPECT_EQ(failure("/nowhere:" + bin + "/file"), system_error(ENOTDIR));
}

TEST_F(path_search, file_that_is_not_executable_is_eacces_unless_another_is_found) {
  const auto first = directory("first");
  const auto second = directory("second");
  write_command(first, script, 0600);
  EXPECT_EQ(failure(first + ':' + second), system_error(EACCES));
  write_command(second, script);
  EXPECT_EQ(result(first + ':' + second), "found a b,c\n");
}

TEST_F(path_search, directory_that_is_not_available_is_skipped) {
  const auto first = directory("first");
  const auto second = directory("second");
  write_command(second, script);
  const auto path = first + "/sd-test-command";
  for (const int error : {ESTALE, ENODEV, ETIMEDOUT}) {
    const sd::test::failing_execve failing(path.c_str(), error);
    EXPECT_EQ(result(first + ':' + second), "found a b,c\n") << error;
    EXPECT_EQ(failure(first), system_error(error));
  }
}

TEST_F(path_search, empty_element_is_the_working_directory) {
  const auto bin = directory("bin");
  write_command(bin, script);
  for (const std::string list : {"", ":/nowhere", "/nowhere:", "/nowhere::/nowhere"}) {
    output out;
    sd::activation program({"sd-test-command", "a b", "c"}, {}, {{"PATH", list}});
    const int pid = program.spawn([&]() noexcept {
      if (::chdir(bin.c_str()) < 0) return errno;
      return out.attach();
    });
    EXPECT_EQ(wait_for(pid), 0);
    EXPECT_EQ(out.text(), "found a b,c\n") << list;
  }
}

TEST_F(path_search, default_is_searched_if_path_is_unset) {
  const std::string saved = std::getenv("PATH");
  ::unsetenv("PATH");
  sd::activation program({"true"}, {});
  ::setenv("PATH", saved.c_str(), 1);
  EXPECT_EQ(wait_for(program.spawn()), 0);
}

TEST_F(path_search, script_without_interpreter_line_is_run_by_a_shell) {  // as execvp(3) does
  const auto bin = directory("bin");
  write_command(bin, "echo \"$0: $1,$2\"\n");
  EXPECT_EQ(result(bin), bin + "/sd-test-command: a b,c\n");
  EXPECT_EQ(printed({bin + "/sd-test-command"}, {}), bin + "/sd-test-command: ,\n");
}

TEST_F(path_search, failure_of_the_shell_is_reported) {
  const auto bin = directory("bin");
  write_command(bin, "echo no interpreter line\n");
  const sd::test::failing_execve failing("/bin/sh", ENOMEM);
  EXPECT_EQ(failure(bin), system_error(ENOMEM));
}

TEST(activation, empty_command_is_einval) { EXPECT_EQ(refusal({}), "the command is empty: Invalid argument"); }

TEST(activation, word_with_a_nul_byte_is_einval) {
  using namespace std::string_literals;
  EXPECT_EQ(refusal({"tr\0ue"s}), "word \"tr\\x00ue\" of the command: contains a NUL byte: Invalid argument");
  EXPECT_EQ(refusal({"true", "\0"s}), "word \"\\x00\" of the command: contains a NUL byte: Invalid argument");
}

TEST(activation, variable_that_cannot_be_passed_is_einval) {
  using namespace std::string_literals;
  EXPECT_EQ(refusal({"true"}, {{"", "x"}}), "variable \"\": the name is empty: Invalid argument");
  EXPECT_EQ(refusal({"true"}, {{"PATH=/evil:", "x"}}),
            "variable \"PATH=/evil:\": the name contains \"=\": Invalid argument");
  EXPECT_EQ(refusal({"true"}, {{"=", "x"}}), "variable \"=\": the name contains \"=\": Invalid argument");
  EXPECT_EQ(refusal({"true"}, {{"A\0B"s, "x"}}),
            "variable \"A\\x00B\": the name contains a NUL byte: Invalid argument");
  EXPECT_EQ(refusal({"true"}, {{"A", "x\0y"s}}), "variable \"A\": the value contains a NUL byte: Invalid argument");
}

TEST(activation, descriptor_name_that_cannot_be_passed_is_einval) {
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
      EXPECT_THAT(error.what(), StartsWith("descriptor name \""));
    }
  }
}

// --- the caller ------------------------------------------------------------------------------------------------------

TEST(activation, caller_keeps_the_descriptors) {
  const auto fds = sockets(3);
  const auto before = open_descriptors();
  sd::activation program({"true"}, fds);
  EXPECT_EQ(wait_for(program.spawn()), 0);
  EXPECT_EQ(open_descriptors(), before);
  for (const auto& entry : fds) EXPECT_THAT(before.at(entry.fd.get()), HasSubstr(" cloexec"));
}

/// Without the lines that differ between two processes.
words without_pids(const std::string& report) {
  words rest;
  for (const auto& line : lines_of(report)) {
    if (line.find("pid") == std::string::npos && line.find("LISTEN_PID") == std::string::npos) rest.push_back(line);
  }
  return rest;
}

TEST(spawn, repeated_call_passes_the_same) {
  const auto fds = sockets(2);
  sd::activation program(reporter(), fds);
  const auto first = without_pids(printed(program));
  EXPECT_THAT(first, Contains(StartsWith("open 3=" + inode(fds[0].fd.get()) + " 4=" + inode(fds[1].fd.get()))));
  EXPECT_EQ(without_pids(printed(program)), first);
}

// The child may share this process's memory: what it does to the list must not reach the next call.
TEST(spawn, repeated_call_without_preparation_passes_the_same) {
  const auto fds = sockets(2);
  const auto expected = inode(fds[0].fd.get()) + ' ' + inode(fds[1].fd.get());
  const auto link = [](const std::string& fd) { return "$(stat -Lc %i /proc/self/fd/" + fd + ')'; };
  sd::activation program({"sh", "-c", "[ \"" + link("3") + ' ' + link("4") + "\" = \"" + expected + "\" ]"}, fds);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wait_for(program.spawn()), 0) << i;
}

TEST(spawn, error_code_is_cleared) {
  auto ec = system_error(EIO);
  sd::activation program({"true"}, {});
  const int pid = program.spawn(ec);
  EXPECT_FALSE(ec);
  EXPECT_EQ(wait_for(pid), 0);
}

TEST(spawn, allocates_nothing) {
  const auto fds = sockets(3);
  const auto no_memory = []() noexcept { return sd::test::allocations_left == 0 ? 0 : EDOM; };
  sd::activation sound({"true"}, fds);
  sd::activation broken({"/nowhere/program"}, fds);
  std::array<std::error_code, 4> codes;
  std::array<int, 2> pids{};
  sd::test::allocations_left = 0;  // here and in the children
  pids[0] = sound.spawn(codes[0]);
  broken.spawn(codes[1]);
  pids[1] = sound.spawn(no_memory, codes[2]);
  broken.spawn(no_memory, codes[3]);
  const int left = sd::test::allocations_left.exchange(-1);
  EXPECT_EQ(left, 0);
  EXPECT_THAT(codes,
              testing::ElementsAre(std::error_code(), system_error(ENOENT), std::error_code(), system_error(ENOENT)));
  for (const int pid : pids) EXPECT_EQ(wait_for(pid), 0);
}

/// Executes the program in a child that has no memory left. Returns the exit status of the program, or 1 if there is no
/// such program.
int status_without_memory(sd::activation program) {
  const int child = check(::fork(), "fork");
  if (child == 0) {
    sd::test::allocations_left = 0;
    const auto error = program.exec();
    ::_exit(error == system_error(ENOENT) && sd::test::allocations_left == 0 ? 1 : 2);
  }
  return wait_for(child);
}

TEST(exec, allocates_nothing) {
  const auto fds = sockets(3);
  EXPECT_EQ(status_without_memory({{"true"}, fds}), 0);
  EXPECT_EQ(status_without_memory({{"/nowhere/program"}, fds}), 1);
}

// --- signals ---------------------------------------------------------------------------------------------------------

/// Blocks and ignores signals, real-time ones included, and restores everything in the end.
class unusual_signals {
 public:
  unusual_signals() {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    for (const int signal : {SIGTERM, SIGCHLD, SIGRTMAX}) ::sigaddset(&blocked, signal);
    check(::pthread_sigmask(SIG_BLOCK, &blocked, &mask_), "pthread_sigmask");
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    for (std::size_t i = 0; i < ignored.size(); ++i) check(::sigaction(ignored[i], &action, &saved_[i]), "sigaction");
  }
  ~unusual_signals() {
    for (std::size_t i = 0; i < ignored.size(); ++i) ::sigaction(ignored[i], &saved_[i], nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  unusual_signals(const unusual_signals&) = delete;
  unusual_signals& operator=(const unusual_signals&) = delete;

  static std::array<int, 3> signals() { return {SIGPIPE, SIGHUP, SIGRTMIN}; }

 private:
  const std::array<int, 3> ignored = signals();
  sigset_t mask_{};
  std::array<struct sigaction, 3> saved_{};
};

/// The lines SigBlk and SigIgn of proc(5).
words signals_of(const std::string& status) {
  words lines;
  for (const auto& line : lines_of(status)) {
    if (line.find("SigBlk") == 0 || line.find("SigIgn") == 0) lines.push_back(line);
  }
  return lines;
}

const words no_signals = {"SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"};

TEST(spawn, program_has_default_actions_and_an_empty_mask) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the emulator has signal actions of its own";
  const unusual_signals signals;
  EXPECT_NE(signals_of(contents_of("/proc/self/status")), no_signals);
  EXPECT_EQ(signals_of(printed({"cat", "/proc/self/status"}, sockets(1))), no_signals);

  const sd::test::directory directory;
  sd::activation program({"cp", "/proc/self/status", directory / "status"}, {});
  EXPECT_EQ(wait_for(program.spawn()), 0);
  EXPECT_EQ(signals_of(contents_of(directory / "status")), no_signals);
}

TEST(spawn, preparation_chooses_the_signals_of_the_program) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the emulator has signal actions of its own";
  output out;
  sd::activation program({"cat", "/proc/self/status"}, {});
  const int pid = program.spawn([&]() noexcept {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    ::signal(SIGHUP, SIG_IGN);
    return out.attach();
  });
  EXPECT_EQ(wait_for(pid), 0);
  EXPECT_THAT(signals_of(out.text()), testing::ElementsAre("SigBlk:\t0000000000004000", "SigIgn:\t0000000000000001"));
}

TEST(spawn, caller_keeps_its_mask_and_actions) {
  const unusual_signals signals;
  static std::atomic<int> handled{0};
  struct sigaction action {};
  struct sigaction saved {};
  action.sa_handler = [](int) { ++handled; };
  check(::sigaction(SIGUSR1, &action, &saved), "sigaction");
  const auto before = signals_of(contents_of("/proc/thread-self/status"));
  sd::activation sound({"true"}, {});
  sd::activation broken({"/nowhere/program"}, {});
  std::error_code ec;
  EXPECT_EQ(wait_for(sound.spawn()), 0);
  EXPECT_EQ(wait_for(sound.spawn([]() noexcept { return 0; })), 0);
  broken.spawn(ec);
  broken.spawn([]() noexcept { return 0; }, ec);
  broken.spawn([]() noexcept { return EDOM; }, ec);
  EXPECT_EQ(signals_of(contents_of("/proc/thread-self/status")), before);
  handled = 0;
  ::raise(SIGUSR1);
  EXPECT_EQ(handled, 1);
  check(::sigaction(SIGUSR1, &saved, nullptr), "sigaction");
}

TEST(spawn, handlers_of_the_caller_do_not_run_in_the_child) {
  std::array<int, 2> pipe{};
  check(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), "pipe2");
  const sd::unique_fd from(pipe[0]);
  const sd::unique_fd to(pipe[1]);
  static std::atomic<int> handled_fd{-1};
  handled_fd = to.get();
  struct sigaction action {};
  struct sigaction saved {};
  action.sa_handler = [](int) { [[maybe_unused]] const auto written = ::write(handled_fd, "x", 1); };
  check(::sigaction(SIGUSR1, &action, &saved), "sigaction");
  sd::activation program({"true"}, {});
  const auto raise = []() noexcept { return ::kill(::getpid(), SIGUSR1) == 0 ? 0 : errno; };
  EXPECT_EQ(failure_of(program, "start true: Operation canceled", raise), system_error(ECANCELED));
  std::array<char, 8> text{};
  EXPECT_EQ(::read(from.get(), text.data(), text.size()), -1);
  check(::sigaction(SIGUSR1, &saved, nullptr), "sigaction");
}

// --- the preparation -------------------------------------------------------------------------------------------------

TEST(preparation, runs_in_the_child_before_the_program) {
  std::array<int, 2> pipe{};
  check(::pipe2(pipe.data(), O_CLOEXEC), "pipe2");
  const sd::unique_fd from(pipe[0]);
  const sd::unique_fd to(pipe[1]);
  const int parent = ::getpid();
  sd::activation program({"sh", "-c", "[ \"$(pwd)\" = /proc ]"}, {});
  const int pid = program.spawn([&]() noexcept {
    const bool is_child = ::getpid() != parent && ::getppid() == parent;
    return ::write(to.get(), is_child ? "c" : "?", 1) == 1 && ::chdir("/proc") == 0 ? 0 : EDOM;
  });
  EXPECT_EQ(wait_for(pid), 0);
  std::array<char, 8> text{};
  EXPECT_EQ(::read(from.get(), text.data(), text.size()), 1);
  EXPECT_EQ(text[0], 'c');
}

int change_directory() noexcept { return ::chdir("/proc") == 0 ? 0 : errno; }

TEST(preparation, function_and_const_and_mutable_callables) {
  sd::activation program({"sh", "-c", "[ \"$(pwd)\" = /proc ]"}, {});
  EXPECT_EQ(wait_for(program.spawn(change_directory)), 0);
  const auto constant = []() noexcept { return change_directory(); };
  EXPECT_EQ(wait_for(program.spawn(constant)), 0);
  EXPECT_EQ(
      wait_for(program.spawn([count = 0]() mutable noexcept { return ++count == 1 ? change_directory() : EDOM; })), 0);
}

TEST(preparation, its_writes_do_not_reach_the_caller) {
  int value = 1;
  sd::activation program({"true"}, {});
  const int pid = program.spawn([&]() noexcept {
    value = 2;
    return 0;
  });
  EXPECT_EQ(wait_for(pid), 0);
  EXPECT_EQ(value, 1);
}

TEST(preparation, finds_the_descriptors_at_their_numbers) {
  const auto fds = sockets(3);
  std::array<unsigned long long, 3> inodes{};
  for (std::size_t i = 0; i < 3; ++i) inodes[i] = std::stoull(inode(fds[i].fd.get()));
  const auto prepare = [&]() noexcept {
    for (std::size_t i = 0; i < 3; ++i) {
      struct stat status;
      if (::fstat(fds[i].fd.get(), &status) < 0 || status.st_ino != inodes[i]) return EDOM;
    }
    return 0;
  };
  sd::activation program({"true"}, fds);
  EXPECT_EQ(wait_for(program.spawn(prepare)), 0);
}

TEST(preparation, nonzero_result_is_the_error_and_no_program_runs) {
  const sd::test::directory directory;
  const auto fds = sockets(2);
  sd::activation program({"touch", directory / "started"}, fds);
  EXPECT_EQ(failure_of(program, "start touch: Invalid cross-device link", []() noexcept { return EXDEV; }),
            system_error(EXDEV));
  EXPECT_THAT(directory.entries(), testing::IsEmpty());
}

TEST(preparation, negative_result_is_einval) {
  const sd::test::directory directory;
  sd::activation program({"touch", directory / "started"}, {});
  for (const int result : {-1, -EPERM, -ENOENT, -2147483647 - 1}) {
    EXPECT_EQ(failure_of(program, "start touch: Invalid argument", [&]() noexcept { return result; }),
              system_error(EINVAL));
  }
  EXPECT_THAT(directory.entries(), testing::IsEmpty());
}

TEST(preparation, exit_is_ecanceled) {
  sd::activation program({"true"}, {});
  for (const int status : {0, 3}) {
    const auto exit = [&]() noexcept -> int { ::_exit(status); };
    EXPECT_EQ(failure_of(program, "start true: Operation canceled", exit), system_error(ECANCELED));
  }
}

TEST(preparation, killed_child_is_ecanceled) {
  sd::activation program({"true"}, {});
  const auto die = []() noexcept { return ::kill(::getpid(), SIGKILL); };
  EXPECT_EQ(failure_of(program, "start true: Operation canceled", die), system_error(ECANCELED));
}

TEST(preparation, program_that_it_executes_itself_is_killed) {
  sd::activation program({"true"}, {});
  const auto sleep = []() noexcept {
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_IGN);
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
    return errno;
  };
  EXPECT_EQ(failure_of(program, "start true: Operation canceled", sleep), system_error(ECANCELED));
}

TEST(preparation, drops_privileges) {
  if (::getuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
  const auto fds = sockets(1);
  output out;
  const auto become_nobody = [&]() noexcept {
    constexpr uid_t nobody = 65534;
    if (const int error = out.attach()) return error;
    return ::setgid(nobody) == 0 && ::setuid(nobody) == 0 ? 0 : errno;
  };
  sd::activation program({"sh", "-c", "id -u; id -g; [ $LISTEN_PID = $$ ] && [ -S /dev/fd/3 ] && echo right"}, fds);
  EXPECT_EQ(wait_for(program.spawn(become_nobody)), 0);
  EXPECT_EQ(out.text(), "65534\n65534\nright\n");
  EXPECT_EQ(::getuid(), 0U);

  const sd::test::directory secret;  // only its owner may search it
  write_script(secret / "program", "#!/bin/sh\n", 0755);
  sd::activation forbidden({secret / "program"}, fds);
  EXPECT_EQ(failure_of(forbidden, "start " + secret / "program" + ": Permission denied", become_nobody),
            system_error(EACCES));
}

TEST(preparation, drops_privileges_beside_a_thread_of_its_own) {
  if (::getuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
  std::thread([] {}).join();  // the C library sets its signal handlers with the first thread
  const auto become_nobody = []() noexcept {
    std::thread([] { ::pause(); }).detach();
    return ::setuid(65534) == 0 ? 0 : errno;
  };
  EXPECT_EQ(wait_for(sd::activation({"sh", "-c", "[ $(id -u) = 65534 ]"}, {}).spawn(become_nobody)), 0);
}

}  // namespace
