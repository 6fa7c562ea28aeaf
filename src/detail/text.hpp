// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace sd::detail {

/// Returns whether the character is a control character of ASCII.
inline bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Returns the value in quotes, for error messages and logs: on one line, printable, and cut if it is longer than 64
/// bytes.
std::string quoted(std::string_view value);

/// Returns the value printable and on one line, without quotes and not cut: for values whose length is limited.
std::string escaped(std::string_view value);

/// Returns the value, escaped, as the text to write into a unit file, which reads `%%` as one `%`. Inline, because most
/// programs do not need it.
/// @see systemd.unit(5), "SPECIFIERS"
inline std::string as_unit_value(std::string_view value) {
  std::string text;
  for (const char c : escaped(value)) text.append(c == '%' ? 2 : 1, c);
  return text;
}

/// Appends the number in decimal. std::to_string() would add its own code and a table to each source file that calls
/// it.
void append_decimal(std::string& text, int number);

}  // namespace sd::detail
