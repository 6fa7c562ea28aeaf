// SPDX-License-Identifier: MIT OR Apache-2.0
// For consumer.size: a program that uses the same parts of the standard library with TAKE and without.

#include <sd/listen_fds.hpp>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <vector>

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv, argv + argc);
    if (argc > 1) throw std::system_error(EINVAL, std::generic_category(), words[1]);
#if defined(TAKE)
    return static_cast<int>(sd::listen_fds().size());
#else
    return static_cast<int>(words.size());
#endif
  } catch (const std::system_error& error) {
    std::puts(error.what());
    return 1;
  }
}
