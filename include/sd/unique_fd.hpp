#pragma once

#include <sd/config.hpp>

#include <cassert>
#include <utility>

namespace sd {

/// Owns one file descriptor and closes it when it goes.
/// Shape:   the size of an int; moves, never copies; converts to or from int only by name. A negative number is "none".
/// Errors:  none. A failed close is not retried, as POSIX leaves the number unspecified then. In a library that was
///          built without NDEBUG, closing a number that somebody else has closed already stops the program.
/// Threads: as an int: distinct objects from any thread, one object from one thread at a time.
/// Source:  close(2)
class unique_fd {
 public:
  constexpr unique_fd() noexcept = default;
  explicit constexpr unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());  // itself, too: it is released first
    return *this;
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() {
    if (fd_ >= 0) close(fd_);
  }

  /// The number, still owned by this object.
  [[nodiscard]] constexpr int get() const& noexcept { return fd_; }
  /// A temporary closes its descriptor at the end of the expression, so its number must not be kept.
  int get() const&& = delete;
  /// Whether there is a descriptor.
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the number away: from here on the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is owned, if anything, and owns `fd` instead, which must be another one. `errno` stays as it was.
  void reset(int fd = -1) noexcept {
    assert(fd < 0 || fd != fd_);
    if (const int old = std::exchange(fd_, fd); old >= 0) close(old);
  }

  friend void swap(unique_fd& a, unique_fd& b) noexcept { std::swap(a.fd_, b.fd_); }

 private:
  SD_EXPORT static void close(int fd) noexcept;

  int fd_ = -1;
};

}  // namespace sd
