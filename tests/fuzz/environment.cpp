// SPDX-License-Identifier: MIT OR Apache-2.0
// Calls sd::listen_fds() and sd::watchdog_period() with the variables of the input, and with real descriptors. Compares
// with what docs/listen_fds.md and docs/watchdog.md promise.
//
// Besides the variables, an input has options=NUMBER; open=NUMBER, how many descriptors are open from 3 on;
// hole=NUMBER, one of them that is closed; and close_on_exec=NUMBER, one of them that is close-on-exec. 0 stands for
// none.
#include <sd/error.hpp>
#include <sd/listen_fds.hpp>
#include <sd/watchdog.hpp>

#include "detail/protocol.hpp"
#include "detail/receive.hpp"
#include "input.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>

namespace {

using sd::fuzz::require;
using sd::fuzz::settings;
using variable = std::optional<std::string>;

constexpr std::array names{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"};
constexpr int first = sd::detail::first_descriptor;
constexpr int most = 10;

std::uint64_t own_pidfdid() {
  std::uint64_t id = 0;
  return sd::detail::pidfd_inode(::getpid(), id) > 0 ? id : 0;
}

/// Reads a number that consists of digits alone.
std::error_code read(const variable& text, std::uint64_t largest, sd::errc malformed, sd::errc too_large,
                     std::uint64_t& number) {
  const char* const end = text->data() + text->size();
  const auto result = std::from_chars(text->data(), end, number);
  if (result.ptr != end || text->empty() || text->front() == '-') return malformed;
  return result.ec != std::errc() || number > largest ? too_large : std::error_code();
}

/// The state of the descriptors: -1 for closed, otherwise the flags.
std::array<int, most> flags() {
  std::array<int, most> result{};
  for (int i = 0; i < most; ++i) result[static_cast<std::size_t>(i)] = ::fcntl(first + i, F_GETFD);
  return result;
}

std::array<variable, names.size()> environment() {
  std::array<variable, names.size()> values;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (const char* const value = std::getenv(names[i])) values[i] = value;
  }
  return values;
}

void open_descriptors(const settings& input) {
  const int count = input.number("open", most);
  const int hole = input.number("hole", first + most);
  const int close_on_exec = input.number("close_on_exec", first + most);
  for (int fd = first; fd < first + most; ++fd) {
    if (fd < first + count && fd != hole) {
      ::dup3(STDIN_FILENO, fd, fd == close_on_exec ? O_CLOEXEC : 0);
    } else {
      ::close(fd);
    }
  }
}

/// The range that the variables name, whether or not it is open. Empty if they are for another process.
sd::detail::descriptor_range named_range(const settings& input, bool any_pid, std::error_code& ec) {
  using sd::errc;
  const auto pid = input.find("LISTEN_PID");
  const auto fds = input.find("LISTEN_FDS");
  std::uint64_t number = 0;
  if (!fds || (!pid && !any_pid)) return {};
  if (pid) ec = read(pid, INT_MAX, errc::malformed_listen_pid, errc::listen_pid_out_of_range, number);
  if (ec || (!any_pid && number != static_cast<std::uint64_t>(::getpid()))) return {};
  if (const auto pidfdid = input.find("LISTEN_PIDFDID")) {
    ec = read(pidfdid, UINT64_MAX, errc::malformed_listen_pidfdid, errc::listen_pidfdid_out_of_range, number);
    if (ec || (!any_pid && own_pidfdid() != 0 && number != own_pidfdid())) return {};
  }
  ec = read(fds, INT_MAX - first, errc::malformed_listen_fds, errc::listen_fds_out_of_range, number);
  if (ec) return {};
  const auto count = static_cast<int>(number);
  number = first;
  if (const auto begin = input.find("LISTEN_FDS_FIRST_FD")) {
    constexpr auto out_of_range = errc::listen_fds_first_fd_out_of_range;
    ec = read(begin, INT_MAX, errc::malformed_listen_fds_first_fd, out_of_range, number);
    if (!ec && (number < first || number + static_cast<unsigned>(count) > INT_MAX)) ec = out_of_range;
  }
  if (ec) return {};
  return {static_cast<int>(number), count};
}

void require_names(const std::vector<sd::listen_fd>& fds, const variable& list) {
  if (!list || list->empty()) {
    for (const auto& each : fds) require(!each.name);
    return;
  }
  const auto expected = sd::fuzz::split(*list, ":");
  for (std::size_t i = 0; i < fds.size(); ++i) {
    require(i < expected.size() ? fds[i].name == expected[i] : !fds[i].name);
  }
}

void receive(const settings& input) {
  using sd::listen_options;
  for (const char* name : names) sd::fuzz::set_environment(name, input.find(name));
  open_descriptors(input);
  const auto options = static_cast<listen_options>(input.number("options", 7));
  const auto has = [options](listen_options option) { return (options & option) != listen_options::none; };

  const auto flags_before = flags();
  const auto environment_before = environment();
  std::error_code expected;
  const auto range = named_range(input, has(listen_options::any_pid), expected);
  for (int fd = range.first; !expected && fd < range.end(); ++fd) {
    const int now = ::fcntl(fd, F_GETFD);
    if (now < 0) expected = {EBADF, std::generic_category()};
    if (now > 0 && fd == range.first) expected = sd::errc::already_claimed;
    // Only a short range is looked at one by one.
    if (now > 0 && range.count <= 2 && !expected) expected = sd::errc::already_claimed;
  }
  if (!expected && range.count == 0 && has(listen_options::required)) expected = sd::errc::not_activated;

  std::error_code ec;
  const auto fds = sd::listen_fds(options, ec);
  require(ec == expected);
  require(fds.size() == (ec ? 0U : static_cast<std::size_t>(range.count)));
  int fd = range.first;
  for (const auto& each : fds) {
    require(each.fd.get() == fd);
    require(::fcntl(fd++, F_GETFD) == FD_CLOEXEC);
  }
  require_names(fds, input.find("LISTEN_FDNAMES"));
  if (fds.empty()) require(flags() == flags_before);
  const bool is_unset = !ec && has(listen_options::unset_environment);
  require(environment() == (is_unset ? std::array<variable, names.size()>() : environment_before));
  // They are received once.
  require((sd::detail::claimed != 0) == !fds.empty());
  require(sd::listen_fds(listen_options::none, ec).empty() || fds.empty());
  sd::detail::claimed = 0;
}

void watch(const settings& input) {
  const auto usec = input.find("WATCHDOG_USEC");
  const auto pid = input.find("WATCHDOG_PID");
  sd::fuzz::set_environment("WATCHDOG_USEC", usec);
  sd::fuzz::set_environment("WATCHDOG_PID", pid);
  std::error_code expected;
  auto number = static_cast<std::uint64_t>(::getpid());
  constexpr auto malformed_pid = sd::errc::malformed_watchdog_pid;
  constexpr auto malformed_usec = sd::errc::malformed_watchdog_usec;
  if (usec && pid) expected = read(pid, INT_MAX, malformed_pid, malformed_pid, number);
  const bool is_enabled = usec && !expected && number == static_cast<std::uint64_t>(::getpid());
  number = 0;
  if (is_enabled) expected = read(usec, INT64_MAX, malformed_usec, malformed_usec, number);
  if (is_enabled && number == 0) expected = malformed_usec;

  std::error_code ec;
  const auto period = sd::watchdog_period(ec);
  require(ec == expected);
  require(period.has_value() == (is_enabled && !expected));
  if (period) require(period->count() == static_cast<std::int64_t>(number));
  const sd::watchdog timer(period);
  require(timer.timeout() >= (period ? 0 : -1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const settings input(sd::fuzz::text_of(data, size),
                       {{"PID", std::to_string(::getpid())}, {"ID", std::to_string(own_pidfdid())}});
  receive(input);
  watch(input);
  return 0;
}
