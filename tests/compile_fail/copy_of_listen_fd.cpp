// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

#include <utility>

sd::listen_fd second_owner(sd::listen_fd& fd) {
#ifdef MISUSE
  return sd::listen_fd(fd);
#else
  return sd::listen_fd(std::move(fd));
#endif
}
