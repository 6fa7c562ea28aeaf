// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/listen_fds.hpp>

#include "receive.hpp"

int main(int argc, char** argv) {
  return bench::receive(
      argc, argv, [] { return sd::listen_fds(); },
      [](const std::vector<sd::listen_fd>& fds) {
        std::vector<std::string_view> names;
        for (const auto& entry : fds) names.push_back(entry.name.value());
        return names;
      });
}
