// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

// sd_listen_fds(1) in C corresponds to sd::listen_fds(sd::listen_options::unset_environment).
auto take() {
#ifdef MISUSE
  return sd::listen_fds(true);
#else
  return sd::listen_fds(sd::listen_options::unset_environment);
#endif
}
