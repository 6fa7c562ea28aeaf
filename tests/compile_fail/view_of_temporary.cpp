// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>

// The list of numbers would be destroyed at the end of the statement.
void give(int fd) {
  sd::notify_options options;
#ifdef MISUSE
  options.fds = {fd, fd};
#else
  options.fds = fd;
#endif
  sd::notify(sd::state::fdstore(), options);
}
