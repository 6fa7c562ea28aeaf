// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The sd-listen-fds authors
// sd-listen-fds 0.1.0: the public headers.
// Made by scripts/amalgamate. Do not edit.
#pragma once

#include <atomic>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

// ---- include/sd/version.hpp ----

/// @file
/// States the version of the library. CMake reads it from here.

// NOLINTBEGIN(cppcoreguidelines-macro-usage): for the preprocessor
#define SD_LISTEN_FDS_VERSION_MAJOR 0  ///< Changes with incompatible changes, from 1 on.
#define SD_LISTEN_FDS_VERSION_MINOR 1  ///< Changes with new features, and before version 1 with incompatible changes.
#define SD_LISTEN_FDS_VERSION_PATCH 0  ///< Changes with fixes.
// NOLINTEND(cppcoreguidelines-macro-usage)

// ---- include/sd/config.hpp ----

/// @file
/// Finds out what the compiler offers.

// The public names are in the inline namespace sd::v0, so that a program linked with an incompatible version fails to
// link instead of misbehaving. Write sd::listen_fds, not sd::v0::listen_fds.

/// Whether the code is compiled with exceptions. Without them, only the `std::error_code&` overloads exist.
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SD_HAS_EXCEPTIONS 1  // NOLINT(cppcoreguidelines-macro-usage): the preprocessor tests it
#else
#define SD_HAS_EXCEPTIONS 0  // NOLINT(cppcoreguidelines-macro-usage)
#endif

// SD_EXPORT marks what a shared libsd-listen-fds exports; the library is compiled with hidden visibility. A static
// library (SD_STATIC is defined while it is compiled) exports nothing beyond the module that it is linked into.
#if defined(__GNUC__) && !defined(_WIN32)
#define SD_VISIBLE __attribute__((visibility("default")))
#else
#define SD_VISIBLE
#endif

#if defined(SD_STATIC)
#define SD_EXPORT
#else
#define SD_EXPORT SD_VISIBLE
#endif

// Marks a parameter to which the result refers. Clang then warns if the result outlives a temporary argument.
#if defined(__clang__)
#define SD_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define SD_LIFETIMEBOUND
#endif

// Marks a private member that some platforms do not use. Clang warns of those, and gcc before 11 warns of the
// attribute.
#if defined(__clang__)
#define SD_UNUSED_MEMBER [[maybe_unused]]
#else
#define SD_UNUSED_MEMBER
#endif

// ---- include/sd/error.hpp ----

/// @file
/// Names the errors that no system call reports.
///
/// A function that can fail because of its environment has two forms. The form with a parameter `std::error_code& ec`
/// sets `ec` to the error, or clears it on success. The form without `ec` throws `std::system_error` with the same
/// error.

namespace sd {
inline namespace v0 {

/// Errors that no system call reports. A failed system call is reported with its errno in `std::generic_category()`
/// instead.
/// @see sd_listen_fds(3), systemd.socket(5)
enum class errc {
  malformed_listen_pid = 1,          ///< `LISTEN_PID` is not a decimal number.
  listen_pid_out_of_range,           ///< `LISTEN_PID` exceeds the largest possible pid.
  malformed_listen_pidfdid,          ///< `LISTEN_PIDFDID` is not a decimal number.
  listen_pidfdid_out_of_range,       ///< `LISTEN_PIDFDID` exceeds 64 bits.
  malformed_listen_fds,              ///< `LISTEN_FDS` is not a decimal number.
  listen_fds_out_of_range,           ///< `LISTEN_FDS` exceeds the largest possible number of descriptors.
  malformed_listen_fds_first_fd,     ///< `LISTEN_FDS_FIRST_FD` is not a decimal number.
  listen_fds_first_fd_out_of_range,  ///< `LISTEN_FDS_FIRST_FD` is below 3 or leaves no room for `LISTEN_FDS`
                                     ///< descriptors.
  already_claimed,                   ///< A descriptor is close-on-exec already, so other code in this process owns it.
  already_taken,                     ///< This process has already taken the descriptors (`listen_options::required`).
  not_activated,                     ///< No descriptor was passed to this process (`listen_options::required`).
  malformed_address,                 ///< The text is not an address of systemd.socket(5).
  port_out_of_range,                 ///< The port of an internet address exceeds 65535.
  host_name,                         ///< The address has a host name instead of an IP address.
  not_passed,                        ///< No such descriptor was passed.
  wrong_kind,                        ///< The descriptor is not of the kind that was asked for.
  ambiguous,                         ///< More than one such descriptor was passed.
  not_taken,                         ///< A passed descriptor is not used by this program.
  malformed_watchdog_usec,           ///< `WATCHDOG_USEC` is not a period in microseconds.
  malformed_watchdog_pid,            ///< `WATCHDOG_PID` is not a pid.
};

/// Returns the category of `sd::errc`, which is named "sd".
/// @threadsafety Safe from any thread.
[[nodiscard]] SD_EXPORT const std::error_category& error_category() noexcept;

/// Returns the error code for `code`.
[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

}  // namespace v0
}  // namespace sd

template <>
struct std::is_error_code_enum<sd::errc> : std::true_type {};

// ---- include/sd/unique_fd.hpp ----

/// @file
/// Owns a file descriptor.

namespace sd {
inline namespace v0 {

/// Owns one file descriptor and closes it on destruction.
///
/// The size of an int. Movable, not copyable, and not implicitly convertible to or from int. A negative number means
/// "no descriptor".
///
/// A failed close(2) is not retried, because POSIX leaves the descriptor's state unspecified. If the library was built
/// without NDEBUG, closing a descriptor that other code has already closed stops the program.
///
/// @threadsafety Distinct objects may be used from different threads.
/// @see close(2)
class unique_fd {
 public:
  /// Owns no descriptor.
  constexpr unique_fd() noexcept = default;
  /// Takes ownership of `fd`.
  explicit constexpr unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());  // released first, so self-assignment is safe
    return *this;
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() {
    if (fd_ >= 0) close(fd_);
  }

  /// Returns the descriptor, still owned by this object, or a negative number.
  [[nodiscard]] constexpr int get() const& noexcept { return fd_; }
  /// A temporary closes its descriptor at the end of the expression, so its number must not be kept.
  [[nodiscard]] int get() const&& = delete;
  /// Returns whether the object owns a descriptor.
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return fd_ >= 0; }
  /// Gives up ownership and returns the descriptor. The caller must close it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the owned descriptor, if any, and takes ownership of `fd`, which must be another descriptor. Preserves
  /// `errno`.
  void reset(int fd = -1) noexcept {
    assert(fd < 0 || fd != fd_);
    if (const int old = std::exchange(fd_, fd); old >= 0) close(old);
  }

  friend void swap(unique_fd& a, unique_fd& b) noexcept { std::swap(a.fd_, b.fd_); }

 private:
  SD_EXPORT static void close(int fd) noexcept;

  int fd_ = -1;
};

}  // namespace v0
}  // namespace sd

// ---- include/sd/listen_fds.hpp ----

/// @file
/// Takes the file descriptors that the service manager passed.

namespace sd {
inline namespace v0 {

/// A file descriptor that the service manager passed, and its name.
/// @see sd_listen_fds(3), systemd.socket(5)
struct listen_fd {
  /// The name that `FileDescriptorName=` sets, byte for byte. It may be empty and need not be unique. `nullopt` if the
  /// service manager passed fewer names than descriptors.
  std::optional<std::string> name;
  /// The descriptor: open and close-on-exec.
  unique_fd fd;
};

/// Options for `listen_fds()`. Combine them with `|`.
enum class listen_options : unsigned {
  /// No options.
  none = 0,
  /// Removes `LISTEN_PID`, `LISTEN_PIDFDID`, `LISTEN_FDS`, `LISTEN_FDS_FIRST_FD` and `LISTEN_FDNAMES` from the
  /// environment unless there is an error. Like unsetenv(3), this is not thread-safe.
  unset_environment = 1,
  /// Accepts a `LISTEN_PID` and a `LISTEN_PIDFDID` that are missing or another process's, for programs that run under a
  /// wrapper. Nothing proves then that the descriptors are meant for this process: in a child that merely inherited the
  /// variables, descriptor 3 may be anything.
  any_pid = 2,
  /// Makes an empty list an error, for services that cannot work without a socket: `errc::not_activated`, or
  /// `errc::already_taken` on a second call.
  required = 4,
};

[[nodiscard]] constexpr listen_options operator|(listen_options a, listen_options b) noexcept {
  return static_cast<listen_options>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr listen_options operator&(listen_options a, listen_options b) noexcept {
  return static_cast<listen_options>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr listen_options& operator|=(listen_options& a, listen_options b) noexcept { return a = a | b; }

/// Takes ownership of the file descriptors that the service manager passed to this process.
///
/// @param options See `listen_options`.
/// @returns One entry per descriptor, in the order in which they were passed: entry i was descriptor 3 + i, or
///          `LISTEN_FDS_FIRST_FD` + i if that variable is set. All are open and close-on-exec. The list is empty if
///          nothing was passed to this process, if the descriptors were taken before, and on platforms without the
///          protocol.
/// @par Errors
///   An `sd::errc` if the variables are meant for this process but are wrong, `EBADF` if a descriptor is not open, or
///   the errno of a failed check of `LISTEN_PIDFDID`. After an error, including `std::bad_alloc`, nothing has been
///   adopted, closed, marked or unset, and the next call finds everything as it was.
/// @threadsafety Safe from any thread, except with `listen_options::unset_environment`. If several threads call it at
///               once, exactly one receives the descriptors. The others get an empty list, even if the one then fails.
/// @see sd_listen_fds(3)
[[nodiscard]] SD_EXPORT std::vector<listen_fd> listen_fds(listen_options options, std::error_code& ec);

/// Does the same as the overload with `options`, without options.
[[nodiscard]] inline std::vector<listen_fd> listen_fds(std::error_code& ec) {
  return listen_fds(listen_options::none, ec);
}

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the variable and its value.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> listen_fds(listen_options options = listen_options::none);
#endif

}  // namespace v0
}  // namespace sd

// ---- include/sd/activation.hpp ----

/// @file
/// Passes file descriptors to a program, as a service manager does.
///
/// For wrappers, supervisors, and parents that drop privileges.

#if SD_HAS_EXCEPTIONS

namespace sd {

namespace detail {
struct program_start;
}

inline namespace v0 {

/// What supervisors can change in how `activation` executes a command.
struct activation_options {
  /// The file to execute. Empty for the first word of the command, which is the name that the program sees otherwise.
  std::string program{};
  /// Whether the program inherits the environment of this process.
  bool inherits_environment = true;
  /// Whether `LISTEN_PID` and `LISTEN_PIDFDID` are set. Without them, only a program that accepts a missing pid, such
  /// as one with `listen_options::any_pid`, takes the descriptors, but a wrapper may start it in another process.
  bool sets_listen_pid = true;
  /// The name of a variable that is set to the pid of the program, such as `WATCHDOG_PID`. Empty for none.
  std::string pid_variable{};
};

/// A command, and the file descriptors and environment variables with which it is executed.
///
/// The program finds the descriptors from number 3 on, in the order of the list, and `LISTEN_PID`, `LISTEN_FDS`,
/// `LISTEN_FDNAMES` and, if the kernel has pidfs, `LISTEN_PIDFDID` describe them. Unnamed descriptors are passed as
/// "unknown". If none has a name, `LISTEN_FDNAMES` is not set. If the list is empty, none of these variables is set.
///
/// The constructor allocates all memory, and `exec()` and `spawn()` allocate none.
///
/// @threadsafety Distinct objects may be used from different threads. One object may be used by one thread at a time.
/// @see sd_listen_fds(3)
class activation {
 public:
  /// Prepares the execution of a command.
  ///
  /// Unless the options say otherwise, the program inherits the environment that this process has now.
  ///
  /// @param command     The program and its arguments. A program without a slash is searched for in the `PATH` that the
  ///                    program is going to have, as execvp(3) does.
  /// @param fds         The descriptors to pass. The caller keeps them, and must keep them open until `exec()` or the
  ///                    last `spawn()`.
  /// @param environment Variables to add to the inherited ones or to replace them with. Variables of the protocol,
  ///                    `LISTEN_FDS_FIRST_FD` included, are ignored here and are not inherited.
  /// @param options     See `activation_options`.
  /// @throws std::system_error with `EINVAL` if the command is empty, if a word, or the name or value of a variable,
  ///         contains a NUL byte, if the name of a variable is empty or contains "=", or if the name of a descriptor
  ///         contains a colon or a control character or is longer than 255 bytes. The message quotes the offending
  ///         value.
  /// @threadsafety No other thread may change the environment at the same time.
  SD_EXPORT activation(std::vector<std::string> command, const std::vector<listen_fd>& fds,
                       const std::map<std::string, std::string>& environment = {},
                       const activation_options& options = {});
  activation(const activation&) = delete;
  activation& operator=(const activation&) = delete;
  ~activation() = default;

  /// Replaces this process with the program. Returns only if that fails.
  ///
  /// The descriptor numbers from 3 on are overwritten, so a caller can do little more than exit if `exec()` fails. The
  /// program inherits the signal mask and the ignored signals of this process, as with execve(2).
  ///
  /// @returns An errno of execve(2) or dup(2).
  /// @threadsafety Async-signal-safe. May be called in a child that was forked by a process with several threads.
  [[nodiscard]] SD_EXPORT std::error_code exec() noexcept;

  /// Starts the program in a child process and returns when the program has been executed.
  ///
  /// The program starts with an empty signal mask and the default action for every signal. No signal handler of this
  /// process runs in the child. On Linux the child shares the memory of this process until it executes the program, so
  /// the cost does not grow with the size of this process, and the calling thread is suspended until then.
  ///
  /// @returns The pid of the child. The caller must wait for it. If the call fails, a negative number; there is no
  ///          child then.
  /// @par Errors
  /// Those of fork(2) and `exec()`. `ECANCELED` if the child was killed before it executed the program.
  SD_EXPORT int spawn(std::error_code& ec) noexcept;
  /// Does the same as the overload with `ec`, and throws errors.
  ///
  /// @throws std::system_error whose `what()` names the program.
  SD_EXPORT int spawn();

  /// Starts the program in a child process, which first calls a function, for example to drop privileges.
  ///
  /// The child is created by fork(2), so the function runs in a copy of this process's memory. The function may change
  /// signal actions and the signal mask for the program.
  ///
  /// @param prepare A callable that returns an `int`: 0, or the errno with which the call fails. It must be noexcept,
  ///                and it must call nothing but async-signal-safe functions, see signal-safety(7).
  /// @returns The pid of the child. The caller must wait for it. If the call fails, a negative number; there is no
  ///          child then.
  /// @par Errors
  /// Those of fork(2), socketpair(2), pipe(2) and `exec()`, and what `prepare` returns. `EINVAL` if `prepare` returns a
  /// negative number. `ECANCELED` if the child exits or is killed before it executes the program.
  template <class Preparation, class = std::enable_if_t<std::is_invocable_v<Preparation&>>>
  int spawn(Preparation prepare, std::error_code& ec) noexcept {
    static_assert(std::is_same_v<std::invoke_result_t<Preparation&>, int>, "the preparation must return 0 or an errno");
    static_assert(std::is_nothrow_invocable_v<Preparation&>, "the preparation must be noexcept");
    return start([](void* argument) noexcept { return (*static_cast<Preparation*>(argument))(); }, &prepare, ec);
  }
  /// Does the same as the overload with `ec`, and throws errors.
  ///
  /// @throws std::system_error whose `what()` names the program.
  template <class Preparation, class = std::enable_if_t<std::is_invocable_v<Preparation&>>>
  int spawn(Preparation prepare) {
    std::error_code ec;
    const int pid = spawn(std::move(prepare), ec);
    if (ec) fail(ec);
    return pid;
  }

 private:
  friend struct detail::program_start;

  SD_EXPORT int start(int (*prepare)(void* argument) noexcept, void* argument, std::error_code& ec) noexcept;
  [[noreturn]] SD_EXPORT void fail(const std::error_code& ec) const;
  int execute(std::vector<int>& fds) noexcept;
  int execute_candidates() noexcept;

  std::vector<std::string> command_;
  std::vector<std::string> candidates_;  // the paths of the program to try
  std::vector<std::string> variables_;
  std::vector<char*> arguments_;
  std::vector<char*> shell_arguments_;  // those of a shell that runs a script without an interpreter line
  std::vector<char*> environment_;
  std::vector<int> fds_;
  bool sets_listen_pid_ = true;
  std::string pid_variable_;  // NAME=, and room for a number
  std::size_t pid_offset_ = 0;
  std::vector<int> child_fds_;  // what fds_ become in a child, which may share the memory of this process
  std::unique_ptr<char[]> stack_;
  SD_UNUSED_MEMBER char listen_pid_[32];  // NAME= and a number that is known only in the child
  SD_UNUSED_MEMBER char listen_pidfdid_[48];
};

}  // namespace v0
}  // namespace sd

#endif

// ---- include/sd/address.hpp ----

/// @file
/// Parses, prints and compares the addresses of sockets.

namespace sd {
inline namespace v0 {

/// Holds the address of a socket, as bind(2) takes it and as `ListenStream=` of a socket unit writes it.
///
/// The text is one of `/path`, `@abstract`, `IPV4:PORT`, `[IPV6]:PORT`, `[IPV6]:PORT%INTERFACE`, `vsock:CID:PORT`,
/// `vsock::PORT` for any context id, or `PORT` alone for all addresses of the host: `[::]:PORT`, or `0.0.0.0:PORT` if
/// the kernel has no IPv6. Host and service names are not resolved. In a unit file, `%` must be written as `%%`.
/// @threadsafety Distinct objects may be used from different threads, and one object may be read by several threads.
/// @see systemd.socket(5), sockaddr(3type)
class address {
 public:
  /// Makes an empty address, which stands for no socket at all. A unix socket without a name has an address that is not
  /// empty.
  constexpr address() noexcept = default;

#if SD_HAS_EXCEPTIONS
  /// Parses `text`.
  ///
  /// @throws std::system_error with one of the errors of the other constructor. Its `what()` contains the text.
  SD_EXPORT explicit address(std::string_view text);
#endif

  /// Parses `text`. The address is empty after an error.
  ///
  /// @par Errors
  /// `errc::port_out_of_range` for an internet port above 65535; `errc::host_name` for `NAME:PORT`;
  /// `errc::malformed_address` for other text that is no address; `ENODEV` if there is no such network interface, or
  /// another errno if it cannot be looked up (such as `EMFILE`); `ENAMETOOLONG` for a path that does not fit; `ENOSYS`
  /// on platforms without these sockets.
  address(std::string_view text, std::error_code& ec) noexcept { ec = assign(text); }

  /// Parses `text`, for callers that do not need the reason of a failure.
  ///
  /// @returns Nothing on any error.
  [[nodiscard]] static std::optional<address> parse(std::string_view text) noexcept {
    std::error_code ec;
    const address parsed(text, ec);
    return ec ? std::nullopt : std::optional<address>(parsed);
  }

  /// Returns the address of `port` on all addresses of the host, as the text `PORT` does. It is empty on platforms
  /// without these sockets.
  [[nodiscard]] SD_EXPORT static address any(std::uint16_t port) noexcept;

  /// Copies `sockaddr`, the address of a system call, which has `size` bytes. Bytes beyond the size of a
  /// `sockaddr_storage` are cut off.
  [[nodiscard]] SD_EXPORT static address from_sockaddr(const void* sockaddr, std::size_t size) noexcept;

  /// Returns the `sockaddr` to pass to system calls, of `size()` bytes.
  [[nodiscard]] const void* data() const noexcept { return &storage_; }
  /// Returns the size of the `sockaddr`, which is 0 for an empty address.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Returns whether the address is not empty.
  [[nodiscard]] explicit operator bool() const noexcept { return size_ != 0; }

  /// Returns `AF_INET`, `AF_INET6`, `AF_UNIX`, `AF_VSOCK` or another family, and `AF_UNSPEC` (0) for an empty address.
  [[nodiscard]] SD_EXPORT int family() const noexcept;
  /// Returns the port of an internet or vsock address, and 0 for other addresses.
  [[nodiscard]] SD_EXPORT unsigned port() const noexcept;
  /// Returns the path of a unix socket. It is empty for other addresses, including abstract names.
  [[nodiscard]] SD_EXPORT std::string_view path() const noexcept;

  /// Compares what the addresses refer to: bytes that the family does not use, and the flow label of IPv6, are ignored.
  [[nodiscard]] friend bool operator==(const address& a, const address& b) noexcept { return a.compare(b) == 0; }
  [[nodiscard]] friend bool operator!=(const address& a, const address& b) noexcept { return a.compare(b) != 0; }
  /// Orders addresses, for use in containers. Addresses of one family are together; internet addresses with the same
  /// host are sorted by port.
  [[nodiscard]] friend bool operator<(const address& a, const address& b) noexcept { return a.compare(b) < 0; }

 private:
  friend struct std::hash<address>;

  [[nodiscard]] SD_EXPORT int compare(const address& other) const noexcept;
  [[nodiscard]] SD_EXPORT std::size_t hash() const noexcept;
  SD_EXPORT std::error_code assign(std::string_view text) noexcept;

  struct alignas(8) {
    unsigned char bytes[128];
  } storage_{};
  std::size_t size_ = 0;
};

/// Returns `where` in the form that `address` parses. The names of unix sockets are not escaped.
[[nodiscard]] SD_EXPORT std::string to_string(const address& where);

/// Writes `to_string(where)`. The caller includes `<ostream>`.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const address& where) {
  return out << to_string(where);
}

}  // namespace v0
}  // namespace sd

/// Hashes an address consistently with `==`.
template <>
struct std::hash<sd::address> {
  [[nodiscard]] std::size_t operator()(const sd::address& where) const noexcept { return where.hash(); }
};

// ---- include/sd/array_view.hpp ----

/// @file
/// Accepts one element, a list or a container as an argument.

namespace sd {
inline namespace v0 {

/// Refers to an array of constant elements that another object owns, as `std::span<const T>` of C++20 does.
///
/// Converts from one element, an initializer list, an array, and every container with `data()` and `size()`, such as
/// `std::vector`, `std::array` and `std::span`. There is no constructor from a pointer and a count, so a view of a null
/// pointer is always empty. As a function parameter it accepts temporaries. A variable of this type must not outlive
/// the elements.
///
/// @threadsafety Distinct objects may be used from different threads.
template <class T>
class array_view {
 public:
  /// Refers to no elements.
  constexpr array_view() noexcept = default;
  /// Refers to one `element`.
  constexpr array_view(const T& element SD_LIFETIMEBOUND) noexcept : array_view(&element, 1) {}
  /// Refers to the `elements` of a list.
  constexpr array_view(std::initializer_list<T> elements SD_LIFETIMEBOUND) noexcept
      : array_view(elements.begin(), elements.size()) {}
  /// Refers to the `elements` of an array.
  template <std::size_t Size>
  constexpr array_view(const T (&elements SD_LIFETIMEBOUND)[Size]) noexcept : array_view(elements, Size) {}
  /// Refers to the `elements` of a container.
  template <class Container, class Element = decltype(*std::declval<const Container&>().data()),
            std::enable_if_t<std::is_same_v<std::decay_t<Element>, T>, int> = 0>
  constexpr array_view(const Container& elements SD_LIFETIMEBOUND) noexcept
      : array_view(elements.data(), elements.size()) {}

  /// A temporary would be gone by the end of the statement.
  template <class Temporary, std::enable_if_t<std::is_same_v<Temporary, T>, int> = 0>
  array_view& operator=(Temporary&&) = delete;
  template <class Temporary, std::enable_if_t<std::is_same_v<Temporary, T>, int> = 0>
  array_view& operator=(std::initializer_list<Temporary>) = delete;

  /// Returns the first element's address.
  [[nodiscard]] constexpr const T* data() const noexcept { return data_; }
  /// Returns the number of elements.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  /// Returns whether there are no elements.
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  /// Returns an iterator to the first element.
  [[nodiscard]] constexpr const T* begin() const noexcept { return data_; }
  /// Returns an iterator past the last element.
  [[nodiscard]] constexpr const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] constexpr const T& operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  constexpr array_view(const T* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace v0
}  // namespace sd

// ---- include/sd/socket.hpp ----

/// @file
/// Finds out what a file descriptor is.

namespace sd {
inline namespace v0 {

/// What a file descriptor is to the service that it was passed to.
/// @see systemd.socket(5)
enum class kind {
  stream,         ///< a stream socket that is listening: `ListenStream=`
  seqpacket,      ///< a sequential-packet socket that is listening: `ListenSequentialPacket=`
  connection,     ///< a stream or sequential-packet socket that is connected: `Accept=yes`
  unconnected,    ///< a stream or sequential-packet socket that is neither listening nor connected
  datagram,       ///< a datagram socket: `ListenDatagram=`
  raw,            ///< a raw socket
  netlink,        ///< a netlink socket: `ListenNetlink=`
  fifo,           ///< a fifo or a pipe: `ListenFIFO=`
  special,        ///< a character device or a regular file, such as one in /proc: `ListenSpecial=`
  message_queue,  ///< a POSIX message queue: `ListenMessageQueue=`
  directory,      ///< a directory
  other,          ///< anything else, such as an epoll or timer descriptor, or a socket that cannot be examined
};

/// Returns the name of `value`, such as `stream` or `message-queue`.
[[nodiscard]] SD_EXPORT const char* to_string(kind value) noexcept;

/// Describes a file descriptor. Members that do not apply to its kind are zero, empty or false.
struct description {
  sd::kind kind = sd::kind::other;  ///< what the descriptor is
  int family = 0;                   ///< `AF_INET`, ...
  int type = 0;                     ///< `SOCK_STREAM`, ...
  int protocol = 0;                 ///< `IPPROTO_TCP`, ..., or 0 if there is none or it is unknown
  address local;                    ///< the address that the socket is bound to
  address peer;                     ///< the address that the socket is connected to
  std::string path;                 ///< the path that a file of any kind was opened by, if the system can tell
  bool nonblocking = false;         ///< `O_NONBLOCK`, which all processes that hold the socket share
  bool v6only = false;              ///< `IPV6_V6ONLY`: an `AF_INET6` socket that does not serve IPv4
  bool reuse_port = false;          ///< `SO_REUSEPORT`: other sockets may be bound to the same address
};

/// Describes a file descriptor without changing it.
///
/// A socket whose family, type or state cannot be read is of kind `other`: for example one opened with `O_PATH`, which
/// has a path and nothing else. The path of a file that has been unlinked is its last one, without the " (deleted)"
/// that Linux appends. If the file has another hard link, " (deleted)" stays, because it could be part of the name.
///
/// @param fd The descriptor.
/// @returns The description. It is empty after an error.
/// @par Errors
/// `EBADF` if the descriptor is not open; `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see fstat(2), getsockopt(2), getsockname(2)
[[nodiscard]] SD_EXPORT description describe(int fd, std::error_code& ec);

/// Returns `what` as one line that is fit for a log, such as `stream inet 127.0.0.1:80`, `datagram inet6 [::]:53
/// dual-stack nonblocking` or `fifo /run/x`.
[[nodiscard]] SD_EXPORT std::string to_string(const description& what);

/// Writes `to_string(value)`. The caller includes `<ostream>`.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, kind value) {
  return out << to_string(value);
}
/// Writes `to_string(what)`. The caller includes `<ostream>`.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const description& what) {
  return out << to_string(what);
}

/// Whether a socket must be listening to pass a check.
enum class listening {
  any,  ///< the state does not matter
  no,   ///< the socket must not be listening
  yes,  ///< the socket must be listening
};

/// Returns whether a descriptor is a fifo or a pipe.
///
/// @param fd The descriptor.
/// @param path If not null, the descriptor must be the fifo at this path.
/// @par Errors
/// `EBADF` if the descriptor is not open; the errno of stat(2) if the path cannot be followed, except that a path where
/// nothing is gives false; `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_fifo(3)
[[nodiscard]] SD_EXPORT bool is_fifo(int fd, const char* path, std::error_code& ec) noexcept;

/// Returns whether a descriptor is a character device or a regular file.
///
/// @param fd The descriptor.
/// @param path If not null, the descriptor must be the file at this path. Character devices are compared by their
/// device numbers.
/// @par Errors
/// `EBADF` if the descriptor is not open; the errno of stat(2) if the path cannot be followed, except that a path where
/// nothing is gives false; `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_special(3)
[[nodiscard]] SD_EXPORT bool is_special(int fd, const char* path, std::error_code& ec) noexcept;

/// Returns whether a descriptor is a socket.
///
/// @param fd The descriptor.
/// @param family The family that it must have, such as `AF_UNIX`, or 0 for any.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param state Whether it must be listening.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` if the family or type is negative; the errno of getsockopt(2);
/// `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket(3)
[[nodiscard]] SD_EXPORT bool is_socket(int fd, int family, int type, listening state, std::error_code& ec) noexcept;

/// Returns whether a descriptor is an internet socket.
///
/// @param fd The descriptor.
/// @param family `AF_INET`, `AF_INET6`, or 0 for either.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param state Whether it must be listening.
/// @param port The port that it must be bound to, or 0 for any.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` for another family or a negative type; the errno of getsockopt(2) or
/// getsockname(2); `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket_inet(3)
[[nodiscard]] SD_EXPORT bool is_socket_inet(int fd, int family, int type, listening state, unsigned port,
                                            std::error_code& ec) noexcept;

/// Returns whether a descriptor is a socket that is bound to an address.
///
/// @param fd The descriptor.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param where The address. A port, scope or flow label of 0 matches any; everything else must be equal.
/// @param state Whether it must be listening.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` if the type is negative; the errno of getsockopt(2) or
/// getsockname(2); `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket_sockaddr(3)
[[nodiscard]] SD_EXPORT bool is_socket_sockaddr(int fd, int type, const address& where, listening state,
                                                std::error_code& ec) noexcept;

/// Returns whether a descriptor is a unix socket.
///
/// @param fd The descriptor.
/// @param type The type that it must have, such as `SOCK_STREAM`, or 0 for any.
/// @param state Whether it must be listening.
/// @param path If given, the name that the socket must be bound to, byte for byte as it was passed to bind(2): an
///             abstract name starts with its NUL, and the empty name matches a socket that is not bound.
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` if the type is negative; the errno of getsockopt(2) or
/// getsockname(2); `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_socket_unix(3)
[[nodiscard]] SD_EXPORT bool is_socket_unix(int fd, int type, listening state, std::optional<std::string_view> path,
                                            std::error_code& ec) noexcept;

/// Returns whether a descriptor is a POSIX message queue.
///
/// @param fd The descriptor.
/// @param name If not null, the name that the queue must have, such as "/name".
/// @par Errors
/// `EBADF` if the descriptor is not open; `EINVAL` for a name that does not start with a slash; `ENAMETOOLONG`;
/// `ENOSYS` on platforms without the protocol.
/// @threadsafety Safe from any thread.
/// @see sd_is_mq(3)
[[nodiscard]] SD_EXPORT bool is_mq(int fd, const char* name, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT description describe(int fd);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_fifo(int fd, const char* path = nullptr);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_special(int fd, const char* path = nullptr);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket(int fd, int family = 0, int type = 0, listening state = listening::any);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket_inet(int fd, int family = 0, int type = 0, listening state = listening::any,
                                            unsigned port = 0);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket_sockaddr(int fd, int type, const address& where,
                                                listening state = listening::any);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_socket_unix(int fd, int type = 0, listening state = listening::any,
                                            std::optional<std::string_view> path = std::nullopt);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` contains the number of the descriptor.
[[nodiscard]] SD_EXPORT bool is_mq(int fd, const char* name = nullptr);
#endif

}  // namespace v0
}  // namespace sd

// ---- include/sd/asio.hpp ----

/// @file
/// Hands passed sockets to Asio and Boost.Asio.
///
/// The header works on the objects of both libraries and includes neither.

namespace boost::system {
class error_code;
}  // namespace boost::system

namespace sd {
namespace detail {

template <class Object, class = void>
inline constexpr bool has_protocol = false;
template <class Object>
inline constexpr bool has_protocol<Object, std::void_t<typename Object::protocol_type>> = true;

template <class Object, class = void>
inline constexpr bool is_acceptor = false;
template <class Object>
inline constexpr bool is_acceptor<Object, std::void_t<decltype(std::declval<Object&>().listen())>> = true;

template <class Protocol, class = void>
inline constexpr bool is_internet = false;
template <class Protocol>
inline constexpr bool is_internet<Protocol, std::void_t<decltype(Protocol::v4()), decltype(Protocol::v6())>> = true;

/// Whether the object's library is Boost.Asio, which has an error code of its own.
template <class Object, class = void>
inline constexpr bool uses_boost = true;
template <class Object>
inline constexpr bool
    uses_boost<Object, std::void_t<decltype(std::declval<Object&>().cancel(std::declval<std::error_code&>()))>> = false;

/// Returns the protocol of the descriptor, as far as this type can express it.
template <class Protocol>
Protocol protocol_of([[maybe_unused]] const description& what) {
  if constexpr (is_internet<Protocol>) {
    return what.family == Protocol::v4().family() ? Protocol::v4() : Protocol::v6();
  } else if constexpr (std::is_constructible_v<Protocol, int, int>) {
    return Protocol(what.family, what.protocol);  // asio::generic
  } else {
    return Protocol();
  }
}

/// Returns whether the object can serve the descriptor.
template <class Object>
bool can_serve(const description& what) {
  if constexpr (has_protocol<Object>) {
    constexpr int multipath_tcp = 262;  // the interface of TCP
    const auto protocol = protocol_of<typename Object::protocol_type>(what);
    const int number = what.protocol == multipath_tcp ? 6 : what.protocol;
    const bool listens = what.kind == kind::stream || what.kind == kind::seqpacket;
    return listens == is_acceptor<Object> && what.kind != kind::unconnected && what.family == protocol.family() &&
           what.type == protocol.type() && (number == 0 || protocol.protocol() == 0 || number == protocol.protocol());
  } else {
    return what.kind == kind::fifo || what.kind == kind::special || what.kind == kind::message_queue ||
           what.kind == kind::other;
  }
}

}  // namespace detail

inline namespace v0 {

/// Assigns a file descriptor to an object of Asio or Boost.Asio, after checking that the object can serve it.
///
/// The family and the protocol are read from the descriptor. On success the object owns the descriptor and closes it.
/// Asio makes a socket nonblocking when it first waits for it, which every process that holds the socket sees.
///
/// @param object An acceptor, or a stream, datagram, seqpacket or raw socket, of the internet, unix or generic
///               protocols; or a `posix::stream_descriptor` for fifos and special files. It must not be open.
/// @param fd The descriptor. It is empty after success. After an error the caller still owns it.
/// @par Errors
/// `errc::wrong_kind` if the object cannot serve the descriptor; the object is not touched then. Otherwise the errors
/// of `describe()` and of `object.assign()`.
/// @threadsafety As that of the object.
/// @see basic_socket_acceptor::assign in the Asio reference
template <class Object>
void assign(Object& object, unique_fd&& fd, std::error_code& ec) {
  const auto what = describe(fd.get(), ec);
  if (ec) return;
  if (!detail::can_serve<Object>(what)) {
    ec = errc::wrong_kind;
    return;
  }
  using error_code = std::conditional_t<detail::uses_boost<Object>, boost::system::error_code, std::error_code>;
  error_code error;
  if constexpr (detail::has_protocol<Object>) {
    object.assign(detail::protocol_of<typename Object::protocol_type>(what), fd.get(), error);
  } else {
    object.assign(fd.get(), error);
  }
  ec = error;
  if (!ec) static_cast<void>(fd.release());
}

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` describes the descriptor.
template <class Object>
void assign(Object& object, unique_fd&& fd) {
  std::error_code ec;
  assign(object, std::move(fd), ec);
  if (!ec) return;
  std::error_code closed;
  const auto what = describe(fd.get(), closed);  // NOLINT(bugprone-use-after-move): not moved from on an error
  throw std::system_error(ec, "assign " + std::to_string(fd.get()) + (closed ? "" : ' ' + to_string(what)));
}
#endif

}  // namespace v0
}  // namespace sd

// ---- include/sd/booted.hpp ----

/// @file
/// Finds out whether the system was booted with systemd.

namespace sd {
inline namespace v0 {

/// Returns whether the system was booted with systemd, which is the case if `/run/systemd/system/` exists.
///
/// This does not mean that systemd manages this process. `listen_fds()` and `notify()` find that out themselves.
///
/// @returns False, too, if the directory cannot be examined.
/// @threadsafety Safe from any thread.
/// @see sd_booted(3)
[[nodiscard]] SD_EXPORT bool booted() noexcept;

}  // namespace v0
}  // namespace sd

// ---- include/sd/take.hpp ----

/// @file
/// Selects passed descriptors by name, address and kind.

namespace sd {
inline namespace v0 {

/// Selects passed descriptors by name, by address, by both, or not at all.
///
/// A name is the one that `FileDescriptorName=` sets, compared byte for byte. An address is the one to which a socket
/// is bound. These count as the same address: an IPv4 address and its v4-mapped form; `0.0.0.0` and a dual-stack `[::]`
/// that was passed; paths that lead to the same socket. A wildcard address is not the same as an address that it
/// includes.
///
///     sd::named("web")
///     sd::address("[::]:80")
///     sd::named("web").at(sd::address("[::]:80"))
class selector {
 public:
  /// Selects every descriptor.
  selector() = default;
  /// Selects the sockets that are bound to `where`.
  selector(const address& where) : where_(where) {}  // NOLINT(google-explicit-constructor): an address is a selector

  /// Returns the selector with the additional condition that the socket is bound to `where`.
  [[nodiscard]] selector at(const address& where) const {
    selector result = *this;
    result.where_ = where;
    return result;
  }

  /// Returns the name to look for, if any.
  [[nodiscard]] const std::optional<std::string>& name() const noexcept { return name_; }
  /// Returns the address to look for, if any.
  [[nodiscard]] const std::optional<address>& where() const noexcept { return where_; }

 private:
  friend selector named(std::string name);

  std::optional<std::string> name_;
  std::optional<address> where_;
};

/// Selects the descriptors with the name `name`.
[[nodiscard]] inline selector named(std::string name) {
  selector result;
  result.name_ = std::move(name);
  return result;
}

/// Takes the one descriptor of this kind that the selector selects out of the list.
///
/// The other descriptors stay in the list, so that it finally holds what was passed and not used: see
/// `require_all_taken()`.
///
/// @param fds    The list that `listen_fds()` returned.
/// @param wanted The kind that the descriptor must have.
/// @param which  Selects the descriptor. A selector without conditions selects every descriptor.
/// @returns The descriptor and its name.
/// @par Errors
///   `errc::not_passed` if there is no such descriptor, `errc::wrong_kind` if the name or address was passed, but not
///   as a descriptor of this kind, `errc::ambiguous` if there is more than one. The list is unchanged then.
/// @threadsafety Distinct lists may be used from different threads.
/// @see systemd.socket(5)
[[nodiscard]] SD_EXPORT listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which,
                                       std::error_code& ec);
/// Does the same as the overload with `which`, with a selector that selects every descriptor.
[[nodiscard]] inline listen_fd take(std::vector<listen_fd>& fds, kind wanted, std::error_code& ec) {
  return take(fds, wanted, {}, ec);
}

/// Takes the one descriptor of this kind that the selector selects out of the list, if it was passed.
///
/// @param fds    The list that `listen_fds()` returned.
/// @param wanted The kind that the descriptor must have.
/// @param which  Selects the descriptor.
/// @returns The descriptor and its name, or nothing if there is no such descriptor.
/// @par Errors
///   Those of `take()` except `errc::not_passed`.
/// @threadsafety Distinct lists may be used from different threads.
[[nodiscard]] SD_EXPORT std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted,
                                                          const selector& which, std::error_code& ec);
/// Does the same as the overload with `which`, with a selector that selects every descriptor.
[[nodiscard]] inline std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted, std::error_code& ec) {
  return try_take(fds, wanted, {}, ec);
}

/// Takes all descriptors of this kind that the selector selects out of the list.
///
/// @param fds    The list that `listen_fds()` returned.
/// @param wanted The kind that the descriptors must have.
/// @param which  Selects the descriptors.
/// @returns The descriptors in the order in which they were passed; an empty list if there is none.
/// @throws std::bad_alloc The list is unchanged then.
/// @threadsafety Distinct lists may be used from different threads.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> take_all(std::vector<listen_fd>& fds, kind wanted,
                                                        const selector& which = {});

/// Fails if the list still holds a descriptor.
///
/// Call it at the end of the set-up. A socket that was passed and not taken accepts connections that are never served,
/// and a mismatch between the socket unit and the service is otherwise easy to miss.
///
/// @param fds The list that `listen_fds()` returned.
/// @par Errors
///   `errc::not_taken` if the list is not empty.
/// @threadsafety Distinct lists may be used from different threads.
SD_EXPORT void require_all_taken(const std::vector<listen_fd>& fds, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names what was asked for, what was passed, and what to
///         write in the socket unit.
[[nodiscard]] SD_EXPORT listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which = {});
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error as `take()` does.
[[nodiscard]] SD_EXPORT std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted,
                                                          const selector& which = {});
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` lists the descriptors.
SD_EXPORT void require_all_taken(const std::vector<listen_fd>& fds);
#endif

/// Returns `fds` as text for a log: `3 "web" stream inet 127.0.0.1:80, 4 fifo /run/x`, or `nothing`.
[[nodiscard]] SD_EXPORT std::string to_string(const std::vector<listen_fd>& fds);

}  // namespace v0
}  // namespace sd

// ---- include/sd/take_or_bind.hpp ----

/// @file
/// Takes the passed socket for an address, or opens one.

namespace sd {
namespace detail {

/// Identifies a file. Inode numbers are reused, so the modification time is compared as well.
struct file_identity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t modified = 0;  // nanoseconds
};

/// Owns the path of a unix socket that this process has bound, and unlinks it on destruction if it still refers to that
/// socket. Does nothing in a forked child.
class bound_path {
 public:
  bound_path() noexcept = default;
  bound_path(std::string path, const file_identity& file, int pid) noexcept
      : path_(std::move(path)), file_(file), pid_(pid) {}
  bound_path(bound_path&& other) noexcept { swap(*this, other); }
  bound_path& operator=(bound_path&& other) noexcept {
    bound_path moved(std::move(other));
    swap(*this, moved);
    return *this;
  }
  bound_path(const bound_path&) = delete;
  bound_path& operator=(const bound_path&) = delete;
  ~bound_path() {
    if (!path_.empty()) unlink();
  }

  [[nodiscard]] const std::string& get() const noexcept { return path_; }
  void release() noexcept { path_.clear(); }

  friend void swap(bound_path& a, bound_path& b) noexcept {
    std::swap(a.path_, b.path_);
    std::swap(a.file_, b.file_);
    std::swap(a.pid_, b.pid_);
  }

 private:
  SD_EXPORT void unlink() noexcept;

  std::string path_;
  file_identity file_;
  int pid_ = 0;
};

}  // namespace detail

inline namespace v0 {

/// Where a socket comes from.
enum class origin {
  passed,  ///< The service manager passed it, and holds it as well.
  bound,   ///< This process has bound it.
};

/// Owns a socket that a server serves and, if this process has bound it to a path, that path.
///
/// The destructor closes the socket and unlinks the path. The path is unlinked only if it still refers to the socket
/// that was bound, so a socket that another process has put in its place is never removed. In a child created by fork()
/// the path stays. Movable, not copyable.
///
/// Keep the object for as long as the socket is served, even after `release_fd()`.
///
/// @note Failure to unlink is ignored.
/// @threadsafety Distinct objects may be used from different threads. The destructor may block briefly while another
///               process that uses this library binds the same path.
/// @see unix(7)
class server_socket {
 public:
  /// Holds no socket.
  server_socket() noexcept = default;
  /// Takes ownership of `fd`, a descriptor that the service manager passed.
  explicit server_socket(unique_fd fd) noexcept : fd_(std::move(fd)), origin_(sd::origin::passed) {}
  /// Takes ownership of `fd`, a socket that this process has bound, and of its `path`. Only `take_or_bind()` can call
  /// it.
  server_socket(unique_fd fd, detail::bound_path path) noexcept : fd_(std::move(fd)), path_(std::move(path)) {}

  /// Returns the descriptor, still owned by this object, or -1.
  [[nodiscard]] int get() const& noexcept { return fd_.get(); }
  [[nodiscard]] int get() const&& = delete;
  /// Returns whether the object holds a descriptor.
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  /// Moves the descriptor out, for a network library that owns its sockets. The object keeps the path, and still
  /// unlinks it.
  [[nodiscard]] unique_fd release_fd() & noexcept { return std::move(fd_); }
  [[nodiscard]] unique_fd release_fd() && = delete;

  /// Returns where the socket comes from.
  [[nodiscard]] sd::origin origin() const noexcept { return origin_; }
  /// Returns the path that the destructor unlinks. Empty for a socket that was passed or that has no path.
  [[nodiscard]] const std::string& path() const& noexcept { return path_.get(); }
  [[nodiscard]] const std::string& path() const&& = delete;
  /// Leaves the path in place: the destructor does not unlink it.
  void keep_path() noexcept { path_.release(); }

 private:
  unique_fd fd_;
  detail::bound_path path_;  // unlinked before the socket is closed, so that no path remains without a server
  sd::origin origin_ = sd::origin::bound;
};

/// What to do with `O_NONBLOCK`. All processes that hold the socket share the flag: for a passed socket, that includes
/// the service manager and every process to which the manager passes the socket later.
enum class nonblocking {
  leave,  ///< Leave it as it is.
  off,    ///< Clear it.
  on,     ///< Set it.
};

/// `IPV6_V6ONLY` of a socket that is bound to `[::]`: `BindIPv6Only=`.
enum class bind_ipv6_only {
  system_default,  ///< `default`: as the system is configured, see ipv6(7).
  both,            ///< `both`: the socket serves IPv4 as well.
  ipv6_only,       ///< `ipv6-only`: the socket serves IPv6 alone.
};

/// Describes how `take_or_bind()` opens a socket that was not passed. Where a member has the name of a directive, it
/// has the directive's meaning and default.
/// @see systemd.socket(5)
struct bind_options {
  sd::kind kind = sd::kind::stream;  ///< `stream`, `seqpacket` or `datagram`.
  int backlog = -1;                  ///< Length of the connection queue; -1: as long as the system allows.
  bind_ipv6_only ipv6 = bind_ipv6_only::system_default;  ///< Which protocols `[::]` serves: `BindIPv6Only=`.
  unsigned socket_mode = 0666;                           ///< Access mode of a unix socket's path.
  std::optional<unsigned> socket_uid{};                  ///< Owner of a unix socket's path; default: this process's.
  std::optional<unsigned> socket_gid{};                  ///< Group of a unix socket's path; default: this process's.
  unsigned directory_mode = 0755;                        ///< Access mode of parent directories that are created.
  sd::nonblocking nonblocking = sd::nonblocking::leave;  ///< Applies to passed sockets as well.
};

/// Takes the selected socket out of the list of passed descriptors, or opens one at `where`.
///
/// Internet sockets other than datagram sockets are opened with `SO_REUSEADDR`. For a unix socket, parent directories
/// are created, a path that a dead server has left behind is replaced, and no client can connect before owner and mode
/// are right. A passed socket is left as it is, except for `bind_options::nonblocking`.
///
/// @param fds     The list that `listen_fds()` returned.
/// @param which   Selects the passed socket.
/// @param where   The address at which to open a socket if no passed one is selected.
/// @param options How to open it.
/// @returns The socket. Keep it for as long as the socket is served: its destructor unlinks the path.
/// @par Errors
///   Those of `take()` except `errc::not_passed`; the errno of a failed system call, such as `EADDRINUSE` if the
///   address is being served; `EINVAL` for a kind that cannot be bound; `EISDIR` for a path that can only be a
///   directory's; `ESTALE` if another process has replaced the path right after it was bound. The list is unchanged
///   then, and no socket, path or new directory is left behind.
/// @threadsafety Distinct lists may be used from different threads. Blocks while another process that uses this library
///               binds the same path.
/// @see systemd.socket(5), bind(2), unix(7)
[[nodiscard]] SD_EXPORT server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which,
                                                   const address& where, const bind_options& options,
                                                   std::error_code& ec);
/// Takes the socket that is bound to `where`, or opens one there.
[[nodiscard]] inline server_socket take_or_bind(std::vector<listen_fd>& fds, const address& where,
                                                const bind_options& options, std::error_code& ec) {
  return take_or_bind(fds, where, where, options, ec);
}

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the step that failed, its subject, and what was
///         passed.
[[nodiscard]] SD_EXPORT server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which,
                                                   const address& where, const bind_options& options = {});
/// Takes the socket that is bound to `where`, or opens one there.
[[nodiscard]] inline server_socket take_or_bind(std::vector<listen_fd>& fds, const address& where,
                                                const bind_options& options = {}) {
  return take_or_bind(fds, where, where, options);
}
#endif

}  // namespace v0
}  // namespace sd

// ---- include/sd/idle.hpp ----

/// @file
/// Lets a service that nobody uses exit, without losing a client.

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
  /// @throws std::bad_alloc
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

// ---- include/sd/notify.hpp ----

/// @file
/// Sends messages to the service manager, such as `READY=1`.

namespace sd {
namespace detail {
struct state_access;
/// Is there only if the argument is a temporary string.
template <class Text>
using if_temporary_string = std::enable_if_t<std::is_same_v<Text, std::string>, int>;
}  // namespace detail

inline namespace v0 {

/// Holds one message to the service manager: a `KEY=value` line of sd_notify(3).
///
/// A state that is made from text refers to that text, which must exist until the state has been sent. Temporary
/// strings do not compile for that reason: `const auto text = "x" + y; notify(state::status(text));`. Times are rounded
/// to microseconds.
///
/// @see sd_notify(3) of systemd 262
class state {
 public:
  /// The unit of the times in messages.
  using microseconds = std::chrono::microseconds;

  /// Reports that the service has started, or has finished reloading its configuration.
  [[nodiscard]] static state ready() noexcept { return {"READY=", "1"}; }
  /// Reports that the service begins to reload its configuration: `RELOADING=1` and, on a second line,
  /// `MONOTONIC_USEC=` with the current time.
  [[nodiscard]] SD_EXPORT static state reloading() noexcept;
  /// Reports that the service begins to stop. It cannot take this back.
  [[nodiscard]] static state stopping() noexcept { return {"STOPPING=", "1"}; }
  /// Sets the line that `systemctl status` shows to `text`, in UTF-8.
  [[nodiscard]] static state status(std::string_view text SD_LIFETIMEBOUND) noexcept { return {"STATUS=", text}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state status(Text&& text) = delete;

  /// Reports that the service failed with an errno, `error`.
  [[nodiscard]] static state failed(int error) noexcept { return {"ERRNO=", std::int64_t{error}}; }
  /// Reports that the service failed with the D-Bus error `name`.
  [[nodiscard]] static state bus_error(std::string_view name SD_LIFETIMEBOUND) noexcept { return {"BUSERROR=", name}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state bus_error(Text&& name) = delete;
  /// Reports that the service failed with the Varlink error `name`.
  [[nodiscard]] static state varlink_error(std::string_view name SD_LIFETIMEBOUND) noexcept {
    return {"VARLINKERROR=", name};
  }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state varlink_error(Text&& name) = delete;
  /// Reports `status`, the exit status of what the sender manages, such as a virtual machine or a container.
  [[nodiscard]] static state exit_status(int status) noexcept { return {"EXIT_STATUS=", std::int64_t{status}}; }

  /// Makes the process `pid` the main process of the service.
  [[nodiscard]] static state main_pid(int pid) noexcept { return {"MAINPID=", std::int64_t{pid}}; }
  /// Names `inode`, the inode number of the main process's pidfd, so that a reused pid is not mistaken for that
  /// process. Sent together with `main_pid()`.
  [[nodiscard]] static state main_pidfd_id(std::uint64_t inode) noexcept { return {"MAINPIDFDID=", inode}; }
  /// Makes the process of the attached pidfd the main process. Exactly one descriptor must be attached.
  [[nodiscard]] static state main_pidfd() noexcept { return {"MAINPIDFD=", "1"}; }
  /// Sets to `access` which processes of the service may send messages from now on: "none", "main", "exec" or "all", as
  /// in `NotifyAccess=`.
  [[nodiscard]] static state notify_access(std::string_view access SD_LIFETIMEBOUND) noexcept {
    return {"NOTIFYACCESS=", access};
  }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state notify_access(Text&& access) = delete;

  /// Reports that the service is alive.
  [[nodiscard]] static state watchdog() noexcept { return {"WATCHDOG=", "1"}; }
  /// Asks the service manager to act as if the watchdog had expired.
  [[nodiscard]] static state watchdog_trigger() noexcept { return {"WATCHDOG=", "trigger"}; }
  /// Sets the period of the watchdog to `period`.
  [[nodiscard]] static state watchdog_period(microseconds period) noexcept { return {"WATCHDOG_USEC=", period}; }
  /// Extends the time limit of the current start, run or stop to `time` from now.
  [[nodiscard]] static state extend_timeout(microseconds time) noexcept { return {"EXTEND_TIMEOUT_USEC=", time}; }
  /// Resets the restart counter of the service.
  [[nodiscard]] static state restart_reset() noexcept { return {"RESTART_RESET=", "1"}; }

  /// Asks the service manager to keep the attached descriptors for the next instance. `<sd/store.hpp>` has functions
  /// that combine this with the three states that follow.
  [[nodiscard]] static state fdstore() noexcept { return {"FDSTORE=", "1"}; }
  /// Asks the service manager to drop the descriptors that it keeps under the name given by `fdname()`.
  [[nodiscard]] static state fdstore_remove() noexcept { return {"FDSTOREREMOVE=", "1"}; }
  /// Sets the `name` of the descriptors to keep or to drop.
  [[nodiscard]] static state fdname(std::string_view name SD_LIFETIMEBOUND) noexcept { return {"FDNAME=", name}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state fdname(Text&& name) = delete;
  /// Asks the service manager to keep the descriptors even if they hang up.
  [[nodiscard]] static state fdpoll_off() noexcept { return {"FDPOLL=", "0"}; }

  /// Holds `lines`, `KEY=value` lines that have no function here. They are sent unchanged and unchecked.
  [[nodiscard]] static state raw(std::string_view lines SD_LIFETIMEBOUND) noexcept { return {"", lines}; }
  template <class Text, detail::if_temporary_string<Text> = 0>
  static state raw(Text&& lines) = delete;

  /// Returns the key without the "=", such as "READY"; empty for `raw()`.
  [[nodiscard]] std::string_view key() const noexcept { return key_.substr(0, key_.find('=')); }
  /// Returns the text after the "=". That of `reloading()` has its second line, too.
  [[nodiscard]] std::string_view value() const noexcept SD_LIFETIMEBOUND {
    return length_ == 0 ? text_ : std::string_view(own_text_, length_);
  }

 private:
  friend struct detail::state_access;

  state(std::string_view key, std::string_view text) noexcept : key_(key), text_(text) {}
  state(std::string_view key, const char* text) noexcept : key_(key), text_(text) {}
  SD_EXPORT state(std::string_view key, std::uint64_t number) noexcept;
  SD_EXPORT state(std::string_view key, std::int64_t number) noexcept;
  state(std::string_view key, microseconds time) noexcept : state(key, std::int64_t{time.count()}) {}

  std::string_view key_;   // with the "="
  std::string_view text_;  // unless there is text in `own_text_`
  char own_text_[40];
  std::size_t length_ = 0;
};

/// Says what is sent along with a message.
struct notify_options {
  array_view<int> fds = {};  ///< descriptors to attach, at most 253; the caller keeps its own
  int pid = 0;               ///< the process to send as, which takes privilege; 0 is this process
};

/// Says what became of a message.
enum class notify_result {
  sent,         ///< the message was sent
  no_listener,  ///< there is no service manager to send to: `NOTIFY_SOCKET` is not set
};

/// Sends states to the service manager, in one message.
///
/// The service manager does not confirm the message: it may ignore it. Blocks while the manager's queue is full.
///
/// @param states  One state, a list such as `{state::ready(), state::status("up")}`, or a container of states, up
/// to 21.
/// @param options What to send along.
/// @returns Whether the message was sent. On an error, `notify_result::no_listener`.
/// @par Errors
/// The arguments are checked in any case, with a service manager or without one: `EINVAL` for no state, for text of
/// more than one line, for a name that the file descriptor store does not accept, and for `state::main_pidfd()` unless
/// exactly one descriptor is attached; `E2BIG` for more than 253 descriptors, `EBADF` for a negative one, `EMSGSIZE`
/// for more than 21 states. `EAFNOSUPPORT`, `EINVAL` or `E2BIG` for a `NOTIFY_SOCKET` that is not an address; `EPERM`
/// if this process may not send as another one; `EMSGSIZE` for a message that is too long; the errno of a failed system
/// call, such as `ECONNREFUSED` or `ENOENT` if the manager is gone.
/// @threadsafety Safe from any thread, and async-signal-safe, as long as no thread changes the environment. Allocates
///               no memory.
/// @see sd_notify(3)
SD_EXPORT notify_result notify(array_view<state> states, const notify_options& options, std::error_code& ec) noexcept;
/// Does the same as the overload with `options`, without options.
inline notify_result notify(array_view<state> states, std::error_code& ec) noexcept { return notify(states, {}, ec); }

/// Waits until the service manager has processed all messages that this process has sent before.
///
/// @param timeout How long to wait. A negative time waits for as long as it takes.
/// @returns `notify_result::sent` once the messages are processed. On an error, `notify_result::no_listener`.
/// @par Errors
/// Those of `notify()`; `ETIMEDOUT`.
/// @threadsafety As for `notify()`.
/// @see sd_notify_barrier(3)
SD_EXPORT notify_result notify_barrier(std::chrono::microseconds timeout, std::error_code& ec) noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the argument that is invalid, or else `NOTIFY_SOCKET` and its value.
SD_EXPORT notify_result notify(array_view<state> states, const notify_options& options = {});
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names `NOTIFY_SOCKET` and its value.
SD_EXPORT notify_result notify_barrier(std::chrono::microseconds timeout);
#endif

}  // namespace v0
}  // namespace sd

// ---- include/sd/store.hpp ----

/// @file
/// Keeps file descriptors in the service manager across a restart.
///
/// The service manager passes the descriptors to the next instance of the service.

namespace sd {
inline namespace v0 {

/// Says when the service manager drops a stored descriptor on its own.
enum class store_poll {
  on,   ///< when it hangs up or fails (`EPOLLHUP`, `EPOLLERR`), such as a connection that both sides have closed
  off,  ///< never (`FDPOLL=0`)
};

/// Gives the service manager a copy of a descriptor to keep. The caller keeps its own descriptor.
///
/// The manager does not report whether it keeps the descriptor. It does not if `FileDescriptorStoreMax=` is 0, which is
/// the default, or if it keeps that many already. It keeps no second copy of a descriptor that it has.
///
/// @param name The name to find the descriptor by: at most 248 ASCII characters, without ":" and control characters. It
///             need not be unique.
/// @param fd   The descriptor.
/// @param poll When the manager drops the descriptor on its own.
/// @returns Whether the message was sent. On an error, `notify_result::no_listener`.
/// @par Errors
/// Those of `notify()`; `EBADF` for a negative descriptor.
/// @threadsafety As for `notify()`.
/// @see sd_notify(3), systemd.service(5)
SD_EXPORT notify_result store(std::string_view name, int fd, store_poll poll, std::error_code& ec) noexcept;
/// Does the same as the overload with `poll`, which is `store_poll::on`.
inline notify_result store(std::string_view name, int fd, std::error_code& ec) noexcept {
  return store(name, fd, store_poll::on, ec);
}

/// Makes the service manager drop all descriptors that it keeps under `name`. The caller's own stay open.
///
/// @returns Whether the message was sent. On an error, `notify_result::no_listener`.
/// @par Errors
/// Those of `store()`.
/// @threadsafety As for `notify()`.
SD_EXPORT notify_result forget(std::string_view name, std::error_code& ec) noexcept;

/// Removes the stored descriptors from `fds`, the list that `listen_fds()` returned, and returns them.
///
/// @returns The descriptors that `store()` gave to the service manager, in the order in which they were passed, with
///          the names that were given to `store()`. The descriptors that stay in the list are those of socket units.
/// @throws std::bad_alloc in which case the list is unchanged.
/// @threadsafety As for the list.
[[nodiscard]] SD_EXPORT std::vector<listen_fd> take_stored(std::vector<listen_fd>& fds);

/// Returns how many descriptors the service manager keeps for this service: `FileDescriptorStoreMax=`.
///
/// @returns `nullopt` if the manager does not pass the number. systemd passes it since version 254.
/// @threadsafety Safe from any thread as long as no thread changes the environment.
/// @see systemd.exec(5)
[[nodiscard]] SD_EXPORT std::optional<unsigned> store_limit() noexcept;

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the descriptor and the name.
SD_EXPORT notify_result store(std::string_view name, int fd, store_poll poll = store_poll::on);
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the name.
SD_EXPORT notify_result forget(std::string_view name);
#endif

}  // namespace v0
}  // namespace sd

// ---- include/sd/watchdog.hpp ----

/// @file
/// Reports to the service manager that the service is alive.

namespace sd {
inline namespace v0 {

/// Returns the period within which this process must report that it is alive: `WatchdogSec=`. Report twice as often.
///
/// @returns `nullopt` if no watchdog is set for this process.
/// @par Errors
/// `errc::malformed_watchdog_usec` or `errc::malformed_watchdog_pid` if that variable is set and malformed.
/// @threadsafety Safe from any thread as long as no thread changes the environment.
/// @see sd_watchdog_enabled(3)
[[nodiscard]] SD_EXPORT std::optional<std::chrono::microseconds> watchdog_period(std::error_code& ec) noexcept;

/// Reports from within an event loop that the service is alive.
///
///     sd::watchdog watchdog(sd::watchdog_period());
///     while (...) {
///       poll(fds, n, watchdog.timeout());
///       watchdog.keep_alive();
///     }
///
/// Without a period it does nothing. Use it in the loop that does the work, because the watchdog is meant to notice if
/// that loop hangs.
///
/// @note Errors are not reported. If `WATCHDOG=1` cannot be sent, `keep_alive()` tries again after a quarter of the
///       interval, so there are three more attempts before the period is over.
/// @threadsafety One object must not be used by several threads at once.
/// @see sd_watchdog_enabled(3), sd_notify(3)
class watchdog {
 public:
  /// Starts to report within `period`, which `watchdog_period()` returns. Nothing is sent if it is `nullopt`.
  SD_EXPORT explicit watchdog(std::optional<std::chrono::microseconds> period) noexcept;

  /// Returns half of the period, at least a millisecond: how often a timer must call `keep_alive()`. `nullopt` if there
  /// is no watchdog.
  [[nodiscard]] std::optional<std::chrono::milliseconds> interval() const noexcept { return interval_; }
  /// Returns how long to wait until the next call of `keep_alive()`, in milliseconds as poll(2) takes them: 0 if the
  /// call is due, -1 if there is no watchdog.
  [[nodiscard]] SD_EXPORT int timeout() const noexcept;
  /// Sends `WATCHDOG=1` if it is due. May be called at any time.
  SD_EXPORT void keep_alive() noexcept;

 private:
  using clock = std::chrono::steady_clock;

  std::optional<std::chrono::milliseconds> interval_;
  clock::time_point next_;
};

#if SD_HAS_EXCEPTIONS
/// Does the same as the overload with `ec`, and throws errors.
///
/// @throws std::system_error whose `what()` names the variable and its value.
[[nodiscard]] SD_EXPORT std::optional<std::chrono::microseconds> watchdog_period();
#endif

}  // namespace v0
}  // namespace sd
