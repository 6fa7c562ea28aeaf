// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include "events.hpp"
#include "plain_services.hpp"
#include "plan.hpp"
#include "process.hpp"
#include "service.hpp"
#include "socket_unit.hpp"
#include "sockets.hpp"
#include "supervision.hpp"
#include "watcher.hpp"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sd::activate {

/// A service for each connection to the sockets of a unit with Accept=yes.
class connection_services {
 public:
  connection_services(asio::io_context& io, const plan& what, const open_sockets& sockets, const event_log& log,
                      std::function<void(int exit_status)> on_end);

  void wait_for_traffic();
  /// Stops all services for good, and calls the function once when no process is left.
  void stop(std::function<void()> on_stopped);
  /// Takes note of the end of a child of this process. Returns whether the child belonged to one of the services.
  bool handle_exit(int pid, int status);
  /// See `service::forward()`.
  void forward(int signal) const;
  /// Kills all processes. Their ends follow.
  void kill() const;

 private:
  /// A client whose service may not have been started yet.
  struct client {
    unique_fd fd;
    address peer;
    std::string source;  ///< which MaxConnectionsPerSource= counts; empty without it
  };
  /// A service that is not a plain one.
  struct instance {
    std::string source;
    address peer;
    std::vector<listen_fd> fds;
    std::shared_ptr<service> run;
  };

  void accept(int listener);
  void pause_accepting(const std::string& reason);
  void serve(client accepted);
  void wait_with(client accepted, const std::string& reason);
  [[nodiscard]] std::size_t count(const std::string& source) const;
  void start(client& accepted);
  void start_plain(const std::string& name, const std::string& source, process_details& details);
  void start_instance(std::uint64_t number, const std::string& name, const client& accepted, process_details& details,
                      std::vector<listen_fd>& fds);
  void handle_end(std::uint64_t number, const service& ended, const service_result& result);
  void report_if_stopped();

  asio::io_context& io_;
  const plan& plan_;
  const socket_unit& unit_;
  rate_limit triggers_ = unit_.trigger_limit();
  const event_log& log_;
  std::function<void(int)> on_end_;
  std::vector<std::unique_ptr<watcher>> watchers_;
  std::map<std::uint64_t, instance> instances_;
  std::uint64_t accepted_ = 0;
  bool has_instances_ = false;           ///< whether the services are instances of a template
  std::optional<plain_services> plain_;  ///< instead of the instances, if the unit allows it
  /// Connections whose service could not be started so far, because there were too few resources: `serve()` could not
  /// start it, or it has ended at once for that reason.
  std::vector<client> waiting_;
  bool has_warned_ = false;  ///< that clients wait, since the last service that succeeded
  std::function<void()> on_stopped_;
  asio::steady_timer pause_;
};

}  // namespace sd::activate
