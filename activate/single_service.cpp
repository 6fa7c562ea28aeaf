// SPDX-License-Identifier: MIT OR Apache-2.0
#include "single_service.hpp"

#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include "detail/os/sockets.hpp"
#include "process_group.hpp"
#include "sockets.hpp"
#include "values.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <new>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto shortest_run = 200ms;  ///< A run that is shorter counts as a crash loop's.

/// Discards the connections or messages that wait in the queue of a socket.
void flush(int fd) {
  const auto what = describe(fd);
  detail::os::set_nonblocking(fd, true);
  if (what.kind == kind::stream || what.kind == kind::seqpacket) {
    while (unique_fd(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC))) continue;
  } else {
    std::array<char, 65536> buffer;
    for (ssize_t size = 1; size > 0 || (size == 0 && what.kind == kind::datagram);) {
      size = ::read(fd, buffer.data(), buffer.size());
    }
  }
}

}  // namespace

single_service::single_service(asio::io_context& io, const plan& what, std::vector<listen_fd>& fds,
                               std::vector<socket_group> groups, const event_log& log,
                               std::function<void(int exit_status)> on_end)
    : io_(io),
      plan_(what),
      fds_(fds),
      sockets_(fds.size()),
      groups_(std::move(groups)),
      log_(log),
      on_end_(std::move(on_end)),
      unit_(plan_.service("")),
      start_limit_(unit_.start_limit()),
      pause_timer_(io),
      settling_(io) {
  starter_ = std::make_shared<process_starter>(unit_, plan_.environment, plan_.pid);
  if (unit_.has_store()) store_.emplace(io_, fds_, unit_.most_stored_descriptors, unit_.name.full(), log_);
  auto next = fds_.begin();
  for (auto& group : groups_) {
    for (std::size_t i = 0; i < group.count; ++i, ++next) {
      watchers_.push_back(std::make_unique<watcher>(io_, next->fd.get(), [this, &group] { start_for_traffic(group); }));
    }
  }
  if (plan_.stop_idle != infinity) idle_.emplace(io_, fds_, plan_.stop_idle, [this] { stop_idle(); });
}

single_service::~single_service() { starter_->remove_runtime_directories(); }

void single_service::start() {
  disarm();
  if (!start_limit_.admits(clock::now())) return give_up();
  // After the watchers, which make the sockets nonblocking.
  for (std::size_t i = 0; i < sockets_; ++i) detail::os::set_nonblocking(fds_[i].fd.get(), unit_.nonblocking);
  started_ = clock::now();
  if (idle_) idle_->start();
  try {
    current_ = make();
  } catch (const std::system_error& error) {
    return handle_failure({outcome::exit_code, 1, error.what(), lacks_resources(error.code()), {}});
  }
  current_->start();
}

void single_service::wait_for_traffic() {
  for (auto& each : watchers_) each->arm();
}

void single_service::restart() {
  if (on_stopped_) return;
  if (!current_) return end_pause();
  if (current_->now() == service::state::stopping) return;
  if (next_ || previous_) {
    is_restart_wanted_ = true;  // once this one is over
    return;
  }
  log_.info(fmt::format("{}: restarting", unit_.name.full()));
  if (store_) {
    // Two processes cannot share the stored descriptors.
    starts_again_ = true;
    return current_->stop(service::purpose::restart);
  }
  if (!start_limit_.admits(clock::now())) return report_failed_restart("its start limit is reached");
  try {
    next_ = make();
  } catch (const std::system_error& error) {
    return report_failed_restart(error.what());
  }
  next_->start();
}

void single_service::stop(std::function<void()> on_stopped) {
  on_stopped_ = std::move(on_stopped);
  disarm();
  pause_timer_.cancel();
  settling_.cancel();
  for (const auto& each : all()) {
    if (each) each->stop();
  }
  report_if_stopped();
}

bool single_service::handle_exit(int pid, int status) {
  const auto runs = all();
  return std::any_of(runs.begin(), runs.end(),
                     [&](const auto& each) { return each && each->handle_exit(pid, status); });
}

void single_service::forward(int signal) const {
  if (current_) current_->forward(signal);
}

void single_service::kill() const {
  for (const auto& each : all()) {
    if (each) each->kill();
  }
}

std::array<std::shared_ptr<service>, 3> single_service::all() const { return {current_, next_, previous_}; }

std::shared_ptr<service> single_service::make() try {
  process_details details;
  details.fds = &fds_;
  if (sockets_ == 1) details.socket = fds_.front().fd.get();
  service::events handlers;
  handlers.on_ready = [this](service& ready) { handle_ready(ready); };
  handlers.on_end = [this](service& ended, const service_result& result) { handle_end(ended, result); };
  if (store_) {
    details.variables["FDSTORE"] = std::to_string(unit_.most_stored_descriptors);
    handlers.on_store = [this](notification& message) { store_->handle(message); };
  }
  return std::make_shared<service>(io_, starter_, details, log_, handlers);
} catch (const std::bad_alloc&) {
  fail(ENOMEM, "start " + unit_.name.full());
}

void single_service::disarm() {
  for (auto& each : watchers_) each->disarm();
}

void single_service::start_for_traffic(socket_group& group) {
  if (current_ || on_stopped_) return;
  if (!group.triggers.admits(clock::now())) {
    log_.error(exceeded_trigger_limit(group.name, group.triggers));
    return on_end_(EXIT_FAILURE);
  }
  start();
}

void single_service::handle_ready(service& ready) {
  if (std::exchange(is_replaced_, false)) report_restart();
  if (&ready != next_.get()) return;
  if (unit_.notifies() || unit_.adopts()) return take_over();
  settling_.expires_after(settling_time);
  settling_.async_wait([this](const std::error_code& cancelled) {
    if (!cancelled) take_over();
  });
}

void single_service::take_over() {
  if (!next_) return;
  previous_ = std::exchange(current_, std::exchange(next_, nullptr));
  started_ = clock::now();
  report_restart();
  if (previous_) previous_->stop(service::purpose::restart);
}

void single_service::report_restart() const {
  log_.event("restarted", {{"unit", unit_.name.full()}, {"pid", current_->main_pid()}});
}

void single_service::handle_end(service& ended, const service_result& result) {
  if (&ended == previous_.get()) {
    report_end(result);
    previous_.reset();
  } else if (&ended == next_.get()) {
    settling_.cancel();
    next_.reset();
    if (!on_stopped_) report_failed_restart(result.description);
  } else {
    current_.reset();
    if (!on_stopped_ && std::exchange(starts_again_, false)) return start_again(result);
    if (!on_stopped_) return handle_failure(result);
    report_end(result);
  }
  report_if_stopped();
  if (std::exchange(is_restart_wanted_, false)) restart();
}

/// The service has been stopped so that it can be started again.
void single_service::start_again(const service_result& result) {
  report_end(result);
  if (unit_.stored_descriptors_stay == store_lifetime::run) clear_store();
  is_replaced_ = true;
  start();
}

void single_service::clear_store() {
  if (store_) store_->clear();
}

/// The service has ended, and nothing has taken its place: it was not asked to, or nobody used it.
void single_service::handle_failure(const service_result& result) {
  report_end(result);
  if (plan_.runs_once) return on_end_(result.exit_status);
  if (next_) {
    settling_.cancel();
    current_ = std::exchange(next_, nullptr);  // which serves the sockets already, ready or not
    started_ = clock::now();
    if (std::exchange(is_restart_wanted_, false)) restart();
    return;
  }
  is_replaced_ = false;
  if (idle_) idle_->cancel();
  const bool was_idle = std::exchange(was_idle_, false);
  if (!was_idle && is_restarted(unit_, result)) {
    if (unit_.stored_descriptors_stay == store_lifetime::run) clear_store();
    const auto pause = std::max(pause_after(result), unit_.restart_delay);
    log_.debug(fmt::format("{}: the next start follows in {}", unit_.name.full(), to_text(pause)));
    continue_after(pause, &single_service::start);
  } else {
    if (unit_.stored_descriptors_stay != store_lifetime::activator) clear_store();
    flush_pending();
    continue_after(was_idle ? period::zero() : pause_after(result), &single_service::wait_for_traffic);
  }
}

/// Stops the service, which nobody has used for a while, unless somebody turns out to use it.
void single_service::stop_idle() {
  const auto unused = current_;
  const bool is_settled = unused && unused->now() == service::state::running && !next_ && !previous_;
  // Processes that are suspended accept nothing. Clients that connect from now on wait for the next instance.
  const int group = is_settled ? unused->process_group() : 0;
  if (!suspend(group)) return idle_->start();
  if (idle_->is_in_use()) {
    resume(group);
    return idle_->start();
  }
  log_.info(fmt::format("{}: stopping: not used for {}", unit_.name.full(), to_text(plan_.stop_idle)));
  log_.event("idle", {{"unit", unit_.name.full()}, {"pid", unused->main_pid()}});
  was_idle_ = true;
  unused->stop();
  resume(group);  // to act upon the signal
}

void single_service::report_failed_restart(const std::string& reason) const {
  log_.error(fmt::format("{}: the restart failed: {}; the old process stays", unit_.name.full(), reason));
}

/// Discards what waits in the queues of the sockets of units with FlushPending=yes.
void single_service::flush_pending() const {
  auto next = fds_.begin();
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group.count; ++i, ++next) {
      if (group.is_flushed) flush(next->fd.get());
    }
  }
}

/// Returns the pause before the next start, which is zero unless the service ends as soon as it is started. A start
/// limit of the unit stands in the place of these pauses.
period single_service::pause_after(const service_result& result) {
  const bool has_failed = !result.is_success();
  const bool is_short = (has_failed || is_restarted(unit_, result)) && clock::now() - started_ < shortest_run;
  const bool was_known = pauses_.is_crash_loop();
  const auto pause = pauses_.after_run(is_short && !start_limit_.is_set());
  if (pauses_.is_crash_loop() && !was_known) {
    log_.warning(
        fmt::format("{}: {} at once; the next starts are delayed", unit_.name.full(), has_failed ? "fails" : "ends"));
  }
  return result.lacks_resources ? std::max<period>(pause, shortage_pause) : pause;
}

/// @param next What follows the pause: `start`, or `wait_for_traffic`.
void single_service::continue_after(period pause, void (single_service::*next)()) {
  after_pause_ = next;
  pause_timer_.expires_at(time_after(pause));
  pause_timer_.async_wait([this](const std::error_code& cancelled) {
    if (!cancelled && !on_stopped_) (this->*after_pause_)();
  });
}

void single_service::end_pause() {
  if (pause_timer_.cancel() == 0) return;
  pauses_.reset();
  (this->*after_pause_)();
}

/// The unit's start limit is reached.
void single_service::give_up() {
  log_.error(fmt::format("{}: was started {}, which is its start limit; the sockets are closed", unit_.name.full(),
                         to_text(start_limit_)));
  on_end_(EXIT_FAILURE);
}

void single_service::report_end(const service_result& result) {
  const auto message = fmt::format("{}: {}", unit_.name.full(), result.description);
  const bool is_repeated = pauses_.is_crash_loop() && result.description == last_failure_;
  if (result.is_success() || is_repeated) {
    log_.debug(message);
  } else {
    log_.error(message);
    last_failure_ = result.description;
  }
}

void single_service::report_if_stopped() {
  if (on_stopped_ && !current_ && !next_ && !previous_) std::exchange(on_stopped_, [] {})();
}

}  // namespace sd::activate
