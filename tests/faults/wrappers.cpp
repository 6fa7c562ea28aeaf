// SPDX-License-Identifier: MIT OR Apache-2.0
// The allocations of C code, which fail as those of C++ do. A child that locks a mutex before it executes its program
// could wait forever, because another thread may have held the mutex when the child was created.
#include "allocation.hpp"

#include <pthread.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>

// The linker calls these functions in place of those without the prefix. NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {

void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __real_vasprintf(char** result, const char* format, va_list arguments);
void* __wrap_malloc(std::size_t size);
void* __wrap_calloc(std::size_t count, std::size_t size);
int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex);
int __wrap_vasprintf(char** result, const char* format, va_list arguments);

void* __wrap_malloc(std::size_t size) {
  if (!sd::test::fails_to_allocate()) return __real_malloc(size);
  errno = ENOMEM;
  return nullptr;
}

void* __wrap_calloc(std::size_t count, std::size_t size) {
  if (!sd::test::fails_to_allocate()) return __real_calloc(count, size);
  errno = ENOMEM;
  return nullptr;
}

int __wrap_vasprintf(char** result, const char* format, va_list arguments) {
  return sd::test::fails_to_allocate() ? -1 : __real_vasprintf(result, format, arguments);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  if (sd::test::before_allocation != nullptr) sd::test::before_allocation();
  return __real_pthread_mutex_lock(mutex);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
