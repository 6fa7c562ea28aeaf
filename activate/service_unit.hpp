// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "commands.hpp"
#include "settings.hpp"
#include "supervision.hpp"

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// The settings of service units: systemd.service(5), systemd.exec(5), systemd.kill(5).
namespace sd::activate {

enum class service_type { simple, exec, notify, notify_reload, oneshot };

/// Who may send messages to NOTIFY_SOCKET.
enum class notify_access { none, main_process, exec_processes, all };

/// How long the descriptors stay that the service stores: until it stops, until it stops without being started again,
/// or as long as sd-activate runs.
enum class store_lifetime { run, restarts, activator };

/// How a service is ended that does not start or stop in time.
enum class timeout_mode { terminate, abort, kill };

enum class kill_mode { control_group, mixed, process, none };

/// Where a standard stream of the service leads.
enum class stream_kind {
  unset,      ///< what systemd.exec(5) defines as the default
  activator,  ///< that of sd-activate
  inherit,    ///< for the output that of the input, for the errors that of the output
  null,
  file,
  append,
  truncate,
  socket,
  named_fd,
};
struct stream {
  stream_kind where = stream_kind::unset;
  std::string name;  ///< the path, or the name of the descriptor
};

struct resource_limit {
  int resource;
  rlim_t soft;
  rlim_t hard;
};

/// A directory that is made for the service, below the manager's directory of this kind.
struct service_directory {
  enum { runtime, state, cache, logs, configuration } kind;
  std::string name;
};
inline constexpr std::size_t directory_kinds = 5;

struct environment_file {
  std::string path;
  bool may_be_missing = false;
};

inline constexpr period default_timeout = std::chrono::seconds(90);
inline constexpr unsigned default_directory_mode = 0755;

/// A service unit.
struct service_unit {
  unit_name name;
  std::string path;
  service_type type = service_type::simple;
  std::vector<command> start, start_pre, start_post, reload, stop, stop_post;
  int reload_signal = SIGHUP;
  period start_timeout = default_timeout;
  period stop_timeout = default_timeout;
  std::optional<period> abort_timeout;  ///< unset: that for stopping
  timeout_mode start_timeout_mode = timeout_mode::terminate;
  timeout_mode stop_timeout_mode = timeout_mode::terminate;
  period watchdog = period::zero();  ///< zero or infinity: none

  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<environment_file> environment_files;
  std::vector<std::string> pass_environment;
  std::vector<word> unset_environment;

  std::string working_directory;
  bool may_lack_working_directory = false;
  bool working_directory_is_home = false;
  std::vector<service_directory> directories;
  unsigned directory_modes[directory_kinds] = {default_directory_mode, default_directory_mode, default_directory_mode,
                                               default_directory_mode, default_directory_mode};
  bool keeps_runtime_directory = false;

  std::string user;
  std::string group;
  std::vector<std::string> supplementary_groups;
  std::optional<unsigned> umask;
  std::vector<resource_limit> limits;
  std::optional<int> nice;
  std::optional<int> oom_score_adjust;
  bool ignores_sigpipe = true;
  std::string adopt_library;  ///< that is preloaded so that the program adopts the sockets; empty for none
  bool no_new_privileges = false;

  stream input{stream_kind::null, ""};
  stream output;
  stream error;
  bool nonblocking = false;

  std::optional<notify_access> access;  ///< unset: as the type requires
  std::vector<std::string> sockets;     ///< the units of Sockets=
  kill_mode kill = kill_mode::control_group;
  int kill_signal = SIGTERM;
  std::optional<int> restart_kill_signal;  ///< unset: as for other stops
  int final_kill_signal = SIGKILL;
  int watchdog_signal = SIGABRT;
  bool send_sighup = false;
  bool send_sigkill = true;
  exit_statuses success_statuses;

  restart_policy restart = restart_policy::no;
  period restart_delay = std::chrono::milliseconds(100);
  exit_statuses restart_prevent_statuses;  ///< that have precedence over the others
  exit_statuses restart_force_statuses;
  std::optional<period> start_limit_interval;
  std::optional<unsigned> start_limit_burst;

  unsigned most_stored_descriptors = 0;
  store_lifetime stored_descriptors_stay = store_lifetime::restarts;

  /// Returns how often the service may be started. Without a limit unless the unit sets one.
  [[nodiscard]] rate_limit start_limit() const noexcept {
    return {start_limit_interval, start_limit_burst, std::chrono::seconds(10), 5};
  }
  /// Returns whether the program binds its sockets itself, and libsd-adopt gives it the passed ones.
  [[nodiscard]] bool adopts() const noexcept { return !adopt_library.empty(); }
  /// Returns whether the service is ready when it sends READY=1.
  [[nodiscard]] bool notifies() const noexcept {
    return type == service_type::notify || type == service_type::notify_reload;
  }
  /// Returns whether SIGUSR1 reloads the service.
  [[nodiscard]] bool can_reload() const noexcept { return type == service_type::notify_reload || !reload.empty(); }
  [[nodiscard]] bool has_store() const noexcept { return most_stored_descriptors != 0; }
  [[nodiscard]] bool has_watchdog() const noexcept { return watchdog != period::zero() && watchdog != infinity; }
  /// Returns whether processes that do not stop in time are killed.
  [[nodiscard]] bool may_be_killed() const noexcept { return kill != kill_mode::none && send_sigkill; }
  /// Returns whose messages count: at least those of the main process if they are needed.
  [[nodiscard]] notify_access effective_access() const noexcept {
    const auto chosen = access.value_or(notify_access::none);
    const bool is_needed = notifies() || has_watchdog() || has_store();
    return is_needed && chosen == notify_access::none ? notify_access::main_process : chosen;
  }
};

/// Reads the settings of a service unit. Problems are reported.
service_unit read_service_unit(const unit& whole, diagnostics& problems);

const directive_table<service_unit>& service_directives();

}  // namespace sd::activate
