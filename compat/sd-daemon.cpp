// SPDX-License-Identifier: MIT OR Apache-2.0
// Implements the C ABI of sd-daemon.h on the core. Nothing here needs the C++ runtime.

#include <sd/config.hpp>

// A shared libsd-daemon exports these functions. A static one exports nothing beyond the module that it is linked into.
#if !defined(SD_STATIC)
#pragma GCC visibility push(default)
#endif
#include <systemd/sd-daemon.h>
#if !defined(SD_STATIC)
#pragma GCC visibility pop
#endif

#include "detail/inspect.hpp"
#include "detail/notify.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/processes.hpp"
#include "detail/receive.hpp"

#include <netinet/in.h>
#include <pthread.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace {

using namespace sd::detail;

int negated_errno(const fault& why) noexcept {
  if (why.error != 0) return -why.error;
  return why.out_of_range ? -ERANGE : -EINVAL;
}

/// Serializes callers, so that only one of several that unset the environment receives the descriptors.
class lock {
 public:
  lock() noexcept { ::pthread_mutex_lock(&mutex); }
  ~lock() { ::pthread_mutex_unlock(&mutex); }
  lock(const lock&) = delete;
  lock& operator=(const lock&) = delete;

 private:
  static pthread_mutex_t mutex;
};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wzero-as-null-pointer-constant"  // the macro is C
pthread_mutex_t lock::mutex = PTHREAD_MUTEX_INITIALIZER;
#pragma GCC diagnostic pop

/// The names in the form in which the caller frees them: each name, and the array.
class name_array {
 public:
  name_array() noexcept = default;
  name_array(const name_array&) = delete;
  name_array& operator=(const name_array&) = delete;
  ~name_array() {
    for (char** name = names_; name != nullptr && *name != nullptr; ++name) std::free(*name);
    std::free(static_cast<void*>(names_));
  }

  /// Returns 0 or the negated errno.
  int assign(const offer& offered) noexcept {
    const char* const text = offered.env.listen_fdnames;
    const auto count = static_cast<std::size_t>(offered.range.count);
    names_ = static_cast<char**>(std::calloc(count + 1, sizeof(char*)));
    if (names_ == nullptr) return -ENOMEM;
    name_list list(text);
    for (std::size_t i = 0; i < count; ++i) {
      auto name = list.next();
      if (text == nullptr) name = "unknown";
      // libsystemd takes an empty list for one empty name.
      if (!name && i == 0) name = "";
      if (!name) return -EINVAL;
      if ((names_[i] = copy(*name)) == nullptr) return -ENOMEM;
    }
    return list.next() ? -EINVAL : 0;
  }
  char** release() noexcept { return std::exchange(names_, nullptr); }

 private:
  static char* copy(std::string_view name) noexcept {
    auto* const text = static_cast<char*>(std::malloc(name.size() + 1));
    if (text == nullptr) return nullptr;
    std::memcpy(text, name.data(), name.size());
    text[name.size()] = '\0';
    return text;
  }

  char** names_ = nullptr;
};

/// Returns the number of descriptors, and assigns their names unless `names` is null.
int receive(char*** names) noexcept {
  fault why;
  const offer offered = claim(sd::listen_options::none, ownership::shared, why);
  if (why) return negated_errno(why);
  if (offered.range.count == 0) return offered.empty == emptiness::zero ? -EINVAL : 0;

  // Marking comes last, because everything else can fail. If marking itself fails, it leaves nothing marked.
  name_array list;
  int error = 0;
  if (offered.range.first != SD_LISTEN_FDS_START) {
    error = -EINVAL;  // callers look for the descriptors there
  } else if (names != nullptr) {
    error = list.assign(offered);
  }
  if (error == 0) {
    mark(offered, why);
    if (why) error = negated_errno(why);
  }
  // The caller may ask again, so the descriptors stay unclaimed.
  claimed.store(0, std::memory_order_release);
  if (error != 0) return error;
  if (names != nullptr) *names = list.release();
  return offered.range.count;
}

int receive_once(int unset_environment, char*** names) noexcept {
  const lock lock;
  const int result = receive(names);
  if (unset_environment != 0 && result >= 0) sd::detail::unset_environment();
  return result;
}

/// Removes a variable on destruction, if wanted.
class unset_at_exit {
 public:
  unset_at_exit(int wanted, const char* name) noexcept : name_(wanted != 0 ? name : nullptr) {}
  ~unset_at_exit() {
    if (name_ != nullptr) os::unset_environment(name_);
  }
  unset_at_exit(const unset_at_exit&) = delete;
  unset_at_exit& operator=(const unset_at_exit&) = delete;

 private:
  const char* name_;
};

int notify_for(pid_t pid, int unset_environment, const char* state, const int* fds, std::size_t n_fds) noexcept {
  const unset_at_exit unset(unset_environment, "NOTIFY_SOCKET");
  if (state == nullptr) return -EINVAL;
  const os::piece piece{state, std::strlen(state)};
  message text;
  text.pieces = &piece;
  text.piece_count = 1;
  text.fds = fds;
  text.fd_count = n_fds;
  text.pid = pid;
  text.falls_back_to_self = true;
  return notify(text);
}

[[gnu::format(printf, 5, 0)]] int notify_formatted(pid_t pid, int unset_environment, const int* fds, std::size_t n_fds,
                                                   const char* format, va_list arguments) noexcept {
  const unset_at_exit unset(unset_environment, "NOTIFY_SOCKET");
  if (format == nullptr) return -EINVAL;
  char* text = nullptr;
  if (::vasprintf(&text, format, arguments) < 0) return -ENOMEM;
  const int result = notify_for(pid, 0, text, fds, n_fds);
  std::free(text);
  return result;
}

int barrier_for(pid_t pid, int unset_environment, std::uint64_t timeout) noexcept {
  const unset_at_exit unset(unset_environment, "NOTIFY_SOCKET");
  // A time that the core cannot represent exceeds 290,000 years. It becomes a negative number, which means no limit.
  return notify_barrier(static_cast<std::int64_t>(timeout), pid);
}

}  // namespace

extern "C" {

int sd_listen_fds(int unset_environment) { return receive_once(unset_environment, nullptr); }
int sd_listen_fds_with_names(int unset_environment, char*** names) { return receive_once(unset_environment, names); }

int sd_is_fifo(int fd, const char* path) { return is_fifo(fd, path); }
int sd_is_special(int fd, const char* path) { return is_special(fd, path); }
int sd_is_socket(int fd, int family, int type, int listening) { return is_socket(fd, family, type, listening); }
int sd_is_socket_inet(int fd, int family, int type, int listening, uint16_t port) {
  return is_socket_inet(fd, family, type, listening, port);
}
int sd_is_socket_sockaddr(int fd, int type, const sockaddr* addr, unsigned addr_len, int listening) {
  if (fd < 0) return -EBADF;
  if (addr == nullptr) return -EINVAL;
  if (addr_len < sizeof addr->sa_family) return -ENOBUFS;
  const int family = addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return -EPFNOSUPPORT;
  const unsigned size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (addr_len >= size) return is_socket_sockaddr(fd, type, addr, size, listening);
  const int result = is_socket(fd, family, type, listening);
  return result > 0 ? -EINVAL : result;
}
int sd_is_socket_unix(int fd, int type, int listening, const char* path, size_t length) {
  return is_socket_unix(fd, type, listening, path, path != nullptr && length == 0 ? std::strlen(path) : length);
}
int sd_is_mq(int fd, const char* path) { return is_message_queue(fd, path); }

int sd_notify(int unset_environment, const char* state) { return notify_for(0, unset_environment, state, nullptr, 0); }
int sd_pid_notify(pid_t pid, int unset_environment, const char* state) {
  return notify_for(pid, unset_environment, state, nullptr, 0);
}
int sd_pid_notify_with_fds(pid_t pid, int unset_environment, const char* state, const int* fds, unsigned n_fds) {
  return notify_for(pid, unset_environment, state, fds, n_fds);
}

int sd_notifyf(int unset_environment, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int result = notify_formatted(0, unset_environment, nullptr, 0, format, arguments);
  va_end(arguments);
  return result;
}
int sd_pid_notifyf(pid_t pid, int unset_environment, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int result = notify_formatted(pid, unset_environment, nullptr, 0, format, arguments);
  va_end(arguments);
  return result;
}
int sd_pid_notifyf_with_fds(pid_t pid, int unset_environment, const int* fds, size_t n_fds, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int result = notify_formatted(pid, unset_environment, fds, n_fds, format, arguments);
  va_end(arguments);
  return result;
}

int sd_notify_barrier(int unset_environment, uint64_t timeout) { return barrier_for(0, unset_environment, timeout); }
int sd_pid_notify_barrier(pid_t pid, int unset_environment, uint64_t timeout) {
  return barrier_for(pid, unset_environment, timeout);
}

int sd_booted(void) { return booted(); }

int sd_pidfd_get_inode_id(int pidfd, uint64_t* ret) {
  std::uint64_t number = 0;
  int result = os::is_pidfs(pidfd);
  if (result < 0) return result;
  if (result == 0) {
    // If this process's own pidfd has an inode, so has every other pidfd.
    result = pidfd_inode(os::process_id(), number);
    return result > 0 ? -EBADF : result == 0 ? -EOPNOTSUPP : result;
  }
  result = os::pidfd_inode(pidfd, number);
  if (result == 0 && ret != nullptr) *ret = number;
  return result;
}

int sd_watchdog_enabled(int unset_environment, uint64_t* usec) {
  const unset_at_exit unset_period(unset_environment, "WATCHDOG_USEC");
  const unset_at_exit unset_pid(unset_environment, "WATCHDOG_PID");
  fault why;
  std::uint64_t period = 0;
  const char* const text = os::get_environment("WATCHDOG_USEC");
  const char* const pid = os::get_environment("WATCHDOG_PID");
  if (!watchdog_period(text, pid, os::process_id(), period, why)) return why ? negated_errno(why) : 0;
  if (usec != nullptr) *usec = period;
  return 1;
}

}  // extern "C"
