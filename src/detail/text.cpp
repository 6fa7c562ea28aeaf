// SPDX-License-Identifier: MIT OR Apache-2.0
#include "text.hpp"

#include <algorithm>
#include <cstddef>

namespace sd::detail {

std::string escaped(std::string_view value) {
  constexpr char hex[] = "0123456789abcdef";
  std::string text;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == '"') {
      text += {'\\', c};
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += {'\\', 'x', hex[byte >> 4U], hex[byte & 0xfU]};
    }
  }
  return text;
}

std::string quoted(std::string_view value) {
  constexpr std::size_t longest = 64;
  std::string text = escaped(value.substr(0, longest));
  text.insert(0, 1, '"');
  text += value.size() > longest ? "...\"" : "\"";
  return text;
}

void append_decimal(std::string& text, int number) {
  // Negated in unsigned arithmetic, where the smallest number does not overflow.
  unsigned rest = number < 0 ? 0U - static_cast<unsigned>(number) : static_cast<unsigned>(number);
  const std::size_t start = text.size();
  do {
    text += static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (number < 0) text += '-';
  std::reverse(text.begin() + static_cast<std::string::difference_type>(start), text.end());
}

}  // namespace sd::detail
