// SPDX-License-Identifier: MIT OR Apache-2.0
#include "activator.hpp"

#include <sd/notify.hpp>
#include <sd/socket.hpp>

#include "connection_services.hpp"
#include "detail/os/sockets.hpp"
#include "single_service.hpp"
#include "sockets.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sd::activate {

namespace {

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
    if (sockets.unit().pass_file_descriptors_to_exec) {
      details.fds = &sockets.fds();
      for (const auto& each : sockets.fds()) detail::os::set_nonblocking(each.fd.get(), false);
    }
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
      exit_status_ = exit_status;
      stop();
    };
    add(plan_.passed, {});
    for (const auto& each : opened_) {
      const auto& unit = each.unit();
      if (unit.accept) {
        per_connection_.push_back(std::make_unique<connection_services>(io_, plan_, each, log_, end));
      } else {
        add(each.fds(), {unit.name.full(), unit.trigger_limit(), unit.flush_pending, 0});
      }
    }
    if (!fds_.empty()) single_.emplace(io_, plan_, fds_, std::move(groups), log_, end);
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
    signals_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& ec) {
      if (ec) throw std::system_error(ec, "wait for signals");
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
  std::vector<std::unique_ptr<connection_services>> per_connection_;
  std::size_t running_ = 0;
  bool is_stopping_ = false;
  int exit_status_ = 0;
};

}  // namespace

int run(const plan& what, const event_log& log) { return activator(what, log).run(); }

}  // namespace sd::activate
