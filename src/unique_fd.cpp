// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

#include "detail/os/descriptors.hpp"

#include <cassert>
#include <cerrno>

namespace sd {
inline namespace v0 {

void unique_fd::close(int fd) noexcept {
  const int saved = errno;
  [[maybe_unused]] const int result = detail::os::close(fd);
  assert(result != -EBADF && "sd::unique_fd: other code closed a descriptor that this object owns");
  errno = saved;
}

}  // namespace v0
}  // namespace sd
