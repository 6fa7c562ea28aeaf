// A chat whose clients stay connected while it is restarted, or upgraded: each line that a client sends goes to all
// clients. The service manager keeps a copy of every connection, and passes them to the next instance.
//
// There is no other state to hand over, as a line stays in the kernel until it has gone to everybody: it is looked at
// with MSG_PEEK, sent on, and only then taken. So a restart neither loses a line nor sends it twice. (A crash in
// between may send the line that was under way to some clients a second time.)

#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/store.hpp>
#include <sd/take.hpp>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

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

/// A descriptor that is readable once the signal has come, which interrupts nothing then: no line that is under way.
sd::unique_fd open_signal(int number) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, number);
  check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
  return sd::unique_fd(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

class chat {
 public:
  explicit chat(sd::unique_fd listener) : listener_(std::move(listener)) { watch(listener_.get(), EPOLLIN); }

  /// A client that the previous instance served.
  void resume(const std::string& name, sd::unique_fd fd) {
    last_ = std::max(last_, std::stoul(name));
    add(std::stoul(name), std::move(fd));
  }

  /// Until SIGTERM.
  void serve() {
    watch(sigterm_.get(), EPOLLIN);
    sd::notify({sd::state::ready()});
    std::array<epoll_event, 64> events;
    while (!stopping()) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_.get()) {
          accept();
        } else if (clients_.count(fd) != 0 && !pass_on_lines(fd)) {
          remove(fd);
        }
      }
    }
    // Whoever was accepted last is to be with the manager before this process is gone.
    sd::notify_barrier(5s);
  }

 private:
  struct member {
    unsigned long name;
    sd::unique_fd fd;
  };

  void watch(int fd, unsigned events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }

  void accept() {
    sd::unique_fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    const auto name = ++last_;
    sd::store(std::to_string(name), fd.get());
    add(name, std::move(fd));
  }

  void add(unsigned long name, sd::unique_fd fd) {
    const timeval patience{1, 0};  // with a client who does not read
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "SO_SNDTIMEO");
    watch(fd.get(), EPOLLIN | EPOLLET);  // once for what is new: half a line stays where it is
    const int number = fd.get();
    clients_.emplace(number, member{name, std::move(fd)});
  }

  void remove(int fd) {
    const auto gone = clients_.find(fd);
    sd::forget(std::to_string(gone->second.name));
    ::shutdown(fd, SHUT_RDWR);  // the manager's copy would keep it open
    clients_.erase(gone);
  }

  /// False where the client has gone.
  bool pass_on_lines(int fd) {
    std::array<char, 4096> buffer;
    while (true) {
      const auto received = ::recv(fd, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
      if (received < 0) return errno == EAGAIN;
      const std::string_view text(buffer.data(), static_cast<std::size_t>(received));
      const auto end = text.find('\n');
      if (end == std::string_view::npos) return !text.empty() && text.size() < buffer.size();
      const auto line = text.substr(0, end + 1);
      send_to_all(line);
      if (::recv(fd, buffer.data(), line.size(), 0) < 0) return false;
      if (stopping()) return true;  // the rest stays where the next instance finds it
    }
  }

  [[nodiscard]] bool stopping() const {
    pollfd sigterm{sigterm_.get(), POLLIN, 0};
    return ::poll(&sigterm, 1, 0) > 0;
  }

  void send_to_all(std::string_view line) {
    std::vector<int> lost;
    for (const auto& [fd, ignored] : clients_) {
      for (auto rest = line; !rest.empty();) {
        const auto sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0) {
          lost.push_back(fd);
          break;
        }
        rest.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
    for (const int fd : lost) ::shutdown(fd, SHUT_RDWR);  // which epoll tells of
  }

  sd::unique_fd sigterm_ = open_signal(SIGTERM);
  sd::unique_fd epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  sd::unique_fd listener_;
  std::map<int, member> clients_;
  unsigned long last_ = 0;
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
