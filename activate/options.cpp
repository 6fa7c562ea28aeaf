// SPDX-License-Identifier: MIT OR Apache-2.0
#include "options.hpp"

#include <sd/listen_fds.hpp>
#include <sd/version.hpp>

#include "adoption.hpp"
#include "service_unit.hpp"
#include "socket_unit.hpp"
#include "trusted_file.hpp"
#include "unit.hpp"
#include "values.hpp"

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;

// --- parsing ---------------------------------------------------------------------------------------------------------

constexpr const char* description =
    "Opens sockets, starts a service when the first client connects, and keeps the sockets open while the service is\n"
    "restarted. The service receives the sockets as systemd would pass them: see sd_listen_fds(3).";

constexpr const char* footer = R"(
Examples:
  sd-activate my-service.socket                 the unit file, and my-service.service beside it
  sd-activate -l 8080 -- ./server --verbose     a program, with a socket on port 8080
  sd-activate -s 'ListenStream=/run/x SocketMode=0600' -- ./server
  sd-activate -a --inetd -l 7 -- cat            a process for each connection

Signals:
  SIGHUP           restarts the service, without an interruption if it stores no descriptors
  SIGTERM, SIGINT  stop the service and end sd-activate; a second one kills the service
  SIGUSR1          reloads the service if its unit says how, and is forwarded otherwise
  SIGUSR2, SIGQUIT, SIGWINCH  are forwarded to the service

Exit status:
  0  stopped by a signal        2  the command line is wrong
  1  a socket could not be      3  a unit is wrong
     opened, or the service     With --once, that of the service.
     could not be prepared)";

class help_formatter : public CLI::Formatter {
 public:
  help_formatter() { column_width(28); }
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: sd-activate [OPTION...] [UNIT.socket...] [--] [COMMAND...]\n       sd-activate show\n\n";
  }
};

bool is_unit_path(const std::string& word) { return word.ends_with(".socket"); }

/// Returns whether a text is NAME or NAME=VALUE.
bool is_variable(const std::string& text) { return is_variable_name(text.substr(0, text.find('='))); }

/// Moves the paths of units from the front of the command, as both are words without an option.
void take_units(options& result, std::vector<std::string> words) {
  const auto command = std::find_if_not(words.begin(), words.end(), is_unit_path);
  result.units.assign(words.begin(), command);
  if (command != words.end() && *command == "--") {
    result.command.assign(command + 1, words.end());
  } else {
    result.command.assign(command, words.end());
    result.has_misplaced_option = !result.command.empty() && result.command.front().starts_with('-');
  }
}

// --- units of the command line ---------------------------------------------------------------------------------------

/// Returns a socket unit without a file. Its paths are removed on exit.
unit unit_of_option(const char* option, const std::string& text) {
  unit result;
  result.name = {"sd-activate", std::nullopt, "socket"};
  result.text = make_source(option, text);
  result.assignments.push_back({"Socket", "RemoveOnStop", "yes", {result.text, 1, 1}, {{0, 1, 1}}});
  return result;
}

/// Makes a socket unit of the value of -s: settings that are separated by spaces.
unit unit_of_settings(const std::string& text, diagnostics& problems) {
  auto result = unit_of_option("-s", text);
  const auto parts = split(text, escapes::keep);
  const auto at = [&](std::size_t offset) { return location{result.text, 1, offset + 1}; };
  if (!parts.problem.empty()) problems.error(at(parts.problem_offset), parts.problem);
  for (const auto& each : parts.words) {
    const auto equals = each.text.find('=');
    if (equals == std::string::npos || equals == 0) {
      problems.error(at(each.offset), "not NAME=VALUE");
      continue;
    }
    result.assignments.push_back({"Socket",
                                  each.text.substr(0, equals),
                                  each.text.substr(equals + 1),
                                  at(each.offset),
                                  {{0, 1, each.offset_of(equals + 1) + 1}}});
  }
  return result;
}

/// Makes a socket unit of the value of -l.
unit unit_of_address(const std::string& text, const options& chosen, const std::string& fd_name) {
  auto result = unit_of_option("-l", text);
  const auto add = [&](const std::string& name, const std::string& value) {
    result.assignments.push_back({"Socket", name, value, {result.text, 1, 1}, {{0, 1, 1}}});
  };
  std::string escaped;
  for (const char c : text) escaped += c == '%' ? "%%" : std::string(1, c);
  add(chosen.is_datagram ? "ListenDatagram" : chosen.is_seqpacket ? "ListenSequentialPacket" : "ListenStream", escaped);
  add("Accept", chosen.accepts ? "yes" : "no");
  add("MaxConnections", std::to_string(UINT32_MAX));
  add("FileDescriptorName", fd_name);  // an empty one is the default
  return result;
}

// --- services --------------------------------------------------------------------------------------------------------

/// Returns the service that the command of the command line is.
service_unit service_of_command(const options& chosen) {
  service_unit result;
  result.name = {fs::path(chosen.command.front()).filename().string(), std::nullopt, "service"};
  command line;
  line.program = chosen.command.front();
  line.words = chosen.command;
  line.expands_variables = false;
  line.at = {std::make_shared<const source>(source{"sd-activate", {}}), 0, 0};
  result.start.push_back(std::move(line));
  result.input = {chosen.is_inetd ? stream_kind::socket : stream_kind::activator, ""};
  result.error = {stream_kind::activator, ""};
  result.ignores_sigpipe = false;
  return result;
}

/// Returns the path of the service unit of a socket unit.
std::string service_path_of(const socket_unit& socket) {
  auto name = socket.name;
  name.type = "service";
  auto file = name.full();
  if (socket.accept) file = name.template_name();
  if (!socket.service.empty()) file = socket.service;
  return fs::path(socket.path).replace_filename(file).string();
}

/// Reports settings that have no effect on a service that serves one connection.
void report_settings_without_effect(const unit& written, const service_unit& read, diagnostics& problems) {
  const auto report = [&](std::string_view name) {
    const auto last = std::find_if(written.assignments.rbegin(), written.assignments.rend(),
                                   [&](const assignment& each) { return each.name == name; });
    problems.warning(last->at, fmt::format("{}={} has no effect with Accept=yes", name, last->value));
  };
  if (read.restart != restart_policy::no) report("Restart");
  if (read.has_store()) report("FileDescriptorStoreMax");
}

/// Reads the service of the units. All of them must have the same one.
void add_service(plan& result, bool chosen_checks, diagnostics& problems) {
  const auto& first_socket = result.sockets.front();
  const auto path = service_path_of(first_socket);
  for (const auto& each : result.sockets) {
    if (service_path_of(each) == path && each.accept == first_socket.accept) continue;
    // An error in a unit may be the cause.
    if (problems.has_errors()) return;
    const auto text = std::make_shared<const source>(source{each.path, {}});
    return problems.error({text}, fmt::format("starts {}, but {} starts {}: set Service= in both, run each with its "
                                              "own sd-activate, or give a command",
                                              service_path_of(each), first_socket.path, path));
  }
  auto written = std::make_shared<unit>(read_unit(path, problems));
  if (!written->text) return;
  auto first = read_service_unit(*written, problems);
  if (result.sockets.front().accept) report_settings_without_effect(*written, first, problems);
  for (const auto* const list : {&first.start_pre, &first.start, &first.start_post, &first.stop, &first.stop_post}) {
    for (const auto& line : *list) {
      if (!chosen_checks) check_program(line, problems);
    }
  }
  for (const auto& file : first.environment_files) {
    const auto fd = open_trusted(file.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto others = other_writers(fd.get());
    if (others.empty()) continue;
    problems.warning({written->text}, fmt::format("EnvironmentFile={}: can be changed by {}", file.path, others));
  }
  for (const auto& name : first.sockets) {
    const auto socket_path = fs::path(path).replace_filename(name).string();
    const auto is_there = [&](const socket_unit& each) { return each.name.full() == name; };
    if (std::any_of(result.sockets.begin(), result.sockets.end(), is_there)) continue;
    const auto other = read_unit(socket_path, problems);
    if (other.text) result.sockets.push_back(read_socket_unit(other, problems));
  }
  result.names_instance = std::any_of(written->assignments.begin(), written->assignments.end(),
                                      [](const assignment& each) { return names_instance(each.value); });
  result.service = [written, first = std::move(first),
                    names_instance = result.names_instance](const std::string& name) {
    if (name.empty() || !names_instance) {
      auto unit = first;
      if (!name.empty()) unit.name.instance = name;
      return unit;
    }
    auto whole = *written;
    whole.name.instance = name;
    diagnostics reported_before;
    return read_service_unit(whole, reported_before);
  };
}

/// Has the program adopt the sockets.
void add_adoption(plan& result, diagnostics& problems) {
  const auto text = std::make_shared<const source>(source{"sd-activate", {}});
  if (std::any_of(result.sockets.begin(), result.sockets.end(), [](const auto& each) { return each.accept; })) {
    return problems.error({text},
                          "--adopt is for a program that binds sockets; with Accept=yes there are none to bind");
  }
  std::string library;
  try {
    library = find_adopt_library();
  } catch (const std::system_error& error) {
    return problems.error({text}, fmt::format("--adopt: {}", error.what()));
  }
  const auto service = result.service("");
  if (service.has_store()) problems.error({text}, "--adopt does not work with FileDescriptorStoreMax=");
  if (service.type == service_type::oneshot) problems.error({text}, "--adopt does not work with Type=oneshot");
  if (service.input.where == stream_kind::socket)
    problems.error({text}, "--adopt does not work with StandardInput=socket");
  auto variables = result.environment;
  for (const auto& [name, value] : service.environment) variables[name] = value;
  const auto path = variables.try_emplace("PATH", default_path).first->second;
  check_adoption(service, path, problems);
  result.service = [original = std::move(result.service), library](const std::string& instance) {
    auto unit = original(instance);
    unit.adopt_library = library;
    return unit;
  };
}

// --- the environment -------------------------------------------------------------------------------------------------

bool is_of_this_process(std::string_view name) {
  static constexpr std::array<std::string_view, 16> names = {
      "LISTEN_PID",   "LISTEN_PIDFDID", "LISTEN_FDS",    "LISTEN_FDNAMES", "LISTEN_FDS_FIRST_FD", "NOTIFY_SOCKET",
      "WATCHDOG_PID", "WATCHDOG_USEC",  "INVOCATION_ID", "FDSTORE",        "SYSTEMD_EXEC_PID",    "REMOTE_ADDR",
      "REMOTE_PORT",  "SO_COOKIE",      "SD_ADOPT_FDS",  "SD_ADOPT_NOTIFY"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

environment_map inherited_environment(const options& chosen) {
  environment_map result;
  const bool keeps_all = chosen.keeps_environment || !chosen.command.empty();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const auto name = text.substr(0, text.find('='));
    if (is_of_this_process(name) || (!keeps_all && name != "LANG" && !name.starts_with("LC_"))) continue;
    result[std::string(name)] = text.substr(std::min(name.size() + 1, text.size()));
  }
  for (const auto& text : chosen.variables) {
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    const char* const own = std::getenv(name.c_str());
    if (equals != std::string::npos) {
      result[name] = text.substr(equals + 1);
    } else if (own != nullptr) {
      result[name] = own;
    }
  }
  return result;
}

std::string usage_error(std::string_view problem) {
  return fmt::format("sd-activate: {}\nTry 'sd-activate --help'.\n", problem);
}

// --- the options -----------------------------------------------------------------------------------------------------

/// What CLI11 reads from the command line, except what it stores in `result`.
struct command_line {
  explicit command_line(options& result);

  CLI::App app{description, "sd-activate"};
  CLI::Option* listen;
  CLI::Option* socket;
  std::vector<std::string> words;
  std::vector<std::string> fd_names;
  bool omits_pid = false;
  std::optional<std::string> stop_idle;
  bool is_quiet = false;
  bool is_verbose = false;
  std::vector<std::string> addresses;
  std::vector<std::string> settings;
};

command_line::command_line(options& result) {
  app.footer(footer);
  app.formatter(std::make_shared<help_formatter>());
  listen = app.add_option("-l,--listen", addresses,
                          "Listen on an address: /path, @abstract, PORT, IPV4:PORT, [IPV6]:PORT, vsock:CID:PORT")
               ->type_name("ADDRESS")
               ->allow_extra_args(false);
  socket = app.add_option("-s,--socket", settings, "Listen as these settings of systemd.socket(5) describe")
               ->type_name("SETTINGS")
               ->allow_extra_args(false);
  app.add_flag("-d,--datagram", result.is_datagram, "Make the sockets of -l datagram sockets")->needs(listen);
  app.add_flag("--seqpacket", result.is_seqpacket, "Make the sockets of -l sequential-packet sockets")->needs(listen);
  app.add_flag("-a,--accept", result.accepts, "Start a process for each connection to the sockets of -l")
      ->needs(listen);
  app.add_flag("--inetd", result.is_inetd, "Pass the socket as standard input and output");
  app.add_flag("--adopt", result.adopts, "Give the sockets to a program that binds its own, with libsd-adopt");
  app.add_option("-E,--setenv", result.variables, "Set or pass on a variable")
      ->type_name("NAME[=VALUE]")
      ->allow_extra_args(false);
  app.add_option("--fdname", fd_names, "Names of the sockets of -l, separated by colons")
      ->type_name("NAME[:NAME...]")
      ->allow_extra_args(false)
      ->needs(listen);
  app.add_flag("--now", result.starts_at_once, "Start the service at once");
  app.add_flag("--once", result.runs_once, "Exit when the service has exited, with its status");
  app.add_option("--stop-idle", stop_idle, "Stop the service when its sockets have not been used for that time")
      ->type_name("SEC");
  app.add_flag("--no-pid", omits_pid,
               "Leave out LISTEN_PID and the like, for a wrapper that starts the service in another process");
  app.add_flag("--keep-environment", result.keeps_environment, "Pass the environment on to the service of a unit file");
  app.add_flag("--check", result.checks, "Check the units, and exit");
  app.add_flag("--strict", result.is_strict, "Treat warnings about units as errors");
  app.add_option("--json", result.json_fd, "Write events as JSON to a descriptor")
      ->type_name("FD")
      ->check(CLI::NonNegativeNumber.description(""));
  app.add_flag("-q,--quiet", is_quiet, "Report errors and warnings only");
  app.add_flag("-v,--verbose", is_verbose, "Report more");
  app.set_version_flag("--version", fmt::format("sd-activate {}.{}.{}", SD_LISTEN_FDS_VERSION_MAJOR,
                                                SD_LISTEN_FDS_VERSION_MINOR, SD_LISTEN_FDS_VERSION_PATCH));
  app.add_option("words", words)->group("");
  app.positionals_at_end();
  app.failure_message([](const CLI::App*, const CLI::Error& error) { return usage_error(error.what()); });
}

}  // namespace

options parse_options(int argc, char** argv) {
  options result;
  if (argc == 2 && std::string_view(argv[1]) == "show") {
    result.shows = true;
    return result;
  }
  command_line line(result);
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    result.exits = true;
    result.exit_status = line.app.exit(error) == 0 ? exit_success : exit_usage;
    return result;
  }
  take_units(result, std::move(line.words));
  for (auto address = line.addresses.begin(), setting = line.settings.begin();
       const auto *const option : line.app.parse_order()) {
    if (option == line.listen) result.sockets.push_back({socket_argument::address, *address++});
    if (option == line.socket) result.sockets.push_back({socket_argument::settings, *setting++});
  }
  for (const auto& names : line.fd_names) {
    for (auto& name : CLI::detail::split(names, ':')) result.fd_names.push_back(std::move(name));
  }
  if (line.omits_pid) result.pid = listen_pid::omit;
  result.level = line.is_verbose ? verbosity::verbose : line.is_quiet ? verbosity::quiet : verbosity::normal;

  const auto* problem = "";
  result.passed = listen_fds();
  const bool has_sockets = !result.sockets.empty() || !result.units.empty() || !result.passed.empty();
  if (!has_sockets) problem = "nothing to listen on: give a socket unit, -l or -s";
  if (!has_sockets && !result.command.empty() && fs::path(result.command.front()).extension() == ".service")
    problem = "nothing to listen on: give the socket unit, not the service unit";
  if (has_sockets && result.units.empty() && result.command.empty() && !result.checks) problem = "there is no command";
  if (result.has_misplaced_option) problem = "options must precede units";
  if (result.is_datagram && result.is_seqpacket) problem = "--datagram and --seqpacket exclude each other";
  if (result.is_inetd && !result.accepts && line.addresses.size() > 1)
    problem = "--inetd takes one socket, or --accept";
  if (std::any_of(result.variables.begin(), result.variables.end(),
                  [](const auto& each) { return !is_variable(each); }))
    problem = "--setenv takes NAME or NAME=VALUE";
  if (line.stop_idle) {
    const auto time = parse_period(*line.stop_idle);
    result.stop_idle = time.value_or(period::zero());
    if (result.stop_idle <= period::zero() || result.stop_idle == infinity)
      problem = "--stop-idle takes a time, such as 90 or 5min";
    if (result.accepts) problem = "--stop-idle and --accept exclude each other: each process ends with its connection";
  }
  if (result.adopts && (result.accepts || result.is_inetd))
    problem = "--adopt is for a program that binds sockets; --accept and --inetd give it none to bind";
  if (result.is_datagram && result.accepts) problem = "--datagram and --accept exclude each other";
  if (*problem != '\0') {
    fmt::print(stderr, "{}", usage_error(problem));
    result.exits = true;
    result.exit_status = exit_usage;
  }
  return result;
}

std::vector<option_help> list_options() {
  options unused;
  const command_line line(unused);
  std::vector<option_help> result;
  for (const auto* const each : line.app.get_options()) {
    if (each->nonpositional()) {
      const auto& letters = each->get_snames();
      result.push_back({letters.empty() ? "" : letters.front(), each->get_lnames().front(), each->get_type_name(),
                        each->get_description(), each->get_expected_max() > 1});
    }
  }
  return result;
}

plan make_plan(options& chosen, diagnostics& problems) {
  plan result;
  result.pid = chosen.pid;
  result.starts_at_once = chosen.starts_at_once;
  result.runs_once = chosen.runs_once;
  result.stop_idle = chosen.stop_idle;
  for (const auto& path : chosen.units) {
    const auto written = read_unit(path, problems);
    if (!written.text) continue;
    result.sockets.push_back(read_socket_unit(written, problems));
  }
  // A single name is that of all sockets.
  const bool shares_name = chosen.fd_names.size() == 1;
  auto fd_name = chosen.fd_names.begin();
  const auto next_name = [&]() -> std::string {
    if (fd_name == chosen.fd_names.end()) return "";
    return shares_name ? *fd_name : *fd_name++;
  };
  for (const auto& [kind, text] : chosen.sockets) {
    const auto written = kind == socket_argument::settings ? unit_of_settings(text, problems)
                                                           : unit_of_address(text, chosen, next_name());
    result.sockets.push_back(read_socket_unit(written, problems));
  }
  result.environment = inherited_environment(chosen);
  if (chosen.command.empty()) {
    if (!chosen.units.empty() && !result.sockets.empty()) add_service(result, chosen.checks, problems);
  } else {
    auto service = service_of_command(chosen);
    check_program(service.start.front(), problems);
    result.service = [service = std::move(service)](const std::string&) { return service; };
  }
  const bool accepts_all =
      std::all_of(result.sockets.begin(), result.sockets.end(), [](const auto& each) { return each.accept; });
  if (result.stop_idle != infinity && accepts_all && chosen.passed.empty()) {
    const auto text = std::make_shared<const source>(source{"sd-activate", {}});
    problems.error({text}, "--stop-idle needs a socket without Accept=yes: each process ends with its connection");
  }
  if (chosen.adopts && result.service) add_adoption(result, problems);
  result.passed = std::move(chosen.passed);
  return result;
}

}  // namespace sd::activate
