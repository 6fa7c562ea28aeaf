// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "events.hpp"
#include "process.hpp"
#include "service_unit.hpp"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

namespace sd::activate {

/// Runs the services of connections whose unit asks for one process and nothing else: no other commands, no
/// notifications, no directories. Such a service costs few system calls.
///
/// @threadsafety Everything happens in the thread that runs the io_context.
class plain_services {
 public:
  /// Returns whether the services of a unit can be run so.
  static bool can_run(const service_unit& unit) noexcept;

  /// @param on_end Called for each service that has ended, with whether it succeeded.
  plain_services(asio::io_context& io, service_unit unit, const environment_map& environment, listen_pid pid,
                 const event_log& log, std::function<void(bool is_success)> on_end);

  /// Starts a service. Reports a failure, unless it throws because there are too few resources.
  ///
  /// @param name   Of the service, as it is reported.
  /// @param source Of the connection, for `count()`.
  /// @throws std::exception if the service cannot be prepared or there are too few resources.
  void start(std::string name, const std::string& source, process_details details);
  /// Takes note of the end of a child of this process. Returns whether the child belonged to one of the services.
  bool handle_exit(int pid, int status);
  /// Stops all of them.
  void stop();
  /// Kills all of them. Their ends follow.
  void kill() const noexcept;
  void forward(int signal) const noexcept;

  [[nodiscard]] const service_unit& unit() const noexcept { return unit_; }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  /// Returns the number of services whose connections are of this source.
  [[nodiscard]] std::size_t count(const std::string& source) const;

 private:
  using clock = std::chrono::steady_clock;

  struct instance {
    std::string name;
    std::string source;
    bool has_ended = false;  ///< but processes that it has started have not
    bool is_success = true;
    clock::time_point killed_at = clock::time_point::max();
  };

  void end_rest(int pid, instance& ended);
  void check_later();
  void check();

  service_unit unit_;
  const environment_map& environment_;
  listen_pid pid_;
  const event_log& log_;
  std::function<void(bool)> on_end_;
  std::optional<process_starter> starter_;  ///< made for the first connection, whose service may fail
  std::unordered_map<int, instance> all_;   ///< by the pid, which is also that of the session
  bool is_stopping_ = false;
  bool is_checking_ = false;
  asio::steady_timer timer_;
};

}  // namespace sd::activate
