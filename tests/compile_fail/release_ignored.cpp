#include <sd/unique_fd.hpp>

// Whoever ignores what is released leaks it.
int give(sd::unique_fd& fd) {
#ifdef MISUSE
  fd.release();
  return 0;
#else
  return fd.release();
#endif
}
