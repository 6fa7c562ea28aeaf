// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "detail/serving.hpp"

#include <cstddef>
#include <cstdint>

namespace sd::adopt {

/// A text of at most `Size - 1` characters. Longer text is truncated. Allocates nothing and is async-signal-safe.
template <std::size_t Size>
class text {
 public:
  text& operator<<(const char* words) noexcept {
    for (; *words != '\0'; ++words) *this << *words;
    return *this;
  }
  text& operator<<(char c) noexcept {
    if (size_ + 1 < Size) bytes_[size_++] = c;
    bytes_[size_] = '\0';
    return *this;
  }
  text& operator<<(std::uint64_t number) noexcept {
    char digits[20];
    std::size_t count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (count != 0) *this << digits[--count];
    return *this;
  }
  text& operator<<(int number) noexcept {
    if (number < 0) *this << '-';
    return *this << static_cast<std::uint64_t>(number < 0 ? -static_cast<std::int64_t>(number) : number);
  }

  [[nodiscard]] const char* get() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  char bytes_[Size] = {};
  std::size_t size_ = 0;
};

using message = text<512>;

/// Appends an address, in the form of `ListenStream=`.
message& operator<<(message& out, const detail::address_view& where) noexcept;

/// Remembers standard error, to which `say()` writes, and reads SD_ADOPT_VERBOSE. If the program later opens another
/// file as descriptor 2, that file receives no messages.
void remember_standard_error() noexcept;

/// Writes a line to standard error: "libsd-adopt: ", the message and a line break.
void say(message& words) noexcept;

/// Returns whether SD_ADOPT_VERBOSE is set, which enables a message for each bind(2).
bool is_verbose() noexcept;

}  // namespace sd::adopt
