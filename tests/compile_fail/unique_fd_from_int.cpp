// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

void adopt(sd::unique_fd fd);

void give(int fd) {
#ifdef MISUSE
  adopt(fd);
#else
  adopt(sd::unique_fd(fd));
#endif
}
