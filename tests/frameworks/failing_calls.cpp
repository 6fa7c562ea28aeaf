// SPDX-License-Identifier: MIT OR Apache-2.0
// A library for LD_PRELOAD. If ACCEPT_ERROR is set, the first calls of accept(2) and accept4(2) fail with the error of
// that number. If THREADS is set, no more than that many threads can be started.

#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

int number_in(const char* variable, int otherwise) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? otherwise : std::atoi(value);
}

}  // namespace

// The system's headers declare these functions.
extern "C" {

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  static std::atomic<int> calls{0};
  const int error = number_in("ACCEPT_ERROR", 0);
  if (error != 0 && ++calls <= number_in("ACCEPT_FAILURES", 0)) {
    errno = error;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_accept4, fd, address, size, flags));
}

int accept(int fd, sockaddr* address, socklen_t* size) { return accept4(fd, address, size, 0); }

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  static std::atomic<int> calls{0};
  const int limit = number_in("THREADS", -1);
  if (limit >= 0 && ++calls > limit) return EAGAIN;
  static const auto real = reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  return real(thread, attributes, run, argument);
}
}
