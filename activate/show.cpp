// SPDX-License-Identifier: MIT OR Apache-2.0
#include "show.hpp"

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <string_view>
#include <system_error>

namespace sd::activate {

int show() {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    for (const std::string_view name :
         {"LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_", "FDSTORE=", "REMOTE_", "SO_COOKIE=", "INVOCATION_ID="}) {
      if (text.starts_with(name)) fmt::print("{}\n", text);
    }
  }
  fmt::print("pid {}\n", ::getpid());
  std::error_code ec;
  const auto fds = listen_fds(ec);
  if (ec) {
    fmt::print("error: {}\n", ec.message());
    return 1;
  }
  if (fds.empty()) fmt::print("no descriptors were passed to this process\n");
  for (const auto& each : fds) {
    fmt::print("descriptor {}{}: {}\n", each.fd.get(), each.name ? " \"" + *each.name + '"' : "",
               to_string(describe(each.fd.get(), ec)));
  }
  return 0;
}

}  // namespace sd::activate
