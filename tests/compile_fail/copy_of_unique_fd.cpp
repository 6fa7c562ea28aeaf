// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

#include <utility>

sd::unique_fd second_owner(sd::unique_fd& fd) {
#ifdef MISUSE
  return sd::unique_fd(fd);
#else
  return sd::unique_fd(std::move(fd));
#endif
}
