// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>

// The functions of the C library in whose place this library defines its own.
namespace sd::adopt::functions {

template <class Type>
class function;

/// A function of the C library, or of another preloaded library that comes after this one.
template <class Result, class... Arguments>
class function<Result(Arguments...)> {
 public:
  constexpr explicit function(const char* name) noexcept : name_(name) {}

  /// Looks the function up, so that later calls are async-signal-safe.
  void find() noexcept { found_.store(look_up(), std::memory_order_relaxed); }

  /// Calls the function. Fails with ENOSYS if the C library has none.
  Result operator()(Arguments... arguments) noexcept {
    // Not found yet: another library calls it before the constructor of this one.
    if (found_.load(std::memory_order_relaxed) == nullptr) find();
    auto* const found = found_.load(std::memory_order_relaxed);
    if (found == nullptr) {
      errno = ENOSYS;
      return static_cast<Result>(-1);
    }
    return found(arguments...);
  }

 private:
  using pointer = Result (*)(Arguments...);

  pointer look_up() const noexcept { return reinterpret_cast<pointer>(::dlsym(RTLD_NEXT, name_)); }

  const char* name_;
  std::atomic<pointer> found_{nullptr};
};

inline function<int(int, sockaddr*, socklen_t*)> accept("accept");
inline function<int(int, sockaddr*, socklen_t*, int)> accept4("accept4");
inline function<int(int, const sockaddr*, socklen_t)> bind("bind");
inline function<int(const char*, mode_t)> chmod("chmod");
inline function<int(const char*, uid_t, gid_t)> chown("chown");
inline function<int(int)> close("close");
inline function<int(unsigned, unsigned, int)> close_range("close_range");
inline function<int(int, int)> dup2("dup2");
inline function<int(int, int, int)> dup3("dup3");
inline function<int(int, const char*, mode_t, int)> fchmodat("fchmodat");
inline function<int(int, const char*, uid_t, gid_t, int)> fchownat("fchownat");
inline function<int(int, sockaddr*, socklen_t*)> getpeername("getpeername");
inline function<int(int, sockaddr*, socklen_t*)> getsockname("getsockname");
inline function<int(const char*, uid_t, gid_t)> lchown("lchown");
inline function<int(int, int)> listen("listen");
inline function<ssize_t(int, void*, std::size_t, int, sockaddr*, socklen_t*)> recvfrom("recvfrom");
inline function<ssize_t(int, msghdr*, int)> recvmsg("recvmsg");
inline function<int(const char*)> remove("remove");
inline function<int(const char*, const char*)> rename("rename");
inline function<int(int, const char*, int, const char*)> renameat("renameat");
inline function<int(int, const char*, int, const char*, unsigned)> renameat2("renameat2");
inline function<int(int, int)> shutdown("shutdown");
inline function<int(const char*)> unlink("unlink");
inline function<int(int, const char*, int)> unlinkat("unlinkat");

}  // namespace sd::adopt::functions
