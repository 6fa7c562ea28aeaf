// SPDX-License-Identifier: MIT OR Apache-2.0
// A chat whose clients stay connected while it is restarted or upgraded: each line that a client sends is sent to all
// clients. The service manager keeps a copy of every connection, and passes the copies to the next instance.
//
// No other state needs to be handed over, because a line stays in the kernel until it has been sent to all clients: the
// service reads it with MSG_PEEK, sends it, and only then removes it. So a restart neither loses a line nor sends it
// twice. (If the service crashes in between, some clients may receive that line again.)
//
// A client is disconnected if it sends a line of more than 4,095 bytes, if it closes its connection in the middle of a
// line, or if its socket buffer is full and it does not read for a second. All other clients wait during this second.
// The service accepts only as many clients as a restart can hand over. The others stay in the connection queue until a
// client has left. A user may open any number of connections.

#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/store.hpp>
#include <sd/take.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

void report(const char* what, const std::error_code& error) {
  std::cerr << "keep-connections: " << what << ": " << error.message() << '\n';
}

/// Blocks the signal, which would interrupt a line that is being sent, and returns a descriptor that becomes readable
/// when the signal arrives.
sd::unique_fd open_signal(int number) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, number);
  check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
  return sd::unique_fd(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

/// Returns how many clients a restart can hand over: no more than the service manager stores, and no more than half of
/// the descriptors that this process may have, because systemd needs up to two numbers for each one while it passes
/// them.
rlim_t most_clients() {
  constexpr rlim_t stored = 1000;  // FileDescriptorStoreMax= of the unit; systemd before 254 does not pass it on
  constexpr rlim_t others = 12;    // the other descriptors that this service and the library open
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  const rlim_t passable = (std::max(limit.rlim_cur, others + 2) - others) / 2;
  return std::min<rlim_t>(sd::store_limit().value_or(stored), passable);
}

class chat {
 public:
  explicit chat(sd::unique_fd listener) : listener_(std::move(listener)) {
    // A client may disconnect before it is accepted; accept(2) must not wait for the next one then.
    check(::fcntl(listener_.get(), F_SETFL, check(::fcntl(listener_.get(), F_GETFL), "F_GETFL") | O_NONBLOCK),
          "F_SETFL");
    watch(sigterm_.get(), EPOLLIN);
    watch(listener_.get(), 0);
  }

  /// Takes over a client of the previous instance.
  void resume(const std::string& name, sd::unique_fd fd) {
    last_ = std::max(last_, std::stoul(name));
    add(std::stoul(name), std::move(fd));
  }

  /// Returns after SIGTERM.
  void serve() {
    sd::notify({sd::state::ready()});
    std::array<epoll_event, 64> events;
    while (!stopping()) {
      accept_from_now_on(!out_of_descriptors_ && clients_.size() < most_clients_);
      const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), out_of_descriptors_ ? 1000 : -1);
      if (count == 0) out_of_descriptors_ = false;  // another process may have freed some
      for (int i = 0; i < count && !stopping(); ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == listener_.get()) {
          accept();
        } else if (clients_.count(event.data.fd) != 0 && !pass_on_lines(event.data.fd, event.events)) {
          remove(event.data.fd);
        }
      }
    }
    // The manager must have received the client that was accepted last before this process exits.
    std::error_code error;
    sd::notify_barrier(5s, error);
    if (error) report("notify_barrier", error);
  }

 private:
  struct member {
    unsigned long name;
    sd::unique_fd fd;
  };

  void watch(int fd, unsigned events, int operation = EPOLL_CTL_ADD) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    check(::epoll_ctl(epoll_.get(), operation, fd, &event), "epoll_ctl");
  }

  /// While it is off, clients stay in the queue, and epoll does not report them.
  void accept_from_now_on(bool on) {
    if (std::exchange(accepting_, on) != on) watch(listener_.get(), on ? unsigned{EPOLLIN} : 0U, EPOLL_CTL_MOD);
  }

  void accept() {
    sd::unique_fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) {
      out_of_descriptors_ = errno != EAGAIN && errno != ECONNABORTED;
      return;
    }
    const auto name = ++last_;
    std::error_code error;
    sd::store(std::to_string(name), fd.get(), sd::store_poll::on, error);
    if (error) report("this client will be disconnected by a restart", error);
    add(name, std::move(fd));
  }

  void add(unsigned long name, sd::unique_fd fd) {
    const int number = fd.get();
    clients_.emplace(number, member{name, std::move(fd)});
    try {
      watch(number, client_events);
    } catch (const std::system_error& error) {
      report("a client is disconnected", error.code());
      remove(number);
    }
  }

  void remove(int fd) {
    const auto gone = clients_.find(fd);
    std::error_code error;
    sd::forget(std::to_string(gone->second.name), error);
    if (error) report("forget", error);
    ::shutdown(fd, SHUT_RDWR);  // the manager's copy would keep the connection open
    clients_.erase(gone);
    out_of_descriptors_ = false;
  }

  /// Sends the complete lines that can be read at once. Returns false if the client has left or must be disconnected.
  bool pass_on_lines(int fd, unsigned events) {
    std::array<char, 4096> buffer;
    const auto received = ::recv(fd, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
    if (received < 0) return errno == EAGAIN;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(received));
    const auto end = text.rfind('\n');
    if (end == std::string_view::npos) {
      // The line is not complete. It never will be if it is too long, or if the client sends no more.
      return text.size() < buffer.size() && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0;
    }
    send_to_all(text.substr(0, end + 1));
    if (::recv(fd, buffer.data(), end + 1, 0) < 0) return false;
    // There may be more to read. Report it again, after the events of the other clients.
    watch(fd, client_events, EPOLL_CTL_MOD);
    return true;
  }

  [[nodiscard]] bool stopping() const {
    pollfd sigterm{sigterm_.get(), POLLIN, 0};
    return ::poll(&sigterm, 1, 0) > 0;
  }

  /// Waits for clients whose socket buffer is full, so that a client that sends fast does not make the service
  /// disconnect those that read more slowly. It waits for all of them together.
  void send_to_all(std::string_view lines) {
    std::vector<pollfd> fds;
    for (const auto& [fd, ignored] : clients_) fds.push_back({fd, POLLOUT, POLLOUT});
    std::vector<std::string_view> unsent(fds.size(), lines);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
      std::size_t behind = 0;
      for (std::size_t i = 0; i < fds.size(); ++i) {
        if (fds[i].revents != 0) send_some(fds[i].fd, unsent[i]);
        if (unsent[i].empty()) continue;
        fds[behind] = fds[i];
        unsent[behind++] = unsent[i];
      }
      fds.resize(behind);
      unsent.resize(behind);
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (fds.empty() || left <= 0ms) break;
      ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    }
    for (const auto& behind : fds) ::shutdown(behind.fd, SHUT_RDWR);  // epoll reports it
  }

  /// Removes what was sent from the text, or all of it if the client has left, which epoll reports.
  static void send_some(int fd, std::string_view& text) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) text.remove_prefix(static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN) text = {};
  }

  static constexpr auto patience = 1s;  // with clients that do not read
  // Edge-triggered: an incomplete line is reported once and stays in the socket.
  static constexpr unsigned client_events = EPOLLIN | EPOLLRDHUP | EPOLLET;

  sd::unique_fd sigterm_ = open_signal(SIGTERM);
  sd::unique_fd epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  sd::unique_fd listener_;
  std::map<int, member> clients_;
  rlim_t most_clients_ = most_clients();
  unsigned long last_ = 0;
  bool accepting_ = false;
  bool out_of_descriptors_ = false;
};

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);
    auto clients = sd::take_stored(fds);
    chat chat(sd::take(fds, sd::kind::stream).fd);
    for (auto& [name, fd] : clients) chat.resume(name.value(), std::move(fd));
    chat.serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "keep-connections: " << error.what() << '\n';
    return 1;
  }
}
