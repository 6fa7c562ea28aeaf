// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sockets.hpp"

#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>

#include "detail/bind_socket.hpp"
#include "detail/open_other.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/sockets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

namespace fs = std::filesystem;

std::string text_of_errno() { return std::generic_category().message(errno); }

/// Who owns the paths of a unit.
struct owner {
  std::optional<unsigned> user;
  std::optional<unsigned> group;
};

owner owner_of(const socket_unit& unit) {
  owner result;
  if (unit.user) {
    result.user = user_id("SocketUser", *unit.user);
    const auto* const entry = ::getpwuid(*result.user);
    if (entry != nullptr) result.group = entry->pw_gid;
  }
  if (unit.group) result.group = group_id("SocketGroup", *unit.group);
  return result;
}

bool is_in_scope(const socket_option& option, int family, int type) {
  const bool is_internet = family == AF_INET || family == AF_INET6;
  switch (option.scope) {
    case option_scope::all_sockets:
      return true;
    case option_scope::internet:
      return is_internet;
    case option_scope::tcp:
      return is_internet && type == SOCK_STREAM;
    case option_scope::unix_domain:
      return family == AF_UNIX;
    case option_scope::netlink:
      return family == AF_NETLINK;
    case option_scope::unix_or_netlink:
      return family == AF_UNIX || family == AF_NETLINK;
  }
  return false;
}

int option_of(int fd, int level, int name) {
  int value = 0;
  return detail::os::socket_option(fd, level, name, value) < 0 ? -1 : value;
}

/// Gives a file that is open, and that may have been there before, to the owner of the unit's paths.
void set_owner(int fd, const socket_unit& unit, const std::string& where) {
  const auto [user, group] = owner_of(unit);
  struct stat status {};
  if (::fstat(fd, &status) < 0) fail(errno, where);
  // Somebody else may have put it there, or linked to it, to read what clients send.
  const bool is_own = status.st_uid == ::geteuid() || status.st_uid == user;
  if (!is_own || status.st_nlink > 1) fail(EEXIST, fmt::format("{}, which belongs to user {}", where, status.st_uid));
  if ((user || group) && ::fchown(fd, user.value_or(UINT32_MAX), group.value_or(UINT32_MAX)) < 0) {
    fail(errno, "change the owner of " + where);
  }
}

/// Sets the options of one socket, and reads them back.
class options_of_socket {
 public:
  options_of_socket(int fd, const std::string& where, const socket_unit& unit, const warn_function& warn)
      : fd_(fd),
        family_(option_of(fd, SOL_SOCKET, SO_DOMAIN)),
        type_(option_of(fd, SOL_SOCKET, SO_TYPE)),
        where_(where),
        unit_(unit),
        warn_(warn) {}

  void set_all() {
    // As systemd does for sockets of all kinds.
    set_and_check("SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 1);
    set_options();
    if (!unit_.congestion.empty() && (family_ == AF_INET || family_ == AF_INET6) && type_ == SOCK_STREAM) {
      set_text("TCPCongestion", IPPROTO_TCP, TCP_CONGESTION, unit_.congestion);
    }
    if (!unit_.device.empty()) set_text("BindToDevice", SOL_SOCKET, SO_BINDTODEVICE, unit_.device);
  }

  void set_options() {
    for (const auto& [option, value] : unit_.options) {
      if (!is_in_scope(*option, family_, type_)) continue;
      const bool has_own = family_ == AF_INET6 && option->ipv6_option != 0;
      set_and_check(option->setting, has_own ? option->ipv6_level : option->level,
                    has_own ? option->ipv6_option : option->option, value);
    }
  }

 private:
  void set_and_check(std::string_view setting, int level, int name, int value) {
    const bool is_buffer = level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF);
    if (is_buffer) {
      // The privileged form is not limited by the system's maximum.
      const int forced = name == SO_RCVBUF ? SO_RCVBUFFORCE : SO_SNDBUFFORCE;
      if (::setsockopt(fd_, level, forced, &value, sizeof value) == 0) return;
    }
    if (::setsockopt(fd_, level, name, &value, sizeof value) < 0) {
      if (warn_) warn_(fmt::format("{}={}: not set for {}: {}", setting, value, where_, text_of_errno()));
      return;
    }
    if (!warn_) return;
    const int result = option_of(fd_, level, name);
    // The kernel doubles the size of a buffer, and rounds some times up.
    if (result < value) warn_(fmt::format("{}={}: the kernel made it {} for {}", setting, value, result, where_));
  }

  void set_text(std::string_view setting, int level, int name, const std::string& value) {
    if (::setsockopt(fd_, level, name, value.data(), static_cast<socklen_t>(value.size())) < 0) {
      warn_(fmt::format("{}={}: not set for {}: {}", setting, value, where_, text_of_errno()));
    }
  }

  int fd_;
  int family_;
  int type_;
  const std::string& where_;
  const socket_unit& unit_;
  const warn_function& warn_;
};

struct configuration {
  const std::string& where;
  const socket_unit& unit;
  const warn_function& warn;
};

bool configure(void* argument, int fd, detail::failure&) {
  const auto& [where, unit, warn] = *static_cast<configuration*>(argument);
  options_of_socket(fd, where, unit, warn).set_all();
  return true;
}

kind kind_of(listen_kind kind) {
  switch (kind) {
    case listen_kind::datagram:
      return kind::datagram;
    case listen_kind::seqpacket:
      return kind::seqpacket;
    default:
      return kind::stream;
  }
}

/// Throws if the system cannot tell when a file is ready, as for /dev/null.
void check_that_traffic_is_seen(int fd, const std::string& where) {
  const unique_fd watcher(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  if (!watcher || ::epoll_ctl(watcher.get(), EPOLL_CTL_ADD, fd, &event) < 0)
    fail(errno, "watch ListenSpecial=" + where);
}

}  // namespace

void fail(int error, const std::string& what) { throw std::system_error(error, std::generic_category(), what); }

unique_fd duplicate(int fd) {
  const int copy = detail::os::duplicate(fd, STDERR_FILENO + 1);
  if (copy < 0) fail(-copy, "duplicate a descriptor");
  return unique_fd(copy);
}

unsigned user_id(std::string_view setting, const std::string& name) {
  if (const auto number = parse_number(name, UINT32_MAX - 1)) return static_cast<unsigned>(*number);
  const auto* const entry = ::getpwnam(name.c_str());
  if (entry == nullptr) throw std::runtime_error(fmt::format("{}={}: there is no such user", setting, name));
  return entry->pw_uid;
}

unsigned group_id(std::string_view setting, const std::string& name) {
  if (const auto number = parse_number(name, UINT32_MAX - 1)) return static_cast<unsigned>(*number);
  const auto* const entry = ::getgrnam(name.c_str());
  if (entry == nullptr) throw std::runtime_error(fmt::format("{}={}: there is no such group", setting, name));
  return entry->gr_gid;
}

void set_options_of_connection(int fd, const socket_unit& unit) {
  if (unit.options.empty()) return;
  const std::string where = "a connection";
  options_of_socket(fd, where, unit, nullptr).set_options();
}

created_files::~created_files() {
  for (const auto& path : paths_) ::unlink(path.c_str());
  for (const auto& queue : message_queues_) ::mq_unlink(queue.c_str());
  for (auto each = directories_.rbegin(); each != directories_.rend(); ++each) ::rmdir(each->c_str());
}

void created_files::keep() noexcept {
  paths_.clear();
  message_queues_.clear();
}

open_sockets::open_sockets(const socket_unit& unit, const warn_function& warn) : unit_(&unit) {
  const auto name = unit.fd_name.empty() ? unit.name.full() : unit.fd_name;
  for (const auto& each : unit.listens) fds_.push_back({name, open(each, warn)});
  add_symlinks(warn);
  created_.keep_directories();
}

void open_sockets::keep_paths() noexcept {
  if (unit_->remove_on_stop) return;
  for (auto& each : sockets_) each.keep_path();
  created_.keep();
}

unique_fd open_sockets::open(const listen& what, const warn_function& warn) {
  const auto checked = [&](int result, const char* setting) {
    if (result < 0) fail(-result, fmt::format("{}={}", setting, what.where));
    return unique_fd(result);
  };
  switch (what.kind) {
    case listen_kind::fifo:
      return open_fifo(what, warn);
    case listen_kind::special: {
      auto fd = checked(detail::open_special(what.where, unit_->writable), "ListenSpecial");
      check_that_traffic_is_seen(fd.get(), what.where);
      return fd;
    }
    case listen_kind::netlink: {
      auto fd = checked(detail::open_netlink(what.netlink_family, what.netlink_group), "ListenNetlink");
      options_of_socket(fd.get(), what.where, *unit_, warn).set_all();
      return fd;
    }
    case listen_kind::message_queue:
      return open_message_queue(what, warn);
    default:
      return open_socket(what, warn);
  }
}

unique_fd open_sockets::open_socket(const listen& what, const warn_function& warn) {
  bind_options options;
  options.kind = kind_of(what.kind);
  options.backlog = unit_->backlog > INT_MAX ? -1 : static_cast<int>(unit_->backlog);
  options.ipv6 = unit_->ipv6;
  options.socket_mode = unit_->mode;
  options.nonblocking = nonblocking::on;
  if (!what.socket.path().empty()) {
    make_parents(what.where);
    const auto paths_owner = owner_of(*unit_);
    options.socket_uid = paths_owner.user;
    options.socket_gid = paths_owner.group;
  }
  configuration how{what.where, *unit_, warn};
  detail::failure why;
  auto socket = detail::bind_socket(what.socket, options, {unit_->protocol, configure, &how}, why);
  if (why) throw std::system_error(why.code, why.step);
  auto fd = socket.release_fd();
  sockets_.push_back(std::move(socket));
  return fd;
}

unique_fd open_sockets::open_fifo(const listen& what, const warn_function& warn) {
  make_parents(what.where);
  int result = -1;
  created_.add_path(what.where, [&] {
    bool is_new = false;
    result = detail::open_fifo(what.where, is_new);
    return is_new;
  });
  if (result < 0) fail(-result, "ListenFIFO=" + what.where);
  unique_fd fd(result);
  set_owner(result, *unit_, what.where);
  if (::fchmod(result, unit_->mode) < 0) fail(errno, "change the mode of " + what.where);
  if (unit_->pipe_size && ::fcntl(result, F_SETPIPE_SZ, static_cast<int>(*unit_->pipe_size)) < 0) {
    warn(fmt::format("PipeSize={}: not set for {}: {}", *unit_->pipe_size, what.where, text_of_errno()));
  }
  return fd;
}

unique_fd open_sockets::open_message_queue(const listen& what, const warn_function&) {
  mq_attr attributes{};
  attributes.mq_maxmsg = unit_->queue_messages.value_or(0);
  attributes.mq_msgsize = unit_->queue_message_size.value_or(0);
  bool is_new = false;
  int result = -1;
  created_.add_message_queue(what.where, [&] {
    result = detail::open_message_queue(what.where, unit_->mode, unit_->queue_messages ? &attributes : nullptr, is_new);
    return is_new;
  });
  if (result < 0) fail(-result, "ListenMessageQueue=" + what.where);
  unique_fd fd(result);
  set_owner(result, *unit_, what.where);
  if (is_new && ::fchmod(result, unit_->mode) < 0) fail(errno, "change the mode of " + what.where);
  return fd;
}

/// Makes the directories above a path, with the mode of the unit whatever the umask.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the path
void open_sockets::make_parents(const std::string& path) {
  const auto parent = fs::path(path).parent_path().string();
  if (parent.empty() || fs::exists(parent)) return;
  make_parents(parent);
  // Not chmod(2) afterwards: somebody else may have replaced the directory by then.
  int error = 0;
  created_.add_directory(parent, [&] {
    const auto mask = ::umask(0);
    if (::mkdir(parent.c_str(), unit_->directory_mode) < 0) error = errno;
    ::umask(mask);
    return error == 0;
  });
  if (error != 0 && error != EEXIST) fail(error, "make directory " + parent);
}

void open_sockets::add_symlinks(const warn_function& warn) {
  const auto& listens = unit_->listens;
  const auto target = std::find_if(listens.begin(), listens.end(), [](const auto& each) { return each.has_path(); });
  for (const auto& link : unit_->symlinks) {
    make_parents(link);
    std::error_code ec;
    if (fs::is_symlink(link, ec)) fs::remove(link, ec);
    int error = 0;
    created_.add_path(link, [&] {
      if (::symlink(target->where.c_str(), link.c_str()) < 0) error = errno;
      return error == 0;
    });
    if (error != 0) warn(fmt::format("Symlinks={}: not created: {}", link, std::generic_category().message(error)));
  }
}

}  // namespace sd::activate
