// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include "service_unit.hpp"

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

// Starts the processes of a service.
namespace sd::activate {

using environment_map = std::map<std::string, std::string>;

/// PATH of a service that inherits none.
inline constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The user and the group as which a process runs.
struct identity {
  uid_t user;
  gid_t group;
};
identity own_identity() noexcept;
/// Returns those of the service. Throws `std::runtime_error` if it names a user or a group that does not exist.
identity identity_of(const service_unit& service);

/// Whether a service is told the pid that its descriptors are meant for, which wrappers change.
enum class listen_pid { set, omit };

/// What distinguishes one process of a service from the others.
struct process_details {
  const std::vector<listen_fd>* fds = nullptr;  ///< the descriptors to pass, which are not copied; null for none
  int socket = -1;                              ///< the descriptor for StandardInput=socket
  environment_map variables;                    ///< besides those of the service
  std::string pid_variable;                     ///< the name of a variable with the pid; empty for none
};

/// Returns 32 hexadecimal digits, such as those of INVOCATION_ID.
std::string random_id();

/// Raises the number of descriptors that this process may have as far as possible. Services keep the limit of before.
void raise_descriptor_limit() noexcept;

/// Makes all descriptors of this process close-on-exec but for the standard streams, so that services, which may run as
/// other users, do not inherit what this process has inherited.
void keep_descriptors_from_services() noexcept;

/// Starts processes as a service unit describes them.
///
/// Each process is the leader of a session of its own, and is killed if sd-activate is.
class process_starter {
 public:
  /// Resolves users, groups and variables, and makes the directories of the service.
  ///
  /// @param inherited The variables that are passed on.
  /// @throws std::exception if a user, group or file does not exist, or a directory cannot be made.
  process_starter(service_unit unit, environment_map inherited, listen_pid pid);

  /// Starts a command.
  ///
  /// @returns The pid.
  /// @throws std::system_error if the command cannot be started. The message names the step that failed.
  [[nodiscard]] int start(const command& line, const process_details& details) const;

  [[nodiscard]] const service_unit& unit() const noexcept { return unit_; }

  /// Removes the runtime directories that it has made, unless they must stay.
  void remove_runtime_directories() const noexcept;

 private:
  void resolve_user();
  void make_directories();
  [[nodiscard]] environment_map variables_for(const process_details& details) const;

  service_unit unit_;
  environment_map variables_;
  bool sets_listen_pid_;
  bool has_user_ = false;
  unsigned user_ = 0;
  unsigned group_ = 0;
  std::vector<unsigned> groups_;
  std::string home_;
  std::vector<std::string> runtime_directories_;
};

/// Runs the commands of a socket unit one after the other, each to its end.
///
/// @throws std::system_error if one cannot be started, fails, or takes longer than `timeout`.
void run_to_end(const std::vector<command>& commands, const process_details& details,
                const environment_map& environment, period timeout);

}  // namespace sd::activate
