// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/listen_fds.hpp>

#include "diagnostics.hpp"
#include "events.hpp"
#include "plan.hpp"

#include <string>
#include <vector>

// The command line of sd-activate.
namespace sd::activate {

inline constexpr int exit_success = 0;       ///< stopped by a signal, or nothing to do
inline constexpr int exit_failure = 1;       ///< a socket could not be opened, or the service could not be prepared
inline constexpr int exit_usage = 2;         ///< the command line is wrong
inline constexpr int exit_invalid_unit = 3;  ///< a unit is wrong

/// A value of -l or -s.
struct socket_argument {
  enum { address, settings } kind;
  std::string text;
};

struct options {
  bool exits = false;  ///< after --help, --version or an error, with this status
  int exit_status = exit_success;

  std::vector<std::string> units;        ///< paths of socket units
  std::vector<socket_argument> sockets;  ///< in the order of the command line
  std::vector<std::string> command;
  bool has_misplaced_option = false;  ///< after a unit
  bool is_datagram = false;
  bool is_seqpacket = false;
  bool accepts = false;
  bool is_inetd = false;
  bool adopts = false;
  std::vector<std::string> variables;  ///< NAME or NAME=VALUE
  std::vector<std::string> fd_names;
  bool starts_at_once = false;
  bool runs_once = false;
  period stop_idle = infinity;
  listen_pid pid = listen_pid::set;
  bool keeps_environment = false;
  bool is_strict = false;
  bool checks = false;
  bool shows = false;
  verbosity level = verbosity::normal;
  int json_fd = -1;
  std::vector<listen_fd> passed;  ///< descriptors that were passed to sd-activate
};

/// Parses the command line, and takes the descriptors that were passed to this process. Reports errors and prints the
/// help.
options parse_options(int argc, char** argv);

/// What --help says about an option.
struct option_help {
  std::string letter;       ///< of the short option, empty if there is none
  std::string name;         ///< without the hyphens
  std::string value;        ///< a word for the value, empty if the option takes none
  std::string description;  ///< the first letter is a capital
  bool is_list;             ///< may be given several times
};
std::vector<option_help> list_options();

/// Reads the units that the options name, makes units of the other options, and takes the descriptors from the options.
/// Problems are reported.
plan make_plan(options& chosen, diagnostics& problems);

}  // namespace sd::activate
