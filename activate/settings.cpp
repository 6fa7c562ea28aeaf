// SPDX-License-Identifier: MIT OR Apache-2.0
#include "settings.hpp"

#include "specifiers.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace sd::activate {

namespace fs = std::filesystem;

std::optional<bool> setting_reader::boolean(const assignment& setting) {
  const auto value = parse_boolean(setting.value);
  if (!value) error(setting, "neither yes nor no");
  return value;
}

std::optional<std::uint64_t> setting_reader::number(const assignment& setting, std::uint64_t least,
                                                    std::uint64_t most) {
  const auto value = parse_number(setting.value, most);
  if (value && *value >= least) return value;
  error(setting, fmt::format("not a number from {} to {}", least, most));
  return std::nullopt;
}

std::optional<std::uint64_t> setting_reader::size(const assignment& setting, std::uint64_t most) {
  const auto value = parse_size(setting.value);
  if (value && *value <= most) return value;
  error(setting, value ? fmt::format("exceeds {}", most) : "not a size, such as 65536 or 64K");
  return std::nullopt;
}

std::optional<period> setting_reader::time(const assignment& setting) {
  const auto value = parse_period(setting.value);
  if (!value) error(setting, "not a time span, such as 90 or 1min 30s");
  return value;
}

std::optional<unsigned> setting_reader::mode(const assignment& setting) {
  const auto value = parse_mode(setting.value);
  if (!value) error(setting, "not an access mode in octal, such as 0660");
  return value;
}

std::optional<int> setting_reader::signal(const assignment& setting) {
  const auto value = parse_signal(setting.value);
  if (!value) error(setting, "not a signal, such as SIGTERM");
  return value;
}

std::optional<std::string> setting_reader::text(const assignment& setting) {
  return expanded(setting, setting.value, 0);
}

std::optional<std::string> setting_reader::path(const assignment& setting) {
  auto value = text(setting);
  if (!value) return std::nullopt;
  const fs::path path(*value);
  const bool has_parent = std::find(path.begin(), path.end(), "..") != path.end();
  if (path.is_absolute() && !has_parent) return value;
  error(setting, has_parent ? "the path contains \"..\"" : "not an absolute path");
  return std::nullopt;
}

std::optional<std::vector<word>> setting_reader::words(const assignment& setting) {
  auto result = split(setting.value);
  if (!result.problem.empty()) {
    error(setting, result.problem, result.problem_offset);
    return std::nullopt;
  }
  for (const auto offset : result.unknown_escapes) warning(setting, "unknown escape, which is kept", offset);
  for (auto& each : result.words) {
    auto expansion = expand(each.text, unit_.name, unit_.path);
    if (!expansion.problem.empty()) {
      error(setting, expansion.problem, each.offset_of(expansion.offset));
      return std::nullopt;
    }
    each.text = std::move(expansion.text);
  }
  return std::move(result.words);
}

std::optional<std::string> setting_reader::expanded(const assignment& setting, std::string_view part,
                                                    std::size_t offset) {
  auto result = expand(part, unit_.name, unit_.path);
  if (result.problem.empty()) return std::move(result.text);
  error(setting, result.problem, offset + result.offset);
  return std::nullopt;
}

void setting_reader::error(const assignment& setting, std::string_view problem, std::size_t offset) {
  problems_.error(setting.value_at(offset), fmt::format("{}={}: {}", setting.name, setting.value, problem));
}

void setting_reader::warning(const assignment& setting, std::string_view problem, std::size_t offset) {
  problems_.warning(setting.value_at(offset), fmt::format("{}={}: {}", setting.name, setting.value, problem));
}

void report_others(const std::vector<const assignment*>& settings, const std::vector<directive_group>& groups,
                   setting_reader& reader) {
  const auto group_of = [&](const assignment& setting) -> const directive_group* {
    for (const auto* const all : {&groups, &common_groups()}) {
      for (const auto& group : *all) {
        const auto& names = group.names;
        if (group.section == setting.section && std::find(names.begin(), names.end(), setting.name) != names.end()) {
          return &group;
        }
      }
    }
    return nullptr;
  };
  std::vector<std::string> not_enforced;
  const assignment* first = nullptr;
  // An empty value takes back what precedes it.
  const auto is_taken_back = [&](auto setting) {
    return std::any_of(setting, settings.end(), [&](const assignment* later) {
      return later->value.empty() && later->section == (*setting)->section && later->name == (*setting)->name;
    });
  };
  for (auto each = settings.begin(); each != settings.end(); ++each) {
    const auto* const setting = *each;
    if (setting->section.starts_with("X-") || setting->name.starts_with("X-")) continue;
    const auto* const group = group_of(*setting);
    if (group == nullptr) {
      reader.problems().error(setting->at, fmt::format("[{}] {}= is not supported", setting->section, setting->name));
    } else if (is_taken_back(each)) {
      continue;
    } else if (group->level == support::refused) {
      reader.problems().error(setting->at, fmt::format("{}= is not supported: {}", setting->name, group->note));
    } else if (group->level == support::not_enforced) {
      const auto name = setting->name + '=';
      if (first == nullptr) first = setting;
      if (std::find(not_enforced.begin(), not_enforced.end(), name) == not_enforced.end()) not_enforced.push_back(name);
    }
  }
  if (first == nullptr) return;
  reader.problems().warning(first->at, fmt::format("not enforced: {}", fmt::join(not_enforced, ", ")));
}

const std::vector<directive_group>& common_groups() {
  static const std::vector<directive_group> groups = {
      {"Unit", support::without_effect, "a text for people", {"Description", "Documentation", "SourcePath"}},
      {"Unit",
       support::without_effect,
       "sd-activate runs these sockets and their service, and no other unit",
       {"After",
        "AllowIsolate",
        "Before",
        "BindsTo",
        "CollectMode",
        "Conflicts",
        "DefaultDependencies",
        "IgnoreOnIsolate",
        "JobRunningTimeoutSec",
        "JobTimeoutAction",
        "JobTimeoutRebootArgument",
        "JobTimeoutSec",
        "JoinsNamespaceOf",
        "OnFailure",
        "OnFailureJobMode",
        "OnSuccess",
        "OnSuccessJobMode",
        "PartOf",
        "PropagatesReloadTo",
        "PropagatesStopTo",
        "RefuseManualStart",
        "RefuseManualStop",
        "ReloadPropagatedFrom",
        "Requires",
        "RequiresMountsFor",
        "Requisite",
        "StopPropagatedFrom",
        "StopWhenUnneeded",
        "SurviveFinalKillSignal",
        "Upholds",
        "Wants",
        "WantsMountsFor"}},
      {"Unit",
       support::not_enforced,
       "sd-activate starts the units whether or not the condition holds",
       {"AssertACPower",
        "AssertArchitecture",
        "AssertCPUFeature",
        "AssertCPUPressure",
        "AssertCPUs",
        "AssertCapability",
        "AssertControlGroupController",
        "AssertCredential",
        "AssertDirectoryNotEmpty",
        "AssertEnvironment",
        "AssertFileIsExecutable",
        "AssertFileNotEmpty",
        "AssertFirstBoot",
        "AssertGroup",
        "AssertHost",
        "AssertIOPressure",
        "AssertKernelCommandLine",
        "AssertKernelVersion",
        "AssertMemory",
        "AssertMemoryPressure",
        "AssertNeedsUpdate",
        "AssertOSRelease",
        "AssertPathExists",
        "AssertPathExistsGlob",
        "AssertPathIsDirectory",
        "AssertPathIsEncrypted",
        "AssertPathIsMountPoint",
        "AssertPathIsReadWrite",
        "AssertPathIsSocket",
        "AssertPathIsSymbolicLink",
        "AssertSecurity",
        "AssertUser",
        "AssertVirtualization",
        "ConditionACPower",
        "ConditionArchitecture",
        "ConditionCPUFeature",
        "ConditionCPUPressure",
        "ConditionCPUs",
        "ConditionCapability",
        "ConditionControlGroupController",
        "ConditionCredential",
        "ConditionDirectoryNotEmpty",
        "ConditionEnvironment",
        "ConditionFileIsExecutable",
        "ConditionFileNotEmpty",
        "ConditionFirmware",
        "ConditionFirstBoot",
        "ConditionGroup",
        "ConditionHost",
        "ConditionIOPressure",
        "ConditionKernelCommandLine",
        "ConditionKernelModuleLoaded",
        "ConditionKernelVersion",
        "ConditionMemory",
        "ConditionMemoryPressure",
        "ConditionNeedsUpdate",
        "ConditionOSRelease",
        "ConditionPathExists",
        "ConditionPathExistsGlob",
        "ConditionPathIsDirectory",
        "ConditionPathIsEncrypted",
        "ConditionPathIsMountPoint",
        "ConditionPathIsReadWrite",
        "ConditionPathIsSocket",
        "ConditionPathIsSymbolicLink",
        "ConditionSecurity",
        "ConditionUser",
        "ConditionVersion",
        "ConditionVirtualization"}},
      {"Unit",
       support::not_enforced,
       "sd-activate does not act on the system",
       {"FailureAction", "FailureActionExitStatus", "RebootArgument", "StartLimitAction", "SuccessAction",
        "SuccessActionExitStatus"}},
      {"Install",
       support::without_effect,
       "sd-activate installs nothing",
       {"Alias", "Also", "DefaultInstance", "RequiredBy", "UpheldBy", "WantedBy"}},
  };
  return groups;
}

}  // namespace sd::activate
