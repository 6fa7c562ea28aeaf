// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include "process.hpp"
#include "service_unit.hpp"
#include "socket_unit.hpp"
#include "values.hpp"

#include <functional>
#include <string>
#include <vector>

namespace sd::activate {

/// What to run.
struct plan {
  std::vector<socket_unit> sockets;
  /// Returns the service. With Accept=yes, it is called for each connection, with the name of the instance.
  std::function<service_unit(const std::string& instance)> service;
  /// Whether the settings of the service depend on the name of the instance.
  bool names_instance = false;
  environment_map environment;    ///< that the service inherits
  std::vector<listen_fd> passed;  ///< descriptors that were passed to sd-activate, which passes them on
  listen_pid pid = listen_pid::set;
  bool starts_at_once = false;
  bool runs_once = false;       ///< ends with the first run of the service
  period stop_idle = infinity;  ///< after which a service that nobody uses is stopped
};

}  // namespace sd::activate
