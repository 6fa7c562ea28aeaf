// The core of the library, linked as a C program is: without the C++ runtime. Prints how many descriptors it was
// passed.

#include "detail/receive.hpp"

#include <cstdio>

int main() {
  sd::detail::fault why;
  const auto offered = sd::detail::inspect(sd::listen_options::none, why);
  const bool received = offered.count > 0 && sd::detail::claim(offered, why);
  std::printf("%d\n", received ? offered.count : 0);
  return why ? 1 : 0;
}
