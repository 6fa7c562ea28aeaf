#include "text.hpp"

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
  return '"' + escaped(value.substr(0, longest)) + (value.size() > longest ? "...\"" : "\"");
}

std::string as_unit_value(std::string_view value) {
  std::string text;
  for (const char c : escaped(value)) text.append(c == '%' ? 2 : 1, c);
  return text;
}

}  // namespace sd::detail
