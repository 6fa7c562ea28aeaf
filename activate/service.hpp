// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include "events.hpp"
#include "notify_socket.hpp"
#include "process.hpp"
#include "service_unit.hpp"
#include "supervision.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace sd::activate {

/// The time after which a service that does not notify counts as ready.
inline constexpr auto settling_time = std::chrono::milliseconds(300);

/// One run of a service, from its first process to the end of its last one.
///
/// @threadsafety Everything happens in the thread that runs the io_context.
class service : public std::enable_shared_from_this<service> {
 public:
  enum class state { starting, running, stopping, ended };

  struct events {
    std::function<void(service&)> on_ready;       ///< may be empty
    std::function<void(notification&)> on_store;  ///< a message with FDSTORE=1 or FDSTOREREMOVE=1; may be empty
    std::function<void(service&, const service_result&)> on_end;  ///< the last call
  };

  service(asio::io_context& io, std::shared_ptr<const process_starter> starter, process_details details,
          const event_log& log, events handlers);

  void start();
  enum class purpose { stop, restart };
  /// Stops the service in the ways that its unit describes. `on_end` follows.
  ///
  /// @param why Whether another process takes its place.
  void stop(purpose why = purpose::stop);
  /// Takes note of the end of a child of this process. Returns whether the child belonged to this service.
  bool handle_exit(int pid, int status);
  /// Passes a signal on to the main process, if there is one. SIGUSR1 reloads the service instead if its unit says how.
  void forward(int signal);
  /// Kills all processes. Their ends follow.
  void kill() const noexcept;

  [[nodiscard]] state now() const noexcept { return state_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] int main_pid() const noexcept { return main_pid_; }
  /// The process group of the main process, or 0 before there is one.
  [[nodiscard]] int process_group() const noexcept { return session_; }

 private:
  using step = void (service::*)();

  [[nodiscard]] const service_unit& unit() const noexcept { return starter_->unit(); }
  void run_commands(const std::vector<command>& commands, step next);
  void run_next_command();
  void give_up_commands(const std::string& failure);
  void start_main_process();
  void change_main_process(int pid);
  [[nodiscard]] int pidfd_of(int target) const noexcept;
  bool send(int target, int signal) const noexcept;
  void become_ready();
  void give_up_starting();
  void give_up_stop_commands();
  void give_up_stopping();
  void after_start();
  void handle_main_exit(int status);
  void handle_control_exit(int status);
  void end_control_process();
  void end_processes(int signal, period timeout, step expired);
  void end_processes(timeout_mode mode);
  void signal_processes();
  void abort_processes();
  void kill_processes();
  void reload();
  void finish_reload();
  void end_reload();
  void fail_reload(const std::string& reason);
  void give_up_reloading();
  void feed_watchdog();
  void expire_watchdog(std::string description);
  void run_stop_post();
  void wait_for_group();
  void finish();
  void end_waits();
  void set_result(outcome how, int exit_status, std::string description);
  void fail(outcome how, int exit_status, std::string description);
  void fail(const std::system_error& error);
  void cancel_timeout();
  void set_timeout(period time, step expired);
  void wait_for_notifications();
  void receive_notifications();
  void handle(notification& message);
  void handle_adoption(std::string_view socket);
  void report_missing_adoptions() const;
  void handle_readiness(const notification& message);
  [[nodiscard]] bool is_of_session(int pid) const noexcept;
  [[nodiscard]] bool is_accepted(int pid) const noexcept;
  /// Returns whether a command that fails makes the start fail.
  [[nodiscard]] bool is_starting() const noexcept;
  [[nodiscard]] bool is_success(int status) const;
  int start_process(const command& line, bool is_main);

  std::shared_ptr<const process_starter> starter_;
  process_details details_;
  const event_log& log_;
  events handlers_;
  std::string name_;

  state state_ = state::starting;
  service_result result_;
  int main_pid_ = 0;
  int session_ = 0;       ///< of the main process
  unique_fd leader_;      ///< the pidfd of its first process, if there are pidfds
  unique_fd main_pidfd_;  ///< that of a main process that MAINPID= names
  /// With Type=notify-reload, what the service has still to send.
  enum class reload_step { none, until_reloading, until_ready, until_commands } reload_ = reload_step::none;
  std::chrono::microseconds reload_begin_{};  ///< of CLOCK_MONOTONIC
  int stop_signal_;
  period watchdog_;
  std::size_t next_start_ = 0;

  const std::vector<command>* commands_ = nullptr;  ///< that are run one after the other
  std::size_t next_command_ = 0;
  step after_commands_ = nullptr;
  int control_pid_ = 0;

  asio::steady_timer timer_;
  asio::steady_timer group_timer_;
  asio::steady_timer watchdog_timer_;
  step expired_ = nullptr;
  std::vector<bool> adopted_;  ///< of the passed sockets, in their order; empty unless the program adopts them
  asio::steady_timer adoption_timer_;
  std::optional<notify_socket> notify_;
  asio::posix::stream_descriptor notify_watch_;
};

}  // namespace sd::activate
