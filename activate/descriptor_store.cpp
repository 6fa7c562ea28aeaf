// SPDX-License-Identifier: MIT OR Apache-2.0
#include "descriptor_store.hpp"

#include "process.hpp"
#include "sockets.hpp"
#include "values.hpp"

#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <utility>

namespace sd::activate {

namespace {

/// Returns whether two descriptors refer to the same open file, provided that they refer to the same file.
bool are_same(int one, int other, detail::os::file_type type) {
  const auto pid = ::getpid();
  const auto order = ::syscall(SYS_kcmp, pid, pid, KCMP_FILE, one, other);
  // Without kcmp(2), which containers may forbid, sockets can still be compared: each has an inode of its own.
  return order == 0 || (order < 0 && type == detail::os::file_type::socket);
}

unique_fd open_epoll() {
  unique_fd fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd) fail(errno, "epoll_create1");
  return fd;
}

}  // namespace

descriptor_store::descriptor_store(asio::io_context& io, std::vector<listen_fd>& passed, std::size_t most,
                                   std::string unit, const event_log& log)
    : passed_(passed),
      first_(passed.size()),
      most_(most),
      unit_(std::move(unit)),
      log_(log),
      epoll_(open_epoll()),
      watcher_(io, epoll_.get(), [this] { erase_those_that_hung_up(); }) {
  raise_descriptor_limit();
  watcher_.arm();
}

void descriptor_store::handle(notification& message) {
  auto name = message.find("FDNAME");
  if (name && (name->empty() || !is_fd_name(*name))) {
    log_.warning(fmt::format("{}: FDNAME={} is not a valid name, and is ignored", unit_, *name));
    name.reset();
  }
  if (message.find("FDSTOREREMOVE") == "1") {
    for (std::size_t i = size(); i-- > 0;) {
      if (passed_[first_ + i].name == name) erase(i);
    }
  }
  if (message.find("FDSTORE") != "1") return;
  std::size_t refused = 0;
  for (auto& fd : message.fds) {
    if (size() < most_) {
      add(std::move(fd), std::string(name.value_or("stored")), message.find("FDPOLL") != "0");
    } else {
      ++refused;
    }
  }
  if (refused != 0) {
    log_.warning(
        fmt::format("{}: FileDescriptorStoreMax={} is reached; {} descriptors were closed", unit_, most_, refused));
  }
}

bool descriptor_store::contains(int fd, const detail::os::file& what) const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (is_same(files_[i], what) && are_same(descriptor(i).get(), fd, what.type)) return true;
  }
  return false;
}

void descriptor_store::add(unique_fd fd, const std::string& name, bool is_watched) {
  detail::os::file what;
  // A descriptor that cannot be examined is kept, although it may be a copy.
  if (detail::os::status(fd.get(), what) == 0 && contains(fd.get(), what)) return;
  epoll_event event{};
  event.data.fd = fd.get();
  // Files that are not pollable stay until they are removed.
  if (is_watched) ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  files_.push_back(what);
  passed_.push_back({name, std::move(fd)});
}

void descriptor_store::erase(std::size_t index) {
  // The open file may outlive this descriptor, and epoll would go on to report it.
  epoll_event ignored{};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor(index).get(), &ignored);
  files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(index));
  passed_.erase(passed_.begin() + static_cast<std::ptrdiff_t>(first_ + index));
}

void descriptor_store::clear() {
  while (size() != 0) erase(size() - 1);
}

void descriptor_store::erase_those_that_hung_up() {
  std::array<epoll_event, 64> events;
  int count = 0;
  while ((count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 0)) > 0) {
    for (const auto& event : std::span(events).first(static_cast<std::size_t>(count))) {
      for (std::size_t each = size(); each-- > 0;) {
        if (descriptor(each).get() == event.data.fd) erase(each);
      }
    }
  }
  watcher_.arm();
}

}  // namespace sd::activate
