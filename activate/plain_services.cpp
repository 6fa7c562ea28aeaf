// SPDX-License-Identifier: MIT OR Apache-2.0
#include "plain_services.hpp"

#include "process_group.hpp"
#include "supervision.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <system_error>
#include <utility>
#include <vector>

namespace sd::activate {

namespace {

constexpr auto check_interval = std::chrono::milliseconds(20);

}  // namespace

bool plain_services::can_run(const service_unit& unit) noexcept {
  const bool is_simple = unit.type == service_type::simple || unit.type == service_type::exec;
  const bool has_commands = !unit.start_pre.empty() || !unit.start_post.empty() || !unit.reload.empty() ||
                            !unit.stop.empty() || !unit.stop_post.empty();
  return is_simple && !has_commands && unit.directories.empty() && unit.effective_access() == notify_access::none &&
         unit.kill == kill_mode::control_group && unit.stop_timeout_mode == timeout_mode::terminate &&
         unit.send_sigkill;
}

plain_services::plain_services(asio::io_context& io, service_unit unit, const environment_map& environment,
                               listen_pid pid, const event_log& log, std::function<void(bool)> on_end)
    : unit_(std::move(unit)), environment_(environment), pid_(pid), log_(log), on_end_(std::move(on_end)), timer_(io) {}

void plain_services::start(std::string name, const std::string& source, process_details details) {
  if (!starter_) starter_.emplace(unit_, environment_, pid_);
  details.variables["INVOCATION_ID"] = random_id();
  int pid = 0;
  try {
    pid = starter_->start(unit_.start.front(), details);
  } catch (const std::system_error& error) {
    if (lacks_resources(error.code())) throw;
    return log_.error(fmt::format("{}: {}", name, error.what()));
  }
  try {
    all_[pid] = {name, source};
    if (log_.is_verbose()) log_.debug(fmt::format("{}: started as process {}", name, pid));
    log_.event("started", {{"unit", name}, {"pid", pid}});
    log_.event("ready", {{"unit", name}, {"pid", pid}});
  } catch (...) {
    // There is too little memory. The connection is served again later.
    all_.erase(pid);
    ::kill(-pid, SIGKILL);
    throw;
  }
}

bool plain_services::handle_exit(int pid, int status) {
  const auto found = all_.find(pid);
  if (found == all_.end()) return false;
  auto& ended = found->second;
  ended.has_ended = true;
  const bool was_asked = is_stopping_ && WIFSIGNALED(status) && WTERMSIG(status) == unit_.kill_signal;
  ended.is_success = was_asked || unit_.start.front().ignores_failure || is_success(unit_, status);
  log_.event("exited", {{"unit", ended.name}, {"status", shell_status(status)}});
  if (!ended.is_success) log_.error(fmt::format("{}: {}", ended.name, describe_status(status)));
  end_rest(pid, ended);
  return true;
}

/// The processes that the main process has started end as well.
void plain_services::end_rest(int pid, instance& ended) {
  const int signal = is_stopping_ ? 0 : unit_.kill_signal;  // which they have got already
  if (::kill(-pid, signal) == 0) {
    if (!is_stopping_) ended.killed_at = time_after(unit_.stop_timeout);
    return check_later();
  }
  const bool was_success = ended.is_success;
  all_.erase(pid);
  on_end_(was_success);
}

void plain_services::stop() {
  is_stopping_ = true;
  for (auto& [pid, each] : all_) {
    ask_to_end(-pid, -1, unit_.kill_signal, unit_);
    each.killed_at = time_after(unit_.stop_timeout);
  }
  check_later();
}

void plain_services::check_later() {
  if (std::exchange(is_checking_, true)) return;
  timer_.expires_after(check_interval);
  timer_.async_wait([this](const std::error_code& cancelled) {
    if (cancelled) return;
    is_checking_ = false;
    check();
  });
}

/// Kills what has not ended in time, and takes note of the sessions that have ended.
void plain_services::check() {
  const auto now = clock::now();
  std::vector<bool> ended;
  bool is_waiting = false;
  for (auto next = all_.begin(); next != all_.end();) {
    auto& [pid, each] = *next;
    if (each.killed_at <= now) {
      if (!each.has_ended) log_.warning(fmt::format("{}: did not stop in time, and is killed", each.name));
      ::kill(-pid, unit_.final_kill_signal);
      each.killed_at = time_after(unit_.stop_timeout);
    }
    if (each.has_ended && ::kill(-pid, 0) < 0) {
      ended.push_back(each.is_success);
      next = all_.erase(next);
    } else {
      is_waiting = is_waiting || each.has_ended || is_stopping_;
      ++next;
    }
  }
  if (is_waiting) check_later();
  for (const bool is_success : ended) on_end_(is_success);
}

void plain_services::forward(int signal) const noexcept {
  for (const auto& [pid, each] : all_) {
    if (!each.has_ended) ::kill(pid, signal);
  }
}

void plain_services::kill() const noexcept {
  for (const auto& [pid, each] : all_) ::kill(-pid, SIGKILL);
}

std::size_t plain_services::count(const std::string& source) const {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(), [&](const auto& each) { return each.second.source == source; }));
}

}  // namespace sd::activate
