#include <sd/listen_fds.hpp>

// An ignored answer would close every descriptor at once.
void start() {
#ifdef MISUSE
  sd::listen_fds();
#else
  const auto fds = sd::listen_fds();
#endif
}
