// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>
#include <sd/watchdog.hpp>

#include "directory.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using text = std::optional<std::string>;

// --- the period ------------------------------------------------------------------------------------------------------

void set(const char* name, const text& value) {
  if (value) {
    ::setenv(name, value->c_str(), 1);
  } else {
    ::unsetenv(name);
  }
}

struct period_case {
  text usec;
  text pid;
  std::optional<std::int64_t> period;
  std::string error;  // what() of the exception, or empty
  sd::errc code{};
};

TEST(watchdog_period, is_read_from_the_environment) {
  const auto own = std::to_string(::getpid());
  const auto other = std::to_string(::getpid() + 1);
  const auto usec = sd::errc::malformed_watchdog_usec;
  const auto pid = sd::errc::malformed_watchdog_pid;
  const std::string no_period = ": WATCHDOG_USEC is not a period in microseconds";
  const std::string no_pid = ": WATCHDOG_PID is not a pid";
  const auto wrong_usec = [&](const std::string& value, const std::string& shown) {
    return period_case{value, own, {}, "WATCHDOG_USEC=\"" + shown + '"' + no_period, usec};
  };
  const auto wrong_pid = [&](const std::string& value, const std::string& shown) {
    return period_case{"1", value, {}, "WATCHDOG_PID=\"" + shown + '"' + no_pid, pid};
  };
  const std::vector<period_case> cases = {
      {{}, {}, {}, ""},
      {{}, own, {}, ""},
      {"1", own, 1, ""},
      {"1", {}, 1, ""},
      {"30000000", own, 30'000'000, ""},
      {"007", "000" + own, 7, ""},
      {"9223372036854775807", own, INT64_MAX, ""},
      {"1", other, {}, ""},
      {"1", "0", {}, ""},
      {"1", "2147483647", {}, ""},
      // Variables for another process may be malformed.
      {"rubbish", other, {}, ""},
      {"0", other, {}, ""},
      {{}, "rubbish", {}, ""},
      wrong_usec("0", "0"),
      wrong_usec("", ""),
      wrong_usec(" 1", " 1"),
      wrong_usec("1 ", "1 "),
      wrong_usec("+1", "+1"),
      wrong_usec("-1", "-1"),
      wrong_usec("1s", "1s"),
      wrong_usec("0x1", "0x1"),
      wrong_usec("1.5", "1.5"),
      wrong_usec("\n", "\\x0a"),
      wrong_usec("9223372036854775808", "9223372036854775808"),
      wrong_usec("18446744073709551615", "18446744073709551615"),
      wrong_usec("99999999999999999999999", "99999999999999999999999"),
      wrong_pid("", ""),
      wrong_pid(own + ' ', own + ' '),
      wrong_pid('-' + own, '-' + own),
      wrong_pid("2147483648", "2147483648"),
      wrong_pid("\"", "\\\""),
      {"rubbish", "rubbish", {}, "WATCHDOG_PID=\"rubbish\"" + no_pid, pid},
      {"rubbish", {}, {}, "WATCHDOG_USEC=\"rubbish\"" + no_period, usec},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.usec.value_or("unset") + " for " + row.pid.value_or("unset"));
    set("WATCHDOG_USEC", row.usec);
    set("WATCHDOG_PID", row.pid);
    std::error_code ec = std::make_error_code(std::errc::io_error);
    const auto period = sd::watchdog_period(ec);
    EXPECT_EQ(period.has_value(), row.period.has_value());
    if (period && row.period) {
      EXPECT_EQ(period->count(), *row.period);
    }
    EXPECT_EQ(ec, row.error.empty() ? std::error_code() : make_error_code(row.code));
    std::string what;
    try {
      EXPECT_EQ(sd::watchdog_period(), period);
    } catch (const std::system_error& error) {
      what = error.what();
      EXPECT_EQ(error.code(), row.code);
    }
    EXPECT_EQ(what, row.error);
  }
  set("WATCHDOG_USEC", {});
  set("WATCHDOG_PID", {});
}

// --- keep-alives -----------------------------------------------------------------------------------------------------

/// A service manager that counts keep-alives.
class watchdog : public testing::Test {
 public:
  watchdog() { ::setenv("NOTIFY_SOCKET", (directory_ / "notify").c_str(), 1); }
  ~watchdog() override { ::unsetenv("NOTIFY_SOCKET"); }
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

 protected:
  /// Returns the number of keep-alives since the last call.
  int keep_alives() {
    int count = 0;
    std::array<char, 256> buffer;
    while (true) {
      const auto length = ::recv(manager_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (length < 0) return count;
      EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(length)), "WATCHDOG=1");
      ++count;
    }
  }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }

 private:
  sd::test::directory directory_;
  sd::unique_fd manager_ = sd::testing::open(sd::kind::datagram, directory_ / "notify").fd;
};

TEST_F(watchdog, no_period_sends_nothing) {
  sd::watchdog keeper(std::nullopt);
  EXPECT_EQ(keeper.interval(), std::nullopt);
  EXPECT_EQ(keeper.timeout(), -1);
  keeper.keep_alive();
  EXPECT_EQ(keep_alives(), 0);
  EXPECT_EQ(keeper.timeout(), -1);
}

TEST_F(watchdog, interval_is_half_of_the_period) {
  EXPECT_EQ(sd::watchdog(30s).interval(), 15s);
  EXPECT_EQ(sd::watchdog(3ms).interval(), 1ms) << "rounded down";
  EXPECT_EQ(sd::watchdog(5999us).interval(), 2ms);
  EXPECT_EQ(sd::watchdog(1us).interval(), 1ms) << "a loop must not spin";
  EXPECT_EQ(sd::watchdog(-1s).interval(), 1ms);
}

TEST_F(watchdog, sends_at_once_and_then_once_per_interval) {
  sd::watchdog keeper(400ms);
  EXPECT_EQ(keep_alives(), 0) << "the constructor sends nothing";
  EXPECT_EQ(keeper.timeout(), 0);
  const auto start = std::chrono::steady_clock::now();
  keeper.keep_alive();
  EXPECT_EQ(keep_alives(), 1);
  const auto first_timeout = keeper.timeout();
  EXPECT_LE(first_timeout, 200);
  if (std::chrono::steady_clock::now() - start < 100ms) {
    EXPECT_GT(first_timeout, 100);
  }

  keeper.keep_alive();
  keeper.keep_alive();
  if (std::chrono::steady_clock::now() - start < 200ms) {
    EXPECT_EQ(keep_alives(), 0);
  }

  const auto some_time = keeper.timeout();
  std::this_thread::sleep_for(50ms);
  EXPECT_LE(keeper.timeout(), std::max(some_time - 50, 0));
  std::this_thread::sleep_for(milliseconds(keeper.timeout()));
  keep_alives();
  EXPECT_EQ(keeper.timeout(), 0);
  keeper.keep_alive();
  EXPECT_EQ(keep_alives(), 1);
}

TEST_F(watchdog, late_call_sends_once) {
  sd::watchdog keeper(2s);
  keeper.keep_alive();
  EXPECT_EQ(keep_alives(), 1);
  std::this_thread::sleep_for(2100ms);
  keeper.keep_alive();
  keeper.keep_alive();
  EXPECT_EQ(keep_alives(), 1);
}

TEST_F(watchdog, failed_keep_alive_is_retried_after_a_quarter_of_the_interval) {
  sd::watchdog keeper(2h);  // an interval of one hour
  ::setenv("NOTIFY_SOCKET", (directory() / "gone").c_str(), 1);
  keeper.keep_alive();
  const int quarter = 15 * 60 * 1000;
  EXPECT_GT(keeper.timeout(), quarter - 60'000) << "a loop that waits this long must not spin";
  EXPECT_LE(keeper.timeout(), quarter);
  ::setenv("NOTIFY_SOCKET", (directory() / "notify").c_str(), 1);
  keeper.keep_alive();
  EXPECT_EQ(keep_alives(), 0) << "the retry is not due yet";
}

TEST_F(watchdog, failed_keep_alive_is_retried) {
  sd::watchdog keeper(1us);  // an interval of one millisecond, the shortest there is
  ::setenv("NOTIFY_SOCKET", (directory() / "gone").c_str(), 1);
  keeper.keep_alive();
  EXPECT_LE(keeper.timeout(), 1);
  ::setenv("NOTIFY_SOCKET", (directory() / "notify").c_str(), 1);
  for (int turns = 0; keep_alives() == 0; ++turns) {
    ASSERT_LT(turns, 1000) << "never retried";
    std::this_thread::sleep_for(milliseconds(keeper.timeout()));
    keeper.keep_alive();
  }
}

TEST_F(watchdog, unset_notify_socket_does_not_spin) {
  ::unsetenv("NOTIFY_SOCKET");
  sd::watchdog keeper(1h);
  keeper.keep_alive();
  EXPECT_GT(keeper.timeout(), 29 * 60 * 1000);
}

TEST_F(watchdog, timeout_fits_an_int) {
  // The second one exceeds the range of the clock.
  for (const microseconds period : {microseconds(24h * 365), microseconds::max()}) {
    SCOPED_TRACE(period.count());
    sd::watchdog keeper(period);
    EXPECT_GE(keeper.interval(), 24h * 20);
    keeper.keep_alive();
    EXPECT_EQ(keep_alives(), 1);
    EXPECT_GT(keeper.timeout(), INT_MAX - 60'000);
    keeper.keep_alive();
    EXPECT_EQ(keep_alives(), 0);
  }
}

}  // namespace
