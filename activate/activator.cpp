// SPDX-License-Identifier: MIT OR Apache-2.0
#include "activator.hpp"

#include <sd/notify.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include "descriptor_store.hpp"
#include "detail/os/sockets.hpp"
#include "idle_watch.hpp"
#include "plain_services.hpp"
#include "process_group.hpp"
#include "service.hpp"
#include "sockets.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto shortest_run = 1s;      ///< A run that is shorter counts as a crash loop's.
constexpr auto settling_time = 300ms;  ///< after which a service that does not notify counts as ready in an overlap
constexpr auto accept_pause = 100ms;   ///< when there are no free descriptors

using services = std::vector<std::shared_ptr<service>>;

/// Returns a period in seconds, as settings have it.
std::string to_text(period time) {
  return time == infinity ? "infinitely many" : fmt::format("{}", std::chrono::duration<double>(time).count());
}

/// Waits for the next traffic on a descriptor.
class watcher {
 public:
  watcher(asio::io_context& io, int fd, std::function<void()> on_traffic)
      : descriptor_(io), on_traffic_(std::move(on_traffic)) {
    descriptor_.assign(duplicate(fd).release());
  }

  /// Calls the function once when there is traffic.
  void arm() {
    if (std::exchange(is_armed_, true)) return;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& ec) {
      if (ec) return;
      is_armed_ = false;
      on_traffic_();
    });
  }
  void disarm() {
    std::error_code ignored;
    descriptor_.cancel(ignored);
    is_armed_ = false;
  }

 private:
  asio::posix::stream_descriptor descriptor_;
  std::function<void()> on_traffic_;
  bool is_armed_ = false;
};

/// Discards the connections or messages that wait in the queue of a socket.
void flush(int fd) {
  const auto what = describe(fd);
  detail::os::set_nonblocking(fd, true);
  if (what.kind == kind::stream || what.kind == kind::seqpacket) {
    while (unique_fd(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC))) continue;
  } else {
    std::array<char, 65536> buffer;
    while (::read(fd, buffer.data(), buffer.size()) > 0) continue;
  }
}

/// Takes note that traffic starts a service, and reports if that is more often than the socket unit allows.
bool admits_trigger(rate_limit& limit, const std::string& unit, const event_log& log) {
  if (limit.admits(clock::now())) return true;
  log.error(
      fmt::format("{}: traffic starts the service more often than TriggerLimitBurst={} and "
                  "TriggerLimitIntervalSec={} allow; the sockets are closed",
                  unit, limit.burst(), to_text(limit.interval())));
  return false;
}

// --- Accept=no -------------------------------------------------------------------------------------------------------

/// The socket units with Accept=no, or descriptors that were passed to sd-activate.
struct socket_group {
  std::string name;
  rate_limit triggers;
  bool is_flushed;    ///< FlushPending=yes
  std::size_t count;  ///< of its descriptors
};

/// One service for all sockets.
class single_service {
 public:
  /// @param fds    The descriptors of all groups, in order. Those that the service stores are appended.
  /// @param on_end Called to end sd-activate with an exit status.
  single_service(asio::io_context& io, const plan& what, std::vector<listen_fd>& fds, std::vector<socket_group> groups,
                 const event_log& log, std::function<void(int exit_status)> on_end)
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
        watchers_.push_back(
            std::make_unique<watcher>(io_, next->fd.get(), [this, &group] { start_for_traffic(group); }));
      }
    }
    if (plan_.stop_idle != infinity) idle_.emplace(io_, fds_, plan_.stop_idle, [this] { stop_idle(); });
  }
  ~single_service() { starter_->remove_runtime_directories(); }
  single_service(const single_service&) = delete;
  single_service& operator=(const single_service&) = delete;

  void start() {
    disarm();
    if (!start_limit_.admits(clock::now())) return give_up();
    // After the watchers, which make the sockets nonblocking.
    for (std::size_t i = 0; i < sockets_; ++i) detail::os::set_nonblocking(fds_[i].fd.get(), unit_.nonblocking);
    started_ = clock::now();
    if (idle_) idle_->start();
    try {
      current_ = make();
    } catch (const std::system_error& error) {
      return has_failed({outcome::exit_code, 1, error.what(), lacks_resources(error.code()), {}});
    }
    current_->start();
  }

  void wait_for_traffic() {
    for (auto& each : watchers_) each->arm();
  }

  /// Starts the next instance on the same sockets, and stops the current one when the next one is ready. A service that
  /// stores descriptors is stopped first.
  void restart() {
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

  void stop(std::function<void()> on_stopped) {
    on_stopped_ = std::move(on_stopped);
    disarm();
    pause_timer_.cancel();
    settling_.cancel();
    for (const auto& each : {current_, next_, previous_}) {
      if (each) each->stop();
    }
    report_if_stopped();
  }

  bool handle_exit(int pid, int status) {
    const services all = {current_, next_, previous_};
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& each) { return each && each->handle_exit(pid, status); });
  }

  void forward(int signal) const {
    if (current_) current_->forward(signal);
  }

  void kill() const {
    for (const auto& each : {current_, next_, previous_}) {
      if (each) each->kill();
    }
  }

 private:
  std::shared_ptr<service> make() {
    process_details details;
    details.fds = &fds_;
    if (sockets_ == 1) details.socket = fds_.front().fd.get();
    service::events handlers;
    handlers.on_ready = [this](service& ready) { is_ready(ready); };
    handlers.on_end = [this](service& ended, const service_result& result) { has_ended(ended, result); };
    if (store_) {
      details.variables["FDSTORE"] = std::to_string(unit_.most_stored_descriptors);
      handlers.on_store = [this](notification& message) { store_->handle(message); };
    }
    return std::make_shared<service>(io_, starter_, details, log_, handlers);
  }

  void disarm() {
    for (auto& each : watchers_) each->disarm();
  }

  void start_for_traffic(socket_group& group) {
    if (current_ || on_stopped_) return;
    if (!admits_trigger(group.triggers, group.name, log_)) return on_end_(EXIT_FAILURE);
    start();
  }

  void is_ready(service& ready) {
    if (&ready == current_.get() && std::exchange(is_replaced_, false)) report_restart();
    if (&ready != next_.get()) return;
    if (unit_.notifies()) return take_over();
    settling_.expires_after(settling_time);
    settling_.async_wait([this](const std::error_code& cancelled) {
      if (!cancelled) take_over();
    });
  }

  void take_over() {
    if (!next_) return;
    previous_ = std::exchange(current_, std::exchange(next_, nullptr));
    report_restart();
    if (previous_) previous_->stop(service::purpose::restart);
  }

  void report_restart() const { log_.event("restarted", {{"unit", unit_.name.full()}, {"pid", current_->main_pid()}}); }

  void has_ended(service& ended, const service_result& result) {
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
      if (!on_stopped_) return has_failed(result);
      report_end(result);
    }
    report_if_stopped();
    if (!next_ && !previous_ && std::exchange(is_restart_wanted_, false)) restart();
  }

  /// The service has been stopped so that it can be started again.
  void start_again(const service_result& result) {
    report_end(result);
    if (unit_.stored_descriptors_stay == store_lifetime::run) clear_store();
    is_replaced_ = true;
    start();
  }

  void clear_store() {
    if (store_) store_->clear();
  }

  /// The service has ended without being asked to.
  void has_failed(const service_result& result) {
    report_end(result);
    if (plan_.runs_once) return on_end_(result.exit_status);
    if (next_) {
      settling_.cancel();
      current_ = std::exchange(next_, nullptr);  // which serves the sockets already, ready or not
      if (std::exchange(is_restart_wanted_, false)) restart();
      return;
    }
    is_replaced_ = false;
    if (idle_) idle_->cancel();
    const bool was_idle = std::exchange(was_idle_, false);
    if (!was_idle && is_restarted(unit_, result)) {
      if (unit_.stored_descriptors_stay == store_lifetime::run) clear_store();
      const auto pause = std::max(pause_after(result), unit_.restart_delay);
      log_.debug(fmt::format("{}: the next start follows in {} s", unit_.name.full(), to_text(pause)));
      continue_after(pause, &single_service::start);
    } else {
      if (unit_.stored_descriptors_stay != store_lifetime::activator) clear_store();
      flush_pending();
      continue_after(was_idle ? period::zero() : pause_after(result), &single_service::wait_for_traffic);
    }
  }

  /// Stops the service, which nobody has used for a while, unless somebody turns out to use it.
  void stop_idle() {
    const auto unused = current_;
    const bool is_settled = unused && unused->now() == service::state::running && !next_ && !previous_;
    // Processes that are suspended accept nothing. Clients that connect from now on wait for the next instance.
    const int group = is_settled ? unused->process_group() : 0;
    if (!is_settled || !suspend(group)) return idle_->start();
    if (idle_->is_in_use()) {
      resume(group);
      return idle_->start();
    }
    const std::chrono::duration<double> time = plan_.stop_idle;
    log_.info(fmt::format("{}: stopping: not used for {:g} s", unit_.name.full(), time.count()));
    log_.event("idle", {{"unit", unit_.name.full()}, {"pid", unused->main_pid()}});
    was_idle_ = true;
    unused->stop();
    resume(group);  // to act upon the signal
  }

  void report_failed_restart(const std::string& reason) const {
    log_.error(fmt::format("{}: the restart failed: {}; the old process stays", unit_.name.full(), reason));
  }

  /// Discards what waits in the queues of the sockets of units with FlushPending=yes.
  void flush_pending() const {
    auto next = fds_.begin();
    for (const auto& group : groups_) {
      for (std::size_t i = 0; i < group.count; ++i, ++next) {
        if (group.is_flushed) flush(next->fd.get());
      }
    }
  }

  /// Returns the pause before the next start, which is zero unless the service ends as soon as it is started. A start
  /// limit of the unit stands in the place of these pauses.
  period pause_after(const service_result& result) {
    const bool has_failed = !result.is_success();
    const bool is_short = (has_failed || is_restarted(unit_, result)) && clock::now() - started_ < shortest_run;
    const bool was_known = pauses_.is_crash_loop();
    const auto pause = pauses_.after_run(is_short && !start_limit_.is_set());
    if (pauses_.is_crash_loop() && !was_known) {
      log_.warning(
          fmt::format("{}: {} at once; the next starts are delayed", unit_.name.full(), has_failed ? "fails" : "ends"));
    }
    return pause;
  }

  /// @param next What follows the pause: `start`, or `wait_for_traffic`.
  void continue_after(period pause, void (single_service::*next)()) {
    after_pause_ = next;
    pause_timer_.expires_at(pause == infinity ? clock::time_point::max() : clock::now() + pause);
    pause_timer_.async_wait([this](const std::error_code& cancelled) {
      if (!cancelled && !on_stopped_) (this->*after_pause_)();
    });
  }

  void end_pause() {
    if (pause_timer_.cancel() == 0) return;
    pauses_.reset();
    (this->*after_pause_)();
  }

  /// The unit's start limit is reached.
  void give_up() {
    log_.error(fmt::format("{}: was started {} times in {} s, which is its start limit; the sockets are closed",
                           unit_.name.full(), start_limit_.burst(), to_text(start_limit_.interval())));
    on_end_(EXIT_FAILURE);
  }

  void report_end(const service_result& result) {
    const auto message = fmt::format("{}: {}", unit_.name.full(), result.description);
    const bool is_repeated = pauses_.is_crash_loop() && result.description == last_failure_;
    if (result.is_success() || is_repeated) {
      log_.debug(message);
    } else {
      log_.error(message);
      last_failure_ = result.description;
    }
  }

  void report_if_stopped() {
    if (on_stopped_ && !current_ && !next_ && !previous_) on_stopped_();
  }

  asio::io_context& io_;
  const plan& plan_;
  std::vector<listen_fd>& fds_;
  std::size_t sockets_;  ///< the number of those that are not stored by the service
  std::vector<socket_group> groups_;
  const event_log& log_;
  std::function<void(int)> on_end_;
  service_unit unit_;
  rate_limit start_limit_;
  std::shared_ptr<const process_starter> starter_;
  std::optional<descriptor_store> store_;
  std::vector<std::unique_ptr<watcher>> watchers_;
  std::shared_ptr<service> current_;
  std::shared_ptr<service> next_;      ///< started to replace the current one, but not ready yet
  std::shared_ptr<service> previous_;  ///< replaced, but not ended yet
  bool is_restart_wanted_ = false;
  bool starts_again_ = false;  ///< once it has stopped
  bool is_replaced_ = false;   ///< started again, but not ready yet
  std::optional<idle_watch> idle_;
  bool was_idle_ = false;  ///< whether the service is stopped because nobody uses it
  std::function<void()> on_stopped_;
  clock::time_point started_;
  start_pauses pauses_;
  void (single_service::*after_pause_)() = nullptr;
  std::string last_failure_;
  asio::steady_timer pause_timer_;
  asio::steady_timer settling_;
};

// --- Accept=yes ------------------------------------------------------------------------------------------------------

/// Returns the address of a socket as the name of an instance has it, and as REMOTE_ADDR and REMOTE_PORT.
struct endpoint {
  std::string name;
  std::string host;
  std::string port;
};

endpoint endpoint_of(const address& where) {
  endpoint result;
  if (where.family() == AF_INET || where.family() == AF_INET6) {
    result.name = to_string(where);
    result.port = std::to_string(where.port());
    result.host = result.name.substr(0, result.name.rfind(':'));
    if (result.host.starts_with('[')) result.host = result.host.substr(1, result.host.size() - 2);
    constexpr std::string_view mapped = "::ffff:";
    if (result.host.starts_with(mapped) && result.host.find('.') != std::string::npos)
      result.host.erase(0, mapped.size());
    result.name = result.host + ':' + result.port;
  }
  return result;
}

/// The most connections that are accepted before other events are handled.
constexpr int accepts_at_once = 64;

/// A service for each connection of the sockets of one unit.
class service_per_connection {
 public:
  service_per_connection(asio::io_context& io, const plan& what, const open_sockets& sockets, const event_log& log,
                         std::function<void(int exit_status)> on_end)
      : io_(io), plan_(what), unit_(sockets.unit()), log_(log), on_end_(std::move(on_end)), pause_(io) {
    auto service = plan_.service("");
    has_instances_ = service.name.instance.has_value();
    if (!plan_.names_instance && plain_services::can_run(service)) {
      plain_.emplace(io_, std::move(service), plan_.environment, plan_.pid, log_, [this](bool is_success) {
        if (is_success) is_pausing_ = false;
        report_if_stopped();
      });
    }
    for (const auto& each : sockets.fds()) {
      const int fd = each.fd.get();
      watchers_.push_back(std::make_unique<watcher>(io_, fd, [this, fd] { accept(fd); }));
    }
  }

  void wait_for_traffic() {
    for (auto& each : watchers_) each->arm();
  }

  void stop(std::function<void()> on_stopped) {
    on_stopped_ = std::move(on_stopped);
    for (auto& each : watchers_) each->disarm();
    pause_.cancel();
    for (const auto& each : instances()) each->stop();
    if (plain_) plain_->stop();
    report_if_stopped();
  }

  bool handle_exit(int pid, int status) {
    if (plain_) return plain_->handle_exit(pid, status);
    const auto all = instances();
    return std::any_of(all.begin(), all.end(), [&](const auto& each) { return each->handle_exit(pid, status); });
  }

  void forward(int signal) const {
    if (plain_) plain_->forward(signal);
    for (const auto& [_, each] : connections_) each.run->forward(signal);
  }

  void kill() const {
    if (plain_) plain_->kill();
    for (const auto& [_, each] : connections_) each.run->kill();
  }

 private:
  struct connection {
    std::string host;
    service_unit unit;
    std::vector<listen_fd> fds;
    std::shared_ptr<service> run;
  };

  [[nodiscard]] services instances() const {
    services all;
    for (const auto& [_, each] : connections_) all.push_back(each.run);
    return all;
  }

  /// A connection, and the address of the client.
  struct client {
    unique_fd fd;
    address peer;
  };

  void accept(int listener) {
    for (int i = 0; i < accepts_at_once && !on_stopped_ && waiting_.empty(); ++i) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      unique_fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
      if (!fd && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (!fd && errno == EAGAIN) break;
      if (!fd) return pause_accepting(std::generic_category().message(errno));
      if (!admits_trigger(triggers_, unit_.name.full(), log_)) return on_end_(EXIT_FAILURE);
      serve({std::move(fd), address::from_sockaddr(&peer, size)});
    }
    if (!on_stopped_ && waiting_.empty()) wait_for_traffic();
  }

  /// Accepts no connection for a while, and then serves first those that were accepted but could not be served.
  void pause_accepting(const std::string& reason) {
    if (!std::exchange(is_pausing_, true)) {
      log_.warning(fmt::format("{}: clients wait: {}", unit_.name.full(), reason));
    }
    for (auto& each : watchers_) each->disarm();
    pause_.expires_after(accept_pause);
    pause_.async_wait([this](const std::error_code& cancelled) {
      if (cancelled) return;
      for (auto& each : std::exchange(waiting_, {})) serve(std::move(each));
      if (waiting_.empty()) wait_for_traffic();
    });
  }

  void serve(client accepted) {
    const auto peer = endpoint_of(accepted.peer);
    if (connections_.size() + (plain_ ? plain_->size() : 0) >= unit_.max_connections) {
      return log_.warning(
          fmt::format("{}: MaxConnections={}: a connection was refused", unit_.name.full(), unit_.max_connections));
    }
    if (unit_.max_connections_per_source && count(peer.host) >= *unit_.max_connections_per_source) {
      return log_.warning(fmt::format("{}: MaxConnectionsPerSource={}: a connection of {} was refused",
                                      unit_.name.full(), *unit_.max_connections_per_source, peer.host));
    }
    try {
      start(accepted.fd, peer);
    } catch (const std::system_error& error) {
      if (!lacks_resources(error.code())) return log_.error(fmt::format("{}: {}", unit_.name.full(), error.what()));
      waiting_.push_back(std::move(accepted));
      pause_accepting(error.code().message());
    } catch (const std::exception& error) {
      log_.error(fmt::format("{}: {}", unit_.name.full(), error.what()));
    }
  }

  [[nodiscard]] std::size_t count(const std::string& host) const {
    if (plain_) return plain_->count(host);
    return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(),
                                                  [&](const auto& each) { return each.second.host == host; }));
  }

  /// Takes the connection, unless it throws.
  void start(unique_fd& fd, const endpoint& peer) {
    const auto number = accepted_++;
    const auto instance = has_instances_ ? instance_name(number, fd.get(), peer) : "";
    set_options_of_connection(fd.get(), unit_);
    process_details details;
    details.socket = fd.get();
    details.variables = variables_of(fd.get(), peer);
    details.is_invocation = true;
    const auto name = unit_.fd_name.empty() ? "connection" : unit_.fd_name;
    std::vector<listen_fd> fds;
    fds.push_back({name, std::move(fd)});
    try {
      if (plain_) {
        details.fds = &fds;
        start_plain(instance, peer.host, details);
      } else {
        start_service(number, instance, peer.host, details, fds);
      }
    } catch (...) {
      fd = std::move(fds.front().fd);
      throw;
    }
  }

  void start_plain(const std::string& instance, const std::string& host, const process_details& details) {
    if (plain_->unit().nonblocking) detail::os::set_nonblocking(details.socket, true);
    auto name = plain_->unit().name;
    if (has_instances_) name.instance = instance;
    plain_->start(name.full(), host, details);
  }

  /// Takes the descriptors, unless it throws.
  void start_service(std::uint64_t number, const std::string& instance, const std::string& host,
                     process_details& details, std::vector<listen_fd>& fds) {
    auto& added = connections_[number];
    added.host = host;
    added.fds = std::move(fds);
    details.fds = &added.fds;
    added.unit = plan_.service(instance);
    try {
      auto starter = std::make_shared<process_starter>(added.unit, plan_.environment, plan_.pid);
      added.run = std::make_shared<service>(
          io_, std::move(starter), std::move(details), log_,
          service::events{
              [](service&) {},
              {},
              [this, number](service& ended, const service_result& result) { has_ended(number, ended, result); }});
    } catch (...) {
      fds = std::move(added.fds);
      connections_.erase(number);
      throw;
    }
    if (added.unit.nonblocking) detail::os::set_nonblocking(added.fds.front().fd.get(), true);
    added.run->start();
  }

  static std::string instance_name(std::uint64_t number, int fd, const endpoint& peer) {
    if (peer.name.empty()) return fmt::format("{}", number);
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
    return fmt::format("{}-{}-{}", number, endpoint_of(address::from_sockaddr(&own, size)).name, peer.name);
  }

  static environment_map variables_of(int fd, const endpoint& peer) {
    environment_map variables;
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0) variables["SO_COOKIE"] = std::to_string(cookie);
    if (!peer.host.empty()) variables["REMOTE_ADDR"] = peer.host;
    if (!peer.port.empty()) variables["REMOTE_PORT"] = peer.port;
    return variables;
  }

  void has_ended(std::uint64_t number, const service& ended, const service_result& result) {
    if (result.lacks_resources && !on_stopped_) {
      auto& fd = connections_[number].fds.front().fd;
      auto peer = describe(fd.get()).peer;
      waiting_.push_back({std::move(fd), peer});
      pause_accepting(result.description);
    } else if (result.is_success()) {
      is_pausing_ = false;
    } else {
      log_.error(fmt::format("{}: {}", ended.name(), result.description));
    }
    // Destroyed later, because the service is still in use.
    asio::post(io_, [this, number] {
      connections_.erase(number);
      report_if_stopped();
    });
  }

  void report_if_stopped() {
    if (!on_stopped_ || !connections_.empty() || (plain_ && plain_->size() != 0)) return;
    std::exchange(on_stopped_, [] {})();
  }

  asio::io_context& io_;
  const plan& plan_;
  const socket_unit& unit_;
  rate_limit triggers_ = unit_.trigger_limit();
  const event_log& log_;
  std::function<void(int)> on_end_;
  std::vector<std::unique_ptr<watcher>> watchers_;
  std::map<std::uint64_t, connection> connections_;
  std::uint64_t accepted_ = 0;
  bool has_instances_ = false;           ///< whether the services are instances of a template
  std::optional<plain_services> plain_;  ///< instead of the connections, if the unit allows it
  /// Connections whose service could not be started so far, because there were too few resources: `serve()` could not
  /// start it, or it has ended at once for that reason.
  std::vector<client> waiting_;
  bool is_pausing_ = false;
  std::function<void()> on_stopped_;
  asio::steady_timer pause_;
};

// --- the activator ---------------------------------------------------------------------------------------------------

class activator {
 public:
  activator(const plan& what, const event_log& log) : plan_(what), log_(log), signals_(io_) {}

  int run() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    handle_signals();
    try {
      open_sockets_of_units();
      make_services();
    } catch (...) {
      close_sockets();
      throw;
    }
    for (auto& each : opened_) each.keep_paths();
    report_listening();
    std::error_code ignored;
    notify(state::ready(), ignored);
    if (single_ && plan_.starts_at_once) {
      single_->start();
    } else if (single_) {
      single_->wait_for_traffic();
    }
    for (auto& each : per_connection_) each->wait_for_traffic();
    io_.run();
    close_sockets();
    return exit_status_;
  }

 private:
  void open_sockets_of_units() {
    const auto warn = [this](const std::string& message) { log_.warning(message); };
    for (const auto& unit : plan_.sockets) {
      run_to_end(unit.start_pre, {}, plan_.environment, unit.timeout);
      opened_.emplace_back(unit, warn);
      run_to_end(unit.start_post, details_for_commands(opened_.back()), plan_.environment, unit.timeout);
      if (!unit.pass_file_descriptors_to_exec) continue;
      for (const auto& each : opened_.back().fds()) detail::os::set_nonblocking(each.fd.get(), true);
    }
  }

  static process_details details_for_commands(const open_sockets& sockets) {
    process_details details;
    if (!sockets.unit().pass_file_descriptors_to_exec) return details;
    details.fds = &sockets.fds();
    for (const auto& each : sockets.fds()) detail::os::set_nonblocking(each.fd.get(), false);
    return details;
  }

  /// Closes the sockets. A command that fails is reported, and does not keep the others from being closed.
  void close_sockets() {
    const auto run_commands = [this](const std::vector<command>& commands, const process_details& details,
                                     period timeout) {
      try {
        run_to_end(commands, details, plan_.environment, timeout);
      } catch (const std::system_error& error) {
        log_.error(error.what());
      }
    };
    single_.reset();
    per_connection_.clear();
    fds_.clear();
    while (!opened_.empty()) {
      const auto& unit = opened_.back().unit();
      run_commands(unit.stop_pre, details_for_commands(opened_.back()), unit.timeout);
      opened_.pop_back();
      run_commands(unit.stop_post, {}, unit.timeout);
    }
  }

  void make_services() {
    std::vector<socket_group> groups;
    const auto add = [&](const std::vector<listen_fd>& fds, socket_group group) {
      group.count = fds.size();
      for (const auto& each : fds) fds_.push_back({each.name, duplicate(each.fd.get())});
      groups.push_back(std::move(group));
    };
    const auto end = [this](int exit_status) {
      if (is_stopping_) return;
      exit_status_ = exit_status;
      stop();
    };
    add(plan_.passed, {"", {period::zero(), 0}, false, 0});
    for (const auto& each : opened_) {
      const auto& unit = each.unit();
      if (unit.accept) {
        per_connection_.push_back(std::make_unique<service_per_connection>(io_, plan_, each, log_, end));
      } else {
        add(each.fds(), {unit.name.full(), unit.trigger_limit(), unit.flush_pending, 0});
      }
    }
    if (fds_.empty() && !per_connection_.empty()) return;
    single_.emplace(io_, plan_, fds_, std::move(groups), log_, end);
  }

  void report_listening() {
    for (const auto& each : opened_) {
      for (const auto& entry : each.fds()) {
        const auto what = describe(entry.fd.get());
        log_.info(fmt::format("listening on {}", sd::to_string(what)));
        log_.event("listening", {{"unit", each.unit().name.full()},
                                 {"name", entry.name.value_or("")},
                                 {"kind", to_string(what.kind)},
                                 {"address", sd::to_string(what.local)},
                                 {"port", what.local.port()}});
      }
    }
  }

  /// Receives signals by a descriptor. Without handlers, a child that shares the memory of this process needs no
  /// protection from them.
  void handle_signals() {
    sigset_t handled;
    ::sigemptyset(&handled);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGQUIT}) {
      std::signal(signal, SIG_DFL);  // the end of a child is lost if SIGCHLD is ignored
      ::sigaddset(&handled, signal);
    }
    auto blocked = handled;
    ::sigaddset(&blocked, SIGPIPE);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    // Blocked here, it may have the action that services want.
    std::signal(SIGPIPE, plan_.service("").ignores_sigpipe ? SIG_IGN : SIG_DFL);
    const int fd = ::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) fail(errno, "signalfd");
    signals_.assign(fd);
    wait_for_signal();
  }

  void wait_for_signal() {
    signals_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& cancelled) {
      if (cancelled) return;
      std::array<signalfd_siginfo, 8> received{};
      const auto size = ::read(signals_.native_handle(), received.data(), sizeof received);
      const auto count = size < 0 ? 0 : static_cast<std::size_t>(size) / sizeof received[0];
      for (std::size_t i = 0; i < count; ++i) handle(static_cast<int>(received[i].ssi_signo));
      wait_for_signal();
    });
  }

  void handle(int signal) {
    switch (signal) {
      case SIGCHLD:
        reap();
        break;
      case SIGTERM:
      case SIGINT:
        stop();
        break;
      case SIGHUP:
        if (single_) single_->restart();
        break;
      default:
        forward(signal);
    }
  }

  void reap() {
    int status = 0;
    for (int pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (single_ && single_->handle_exit(pid, status)) continue;
      for (auto& each : per_connection_) {
        if (each->handle_exit(pid, status)) break;
      }
    }
  }

  void forward(int signal) {
    if (single_) single_->forward(signal);
    for (const auto& each : per_connection_) each->forward(signal);
  }

  void stop() {
    if (std::exchange(is_stopping_, true)) return kill();
    std::error_code ignored;
    notify(state::stopping(), ignored);
    running_ = per_connection_.size() + (single_ ? 1 : 0);
    const auto stopped = [this] {
      if (--running_ == 0) io_.stop();
    };
    if (single_) single_->stop(stopped);
    for (auto& each : per_connection_) each->stop(stopped);
  }

  /// Does not wait any longer for services that are stopping.
  void kill() {
    log_.warning("killing what has not stopped yet");
    if (single_) single_->kill();
    for (const auto& each : per_connection_) each->kill();
  }

  const plan& plan_;
  const event_log& log_;
  asio::io_context io_{1};
  asio::posix::stream_descriptor signals_;
  std::deque<open_sockets> opened_;
  std::vector<listen_fd> fds_;  ///< those of the units with Accept=no, in order
  std::optional<single_service> single_;
  std::vector<std::unique_ptr<service_per_connection>> per_connection_;
  std::size_t running_ = 0;
  bool is_stopping_ = false;
  int exit_status_ = 0;
};

}  // namespace

int run(const plan& what, const event_log& log) { return activator(what, log).run(); }

}  // namespace sd::activate
