#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "directory.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

sd::unique_fd connect_to(const sd::listen_fd& listener) {
  const auto where = sd::describe(listener.fd.get()).local;
  sd::unique_fd client(::socket(where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())),
            0);
  return client;
}

/// A service manager: what it was told.
class idle_exit : public testing::Test {
 public:
  idle_exit() { ::setenv("NOTIFY_SOCKET", (directory_ / "notify").c_str(), 1); }
  ~idle_exit() override { ::unsetenv("NOTIFY_SOCKET"); }
  idle_exit(const idle_exit&) = delete;
  idle_exit& operator=(const idle_exit&) = delete;

 protected:
  /// The next message; empty where there is none.
  std::string told() {
    std::array<char, 256> buffer;
    const auto length = ::recv(manager_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return {buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
  }

  sd::listen_fd listener_ = sd::testing::open(sd::kind::stream, "127.0.0.1:0");

 private:
  sd::test::directory directory_;
  sd::unique_fd manager_ = sd::testing::open(sd::kind::datagram, directory_ / "notify").fd;
};

TEST_F(idle_exit, stops_and_tells_the_manager) {
  sd::idle_exit idle(0ms);
  idle.watch(listener_.fd.get(), sd::origin::passed);
  EXPECT_EQ(idle.timeout(), 0);
  EXPECT_TRUE(idle.try_stop());
  EXPECT_EQ(told(), "STOPPING=1");
  EXPECT_FALSE(idle.begin()) << "nobody is to be accepted any more";
  EXPECT_TRUE(idle.try_stop()) << "for good";
  EXPECT_EQ(told(), "");
}

TEST_F(idle_exit, stops_where_there_is_no_manager_to_tell) {
  for (const char* nobody : {"", "/nowhere/notify", "vsock:2:1", "@"}) {
    ::setenv("NOTIFY_SOCKET", nobody, 1);
    sd::idle_exit idle(0ms);
    idle.watch(listener_.fd.get(), sd::origin::passed);
    EXPECT_TRUE(idle.try_stop()) << nobody;
  }
}

TEST_F(idle_exit, goes_on_until_the_time_is_over) {
  sd::idle_exit idle(1h);
  idle.watch(listener_.fd.get(), sd::origin::passed);
  EXPECT_FALSE(idle.try_stop());
  EXPECT_GT(idle.timeout(), 3'500'000);
  EXPECT_LE(idle.timeout(), 3'600'000);
  EXPECT_EQ(told(), "");
}

TEST_F(idle_exit, goes_on_while_there_is_work) {
  sd::idle_exit idle(0ms);
  idle.watch(listener_.fd.get(), sd::origin::passed);
  auto first = idle.begin();
  auto second = idle.begin();
  EXPECT_TRUE(first);
  EXPECT_FALSE(idle.try_stop());
  first = sd::idle_exit::work();
  EXPECT_FALSE(idle.try_stop());
  const auto moved = std::move(second);
  EXPECT_FALSE(idle.try_stop());
  EXPECT_EQ(told(), "");
}

TEST_F(idle_exit, counts_the_time_from_the_end_of_the_last_work) {
  sd::idle_exit idle(50ms);
  idle.watch(listener_.fd.get(), sd::origin::passed);
  std::this_thread::sleep_for(60ms);
  { const auto work = idle.begin(); }
  EXPECT_FALSE(idle.try_stop());
  std::this_thread::sleep_for(60ms);
  EXPECT_TRUE(idle.try_stop());
}

TEST_F(idle_exit, goes_on_while_somebody_waits_in_a_socket) {
  const auto other = sd::testing::open(sd::kind::stream, "[::1]:0");
  sd::idle_exit idle(0ms);
  idle.watch(other.fd.get(), sd::origin::passed);
  idle.watch(listener_.fd.get(), sd::origin::passed);
  {
    const auto client = connect_to(listener_);
    EXPECT_FALSE(idle.try_stop());
    EXPECT_EQ(told(), "");
    const auto work = idle.begin();
    EXPECT_TRUE(work) << "what was about to stop goes on";
    const sd::unique_fd accepted(::accept(listener_.fd.get(), nullptr, nullptr));
  }
  EXPECT_TRUE(idle.try_stop());
}

TEST_F(idle_exit, is_armed_only_where_all_sockets_were_passed) {
  sd::idle_exit none(0ms);
  EXPECT_FALSE(none.try_stop());
  EXPECT_EQ(none.timeout(), -1);

  sd::idle_exit idle(0ms);
  idle.watch(listener_.fd.get(), sd::origin::passed);
  idle.watch(listener_.fd.get(), sd::origin::bound);
  EXPECT_FALSE(idle.try_stop());
  EXPECT_EQ(idle.timeout(), -1);
  EXPECT_TRUE(idle.begin());
}

/// Of work that begins in other threads and a stop, one is first: none begins after it.
TEST_F(idle_exit, stops_only_between_the_works_of_many_threads) {
  for (int round = 0; round < 20; ++round) {
    sd::idle_exit idle(0ms);
    idle.watch(listener_.fd.get(), sd::origin::passed);
    std::atomic<int> working{0};
    std::atomic<bool> stopped{false};
    std::atomic<bool> wrong{false};
    const auto work_at_times = [&] {
      for (int i = 0; i < 1000 && !wrong; ++i) {
        {
          const auto work = idle.begin();
          if (!work) return;
          ++working;
          if (stopped) wrong = true;
          --working;
        }
        std::this_thread::sleep_for(10us);
      }
    };
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (int i = 0; i < 3; ++i) threads.emplace_back(work_at_times);
    while (!idle.try_stop()) std::this_thread::yield();
    stopped = true;
    if (working != 0) wrong = true;
    EXPECT_EQ(told(), "STOPPING=1");
    for (auto& thread : threads) thread.join();
    ASSERT_FALSE(wrong);
  }
}

}  // namespace
