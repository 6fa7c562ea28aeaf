// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <pthread.h>

namespace sd::adopt {

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
