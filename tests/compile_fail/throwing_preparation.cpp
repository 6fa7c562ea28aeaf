#include <sd/activation.hpp>

// An exception cannot leave the child in which the preparation runs.
int start(sd::activation& program) {
#ifdef MISUSE
  return program.spawn([] { return 0; });
#else
  return program.spawn([]() noexcept { return 0; });
#endif
}
