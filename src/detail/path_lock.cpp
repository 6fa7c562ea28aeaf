// SPDX-License-Identifier: MIT OR Apache-2.0
#include "path_lock.hpp"

#if SD_HAS_DESCRIPTORS

#include "os/descriptors.hpp"
#include "os/files.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sd::detail {

path_lock::path_lock(const std::string& path) noexcept : status_(acquire(path)) {}

path_lock::~path_lock() {
  if (status_ < 0) return;
  os::remove(name_);
  os::unlock(file_.get());  // closing the descriptor is not enough if a forked child has a copy
}

int path_lock::acquire(const std::string& path) noexcept {
  std::snprintf(name_, sizeof name_, "%s%s", path.c_str(), suffix);
  while (true) {
    if (const int result = open(); result < 0) return result;
    if (const int result = os::lock(file_.get()); result < 0) return result;
    os::file locked;
    os::file there;
    if (const int result = os::status(file_.get(), locked); result < 0) return result;
    // The former holder may have removed the file that is locked now. Later processes would lock a new one.
    const int result = os::link_status(name_, there);
    if (result == 0 && os::is_same(locked, there)) return 0;
    if (result < 0 && result != -ENOENT) return result;
  }
}

/// Opens the lock file, and creates it if need be.
int path_lock::open() noexcept {
  while (true) {
    int fd = os::create_file(name_);
    if (fd >= 0) {
      file_ = unique_fd(fd);
      share();
      return 0;
    }
    if (fd != -EEXIST) return fd;
    // Without O_CREAT, which Linux may forbid for the files of other users in a sticky directory
    // (fs.protected_regular).
    fd = os::open_file(name_);
    if (fd >= 0) {
      file_ = unique_fd(fd);
      return 0;
    }
    if (fd != -ENOENT) return fd;  // else its holder has just removed it
  }
}

/// Gives a new lock file the owner and write permissions of its directory. If this process is killed, processes of
/// other users can then lock the file that it leaves. Users without write access to the directory cannot open the file,
/// and so cannot hold the lock. Failures are ignored: the file then stays private.
void path_lock::share() noexcept {
  constexpr unsigned group_write = 0020;
  constexpr unsigned others_write = 0002;
  constexpr unsigned for_owner = 0600;
  constexpr unsigned for_group = 0060;
  constexpr unsigned for_others = 0006;

  char directory[sizeof name_];
  std::snprintf(directory, sizeof directory, "%s", name_);
  if (auto* const slash = std::strrchr(directory, '/'); slash != nullptr) slash[1] = '\0';
  os::file where;
  if (os::status(directory, where) < 0) return;
  if ((where.mode & others_write) != 0) {
    os::change_mode(file_.get(), for_owner | for_group | for_others);
    return;
  }
  const bool group_may = (where.mode & group_write) != 0;
  if (where.owner == os::effective_user() && !group_may) return;
  const int result = os::change_owner(file_.get(), where.owner, where.group);
  if (!group_may || (result < 0 && os::change_owner(file_.get(), os::same_id, where.group) < 0)) return;
  os::change_mode(file_.get(), for_owner | for_group);
}

}  // namespace sd::detail

#endif
