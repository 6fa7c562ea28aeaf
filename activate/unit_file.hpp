// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "diagnostics.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The syntax of systemd.syntax(7). What the settings mean is not known here.
namespace sd::activate {

/// Maps a part of a value, which continuation lines may have contributed to, to its place in the source.
struct segment {
  std::size_t offset = 0;  ///< in the value
  std::size_t line = 0;
  std::size_t column = 0;
};

/// One `Name=value` of a unit file.
struct assignment {
  std::string section;
  std::string name;
  std::string value;  ///< without the white space around it, and with a space for each line continuation
  location at;        ///< of the name
  std::vector<segment> segments;

  /// Returns where the byte at this offset of the value stands.
  [[nodiscard]] location value_at(std::size_t offset = 0) const;
};

/// Splits a text into lines, as the source of this name.
std::shared_ptr<const source> make_source(std::string name, std::string_view text);

/// Reads a file as a source. Warns if other users can change it. Throws `std::system_error`, whose message names the
/// file.
std::shared_ptr<const source> read_source(const std::string& path, diagnostics& problems);

/// Returns the assignments of a source in order. Lines that are malformed are reported and skipped.
std::vector<assignment> parse(const std::shared_ptr<const source>& text, diagnostics& problems);

}  // namespace sd::activate
