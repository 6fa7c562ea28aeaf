// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "check.hpp"

#include <sys/resource.h>

namespace sd::test {

/// Sets the soft limit of the descriptors of this process, RLIMIT_NOFILE, and restores it on destruction. With a limit
/// of 0, the process can open no descriptor.
class descriptor_limit {
 public:
  explicit descriptor_limit(rlim_t number) : saved_(current()) {
    const rlimit limit{number, saved_.rlim_max};
    check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  }
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;
  ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &saved_); }

  /// Returns the soft and the hard limit.
  static rlimit current() {
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    return limit;
  }

 private:
  rlimit saved_;
};

}  // namespace sd::test
