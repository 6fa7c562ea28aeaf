// How sd::activation turns processes into programs: with failures in every step, by wrappers that were activated
// themselves, beside threads that hold locks, and by which system calls.

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>

#include "activating.hpp"
#include "directory.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using sd::listen_fd;
using sd::test::all_of;
using sd::test::check;
using sd::test::failure_of;
using sd::test::has_children;
using sd::test::lines_of;
using sd::test::open_descriptors;
using sd::test::outcome;
using sd::test::reporter;
using sd::test::sockets;
using sd::test::system_error;
using sd::test::wait_for;
using sd::test::words;
using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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
  [[nodiscard]] outcome traced(const words& program, const std::string& injected = "") const {
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
  static_cast<void>(traced({"/nowhere/program"}));
  const auto sound = made().parent;
  ASSERT_THAT(sound, Contains(StartsWith("read(")));
  const auto result = traced({"/nowhere/program"}, "read:error=EINTR:when=" + std::to_string(reads_before() + 1));
  EXPECT_EQ(result.output, error);
  EXPECT_TRUE(was_injected());
  EXPECT_THAT(made().parent, Contains(testing::ContainsRegex("read.*EINTR")));
}

}  // namespace
