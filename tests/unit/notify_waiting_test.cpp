// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests concurrent calls of sd::notify(), calls that wait for room in the queue, and sd::notify_barrier().

#include <sd/notify.hpp>
#include <sd/unique_fd.hpp>

#include "notify_fixture.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::notify_result;
using sd::state;
using sd::unique_fd;
using sd::test::check;
using sd::test::notify;
using sd::test::open_descriptors;
using sd::test::stale;
using sd::test::system_error;
using std::chrono::microseconds;
using testing::SizeIs;
using steady = std::chrono::steady_clock;

// --- concurrent and blocked calls ------------------------------------------------------------------------------------

/// Makes the stacks of new threads small, but large enough for what ThreadSanitizer keeps there.
class small_stacks {
 public:
  small_stacks() {
    ::pthread_getattr_default_np(&usual_);
    pthread_attr_t small = usual_;
    ::pthread_attr_setstacksize(&small, std::size_t{1} << 20U);
    ::pthread_setattr_default_np(&small);
  }
  small_stacks(const small_stacks&) = delete;
  small_stacks& operator=(const small_stacks&) = delete;
  ~small_stacks() { ::pthread_setattr_default_np(&usual_); }

 private:
  pthread_attr_t usual_;
};

TEST_F(notify, messages_of_a_thousand_threads_arrive_intact) {
  constexpr int count = 1000;
  const small_stacks stacks;  // that many of the usual size exceed a 32-bit address space
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  threads.reserve(count);
  std::multiset<std::string> received;
  std::thread receiving([&] {
    while (received.size() < count) {
      auto message = manager().next(60'000);
      if (!message) return;
      received.insert(std::move(message->text));
    }
  });
  std::multiset<std::string> sent;
  for (int i = 0; i < count; ++i) {
    const auto text = std::string(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    sent.insert("MAINPID=" + std::to_string(i) + "\nSTATUS=" + text);
    threads.emplace_back([&failed, text, i] {
      std::error_code ec;
      if (sd::notify({state::main_pid(i), state::status(text)}, ec) != notify_result::sent) ++failed;
    });
  }
  for (auto& thread : threads) thread.join();
  receiving.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(received, sent);
}

TEST_F(notify, full_queue_blocks) {
  const unique_fd other(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  manager().where().copy(to.sun_path, sizeof to.sun_path - 1);
  int queued = 0;
  while (::sendto(other.get(), "X=1", 3, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 3) ++queued;
  ASSERT_EQ(errno, EAGAIN);

  std::atomic<bool> done{false};
  notify_result result{};
  std::error_code ec;
  std::thread sender([&] {
    result = sd::notify({state::ready()}, ec);
    done = true;
  });
  std::this_thread::sleep_for(200ms);
  EXPECT_FALSE(done);
  for (int i = 0; i < queued; ++i) {
    const auto message = manager().next();
    EXPECT_EQ(message ? message->text : "", "X=1");
  }
  const auto last = manager().next(10'000);
  sender.join();
  EXPECT_EQ(result, notify_result::sent) << ec.message();
  EXPECT_EQ(last ? last->text : "", "READY=1");
}

std::atomic<int> signals{0};
std::atomic<int> signal_failures{0};

TEST_F(notify, signal_handler) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the emulator has its own signal handlers";
  constexpr int enough = 300;
  std::atomic<bool> done{false};
  int received = 0;
  int mismatched = 0;
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &alarm, nullptr), 0);
  // It allocates no memory: the thread that is interrupted may hold the lock of the allocator while its handler waits
  // for room in the queue.
  std::thread receiving([&] {
    constexpr std::string_view begin = "WATCHDOG=1\nSTATUS=signal\nMAIN";
    pollfd readable{manager().fd(), POLLIN, 0};
    while (true) {
      const bool last = done;
      if (::poll(&readable, 1, last ? 0 : 10) > 0) {
        std::array<char, 256> text{};
        ::recv(readable.fd, text.data(), text.size(), 0);
        if (std::string_view(text.data(), begin.size()) != begin) ++mismatched;
        ++received;
      } else if (last) {
        return;
      }
    }
  });
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = [](int) {
    const int saved = errno;
    std::error_code ec;
    ++signals;
    const auto result = sd::notify({state::watchdog(), state::status("signal"), state::main_pid(signals)}, ec);
    if (result != notify_result::sent) ++signal_failures;
    errno = saved;
  };
  ASSERT_EQ(::sigaction(SIGALRM, &action, &old), 0);
  ASSERT_EQ(::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr), 0);
  const itimerval often{{0, 300}, {0, 300}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  // Most signals interrupt the allocator, which is not async-signal-safe.
  std::vector<std::string> memory(64);
  const auto end = steady::now() + 30s;
  for (std::size_t i = 0; signals < enough && steady::now() < end; ++i)
    memory[i % 64] = std::string(50 + i % 5000, 'x');
  const itimerval never{};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &never, nullptr), 0);
  ASSERT_EQ(::sigaction(SIGALRM, &old, nullptr), 0);
  done = true;
  receiving.join();
  EXPECT_GE(signals, enough);
  EXPECT_EQ(signal_failures, 0);
  EXPECT_EQ(received, signals);
  EXPECT_EQ(mismatched, 0);
}

// --- barrier ---------------------------------------------------------------------------------------------------------

class notify_barrier : public notify {};

TEST_F(notify_barrier, returns_when_the_manager_closes_the_pipe) {
  for (const microseconds timeout : {microseconds(30s), microseconds(-1), microseconds::min(), microseconds::max()}) {
    SCOPED_TRACE(timeout.count());
    const auto before = open_descriptors();
    std::atomic<bool> closed{false};
    std::thread managing([&] {
      const auto first = manager().next(10'000);
      EXPECT_EQ(first ? first->text : "", "READY=1");
      auto second = manager().next(10'000);
      ASSERT_TRUE(second);
      EXPECT_EQ(second->text, "BARRIER=1");
      EXPECT_EQ(second->pid, ::getpid());
      ASSERT_THAT(second->fds, SizeIs(1));
      struct stat status {};
      EXPECT_EQ(::fstat(second->fds[0].get(), &status), 0);
      EXPECT_TRUE(S_ISFIFO(status.st_mode));
      EXPECT_EQ(::write(second->fds[0].get(), "", 1), 1) << "the write end, so that closing it hangs up the read end";
      std::this_thread::sleep_for(200ms);
      closed = true;
      second->fds.clear();
    });
    auto ec = stale();
    EXPECT_EQ(sd::notify({state::ready()}), notify_result::sent);
    EXPECT_EQ(sd::notify_barrier(timeout, ec), notify_result::sent);
    EXPECT_TRUE(closed);
    EXPECT_FALSE(ec) << ec.message();
    managing.join();
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(notify_barrier, timeout_is_etimedout) {
  for (const microseconds timeout : {0us, 1us, 999us, 1001us, 150'500us}) {
    SCOPED_TRACE(timeout.count());
    const auto before = open_descriptors();
    const auto start = steady::now();
    std::error_code ec;
    EXPECT_EQ(sd::notify_barrier(timeout, ec), notify_result::no_listener);
    const auto taken = steady::now() - start;
    EXPECT_EQ(ec, system_error(ETIMEDOUT));
    EXPECT_GE(taken, timeout - 1us) << "the clocks may differ by a microsecond";
    EXPECT_LT(taken, timeout + 5s);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(manager().only(), "BARRIER=1");
  }
}

TEST_F(notify_barrier, waits_for_copies_of_the_descriptor) {
  std::thread managing([&] {
    auto message = manager().next(10'000);
    ASSERT_TRUE(message && message->fds.size() == 1);
    const unique_fd copy(::fcntl(message->fds[0].get(), F_DUPFD_CLOEXEC, 0));
    message->fds.clear();
    std::this_thread::sleep_for(300ms);
  });
  std::error_code ec;
  EXPECT_EQ(sd::notify_barrier(50ms, ec), notify_result::no_listener);
  EXPECT_EQ(ec, system_error(ETIMEDOUT));
  managing.join();
}

TEST_F(notify_barrier, returns_when_the_manager_closes_its_socket) {
  std::thread managing([&] {
    std::this_thread::sleep_for(100ms);
    manager().close();  // the message is unread
  });
  std::error_code ec;
  EXPECT_EQ(sd::notify_barrier(-1us, ec), notify_result::sent) << ec.message();
  managing.join();
  EXPECT_EQ(sd::notify_barrier(-1us, ec), notify_result::no_listener);
  EXPECT_EQ(ec, system_error(ECONNREFUSED));
}

TEST_F(notify_barrier, returns_when_the_manager_exits) {
  const pid_t child = check(::fork(), "fork");
  if (child == 0) {
    ::usleep(200'000);
    ::_exit(0);
  }
  manager().close();  // the child still has it open
  std::error_code ec;
  EXPECT_EQ(sd::notify_barrier(-1us, ec), notify_result::sent) << ec.message();
  check(::waitpid(child, nullptr, 0), "waitpid");
}

}  // namespace
