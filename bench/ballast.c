/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A library for LD_PRELOAD that gives a program 200 MB of resident memory. */
#include <string.h>
#include <sys/mman.h>

__attribute__((constructor)) static void take_memory(void) {
  const size_t size = 200 * 1000 * 1000;
  void* const memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  madvise(memory, size, MADV_NOHUGEPAGE); /* fork(2) copies an entry for each page */
  memset(memory, 1, size);
}
