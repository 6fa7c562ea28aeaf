// SPDX-License-Identifier: MIT OR Apache-2.0
#include "values.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

namespace sd::activate {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view without_leading_space(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(white_space), text.size()));
  return text;
}

template <class Number>
std::optional<Number> parse_whole(std::string_view text, int base) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Removes the digits at the start of the text, and returns them.
std::string_view take_digits(std::string_view& text) {
  const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
  text.remove_prefix(digits.size());
  return digits;
}

/// Parses a number with a decimal fraction at the start of the text, scales it, and removes it from the text.
std::optional<std::uint64_t> take_scaled(std::string_view& text, const auto& unit_after) {
  const auto digits = take_digits(text);
  std::uint64_t whole = 0;
  if (!digits.empty()) {
    const auto parsed = parse_whole<std::uint64_t>(digits, 10);
    if (!parsed) return std::nullopt;
    whole = *parsed;
  }
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = take_digits(text);
  }
  if (digits.empty() && fraction.empty()) return std::nullopt;

  const std::optional<std::uint64_t> unit = unit_after(text);
  if (!unit) return std::nullopt;
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(whole, *unit, &result)) return std::nullopt;
  // Six digits are enough for a microsecond of the unit of a second, and keep the products in 64 bits.
  std::uint64_t digits_of_fraction = 0;
  std::uint64_t scale = 1;
  for (const char digit : fraction.substr(0, 6)) {
    digits_of_fraction = digits_of_fraction * 10 + static_cast<std::uint64_t>(digit - '0');
    scale *= 10;
  }
  const auto part = *unit / scale * digits_of_fraction + *unit % scale * digits_of_fraction / scale;
  if (__builtin_add_overflow(result, part, &result)) return std::nullopt;
  return result;
}

std::optional<std::uint64_t> take_time_unit(std::string_view& text) {
  constexpr std::uint64_t second = 1'000'000;
  constexpr std::uint64_t day = std::uint64_t{24} * 60 * 60 * second;
  // A unit precedes those that it begins with.
  static constexpr std::pair<std::string_view, std::uint64_t> units[] = {
      {"usec", 1},
      {"us", 1},
      {"\u00b5s", 1},
      {"\u03bcs", 1},
      {"msec", 1000},
      {"ms", 1000},
      {"seconds", second},
      {"second", second},
      {"sec", second},
      {"s", second},
      {"minutes", 60 * second},
      {"minute", 60 * second},
      {"min", 60 * second},
      {"months", 2'629'800 * second},
      {"month", 2'629'800 * second},
      {"M", 2'629'800 * second},
      {"m", 60 * second},
      {"hours", 3600 * second},
      {"hour", 3600 * second},
      {"hr", 3600 * second},
      {"h", 3600 * second},
      {"days", day},
      {"day", day},
      {"d", day},
      {"weeks", 7 * day},
      {"week", 7 * day},
      {"w", 7 * day},
      {"years", 31'557'600 * second},
      {"year", 31'557'600 * second},
      {"y", 31'557'600 * second},
  };
  text = without_leading_space(text);
  if (text.empty() || is_digit(text.front())) return second;
  for (const auto& [name, unit] : units) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    return unit;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> take_size_unit(std::string_view& text) {
  constexpr std::string_view suffixes = "BKMGTPE";
  text = without_leading_space(text);
  if (text.empty()) return 1;
  const auto exponent = suffixes.find(text.front());
  if (exponent == std::string_view::npos) return std::nullopt;
  text.remove_prefix(1);
  return std::uint64_t{1} << (10 * exponent);
}

/// Appends a character as UTF-8.
bool append_code_point(std::string& text, std::uint32_t code) {
  const auto put = [&text](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | code >> 6U);
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | code >> 12U);
    put(0x80U | (code >> 6U & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | code >> 18U);
    put(0x80U | (code >> 12U & 0x3FU));
    put(0x80U | (code >> 6U & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
  return true;
}

/// Resolves the escape at the start of the text, after its backslash. Returns its length, or 0 if it is malformed.
std::size_t resolve_escape(std::string_view text, std::string& result) {
  static constexpr std::pair<char, char> simple[] = {{'a', '\a'}, {'b', '\b'},  {'f', '\f'}, {'n', '\n'},
                                                     {'r', '\r'}, {'t', '\t'},  {'v', '\v'}, {'\\', '\\'},
                                                     {'"', '"'},  {'\'', '\''}, {'s', ' '},  {';', ';'}};
  if (text.empty()) return 0;
  for (const auto& [letter, character] : simple) {
    if (letter != text.front()) continue;
    result += character;
    return 1;
  }
  // 0 if it is malformed. No escape can stand for that.
  const auto number = [&](std::size_t begin, std::size_t length, int base) -> std::uint32_t {
    if (text.size() < begin + length) return 0;
    return parse_whole<std::uint32_t>(text.substr(begin, length), base).value_or(0);
  };
  const auto append_byte = [&](std::uint32_t code, std::size_t length) -> std::size_t {
    if (code == 0 || code > 0xFF) return 0;
    result += static_cast<char>(code);
    return length;
  };
  switch (text.front()) {
    case 'x':
      return append_byte(number(1, 2, 16), 3);
    case 'u':
    case 'U': {
      const std::size_t length = text.front() == 'u' ? 4 : 8;
      return append_code_point(result, number(1, length, 16)) ? length + 1 : 0;
    }
    default:
      return append_byte(number(0, 3, 8), 3);
  }
}

constexpr int first_real_time_signal = 32;

std::string_view abbreviation_of(int signal) {
  static constexpr std::pair<int, std::string_view> names[] = {
    {SIGHUP, "HUP"},
    {SIGINT, "INT"},
    {SIGQUIT, "QUIT"},
    {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"},
    {SIGABRT, "ABRT"},
    {SIGBUS, "BUS"},
    {SIGFPE, "FPE"},
    {SIGKILL, "KILL"},
    {SIGUSR1, "USR1"},
    {SIGSEGV, "SEGV"},
    {SIGUSR2, "USR2"},
    {SIGPIPE, "PIPE"},
    {SIGALRM, "ALRM"},
    {SIGTERM, "TERM"},
    {SIGCHLD, "CHLD"},
    {SIGCONT, "CONT"},
    {SIGSTOP, "STOP"},
    {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"},
    {SIGTTOU, "TTOU"},
    {SIGURG, "URG"},
    {SIGXCPU, "XCPU"},
    {SIGXFSZ, "XFSZ"},
    {SIGVTALRM, "VTALRM"},
    {SIGPROF, "PROF"},
    {SIGWINCH, "WINCH"},
    {SIGIO, "IO"},
    {SIGPWR, "PWR"},
    {SIGSYS, "SYS"},
#if defined(SIGSTKFLT)  // not on all architectures
    {SIGSTKFLT, "STKFLT"},
#endif
  };
  for (const auto& [number, name] : names) {
    if (number == signal) return name;
  }
  return "";
}

/// Splits a value into words.
class splitter {
 public:
  splitter(std::string_view value, escapes handling) : value_(value), handling_(handling) {}

  word_list run() {
    while (skip_space()) read_word();
    if (!result_.problem.empty()) result_.words.clear();
    return std::move(result_);
  }

 private:
  bool skip_space() {
    at_ = std::min(value_.find_first_not_of(white_space, at_), value_.size());
    return at_ < value_.size();
  }

  [[nodiscard]] bool at_space() const { return white_space.find(value_[at_]) != std::string_view::npos; }

  void read_word() {
    word next;
    next.offset = at_;
    while (at_ < value_.size() && !at_space()) {
      if (value_[at_] == '"' || value_[at_] == '\'') {
        read_quoted(next);
      } else {
        read_character(next);
      }
    }
    result_.words.push_back(std::move(next));
  }

  void read_quoted(word& next) {
    next.quoted = true;
    const auto begin = at_;
    const char quote = value_[at_++];
    while (at_ < value_.size() && value_[at_] != quote) read_character(next);
    if (at_ == value_.size()) {
      result_.problem = "the quote is not closed";
      result_.problem_offset = begin;
    } else {
      ++at_;
    }
  }

  void read_character(word& next) {
    const auto begin = at_;
    if (value_[at_] != '\\' || handling_ == escapes::keep) {
      next.text += value_[at_++];
    } else {
      next.quoted = true;
      const auto length = resolve_escape(value_.substr(at_ + 1), next.text);
      if (length == 0) {
        result_.unknown_escapes.push_back(at_);
        next.text += '\\';
      }
      at_ += 1 + length;
    }
    next.offsets.resize(next.text.size(), begin);
  }

  std::string_view value_;
  escapes handling_;
  std::size_t at_ = 0;
  word_list result_;
};

}  // namespace

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(white_space);
  if (begin == std::string_view::npos) return text.substr(text.size());
  return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

std::optional<bool> parse_boolean(std::string_view text) {
  for (const std::string_view yes : {"1", "yes", "y", "true", "t", "on"}) {
    if (equals_ignoring_case(text, yes)) return true;
  }
  for (const std::string_view no : {"0", "no", "n", "false", "f", "off"}) {
    if (equals_ignoring_case(text, no)) return false;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most) {
  const auto number = parse_whole<std::uint64_t>(text, 10);
  return number && *number <= most ? number : std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto size = take_scaled(text, take_size_unit);
  return text.empty() ? size : std::nullopt;
}

std::optional<period> parse_period(std::string_view text) {
  if (text == "infinity") return infinity;
  std::uint64_t total = 0;
  do {
    const auto part = take_scaled(text, take_time_unit);
    if (!part || __builtin_add_overflow(total, *part, &total)) return std::nullopt;
    text = without_leading_space(text);
  } while (!text.empty());
  if (total > static_cast<std::uint64_t>(infinity.count())) return std::nullopt;
  return period(static_cast<period::rep>(total));
}

std::string to_text(period time) {
  return time == infinity ? "infinity" : fmt::format("{:g} s", std::chrono::duration<double>(time).count());
}

std::chrono::steady_clock::time_point time_after(period time) noexcept {
  using clock = std::chrono::steady_clock;
  const auto now = clock::now();
  const auto most = std::chrono::floor<period>(clock::time_point::max() - now);
  return time < most ? now + time : clock::time_point::max();
}

std::optional<unsigned> parse_mode(std::string_view text) {
  const auto mode = parse_whole<unsigned>(text, 8);
  return mode && *mode <= 07777 ? mode : std::nullopt;
}

std::optional<int> parse_signal(std::string_view text) {
  if (const auto number = parse_whole<int>(text, 10)) {
    return *number > 0 && *number <= SIGRTMAX ? number : std::nullopt;
  }
  if (text.starts_with("SIG")) text.remove_prefix(3);
  const auto real_time = [&](std::string_view start, int base, int sign) -> std::optional<int> {
    if (text == start) return base;
    if (text[start.size()] != (sign == 1 ? '+' : '-')) return std::nullopt;
    const auto distance = parse_number(text.substr(start.size() + 1), static_cast<unsigned>(SIGRTMAX - SIGRTMIN));
    return distance ? std::optional(base + sign * static_cast<int>(*distance)) : std::nullopt;
  };
  if (text.starts_with("RTMIN")) return real_time("RTMIN", SIGRTMIN, 1);
  if (text.starts_with("RTMAX")) return real_time("RTMAX", SIGRTMAX, -1);
  for (int number = 1; number < first_real_time_signal; ++number) {
    if (text == abbreviation_of(number)) return number;
  }
  return std::nullopt;
}

std::string signal_name(int number) {
  if (number >= SIGRTMIN) return "SIGRTMIN+" + std::to_string(number - SIGRTMIN);
  const auto abbreviation = abbreviation_of(number);
  return "SIG" + (abbreviation.empty() ? std::to_string(number) : std::string(abbreviation));
}

word_list split(std::string_view value, escapes handling) { return splitter(value, handling).run(); }

bool is_variable_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !name.empty() && !is_digit(name.front()) && std::all_of(name.begin(), name.end(), is_allowed);
}

bool is_fd_name(std::string_view name) noexcept {
  constexpr std::size_t longest = 255;
  const auto is_invalid = [](unsigned char c) { return c < ' ' || c >= 127 || c == ':'; };
  return name.size() <= longest && std::none_of(name.begin(), name.end(), is_invalid);
}

}  // namespace sd::activate
