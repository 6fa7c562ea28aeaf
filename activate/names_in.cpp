// SPDX-License-Identifier: MIT OR Apache-2.0
#include "names_in.hpp"

#include <dirent.h>

#include <cerrno>
#include <memory>

namespace sd::activate {

std::vector<std::string> names_in(const std::string& directory, std::error_code& ec) {
  struct closer {
    void operator()(DIR* open) const noexcept { ::closedir(open); }
  };
  std::unique_ptr<DIR, closer> entries;
  do {
    entries.reset(::opendir(directory.c_str()));
  } while (!entries && errno == EINTR);
  std::vector<std::string> names;
  while (entries) {
    errno = 0;
    const auto* const entry = ::readdir(entries.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ec.assign(errno, std::generic_category());
  return names;
}

}  // namespace sd::activate
