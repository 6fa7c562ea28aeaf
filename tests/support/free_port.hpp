// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/testing.hpp>

#include <random>
#include <string>
#include <system_error>

namespace sd::test {

/// Returns a port of the host to which nothing is bound, for a test that must know it beforehand. Linux does not choose
/// it for a socket that is bound to port 0, so other tests do not get it in the meantime.
inline std::string free_port(kind type, const std::string& host) {
  std::random_device random;
  std::uniform_int_distribution<int> ports(10000, 32767);
  while (true) {
    auto port = std::to_string(ports(random));
    try {
      static_cast<void>(sd::testing::open(type, host + ':' + port));
      return port;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::address_in_use) throw;
    }
  }
}

}  // namespace sd::test
