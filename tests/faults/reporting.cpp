// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions that send messages to the service manager.
#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/store.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>
#include <sd/watchdog.hpp>

#include "enumeration.hpp"
#include "library.hpp"
#include "setting.hpp"

#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

namespace sd::test {

namespace {

using namespace std::chrono_literals;

/// Returns the socket of a service manager that never replies, and sets NOTIFY_SOCKET.
listen_fd manager_of(const run& each) {
  auto manager = sd::testing::open(kind::datagram, each / "notify");
  ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
  return manager;
}

/// @param function Sends a message. Returns the result.
template <class Function>
void test_sending(run& each, const Function& function) {
  each.test([&] {
    std::error_code ec;
    const auto result = function(ec);
    return ec ? text_of(ec) : result == sd::notify_result::sent ? ok() : std::string("no listener");
  });
}

template <class Function>
auto sends(Function function) {
  return [=](run& each) {
    const auto manager = manager_of(each);
    test_sending(each, function);
  };
}

void throws_of_notify(run& each) {
  ::setenv("NOTIFY_SOCKET", (each / "nobody").c_str(), 1);
  each.test([&] {
    sd::notify(sd::state::ready());
    return ok();
  });
}

void waits_for_manager(run& each) {
  ::setenv("NOTIFY_SOCKET", manager_address().c_str(), 1);
  test_sending(each, [](std::error_code& ec) { return sd::notify_barrier(10s, ec); });
}

void keeps_alive(run& each) {
  const auto manager = manager_of(each);
  sd::watchdog watchdog(1h);
  each.test([&] {
    watchdog.keep_alive();
    // After a failure, the next attempt is due after a quarter of the interval.
    return watchdog.timeout() > 1000 * 60 * 20 ? ok() : std::string("soon");
  });
}

void reads_watchdog_period(run& each) {
  ::setenv("WATCHDOG_USEC", "1000", 1);
  each.test([&] { return sd::watchdog_period() ? ok() : std::string("none"); });
}

void becomes_idle(run& each) {
  const auto manager = manager_of(each);
  const sd::server_socket socket(sd::testing::open(kind::stream, "127.0.0.1:0").fd);
  sd::idle_exit idle(0s);
  each.test([&] {
    idle.watch(socket);
    return idle.try_stop() ? ok() : std::string("stays");
  });
}

/// A message that does not fit is sent again with a larger buffer.
const exceptions sending = {{"sendmsg", "EMSGSIZE", "usual"}};

}  // namespace

std::vector<scenario> reporting() {
  return {
      {"notify", sends([](std::error_code& ec) { return sd::notify(sd::state::ready(), ec); }), "ok", {}, sending},
      {"notify.as_other",
       sends([](std::error_code& ec) {
         sd::notify_options options;
         options.pid = 1;
         return sd::notify(sd::state::ready(), options, ec);
       }),
       "ok",
       {},
       sending},
      {"notify.large",
       sends(
           [text = std::string(1 << 20, 'x')](std::error_code& ec) { return sd::notify(sd::state::status(text), ec); }),
       "ok",
       {},
       exceptions{{"sendmsg", "EMSGSIZE", "usual|same"}} + exceptions{{"setsockopt SO_SNDBUFFORCE", "", "usual"}}},
      {"notify.nobody", throws_of_notify, "ENOENT", {}, sending},
      {"notify_barrier", waits_for_manager, "ok", {}, sending},
      {"notify_barrier.timeout",
       sends([](std::error_code& ec) { return sd::notify_barrier(0s, ec); }),
       "ETIMEDOUT",
       {},
       sending},
      {"store", sends([](std::error_code& ec) { return sd::store("name", 0, ec); }), "ok", {}, sending},
      {"forget", sends([](std::error_code& ec) { return sd::forget("name", ec); }), "ok", {}, sending},
      {"watchdog", keeps_alive, "ok", {}, {{"socket", "", "soon"}, {"sendmsg", "", "soon|usual"}}},
      {"watchdog_period", reads_watchdog_period},
      // A client may be waiting if poll(2) fails, and the manager notices the exit itself.
      {"idle_exit",
       becomes_idle,
       "ok",
       {},
       {{"poll", "", "stays"}, {"poll", "EINTR", "stays"}, {"socket", "", "usual"}, {"sendmsg", "", "usual"}}},
  };
}

}  // namespace sd::test
