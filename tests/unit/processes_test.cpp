// SPDX-License-Identifier: MIT OR Apache-2.0
// Starting a child step by step, and the timeout of wait_for_hangup().
#include "detail/os/processes.hpp"

#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "descriptor_limit.hpp"
#include "failing_call.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

namespace {

namespace os = sd::detail::os;
using sd::test::check;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
bool is_childless() { return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD; }

/// Sets the action of a signal, and restores the previous one on destruction.
class signal_action {
 public:
  signal_action(int signal, void (*handler)(int)) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = handler;
    check(::sigaction(signal, &action, &saved_), "sigaction");
  }
  signal_action(const signal_action&) = delete;
  signal_action& operator=(const signal_action&) = delete;
  ~signal_action() { ::sigaction(signal_, &saved_, nullptr); }

 private:
  int signal_;
  struct sigaction saved_ {};
};

constexpr std::uint64_t bit_of(int signal) { return std::uint64_t{1} << static_cast<unsigned>(signal - 1); }

// --- wait_for_hangup -------------------------------------------------------------------------------------------------

TEST(wait_for_hangup, returns_1_after_the_other_end_was_closed) {
  int ends[2];
  ASSERT_EQ(os::open_pipe(ends), 0);
  const sd::unique_fd read_end(ends[0]);
  sd::unique_fd write_end(ends[1]);
  EXPECT_EQ(os::wait_for_hangup(read_end.get(), 0), 0);
  write_end.reset();
  EXPECT_EQ(os::wait_for_hangup(read_end.get(), 0), 1);
  EXPECT_EQ(os::wait_for_hangup(read_end.get(), -1), 1);
}

#if defined(SYS_poll)
TEST(wait_for_hangup, rounds_up_to_milliseconds) {
  struct row {
    std::int64_t usec;
    int msec;
  };
  constexpr auto longest = std::numeric_limits<std::int64_t>::max();
  constexpr row rows[] = {
      {0, 0},
      {999, 1},
      {2'000'500, 2001},
      {std::int64_t{INT_MAX} * 1000 + 500, INT_MAX},
      {longest, INT_MAX},
      {-1, -1},
      {-longest - 1, -1},
  };
  int ends[2];
  ASSERT_EQ(os::open_pipe(ends), 0);
  const sd::unique_fd read_end(ends[0]);
  sd::unique_fd(ends[1]).reset();  // so that poll() with another timeout succeeds at once
  for (const auto& row : rows) {
    const auto result = sd::test::run_with({SYS_poll, 2, static_cast<std::uint32_t>(row.msec), EDOM}, [&] {
      // Time may pass before the rest is computed, so one match in many attempts suffices. A timeout of 0 must always
      // match.
      const bool is_needed_each_time = row.usec == 0;
      int attempts = 1000;
      int last = 0;
      do {
        last = os::wait_for_hangup(read_end.get(), row.usec);
      } while (--attempts > 0 && (last == -EDOM) == is_needed_each_time);
      return std::to_string(last);
    });
    if (!result) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
    EXPECT_EQ(result, std::to_string(-EDOM)) << row.usec;
  }
}
#endif

// --- signals ---------------------------------------------------------------------------------------------------------

TEST(read_signal_actions, handled_and_ignored_signals) {
  const signal_action first(SIGHUP, SIG_IGN);
  const signal_action handled(SIGUSR1, [](int) {});
  const signal_action ignored(SIGUSR2, SIG_IGN);
  const signal_action unchanged(SIGTERM, SIG_DFL);
  const auto actions = os::read_signal_actions();
  const auto relevant = bit_of(SIGHUP) | bit_of(SIGUSR1) | bit_of(SIGUSR2) | bit_of(SIGTERM);
  EXPECT_EQ(actions.handled & relevant, bit_of(SIGUSR1));
  EXPECT_EQ(actions.ignored & relevant, bit_of(SIGHUP) | bit_of(SIGUSR2));
}

#if defined(__linux__)
TEST(read_signal_actions, signal_64) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the emulator may use the signal itself";
  const signal_action last(64, SIG_IGN);
  EXPECT_EQ(os::read_signal_actions().ignored & bit_of(64), bit_of(64));
}
#endif

// --- start -----------------------------------------------------------------------------------------------------------

/// Starts children whose steps are captureless lambdas.
class start : public testing::Test {
 protected:
  using step = int (*)(void*) noexcept;

  [[nodiscard]] int run(step prepare, step execute, bool shares_memory = false) {
    os::child child{};
    child.execute = execute;
    child.self = this;
    child.prepare = prepare;
    child.argument = this;
    child.prepares_in_shared_memory = shares_memory;
    child.actions = actions_;
    child.end_of_overwritten = 3;
    child.stack = stack_.get();
    return os::start(child);
  }

  /// Runs a shell command in a child. Returns the child's exit status, or a negated errno if it could not be started.
  [[nodiscard]] int status_of(const char* command) {
    command_ = command;
    const int pid = run(nullptr, [](void* self) noexcept {
      char* const words[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),
                             const_cast<char*>(static_cast<start*>(self)->command_), nullptr};
      return -os::execute("/bin/sh", words, os::environment());
    });
    return pid < 0 ? pid : sd::test::wait_for(pid);
  }

  static int succeed(void*) noexcept { return 0; }
  static int fail(void*) noexcept { return EDOM; }

  os::signal_actions actions_;

 public:
  int count_ = 0;  // of the functions

 private:
  const char* command_ = "";
  std::unique_ptr<char[]> stack_{new char[os::stack_size]};
};

TEST_F(start, child_resets_only_the_signals_that_it_must_reset) {
  const signal_action first(SIGUSR1, SIG_IGN);
  const signal_action second(SIGUSR2, SIG_IGN);
  actions_ = {0, bit_of(SIGUSR1)};
  EXPECT_EQ(status_of("kill -USR1 $$; exit 3"), 128 + SIGUSR1);
  EXPECT_EQ(status_of("kill -USR2 $$; exit 3"), 3);
}

#if defined(__linux__)
TEST_F(start, child_does_not_reset_signal_64) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the emulator may use the signal itself";
  const signal_action ignored(64, SIG_IGN);
  actions_ = {0, 0};
  EXPECT_EQ(status_of("kill -64 $$; exit 3"), 3);
  actions_ = {0, bit_of(64)};
  EXPECT_EQ(status_of("kill -64 $$; exit 3"), 128 + 64);
}
#endif

TEST_F(start, failed_preparation_is_not_followed_by_the_program) {
  const auto never = [](void*) noexcept { return ERANGE; };
  EXPECT_EQ(run(fail, never), -EDOM);
  EXPECT_EQ(run(fail, never, true), -EDOM);
}

TEST_F(start, preparation_runs_in_shared_memory_if_it_may) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: on the emulator the child is created by fork(2)";
  const auto count = [](void* self) noexcept {
    ++static_cast<start*>(self)->count_;
    return EDOM;
  };
  EXPECT_EQ(run(count, succeed), -EDOM);
  EXPECT_EQ(count_, 0);
  EXPECT_EQ(run(count, succeed, true), -EDOM);
  EXPECT_EQ(count_, 1);
}

TEST_F(start, no_child_remains_where_sigchld_is_ignored) {
  const signal_action ignored(SIGCHLD, SIG_IGN);
  EXPECT_EQ(run(nullptr, fail), -EDOM);
  EXPECT_TRUE(is_childless());
  EXPECT_EQ(run(succeed, fail), -EDOM);
  EXPECT_TRUE(is_childless());
}

TEST_F(start, preparation_finds_two_more_open_descriptors) {
  static const auto open_descriptors = []() noexcept {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) count += is_open(fd) ? 1 : 0;
    return count;
  };
  count_ = open_descriptors();
  const auto prepare = [](void* self) noexcept {
    return open_descriptors() == static_cast<start*>(self)->count_ + 2 ? EDOM : ERANGE;
  };
  EXPECT_EQ(run(prepare, succeed), -EDOM);
}

#if defined(__linux__)

/// Overwrites the part of the stack that the next calls use.
[[gnu::noinline]] void clear_stack() noexcept {
  volatile char memory[8192];
  for (auto& byte : memory) byte = 0;
}

/// Returns the mask of the signals that a thread blocks, or 0 if it cannot be read. Allocates no memory.
std::uint64_t blocked_signals(int thread) noexcept {
  char path[] = "/proc/..........................";
  std::size_t length = std::strlen("/proc/");
  char digits[12];
  std::size_t count = 0;
  for (int rest = thread; rest != 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
  while (count != 0) path[length++] = digits[--count];
  std::memcpy(path + length, "/status", sizeof "/status");
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  static char text[8192];
  const auto size = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  text[size > 0 ? size : 0] = '\0';
  const char* const mask = std::strstr(text, "SigBlk:");
  return mask != nullptr ? std::strtoull(mask + std::strlen("SigBlk:"), nullptr, 16) : 0;
}

TEST_F(start, thread_blocks_all_signals_meanwhile_if_there_are_handlers) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: on the emulator the child is created by fork(2)";
  count_ = static_cast<int>(::syscall(SYS_gettid));
  const auto prepare = [](void* self) noexcept {
    const auto blocked = blocked_signals(static_cast<start*>(self)->count_);
    if ((blocked & bit_of(SIGUSR1)) == 0) return ENOENT;
    return (blocked | bit_of(SIGKILL) | bit_of(SIGSTOP)) == ~std::uint64_t{0} ? EEXIST : ERANGE;
  };
  ASSERT_EQ(blocked_signals(count_) & bit_of(SIGUSR1), 0U);
  clear_stack();
  EXPECT_EQ(run(prepare, succeed, true), -EEXIST);
  EXPECT_EQ(blocked_signals(count_) & bit_of(SIGUSR1), 0U);
  actions_ = {0, ~std::uint64_t{0}};
  EXPECT_EQ(run(prepare, succeed, true), -ENOENT);
}

#endif

// --- fork ------------------------------------------------------------------------------------------------------------

/// Calls one function in the parent and one in the child after each fork(2) of this process. Either may be null.
class after_fork {
 public:
  using function = void (*)();
  after_fork(function in_parent, function in_child) {
    static const int registered = ::pthread_atfork(
        nullptr, [] { call(parent); }, [] { call(child); });
    EXPECT_EQ(registered, 0);
    parent = in_parent;
    child = in_child;
  }
  after_fork(const after_fork&) = delete;
  after_fork& operator=(const after_fork&) = delete;
  ~after_fork() { parent = child = nullptr; }

 private:
  static void call(function called) {
    if (called != nullptr) called();
  }
  static inline function parent = nullptr;
  static inline function child = nullptr;
};

TEST_F(start, child_that_ends_early_is_ecanceled) {
  const after_fork ending(nullptr, [] { ::_exit(0); });
  errno = EINTR;  // of an earlier call
  EXPECT_EQ(run(succeed, fail), -ECANCELED);
  const auto end = [](void*) noexcept -> int { ::_exit(0); };
  EXPECT_EQ(run(end, fail), -ECANCELED);
  EXPECT_EQ(run(end, fail, true), -ECANCELED);
  EXPECT_TRUE(is_childless());
}

TEST_F(start, no_descriptor_left_for_the_report_is_emfile) {
  const sd::test::descriptor_limit restored(sd::test::descriptor_limit::current().rlim_cur);
  const after_fork limiting(
      [] {
        const rlimit none{0, sd::test::descriptor_limit::current().rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
      },
      nullptr);
  EXPECT_EQ(run(succeed, fail), -EMFILE);
  EXPECT_TRUE(is_childless());
}

TEST_F(start, report_may_be_descriptor_0) {
  const sd::unique_fd saved(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  const after_fork closing([] { ::close(STDIN_FILENO); }, nullptr);
  EXPECT_EQ(run(succeed, fail), -EDOM);
  EXPECT_FALSE(is_open(STDIN_FILENO));
  if (saved) ::dup2(saved.get(), STDIN_FILENO);
}

}  // namespace
