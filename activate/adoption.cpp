// SPDX-License-Identifier: MIT OR Apache-2.0
#include "adoption.hpp"

#include "process.hpp"
#include "sockets.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;

constexpr const char* library_name = "libsd-adopt.so";

/// Returns the path of a program, which may be a name in one of the directories. Empty if there is none.
fs::path locate(const std::string& program, std::string_view directories) {
  if (program.find('/') != std::string::npos) return program;
  while (!directories.empty()) {
    const auto end = directories.find(':');
    const auto candidate = fs::path(directories.substr(0, end)) / program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    directories.remove_prefix(end == std::string_view::npos ? directories.size() : end + 1);
  }
  return {};
}

template <class Value>
bool read(std::ifstream& file, std::uint64_t offset, Value& value) {
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(&value), sizeof value);
  return file.good();
}

/// Returns whether a note is one of those that the Go toolchain writes.
bool is_note_of_go(std::ifstream& file, std::uint64_t offset) {
  struct {
    Elf64_Nhdr header;  // the same for both sizes
    char name[4];
  } note{};
  return read(file, offset, note) && note.header.n_namesz == sizeof note.name && std::memcmp(note.name, "Go", 3) == 0;
}

template <class Header, class Segment>
std::string obstacle_in(std::ifstream& file) {
  Header header{};
  if (!read(file, 0, header)) return "";
  bool has_interpreter = false;
  bool is_go = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Segment segment{};
    if (!read(file, header.e_phoff + i * sizeof segment, segment)) return "";
    has_interpreter = has_interpreter || segment.p_type == PT_INTERP;
    is_go = is_go || (segment.p_type == PT_NOTE && is_note_of_go(file, segment.p_offset));
  }
  if (is_go) return "is written in Go, whose programs do not call the C library";
  return has_interpreter ? "" : "is linked statically, so that no library can be preloaded";
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as Linux executes interpreters of interpreters
std::string obstacle_of_file(const fs::path& path, const identity& self, int depth = 0) {
  constexpr int deepest = 5;
  if (depth == deepest) return "";
  struct stat status {};
  if (::stat(path.c_str(), &status) < 0) return "";
  const bool changes_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != self.user;
  const bool changes_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != self.group;
  const bool has_capabilities = ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0 && self.user != 0;
  if (changes_user || changes_group || has_capabilities) return "gains privileges, so that no library is preloaded";
  std::ifstream file(path, std::ios::binary);
  unsigned char ident[EI_NIDENT] = {};
  if (!read(file, 0, ident)) return "";
  if (std::memcmp(ident, "#!", 2) == 0) {
    file.seekg(2);
    std::string interpreter;
    file >> interpreter;
    const auto why = fs::path(interpreter).filename() == "env" ? "" : obstacle_of_file(interpreter, self, depth + 1);
    return why.empty() ? "" : fmt::format("is run by {}, which {}", interpreter, why);
  }
  if (std::memcmp(ident, ELFMAG, SELFMAG) != 0) return "";
  if (ident[EI_CLASS] == ELFCLASS64) return obstacle_in<Elf64_Ehdr, Elf64_Phdr>(file);
  return obstacle_in<Elf32_Ehdr, Elf32_Phdr>(file);
}

}  // namespace

std::string find_adopt_library() {
  const auto own = fs::read_symlink("/proc/self/exe").parent_path();
  for (const auto& directory : {own, own / SD_ADOPT_DIRECTORY}) {
    const auto path = (directory / library_name).lexically_normal();
    if (!fs::exists(path)) continue;
    if (path.string().find_first_of(" :") != std::string::npos) {
      fail(EINVAL, fmt::format("LD_PRELOAD cannot name {}, which contains a space or a colon", path.string()));
    }
    return path;
  }
  fail(ENOENT, fmt::format("{} in {} or {}", library_name, own.string(),
                           (own / SD_ADOPT_DIRECTORY).lexically_normal().string()));
}

void check_adoption(const service_unit& service, std::string_view path, diagnostics& problems) try {
  const auto self = identity_of(service);
  for (const auto& line : service.start) {
    const auto why = obstacle_of_file(locate(line.program, path), line.is_privileged ? own_identity() : self);
    if (!why.empty()) problems.error(line.at, fmt::format("--adopt: {} {}", line.program, why));
  }
} catch (const std::runtime_error&) {  // an unknown user or group, which the start of the service reports
}

}  // namespace sd::activate
