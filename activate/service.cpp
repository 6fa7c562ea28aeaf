// SPDX-License-Identifier: MIT OR Apache-2.0
#include "service.hpp"

#include "detail/os/descriptors.hpp"
#include "process_group.hpp"
#include "sockets.hpp"
#include "watcher.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace sd::activate {

namespace {

/// How many messages are received before other events are handled: as many as can wait at a time. Every user can send
/// some.
constexpr int messages_at_once = 1000;

constexpr auto group_period = std::chrono::milliseconds(20);  // between two looks whether processes remain

/// Returns how a process has ended, as EXIT_CODE has it.
std::string_view exit_code(int status) {
  if (!WIFSIGNALED(status)) return "exited";
  return WCOREDUMP(status) ? "dumped" : "killed";
}

outcome failure_of(int status) {
  if (!WIFSIGNALED(status)) return outcome::exit_code;
  return WCOREDUMP(status) ? outcome::core_dump : outcome::signal;
}

/// Returns whether a process catches or blocks a signal, or cannot be examined.
bool handles(int pid, int signal) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  bool is_known = false;
  for (std::string name, value; std::getline(file >> name, value);) {
    if (name != "SigBlk:" && name != "SigCgt:") continue;
    is_known = true;
    if ((std::stoull(value, nullptr, 16) >> (signal - 1) & 1) != 0) return true;
  }
  return !is_known;
}

/// Returns an empty descriptor if there is no pidfd.
unique_fd open_pidfd(int pid) noexcept { return unique_fd(std::max(detail::os::open_pidfd(pid), -1)); }

/// Closes descriptors of another user, which may block for as long as that user likes: because of SO_LINGER, or of a
/// file system in user space.
void close_elsewhere(std::vector<unique_fd> fds) noexcept try {
  if (fds.empty()) return;
  std::thread([fds = std::move(fds)]() mutable { fds.clear(); }).detach();
} catch (const std::exception&) {  // too few resources; they are closed here
}

}  // namespace

service::service(asio::io_context& io, std::shared_ptr<const process_starter> starter, process_details details,
                 const event_log& log, events handlers)
    : starter_(std::move(starter)),
      details_(std::move(details)),
      log_(log),
      handlers_(std::move(handlers)),
      name_(starter_->unit().name.full()),
      stop_signal_(unit().kill_signal),
      watchdog_(unit().watchdog),
      timer_(io),
      group_timer_(io),
      watchdog_timer_(io),
      adoption_timer_(io),
      notify_watch_(io) {
  details_.variables["INVOCATION_ID"] = random_id();
  const bool accepts_messages = unit().effective_access() != notify_access::none;
  if (!accepts_messages && !unit().adopts()) return;
  notify_.emplace();
  if (accepts_messages) details_.variables["NOTIFY_SOCKET"] = notify_->address();
  if (unit().adopts()) {
    details_.variables["SD_ADOPT_NOTIFY"] = notify_->address();
    adopted_.resize(details_.fds->size());
  }
  assign_duplicate(notify_watch_, notify_->get());
}

// The handlers may give up the last reference to a service, so each function that others call keeps one.

void service::start() {
  const auto self = shared_from_this();
  try {
    if (notify_) wait_for_notifications();
    set_timeout(unit().start_timeout, &service::give_up_starting);
    run_commands(unit().start_pre, &service::start_main_process);
  } catch (...) {
    kill();
    state_ = state::ended;
    end_waits();
    throw;
  }
}

void service::stop(purpose why) {
  const auto self = shared_from_this();
  if (state_ == state::stopping || state_ == state::ended) return;
  if (why == purpose::restart) stop_signal_ = unit().restart_kill_signal.value_or(unit().kill_signal);
  const bool was_running = state_ == state::running;
  state_ = state::stopping;
  end_control_process();
  if (was_running && main_pid_ != 0) {
    set_timeout(unit().stop_timeout, &service::give_up_stop_commands);
    details_.variables["SERVICE_RESULT"] = to_string(result_.how);
    run_commands(unit().stop, &service::signal_processes);
  } else {
    signal_processes();
  }
}

// NOLINTBEGIN(misc-no-recursion): a step may lead to the next one at once

// --- commands --------------------------------------------------------------------------------------------------------

void service::run_commands(const std::vector<command>& commands, step next) {
  commands_ = &commands;
  next_command_ = 0;
  after_commands_ = next;
  run_next_command();
}

void service::run_next_command() {
  if (next_command_ == commands_->size()) {
    commands_ = nullptr;
    (this->*after_commands_)();
    return;
  }
  const auto& line = (*commands_)[next_command_++];
  try {
    control_pid_ = start_process(line, false);
  } catch (const std::system_error& error) {
    if (is_starting() && !line.ignores_failure) return fail(error);
    if (!line.ignores_failure) return give_up_commands(error.what());
    log_.warning(fmt::format("{}: {}", name_, error.what()));
    run_next_command();
  }
}

/// Goes on after a command that failed. The other commands of its setting are not run.
void service::give_up_commands(const std::string& failure) {
  if (commands_ == &unit().reload) return fail_reload(failure);
  log_.warning(fmt::format("{}: {}", name_, failure));
  next_command_ = commands_->size();
  run_next_command();
}

void service::handle_control_exit(int status) {
  control_pid_ = 0;
  const auto& line = (*commands_)[next_command_ - 1];
  const auto failure = fmt::format("{} {}", line.program, describe_status(status));
  if (is_success(status) || line.ignores_failure) return run_next_command();
  if (is_starting()) return fail(failure_of(status), shell_status(status), failure);
  give_up_commands(failure);
}

int service::start_process(const command& line, bool is_main) try {
  auto details = details_;
  if (!is_main) {
    details.fds = nullptr;
    if (unit().effective_access() == notify_access::main_process) details.variables.erase("NOTIFY_SOCKET");
    if (main_pid_ != 0) details.variables["MAINPID"] = std::to_string(main_pid_);
  } else if (unit().has_watchdog()) {
    details.variables["WATCHDOG_USEC"] = std::to_string(unit().watchdog.count());
    details.pid_variable = "WATCHDOG_PID";
  }
  return starter_->start(line, details);
} catch (const std::bad_alloc&) {
  activate::fail(ENOMEM, "start " + line.program);
}

// --- the main process ------------------------------------------------------------------------------------------------

void service::start_main_process() {
  if (unit().start.empty()) return become_ready();
  const auto& line = unit().start[next_start_++];
  try {
    main_pid_ = start_process(line, true);
  } catch (const std::system_error& error) {
    return fail(error);
  }
  session_ = main_pid_;
  leader_ = open_pidfd(main_pid_);
  log_.debug(fmt::format("{}: started as process {}", name_, main_pid_));
  log_.event("started", {{"unit", name_}, {"pid", main_pid_}});
  const bool is_ready = unit().type == service_type::simple || unit().type == service_type::exec;
  if (is_ready && !unit().adopts()) become_ready();
}

void service::become_ready() {
  if (state_ != state::starting) return;
  state_ = state::running;
  feed_watchdog();
  log_.event("ready", {{"unit", name_}, {"pid", main_pid_}});
  report_missing_adoptions();
  run_commands(unit().start_post, &service::after_start);
}

void service::after_start() {
  cancel_timeout();
  if (handlers_.on_ready) handlers_.on_ready(*this);
  if (main_pid_ == 0) run_stop_post();
}

/// Takes another process of the session as the main one.
void service::change_main_process(int pid) {
  auto pidfd = open_pidfd(pid);
  // Checked after the pidfd was opened, so both refer to the same process.
  if (session_ == 0 || ::getsid(pid) != session_) return;
  main_pid_ = pid;
  main_pidfd_ = std::move(pidfd);
}

int service::pidfd_of(int target) const noexcept {
  return target == session_ || target == -session_ ? leader_.get() : main_pidfd_.get();
}

bool service::send(int target, int signal) const noexcept { return send_signal(target, pidfd_of(target), signal); }

void service::handle_main_exit(int status) {
  main_pid_ = 0;
  result_.main_status = status;
  const bool is_oneshot = unit().type == service_type::oneshot;
  const auto& line = unit().start[next_start_ - 1];
  const bool succeeded = is_success(status) || line.ignores_failure;
  log_.event("exited", {{"unit", name_}, {"status", shell_status(status)}});
  report_missing_adoptions();
  if (result_.is_success() && !(state_ == state::stopping && WTERMSIG(status) == stop_signal_)) {
    set_result(succeeded ? outcome::success : failure_of(status), shell_status(status), describe_status(status));
  }
  if (state_ == state::starting && is_oneshot && succeeded) {
    if (next_start_ < unit().start.size()) return start_main_process();
    return become_ready();
  }
  const bool has_adopted = std::find(adopted_.begin(), adopted_.end(), true) != adopted_.end();
  const bool lacks_readiness = unit().notifies() || !has_adopted;
  if (state_ == state::starting && succeeded && lacks_readiness) {
    set_result(outcome::protocol, 1, describe_status(status) + " before it was ready");
  }
  // What remains of the service ends with its main process.
  if (state_ != state::stopping && unit().kill != kill_mode::process && unit().kill != kill_mode::none) {
    send(-session_, unit().kill_signal);
  }
  if (commands_ == &unit().stop) return;  // They go on, and run_stop_post() follows them.
  end_control_process();
  run_stop_post();
}

void service::forward(int signal) {
  const auto self = shared_from_this();
  if (signal == SIGUSR1 && unit().can_reload()) return reload();
  if (main_pid_ != 0) send(main_pid_, signal);
}

// --- reloads ---------------------------------------------------------------------------------------------------------

void service::reload() {
  if (state_ != state::running) return;
  if (commands_ != nullptr || reload_ != reload_step::none) {
    return log_.warning(fmt::format("{}: cannot be reloaded while other commands or another reload go on", name_));
  }
  log_.info(fmt::format("{}: reloading", name_));
  set_timeout(unit().start_timeout, &service::give_up_reloading);
  reload_ = reload_step::until_commands;
  if (unit().type == service_type::notify_reload) {
    reload_ = reload_step::until_reloading;
    reload_begin_ = std::chrono::floor<period>(std::chrono::steady_clock::now().time_since_epoch());
    send(main_pid_, unit().reload_signal);
  }
  run_commands(unit().reload, &service::finish_reload);
}

/// Ends a reload when both the commands and the service are done.
void service::finish_reload() {
  if (reload_ != reload_step::until_commands || commands_ != nullptr) return;
  end_reload();
  log_.info(fmt::format("{}: reloaded", name_));
  log_.event("reloaded", {{"unit", name_}, {"pid", main_pid_}});
}

void service::fail_reload(const std::string& reason) {
  end_reload();
  log_.error(fmt::format("{}: the reload failed: {}", name_, reason));
}

void service::give_up_reloading() { fail_reload("it did not finish in time"); }

void service::end_reload() {
  end_control_process();
  reload_ = reload_step::none;
  cancel_timeout();
}

// --- stopping --------------------------------------------------------------------------------------------------------

void service::give_up_starting() {
  // Without an adoption, the program may have bound other addresses, and serve there.
  if (state_ == state::starting && unit().adopts() && !unit().notifies() && main_pid_ != 0) {
    set_timeout(unit().start_timeout, &service::give_up_starting);
    return become_ready();
  }
  set_result(outcome::timeout, 1, "did not start in time");
  state_ = state::stopping;
  end_control_process();
  end_processes(unit().start_timeout_mode);
}

void service::give_up_stop_commands() {
  end_control_process();
  end_processes(unit().stop_timeout_mode);
}

void service::give_up_stopping() {
  end_processes(unit().stop_timeout_mode == timeout_mode::abort ? timeout_mode::abort : timeout_mode::kill);
}

void service::end_control_process() {
  if (control_pid_ != 0) ::kill(-control_pid_, SIGKILL);
  control_pid_ = 0;
  commands_ = nullptr;
}

void service::end_processes(timeout_mode mode) {
  switch (mode) {
    case timeout_mode::terminate:
      return signal_processes();
    case timeout_mode::abort:
      return abort_processes();
    case timeout_mode::kill:
      return kill_processes();
  }
}

void service::end_processes(int signal, period timeout, step expired) {
  if (main_pid_ == 0 || unit().kill == kill_mode::none) return run_stop_post();
  const bool whole_group = unit().kill == kill_mode::control_group;
  const int target = whole_group ? -session_ : main_pid_;
  ask_to_end(target, pidfd_of(target), signal, unit());
  set_timeout(timeout, expired);
}

void service::signal_processes() { end_processes(stop_signal_, unit().stop_timeout, &service::give_up_stopping); }

void service::abort_processes() {
  end_processes(unit().watchdog_signal, unit().abort_timeout.value_or(unit().stop_timeout), &service::kill_processes);
}

void service::kill_processes() {
  if (main_pid_ == 0 || !unit().may_be_killed()) return run_stop_post();
  const int signal = unit().final_kill_signal;
  if (result_.is_success()) set_result(outcome::timeout, 128 + signal, "did not stop in time");
  log_.warning(fmt::format("{}: {}, and is killed", name_, result_.description));
  send(unit().kill == kill_mode::process ? main_pid_ : -session_, signal);
  set_timeout(unit().stop_timeout, &service::run_stop_post);
}

// --- the watchdog ----------------------------------------------------------------------------------------------------

void service::feed_watchdog() {
  watchdog_timer_.cancel();
  if (state_ != state::running || watchdog_ == period::zero() || watchdog_ == infinity) return;
  watchdog_timer_.expires_at(time_after(watchdog_));
  watchdog_timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    // It may have been fed since the timer expired.
    if (!cancelled && self->watchdog_timer_.expiry() <= std::chrono::steady_clock::now()) {
      self->expire_watchdog("did not feed its watchdog in time");
    }
  });
}

void service::expire_watchdog(std::string description) {
  if (state_ == state::stopping || state_ == state::ended) return;
  set_result(outcome::watchdog, 128 + unit().watchdog_signal, std::move(description));
  state_ = state::stopping;
  end_control_process();
  abort_processes();
}

void service::kill() const noexcept {
  if (control_pid_ != 0) ::kill(-control_pid_, SIGKILL);
  if (session_ != 0) send(-session_, SIGKILL);
}

// --- the end ---------------------------------------------------------------------------------------------------------

void service::set_result(outcome how, int exit_status, std::string description) {
  result_.how = how;
  result_.exit_status = exit_status;
  result_.description = std::move(description);
}

void service::fail(outcome how, int exit_status, std::string description) {
  set_result(how, exit_status, std::move(description));
  end_control_process();
  state_ = state::stopping;
  signal_processes();
}

void service::fail(const std::system_error& error) {
  result_.lacks_resources = lacks_resources(error.code());
  fail(outcome::exit_code, 1, error.what());
}

void service::run_stop_post() {
  state_ = state::stopping;
  // Once the group is gone, its number may become that of another one.
  if (session_ != 0 && !send(-session_, 0)) session_ = 0;
  set_timeout(unit().stop_timeout, &service::finish);
  details_.variables["SERVICE_RESULT"] = to_string(result_.how);
  if (result_.main_status) {
    const int status = *result_.main_status;
    details_.variables["EXIT_CODE"] = exit_code(status);
    details_.variables["EXIT_STATUS"] =
        WIFSIGNALED(status) ? signal_name(WTERMSIG(status)).substr(3) : std::to_string(WEXITSTATUS(status));
  }
  run_commands(unit().stop_post, &service::wait_for_group);
}

/// The processes that the main process has started must have ended as well.
void service::wait_for_group() {
  const bool is_stopped = unit().kill == kill_mode::control_group || unit().kill == kill_mode::mixed;
  if (!is_stopped || session_ == 0 || !send(-session_, 0)) return finish();
  if (unit().kill == kill_mode::mixed) send(-session_, SIGKILL);
  group_timer_.expires_after(group_period);
  group_timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled && self->state_ != state::ended) self->wait_for_group();
  });
}

void service::finish() {
  if (state_ == state::ended) return;
  state_ = state::ended;
  end_control_process();
  if (session_ != 0 && unit().kill != kill_mode::process && unit().may_be_killed()) send(-session_, SIGKILL);
  end_waits();
  handlers_.on_end(*this, result_);
}

/// Ends everything that keeps a reference to this service.
void service::end_waits() {
  for (auto* const each : {&adoption_timer_, &group_timer_, &watchdog_timer_, &timer_}) each->cancel();
  std::error_code ignored;
  notify_watch_.close(ignored);
}

// NOLINTEND(misc-no-recursion)

bool service::handle_exit(int pid, int status) {
  const auto self = shared_from_this();
  if (pid != main_pid_ && pid != control_pid_) return false;
  // A message counts even if its sender has ended since.
  receive_notifications();
  if (pid == main_pid_) {
    handle_main_exit(status);
  } else if (pid == control_pid_) {
    handle_control_exit(status);
  }
  return true;
}

bool service::is_starting() const noexcept { return state_ == state::starting || commands_ == &unit().start_post; }

bool service::is_success(int status) const { return activate::is_success(unit(), status); }

void service::cancel_timeout() {
  timer_.cancel();
  expired_ = nullptr;
}

void service::set_timeout(period time, step expired) {
  expired_ = expired;
  timer_.expires_at(time_after(time));
  if (time == infinity) return;  // Asio would wake up every few minutes.
  timer_.async_wait([self = shared_from_this(), expired](const std::error_code& cancelled) {
    // It may have been extended since the timer expired.
    const bool is_over = self->timer_.expiry() <= std::chrono::steady_clock::now();
    if (!cancelled && is_over && self->expired_ == expired) ((*self).*expired)();
  });
}

// --- notifications ---------------------------------------------------------------------------------------------------

void service::wait_for_notifications() {
  notify_watch_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](const std::error_code& ec) {
                             if (self->state_ == state::ended) return;
                             if (ec) return self->fail(std::system_error(ec, "wait for messages to NOTIFY_SOCKET"));
                             self->receive_notifications();
                             self->wait_for_notifications();
                           });
}

void service::receive_notifications() {
  if (!notify_) return;
  for (int i = 0; i < messages_at_once; ++i) {
    auto message = notify_->receive();
    if (!message) return;
    handle(*message);
  }
}

bool service::is_accepted(int pid) const noexcept {
  switch (unit().effective_access()) {
    case notify_access::exec_processes:
      return pid == main_pid_ || pid == control_pid_;
    case notify_access::all:
      return is_of_session(pid);
    case notify_access::none:
      return false;
    default:
      return pid == main_pid_;
  }
}

/// Returns whether the process belongs to this service. It may have ended.
bool service::is_of_session(int pid) const noexcept {
  return session_ != 0 && (pid == main_pid_ || ::getsid(pid) == session_);
}

/// @param socket The index of a passed socket.
void service::handle_adoption(std::string_view socket) {
  const auto index = parse_number(socket, adopted_.size());
  if (!index || *index == adopted_.size() || adopted_[*index]) return;
  adopted_[*index] = true;
  log_.debug(fmt::format("{}: has adopted {}", name_, to_string(describe((*details_.fds)[*index].fd.get()).local)));
  if (state_ != state::starting || unit().notifies()) return;
  if (std::find(adopted_.begin(), adopted_.end(), false) == adopted_.end()) return become_ready();
  // The program may not bind all of them.
  adoption_timer_.expires_after(settling_time);
  adoption_timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled) self->become_ready();
  });
}

void service::report_missing_adoptions() const {
  for (std::size_t i = 0; i < adopted_.size(); ++i) {
    if (adopted_[i]) continue;
    const auto where = to_string(describe((*details_.fds)[i].fd.get()).local);
    log_.warning(
        fmt::format("{}: has not adopted {}: see SD_ADOPT_VERBOSE=1 for the addresses that it binds", name_, where));
  }
}

void service::handle(notification& message) {
  if (const auto socket = message.find("SD_ADOPTED"); socket && message.pid != 0 && is_of_session(message.pid)) {
    return handle_adoption(*socket);
  }
  if (message.pid == 0 || !is_accepted(message.pid)) {
    log_.debug(fmt::format("{}: NotifyAccess= excludes a message of process {}", name_, message.pid));
    close_elsewhere(std::move(message.fds));
    return;
  }
  if (message.lacks_descriptors) {
    log_.warning(fmt::format("{}: descriptors of a message were lost: too many open files", name_));
  }
  if (const auto main_pid = message.find("MAINPID")) {
    const auto pid = parse_number(*main_pid, INT32_MAX);
    if (pid) change_main_process(static_cast<int>(*pid));
  }
  if (const auto status = message.find("STATUS")) {
    log_.debug(fmt::format("{}: {}", name_, *status));
    log_.event("status", {{"unit", name_}, {"text", std::string(*status)}});
  }
  if (const auto extension = message.find("EXTEND_TIMEOUT_USEC"); extension && expired_ != nullptr) {
    const period extended(static_cast<period::rep>(parse_number(*extension, INT64_MAX).value_or(0)));
    if (time_after(extended) > timer_.expiry()) set_timeout(extended, expired_);
  }
  const bool concerns_store = message.find("FDSTORE") == "1" || message.find("FDSTOREREMOVE") == "1";
  if (concerns_store && handlers_.on_store) handlers_.on_store(message);
  if (const auto watchdog = message.find("WATCHDOG_USEC")) {
    if (const auto time = parse_number(*watchdog, INT64_MAX)) {
      watchdog_ = period(static_cast<period::rep>(*time));
      feed_watchdog();
    }
  }
  if (const auto watchdog = message.find("WATCHDOG")) {
    if (*watchdog == "1") feed_watchdog();
    if (*watchdog == "trigger") expire_watchdog("asked to be ended as by its watchdog");
  }
  if (unit().notifies()) handle_readiness(message);
}

void service::handle_readiness(const notification& message) {
  if (state_ != state::running) reload_ = reload_step::none;
  if (reload_ == reload_step::until_reloading && message.find("RELOADING") == "1") {
    const auto since = parse_number(message.find("MONOTONIC_USEC").value_or(""), INT64_MAX);
    // One from before the reload answers another signal.
    if (since && period(static_cast<period::rep>(*since)) >= reload_begin_) reload_ = reload_step::until_ready;
  }
  // A command before the main process cannot speak for it.
  if (message.find("READY") != "1" || main_pid_ == 0) return;
  if (reload_ == reload_step::until_ready) {
    reload_ = reload_step::until_commands;
    finish_reload();
  } else if (state_ == state::starting && unit().type == service_type::notify_reload &&
             !handles(main_pid_, unit().reload_signal)) {
    fail(outcome::protocol, 1, fmt::format("is ready, but does not handle {}", signal_name(unit().reload_signal)));
  } else {
    become_ready();
  }
}

}  // namespace sd::activate
