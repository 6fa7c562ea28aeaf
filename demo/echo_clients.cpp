// SPDX-License-Identifier: MIT OR Apache-2.0
// echo-clients PORT CLIENTS PER_SECOND: connects short-lived clients to an echo server on 127.0.0.1 at a steady rate,
// and counts the clients that are lost. Each client sends a line of its own. It counts as answered if it receives
// exactly this line.
//
// Exit status: 0 if all clients were answered, 1 if some were lost, 2 for wrong usage or if a client could not be
// started.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(10);  // for all calls of a client
constexpr int most_at_once = 500;  // the number of clients, within the usual limit of 1024 descriptors

enum outcome : std::size_t { answered, refused, reset, cut_short, wrong, timed_out, outcomes };
constexpr std::array<const char*, outcomes> names = {"answered",  "refused",     "reset",
                                                     "cut short", "wrong reply", "timed out"};

class unanswered : public std::exception {
 public:
  explicit unanswered(outcome why) : why_(why) {}
  [[nodiscard]] outcome why() const noexcept { return why_; }

 private:
  outcome why_;
};

[[noreturn]] void fail(int error, const char* what) {
  if (error == ECONNREFUSED) throw unanswered(refused);
  if (error == ECONNRESET || error == EPIPE) throw unanswered(reset);
  throw std::system_error(error, std::generic_category(), what);  // an error of this program
}

/// A connection whose calls fail at the deadline.
class connection {
 public:
  explicit connection(clock::time_point deadline)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), deadline_(deadline) {
    if (fd_ < 0) fail(errno, "socket");
  }
  ~connection() { ::close(fd_); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void connect(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    if (errno != EINPROGRESS) fail(errno, "connect");
    wait_for(POLLOUT);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) fail(error, "connect");
  }

  void send(std::string_view text) {
    while (!text.empty()) {
      wait_for(POLLOUT);
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        text.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN) {
        fail(errno, "send");
      }
    }
    if (::shutdown(fd_, SHUT_WR) != 0 && errno != ENOTCONN) fail(errno, "shutdown");
  }

  std::string receive_all() {
    std::string text;
    while (true) {
      wait_for(POLLIN);
      std::array<char, 256> buffer;
      const ssize_t received = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (received == 0) return text;
      if (received > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(received));
      } else if (errno != EAGAIN) {
        fail(errno, "recv");
      }
    }
  }

 private:
  void wait_for(short events) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now());
    pollfd waiting{fd_, events, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) throw unanswered(timed_out);
  }

  int fd_;
  clock::time_point deadline_;
};

outcome run_client(std::uint16_t port, int number) {
  const std::string line = "I am client " + std::to_string(number) + '\n';
  try {
    connection server(clock::now() + patience);
    server.connect(port);
    server.send(line);
    const std::string reply = server.receive_all();
    if (reply == line) return answered;
    return line.compare(0, reply.size(), reply) == 0 ? cut_short : wrong;
  } catch (const unanswered& lost) {
    return lost.why();
  }
}

/// Counts the clients by outcome.
class tally {
 public:
  void add(outcome what) { ++counts_[what]; }
  [[nodiscard]] int lost() const { return sum() - counts_[answered]; }
  void print() const {
    std::cout << sum() << " clients: " << counts_[answered] << " answered, " << lost() << " lost";
    const char* separator = " (";
    for (std::size_t i = refused; i < outcomes; ++i) {
      if (counts_[i] == 0) continue;
      std::cout << separator << counts_[i] << ' ' << names[i];
      separator = ", ";
    }
    std::cout << (lost() > 0 ? ")\n" : "\n");
  }

 private:
  [[nodiscard]] int sum() const {
    int all = 0;
    for (const auto& count : counts_) all += count;
    return all;
  }
  std::array<std::atomic<int>, outcomes> counts_{};
};

int number(std::string_view text, int most, const std::string& name) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    throw std::invalid_argument(name + "=\"" + std::string(text) + "\": not a number from 1 to " +
                                std::to_string(most));
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::invalid_argument("usage: echo-clients PORT CLIENTS PER_SECOND");
    const auto port = static_cast<std::uint16_t>(number(argv[1], 65535, "PORT"));
    const int clients = number(argv[2], 1'000'000, "CLIENTS");
    const int per_second = number(argv[3], 100'000, "PER_SECOND");

    tally outcomes_seen;
    std::atomic<int> next{0};
    const auto start = clock::now();
    const auto run_clients = [&] {
      for (int i = next++; i < clients; i = next++) {
        std::this_thread::sleep_until(start + std::chrono::nanoseconds(std::chrono::seconds(i)) / per_second);
        outcomes_seen.add(run_client(port, i));
      }
    };
    std::vector<std::future<void>> threads;  // the destructors wait for the threads
    threads.reserve(most_at_once);
    for (int i = 0; i < std::min(clients, most_at_once); ++i) {
      threads.push_back(std::async(std::launch::async, run_clients));
    }
    for (auto& thread : threads) thread.get();

    outcomes_seen.print();
    return outcomes_seen.lost() == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "echo-clients: " << error.what() << '\n';
    return 2;
  }
}
