// SPDX-License-Identifier: MIT OR Apache-2.0
#include "descriptor_store.hpp"

#include "process.hpp"
#include "sockets.hpp"

#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

/// Returns whether two descriptors refer to the same open file, provided that fstat(2) does not tell them apart.
bool are_same(int one, int other, mode_t type) {
  const auto pid = ::getpid();
  const auto order = ::syscall(SYS_kcmp, pid, pid, KCMP_FILE, one, other);
  // Without kcmp(2), which containers may forbid, sockets can still be compared: each has an inode of its own.
  return order == 0 || (order < 0 && S_ISSOCK(type));
}

/// Returns whether a name can stand in LISTEN_FDNAMES.
bool is_valid_name(std::string_view name) {
  constexpr std::size_t longest = 255;
  const auto is_invalid = [](unsigned char c) { return c < ' ' || c >= 127 || c == ':'; };
  return !name.empty() && name.size() <= longest && std::none_of(name.begin(), name.end(), is_invalid);
}

}  // namespace

descriptor_store::descriptor_store(asio::io_context& io, std::vector<listen_fd>& passed, std::size_t most,
                                   std::string unit, const event_log& log)
    : passed_(passed),
      first_(passed.size()),
      most_(most),
      unit_(std::move(unit)),
      log_(log),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      watch_(io) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  raise_descriptor_limit();
  watch_.assign(duplicate(epoll_.get()).release());
  wait_for_hangup();
}

void descriptor_store::handle(notification& message) {
  auto name = message.find("FDNAME");
  if (name && !is_valid_name(*name)) {
    log_.warning(fmt::format("{}: FDNAME={} is not a valid name, and is ignored", unit_, *name));
    name.reset();
  }
  if (name && message.find("FDSTOREREMOVE") == "1") {
    for (std::size_t i = size(); i-- > 0;) {
      if (passed_[first_ + i].name == *name) erase(i);
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

bool descriptor_store::contains(int fd, const identity& what) const {
  for (std::size_t i = 0; i < size(); ++i) {
    const auto& [device, inode, type] = identities_[i];
    if (device == what.device && inode == what.inode && are_same(descriptor(i).get(), fd, type)) return true;
  }
  return false;
}

void descriptor_store::add(unique_fd fd, const std::string& name, bool is_watched) {
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) return;
  const identity what{status.st_dev, status.st_ino, status.st_mode};
  if (contains(fd.get(), what)) return;
  epoll_event event{};
  event.data.fd = fd.get();
  // Files that are not pollable stay until they are removed.
  if (is_watched) ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  identities_.push_back(what);
  passed_.push_back({name, std::move(fd)});
}

void descriptor_store::erase(std::size_t index) {
  // The open file may outlive this descriptor, and epoll would go on to report it.
  epoll_event ignored{};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor(index).get(), &ignored);
  identities_.erase(identities_.begin() + static_cast<std::ptrdiff_t>(index));
  passed_.erase(passed_.begin() + static_cast<std::ptrdiff_t>(first_ + index));
}

void descriptor_store::clear() {
  while (size() != 0) erase(size() - 1);
}

void descriptor_store::wait_for_hangup() {
  watch_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& cancelled) {
    if (cancelled) return;
    erase_those_that_hung_up();
    wait_for_hangup();
  });
}

void descriptor_store::erase_those_that_hung_up() {
  std::array<epoll_event, 64> events;
  int count = 0;
  while ((count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 0)) > 0) {
    for (int i = 0; i < count; ++i) {
      for (std::size_t each = size(); each-- > 0;) {
        if (descriptor(each).get() == events[static_cast<std::size_t>(i)].data.fd) erase(each);
      }
    }
  }
}

}  // namespace sd::activate
