// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <pthread.h>

#include <cerrno>

// What a function of the C library leaves as it is while this library makes calls of its own.
namespace sd::adopt {

/// Restores errno on destruction.
class errno_kept {
 public:
  errno_kept() = default;
  errno_kept(const errno_kept&) = delete;
  errno_kept& operator=(const errno_kept&) = delete;
  ~errno_kept() { errno = error_; }

 private:
  int error_ = errno;
};

/// Keeps this thread from being cancelled: functions that are no cancellation points call some that are.
class uncancellable {
 public:
  uncancellable() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state_); }
  uncancellable(const uncancellable&) = delete;
  uncancellable& operator=(const uncancellable&) = delete;
  ~uncancellable() { ::pthread_setcancelstate(state_, nullptr); }

 private:
  int state_ = 0;
};

}  // namespace sd::adopt
