// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>

// The C library functions that this library replaces.
namespace sd::adopt::functions {

template <class Type>
class function;

/// A function of the C library, or of another preloaded library that comes after this one.
template <class Result, class... Arguments>
class function<Result(Arguments...)> {
 public:
  constexpr explicit function(const char* name) noexcept : name_(name) {}

  /// Looks the function up. Later calls are as async-signal-safe as the function is.
  void find() noexcept {
    auto* const found = reinterpret_cast<pointer>(::dlsym(RTLD_NEXT, name_));
    found_.store(found != nullptr ? found : &fail, std::memory_order_relaxed);
  }

  /// Calls the function. Fails with ENOSYS if the C library has none.
  Result operator()(Arguments... arguments) noexcept {
    // The constructor has not run yet: that of another library calls the function.
    if (found_.load(std::memory_order_relaxed) == nullptr) find();
    return found_.load(std::memory_order_relaxed)(arguments...);
  }

 private:
  using pointer = Result (*)(Arguments...);

  static Result fail(Arguments...) noexcept {
    errno = ENOSYS;
    return static_cast<Result>(-1);
  }

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

/// Looks all of them up.
inline void find_all() noexcept {
  accept.find();
  accept4.find();
  bind.find();
  chmod.find();
  chown.find();
  close.find();
  close_range.find();
  dup2.find();
  dup3.find();
  fchmodat.find();
  fchownat.find();
  getpeername.find();
  getsockname.find();
  lchown.find();
  listen.find();
  recvfrom.find();
  recvmsg.find();
  remove.find();
  rename.find();
  renameat.find();
  renameat2.find();
  shutdown.find();
  unlink.find();
  unlinkat.find();
}

}  // namespace sd::adopt::functions
