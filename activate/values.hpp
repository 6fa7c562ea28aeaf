// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The values of settings: systemd.syntax(7), systemd.time(7). Each function that parses returns an empty optional if
// the text is malformed.
namespace sd::activate {

/// A period. `infinity` is the largest one.
using period = std::chrono::microseconds;
inline constexpr period infinity = period::max();

/// Parses 1, yes, true, on, 0, no, false or off.
std::optional<bool> parse_boolean(std::string_view text);

/// Parses a decimal number.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most);

/// Parses a number of bytes with a suffix of K, M, G, T, P or E, to the base of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// Parses a time span such as "5min 20s". A number without a unit is in seconds. "infinity" is allowed.
std::optional<period> parse_period(std::string_view text);
/// Returns a period in seconds, such as "1.5 s".
std::string to_text(period time);
/// Returns when a period from now is over: at the end of the clock's time if it is longer than that.
std::chrono::steady_clock::time_point time_after(period time) noexcept;

/// Parses an octal access mode.
std::optional<unsigned> parse_mode(std::string_view text);

/// Parses the name or number of a signal, as "SIGTERM", "TERM" or "15".
std::optional<int> parse_signal(std::string_view text);

/// Returns the name of a signal, such as "SIGTERM" or "SIGRTMIN+1". One that the C library keeps for itself has only a
/// number, as in "SIG32".
std::string signal_name(int number);

/// The characters that separate words.
inline constexpr std::string_view white_space = " \t\r\n\f\v";

/// Returns the text without white space at its ends.
std::string_view trimmed(std::string_view text);

/// A word of a value.
struct word {
  std::string text;                  ///< without quotes and escapes
  std::size_t offset = 0;            ///< in the value
  bool quoted = false;               ///< whether any part of it was in quotes or escaped
  std::vector<std::size_t> offsets;  ///< for each byte of the text, that in the value

  /// Returns where a byte of the text stands in the value. For the end of the text, that is the offset after its last
  /// byte.
  [[nodiscard]] std::size_t offset_of(std::size_t index) const {
    return offsets.empty() ? offset : index < offsets.size() ? offsets[index] : offsets.back() + 1;
  }
};

/// The words of a value, or what is wrong with it.
struct word_list {
  std::vector<word> words;
  std::string problem;  ///< empty if there is none
  std::size_t problem_offset = 0;
  std::vector<std::size_t> unknown_escapes;  ///< the offsets of backslashes that were kept
};

enum class escapes { resolve, keep };

/// Splits a value into words at white space, and removes quotes.
///
/// @param handling Whether the escapes of systemd.syntax(7) are replaced by the characters that they stand for.
word_list split(std::string_view value, escapes handling = escapes::resolve);

/// Returns whether the name can be one of an environment variable.
bool is_variable_name(std::string_view name);

/// Returns whether a name can stand in LISTEN_FDNAMES.
bool is_fd_name(std::string_view name) noexcept;

}  // namespace sd::activate
