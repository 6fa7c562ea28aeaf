// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests sd_watchdog_enabled(): calls both libraries with the same variables.

#include "comparison.hpp"
#include "libraries.hpp"

#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

namespace {

using sd::test::comparison;
using sd::test::variable;
using sd::test::watchdog_call;

class watchdog : public sd::test::both_libraries {};

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
          const watchdog_call call{usec, pid, unset, wants_usec};
          const auto our_result = call.of(ours);
          const auto their_result = call.of(theirs);
          both.compare([&] { return call.text(); }, their_result, our_result, allowed(call, their_result, our_result));
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
