#include <sd/activation.hpp>

// exec() returns only if it fails. Without a look at the error the caller would go on with its descriptors overwritten.
void become(sd::activation& program) {
#ifdef MISUSE
  program.exec();
#else
  const auto error = program.exec();
#endif
}
