// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include "descriptor_store.hpp"
#include "events.hpp"
#include "idle_watch.hpp"
#include "plan.hpp"
#include "process.hpp"
#include "service.hpp"
#include "service_unit.hpp"
#include "supervision.hpp"
#include "watcher.hpp"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sd::activate {

/// The sockets of a unit with Accept=no, or descriptors that were passed to sd-activate.
struct socket_group {
  std::string name;
  rate_limit triggers;
  bool is_flushed = false;  ///< FlushPending=yes
  std::size_t count = 0;    ///< of its descriptors
};

/// One service for all sockets with Accept=no, and its next instance during a restart.
class single_service {
 public:
  /// @param fds    The descriptors of all groups, in order. Those that the service stores are appended.
  /// @param on_end Called to end sd-activate with an exit status.
  single_service(asio::io_context& io, const plan& what, std::vector<listen_fd>& fds, std::vector<socket_group> groups,
                 const event_log& log, std::function<void(int exit_status)> on_end);
  ~single_service();
  single_service(const single_service&) = delete;
  single_service& operator=(const single_service&) = delete;

  /// Starts the service at once.
  void start();
  /// Starts the service when there is traffic.
  void wait_for_traffic();
  /// Starts the next instance on the same sockets, and stops the current one when the next one is ready. A service that
  /// stores descriptors is stopped first.
  void restart();
  /// Stops the service for good, and calls the function once when no process is left.
  void stop(std::function<void()> on_stopped);
  /// Takes note of the end of a child of this process. Returns whether the child belonged to the service.
  bool handle_exit(int pid, int status);
  /// See `service::forward()`.
  void forward(int signal) const;
  /// Kills all processes. Their ends follow.
  void kill() const;

 private:
  /// @throws std::system_error if there are too few resources.
  std::shared_ptr<service> make();
  [[nodiscard]] std::array<std::shared_ptr<service>, 3> all() const;  ///< null where there is none
  void disarm();
  void start_for_traffic(socket_group& group);
  void handle_ready(service& ready);
  void take_over();
  void report_restart() const;
  void handle_end(service& ended, const service_result& result);
  void start_again(const service_result& result);
  void clear_store();
  void handle_failure(const service_result& result);
  void stop_idle();
  void report_failed_restart(const std::string& reason) const;
  void flush_pending() const;
  period pause_after(const service_result& result);
  void continue_after(period pause, void (single_service::*next)());
  void end_pause();
  void give_up();
  void report_end(const service_result& result);
  void report_if_stopped();

  asio::io_context& io_;
  const plan& plan_;
  std::vector<listen_fd>& fds_;
  std::size_t sockets_;  ///< the number of those that are not stored by the service
  std::vector<socket_group> groups_;
  const event_log& log_;
  std::function<void(int)> on_end_;
  service_unit unit_;
  rate_limit start_limit_;
  std::shared_ptr<const process_starter> starter_;
  std::optional<descriptor_store> store_;
  std::vector<std::unique_ptr<watcher>> watchers_;
  std::shared_ptr<service> current_;
  std::shared_ptr<service> next_;      ///< started to replace the current one, but not ready yet
  std::shared_ptr<service> previous_;  ///< replaced, but not ended yet
  bool is_restart_wanted_ = false;
  bool starts_again_ = false;  ///< once it has stopped
  bool is_replaced_ = false;   ///< started again, but not ready yet
  std::optional<idle_watch> idle_;
  bool was_idle_ = false;  ///< whether the service is stopped because nobody uses it
  std::function<void()> on_stopped_;
  std::chrono::steady_clock::time_point started_;
  start_pauses pauses_;
  void (single_service::*after_pause_)() = nullptr;
  std::string last_failure_;
  asio::steady_timer pause_timer_;
  asio::steady_timer settling_;
};

}  // namespace sd::activate
