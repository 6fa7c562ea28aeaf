// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sd::activate {

/// A text that settings come from: a unit file, or an option of the command line.
struct source {
  std::string name;
  std::vector<std::string> lines;
};

/// A place in a source. Lines and columns are counted from 1, and columns in bytes. Line 0 stands for the whole source.
struct location {
  std::shared_ptr<const source> text;
  std::size_t line = 0;
  std::size_t column = 0;
};

enum class severity { error, warning };

struct diagnostic {
  severity level;
  location at;
  std::string message;
};

/// Collects what is wrong with the sources, so that one run reports every problem, in the order of the lines.
class diagnostics {
 public:
  void error(location at, std::string message) { add(severity::error, std::move(at), std::move(message)); }
  void warning(location at, std::string message) { add(severity::warning, std::move(at), std::move(message)); }

  /// Returns the number of errors.
  [[nodiscard]] std::size_t errors() const noexcept;
  [[nodiscard]] bool has_errors() const noexcept { return errors() != 0; }
  [[nodiscard]] bool has_warnings() const noexcept;
  [[nodiscard]] const std::vector<diagnostic>& all() const noexcept { return all_; }

 private:
  void add(severity level, location at, std::string message);

  std::vector<diagnostic> all_;
};

/// Returns a text in UTF-8 with a "?" for each control character but tabs, and for each byte that belongs to no
/// character. They could change what a terminal shows, or forge lines.
std::string printable(std::string_view text);

/// Returns a diagnostic as `file:line:column: error: message`, with the line and a caret below it. Ends in a newline.
std::string to_string(const diagnostic& what, bool with_colors = false);

}  // namespace sd::activate
