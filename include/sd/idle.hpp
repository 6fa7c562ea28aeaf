// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// @file
/// Lets a service that nobody uses exit, without losing a client.

#include <sd/config.hpp>
#include <sd/take_or_bind.hpp>

#include <atomic>
#include <cassert>
#include <chrono>
#include <utility>
#include <vector>

namespace sd {
inline namespace v0 {

/// Decides when an activated service may exit because no client has used it for a while.
///
/// The service manager keeps the listening sockets when the service exits, and the next connection starts the service
/// again. No client is lost: a client that connects while the service exits stays in the connection queue and is served
/// by the next instance. Idle exit is active only if every watched socket was passed by the service manager. A service
/// that opened a socket itself keeps running.
///
/// The service is busy while an `idle_exit::work` object exists. Begin the work before you call accept(2), and destroy
/// it when the client has left or when accept(2) fails. The socket must be nonblocking, because another process that
/// holds it may have accepted the client in the meantime:
///
///     sd::idle_exit idle(std::chrono::seconds(30));
///     idle.watch(socket);
///     while (!idle.try_stop()) {
///       pollfd readable{socket.get(), POLLIN, 0};
///       if (poll(&readable, 1, idle.timeout()) <= 0) continue;
///       auto work = idle.begin();
///       sd::unique_fd client(accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
///       if (client) serve(client);
///     }
///
/// `examples/on-demand` is a complete service, which also handles a lack of file descriptors.
///
/// @threadsafety `begin()` may be called, and a `work` may be destroyed, in any thread. Call `watch()` before other
///               threads use the object. Two threads must not call `try_stop()` or `timeout()` at the same time.
/// @see daemon(7), sd_notify(3)
class idle_exit {
 public:
  /// Keeps the service busy for as long as it exists. An empty object, whose `operator bool` returns false, does not.
  ///
  /// It must be destroyed before the `idle_exit` that it came from.
  class work {
   public:
    /// Keeps no service busy.
    work() noexcept = default;
    work(work&& other) noexcept : idle_(std::exchange(other.idle_, nullptr)) {}
    work& operator=(work&& other) noexcept {
      work moved(std::move(other));
      std::swap(idle_, moved.idle_);
      return *this;
    }
    work(const work&) = delete;
    work& operator=(const work&) = delete;
    ~work() {
      if (idle_ != nullptr) idle_->end();
    }
    /// Returns whether the object keeps a service busy.
    [[nodiscard]] explicit operator bool() const noexcept { return idle_ != nullptr; }

   private:
    friend idle_exit;
    explicit work(idle_exit* idle) noexcept : idle_(idle) {}
    idle_exit* idle_ = nullptr;
  };

  /// Starts to measure the idle time.
  ///
  /// @param after  How long the service must be without work before it may exit: 0 to 24 days. A value outside of this
  ///               range is replaced by the nearest value in it.
  SD_EXPORT explicit idle_exit(std::chrono::milliseconds after) noexcept;
  idle_exit(const idle_exit&) = delete;
  idle_exit& operator=(const idle_exit&) = delete;
  /// In debug builds, asserts that no work exists.
  ~idle_exit() { assert(state_ <= 0 && "sd::idle_exit: destroyed while work exists"); }

  /// Adds `socket`, which the service accepts clients from.
  ///
  /// The object keeps the number of the descriptor and does not own it. The descriptor must stay open under this number
  /// until the last call of `try_stop()`. Call this before `server_socket::release_fd()`. A socket that `take()`
  /// returned becomes a `server_socket` by its constructor.
  ///
  /// @throws std::bad_alloc The socket is not watched then.
  SD_EXPORT void watch(const server_socket& socket);
  void watch(server_socket&& socket) = delete;

  /// Returns whether idle exit is active: at least one socket is watched, and every watched socket was passed by the
  /// service manager. Otherwise `try_stop()` always returns false.
  [[nodiscard]] SD_EXPORT bool armed() const noexcept;

  /// Begins work, which ends when the returned object is destroyed.
  ///
  /// @returns An empty object if the service has stopped: `try_stop()` has returned true or is about to. Do not accept
  ///          a client then. In every other case the work has begun, and an attempt to stop that is under way fails.
  [[nodiscard]] SD_EXPORT work begin() noexcept;

  /// Stops the service if it has been without work for long enough and no client waits in the queue of a watched
  /// socket.
  ///
  /// When the service stops, this sends `STOPPING=1` to the service manager, which may block as `notify()` does. A
  /// failure to send the message is ignored. If poll(2) fails on a queue, a client may be waiting there, so the service
  /// does not stop.
  ///
  /// @returns Whether the service has stopped. If so, exit: no work can begin any more, and every further call returns
  ///          true.
  [[nodiscard]] SD_EXPORT bool try_stop() noexcept;

  /// Returns how long to wait for a client before the next call of `try_stop()`.
  ///
  /// @returns Milliseconds, in the form that poll(2) takes: the rest of the idle time, or all of it while there is
  ///          work; 0 if the service has stopped; -1, for no limit, if idle exit is not active.
  [[nodiscard]] SD_EXPORT int timeout() const noexcept;

 private:
  SD_EXPORT void end() noexcept;
  [[nodiscard]] int remaining() const noexcept;

  int after_;  // milliseconds
  std::vector<int> fds_;
  bool all_passed_ = true;
  // All atomics are of the size of a word: larger ones need libatomic on some 32-bit platforms.
  std::atomic<int> state_{0};    // the number of works, or a negative number that idle.cpp defines
  std::atomic<unsigned> since_;  // when the last work ended, in milliseconds modulo 2^32 or more
};

}  // namespace v0
}  // namespace sd
