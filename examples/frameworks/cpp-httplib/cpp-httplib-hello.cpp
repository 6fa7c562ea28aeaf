// SPDX-License-Identifier: MIT OR Apache-2.0
// A web server with cpp-httplib, for whatever stream socket its unit describes: TCP over IPv4 and IPv6, or unix.

#include <sd/listen_fds.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <httplib.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iostream>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

/// Serves a socket that listens already.
class activated_server : public httplib::Server {
 public:
  explicit activated_server(sd::unique_fd listener) : listener_(std::move(listener)) {
    // Both, so that the library waits in poll(2). In accept(2) it would not notice that it must stop.
    set_idle_interval(std::chrono::milliseconds(100));
    const int flags = ::fcntl(listener_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
      throw std::system_error(errno, std::generic_category(), "O_NONBLOCK");
    }
  }

  /// Serves until SIGTERM. Do not call the library's stop(), which shuts the socket down.
  void serve() {
    running = this;
    std::signal(SIGTERM, [](int) {
      stopping = 1;
      running->svr_sock_ = INVALID_SOCKET;
    });
    while (stopping == 0) {
      // The library closes its descriptor and returns false when accept(2) fails, so give it a copy.
      sd::unique_fd copy(::fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0));
      if (copy) {
        svr_sock_ = copy.get();
        if (stopping != 0 || listen_after_bind()) break;
        static_cast<void>(copy.release());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    std::signal(SIGTERM, SIG_IGN);
    running = nullptr;
  }

 private:
  static inline activated_server* running = nullptr;
  static inline volatile std::sig_atomic_t stopping = 0;

  sd::unique_fd listener_;
};

/// Serves with as many threads as can be started. httplib::ThreadPool never returns if one of its threads cannot.
class workers : public httplib::TaskQueue {
 public:
  explicit workers(std::size_t count) {
    try {
      while (threads_.size() < count) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;
    }
  }

  void enqueue(std::function<void()> job) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
    added_.notify_one();
  }

  void shutdown() override {
    for (std::size_t i = 0; i < threads_.size(); ++i) enqueue(nullptr);
    for (auto& thread : threads_) thread.join();
  }

 private:
  void work() {
    while (const auto job = next()) job();
  }
  std::function<void()> next() {
    std::unique_lock<std::mutex> lock(mutex_);
    added_.wait(lock, [this] { return !jobs_.empty(); });
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
};

}  // namespace

int main() {
  try {
    auto fds = sd::listen_fds(sd::listen_options::required);

    activated_server server(sd::take(fds, sd::kind::stream).fd);
    server.Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("hello\n", "text/plain");
    });
    server.set_payload_max_length(1024 * 1024);
    server.new_task_queue = [] { return new workers(64); };  // at most 64 clients at a time

    server.serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "cpp-httplib-hello: " << error.what() << '\n';
    return 1;
  }
}
