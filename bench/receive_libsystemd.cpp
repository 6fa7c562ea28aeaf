// SPDX-License-Identifier: MIT OR Apache-2.0
#include "receive.hpp"

#include <systemd/sd-daemon.h>

namespace {

struct received {
  int count = 0;
  char** names = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::receive(
      argc, argv,
      [] {
        received result;
        result.count = sd_listen_fds_with_names(0, &result.names);
        return result;
      },
      [](const received& result) {
        std::vector<std::string_view> names;
        for (int i = 0; i < result.count; ++i) names.emplace_back(result.names[i]);
        return names;
      });
}
