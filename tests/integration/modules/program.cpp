// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that contains three copies of the library: its own and those of two plug-ins. It calls them in the order of
// its argument, p for itself, a and b for the plug-ins, and prints the result of each.

#include "plugin.hpp"

#include <dlfcn.h>

#include <iostream>
#include <map>

namespace {

using take_function = int (*)();

take_function load(const char* path) {
  void* const plugin = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void* const symbol = plugin != nullptr ? ::dlsym(plugin, "take") : nullptr;
  if (symbol == nullptr) std::cerr << ::dlerror() << '\n';
  return reinterpret_cast<take_function>(symbol);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::map<char, take_function> modules = {{'p', &take}, {'a', load(argv[2])}, {'b', load(argv[3])}};
  for (const char* module = argv[1]; *module != '\0'; ++module) {
    std::cout << *module << ' ' << modules.at(*module)() << '\n';
  }
}
