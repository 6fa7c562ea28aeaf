// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions that start programs, the helpers for tests, and the rest.
#include <sd/activation.hpp>
#include <sd/booted.hpp>
#include <sd/listen_fds.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "enumeration.hpp"
#include "library.hpp"
#include "setting.hpp"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sd::test {

namespace {

sd::unique_fd null() { return sd::unique_fd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

/// Descriptors at the numbers 4 and 3, so that each has to step aside for the other one.
std::vector<listen_fd> crossed() {
  sd::unique_fd first = null();
  sd::unique_fd second = null();
  std::vector<listen_fd> fds;
  fds.push_back({"b", std::move(second)});
  fds.push_back({"a", std::move(first)});
  return fds;
}

std::vector<std::string> target(int count) { return {"/proc/self/exe", "target", std::to_string(count)}; }

/// Waits for the target, which checks what it was passed.
std::string status_of(int pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return "no child";
  return status == 0 ? "ok" : "the program was not started as it should: " + std::to_string(WEXITSTATUS(status));
}

/// @param spawn Starts the program. Returns its pid.
template <class Spawn>
auto starts(int count, Spawn spawn) {
  return [=](run& each) {
    const auto fds = count == 0 ? std::vector<listen_fd>() : crossed();
    sd::activation program(target(count), fds);
    int pid = 0;
    each.test(
        [&] {
          std::error_code ec;
          pid = spawn(program, ec);
          return text_of(ec);
        },
        [&] { return status_of(pid); });
  };
}

void fails_to_prepare(run& each) {
  sd::activation program(target(0), {});
  each.test([&] {
    std::error_code ec;
    program.spawn([]() noexcept { return EDOM; }, ec);
    return text_of(ec);
  });
}

void starts_what_is_not_there(run& each) {
  const auto fds = crossed();
  sd::activation program({"nothing"}, fds, {{"PATH", "/nowhere:/proc/self/fd"}});
  each.test([&] {
    std::error_code ec;
    program.spawn(ec);
    return text_of(ec);
  });
}

void prepares_command(run& each) {
  const auto fds = crossed();
  const auto command = target(2);
  each.test([&] {
    const sd::activation program(command, fds, {{"NAME", "value"}});
    return ok();
  });
}

void executes(run& each) {
  const auto fds = crossed();
  ::setenv("REPORT", std::to_string(each.report()).c_str(), 1);
  sd::activation program(target(2), fds);
  each.test([&] { return text_of(program.exec()); });
}

auto opens(kind type, const char* where) {
  return [=](run& each) {
    const std::string path = *where == '.' ? each / "s" : where;
    test_result(each, [&] { return sd::testing::open(type, path); });
    if (type == kind::message_queue) ::mq_unlink(where);
  };
}

void opens_fifo_that_exists(run& each) {
  ::mkfifo("s", 0600);
  opens(kind::fifo, ".")(each);
}

void opens_connection(run& each) {
  test_result(each, [] { return sd::testing::connection(); });
}

void runs_process(run& each) {
  const auto fds = crossed();
  const auto command = target(2);
  each.test([&] {
    sd::testing::process program(command, fds);
    const int status = program.wait();
    return status == 0 ? ok() : std::to_string(status);
  });
}

void kills_process(run& each) {
  const std::vector<std::string> command = {"/bin/sleep", "1000"};
  test_result(each, [&] { return sd::testing::process(command, {}); });
}

void closes(run& each) {
  each.test([&] {
    const sd::unique_fd fd(::dup(0));
    const auto result = fd ? ok() : name_of_errno();
    run::returned();
    return result;
  });
}

void looks_for_systemd(run& each) {
  each.test([&] { return std::string(sd::booted() ? "booted" : "not booted"); });
}

/// A process without pidfds is started without LISTEN_PIDFDID.
const exceptions without_pidfdid = {{"pidfd_open", "", "usual"}, {"fstatfs", "", "usual"}, {"fstat", "", "usual"}};
/// A file that is not a program is started by a shell, as execvp(3) does it. The program of the tests is not a script.
const exceptions by_shell = {{"execve /proc/self/exe", "ENOEXEC", "the program was not started as it should: 2"}};
const exceptions sharing_memory = {{"clone", "EINVAL", "usual|same"}, {"wait4", "ECHILD", "usual"}};
/// The parent sees that the child has ended. If wait4(2) is made to fail with ECHILD, the child still exists.
const exceptions by_fork = {{"sendmsg", "", "ECANCELED"}, {"read", "", "ECANCELED|usual"}, {"write", "", "ECANCELED"}};

}  // namespace

std::vector<scenario> starting() {
  return {
      {"activation", prepares_command},
      {"activation.spawn",
       starts(2, [](sd::activation& program, std::error_code& ec) { return program.spawn(ec); }),
       "ok",
       {},
       without_pidfdid + by_shell + sharing_memory},
      {"activation.spawn_throwing",
       starts(0, [](sd::activation& program, std::error_code&) { return program.spawn(); }),
       "ok",
       {},
       by_shell + sharing_memory},
      {"activation.spawn_prepared",
       starts(2, [](sd::activation& program,
                    std::error_code& ec) { return program.spawn([]() noexcept { return 0; }, ec); }),
       "ok",
       {},
       without_pidfdid + by_shell + by_fork},
      {"activation.spawn_unprepared",
       fails_to_prepare,
       "EDOM",
       {},
       by_fork + exceptions{{"wait4", "ECHILD", "usual"}, {"wait4", "ECHILD", "usual", {"+child"}}}},
      // The next directory of PATH is tried, or a shell. Nobody waits for that one.
      {"activation.spawn_nothing",
       starts_what_is_not_there,
       "ENOENT",
       {},
       without_pidfdid + sharing_memory +
           exceptions{{"wait4", "ECHILD", "usual", {"+child"}},
                      {"kill", "", "usual", {}, true},  // called if the child has not ended yet
                      {"execve *", "ENOENT", "usual"},
                      {"execve *", "ENOTDIR", "usual|same"},
                      {"execve *", "EACCES", "EACCES"},
                      {"execve *", "ENOEXEC", "ok", {"+child"}}}},
      {"activation.exec",
       executes,
       "ok",
       {},
       without_pidfdid + exceptions{{"fcntl F_DUPFD_CLOEXEC", "", "same"},
                                    {"fcntl F_DUPFD_CLOEXEC", "", "same", {"+fd 5"}},
                                    {"dup2", "", "same", {"+fd 5", "+fd 6"}},
                                    {"dup2", "", "same", {"+fd 5", "+fd 6", "~fd 3"}},
                                    {"execve *", "", "same", {"+fd 5", "+fd 6", "~fd 3", "~fd 4"}},
                                    {"execve *", "ENOEXEC", ""}},
       false,
       true},
      {"testing.tcp", opens(kind::stream, "127.0.0.1:0")},
      // The lock file stays if it cannot be removed.
      {"testing.unix",
       opens(kind::stream, "."),
       "ok",
       {"+path s"},
       binding_new_path() + exceptions{{"unlink s.sd-lock", "", "usual", {"+path s", "+path s.sd-lock"}}}},
      // If the file is said to exist, it is opened.
      {"testing.fifo", opens(kind::fifo, "."), "ok", {"+path s"}, {{"mknodat s", "EEXIST", "ENOENT"}}},
      {"testing.fifo_that_exists", opens_fifo_that_exists, "ok", {}, {{"mknodat s", "EEXIST", "usual"}}},
      {"testing.special", opens(kind::special, "/dev/null")},
      {"testing.message_queue",
       opens(kind::message_queue, "/sd-faults"),
       "ok",
       {},
       {{"mq_open *", "EEXIST", "ENOENT"}}},
      {"testing.netlink", opens(kind::netlink, "route 1")},
      {"testing.connection", opens_connection},
      {"testing.process",
       runs_process,
       "ok",
       {},
       without_pidfdid + sharing_memory + exceptions{{"wait4", "ECHILD", "usual|-1"}, {"execve *", "ENOEXEC", "2"}}},
      // The destructor waits for a program that it may not kill.
      {"testing.process_killed",
       kills_process,
       "ok",
       {},
       sharing_memory + exceptions{{"execve *", "ENOEXEC", "usual"}, {"cleanup: kill", "", ""}}},
      {"unique_fd", closes},
      {"booted", looks_for_systemd, "not booted", {}, {{"newfstatat *", "", "not booted"}}},
  };
}

}  // namespace sd::test
