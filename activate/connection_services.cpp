// SPDX-License-Identifier: MIT OR Apache-2.0
#include "connection_services.hpp"

#include "detail/os/sockets.hpp"

#include <asio/post.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

namespace sd::activate {

namespace {

constexpr int accepts_at_once = 64;  // before other events are handled

/// The address of a socket, as it stands in the name of an instance, in REMOTE_ADDR and in REMOTE_PORT.
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

ucred credentials_of_peer(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) fail(errno, "SO_PEERCRED");
  return peer;
}

/// Returns whose connections MaxConnectionsPerSource= counts together.
std::string source_of(int fd, const address& peer) {
  if (const auto host = endpoint_of(peer).host; !host.empty()) return host;
  if (peer.family() == AF_UNIX) return fmt::format("user {}", credentials_of_peer(fd).uid);
  const auto text = to_string(peer);
  return text.substr(0, text.rfind(':'));  // the CID of a vsock
}

std::string instance_name(std::uint64_t number, int fd, const address& peer, const endpoint& end) {
  if (peer.family() == AF_UNIX) {
    const auto credentials = credentials_of_peer(fd);
    return fmt::format("{}-{}-{}", number, credentials.pid, credentials.uid);
  }
  if (end.name.empty()) return fmt::format("{}", number);
  sockaddr_storage own{};
  const int size = std::max(detail::os::local_address(fd, &own, sizeof own), 0);
  const auto own_end = endpoint_of(address::from_sockaddr(&own, static_cast<std::size_t>(size)));
  return fmt::format("{}-{}-{}", number, own_end.name, end.name);
}

environment_map variables_of(int fd, const endpoint& peer, bool is_instance) {
  environment_map variables;
  if (!peer.host.empty()) variables["REMOTE_ADDR"] = peer.host;
  if (!peer.port.empty()) variables["REMOTE_PORT"] = peer.port;
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  // Like systemd-socket-activate, a command without a unit does without it, and so without the cost of its system call.
  if (is_instance && ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0) {
    variables["SO_COOKIE"] = std::to_string(cookie);
  }
  return variables;
}

}  // namespace

connection_services::connection_services(asio::io_context& io, const plan& what, const open_sockets& sockets,
                                         const event_log& log, std::function<void(int exit_status)> on_end)
    : io_(io), plan_(what), unit_(sockets.unit()), log_(log), on_end_(std::move(on_end)), pause_(io) {
  auto service = plan_.service("");
  has_instances_ = service.name.instance.has_value();
  if (!plan_.names_instance && plain_services::can_run(service)) {
    plain_.emplace(io_, std::move(service), plan_.environment, plan_.pid, log_, [this](bool is_success) {
      if (is_success) has_warned_ = false;
      report_if_stopped();
    });
  }
  for (const auto& each : sockets.fds()) {
    const int fd = each.fd.get();
    watchers_.push_back(std::make_unique<watcher>(io_, fd, [this, fd] { accept(fd); }));
  }
}

void connection_services::wait_for_traffic() {
  for (auto& each : watchers_) each->arm();
}

void connection_services::stop(std::function<void()> on_stopped) {
  on_stopped_ = std::move(on_stopped);
  for (const auto& [_, each] : instances_) each.run->stop();
  if (plain_) plain_->stop();
  report_if_stopped();
}

bool connection_services::handle_exit(int pid, int status) {
  if (plain_) return plain_->handle_exit(pid, status);
  return std::any_of(instances_.begin(), instances_.end(),
                     [&](const auto& each) { return each.second.run->handle_exit(pid, status); });
}

void connection_services::forward(int signal) const {
  if (plain_) plain_->forward(signal);
  for (const auto& [_, each] : instances_) each.run->forward(signal);
}

void connection_services::kill() const {
  if (plain_) plain_->kill();
  for (const auto& [_, each] : instances_) each.run->kill();
}

void connection_services::accept(int listener) {
  for (int i = 0; i < accepts_at_once; ++i) {
    if (on_stopped_ || !waiting_.empty()) return;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    unique_fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
    if (!fd && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (!fd && errno == EAGAIN) break;
    if (!fd) return pause_accepting(std::generic_category().message(errno));
    if (!triggers_.admits(std::chrono::steady_clock::now())) {
      log_.error(exceeded_trigger_limit(unit_.name.full(), triggers_));
      return on_end_(EXIT_FAILURE);
    }
    serve({std::move(fd), address::from_sockaddr(&peer, size), {}});
  }
  wait_for_traffic();
}

/// Accepts no connection for a while, and then serves first those that were accepted but could not be served.
void connection_services::pause_accepting(const std::string& reason) {
  if (!std::exchange(has_warned_, true)) {
    log_.warning(fmt::format("{}: clients wait: {}", unit_.name.full(), reason));
  }
  pause_.expires_after(shortage_pause);
  pause_.async_wait([this](const std::error_code& cancelled) {
    if (cancelled || on_stopped_) return;
    for (auto& each : std::exchange(waiting_, {})) serve(std::move(each));
    wait_for_traffic();
  });
}

void connection_services::serve(client accepted) {
  if (instances_.size() + (plain_ ? plain_->size() : 0) >= unit_.max_connections) {
    return log_.warning(
        fmt::format("{}: MaxConnections={}: a connection was refused", unit_.name.full(), unit_.max_connections));
  }
  try {
    if (const auto most = unit_.max_connections_per_source) {
      accepted.source = source_of(accepted.fd.get(), accepted.peer);
      if (count(accepted.source) >= *most) {
        return log_.warning(fmt::format("{}: MaxConnectionsPerSource={}: a connection of {} was refused",
                                        unit_.name.full(), *most, accepted.source));
      }
    }
    start(accepted);
  } catch (const std::system_error& error) {
    if (!lacks_resources(error.code())) return log_.error(fmt::format("{}: {}", unit_.name.full(), error.what()));
    wait_with(std::move(accepted), error.code().message());
  } catch (const std::bad_alloc&) {
    wait_with(std::move(accepted), std::generic_category().message(ENOMEM));
  } catch (const std::exception& error) {
    log_.error(fmt::format("{}: {}", unit_.name.full(), error.what()));
  }
}

void connection_services::wait_with(client accepted, const std::string& reason) {
  waiting_.push_back(std::move(accepted));
  pause_accepting(reason);
}

std::size_t connection_services::count(const std::string& source) const {
  if (plain_) return plain_->count(source);
  return static_cast<std::size_t>(std::count_if(instances_.begin(), instances_.end(),
                                                [&](const auto& each) { return each.second.source == source; }));
}

/// Takes the connection, unless it throws.
void connection_services::start(client& accepted) {
  auto& fd = accepted.fd;
  const auto number = accepted_++;
  const auto peer = endpoint_of(accepted.peer);
  const auto name = has_instances_ ? instance_name(number, fd.get(), accepted.peer, peer) : "";
  set_options_of_connection(fd.get(), unit_);
  process_details details;
  details.socket = fd.get();
  details.variables = variables_of(fd.get(), peer, has_instances_);
  std::vector<listen_fd> fds(1);
  fds.front().name = unit_.fd_name.empty() ? "connection" : unit_.fd_name;
  fds.front().fd = std::move(fd);
  try {
    if (plain_) {
      details.fds = &fds;
      start_plain(name, accepted.source, details);
    } else {
      start_instance(number, name, accepted, details, fds);
    }
  } catch (...) {
    fd = std::move(fds.front().fd);
    throw;
  }
}

void connection_services::start_plain(const std::string& name, const std::string& source, process_details& details) {
  if (plain_->unit().nonblocking) detail::os::set_nonblocking(details.socket, true);
  auto full_name = plain_->unit().name;
  if (has_instances_) full_name.instance = name;
  plain_->start(full_name.full(), source, std::move(details));
}

/// Takes the descriptors, unless it throws.
void connection_services::start_instance(std::uint64_t number, const std::string& name, const client& accepted,
                                         process_details& details, std::vector<listen_fd>& fds) {
  auto& added = instances_[number];
  details.fds = &added.fds;
  try {
    added.fds = std::move(fds);
    added.source = accepted.source;
    added.peer = accepted.peer;
    auto starter = std::make_shared<process_starter>(plan_.service(name), plan_.environment, plan_.pid);
    if (starter->unit().nonblocking) detail::os::set_nonblocking(added.fds.front().fd.get(), true);
    added.run =
        std::make_shared<service>(io_, std::move(starter), std::move(details), log_,
                                  service::events{{}, {}, [this, number](service& ended, const service_result& result) {
                                                    handle_end(number, ended, result);
                                                  }});
    added.run->start();
  } catch (...) {
    if (added.run) added.run->kill();
    fds = std::move(added.fds);
    instances_.erase(number);
    throw;
  }
}

void connection_services::handle_end(std::uint64_t number, const service& ended, const service_result& result) {
  if (result.lacks_resources && !on_stopped_) {
    auto& ended_instance = instances_[number];
    wait_with({std::move(ended_instance.fds.front().fd), ended_instance.peer, {}}, result.description);
  } else if (result.is_success()) {
    has_warned_ = false;
  } else {
    log_.error(fmt::format("{}: {}", ended.name(), result.description));
  }
  // Destroyed later, because the service is still in use.
  asio::post(io_, [this, number] {
    instances_.erase(number);
    report_if_stopped();
  });
}

void connection_services::report_if_stopped() {
  if (!on_stopped_ || !instances_.empty() || (plain_ && plain_->size() != 0)) return;
  std::exchange(on_stopped_, [] {})();
}

}  // namespace sd::activate
