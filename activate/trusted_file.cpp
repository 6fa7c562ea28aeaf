// SPDX-License-Identifier: MIT OR Apache-2.0
#include "trusted_file.hpp"

#include "detail/os/result.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;

constexpr int only_path = O_PATH | O_CLOEXEC;

bool is_trusted(uid_t owner) noexcept { return owner == 0 || owner == ::geteuid(); }

/// Returns whether the kernel follows a symbolic link without using its text, as it does for /proc/self/fd/1.
bool is_magic(int link) noexcept {
  struct statfs system {};
  return ::fstatfs(link, &system) == 0 && static_cast<std::uint32_t>(system.f_type) == PROC_SUPER_MAGIC;
}

/// Opens a file whose path contains no symbolic link, which is the usual case. ELOOP if it does, ENOSYS before
/// Linux 5.6.
unique_fd open_without_links(const std::string& path, int flags, mode_t mode) {
#if __has_include(<linux/openat2.h>)
  open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_NO_SYMLINKS;
  const auto open = [&] { return static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)); };
  return unique_fd(std::max(-1, detail::os::uninterrupted(open)));
#else
  errno = ENOSYS;
  return {};
#endif
}

}  // namespace

unique_fd open_trusted(const std::string& path, int flags, mode_t mode) {
  constexpr int most_links = 40;  // as in Linux
  auto direct = open_without_links(path, flags, mode);
  const bool is_settled = errno != ELOOP && errno != ENOSYS && errno != EPERM;  // which containers give for ENOSYS
  if (direct || is_settled) return direct;
  int links = 0;
  std::string rest = path;
  unique_fd where(::open(path.starts_with('/') ? "/" : ".", only_path | O_DIRECTORY));
  while (where) {
    rest.erase(0, rest.find_first_not_of('/'));
    const auto name = rest.empty() ? "." : rest.substr(0, rest.find('/'));
    rest.erase(0, name.size());
    const bool is_last = rest.find_first_not_of('/') == std::string::npos;
    const auto open_last = [&] {
      const auto open = [&] { return ::openat(where.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode); };
      return unique_fd(std::max(-1, detail::os::uninterrupted(open)));
    };
    if (is_last) {
      auto opened = open_last();
      const bool may_be_link = errno == ELOOP || errno == ENOTDIR;
      if (opened || !may_be_link) return opened;
    }
    unique_fd found(::openat(where.get(), name.c_str(), only_path | O_NOFOLLOW));
    struct stat status {};
    if (!found || ::fstat(found.get(), &status) < 0) return {};
    if (!S_ISLNK(status.st_mode)) {
      if (is_last) return open_last();
      where = std::move(found);
      continue;
    }
    if (!is_trusted(status.st_uid) || ++links > most_links) {
      errno = ELOOP;
      return {};
    }
    if (is_magic(found.get())) {
      found.reset(::openat(where.get(), name.c_str(), is_last ? flags | O_CLOEXEC : only_path, mode));
      if (is_last) return found;
      where = std::move(found);
      continue;
    }
    std::array<char, PATH_MAX> target;
    const auto size = ::readlinkat(found.get(), "", target.data(), target.size());
    if (size < 0) return {};
    rest.insert(0, target.data(), static_cast<std::size_t>(size));
    if (target[0] == '/') where.reset(::open("/", only_path | O_DIRECTORY));
  }
  return {};
}

unique_fd make_directory(const std::string& below, const std::string& name, bool& is_new) {
  constexpr mode_t mode_of_parents = 0755;
  std::error_code ec;
  fs::create_directories(below, ec);
  auto path = fs::path(below);
  auto where = open_trusted(path, only_path | O_DIRECTORY);
  for (const auto& part : fs::path(name).lexically_normal()) {
    if (!where || part.empty()) break;
    path /= part;
    is_new = ::mkdirat(where.get(), part.c_str(), mode_of_parents) == 0;
    if (!is_new && errno != EEXIST) return {};
    where = open_trusted(path, only_path | O_DIRECTORY);
  }
  return where;
}

void remove_directory(const std::string& path) noexcept {
  // Through its parent, which nobody can replace now.
  const auto parent = open_trusted(fs::path(path).parent_path(), only_path | O_DIRECTORY);
  if (!parent) return;
  std::error_code stays;
  fs::remove_all(fmt::format("/proc/self/fd/{}/{}", parent.get(), fs::path(path).filename().string()), stays);
}

std::string other_writers(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) return "";
  std::string all;
  const auto add = [&](const std::string& who) { all += (all.empty() ? "" : " and ") + who; };
  if (!is_trusted(status.st_uid)) add(fmt::format("user {}", status.st_uid));
  const bool is_own_group = status.st_gid == 0 || status.st_gid == ::getegid();
  if ((status.st_mode & S_IWGRP) != 0 && !is_own_group) add(fmt::format("group {}", status.st_gid));
  if ((status.st_mode & S_IWOTH) != 0) add("all users");
  return all;
}

file_contents read_trusted(const std::string& path) {
  constexpr std::size_t longest = 16U << 20U;
  const auto fail = [&](int error) { throw std::system_error(error, std::generic_category(), path); };
  const auto fd = open_trusted(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);  // a FIFO would wait for a writer
  if (!fd) fail(errno);
  file_contents result;
  std::array<char, 65536> buffer;
  int size = 0;
  const auto read = [&] { return static_cast<int>(::read(fd.get(), buffer.data(), buffer.size())); };
  while ((size = detail::os::uninterrupted(read)) > 0) {
    result.text.append(buffer.data(), static_cast<std::size_t>(size));
    if (result.text.size() > longest) fail(EFBIG);
  }
  if (size < 0) fail(-size);
  result.other_writers = other_writers(fd.get());
  return result;
}

}  // namespace sd::activate
