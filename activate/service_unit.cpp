// SPDX-License-Identifier: MIT OR Apache-2.0
#include "service_unit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>

namespace sd::activate {

namespace {

using apply_function = std::function<void(setting_reader&, const assignment&, service_unit&)>;

// --- values ----------------------------------------------------------------------------------------------------------

constexpr auto signal_number = [](setting_reader& reader, const assignment& setting) { return reader.signal(setting); };
/// A period that 0 makes infinite.
constexpr auto timeout = [](setting_reader& reader, const assignment& setting) {
  const auto value = reader.time(setting);
  return value == period::zero() ? std::optional(infinity) : value;
};
/// Returns a conversion of a number from `least`, which is negative, to `most`.
auto number_between(int least, int most) {
  return [least, most](setting_reader& reader, const assignment& setting) -> std::optional<int> {
    const bool is_negative = setting.value.starts_with('-');
    const auto number = parse_number(std::string_view(setting.value).substr(is_negative ? 1 : 0),
                                     static_cast<unsigned>(is_negative ? -least : most));
    if (number) return static_cast<int>(*number) * (is_negative ? -1 : 1);
    reader.error(setting, fmt::format("not a number from {} to {}", least, most));
    return std::nullopt;
  };
}

// --- lists -----------------------------------------------------------------------------------------------------------

/// Returns what a setting does that adds words to a list. An empty value clears it.
template <class Element, class Convert>
apply_function add(std::vector<Element> service_unit::*member, Convert convert) {
  return [member, convert](setting_reader& reader, const assignment& setting, service_unit& unit) {
    if (setting.value.empty()) return (unit.*member).clear();
    const auto words = reader.words(setting);
    if (!words) return;
    for (const auto& each : *words) {
      if (auto element = convert(reader, setting, each)) (unit.*member).push_back(std::move(*element));
    }
  };
}

constexpr auto any_word = [](setting_reader&, const assignment&, const word& each) { return std::optional(each.text); };

constexpr auto variable = [](setting_reader& reader, const assignment& setting,
                             const word& each) -> std::optional<std::pair<std::string, std::string>> {
  const auto equals = each.text.find('=');
  if (equals != std::string::npos && is_variable_name(each.text.substr(0, equals))) {
    return std::pair(each.text.substr(0, equals), each.text.substr(equals + 1));
  }
  reader.error(setting, "not NAME=VALUE", each.offset);
  return std::nullopt;
};

constexpr auto variable_name = [](setting_reader& reader, const assignment& setting,
                                  const word& each) -> std::optional<std::string> {
  if (is_variable_name(each.text)) return each.text;
  reader.error(setting, "not the name of a variable", each.offset);
  return std::nullopt;
};

constexpr auto socket_name = [](setting_reader& reader, const assignment& setting,
                                const word& each) -> std::optional<std::string> {
  const auto name = parse_unit_name(each.text);
  if (name && name->type == "socket") return each.text;
  reader.error(setting, "not the name of a socket unit", each.offset);
  return std::nullopt;
};

void read_environment_file(setting_reader& reader, const assignment& setting, service_unit& unit) {
  if (setting.value.empty()) return unit.environment_files.clear();
  auto path = reader.text(setting);
  if (!path) return;
  environment_file file;
  file.may_be_missing = path->starts_with('-');
  file.path = path->substr(file.may_be_missing ? 1 : 0);
  if (!file.path.starts_with('/')) return reader.error(setting, "not an absolute path");
  unit.environment_files.push_back(std::move(file));
}

/// Exit statuses and signals. An empty value clears the list.
apply_function exit_status_list(exit_statuses service_unit::*member) {
  return [member](setting_reader& reader, const assignment& setting, service_unit& unit) {
    auto& list = unit.*member;
    if (setting.value.empty()) list = {};
    for (const auto& each : reader.words(setting).value_or(std::vector<word>())) {
      if (const auto status = parse_number(each.text, 255)) {
        list.statuses.push_back(static_cast<int>(*status));
      } else if (const auto signal = parse_signal(each.text)) {
        list.signals.push_back(*signal);
      } else if (each.text == "TEMPFAIL") {
        list.statuses.push_back(75);
      } else {
        reader.error(setting, "neither an exit status nor a signal", each.offset);
      }
    }
  };
}

apply_function commands(std::vector<command> service_unit::*member) {
  return [member](setting_reader& reader, const assignment& setting, service_unit& unit) {
    read_commands(reader, setting, unit.*member);
  };
}

/// Directories below that of the manager. "NAME:LINK" is refused.
apply_function directories(decltype(service_directory::kind) kind) {
  return [kind](setting_reader& reader, const assignment& setting, service_unit& unit) {
    if (setting.value.empty()) {
      std::erase_if(unit.directories, [kind](const auto& each) { return each.kind == kind; });
      return;
    }
    for (const auto& each : reader.words(setting).value_or(std::vector<word>())) {
      if (each.text.starts_with('/') || each.text.find("..") != std::string::npos ||
          each.text.find(':') != std::string::npos) {
        reader.error(setting, R"(not a relative path without ".." and ":")", each.offset);
      } else {
        unit.directories.push_back({kind, each.text});
      }
    }
  };
}

apply_function directory_mode(std::size_t kind) {
  return [kind](setting_reader& reader, const assignment& setting, service_unit& unit) {
    const auto value = setting.value.empty() ? std::optional(default_directory_mode) : reader.mode(setting);
    if (value) unit.directory_modes[kind] = *value;
  };
}

void read_working_directory(setting_reader& reader, const assignment& setting, service_unit& unit) {
  unit.working_directory.clear();
  unit.may_lack_working_directory = setting.value.starts_with('-');
  unit.working_directory_is_home = setting.value == "~" || setting.value == "-~";
  if (setting.value.empty() || unit.working_directory_is_home) return;
  auto path = reader.expanded(setting, std::string_view(setting.value).substr(unit.may_lack_working_directory ? 1 : 0),
                              unit.may_lack_working_directory ? 1 : 0);
  if (!path) return;
  if (!path->starts_with('/')) return reader.error(setting, "neither an absolute path nor \"~\"");
  unit.working_directory = std::move(*path);
}

// --- limits ----------------------------------------------------------------------------------------------------------

enum class limit_unit { count, nice, bytes, seconds, microseconds };

std::optional<rlim_t> parse_limit(std::string_view value, limit_unit unit) {
  if (value == "infinity") return RLIM_INFINITY;
  if (unit == limit_unit::bytes) return parse_size(value);
  if (unit == limit_unit::nice && (value.starts_with('+') || value.starts_with('-'))) {
    const bool is_negative = value.front() == '-';
    const auto nice = parse_number(value.substr(1), is_negative ? 20 : 19);
    return nice ? std::optional<rlim_t>(is_negative ? 20 + *nice : 20 - *nice) : std::nullopt;
  }
  if (unit == limit_unit::count || unit == limit_unit::nice) return parse_number(value, RLIM_INFINITY - 1);
  if (const auto plain = parse_number(value, RLIM_INFINITY - 1)) return plain;
  const auto time = parse_period(value);
  if (!time) return std::nullopt;
  if (unit == limit_unit::microseconds) return static_cast<rlim_t>(time->count());
  return static_cast<rlim_t>(std::chrono::ceil<std::chrono::seconds>(*time).count());
}

directive<service_unit> limit(std::string_view name, int resource, limit_unit kind = limit_unit::count) {
  return {"Service", name, "a limit of setrlimit(2)",
          [resource, kind](setting_reader& reader, const assignment& setting, service_unit& unit) {
            std::erase_if(unit.limits, [&](const auto& each) { return each.resource == resource; });
            if (setting.value.empty()) return;
            const std::string_view value = setting.value;
            const auto colon = value.find(':');
            const auto soft = parse_limit(value.substr(0, colon), kind);
            const auto hard = colon == std::string_view::npos ? soft : parse_limit(value.substr(colon + 1), kind);
            if (!soft || !hard) return reader.error(setting, "not a limit, such as 1024, 512:1024 or infinity");
            if (*soft > *hard) return reader.error(setting, "the soft limit exceeds the hard limit");
            unit.limits.push_back({resource, *soft, *hard});
          }};
}

// --- names -----------------------------------------------------------------------------------------------------------

/// Returns whether a stream leads to the logs, or to a terminal, in place of which there is the output of sd-activate.
bool is_log(std::string_view value) {
  constexpr std::string_view logs[] = {"journal",      "kmsg",           "syslog", "journal+console",
                                       "kmsg+console", "syslog+console", "tty"};
  return std::find(std::begin(logs), std::end(logs), value) != std::end(logs);
}

apply_function standard_stream(stream service_unit::*member) {
  return [member](setting_reader& reader, const assignment& setting, service_unit& unit) {
    if (setting.value.empty()) {
      unit.*member = service_unit().*member;
      return;
    }
    const auto value = reader.text(setting);
    if (!value) return;
    const bool is_input = member == &service_unit::input;
    const auto colon = value->find(':');
    const auto kind = value->substr(0, colon);
    const auto rest = colon == std::string::npos ? "" : value->substr(colon + 1);
    if (*value == "null") {
      unit.*member = {stream_kind::null, ""};
    } else if (*value == "socket") {
      unit.*member = {stream_kind::socket, ""};
    } else if (kind == "fd") {
      const auto* const otherwise = is_input ? "stdin" : member == &service_unit::output ? "stdout" : "stderr";
      unit.*member = {stream_kind::named_fd, rest.empty() ? otherwise : rest};
    } else if (kind == "file" || (!is_input && (kind == "append" || kind == "truncate"))) {
      if (!rest.starts_with('/')) return reader.error(setting, "not an absolute path after the colon");
      unit.*member = {kind == "file"     ? stream_kind::file
                      : kind == "append" ? stream_kind::append
                                         : stream_kind::truncate,
                      rest};
    } else if (!is_input && *value == "inherit") {
      unit.*member = {stream_kind::inherit, ""};
    } else if (!is_input && is_log(*value)) {
      unit.*member = {stream_kind::activator, ""};
    } else {
      reader.error(setting, is_input ? "none of null, socket, file:PATH and fd:NAME"
                                     : "none of inherit, null, journal, socket, file:PATH, append:PATH, truncate:PATH "
                                       "and fd:NAME");
    }
  };
}

void read_timeout(setting_reader& reader, const assignment& setting, service_unit& unit) {
  const auto value = setting.value.empty() ? std::optional(default_timeout) : timeout(reader, setting);
  if (value) unit.start_timeout = unit.stop_timeout = *value;
}

std::vector<directive<service_unit>> honored() {
  const auto mode_after_timeout = convert::one_of<timeout_mode>(
      {{"terminate", timeout_mode::terminate}, {"abort", timeout_mode::abort}, {"kill", timeout_mode::kill}});
  using unit = service_unit;
  return {
      {"Service", "Type", "simple, exec, notify, notify-reload, oneshot, or idle, which is the same as simple",
       store(&unit::type,
             convert::one_of<service_type>({{"simple", service_type::simple},
                                            {"exec", service_type::exec},
                                            {"notify", service_type::notify},
                                            {"notify-reload", service_type::notify_reload},
                                            {"oneshot", service_type::oneshot},
                                            {"idle", service_type::simple}},
                                           "a service of type forking or dbus cannot be supervised here"))},
      {"Service", "ExecStart", "the command of the service", commands(&unit::start)},
      {"Service", "ExecStartPre", "commands to run before `ExecStart=`", commands(&unit::start_pre)},
      {"Service", "ExecStartPost", "commands to run once the service has started", commands(&unit::start_post)},
      {"Service", "ExecReload", "commands that reload the service, on SIGUSR1", commands(&unit::reload)},
      {"Service", "ReloadSignal", "the signal that reloads the service, with `Type=notify-reload`",
       store(&unit::reload_signal, signal_number)},
      {"Service", "ExecStop", "commands that stop the service", commands(&unit::stop)},
      {"Service", "ExecStopPost", "commands to run after the service has stopped", commands(&unit::stop_post)},
      {"Service", "TimeoutStartSec", "the time to start", store(&unit::start_timeout, timeout)},
      {"Service", "TimeoutStopSec", "the time to stop", store(&unit::stop_timeout, timeout)},
      {"Service", "TimeoutSec", "sets `TimeoutStartSec=` and `TimeoutStopSec=`", read_timeout},
      {"Service", "TimeoutAbortSec", "the time to end after `WatchdogSignal=`", store(&unit::abort_timeout, timeout)},
      {"Service", "TimeoutStartFailureMode",
       "how a service that does not start in time is ended: terminate, abort or kill",
       store(&unit::start_timeout_mode, mode_after_timeout)},
      {"Service", "TimeoutStopFailureMode",
       "how a service that does not stop in time is ended: terminate, abort or kill",
       store(&unit::stop_timeout_mode, mode_after_timeout)},
      {"Service", "WatchdogSec", "the longest time between two messages `WATCHDOG=1`",
       store(&unit::watchdog, convert::time_span)},
      {"Service", "Environment", "variables", add(&unit::environment, variable)},
      {"Service", "EnvironmentFile", "a file with variables", read_environment_file},
      {"Service", "PassEnvironment", "variables of sd-activate to pass on",
       add(&unit::pass_environment, variable_name)},
      {"Service", "UnsetEnvironment", "variables to remove",
       add(&unit::unset_environment, [](auto&, auto&, const word& each) { return std::optional(each); })},
      {"Service", "WorkingDirectory", "the working directory", read_working_directory},
      {"Service", "RuntimeDirectory", "directories below /run", directories(service_directory::runtime)},
      {"Service", "StateDirectory", "directories below /var/lib", directories(service_directory::state)},
      {"Service", "CacheDirectory", "directories below /var/cache", directories(service_directory::cache)},
      {"Service", "LogsDirectory", "directories below /var/log", directories(service_directory::logs)},
      {"Service", "ConfigurationDirectory", "directories below /etc", directories(service_directory::configuration)},
      {"Service", "RuntimeDirectoryMode", "the access mode of these directories",
       directory_mode(service_directory::runtime)},
      {"Service", "StateDirectoryMode", "the access mode of these directories",
       directory_mode(service_directory::state)},
      {"Service", "CacheDirectoryMode", "the access mode of these directories",
       directory_mode(service_directory::cache)},
      {"Service", "LogsDirectoryMode", "the access mode of these directories", directory_mode(service_directory::logs)},
      {"Service", "ConfigurationDirectoryMode", "the access mode of these directories",
       directory_mode(service_directory::configuration)},
      {"Service", "RuntimeDirectoryPreserve", "whether runtime directories stay when sd-activate ends",
       store(&unit::keeps_runtime_directory,
             convert::one_of<bool>(
                 {{"no", false}, {"yes", true}, {"restart", false}, {"false", false}, {"true", true}}))},
      {"Service", "User", "the user", store(&unit::user, convert::text)},
      {"Service", "Group", "the group", store(&unit::group, convert::text)},
      {"Service", "SupplementaryGroups", "more groups", add(&unit::supplementary_groups, any_word)},
      {"Service", "UMask", "the file mode creation mask", store(&unit::umask, convert::mode)},
      {"Service", "Nice", "the nice value", store(&unit::nice, number_between(-20, 19))},
      {"Service", "OOMScoreAdjust", "the adjustment of the OOM killer's score",
       store(&unit::oom_score_adjust, number_between(-1000, 1000))},
      {"Service", "IgnoreSIGPIPE", "whether SIGPIPE is ignored", store(&unit::ignores_sigpipe, convert::boolean)},
      {"Service", "NoNewPrivileges", "PR_SET_NO_NEW_PRIVS", store(&unit::no_new_privileges, convert::boolean)},
      {"Service", "StandardInput", "null, socket, file:PATH or fd:NAME", standard_stream(&unit::input)},
      {"Service", "StandardOutput",
       "null, socket, file:PATH, append:PATH, truncate:PATH, fd:NAME or inherit; the journal is the output of "
       "sd-activate",
       standard_stream(&unit::output)},
      {"Service", "StandardError", "standard error, as with `StandardOutput=`", standard_stream(&unit::error)},
      {"Service", "NonBlocking", "whether the sockets are nonblocking", store(&unit::nonblocking, convert::boolean)},
      {"Service", "NotifyAccess", "the processes whose messages count",
       store(&unit::access, convert::one_of<notify_access>({{"none", notify_access::none},
                                                            {"main", notify_access::main_process},
                                                            {"exec", notify_access::exec_processes},
                                                            {"all", notify_access::all}}))},
      {"Service", "FileDescriptorStoreMax", "how many descriptors the service can store",
       store(&unit::most_stored_descriptors, convert::number)},
      {"Service", "FileDescriptorStorePreserve", "how long stored descriptors stay: no, restart or yes",
       store(&unit::stored_descriptors_stay, convert::one_of<store_lifetime>({{"no", store_lifetime::run},
                                                                              {"restart", store_lifetime::restarts},
                                                                              {"yes", store_lifetime::activator},
                                                                              {"false", store_lifetime::run},
                                                                              {"true", store_lifetime::activator}}))},
      {"Service", "Sockets", "more socket units", add(&unit::sockets, socket_name)},
      {"Service", "KillMode", "the processes that are stopped",
       store(&unit::kill, convert::one_of<kill_mode>({{"control-group", kill_mode::control_group},
                                                      {"mixed", kill_mode::mixed},
                                                      {"process", kill_mode::process},
                                                      {"none", kill_mode::none}}))},
      {"Service", "KillSignal", "the signal that stops the processes", store(&unit::kill_signal, signal_number)},
      {"Service", "RestartKillSignal", "the signal that stops the processes for a restart",
       store(&unit::restart_kill_signal, signal_number)},
      {"Service", "FinalKillSignal", "the signal that kills processes that have not stopped in time",
       store(&unit::final_kill_signal, signal_number)},
      {"Service", "WatchdogSignal", "the signal that ends a service whose watchdog has expired",
       store(&unit::watchdog_signal, signal_number)},
      {"Service", "SendSIGHUP", "whether SIGHUP follows `KillSignal=` at once",
       store(&unit::send_sighup, convert::boolean)},
      {"Service", "SendSIGKILL", "whether processes that have not stopped in time get `FinalKillSignal=`",
       store(&unit::send_sigkill, convert::boolean)},
      {"Service", "SuccessExitStatus", "exit statuses and signals that count as success",
       exit_status_list(&unit::success_statuses)},
      {"Service", "Restart", "when the service is started again without a client",
       store(&unit::restart, convert::one_of<restart_policy>({{"no", restart_policy::no},
                                                              {"on-success", restart_policy::on_success},
                                                              {"on-failure", restart_policy::on_failure},
                                                              {"on-abnormal", restart_policy::on_abnormal},
                                                              {"on-watchdog", restart_policy::on_watchdog},
                                                              {"on-abort", restart_policy::on_abort},
                                                              {"always", restart_policy::always}}))},
      {"Service", "RestartSec", "the pause before `Restart=` starts the service again",
       store(&unit::restart_delay, convert::time_span)},
      {"Service", "RestartPreventExitStatus",
       "exit statuses and signals after which `Restart=` does not start the service again",
       exit_status_list(&unit::restart_prevent_statuses)},
      {"Service", "RestartForceExitStatus",
       "exit statuses and signals after which the service is started again whatever `Restart=` says",
       exit_status_list(&unit::restart_force_statuses)},
      {"Unit", "StartLimitIntervalSec",
       "the interval of the start limit; 10 s if only the burst is set, and no limit if neither is",
       store(&unit::start_limit_interval, convert::time_span)},
      {"Unit", "StartLimitInterval", "an old name of `StartLimitIntervalSec=`",
       store(&unit::start_limit_interval, convert::time_span)},
      {"Unit", "StartLimitBurst", "the most starts in the interval; 5 if only the interval is set",
       store(&unit::start_limit_burst, convert::number)},
      {"Service", "StartLimitInterval", "as in `[Unit]`", store(&unit::start_limit_interval, convert::time_span)},
      {"Service", "StartLimitBurst", "as in `[Unit]`", store(&unit::start_limit_burst, convert::number)},
      limit("LimitCPU", RLIMIT_CPU, limit_unit::seconds),
      limit("LimitFSIZE", RLIMIT_FSIZE, limit_unit::bytes),
      limit("LimitDATA", RLIMIT_DATA, limit_unit::bytes),
      limit("LimitSTACK", RLIMIT_STACK, limit_unit::bytes),
      limit("LimitCORE", RLIMIT_CORE, limit_unit::bytes),
      limit("LimitRSS", RLIMIT_RSS, limit_unit::bytes),
      limit("LimitNOFILE", RLIMIT_NOFILE),
      limit("LimitAS", RLIMIT_AS, limit_unit::bytes),
      limit("LimitNPROC", RLIMIT_NPROC),
      limit("LimitMEMLOCK", RLIMIT_MEMLOCK, limit_unit::bytes),
      limit("LimitLOCKS", RLIMIT_LOCKS),
      limit("LimitSIGPENDING", RLIMIT_SIGPENDING),
      limit("LimitMSGQUEUE", RLIMIT_MSGQUEUE, limit_unit::bytes),
      limit("LimitNICE", RLIMIT_NICE, limit_unit::nice),
      limit("LimitRTPRIO", RLIMIT_RTPRIO),
      limit("LimitRTTIME", RLIMIT_RTTIME, limit_unit::microseconds),
  };
}

std::vector<directive_group> others() {
  return {
      {"Service",
       support::refused,
       "the service needs what sd-activate does not set up",
       {"BindPaths",
        "BindReadOnlyPaths",
        "ExtensionDirectories",
        "ExtensionImages",
        "ImportCredential",
        "LoadCredential",
        "LoadCredentialEncrypted",
        "MountImages",
        "NetworkNamespacePath",
        "PAMName",
        "RootDirectory",
        "RootDirectoryStartOnly",
        "RootHash",
        "RootHashSignature",
        "RootImage",
        "RootImageOptions",
        "RootVerity",
        "SetCredential",
        "SetCredentialEncrypted",
        "StandardInputData",
        "StandardInputText",
        "TTYPath",
        "TemporaryFileSystem",
        "USBFunctionDescriptors",
        "USBFunctionStrings"}},
      {"Service", support::refused, "sd-activate does not evaluate conditions", {"ExecCondition"}},
      {"Service", support::refused, "sd-activate searches a fixed list of directories", {"ExecSearchPath"}},
      {"Service", support::not_enforced, "a service ends with its main process", {"ExitType"}},
      {"Service",
       support::not_enforced,
       "a service whose processes have ended is not running, and the next client starts it again",
       {"RemainAfterExit"}},
      {"Service",
       support::not_enforced,
       "the pause before a restart does not grow from RestartSec= to a maximum",
       {"RestartMaxDelaySec", "RestartSteps"}},
      {"Service", support::not_enforced, "there is one way to restart a service", {"RestartMode"}},
      {"Service",
       support::not_enforced,
       "the service may run for any time",
       {"RuntimeMaxSec", "RuntimeRandomizedExtraSec"}},
      {"Service",
       support::not_enforced,
       "the service runs as the user of sd-activate, with its capabilities",
       {"AmbientCapabilities", "DynamicUser"}},
      {"Service",
       support::not_enforced,
       "the service is not confined",
       {"AppArmorProfile",
        "CapabilityBoundingSet",
        "ExecPaths",
        "InaccessibleDirectories",
        "InaccessiblePaths",
        "IPCNamespacePath",
        "KeyringMode",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "MountAPIVFS",
        "MountFlags",
        "NoExecPaths",
        "PermissionsStartOnly",
        "Personality",
        "PrivateDevices",
        "PrivateIPC",
        "PrivateMounts",
        "PrivateNetwork",
        "PrivatePIDs",
        "PrivateTmp",
        "PrivateUsers",
        "ProcSubset",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "ReadOnlyDirectories",
        "ReadOnlyPaths",
        "ReadWriteDirectories",
        "ReadWritePaths",
        "RemoveIPC",
        "RestrictAddressFamilies",
        "RestrictFileSystems",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "SELinuxContext",
        "SecureBits",
        "SmackProcessLabel",
        "SystemCallArchitectures",
        "SystemCallErrorNumber",
        "SystemCallFilter",
        "SystemCallLog"}},
      {"Service",
       support::not_enforced,
       "sd-activate makes no control group",
       {"AllowedCPUs",
        "AllowedMemoryNodes",
        "BPFProgram",
        "BlockIOAccounting",
        "CPUAccounting",
        "CPUQuota",
        "CPUQuotaPeriodSec",
        "CPUShares",
        "CPUWeight",
        "Delegate",
        "DelegateSubgroup",
        "DeviceAllow",
        "DevicePolicy",
        "DisableControllers",
        "IOAccounting",
        "IODeviceLatencyTargetSec",
        "IODeviceWeight",
        "IOReadBandwidthMax",
        "IOReadIOPSMax",
        "IOWeight",
        "IOWriteBandwidthMax",
        "IOWriteIOPSMax",
        "IPAccounting",
        "IPAddressAllow",
        "IPAddressDeny",
        "IPEgressFilterPath",
        "IPIngressFilterPath",
        "ManagedOOMMemoryPressure",
        "ManagedOOMMemoryPressureLimit",
        "ManagedOOMPreference",
        "ManagedOOMSwap",
        "MemoryAccounting",
        "MemoryHigh",
        "MemoryLimit",
        "MemoryLow",
        "MemoryMax",
        "MemoryMin",
        "MemorySwapMax",
        "OOMPolicy",
        "RestrictNetworkInterfaces",
        "Slice",
        "SocketBindAllow",
        "SocketBindDeny",
        "StartupAllowedCPUs",
        "StartupAllowedMemoryNodes",
        "StartupCPUWeight",
        "StartupIOWeight",
        "TasksAccounting",
        "TasksMax"}},
      {"Service",
       support::not_enforced,
       "the scheduling of sd-activate is inherited",
       {"CPUAffinity", "CPUSchedulingPolicy", "CPUSchedulingPriority", "CPUSchedulingResetOnFork", "CoredumpFilter",
        "IOSchedulingClass", "IOSchedulingPriority", "NUMAMask", "NUMAPolicy", "TimerSlackNSec"}},
      {"Service",
       support::without_effect,
       "the output of the service is that of sd-activate, and is not logged",
       {"LogExtraFields", "LogLevelMax", "LogNamespace", "LogRateLimitBurst", "LogRateLimitIntervalSec",
        "SyslogFacility", "SyslogIdentifier", "SyslogLevel", "SyslogLevelPrefix", "TTYColumns", "TTYReset", "TTYRows",
        "TTYVHangup", "TTYVTDisallocate", "UtmpIdentifier", "UtmpMode"}},
      {"Service",
       support::without_effect,
       "concerns what sd-activate does not do",
       {"BusName", "GuessMainPID", "PIDFile", "TimeoutCleanSec"}},
  };
}

/// Reports settings that contradict each other.
void check(const service_unit& unit, const location& whole, diagnostics& problems) {
  if (unit.name.type != "service") return problems.error(whole, "not a service unit");
  const bool is_oneshot = unit.type == service_type::oneshot;
  if (unit.start.empty() && !is_oneshot) return problems.error(whole, "there is no ExecStart=");
  if (is_oneshot && (unit.restart == restart_policy::always || unit.restart == restart_policy::on_success)) {
    problems.error(whole, "Type=oneshot excludes Restart=always and Restart=on-success");
  }
  if (unit.start.size() > 1 && !is_oneshot) problems.error(whole, "more than one ExecStart= needs Type=oneshot");
}

}  // namespace

const directive_table<service_unit>& service_directives() {
  static const directive_table<service_unit> table = {honored(), others()};
  return table;
}

service_unit read_service_unit(const unit& whole, diagnostics& problems) {
  service_unit result;
  result.name = whole.name;
  result.path = whole.path;
  const auto errors_before = problems.errors();
  setting_reader reader(whole, problems);
  apply(service_directives(), reader, result);
  if (problems.errors() == errors_before) check(result, {whole.text}, problems);
  return result;
}

}  // namespace sd::activate
