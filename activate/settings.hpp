// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include "diagnostics.hpp"
#include "unit.hpp"
#include "values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The tables that give the settings of a unit a meaning.
namespace sd::activate {

/// Reports problems of the settings of one unit, and converts their values.
///
/// Each function returns an empty optional, and reports an error, if the value is malformed.
class setting_reader {
 public:
  setting_reader(const unit& whole, diagnostics& problems) : unit_(whole), problems_(problems) {}

  std::optional<bool> boolean(const assignment& setting);
  std::optional<std::uint64_t> number(const assignment& setting, std::uint64_t least, std::uint64_t most);
  std::optional<std::uint64_t> size(const assignment& setting, std::uint64_t most);
  std::optional<period> time(const assignment& setting);
  std::optional<unsigned> mode(const assignment& setting);
  std::optional<int> signal(const assignment& setting);
  /// Replaces the specifiers.
  std::optional<std::string> text(const assignment& setting);
  /// Replaces the specifiers, and requires an absolute path without "..".
  std::optional<std::string> path(const assignment& setting);
  /// Splits the value into words, in which specifiers are replaced.
  std::optional<std::vector<word>> words(const assignment& setting);
  /// Replaces the specifiers in a part of the value.
  std::optional<std::string> expanded(const assignment& setting, std::string_view part, std::size_t offset);

  void error(const assignment& setting, std::string_view problem, std::size_t offset = 0);
  void warning(const assignment& setting, std::string_view problem, std::size_t offset = 0);

  [[nodiscard]] const unit& whole() const noexcept { return unit_; }
  [[nodiscard]] diagnostics& problems() noexcept { return problems_; }

 private:
  const unit& unit_;
  diagnostics& problems_;
};

/// What becomes of a setting.
enum class support {
  honored,
  without_effect,  ///< concerns what sd-activate does not do, such as Description= and After=
  not_enforced,    ///< restricts the service under systemd, but not here: named in a warning
  refused,         ///< an error, because the service would not work as it is meant to
};

/// Settings that are not honored for the same reason.
struct directive_group {
  std::string_view section;
  support level;
  std::string_view note;
  std::vector<std::string_view> names;
};

/// A setting that is honored.
template <class Result>
struct directive {
  std::string_view section;
  std::string_view name;
  std::string_view meaning;  ///< for the documentation
  std::function<void(setting_reader& reader, const assignment& setting, Result& result)> apply;
};

/// The settings that a type of unit can have.
template <class Result>
struct directive_table {
  std::vector<directive<Result>> honored;
  std::vector<directive_group> others;
};

/// Reports the settings that are not honored: errors for those that are refused or unknown, and one warning that lists
/// those that are not enforced.
void report_others(const std::vector<const assignment*>& settings, const std::vector<directive_group>& groups,
                   setting_reader& reader);

/// Applies the settings of a unit in order.
template <class Result>
void apply(const directive_table<Result>& table, setting_reader& reader, Result& result) {
  std::vector<const assignment*> others;
  for (const auto& setting : reader.whole().assignments) {
    const auto row = std::find_if(table.honored.begin(), table.honored.end(), [&](const auto& each) {
      return each.section == setting.section && each.name == setting.name;
    });
    if (row == table.honored.end()) {
      others.push_back(&setting);
    } else {
      row->apply(reader, setting, result);
    }
  }
  report_others(others, table.others, reader);
}

/// Returns what a setting does that stores its value in a member. An empty value restores the default.
///
/// @param convert Returns the value as an optional, and reports a malformed one.
template <class Result, class Member, class Convert>
auto store(Member Result::*member, Convert convert) {
  return [member, convert](setting_reader& reader, const assignment& setting, Result& result) {
    if (setting.value.empty()) {
      result.*member = Result().*member;
    } else if (auto value = convert(reader, setting)) {
      result.*member = static_cast<Member>(std::move(*value));
    }
  };
}

/// Conversions for `store()`.
namespace convert {

inline constexpr auto boolean = [](setting_reader& reader, const assignment& setting) {
  return reader.boolean(setting);
};
inline constexpr auto mode = [](setting_reader& reader, const assignment& setting) { return reader.mode(setting); };
inline constexpr auto text = [](setting_reader& reader, const assignment& setting) { return reader.text(setting); };
inline constexpr auto number = [](setting_reader& reader, const assignment& setting) {
  return reader.number(setting, 0, UINT32_MAX);
};
inline constexpr auto time_span = [](setting_reader& reader, const assignment& setting) {
  return reader.time(setting);
};

/// Returns a conversion of one of these names.
///
/// @param reason What to add to the error for other names.
template <class Value>
auto one_of(std::initializer_list<std::pair<std::string_view, Value>> names, std::string_view reason = "") {
  return
      [known = std::vector(names), reason](setting_reader& reader, const assignment& setting) -> std::optional<Value> {
        std::string all;
        for (const auto& [name, value] : known) {
          if (setting.value == name) return value;
          all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
        }
        reader.error(setting, fmt::format("none of {}{}{}", all, reason.empty() ? "" : "; ", reason));
        return std::nullopt;
      };
}

}  // namespace convert

/// The settings of [Unit] and [Install] that are not honored, which all types of units have in common.
const std::vector<directive_group>& common_groups();

}  // namespace sd::activate
