#include <sd/idle.hpp>
#include <sd/notify.hpp>

#include "detail/os/sockets.hpp"

#include <algorithm>
#include <climits>
#include <system_error>

namespace sd {

namespace {

using namespace std::chrono;

constexpr std::int64_t stopped = INT64_MIN;

std::int64_t now() noexcept { return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count(); }

bool is_readable([[maybe_unused]] int fd) noexcept {
#if SD_HAS_DESCRIPTORS
  return detail::os::is_readable(fd) != 0;  // where it cannot be told, somebody may be waiting
#else
  return true;
#endif
}

}  // namespace

idle_exit::idle_exit(milliseconds after) noexcept : after_(after), since_(now()) {}

void idle_exit::watch(int fd, origin origin) {
  fds_.push_back(fd);
  if (origin != origin::passed) armed_ = false;
}

idle_exit::work idle_exit::begin() noexcept {
  auto busy = busy_.load();
  do {
    if (busy < 0) return {};
  } while (!busy_.compare_exchange_weak(busy, busy + 1));
  return work(this);
}

void idle_exit::end() noexcept {
  since_ = now();
  --busy_;
}

bool idle_exit::try_stop() noexcept {
  if (!armed_ || fds_.empty()) return false;
  if (busy_.load() == stopped) return true;
  if (busy_.load() != 0 || now() - since_ < after_.count()) return false;
  // From here on nobody accepts: who comes now stays in the queue, and if the queue is empty, for the next instance.
  std::int64_t none = 0;
  if (!busy_.compare_exchange_strong(none, stopped)) return false;
  if (std::any_of(fds_.begin(), fds_.end(), is_readable)) {
    busy_ = 0;
    return false;
  }
  std::error_code ignored;  // who cannot be told will see it
  notify({state::stopping()}, ignored);
  return true;
}

int idle_exit::timeout() const noexcept {
  if (!armed_ || fds_.empty()) return -1;
  const auto left = busy_ != 0 ? after_.count() : after_.count() - (now() - since_);
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

}  // namespace sd
