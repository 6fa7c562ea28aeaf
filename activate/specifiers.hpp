// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

// The names and specifiers of units: systemd.unit(5).
namespace sd::activate {

/// The name of a unit, such as `web@8080.socket`.
struct unit_name {
  std::string prefix;                   ///< "web"
  std::optional<std::string> instance;  ///< "8080", empty for a template, `nullopt` for other units
  std::string type;                     ///< "socket"

  [[nodiscard]] std::string without_type() const;
  [[nodiscard]] std::string full() const { return without_type() + '.' + type; }
  [[nodiscard]] bool is_template() const { return instance && instance->empty(); }
  /// Returns the name of the template of an instance.
  [[nodiscard]] std::string template_name() const { return prefix + "@." + type; }
};

/// Parses a unit's name. Empty if it is not one.
std::optional<unit_name> parse_unit_name(std::string_view text);

/// Undoes the escaping of systemd-escape(1).
std::string unescape_unit_name(std::string_view text);

/// Escapes text for a unit's name as systemd-escape(1) does.
std::string escape_unit_name(std::string_view text);

/// The text in which specifiers were replaced, or what is wrong with it.
struct expansion {
  std::string text;
  std::string problem;     ///< empty if there is none
  std::size_t offset = 0;  ///< of the specifier that is wrong
};

/// Replaces the specifiers, such as `%i` and `%t`, in the text of a setting.
///
/// @param path The unit file. Empty if the unit has none.
expansion expand(std::string_view text, const unit_name& unit, const std::string& path);

/// Returns whether the text contains a specifier whose value depends on the instance.
bool names_instance(std::string_view text) noexcept;

/// The directories that a service manager uses: those of the system if this process runs as root, or of its user.
struct manager_directories {
  std::string runtime;
  std::string state;
  std::string cache;
  std::string logs;
  std::string configuration;
};
manager_directories directories_of_manager();

}  // namespace sd::activate
