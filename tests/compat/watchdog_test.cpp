// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests sd_watchdog_enabled(): calls both libraries with the same variables.

#include "comparison.hpp"
#include "libraries.hpp"

#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <vector>

namespace {

using sd::test::comparison;
using sd::test::documented;
using sd::test::library;
using sd::test::observation;
using sd::test::variable;

class watchdog : public sd::test::both_libraries {};

observation observe(const library& library, const variable& usec, const variable& pid, int unset, bool wants_usec) {
  sd::test::set("WATCHDOG_USEC", usec);
  sd::test::set("WATCHDOG_PID", pid);
  std::uint64_t period = 4711;
  observation seen;
  seen["result"] = std::to_string(library.watchdog_enabled(unset, wants_usec ? &period : nullptr));
  seen["usec"] = std::to_string(period);
  for (const char* name : {"WATCHDOG_USEC", "WATCHDOG_PID"}) sd::test::observe(seen, name);
  return seen;
}

/// Whether it is a decimal number without leading zeros, and no larger than this.
bool is_plain(const variable& text, std::uint64_t most) {
  if (!text) return true;
  if (text->empty() || text->front() == '0' || text->find_first_not_of("0123456789") != std::string::npos) return false;
  return text->size() < 20 && std::strtoull(text->c_str(), nullptr, 10) <= most;
}

TEST_F(watchdog, same_results) {
  const std::string self = std::to_string(::getpid());
  std::vector<variable> values{std::nullopt,
                               "",
                               "0",
                               "1",
                               "1000",
                               "30000000",
                               self,
                               '0' + self,
                               '+' + self,
                               ' ' + self,
                               self + ' ',
                               self + 'x',
                               "-1",
                               "-" + self,
                               "x",
                               "1x",
                               "0x10",
                               "010",
                               "08",
                               "2147483647",
                               "2147483648",
                               "4294967296",
                               "9223372036854775807",
                               "9223372036854775808",
                               "18446744073709551614",
                               "18446744073709551615",
                               "18446744073709551616",
                               std::string(30, '9')};
  comparison both;
  for (const auto& usec : values) {
    for (const auto& pid : values) {
      for (const int unset : {0, 1, -1}) {
        for (const bool wants_usec : {true, false}) {
          const auto our_result = observe(ours, usec, pid, unset, wants_usec);
          const auto their_result = observe(theirs, usec, pid, unset, wants_usec);
          std::optional<documented> allowed;
          if (our_result.at("result") == "0" && their_result.at("result").front() == '-') {
            allowed = documented{"malformed variables that are for another process, or without `LISTEN_FDS`"};
          } else if (!is_plain(usec, INT64_MAX) || !is_plain(pid, INT_MAX)) {
            allowed = documented{"a number that is not plain decimal or is too large"};
          }
          both.compare(
              [&] {
                return "WATCHDOG_USEC=" + usec.value_or("(not set)") + " WATCHDOG_PID=" + pid.value_or("(not set)");
              },
              their_result, our_result, allowed);
        }
      }
    }
  }
  sd::test::set("WATCHDOG_USEC", std::nullopt);
  sd::test::set("WATCHDOG_PID", std::nullopt);
  both.expect(4'000, {"malformed variables that are for another process, or without `LISTEN_FDS`",
                      "a number that is not plain decimal or is too large"});
}

}  // namespace
