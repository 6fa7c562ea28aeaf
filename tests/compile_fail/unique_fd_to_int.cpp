#include <sd/unique_fd.hpp>

int number(const sd::unique_fd& fd) {
#ifdef MISUSE
  return fd;
#else
  return fd.get();
#endif
}
