// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

// What sd-activate reports.
namespace sd::activate {

enum class verbosity { quiet, normal, verbose };

/// A member of an event.
struct event_member {
  std::string_view name;
  std::variant<std::string_view, std::int64_t> value;
};

/// Writes messages for people to standard error, and events for programs as JSON, one object on each line.
class event_log {
 public:
  /// @param json_fd The descriptor for the events, or -1.
  event_log(verbosity level, int json_fd) : level_(level), json_fd_(json_fd) {}

  [[nodiscard]] bool is_verbose() const noexcept { return level_ == verbosity::verbose; }

  void error(const std::string& message) const;
  void warning(const std::string& message) const;
  void info(const std::string& message) const;
  void debug(const std::string& message) const;

  /// Writes an event, for example `{"event":"started","unit":"web.service","pid":4711}`.
  void event(std::string_view name, std::initializer_list<event_member> members) const;

 private:
  void write(const char* level, const std::string& message) const;

  verbosity level_;
  int json_fd_;
};

}  // namespace sd::activate
