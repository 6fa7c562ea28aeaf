// SPDX-License-Identifier: MIT OR Apache-2.0
#include "process_group.hpp"

#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "descriptor_limit.hpp"
#include "failing_call.hpp"
#include "waiting.hpp"

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

using namespace std::chrono_literals;
using sd::activate::resume;
using sd::activate::send_signal;
using sd::activate::suspend;
using sd::test::check;

/// A child process that leads a process group, and runs a function. The destructor kills the group.
class child_group {
 public:
  explicit child_group(const std::function<int()>& function) : pid_(check(::fork(), "fork")) {
    ::setpgid(pid_, pid_);  // of this process if it is the child
    if (pid_ == 0) ::_exit(function());
  }
  child_group(const child_group&) = delete;
  child_group& operator=(const child_group&) = delete;
  ~child_group() {
    ::kill(-pid_, SIGKILL);
    if (!has_ended_) ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] int pid() const noexcept { return pid_; }
  /// Waits for the child, also for one that stops. Returns its status.
  int wait() {
    int status = 0;
    check(::waitpid(pid_, &status, WUNTRACED), "waitpid");
    has_ended_ = !WIFSTOPPED(status);
    return status;
  }

 private:
  int pid_;
  bool has_ended_ = false;
};

[[noreturn]] void spin() {
  for (volatile bool goes_on = true; goes_on;) continue;
  ::_exit(0);
}

char state_of_thread(const fs::path& directory) {
  std::ifstream file(directory / "stat");
  std::string text;
  std::getline(file, text);
  const auto end = text.rfind(')');
  return end == std::string::npos ? 'X' : text.at(end + 2);
}

/// Returns the states of all threads of a process, such as "RS".
std::string states_of(int pid) {
  std::string all;
  for (const auto& each : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    all += state_of_thread(each);
  }
  return all;
}

/// Returns whether all threads of a process are in this state. A sanitizer may add threads.
bool are_all(int pid, char state) { return states_of(pid).find_first_not_of(state) == std::string::npos; }

bool reach_all(int pid, char state) {
  return sd::test::holds_within(20s, 1ms, [&] { return are_all(pid, state); });
}

sd::unique_fd pidfd_of_child(int pid) {
  return sd::unique_fd(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open"));
}

TEST(suspend, no_thread_of_the_group_runs_afterwards) {
  const child_group other([] { return ::pause(); });
  std::array<int, 2> ends{};
  check(::pipe(ends.data()), "pipe");
  const sd::unique_fd read_end(ends[0]);
  const sd::unique_fd write_end(ends[1]);
  constexpr std::size_t processes = 4;
  // More than the processors of a small machine can run at once.
  const child_group busy([&] {
    for (std::size_t i = 1; i < processes; ++i) {
      if (::fork() == 0) break;
    }
    std::thread(spin).detach();
    const int pid = ::getpid();
    if (::write(write_end.get(), &pid, sizeof pid) < 0) return 1;
    spin();
  });
  std::vector<int> pids(processes);
  for (auto& each : pids) check(::read(read_end.get(), &each, sizeof each), "read");
  // On a busy machine, they may take too long to stop.
  EXPECT_TRUE(sd::test::holds_within(20s, 1ms, [&] { return suspend(busy.pid()); }));
  for (const int each : pids) EXPECT_TRUE(are_all(each, 'T')) << states_of(each);
  EXPECT_TRUE(reach_all(other.pid(), 'S'));
  resume(busy.pid());
  for (const int each : pids) EXPECT_TRUE(sd::test::holds_within(20s, 1ms, [&] { return !are_all(each, 'T'); }));
}

TEST(suspend, group_without_a_process_is_refused) {
  int pid = 0;
  {
    child_group ended([] { return 0; });
    pid = ended.pid();
    ended.wait();
  }
  EXPECT_FALSE(suspend(pid));
  child_group none([] { return suspend(0) ? 1 : 0; });
  EXPECT_EQ(none.wait(), 0);
}

TEST(suspend, process_that_does_not_stop_goes_on) {
  std::array<int, 2> ends{};
  check(::pipe(ends.data()), "pipe");
  const sd::unique_fd read_end(ends[0]);
  sd::unique_fd write_end(ends[1]);
  // The parent waits in the kernel, without regard to signals, for a child that is in another group.
  child_group waiting([&] {
    ::close(write_end.get());
    clone_args how{};
    how.flags = CLONE_VFORK;
    how.exit_signal = SIGCHLD;
    const auto pid = ::syscall(SYS_clone3, &how, sizeof how);
    if (pid == 0) {
      ::setpgid(0, 0);
      char ignored = 0;
      ::_exit(static_cast<int>(::read(read_end.get(), &ignored, 1)));
    }
    return pid < 0 ? 1 : 0;
  });
  if (!sd::test::holds_within(2s, 1ms, [&] { return states_of(waiting.pid()).find('D') != std::string::npos; })) {
    GTEST_SKIP() << "SKIPPED: CLONE_VFORK does not suspend the parent";
  }
  EXPECT_FALSE(suspend(waiting.pid()));
  write_end.reset();
  EXPECT_EQ(waiting.wait(), 0);
}

TEST(suspend, processes_go_on_if_they_cannot_be_examined) {
  const child_group sleeping([] { return ::pause(); });
  {
    const sd::test::descriptor_limit no_descriptors(0);
    EXPECT_FALSE(suspend(sleeping.pid()));
  }
  EXPECT_TRUE(reach_all(sleeping.pid(), 'S'));
}

TEST(send_signal, result_is_whether_there_was_a_process) {
  child_group sleeping([] { return ::pause(); });
  const int pid = sleeping.pid();
  const auto pidfd = pidfd_of_child(pid);
  for (const int each : {pidfd.get(), -1}) {
    EXPECT_TRUE(send_signal(pid, each, 0));
    EXPECT_TRUE(send_signal(-pid, each, 0));
  }
  EXPECT_TRUE(send_signal(-pid, -1, SIGKILL));
  EXPECT_TRUE(WIFSIGNALED(sleeping.wait()));
  for (const int each : {pidfd.get(), -1}) {
    EXPECT_FALSE(send_signal(pid, each, 0));
    EXPECT_FALSE(send_signal(-pid, each, 0));
  }
}

TEST(send_signal, groups_get_it_on_kernels_without_their_pidfds) {
  constexpr unsigned process_group = 4;
  const child_group sleeping([] { return ::pause(); });
  const auto pidfd = pidfd_of_child(sleeping.pid());
  const auto result = sd::test::run_with({SYS_pidfd_send_signal, 3, process_group, EINVAL}, [&] {
    return std::to_string(static_cast<int>(send_signal(-sleeping.pid(), pidfd.get(), 0)));
  });
  if (!result) GTEST_SKIP() << "SKIPPED: the kernel rejects filters of system calls";
  EXPECT_EQ(*result, "1");
}

/// Returns a set of signals.
sigset_t signals(std::initializer_list<int> all) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int each : all) ::sigaddset(&set, each);
  return set;
}

TEST(send_signal, process_gets_it_once) {
  sigset_t before;
  const auto blocked = signals({SIGRTMIN, SIGUSR1});
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  child_group counting([] {
    const auto end = signals({SIGUSR1});
    int ignored = 0;
    ::sigwait(&end, &ignored);
    const auto counted = signals({SIGRTMIN});
    const timespec now{};
    int count = 0;
    while (::sigtimedwait(&counted, nullptr, &now) == SIGRTMIN) ++count;
    return count;
  });
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  const auto pidfd = pidfd_of_child(counting.pid());
  EXPECT_TRUE(send_signal(counting.pid(), pidfd.get(), SIGRTMIN));
  ::kill(counting.pid(), SIGUSR1);
  EXPECT_EQ(WEXITSTATUS(counting.wait()), 1);
}

TEST(send_signal, any_thread_of_the_process_gets_it) {
  child_group process([] {
    std::thread([] { ::pause(); }).detach();
    const auto blocked = signals({SIGTERM});
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    return ::pause();
  });
  EXPECT_TRUE(sd::test::holds_within(
      20s, 1ms, [&] { return states_of(process.pid()).size() > 1 && are_all(process.pid(), 'S'); }));
  const auto pidfd = pidfd_of_child(process.pid());
  EXPECT_TRUE(send_signal(process.pid(), pidfd.get(), SIGTERM));
  EXPECT_TRUE(sd::test::holds_within(5s, 1ms, [&] { return are_all(process.pid(), 'Z'); }));
}

}  // namespace
