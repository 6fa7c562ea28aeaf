// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "descriptor_limit.hpp"
#include "directory.hpp"
#include "process.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

/// Returns a socket as if the service manager had passed it.
sd::server_socket passed_socket(const std::string& where) {
  return sd::server_socket(sd::testing::open(sd::kind::stream, where).fd);
}

sd::unique_fd connect_to(const sd::server_socket& listener) {
  const auto where = sd::describe(listener.get()).local;
  sd::unique_fd client(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())),
            0);
  return client;
}

/// Acts as the service manager, which receives the messages.
class idle_exit : public testing::Test {
 public:
  idle_exit() { ::setenv("NOTIFY_SOCKET", (directory_ / "notify").c_str(), 1); }
  ~idle_exit() override { ::unsetenv("NOTIFY_SOCKET"); }
  idle_exit(const idle_exit&) = delete;
  idle_exit& operator=(const idle_exit&) = delete;

 protected:
  /// Returns the next message, or an empty string if there is none.
  std::string message() {
    std::array<char, 256> buffer{};
    const auto length = ::recv(manager_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return {buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
  }

  sd::server_socket listener_ = passed_socket("127.0.0.1:0");

 private:
  sd::test::directory directory_;
  sd::unique_fd manager_ = sd::testing::open(sd::kind::datagram, directory_ / "notify").fd;
};

TEST_F(idle_exit, stops_and_notifies_the_manager) {
  sd::idle_exit idle(0ms);
  idle.watch(listener_);
  EXPECT_EQ(idle.timeout(), 0);
  EXPECT_TRUE(idle.try_stop());
  EXPECT_EQ(message(), "STOPPING=1");
  EXPECT_FALSE(idle.begin());
}

TEST_F(idle_exit, remains_stopped) {
  sd::idle_exit idle(1ms);
  idle.watch(listener_);
  while (!idle.try_stop()) std::this_thread::yield();
  EXPECT_EQ(message(), "STOPPING=1");
  const auto client = connect_to(listener_);
  EXPECT_FALSE(idle.begin());
  EXPECT_TRUE(idle.try_stop());
  EXPECT_EQ(idle.timeout(), 0);
  EXPECT_EQ(message(), "");
}

TEST_F(idle_exit, stops_if_no_manager_can_be_notified) {
  for (const char* unreachable : {"", "/nowhere/notify", "vsock:2:1", "@"}) {
    ::setenv("NOTIFY_SOCKET", unreachable, 1);
    sd::idle_exit idle(0ms);
    idle.watch(listener_);
    EXPECT_TRUE(idle.try_stop()) << unreachable;
  }
}

TEST_F(idle_exit, does_not_stop_before_the_idle_time_is_over) {
  sd::idle_exit idle(1h);
  idle.watch(listener_);
  EXPECT_FALSE(idle.try_stop());
  EXPECT_GT(idle.timeout(), 3'500'000);
  EXPECT_LE(idle.timeout(), 3'600'000);
  EXPECT_EQ(message(), "");
}

TEST_F(idle_exit, idle_time_is_limited_to_24_days) {
  constexpr auto day = std::chrono::milliseconds(24h);
  for (const auto after : {24 * day, 25 * day, 50 * day, 1000 * 365 * day, std::chrono::milliseconds::max()}) {
    sd::idle_exit idle(after);
    idle.watch(listener_);
    const auto work = idle.begin();
    EXPECT_EQ(idle.timeout(), (24 * day).count()) << after.count();
  }
  for (const auto after : {-1ms, std::chrono::milliseconds::min()}) {
    sd::idle_exit idle(after);
    idle.watch(listener_);
    EXPECT_EQ(idle.timeout(), 0) << after.count();
    EXPECT_TRUE(idle.try_stop()) << after.count();
  }
}

TEST_F(idle_exit, does_not_stop_during_work) {
  sd::idle_exit idle(0ms);
  idle.watch(listener_);
  auto first = idle.begin();
  auto second = idle.begin();
  EXPECT_TRUE(first);
  EXPECT_FALSE(idle.try_stop());
  first = sd::idle_exit::work();
  EXPECT_FALSE(idle.try_stop());
  const auto moved = std::move(second);
  EXPECT_FALSE(idle.try_stop());
  EXPECT_EQ(message(), "");
}

TEST_F(idle_exit, timeout_is_the_whole_idle_time_during_work) {
  sd::idle_exit idle(1h);
  idle.watch(listener_);
  while (idle.timeout() == 3'600'000) std::this_thread::yield();
  const auto work = idle.begin();
  EXPECT_EQ(idle.timeout(), 3'600'000);
}

TEST_F(idle_exit, idle_time_starts_at_the_end_of_the_last_work) {
  sd::idle_exit idle(1h);
  idle.watch(listener_);
  while (idle.timeout() > 3'599'980) std::this_thread::yield();
  const auto before = std::chrono::steady_clock::now();
  { const auto work = idle.begin(); }
  const auto timeout = std::chrono::milliseconds(idle.timeout());
  const auto elapsed = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
  EXPECT_GE(timeout, 1h - elapsed - 1ms);
}

TEST_F(idle_exit, does_not_stop_while_a_client_waits_in_a_queue) {
  const auto other = passed_socket("[::1]:0");
  sd::idle_exit idle(0ms);
  idle.watch(other);
  idle.watch(listener_);
  {
    const auto client = connect_to(listener_);
    EXPECT_FALSE(idle.try_stop());
    EXPECT_EQ(message(), "");
    EXPECT_TRUE(idle.begin());
    const sd::unique_fd accepted(::accept(listener_.get(), nullptr, nullptr));
  }
  EXPECT_TRUE(idle.try_stop());
}

/// poll(2) fails with EINVAL if it is given more descriptors than RLIMIT_NOFILE allows.
TEST_F(idle_exit, does_not_stop_if_a_queue_cannot_be_polled) {
  sd::idle_exit idle(0ms);
  idle.watch(listener_);
  {
    const sd::test::descriptor_limit no_descriptors(0);
    EXPECT_FALSE(idle.try_stop());
  }
  EXPECT_TRUE(idle.begin());
  EXPECT_TRUE(idle.try_stop());
}

TEST_F(idle_exit, is_not_armed_without_a_socket) {
  sd::idle_exit idle(0ms);
  EXPECT_FALSE(idle.armed());
  EXPECT_FALSE(idle.try_stop());
  EXPECT_EQ(idle.timeout(), -1);
}

TEST_F(idle_exit, is_armed_if_all_sockets_were_passed) {
  std::vector<sd::listen_fd> fds;
  const auto where = sd::describe(listener_.get()).local;
  fds.push_back({std::nullopt, listener_.release_fd()});
  const auto passed = sd::take_or_bind(fds, where);
  sd::idle_exit idle(0ms);
  idle.watch(passed);
  EXPECT_TRUE(idle.armed());
  EXPECT_TRUE(idle.try_stop());
}

TEST_F(idle_exit, is_not_armed_if_a_socket_was_bound) {
  std::vector<sd::listen_fd> fds;
  const auto bound = sd::take_or_bind(fds, sd::address("127.0.0.1:0"));
  sd::idle_exit idle(0ms);
  idle.watch(bound);
  idle.watch(listener_);
  EXPECT_FALSE(idle.armed());
  EXPECT_FALSE(idle.try_stop());
  EXPECT_EQ(idle.timeout(), -1);
  EXPECT_TRUE(idle.begin());
}

/// One thread makes attempts to stop that fail because a client waits. The other threads must not see a stopped
/// service.
TEST_F(idle_exit, begin_succeeds_during_an_attempt_to_stop_that_fails) {
  const auto client = connect_to(listener_);
  const auto empty = passed_socket("127.0.0.1:0");
  sd::idle_exit idle(0ms);
  for (int i = 0; i < 500; ++i) idle.watch(empty);  // so that an attempt takes long
  idle.watch(listener_);
  std::atomic<int> done{0};
  std::atomic<int> refused{0};
  const auto begin_often = [&] {
    while (done == 0) {
      if (!idle.begin()) ++refused;
      std::this_thread::sleep_for(20us);
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (int i = 0; i < 2; ++i) threads.emplace_back(begin_often);
  for (int i = 0; i < 300; ++i) EXPECT_FALSE(idle.try_stop());
  done = 1;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
  // No work remains, so only the client holds up the stop.
  const sd::unique_fd accepted(::accept(listener_.get(), nullptr, nullptr));
  EXPECT_TRUE(idle.try_stop());
}

/// Another thread begins and ends work all the time, so that work begins during most attempts to stop.
TEST_F(idle_exit, attempt_to_stop_fails_if_work_began_meanwhile) {
  for (int round = 0; round < 20; ++round) {
    sd::idle_exit idle(0ms);
    for (int i = 0; i < 500; ++i) idle.watch(listener_);  // so that an attempt takes long
    std::atomic<int> begun{0};
    std::atomic<int> done{0};
    std::thread working([&] {
      while (done == 0 && idle.begin()) ++begun;
    });
    while (begun == 0) std::this_thread::yield();
    bool stopped = false;
    for (int i = 0; i < 50 && !stopped; ++i) stopped = idle.try_stop();
    if (stopped) {
      EXPECT_FALSE(idle.begin());
      EXPECT_EQ(message(), "STOPPING=1");  // and the queue has room for the next one
    }
    done = 1;
    working.join();
  }
}

/// Work that begins in other threads and a stop exclude each other: after the stop, no work exists and none begins.
TEST_F(idle_exit, no_work_exists_after_a_stop_among_many_threads) {
  for (int round = 0; round < 20; ++round) {
    sd::idle_exit idle(0ms);
    idle.watch(listener_);
    std::atomic<int> working{0};
    std::atomic<int> stopped{0};
    std::atomic<int> wrong{0};
    const auto work_often = [&] {
      for (int i = 0; i < 1000 && wrong == 0; ++i) {
        {
          const auto work = idle.begin();
          if (!work) return;
          ++working;
          if (stopped != 0) ++wrong;
          --working;
        }
        std::this_thread::sleep_for(10us);
      }
    };
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (int i = 0; i < 3; ++i) threads.emplace_back(work_often);
    while (!idle.try_stop()) std::this_thread::yield();
    stopped = 1;
    if (working != 0) ++wrong;
    EXPECT_EQ(message(), "STOPPING=1");
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(wrong, 0);
  }
}

#if !defined(NDEBUG)
TEST_F(idle_exit, asserts_that_no_work_outlives_it) {
  // That style starts the program once more, which a program under an emulator cannot do by itself.
  if (sd::test::emulator().empty()) GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto outlive = [] {
    auto idle = std::make_unique<sd::idle_exit>(0ms);
    const auto work = idle->begin();
    idle.reset();
  };
  EXPECT_DEATH(outlive(), "destroyed while work exists");
}
#endif

}  // namespace
