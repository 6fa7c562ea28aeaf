#pragma once

#include <sd/config.hpp>
#include <sd/take_or_bind.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace sd {

/// Tells when an activated service may exit because nobody has needed it for a while, without losing the client who
/// comes at that moment: who is not accepted yet waits in the socket, which the service manager holds, and starts the
/// service again. Armed only where all the sockets were passed, and there is one.
///
///     sd::idle_exit idle(30s);
///     idle.watch(socket.fd.get(), socket.origin);
///     while (!idle.try_stop()) {
///       poll(&readable, 1, idle.timeout());
///       if (auto work = idle.begin()) serve(accept(...), std::move(work));
///     }
///
/// Shape:   the service is busy while there is an `idle_exit::work`. Begin one before you accept, and drop it when the
///          client has gone, or was none.
/// Errors:  none: a manager that cannot be told is not. As `notify()`, it waits for one that is behind.
/// Threads: `begin()` and the end of a `work` from any thread. `watch()` before there is a second one. `try_stop()` and
///          `timeout()` from one thread at a time.
/// Source:  daemon(7), sd_notify(3)
class idle_exit {
 public:
  /// While it lives, the service is busy. False where the service has stopped: accept nobody then.
  class work {
   public:
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
    [[nodiscard]] explicit operator bool() const noexcept { return idle_ != nullptr; }

   private:
    friend idle_exit;
    explicit work(idle_exit* idle) noexcept : idle_(idle) {}
    idle_exit* idle_ = nullptr;
  };

  /// To stop after this long without work. The time starts now.
  SD_EXPORT explicit idle_exit(std::chrono::milliseconds after) noexcept;
  idle_exit(const idle_exit&) = delete;
  idle_exit& operator=(const idle_exit&) = delete;
  ~idle_exit() = default;

  /// Adds a socket that the service serves. The number is kept, not owned.
  SD_EXPORT void watch(int fd, origin origin);

  /// Begins work. False where the service has stopped.
  [[nodiscard]] SD_EXPORT work begin() noexcept;

  /// Whether to exit now. If there has been no work for long enough, work can no longer begin; if nobody waits in a
  /// socket either, the manager is told `STOPPING=1`, and the answer stays true. Otherwise all goes on.
  [[nodiscard]] SD_EXPORT bool try_stop() noexcept;

  /// How long to wait, in milliseconds, as poll(2) takes it, until `try_stop()` is worth a call; -1 where it is not
  /// armed.
  [[nodiscard]] SD_EXPORT int timeout() const noexcept;

 private:
  SD_EXPORT void end() noexcept;

  std::chrono::milliseconds after_;
  std::vector<int> fds_;
  bool armed_ = true;                  // until a socket is watched that was not passed
  std::atomic<std::int64_t> busy_{0};  // works; negative: stopped
  std::atomic<std::int64_t> since_;    // when the last one ended
};

}  // namespace sd
