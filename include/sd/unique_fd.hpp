// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Owns a file descriptor.

#include <sd/config.hpp>

#include <cassert>
#include <utility>

namespace sd {
inline namespace v0 {

/// Owns one file descriptor and closes it on destruction.
///
/// The size of an int. Movable, not copyable, and not implicitly convertible to or from int. A negative number means
/// "no descriptor".
///
/// A failed close(2) is not retried, because POSIX leaves the descriptor's state unspecified. If the library was built
/// without NDEBUG, closing a descriptor that other code has already closed stops the program.
///
/// @threadsafety Distinct objects may be used from different threads.
/// @see close(2)
class unique_fd {
 public:
  /// Owns no descriptor.
  constexpr unique_fd() noexcept = default;
  /// Takes ownership of `fd`.
  explicit constexpr unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());  // released first, so self-assignment is safe
    return *this;
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() {
    if (fd_ >= 0) close(fd_);
  }

  /// Returns the descriptor, still owned by this object, or a negative number.
  [[nodiscard]] constexpr int get() const& noexcept { return fd_; }
  /// A temporary closes its descriptor at the end of the expression, so its number must not be kept.
  [[nodiscard]] int get() const&& = delete;
  /// Returns whether the object owns a descriptor.
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return fd_ >= 0; }
  /// Gives up ownership and returns the descriptor. The caller must close it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the owned descriptor, if any, and takes ownership of `fd`, which must be another descriptor. Preserves
  /// `errno`.
  void reset(int fd = -1) noexcept {
    assert(fd < 0 || fd != fd_);
    if (const int old = std::exchange(fd_, fd); old >= 0) close(old);
  }

  friend void swap(unique_fd& a, unique_fd& b) noexcept { std::swap(a.fd_, b.fd_); }

 private:
  SD_EXPORT static void close(int fd) noexcept;

  int fd_ = -1;
};

}  // namespace v0
}  // namespace sd
