// SPDX-License-Identifier: MIT OR Apache-2.0
#include "library.hpp"

#include <dlfcn.h>

namespace sd::test {

namespace {

template <class Function>
void find(void* module, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(module, name));
}

}  // namespace

library load(const char* name) {
  library result{};
  void* const module = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return result;
  find(module, "sd_listen_fds", result.listen_fds);
  find(module, "sd_listen_fds_with_names", result.listen_fds_with_names);
  find(module, "sd_is_fifo", result.is_fifo);
  find(module, "sd_is_special", result.is_special);
  find(module, "sd_is_socket", result.is_socket);
  find(module, "sd_is_socket_inet", result.is_socket_inet);
  find(module, "sd_is_socket_sockaddr", result.is_socket_sockaddr);
  find(module, "sd_is_socket_unix", result.is_socket_unix);
  find(module, "sd_is_mq", result.is_mq);
  find(module, "sd_notify", result.notify);
  find(module, "sd_notifyf", result.notifyf);
  find(module, "sd_pid_notify", result.pid_notify);
  find(module, "sd_pid_notifyf", result.pid_notifyf);
  find(module, "sd_pid_notify_with_fds", result.pid_notify_with_fds);
  find(module, "sd_pid_notifyf_with_fds", result.pid_notifyf_with_fds);
  find(module, "sd_notify_barrier", result.notify_barrier);
  find(module, "sd_pid_notify_barrier", result.pid_notify_barrier);
  find(module, "sd_booted", result.booted);
  find(module, "sd_watchdog_enabled", result.watchdog_enabled);
  find(module, "sd_pidfd_get_inode_id", result.pidfd_get_inode_id);
  // The library has no function for its version, but this function was added in the release between those two.
  result.knows_e2big = result.knows_pidfdid = result.pidfd_get_inode_id != nullptr;
  return result;
}

}  // namespace sd::test
