// SPDX-License-Identifier: MIT OR Apache-2.0
// Failures of every step of exec() and spawn(), wrappers that pass on descriptors that were passed to them, threads,
// and the system calls that spawn() makes.

#include <sd/activation.hpp>
#include <sd/listen_fds.hpp>

#include "activating.hpp"
#include "descriptor_limit.hpp"
#include "directory.hpp"
#include "failing_call.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
using sd::test::check;
using sd::test::contents_of;
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
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// --- errors ----------------------------------------------------------------------------------------------------------

TEST(spawn_failure, exec_fails) {
  const sd::test::directory directory;
  std::ofstream(directory / "file") << "#!/bin/sh\n";
  std::ofstream(directory / "broken") << "#!/nowhere/interpreter\n";
  check(::chmod((directory / "file").c_str(), 0600), "chmod");
  check(::chmod((directory / "broken").c_str(), 0700), "chmod");
  const auto fds = sockets(2);
  const auto no_preparation = []() noexcept { return 0; };
  const auto expect = [&](const std::string& command, int error) {
    sd::activation program({command}, fds);
    const auto message = "start " + command + ": " + system_error(error).message();
    EXPECT_EQ(failure_of(program, message), system_error(error));
    EXPECT_EQ(failure_of(program, message, no_preparation), system_error(error));
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

TEST(spawn_failure, closed_descriptor_is_ebadf) {
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

TEST(spawn_failure, too_few_descriptors_in_the_child) {
  const auto fds = sockets(6);
  for (rlim_t limit = 0; limit < 9 + 6; ++limit) {
    sd::activation program({"true"}, fds);
    std::error_code ec;
    program.spawn(
        [&]() noexcept {
          const rlimit both{limit, limit};
          return ::setrlimit(RLIMIT_NOFILE, &both) == 0 ? 0 : errno;
        },
        ec);
    EXPECT_THAT(ec.value(), AnyOf(EMFILE, EINVAL)) << limit;  // F_DUPFD fails with EINVAL from the limit on
    EXPECT_FALSE(has_children());
  }
}

/// Runs a function while this process may open only `free` more descriptors.
template <class Function>
void with_free_descriptors(int free, Function function) {
  const auto before = open_descriptors();
  int limit = 0;
  for (int left = free; left > 0 || before.count(limit) != 0; ++limit) {
    if (before.count(limit) == 0) --left;
  }
  {
    const sd::test::descriptor_limit lowered(static_cast<rlim_t>(limit));
    function();
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(spawn_failure, too_few_descriptors_for_a_preparation) {
  sd::activation program({"true"}, {});
  for (const int free : {0, 1, 2}) {
    std::error_code ec;
    with_free_descriptors(free, [&] { program.spawn([]() noexcept { return 0; }, ec); });
    EXPECT_EQ(ec, system_error(EMFILE)) << free;
    EXPECT_FALSE(has_children());
  }
}

TEST(spawn, needs_no_free_descriptor) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: on the emulator the child is created by fork(2)";
  sd::activation program({"true"}, {});
  std::error_code ec;
  int pid = 0;
  with_free_descriptors(0, [&] { pid = program.spawn(ec); });
  ASSERT_FALSE(ec) << ec.message();
  wait_for(pid);  // the program itself may fail, as it inherits the limit
}

TEST(spawn, descriptors_above_the_range_need_no_free_descriptor) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: on the emulator the child is created by fork(2)";
  auto fds = sockets(2);  // the second one is the lowest number above the range, unless the first was not free
  const auto other = std::move(fds.front());
  fds.erase(fds.begin());
  sd::activation program({"true"}, fds);
  std::error_code ec;
  int pid = 0;
  with_free_descriptors(0, [&] { pid = program.spawn(ec); });
  ASSERT_FALSE(ec) << ec.message();
  wait_for(pid);  // the program itself may fail, as it inherits the limit
}

TEST(spawn_failure, signals_do_not_interrupt_it) {
  struct sigaction action {};
  static std::atomic<int> signals{0};
  action.sa_handler = [](int) { ++signals; };  // without SA_RESTART; it stays, as valgrind delivers late
  check(::sigaction(SIGALRM, &action, nullptr), "sigaction");
  const itimerval often{{0, 5000}, {0, 5000}};
  check(::setitimer(ITIMER_REAL, &often, nullptr), "setitimer");
  sd::activation program({"true"}, {});
  const auto slow = []() noexcept {
    const timespec time{0, 200'000'000};
    ::nanosleep(&time, nullptr);
    return EDOM;
  };
  std::error_code ec;
  program.spawn(slow, ec);
  const itimerval never{};
  check(::setitimer(ITIMER_REAL, &never, nullptr), "setitimer");
  EXPECT_GT(signals, 5);
  EXPECT_EQ(ec, system_error(EDOM));
  EXPECT_FALSE(has_children());
}

TEST(spawn, pidfdid_of_an_earlier_child_is_not_passed) {
#if defined(SYS_pidfd_open)
  const auto start_two = []() -> std::string {
    const auto fds = sockets(1);
    sd::activation program({"sh", "-c", "test -z \"$LISTEN_PIDFDID\""}, fds);
    const int first = wait_for(program.spawn());
    if (sd::test::install({SYS_pidfd_open, 1, 0, EMFILE}) < 0) return "no filter";
    return std::to_string(first) + ' ' + std::to_string(wait_for(program.spawn()));
  };
  const auto statuses = sd::test::run_after([] { return 0; }, start_two);
  if (statuses == "no filter") GTEST_SKIP() << "SKIPPED: this system does not filter system calls";
  EXPECT_EQ(statuses, sd::test::pidfd_inode(::getpid()) ? "1 0" : "0 0");
#endif
}

// --- wrappers --------------------------------------------------------------------------------------------------------

/// A wrapper that finds sockets from number 3 on, and passes those in the list to the program.
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

/// The start of the line of open descriptors in the report, for these of the passed ones.
std::string opened(const outcome& result, const std::vector<std::size_t>& numbers) {
  std::string line = "open";
  int at = 3;
  for (const auto number : numbers) {
    line += ' ' + std::to_string(at++) + '=' + std::to_string(result.sockets.at(number - 3));
  }
  return line;
}

class wrapper_by : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, wrapper_by, testing::Values("exec", "spawn", "prepare"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST_P(wrapper_by, passes_some_of_the_descriptors_that_it_took) {
  const auto result = handed(GetParam(), "take", "5=c,3=a", 4, sd::test::command(PROBE, {"take", "required"}));
  EXPECT_THAT(result.output, StartsWith("fds 2\n3 " + std::to_string(result.sockets[2]) + " cloexec name=c\n4 " +
                                        std::to_string(result.sockets[0]) + " cloexec name=a\nopen 3c 4c\n"));
}

TEST_P(wrapper_by, passes_inheritable_descriptors) {
  const auto result = handed(GetParam(), "-", "3,4,5");
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4, 5})));
}

TEST_P(wrapper_by, passes_none) {
  const auto result = handed(GetParam(), "take", "-");
  EXPECT_THAT(lines_of(result.output), Contains("open"));
  EXPECT_THAT(result.output, Not(HasSubstr("LISTEN_")));
}

TEST_P(wrapper_by, passes_every_permutation) {
  std::array<std::size_t, 4> order = {3, 4, 5, 6};
  do {
    std::string list;
    for (const auto number : order) list += (list.empty() ? "" : ",") + std::to_string(number);
    const auto result = handed(GetParam(), "take", list, 4);
    EXPECT_THAT(lines_of(result.output), Contains(opened(result, {order.begin(), order.end()}))) << list;
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(wrapper_by, passes_every_pair) {
  for (std::size_t first = 3; first <= 6; ++first) {
    for (std::size_t second = 3; second <= 6; ++second) {  // including the same one twice
      const auto result = handed(GetParam(), "take", std::to_string(first) + ',' + std::to_string(second), 4);
      EXPECT_THAT(lines_of(result.output), Contains(opened(result, {first, second}))) << first << ' ' << second;
    }
  }
}

TEST_P(wrapper_by, passes_high_numbers) {
  const auto result = handed(GetParam(), "take", "3@900,4@6,5@7");
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4, 5})));
}

TEST_P(wrapper_by, passes_standard_streams) {
  const auto result = handed(GetParam(), "take", "3@0,4");
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4})));
}

// The descriptors by which a forked child reports its error have the lowest free numbers, which the passed ones occupy.
TEST_P(wrapper_by, passes_to_numbers_that_the_report_occupies) {
  const auto result = handed(GetParam(), "take", "3@900,4@901,5@902,6@903,7@904,8@905", 6);
  EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4, 5, 6, 7, 8})));
  auto failing = wrapper(GetParam(), "take", "3@900,4@901,5@902,6@903,7@904,8@905", {"/nowhere/program"}, 6);
  const auto failed = sd::test::run(failing);
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.output, StartsWith("error 2 "));
}

TEST_P(wrapper_by, environment_that_was_cleared) {
  const auto result = sd::test::run(wrapper(GetParam(), "take,clearenv", "3=web", reporter(), 1));
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(lines_of(result.output), Contains("LISTEN_FDNAMES=web"));
}

TEST(exec, pid_is_unchanged) {
  const auto result = handed("exec", "take,pid", "4", 2);
  const auto lines = lines_of(result.output);
  ASSERT_GE(lines.size(), 2U);
  EXPECT_THAT(lines[0], StartsWith("pid "));
  EXPECT_EQ(lines[1], lines[0]);
  EXPECT_THAT(lines, Contains("LISTEN_" + ("PID=" + lines[0].substr(4))));
}

TEST(exec, pidfdid_is_unchanged) {
  if (!sd::test::pidfd_inode(::getpid())) GTEST_SKIP() << "SKIPPED: this kernel has no pidfs (Linux 6.9)";
  auto program = wrapper("exec", "take", "3", {"sh", "-c", "[ $LISTEN_PIDFDID = $SD_TEST_PIDFDID ] && echo same"}, 1);
  program.environment["SD_TEST_PIDFDID"] = "{pidfdid}";
  EXPECT_EQ(sd::test::run(program).output, "same\n");
}

TEST(exec, nested_wrappers) {
  const auto inner = wrapper("exec", "take", "4=b,3=a", sd::test::command(PROBE, {"take", "required"}), 0);
  const auto middle = wrapper("spawn", "take", "5,3,4", inner.command, 0);
  const auto result = handed("exec", "take", "4,5,3", 3, middle.command);  // 4,5,3 then 3,4,5 then 4,3
  EXPECT_THAT(result.output, StartsWith("fds 2\n3 " + std::to_string(result.sockets[1]) + " cloexec name=b\n4 " +
                                        std::to_string(result.sockets[0]) + " cloexec name=a\n"));
}

TEST(exec, failure_keeps_the_environment) {
  auto program = wrapper("exec", "take,SD_TEST_OWN=given", "4,3", {"/nowhere/program"}, 2);
  const auto result = sd::test::run(program);
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "error 2 No such file or directory\nenvironment unchanged\n");
}

TEST(exec, too_few_descriptors) {
  // Descriptors 3 to 6 move past 6 and then back.
  for (int limit = 0; limit < 7 + 4; ++limit) {
    const auto result = sd::test::run(wrapper("exec", "limit:" + std::to_string(limit), "6,5,4,3", {"true"}, 4));
    EXPECT_EQ(result.status, 1) << limit;
    EXPECT_THAT(result.output, AnyOf(StartsWith("error 24 "), StartsWith("error 22 "))) << limit;
  }
  EXPECT_EQ(sd::test::run(wrapper("exec", "limit:11", "6,5,4,3", {"true"}, 4)).status, 0);
}

// --- threads ---------------------------------------------------------------------------------------------------------

/// Threads that often hold a lock of the C library, which a fork then leaves locked in the child.
class busy_threads {
 public:
  busy_threads() {
    ::tzset();  // or the first localtime_r() would read TZ, without a lock, while other threads change the environment
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

TEST(threads, locks_that_they_hold_do_not_block_the_child) {
  if (sd::test::sanitized) {
    GTEST_SKIP() << "SKIPPED: the sanitizer does not see the C library's lock of the environment";
  }
  const auto fds = sockets(3);
  sd::activation program({"true"}, fds);  // before the threads change the environment
  sd::activation broken({"/nowhere/program"}, fds);
  const auto prepare = []() noexcept { return 0; };
  const int rounds = sd::test::emulator().empty() ? 60 : 10;
  const busy_threads threads;
  for (int i = 0; i < rounds; ++i) {
    std::error_code ec;
    ASSERT_EQ(wait_for(program.spawn()), 0);
    broken.spawn(ec);
    ASSERT_EQ(ec, system_error(ENOENT));
    ASSERT_EQ(wait_for(program.spawn(prepare)), 0);
    broken.spawn(prepare, ec);
    ASSERT_EQ(ec, system_error(ENOENT));
  }
}

/// Stands for another thread that forks while spawn() is under way: a child that has a copy of every descriptor, and
/// keeps the copies until `finish`, or for ten seconds.
class bystander {
 public:
  static void fork_one() {
    if (!enabled) return;
    pid = sd::test::raw_clone();
    if (pid != 0) return;
    pollfd until{finish, POLLIN, 0};
    ::_exit(::poll(&until, 1, 10'000) == 1 ? 0 : 1);
  }
  static inline bool enabled = false;
  static inline int pid = -1;
  static inline int finish = -1;
};

TEST(threads, descriptors_that_another_forked_child_holds_do_not_block_spawn) {
  static const int registered = ::pthread_atfork(bystander::fork_one, nullptr, nullptr);
  ASSERT_EQ(registered, 0);
  std::array<int, 2> pipe{};
  check(::pipe2(pipe.data(), O_CLOEXEC), "pipe2");
  const sd::unique_fd from(pipe[0]);
  sd::unique_fd to(pipe[1]);
  bystander::finish = from.get();
  sd::activation sound({"true"}, {});
  sd::activation broken({"/nowhere/program"}, {});
  const auto none = []() noexcept { return 0; };
  const auto refuse = []() noexcept { return EDOM; };
  std::vector<int> started;
  std::vector<int> bystanders;
  const auto beside = [&](const auto& spawn, int error) {
    std::error_code ec;
    bystander::enabled = true;
    bystander::pid = -1;
    const int pid = spawn(ec);
    bystander::enabled = false;
    EXPECT_EQ(ec.value(), error);
    if (pid > 0) started.push_back(pid);
    if (bystander::pid > 0) bystanders.push_back(bystander::pid);
  };
  beside([&](std::error_code& ec) { return sound.spawn(ec); }, 0);
  beside([&](std::error_code& ec) { return broken.spawn(ec); }, ENOENT);
  beside([&](std::error_code& ec) { return sound.spawn(none, ec); }, 0);
  beside([&](std::error_code& ec) { return broken.spawn(none, ec); }, ENOENT);
  beside([&](std::error_code& ec) { return sound.spawn(refuse, ec); }, EDOM);
  EXPECT_GE(bystanders.size(), 3U);
  check(static_cast<int>(::write(to.get(), "....................", 20)), "write");
  for (const int pid : started) EXPECT_EQ(wait_for(pid), 0);
  for (const int pid : bystanders) EXPECT_EQ(wait_for(pid), 0) << "spawn() waited for the other child";
}

TEST(threads, cancellation_waits_until_spawn_has_returned) {
  if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer's calls are cancellation points";
  static std::atomic<int> reached{0};
  static std::atomic<int> state{-1};
  const auto run = [](void*) -> void* {
    sd::activation sound({"true"}, {});
    sd::activation broken({"/nowhere/program"}, {});
    const auto none = []() noexcept { return 0; };
    int pids[2];
    std::error_code ec;
    ::pthread_cancel(::pthread_self());
    pids[0] = sound.spawn(ec);
    broken.spawn(ec);
    pids[1] = sound.spawn(none, ec);
    broken.spawn(none, ec);
    int state_after = -1;
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state_after);
    state = state_after;
    for (const int pid : pids) reached += wait_for(pid) == 0 ? 1 : 0;
    ::pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
    ::pthread_testcancel();
    reached = -1;
    return nullptr;
  };
  pthread_t thread{};
  ASSERT_EQ(::pthread_create(&thread, nullptr, run, nullptr), 0);
  void* result = nullptr;
  ASSERT_EQ(::pthread_join(thread, &result), 0);
  EXPECT_EQ(result, PTHREAD_CANCELED);
  EXPECT_EQ(reached, 2);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE);
}

TEST(threads, keep_their_privileges_when_a_preparation_drops_its_own) {
  if (::getuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
  std::atomic<bool> dropped{false};
  std::atomic<long> uid{-1};
  std::thread other([&] {
    while (!dropped) std::this_thread::yield();
    uid = ::syscall(SYS_getuid);
  });
  sd::activation program({"true"}, {});
  const int pid = program.spawn([]() noexcept { return ::setuid(65534) == 0 ? 0 : errno; });
  dropped = true;
  other.join();
  EXPECT_EQ(uid, 0);
  EXPECT_EQ(wait_for(pid), 0);
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

  /// Passes descriptors 3 and 4 on, under strace, which injects a failure if one is given.
  [[nodiscard]] outcome traced(const words& program, const std::string& injected = "",
                               const std::string& mode = "spawn", const std::string& list = "3,4") const {
    words tracer = {STRACE, "-f", "-qq", "-o", directory_ / "trace"};
    if (!injected.empty()) tracer.insert(tracer.end(), {"-e", "inject=" + injected});
    auto wrapping = wrapper(mode, twice_, list, program, 2);
    wrapping.command.insert(wrapping.command.begin(), tracer.begin(), tracer.end());
    return sd::test::run(wrapping);
  }

  /// The system calls of the last spawn(): those of this process, and those of the child up to its first execve().
  struct calls {
    words parent;
    words child;
  };
  [[nodiscard]] calls made() const {
    calls result;
    std::string parent;
    bool marked = false;
    bool executed = false;
    for (const auto& line : lines_of(contents_of(directory_ / "trace"))) {
      const auto pid = line.substr(0, line.find(' '));
      auto call = line.substr(line.find_first_not_of(' ', pid.size()));
      if (parent.empty()) parent = pid;
      if (call.find("<... ") == 0 && call.find("(INJECTED)") == std::string::npos) continue;  // the rest of a call
      if (call.find("---") == 0 || call.find("+++") == 0) continue;                           // a signal, or an exit
      if (pid == parent) {
        if (call.find("\"end\"") != std::string::npos) marked = false;
        if (marked) result.parent.push_back(std::move(call));
        if (line.find("\"begin\"") != std::string::npos) {
          marked = true;
          executed = false;
          result = {};
        }
      } else if (marked && !executed) {
        executed = call.find("execve(") == 0;
        result.child.push_back(std::move(call));
      }
    }
    return result;
  }
  [[nodiscard]] bool was_injected() const {
    return contents_of(directory_ / "trace").find("(INJECTED)") != std::string::npos;
  }

  /// Checks that spawn() fails with the error, and leaves nothing behind.
  void expect_failure(const std::string& mode, const std::string& injected, int error) const {
    const auto result = traced({"/bin/true"}, injected, mode);
    EXPECT_TRUE(was_injected()) << injected;
    EXPECT_EQ(result.output,
              "error " + std::to_string(error) + " start /bin/true: " + system_error(error).message() + '\n')
        << injected;
    EXPECT_EQ(result.status, 1) << injected;
  }

  /// Has the wrapper call spawn() twice. The first call of a process makes more system calls.
  void measure_second_call() { twice_ = "twice"; }

  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }

 private:
  sd::test::directory directory_;
  std::string twice_ = "-";
};

std::string name_of(const std::string& call) { return call.substr(0, call.find('(')); }

words names_of(const words& calls) {
  words names;
  for (const auto& call : calls) names.push_back(name_of(call));
  return names;
}

const auto a_clone = AnyOf("clone", "clone3", "vfork", "fork");

TEST_F(spawn_calls, parent_makes_three) {
  measure_second_call();
  for (const char* const list : {"-", "3", "3,4,3,4,3,4,3,4"}) {
    ASSERT_EQ(traced({"/bin/true"}, "", "spawn", list).status, 0);
    EXPECT_THAT(names_of(made().parent), ElementsAre("rt_sigprocmask", a_clone, "rt_sigprocmask")) << list;
  }
}

TEST_F(spawn_calls, first_spawn_makes_two_more) {
  ASSERT_EQ(traced({"/bin/true"}).status, 0);
  EXPECT_THAT(names_of(made().parent), ElementsAre("rt_sigprocmask", a_clone, "wait4", a_clone, "rt_sigprocmask"));
}

TEST_F(spawn_calls, child_makes_a_fixed_number_and_three_for_each_descriptor) {
  const auto child_of = [&](const std::string& list) {
    EXPECT_EQ(traced({"/bin/true"}, "", "spawn", list).status, 0);
    auto names = names_of(made().child);
    const auto end = std::remove(names.begin(), names.end(), "rt_sigaction");
    EXPECT_LE(names.end() - end, 64);
    names.erase(end, names.end());
    return names;
  };
  measure_second_call();
  EXPECT_THAT(child_of("-"), ElementsAre("rt_sigprocmask", "execve"));
  const auto one = child_of("3");
  EXPECT_THAT(one, SizeIs(testing::Le(9U)));
  EXPECT_THAT(child_of("3,4,3,4"), SizeIs(one.size() + 6));
}

TEST_F(spawn_calls, child_takes_no_memory_and_no_lock) {
  for (const char* const mode : {"spawn", "prepare"}) {
    ASSERT_EQ(traced({"/bin/true"}, "", mode).status, 0);
    const auto child = made().child;
    ASSERT_FALSE(child.empty());
    EXPECT_THAT(child.back(), StartsWith("execve("));
    const words allowed = {"set_robust_list", "rseq",    "rt_sigprocmask", "rt_sigaction", "exit",
                           "exit_group",      "getpid",  "pidfd_open",     "fstatfs",      "fstatfs64",
                           "fstat",           "fstat64", "newfstatat",     "statx",        "close",
                           "fcntl",           "fcntl64", "dup2",           "dup3",         "execve",
                           "pipe2",           "sendmsg", "socketcall",     "write"};
    for (const auto& name : names_of(child)) EXPECT_THAT(allowed, Contains(name));
  }
}

// As an emulator that cannot create a child which shares its memory.
TEST_F(spawn_calls, forks_if_memory_cannot_be_shared) {
  for (const bool second : {false, true}) {
    if (second) measure_second_call();
    EXPECT_EQ(traced({"/bin/true"}, "clone:error=EINVAL:when=1").status, 0);
    EXPECT_TRUE(was_injected());
    const auto parent = names_of(made().parent);
    EXPECT_THAT(parent, Contains("recvmsg"));
    EXPECT_THAT(parent, Not(Contains("wait4")));
    EXPECT_EQ(std::count(parent.begin(), parent.end(), "clone"), second ? 1 : 2);
  }
}

TEST_F(spawn_calls, failures_are_reported_and_leave_nothing) {
  expect_failure("prepare", "socketpair:error=ENFILE:when=1", ENFILE);
  expect_failure("prepare", "pipe2:error=ENFILE:when=1", ENFILE);
  expect_failure("prepare", "clone,?clone3,?fork,?vfork:error=EAGAIN:when=1", EAGAIN);
  for (int nth = 1; nth <= 2; ++nth) {  // the first one finds out whether the system shares memory as it is asked to
    expect_failure("spawn", "clone,?clone3,?fork,?vfork:error=EAGAIN:when=" + std::to_string(nth), EAGAIN);
  }
  for (int nth = 1; nth <= 2; ++nth) {
    expect_failure("spawn", "/^fcntl(64)?$:error=EMFILE:when=" + std::to_string(nth), EMFILE);
    expect_failure("spawn", "dup2,?dup3:error=EBUSY:when=" + std::to_string(nth), EBUSY);
    expect_failure("prepare", "dup2,?dup3:error=EBUSY:when=" + std::to_string(nth), EBUSY);
  }
  for (int nth = 1; nth <= 3; ++nth) {  // the report, and both descriptors
    expect_failure("prepare", "/^fcntl(64)?$:error=EMFILE:when=" + std::to_string(nth), EMFILE);
  }
}

// Linux before 5.3 has no pidfd_open(2), and before 6.9 every pidfd has the same inode.
TEST_F(spawn_calls, no_pidfdid_without_pidfs) {
  const std::string other_file_system = sizeof(long) == 8 ? "1900000000000000" : "19000000";
  for (const auto& injected :
       {std::string("pidfd_open:error=ENOSYS:when=1"),
        "fstatfs,?fstatfs64:poke_exit=@arg2=" + other_file_system + ",@arg3=" + other_file_system}) {
    const auto result = traced(reporter(), injected);
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(lines_of(result.output), Contains(opened(result, {3, 4})));
    EXPECT_THAT(lines_of(result.output), Contains("LISTEN_FDS=2"));
    EXPECT_THAT(result.output, Not(HasSubstr("LISTEN_PIDFDID"))) << injected;
    EXPECT_THAT(lines_of(result.output), Not(Contains(""))) << injected;
  }
}

TEST_F(spawn_calls, unexpected_pidfd_failure_leaves_the_variable_out) {
  const auto result = traced(reporter(), "pidfd_open:error=EMFILE:when=1");
  EXPECT_TRUE(was_injected());
  EXPECT_THAT(lines_of(result.output), Contains("LISTEN_FDS=2"));
  EXPECT_THAT(result.output, Not(HasSubstr("LISTEN_PIDFDID")));
}

TEST_F(spawn_calls, interrupted_calls_are_repeated) {
  const std::string error = "error 2 start /nowhere/program: No such file or directory\n";
  const auto expect_repeated = [&](const std::string& mode, const std::string& injected) {
    EXPECT_EQ(traced({"/nowhere/program"}, injected, mode).output, error) << injected;
    EXPECT_TRUE(was_injected()) << injected;
  };
  expect_repeated("spawn", "wait4:error=EINTR:when=1");
  expect_repeated("spawn", "wait4:error=EINTR:when=2");
  expect_repeated("prepare", "wait4:error=EINTR:when=1");
  expect_repeated("prepare", "recvmsg:error=EINTR:when=1");
  expect_repeated("prepare", "sendmsg:error=EINTR:when=1");
  expect_repeated("prepare", "write:error=EINTR:when=1");  // of the child, and of the mark

  // The loader reads as well: a run without failures tells which read is that of spawn().
  static_cast<void>(traced({"/nowhere/program"}, "", "prepare"));
  ASSERT_THAT(names_of(made().parent), Contains("read"));
  const auto trace = contents_of(directory() / "trace");
  const auto before = lines_of(trace.substr(0, trace.find("\"begin\"")));
  const auto reads = std::count_if(before.begin(), before.end(),
                                   [](const auto& line) { return line.find(" read(") != std::string::npos; });
  expect_repeated("prepare", "read:error=EINTR:when=" + std::to_string(reads + 1));
  EXPECT_THAT(made().parent, Contains(testing::ContainsRegex("read.*EINTR")));
}

}  // namespace
