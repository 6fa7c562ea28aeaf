// SPDX-License-Identifier: MIT OR Apache-2.0
#include "specifiers.hpp"

#include "environment_file.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace sd::activate {

namespace {

constexpr std::string_view allowed_in_names = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:-_.\\";

std::string environment(const char* name, std::string otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::move(otherwise) : value;
}

std::string first_line_of(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string machine_or_boot_id(const char* path) {
  auto id = first_line_of(path);
  std::erase(id, '-');
  return id;
}

/// Returns the value of a variable in a file such as /etc/os-release. Empty if it is not there.
std::string variable_in(const char* path, std::string_view name) {
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::string result;
  for (auto& [variable, value] : parse_environment_file(text)) {
    if (variable == name) result = std::move(value);
  }
  return result;
}

const passwd* user() { return ::getpwuid(::geteuid()); }

std::string home() {
  const auto* const entry = user();
  return ::geteuid() == 0 ? "/root" : environment("HOME", entry == nullptr ? "/" : entry->pw_dir);
}

utsname system_names() {
  utsname names{};
  ::uname(&names);
  return names;
}

std::string short_host_name() {
  const std::string name = system_names().nodename;
  return name.substr(0, name.find('.'));
}

std::string architecture() {
  std::string machine = system_names().machine;
  static constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"x86_64", "x86-64"}, {"i686", "x86"},         {"i586", "x86"},   {"i486", "x86"},   {"i386", "x86"},
      {"aarch64", "arm64"}, {"ppc64le", "ppc64-le"}, {"armv7l", "arm"}, {"armv6l", "arm"},
  };
  for (const auto& [kernel, name] : known) {
    if (machine == kernel) return std::string(name);
  }
  return machine;
}

std::string temporary(const char* otherwise) {
  return environment("TMPDIR", environment("TEMP", environment("TMP", otherwise)));
}

std::string last_component(const std::string& prefix) {
  return prefix.substr(prefix.rfind('-') + 1);  // npos + 1 is 0
}

/// Returns what a specifier stands for. Empty optional if it is unknown, or has no value here.
std::optional<std::string> value_of(char specifier, const unit_name& unit, const std::string& path) {
  const auto directories = directories_of_manager();
  switch (specifier) {
    case '%':
      return "%";
    case 'a':
      return architecture();
    case 'A':
      return variable_in("/etc/os-release", "IMAGE_VERSION");
    case 'b':
      return machine_or_boot_id("/proc/sys/kernel/random/boot_id");
    case 'B':
      return variable_in("/etc/os-release", "BUILD_ID");
    case 'C':
      return directories.cache;
    case 'E':
      return directories.configuration;
    case 'f':
      return '/' + unescape_unit_name(unit.instance.value_or("").empty() ? unit.prefix : *unit.instance);
    case 'g': {
      const auto* const entry = ::getgrgid(::getegid());
      return entry == nullptr ? std::to_string(::getegid()) : entry->gr_name;
    }
    case 'G':
      return std::to_string(::getegid());
    case 'h':
      return home();
    case 'H':
      return system_names().nodename;
    case 'i':
      return unit.instance.value_or("");
    case 'I':
      return unescape_unit_name(unit.instance.value_or(""));
    case 'j':
      return last_component(unit.prefix);
    case 'J':
      return unescape_unit_name(last_component(unit.prefix));
    case 'l':
      return short_host_name();
    case 'L':
      return directories.logs;
    case 'm':
      return machine_or_boot_id("/etc/machine-id");
    case 'M':
      return variable_in("/etc/os-release", "IMAGE_ID");
    case 'n':
      return unit.full();
    case 'N':
      return unit.without_type();
    case 'o':
      return variable_in("/etc/os-release", "ID");
    case 'p':
      return unit.prefix;
    case 'P':
      return unescape_unit_name(unit.prefix);
    case 'q': {
      const auto pretty = variable_in("/etc/machine-info", "PRETTY_HOSTNAME");
      return pretty.empty() ? short_host_name() : pretty;
    }
    case 's': {
      const auto* const entry = user();
      return entry == nullptr ? "/bin/sh" : entry->pw_shell;
    }
    case 'S':
      return directories.state;
    case 't':
      return directories.runtime;
    case 'T':
      return temporary("/tmp");
    case 'u': {
      const auto* const entry = user();
      return entry == nullptr ? std::to_string(::geteuid()) : entry->pw_name;
    }
    case 'U':
      return std::to_string(::geteuid());
    case 'v':
      return system_names().release;
    case 'V':
      return temporary("/var/tmp");
    case 'w':
      return variable_in("/etc/os-release", "VERSION_ID");
    case 'W':
      return variable_in("/etc/os-release", "VARIANT_ID");
    case 'y':
      return path.empty() ? std::nullopt : std::optional(path);
    case 'Y':
      return path.empty() ? std::nullopt : std::optional(std::filesystem::path(path).parent_path().string());
    default:
      return std::nullopt;
  }
}

/// Returns the byte that an escape such as "\x2d" at the start of the text stands for.
std::optional<char> escaped_byte(std::string_view text) {
  if (text.size() < 4 || !text.starts_with(R"(\x)")) return std::nullopt;
  unsigned code = 0;
  const auto* const end = std::from_chars(text.data() + 2, text.data() + 4, code, 16).ptr;
  return end == text.data() + 4 ? std::optional(static_cast<char>(code)) : std::nullopt;
}

}  // namespace

std::string unit_name::without_type() const { return instance ? prefix + '@' + *instance : prefix; }

std::optional<unit_name> parse_unit_name(std::string_view text) {
  constexpr std::size_t longest = 255;
  const auto dot = text.rfind('.');
  if (dot == std::string_view::npos || text.size() > longest) return std::nullopt;
  const auto name = text.substr(0, dot);
  const auto at = name.find('@');
  unit_name unit{std::string(name.substr(0, at)), std::nullopt, std::string(text.substr(dot + 1))};
  if (at != std::string_view::npos) unit.instance = name.substr(at + 1);
  const auto is_valid = [](const std::string& part, std::string_view also) {
    return std::all_of(part.begin(), part.end(), [also](char c) {
      return allowed_in_names.find(c) != std::string_view::npos || also.find(c) != std::string_view::npos;
    });
  };
  if (unit.prefix.empty() || unit.type.empty() || !is_valid(unit.prefix, "")) return std::nullopt;
  if (!is_valid(unit.instance.value_or(""), "@")) return std::nullopt;
  return unit;
}

std::string unescape_unit_name(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '-') {
      result += '/';
    } else if (const auto code = escaped_byte(text.substr(at))) {
      result += *code;
      at += 3;
    } else {
      result += text[at];
    }
  }
  return result;
}

std::string escape_unit_name(std::string_view text) {
  constexpr std::string_view kept = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:_.";
  std::string result;
  for (const char c : text) {
    if (c == '/') {
      result += '-';
    } else if (kept.find(c) == std::string_view::npos || (c == '.' && result.empty())) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result;
}

bool names_instance(std::string_view text) noexcept {
  constexpr std::string_view with_instance = "fiInN";
  for (auto at = text.find('%'); at != std::string_view::npos && at + 1 < text.size(); at = text.find('%', at + 2)) {
    if (with_instance.find(text[at + 1]) != std::string_view::npos) return true;
  }
  return false;
}

expansion expand(std::string_view text, const unit_name& unit, const std::string& path) {
  expansion result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      result.text += text[at];
      continue;
    }
    const auto specifier = text.substr(at, 2);
    const auto value = specifier.size() == 2 ? value_of(specifier[1], unit, path) : std::nullopt;
    if (!value) return {"", fmt::format(R"(unknown specifier "{}"; write "%%" for a percent sign)", specifier), at};
    result.text += *value;
    ++at;
  }
  return result;
}

manager_directories directories_of_manager() {
  if (::geteuid() == 0) return {"/run", "/var/lib", "/var/cache", "/var/log", "/etc"};
  const auto state = environment("XDG_STATE_HOME", home() + "/.local/state");
  return {environment("XDG_RUNTIME_DIR", fmt::format("/run/user/{}", ::geteuid())), state,
          environment("XDG_CACHE_HOME", home() + "/.cache"), state + "/log",
          environment("XDG_CONFIG_HOME", home() + "/.config")};
}

}  // namespace sd::activate
