// SPDX-License-Identifier: MIT OR Apache-2.0
#include "events.hpp"

#include "diagnostics.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

namespace sd::activate {

namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

void event_log::error(const std::string& message) const { write("error: ", message); }
void event_log::warning(const std::string& message) const { write("warning: ", message); }
void event_log::info(const std::string& message) const {
  if (level_ != verbosity::quiet) write("", message);
}
void event_log::debug(const std::string& message) const {
  if (level_ == verbosity::verbose) write("", message);
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): like the other functions of the log
void event_log::write(const char* level, const std::string& message) const {
  write_all(STDERR_FILENO, fmt::format("sd-activate: {}{}\n", level, printable(message)));
}

void event_log::event(std::string_view name, std::initializer_list<event_member> members) const {
  if (json_fd_ < 0) return;
  nlohmann::ordered_json line = {{"event", name}};
  for (const auto& each : members) std::visit([&](auto value) { line[std::string(each.name)] = value; }, each.value);
  write_all(json_fd_, line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
}

}  // namespace sd::activate
