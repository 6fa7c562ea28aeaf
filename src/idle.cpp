// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/idle.hpp>
#include <sd/notify.hpp>

#include "detail/os/sockets.hpp"

#include <algorithm>
#include <climits>
#include <system_error>

namespace sd {
inline namespace v0 {

namespace {

using namespace std::chrono;

// States without work.
constexpr int idle = 0;
constexpr int checking = -1;  // try_stop() checks the queues; begin() may cancel this
constexpr int stopped = -2;

/// The time modulo the range of unsigned, which is 49 days or more. Differences of two times are correct as long as
/// they are shorter than that.
unsigned now() noexcept {
  return static_cast<unsigned>(duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

/// Returns true if poll(2) fails, because a client may be waiting then.
bool may_be_readable([[maybe_unused]] int fd) noexcept {
#if SD_HAS_DESCRIPTORS
  return detail::os::is_readable(fd) != 0;
#else
  return true;
#endif
}

}  // namespace

idle_exit::idle_exit(milliseconds after) noexcept
    : after_(static_cast<int>(std::clamp<milliseconds::rep>(after.count(), 0, milliseconds(hours(24 * 24)).count()))),
      since_(now()) {}

void idle_exit::watch(const server_socket& socket) {
  fds_.push_back(socket.get());
  if (socket.origin() != origin::passed) all_passed_ = false;
}

bool idle_exit::armed() const noexcept { return all_passed_ && !fds_.empty(); }

idle_exit::work idle_exit::begin() noexcept {
  int state = state_;
  do {
    if (state == stopped) return {};
  } while (!state_.compare_exchange_weak(state, std::max(state, idle) + 1));
  return work(this);
}

void idle_exit::end() noexcept {
  since_ = now();
  --state_;
}

bool idle_exit::try_stop() noexcept {
  if (!armed()) return false;
  int state = idle;
  if (!state_.compare_exchange_strong(state, checking)) return state == stopped;
  const bool needed = remaining() > 0 || std::any_of(fds_.begin(), fds_.end(), may_be_readable);
  // If work has begun meanwhile, the state is no longer `checking`, even if that work has ended: the attempt has
  // failed. If not, nothing was accepted since the check. A client that has connected since stays in the queue.
  state = checking;
  if (!state_.compare_exchange_strong(state, needed ? idle : stopped) || needed) return false;
  std::error_code ignored;  // the manager also notices the exit itself
  notify({state::stopping()}, ignored);
  return true;
}

int idle_exit::timeout() const noexcept {
  if (!armed()) return -1;
  return state_ > 0 ? after_ : remaining();
}

int idle_exit::remaining() const noexcept {
  const unsigned since = since_;  // read before the time, which is then never the earlier one
  const unsigned elapsed = now() - since;
  const auto after = static_cast<unsigned>(after_);
  return static_cast<int>(after - std::min(elapsed, after));
}

}  // namespace v0
}  // namespace sd
