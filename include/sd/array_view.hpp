// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Accepts one element, a list or a container as an argument.

#include <sd/config.hpp>

#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <utility>

namespace sd {
inline namespace v0 {

/// Refers to an array of constant elements that another object owns, as `std::span<const T>` of C++20 does.
///
/// Converts from one element, an initializer list, an array, and every container with `data()` and `size()`, such as
/// `std::vector`, `std::array` and `std::span`. There is no constructor from a pointer and a count, so a view of a null
/// pointer is always empty. As a function parameter it accepts temporaries. A variable of this type must not outlive
/// the elements.
///
/// @threadsafety Distinct objects may be used from different threads.
template <class T>
class array_view {
 public:
  /// Refers to no elements.
  constexpr array_view() noexcept = default;
  /// Refers to one `element`.
  constexpr array_view(const T& element SD_LIFETIMEBOUND) noexcept : array_view(&element, 1) {}
  /// Refers to the `elements` of a list.
  constexpr array_view(std::initializer_list<T> elements SD_LIFETIMEBOUND) noexcept
      : array_view(elements.begin(), elements.size()) {}
  /// Refers to the `elements` of an array.
  template <std::size_t Size>
  constexpr array_view(const T (&elements SD_LIFETIMEBOUND)[Size]) noexcept : array_view(elements, Size) {}
  /// Refers to the `elements` of a container.
  template <class Container, class Element = decltype(*std::declval<const Container&>().data()),
            std::enable_if_t<std::is_same_v<std::decay_t<Element>, T>, int> = 0>
  constexpr array_view(const Container& elements SD_LIFETIMEBOUND) noexcept
      : array_view(elements.data(), elements.size()) {}

  /// A temporary would be gone by the end of the statement.
  template <class Temporary, std::enable_if_t<std::is_same_v<Temporary, T>, int> = 0>
  array_view& operator=(Temporary&&) = delete;
  template <class Temporary, std::enable_if_t<std::is_same_v<Temporary, T>, int> = 0>
  array_view& operator=(std::initializer_list<Temporary>) = delete;

  /// Returns the first element's address.
  [[nodiscard]] constexpr const T* data() const noexcept { return data_; }
  /// Returns the number of elements.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  /// Returns whether there are no elements.
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  /// Returns an iterator to the first element.
  [[nodiscard]] constexpr const T* begin() const noexcept { return data_; }
  /// Returns an iterator past the last element.
  [[nodiscard]] constexpr const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] constexpr const T& operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  constexpr array_view(const T* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace v0
}  // namespace sd
