// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The sd-listen-fds authors
// sd-listen-fds 0.1.0: the sources. Compile this file as C++17 or later.
// Made by scripts/amalgamate. Do not edit.

// Marks no name as exported.
#if !defined(SD_STATIC)
#define SD_STATIC
#endif

// Inode numbers and times of 64 bits on 32-bit platforms as well.
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64  // NOLINT: the C library chose the name and that it is a macro
#endif

#include "sd.hpp"

// ---- src/detail/os/platform.hpp ----

// The system calls that the library makes, in thin wrappers that tests replace to inject failures. Only the files in
// this directory know the platform. Each wrapper returns the result of its call, or the negated errno. A wrapper
// retries on EINTR only if its comment says so. The other calls are not interrupted, except close(2), whose descriptor
// must not be closed a second time.

/// Whether the platform can pass descriptors to a program. If not, sockets and paths are not compiled.
#if defined(_WIN32) || defined(__wasi__) || defined(__EMSCRIPTEN__)
#define SD_HAS_DESCRIPTORS 0  // NOLINT(cppcoreguidelines-macro-usage): the preprocessor tests it
#else
#define SD_HAS_DESCRIPTORS 1  // NOLINT(cppcoreguidelines-macro-usage)
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <iterator>
#include <new>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#if SD_HAS_DESCRIPTORS
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <functional>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#endif

#if defined(_WIN32)
#include <io.h>
#endif

#if defined(__linux__)
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

#if SD_HAS_DESCRIPTORS && defined(__linux__)
#include <sys/sysmacros.h>
#endif

#if defined(__linux__) && __has_include(<linux/vm_sockets.h>)
#include <linux/vm_sockets.h>
#endif

#if SD_HAS_DESCRIPTORS && defined(__linux__) && __has_include(<linux/unix_diag.h>)
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#endif

// ---- src/detail/os/descriptors.hpp ----

// The environment, the process id and the calls that apply to every descriptor: all that `listen_fds()` needs.
namespace sd::detail::os {

const char* get_environment(const char* name) noexcept;
void unset_environment(const char* name) noexcept;
int process_id() noexcept;

int close(int fd) noexcept;
/// F_GETFD. Returns whether the descriptor has FD_CLOEXEC (1) or not (0).
int is_close_on_exec(int fd) noexcept;
/// F_SETFD. Sets FD_CLOEXEC alone, or clears all flags.
int set_close_on_exec(int fd, bool on) noexcept;
/// F_DUPFD_CLOEXEC. Returns the copy, which has the lowest free number that is not below `lowest`.
int duplicate(int fd, int lowest) noexcept;
/// close_range(CLOSE_RANGE_CLOEXEC). -ENOSYS or -EINVAL if the kernel is older than 5.11.
int set_close_on_exec_range(int first, int last) noexcept;

/// pidfd_open(2). -ENOSYS if the kernel is older than 5.3, and on other systems.
int open_pidfd(int pid) noexcept;
/// Returns whether `pidfd` has an inode of its own (1), as it does since Linux 6.9, or shares one with every anonymous
/// file (0).
int is_pidfs(int pidfd) noexcept;
/// Reads the inode number. Only its lower 32 bits are valid on a 32-bit kernel.
int inode(int fd, std::uint64_t& number) noexcept;

}  // namespace sd::detail::os

// ---- src/detail/os/files.hpp ----

// Files and paths.
#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

enum class file_type { fifo, character, regular, directory, socket, other };
struct file {
  file_type type = file_type::other;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t number = 0;   ///< the device that a character device is
  std::int64_t modified = 0;  ///< in nanoseconds, modulo 2^64
  std::uint64_t links = 0;    ///< the number of directory entries; 0 if the file has been unlinked
  unsigned owner = 0;
  unsigned group = 0;
  unsigned mode = 0;  ///< the permission bits
};
/// Returns whether two descriptions are of the same file.
inline bool is_same(const file& a, const file& b) noexcept { return a.device == b.device && a.inode == b.inode; }
/// fstat(2)
int status(int fd, file& result) noexcept;
/// stat(2)
int status(const char* path, file& result) noexcept;
/// lstat(2)
int link_status(const char* path, file& result) noexcept;
/// Returns whether the descriptor is a POSIX message queue (1) or not (0).
int is_message_queue(int fd) noexcept;
/// Copies the path that the descriptor was opened by. Returns its length, at most `size`, or 0 if the system cannot
/// tell. Linux appends " (deleted)" if that path has been unlinked.
int opened_path(int fd, char* result, std::size_t size) noexcept;

/// geteuid(2)
unsigned effective_user() noexcept;

int make_directory(const char* path, unsigned mode) noexcept;
int remove_directory(const char* path) noexcept;
int remove(const char* path) noexcept;

/// Creates a file that only this user may open. Returns a close-on-exec descriptor, or -EEXIST if the path exists.
int create_file(const char* path) noexcept;
/// Opens a file for reading and writing, close-on-exec. Follows no symbolic link.
int open_file(const char* path) noexcept;
/// fchmod(2)
int change_mode(int fd, unsigned mode) noexcept;
/// fchown(2). An id of `same_id` stays as it is.
int change_owner(int fd, unsigned user, unsigned group) noexcept;
inline constexpr unsigned same_id = static_cast<unsigned>(-1);
/// flock(LOCK_EX). Retries on EINTR.
int lock(int fd) noexcept;
/// flock(LOCK_UN). Releases the lock even if a forked child has a copy of the descriptor.
int unlock(int fd) noexcept;

/// Whether the system has descriptors that refer to a file without opening it (O_PATH of Linux). Sockets cannot be
/// opened in any other way.
#if defined(__linux__)
inline constexpr bool has_path_descriptors = true;
#else
inline constexpr bool has_path_descriptors = false;
#endif
/// Opens such a descriptor. Does not follow a symbolic link at the end of the path, but refers to the link itself.
int open_path(const char* path) noexcept;
/// Opens such a descriptor for the file that a unix socket is bound to, wherever that is now (SIOCUNIXFILE,
/// Linux 4.12). -EPERM without CAP_NET_ADMIN.
int open_bound_file(int socket) noexcept;
/// Returns whether a unix socket is bound to the file that a path descriptor refers to (1) or not (0), or the negated
/// errno if the kernel cannot tell (CONFIG_UNIX_DIAG).
int is_bound_to(int socket, int path_fd) noexcept;
/// Changes the mode of the file that a path descriptor refers to. Without path descriptors it changes what is at
/// `path`, and does not follow a symbolic link.
int change_mode(int path_fd, const char* path, unsigned mode) noexcept;
/// Changes the owner likewise.
int change_owner(int path_fd, const char* path, unsigned user, unsigned group) noexcept;

}  // namespace sd::detail::os

#endif

// ---- src/detail/os/processes.hpp ----

// Processes, programs and pipes.
#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

/// Opens a pipe whose ends are close-on-exec.
int open_pipe(int (&ends)[2]) noexcept;
/// Waits until the other end of a pipe is closed (1), or until the time in microseconds is over (0). Waits without
/// limit if the time is negative. Retries on EINTR.
int wait_for_hangup(int fd, std::int64_t timeout_usec) noexcept;

/// Reads the inode number of a pidfd for which is_pidfs() is 1, in all its 64 bits. -EOPNOTSUPP for a 32-bit process
/// before Linux 6.14.
int pidfd_inode(int pidfd, std::uint64_t& number) noexcept;

/// dup2(2). The copy is inherited by programs.
int duplicate_to(int fd, int number) noexcept;
/// Returns the environment of this process, which is null if it was cleared.
char** environment() noexcept;
/// execve(2). Returns only if it fails.
int execute(const char* path, char* const* arguments, char* const* environment) noexcept;

/// The signals whose action in this process may not be the default one, a bit each: 1 << (signal - 1).
struct signal_actions {
  std::uint64_t handled = ~std::uint64_t{0};
  std::uint64_t ignored = ~std::uint64_t{0};
};
/// Returns the actions that the signals have now.
signal_actions read_signal_actions() noexcept;

/// A child process from its start to the execution of its program.
struct child {
  /// Executes the program. Returns an errno if that fails.
  int (*execute)(void* self) noexcept;
  void* self;
  /// Called before `execute` unless it is null. Returns 0 or the errno with which `start()` fails.
  int (*prepare)(void* argument) noexcept;
  void* argument;
  /// Whether `prepare` may run in the memory of this process.
  bool prepares_in_shared_memory;
  /// The child resets no other signals than these. Without handlers, this thread does not block signals meanwhile.
  signal_actions actions;
  /// `execute` may overwrite all descriptors below this number.
  int end_of_overwritten;
  /// Memory of `stack_size` bytes, which the child uses if it shares the memory of this process.
  char* stack;
};
constexpr std::size_t stack_size = 65536;

/// Starts a child with the default action for every signal and an empty signal mask, and returns its pid when it has
/// executed its program. On failure no child remains. ECANCELED: the child ended before it executed the program.
///
/// The child shares the memory of this process if the preparation, if any, allows it and the system supports it.
int start(const child& program) noexcept;

}  // namespace sd::detail::os

#endif

// ---- src/detail/os/result.hpp ----

namespace sd::detail::os {

/// Returns the result of a system call, or the negated errno if the call failed.
inline int negated_errno(int result) noexcept { return result < 0 ? -errno : result; }

}  // namespace sd::detail::os

// ---- src/detail/os/sockets.hpp ----

// Sockets.
namespace sd::detail::os {

/// A piece of a message that is sent from several places in memory.
struct piece {
  const void* data;
  std::size_t size;
};
/// SCM_MAX_FD: the most descriptors that Linux attaches to one message.
inline constexpr std::size_t most_attached = 253;
/// The most pieces that one message may have.
inline constexpr std::size_t most_pieces = 64;

#if SD_HAS_DESCRIPTORS

/// F_GETFL. Returns whether the descriptor has O_NONBLOCK (1) or not (0).
int is_nonblocking(int fd) noexcept;
int set_nonblocking(int fd, bool on) noexcept;

int socket_option(int fd, int level, int option, int& value) noexcept;
int set_socket_option(int fd, int level, int option, int value) noexcept;
/// Sets SO_SNDBUFFORCE, or SO_SNDBUF if the process lacks the privilege.
int set_send_buffer(int fd, int size) noexcept;
/// Returns SO_DOMAIN, or the family of the local address on platforms without that option.
int socket_family(int fd) noexcept;
/// Returns SO_PROTOCOL, or 0 on platforms without that option.
int socket_protocol(int fd) noexcept;
/// getsockname(2) and getpeername(2). Return the size of the address, and write at most `size` bytes of it.
int local_address(int fd, void* address, std::size_t size) noexcept;
int peer_address(int fd, void* address, std::size_t size) noexcept;

/// Opens a socket that is close-on-exec.
int open_socket(int family, int type, int protocol = 0) noexcept;
int bind(int fd, const void* address, std::size_t size) noexcept;
int listen(int fd, int backlog) noexcept;
/// connect(2). Retries on EINTR.
int connect(int fd, const void* address, std::size_t size) noexcept;
/// sendmsg(2) without SIGPIPE. Retries on EINTR. If the address is null, the message goes to the peer of a connected
/// socket. If `pid` is not 0, SCM_CREDENTIALS of that process are attached. -EMSGSIZE for more than `most_pieces`.
int send_message(int fd, const piece* pieces, std::size_t piece_count, const void* address, std::size_t size,
                 const int* fds, std::size_t fd_count, int pid) noexcept;
/// Returns whether the descriptor can be read from without waiting (1) or not (0).
int is_readable(int fd) noexcept;

/// if_nametoindex(3). -ENODEV if there is no such interface.
int interface_number(const char* name, unsigned& number) noexcept;
/// if_indextoname(3). Writes at most IF_NAMESIZE bytes. Returns null if there is no such interface.
const char* interface_name(unsigned number, char* name) noexcept;

#endif

}  // namespace sd::detail::os

// ---- src/detail/os/vsock.hpp ----

// The address of a vsock socket. musl comes without the kernel's headers, and its own do not define it.
#if defined(__linux__)
#if !__has_include(<linux/vm_sockets.h>)
// The layout of vsock(7).
struct sockaddr_vm {
  unsigned short svm_family;
  unsigned short svm_reserved1;
  unsigned svm_port;
  unsigned svm_cid;
  unsigned char svm_zero[4];
};
#define VMADDR_CID_ANY 0xffffffffU  // NOLINT(cppcoreguidelines-macro-usage): as in the kernel's header
#endif
#endif

// ---- src/detail/bind_path.hpp ----

#if SD_HAS_DESCRIPTORS

// Binding a unix socket to a path of the file system, and unlinking the path.
namespace sd::detail {

/// Describes why a socket could not be opened: the error, and the step that failed with its subject.
struct failure {
  std::error_code code;
  std::string step;

  explicit operator bool() const noexcept { return static_cast<bool>(code); }
};

/// Returns whether a system call succeeded, and sets `why` if it did not.
bool succeeded(int result, const char* step, const std::string& subject, failure& why);

/// Listens on a socket with the backlog of the options. Does nothing for a datagram socket.
bool start_listening(int fd, const bind_options& options, const std::string& subject, failure& why);

/// Binds a unix socket to the path of `where`, sets the owner and mode of the path, and listens.
///
/// @param fd     An unbound unix socket.
/// @param bound  Receives the identity of the bound file.
/// @returns Whether it succeeded. Otherwise `why` is set and no path of this call is left behind.
bool bind_path(int fd, const address& where, const bind_options& options, file_identity& bound, failure& why);

/// Unlinks a path that `bind_path()` bound, if it still refers to the same file.
void unlink_path(const std::string& path, const file_identity& bound) noexcept;

}  // namespace sd::detail

#endif

// ---- src/detail/bind_socket.hpp ----

#if SD_HAS_DESCRIPTORS

// Opening a socket as a socket unit describes it.
namespace sd::detail {

/// What a socket unit can set beyond `bind_options`.
struct socket_details {
  int protocol = 0;
  /// Sets options of the socket before it is bound, unless it is null. Returns false, and sets `why`, if the socket
  /// must not be used.
  bool (*configure)(void* argument, int fd, failure& why) = nullptr;
  void* argument = nullptr;
};

/// Opens a socket, binds it and, unless it is a datagram socket, listens. The result is empty if `why` is set.
server_socket bind_socket(const address& where, const bind_options& options, const socket_details& details,
                          failure& why);

}  // namespace sd::detail

#endif

// ---- src/detail/choice.hpp ----

// The search that `take()` and `take_or_bind()` share.
namespace sd::detail {

/// Returns the index of the one descriptor that is selected. Meaningful only if `ec` is clear afterwards.
/// @par Errors
/// Those of `take()`.
std::size_t choose_one(const std::vector<listen_fd>& fds, kind wanted, const selector& which, std::error_code& ec);

/// Describes all descriptors that are selected, of any kind.
std::vector<description> describe_selected(const std::vector<listen_fd>& fds, const selector& which);

/// Removes one descriptor from the list and returns it.
listen_fd take_at(std::vector<listen_fd>& fds, std::size_t index);

/// Returns the text for an error of `choose_one()`: what is missing, what was passed, and what to write in the unit.
std::string explain(const std::vector<listen_fd>& fds, kind wanted, const selector& which, const std::error_code& ec);

}  // namespace sd::detail

// ---- src/detail/inspect.hpp ----

// The checks of sd_is_fifo(3) and sd_booted(3), which are part of the core. Each returns 1 if the check passes, 0 if it
// does not pass, and the negated errno on failure.
#if SD_HAS_DESCRIPTORS

namespace sd::detail {

/// As the argument `listening`: the socket may or may not be listening.
inline constexpr int any = -1;

int is_fifo(int fd, const char* path) noexcept;
int is_special(int fd, const char* path) noexcept;
int is_socket(int fd, int family, int type, int listening) noexcept;
int is_socket_inet(int fd, int family, int type, int listening, unsigned port) noexcept;
int is_socket_sockaddr(int fd, int type, const void* address, std::size_t size, int listening) noexcept;
/// A null path matches any.
int is_socket_unix(int fd, int type, int listening, const char* path, std::size_t length) noexcept;
int is_message_queue(int fd, const char* name) noexcept;

/// sd_booted(3): whether systemd is the system's service manager.
int booted() noexcept;

}  // namespace sd::detail

#endif

// ---- src/detail/notify.hpp ----

// Sends messages to the service manager, as sd_notify(3) does. Nothing here allocates memory or needs the C++ runtime.
// Everything is async-signal-safe, except for getenv(3) if the environment changes.
namespace sd::detail {

/// A message of `KEY=value` lines, in pieces.
struct message {
  const os::piece* pieces = nullptr;
  std::size_t piece_count = 0;
  const int* fds = nullptr;
  std::size_t fd_count = 0;
  int pid = 0;                      ///< the process to send as; 0 is this process
  bool falls_back_to_self = false;  ///< sends as this process if it may not send as the other one
};

/// Sends a message to the service manager. Returns 1 if it was sent, 0 if there is no service manager, or the negated
/// errno. What is wrong with the message is an error in both cases.
int notify(const message& message) noexcept;

/// Waits until the service manager has processed all messages before, with the same results. A negative time is
/// unlimited.
int notify_barrier(std::int64_t timeout_usec, int pid) noexcept;

}  // namespace sd::detail

// ---- src/detail/path_lock.hpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail {

/// Holds the right to bind or unlink the path of a unix socket, among all processes that use this library.
///
/// The constructor locks the file PATH.sd-lock and waits while another process holds it. The file exists only while a
/// process holds the lock or waits for it.
///
/// The lock is an flock(2) on a file of its own, rather than on the directory of the path: programs hold locks on
/// directories for as long as they run, to keep systemd-tmpfiles(8) out of them. A record lock of fcntl(2) would not
/// do, as it does not keep the threads of one process apart.
///
/// A child that another thread forks meanwhile has a copy of the descriptor until it exits or calls exec. It does not
/// keep the lock after the destructor has run. It does if this process is killed before that.
class path_lock {
 public:
  explicit path_lock(const std::string& path) noexcept;
  path_lock(const path_lock&) = delete;
  path_lock& operator=(const path_lock&) = delete;
  ~path_lock();

  /// Returns the negated errno if the lock could not be acquired.
  [[nodiscard]] int status() const noexcept { return status_; }
  /// Returns the path of the lock file.
  [[nodiscard]] const char* name() const noexcept { return name_; }

 private:
  int acquire(const std::string& path) noexcept;
  int open() noexcept;
  void share() noexcept;

  // Not .lock, which other programs use for purposes of their own.
  static constexpr char suffix[] = ".sd-lock";

  char name_[sizeof(sockaddr_un::sun_path) + sizeof suffix];
  unique_fd file_;
  int status_;
};

}  // namespace sd::detail

#endif

// ---- src/detail/program_start.hpp ----

// The start of a program for callers that know more about the process than a library can.
#if SD_HAS_EXCEPTIONS && SD_HAS_DESCRIPTORS

namespace sd::detail {

/// What a supervisor needs besides `activation::spawn()`.
struct program_start {
  /// What a child does before it executes the program.
  struct preparation {
    int (*prepare)(void* argument) noexcept;  ///< returns 0, or the errno with which the start fails
    void* argument;
    /// Whether the function may run in a child that shares the memory of this process while this thread is suspended.
    /// It must then make system calls without the C library if the library would do more in a process with threads.
    bool may_share_memory;
    /// The signals whose action the child resets: those of `os::read_signal_actions()`, but for those that the program
    /// keeps. No handler may be added afterwards.
    os::signal_actions actions;
  };

  /// Does what `activation::spawn()` does, after the preparation. Returns the pid.
  static int spawn(activation& program, const preparation& before, std::error_code& ec) noexcept;
};

}  // namespace sd::detail

#endif

// ---- src/detail/protocol.hpp ----

// Parses the variables of the protocol with pure functions over their text, so that a table can test them. They are
// part of the core: nothing here or in receive.hpp allocates, throws or needs the C++ runtime.
namespace sd::detail {

/// The number of the first descriptor unless LISTEN_FDS_FIRST_FD is set: SD_LISTEN_FDS_START of sd_listen_fds(3).
inline constexpr int first_descriptor = 3;

/// The values of the variables. A null pointer is a variable that is not set.
struct environment {
  const char* listen_pid = nullptr;
  const char* listen_pidfdid = nullptr;
  const char* listen_fds = nullptr;
  const char* listen_fdnames = nullptr;
  const char* listen_fds_first_fd = nullptr;
};

/// Describes an error. Converts to false if there was none.
struct fault {
  errc code{};                     ///< what is wrong with the variable, or 0 if a system call failed
  int error = 0;                   ///< the errno of that system call
  const char* variable = nullptr;  ///< the variable at fault
  const char* value = nullptr;     ///< the value of that variable
  int descriptor = -1;             ///< the descriptor at fault, or -1
  bool out_of_range = false;       ///< the value is a number, but too large

  explicit operator bool() const noexcept { return variable != nullptr; }
};

enum class number { ok, malformed, out_of_range };

/// Parses a number from 0 to `max` that consists of ASCII decimal digits alone. Sets `value` if it returns `ok`.
number parse_decimal(const char* text, std::uint64_t max, std::uint64_t& value) noexcept;

enum class addressee {
  another,    ///< another process, or no process at all
  this_one,   ///< this process
  by_pidfdid  ///< this process if its pidfs inode matches; the pid does
};

/// Returns the process that the variables address. Sets `pidfdid` if it returns `by_pidfdid`. On a fault, returns
/// `another`.
addressee addressed_to(const environment& env, int pid, listen_options options, std::uint64_t& pidfdid,
                       fault& why) noexcept;

/// Consecutive descriptors.
struct descriptor_range {
  int first = first_descriptor;
  int count = 0;

  /// Returns the number after the last one.
  [[nodiscard]] int end() const noexcept { return first + count; }
};

/// Returns the descriptors that the variables name. Empty on a fault.
descriptor_range passed_range(const environment& env, fault& why) noexcept;

/// Returns whether the watchdog is enabled for the process `pid`, and sets its period in microseconds. A null pointer
/// is a variable that is not set. Returns false on a fault.
bool watchdog_period(const char* watchdog_usec, const char* watchdog_pid, int pid, std::uint64_t& period,
                     fault& why) noexcept;

/// Splits `LISTEN_FDNAMES`. Each call of `next()` returns one name, verbatim, and `nullopt` after the last one.
class name_list {
 public:
  explicit name_list(const char* names) noexcept : rest_(names != nullptr && *names != '\0' ? names : nullptr) {}
  std::optional<std::string_view> next() noexcept;

 private:
  const char* rest_;  // null after the last name; an empty string is one more name, the empty one
};

}  // namespace sd::detail

// ---- src/detail/receive.hpp ----

// Receives the descriptors in two steps, so that the caller can allocate their owners in between.
namespace sd::detail {

/// 1 if the descriptors have an owner or are being taken. Copied by fork() and reset by exec(), as the descriptors
/// are. Exported, so that all modules of a process share one flag if the dynamic linker can join them: it joins shared
/// libraries and, if gcc compiled them, plug-ins; it does not join a plug-in and a program that exports no symbols. An
/// int, because some architectures have no atomic operations on smaller types.
SD_VISIBLE inline std::atomic<int> claimed{0};

/// Why an offer is empty.
enum class emptiness {
  none,           ///< It is not empty, or there was a fault.
  not_set,        ///< LISTEN_PID or LISTEN_FDS is not set.
  other_process,  ///< LISTEN_PID or LISTEN_PIDFDID names another process.
  zero,           ///< LISTEN_FDS is 0.
  taken,          ///< Another caller in this process has taken the descriptors, or is taking them.
};

/// The open descriptors that can be taken.
struct offer {
  descriptor_range range;
  environment env;
  emptiness empty = emptiness::none;
  const char* variable = nullptr;  ///< The variable that makes the offer empty.
};

/// Whether a descriptor that is close-on-exec already is a fault.
enum class ownership {
  exclusive,  ///< A fault: it did not come through exec(), so other code in this process owns it.
  shared,     ///< No fault: its owner may call the function again.
};

/// Step one: reads the variables, claims the descriptors, and verifies that they are open. If the offer is not empty,
/// `claimed` stays set; the caller clears it if it fails before or in step two. The claim precedes every call that
/// opens a descriptor, because that descriptor could fill a hole in the range that another caller is verifying.
offer claim(listen_options options, ownership wanted, fault& why) noexcept;

/// Step two: marks the descriptors FD_CLOEXEC. The caller owns them from then on. On a fault none is marked.
void mark(const offer& offered, fault& why) noexcept;

/// Reads the inode number of the process's pidfd, which no other process ever has. Returns 1, or 0 if the kernel has no
/// such numbers, or the negated errno.
int pidfd_inode(int pid, std::uint64_t& number) noexcept;

/// Removes the variables from the environment.
void unset_environment() noexcept;

}  // namespace sd::detail

// ---- src/detail/text.hpp ----

namespace sd::detail {

/// Returns whether the character is a control character of ASCII.
inline bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Returns the value in quotes, for error messages and logs: on one line, printable, and cut if it is longer than 64
/// bytes.
std::string quoted(std::string_view value);

/// Returns the value printable and on one line, without quotes and not cut: for values whose length is limited.
std::string escaped(std::string_view value);

/// Returns the value, escaped, as the text to write into a unit file, which reads `%%` as one `%`. Inline, because most
/// programs do not need it.
/// @see systemd.unit(5), "SPECIFIERS"
inline std::string as_unit_value(std::string_view value) {
  std::string text;
  for (const char c : escaped(value)) text.append(c == '%' ? 2 : 1, c);
  return text;
}

/// Appends the number in decimal. std::to_string() would add its own code and a table to each source file that calls
/// it.
void append_decimal(std::string& text, int number);

}  // namespace sd::detail

// ---- src/detail/os/descriptors.cpp ----

namespace sd::detail::os {

#if defined(_WIN32)
int close(int fd) noexcept { return negated_errno(::_close(fd)); }
#else
int close(int fd) noexcept { return negated_errno(::close(fd)); }
#endif

#if !SD_HAS_DESCRIPTORS

// No process here can be handed descriptors by this protocol. With no variable set, none of the rest is called.
const char* get_environment(const char*) noexcept { return nullptr; }
void unset_environment(const char*) noexcept {}
int process_id() noexcept { return -ENOSYS; }
int is_close_on_exec(int) noexcept { return -ENOSYS; }
int set_close_on_exec(int, bool) noexcept { return -ENOSYS; }
int duplicate(int, int) noexcept { return -ENOSYS; }

#else

const char* get_environment(const char* name) noexcept { return std::getenv(name); }
void unset_environment(const char* name) noexcept { ::unsetenv(name); }
#if defined(__linux__)
// Not getpid(3): glibc before 2.25 returns the parent's pid in the child of a raw clone, and in newer versions the
// function lies on a page of its own, which costs a fresh process a page fault.
int process_id() noexcept { return static_cast<int>(::syscall(SYS_getpid)); }
#else
int process_id() noexcept { return ::getpid(); }
#endif
int is_close_on_exec(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0) return -errno;
  return (flags & FD_CLOEXEC) != 0 ? 1 : 0;
}
int set_close_on_exec(int fd, bool on) noexcept { return negated_errno(::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0)); }
int duplicate(int fd, int lowest) noexcept { return negated_errno(::fcntl(fd, F_DUPFD_CLOEXEC, lowest)); }

#endif

#if defined(__linux__)

// System calls by number, because older C libraries have no wrappers. Older headers have no numbers either; those that
// most architectures share are used then, so that the behavior does not depend on the headers.
#if defined(SYS_close_range)
constexpr long close_range_number = SYS_close_range;
#elif defined(__alpha__) || defined(__mips__)
constexpr long close_range_number = -1;
#else
constexpr long close_range_number = 436;
#endif
#if defined(SYS_pidfd_open)
constexpr long pidfd_open_number = SYS_pidfd_open;
#elif defined(__alpha__) || defined(__mips__)
constexpr long pidfd_open_number = -1;
#else
constexpr long pidfd_open_number = 434;
#endif

int set_close_on_exec_range(int first, int last) noexcept {
  constexpr unsigned close_range_cloexec = 1U << 2U;
  return negated_errno(static_cast<int>(
      ::syscall(close_range_number, static_cast<unsigned>(first), static_cast<unsigned>(last), close_range_cloexec)));
}
int open_pidfd(int pid) noexcept { return negated_errno(static_cast<int>(::syscall(pidfd_open_number, pid, 0U))); }
int is_pidfs(int pidfd) noexcept {
  constexpr std::uint32_t pidfs_magic = 0x50494446;
  struct statfs fs;
  if (::fstatfs(pidfd, &fs) < 0) return -errno;
  return static_cast<std::uint32_t>(fs.f_type) == pidfs_magic ? 1 : 0;
}
int inode(int fd, std::uint64_t& number) noexcept {
  struct stat status;
  if (::fstat(fd, &status) < 0) return -errno;
  number = status.st_ino;
  return 0;
}

#else

int set_close_on_exec_range(int, int) noexcept { return -ENOSYS; }
int open_pidfd(int) noexcept { return -ENOSYS; }
int is_pidfs(int) noexcept { return 0; }
int inode(int, std::uint64_t&) noexcept { return -ENOSYS; }

#endif

}  // namespace sd::detail::os

// ---- src/detail/os/files.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

namespace {

file_type type_of(mode_t mode) noexcept {
  if (S_ISFIFO(mode)) return file_type::fifo;
  if (S_ISCHR(mode)) return file_type::character;
  if (S_ISREG(mode)) return file_type::regular;
  if (S_ISDIR(mode)) return file_type::directory;
  if (S_ISSOCK(mode)) return file_type::socket;
  return file_type::other;
}

/// Converts numbers whose types differ between platforms: on macOS, device numbers are signed.
template <class Number>
constexpr std::uint64_t widened(Number number) noexcept {
  return static_cast<std::uint64_t>(number);
}

int copy_status(int result, const struct stat& status, file& file) noexcept {
  if (result < 0) return -errno;
  file.type = type_of(status.st_mode);
  file.device = widened(status.st_dev);
  file.inode = widened(status.st_ino);
  file.number = widened(status.st_rdev);
#if defined(__APPLE__)
  const auto& modified = status.st_mtimespec;
#else
  const auto& modified = status.st_mtim;
#endif
  // Unsigned, so that times after 2262 wrap around: `modified` is only compared for equality.
  file.modified = static_cast<std::int64_t>(static_cast<std::uint64_t>(modified.tv_sec) * 1000000000U +
                                            static_cast<std::uint64_t>(modified.tv_nsec));
  file.owner = status.st_uid;
  file.group = status.st_gid;
  file.mode = status.st_mode & 07777U;
  file.links = status.st_nlink;
  return 0;
}

mode_t permissions(unsigned mode) noexcept { return mode & 07777U; }

}  // namespace

int status(int fd, file& result) noexcept {
  struct stat status;
  return copy_status(::fstat(fd, &status), status, result);
}
int status(const char* path, file& result) noexcept {
  struct stat status;
  return copy_status(::stat(path, &status), status, result);
}
int link_status(const char* path, file& result) noexcept {
  struct stat status;
  return copy_status(::lstat(path, &status), status, result);
}

#if defined(__linux__)
int is_message_queue(int fd) noexcept {
  constexpr std::uint32_t mqueue_magic = 0x19800202;
  struct statfs fs;
  if (::fstatfs(fd, &fs) < 0) return -errno;
  struct stat status;
  if (::fstat(fd, &status) < 0) return -errno;
  return static_cast<std::uint32_t>(fs.f_type) == mqueue_magic && S_ISREG(status.st_mode) ? 1 : 0;
}
int opened_path(int fd, char* result, std::size_t size) noexcept {
  char entry[32];
  std::snprintf(entry, sizeof entry, "/proc/self/fd/%d", fd);
  const auto length = ::readlink(entry, result, size);
  return length > 0 && *result == '/' ? static_cast<int>(length) : 0;
}
#else
int is_message_queue(int) noexcept { return 0; }
int opened_path(int, char*, std::size_t) noexcept { return 0; }
#endif

unsigned effective_user() noexcept { return ::geteuid(); }

int make_directory(const char* path, unsigned mode) noexcept { return negated_errno(::mkdir(path, permissions(mode))); }
int remove_directory(const char* path) noexcept { return negated_errno(::rmdir(path)); }
int remove(const char* path) noexcept { return negated_errno(::unlink(path)); }

int create_file(const char* path) noexcept {
  return negated_errno(::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
}
int open_file(const char* path) noexcept {
  return negated_errno(::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}
int change_mode(int fd, unsigned mode) noexcept { return negated_errno(::fchmod(fd, permissions(mode))); }
int change_owner(int fd, unsigned user, unsigned group) noexcept { return negated_errno(::fchown(fd, user, group)); }
int lock(int fd) noexcept {
  while (::flock(fd, LOCK_EX) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}
int unlock(int fd) noexcept { return negated_errno(::flock(fd, LOCK_UN)); }

#if defined(__linux__)
int open_path(const char* path) noexcept { return negated_errno(::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC)); }
int open_bound_file(int socket) noexcept {
  // SIOCUNIXFILE of <linux/un.h>, which cannot be included together with <sys/un.h>.
  constexpr int siocunixfile = 0x89e0;
  return negated_errno(::ioctl(socket, siocunixfile, 0));
}

#if __has_include(<linux/unix_diag.h>)
namespace {

/// Asks the kernel for the file that a unix socket is bound to, by the inode number of the socket itself.
int bound_file(std::uint32_t socket_inode, unix_diag_vfs& result) noexcept {
  const int netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0) return -errno;
  struct {
    nlmsghdr header;
    unix_diag_req request;
  } question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.request.sdiag_family = AF_UNIX;
  question.request.udiag_states = ~0U;
  question.request.udiag_ino = socket_inode;
  question.request.udiag_show = UDIAG_SHOW_VFS;
  question.request.udiag_cookie[0] = ~0U;  // no cookie
  question.request.udiag_cookie[1] = ~0U;
  alignas(nlmsghdr) char reply[1024];
  auto received = ::send(netlink, &question, sizeof question, 0);
  // The kernel replies before send() returns.
  if (received >= 0) received = ::recv(netlink, reply, sizeof reply, MSG_DONTWAIT);
  const int error = errno;
  ::close(netlink);
  if (received < 0) return -error;

  nlmsghdr header;
  const auto size = static_cast<std::size_t>(received);
  std::size_t at = NLMSG_LENGTH(sizeof(unix_diag_msg));
  if (size < at) return -EPROTO;
  std::memcpy(&header, reply, sizeof header);
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) return -EPROTO;
  while (at + sizeof(nlattr) <= size) {
    nlattr attribute;
    std::memcpy(&attribute, reply + at, sizeof attribute);
    if (attribute.nla_type == UNIX_DIAG_VFS && at + sizeof attribute + sizeof result <= size) {
      std::memcpy(&result, reply + at + sizeof attribute, sizeof result);
      return 0;
    }
    if (attribute.nla_len < sizeof attribute) break;
    at += NLMSG_ALIGN(attribute.nla_len);
  }
  return -EPROTO;
}

}  // namespace

int is_bound_to(int socket, int path_fd) noexcept {
  struct stat status;
  struct stat file;
  struct statfs file_system;
  if (::fstat(socket, &status) < 0 || ::fstat(path_fd, &file) < 0 || ::fstatfs(path_fd, &file_system) < 0) {
    return -errno;
  }
  unix_diag_vfs bound{};
  if (const int result = bound_file(static_cast<std::uint32_t>(status.st_ino), bound); result < 0) return result;
  if (bound.udiag_vfs_ino != static_cast<std::uint32_t>(file.st_ino)) return 0;
  if (bound.udiag_vfs_dev >> 20U == major(file.st_dev) && (bound.udiag_vfs_dev & 0xfffffU) == minor(file.st_dev))
    return 1;
  // stat(2) reports another device number than the kernel's own for some file systems without a device, such as btrfs
  // and overlayfs, but not for tmpfs.
  constexpr std::uint32_t tmpfs_magic = 0x01021994;
  return major(file.st_dev) == 0 && bound.udiag_vfs_dev >> 20U == 0 &&
                 static_cast<std::uint32_t>(file_system.f_type) != tmpfs_magic
             ? 1
             : 0;
}
#else
int is_bound_to(int, int) noexcept { return -ENOSYS; }
#endif

int change_mode(int path_fd, const char*, unsigned mode) noexcept {
  char entry[32];
  std::snprintf(entry, sizeof entry, "/proc/self/fd/%d", path_fd);
  if (::chmod(entry, permissions(mode)) == 0) return 0;
  if (errno != ENOENT) return -errno;
    // Without /proc. Linux 6.6 has fchmodat2(2), which C libraries do not know yet.
#if defined(SYS_fchmodat2)
  constexpr long fchmodat2 = SYS_fchmodat2;
#else
  constexpr long fchmodat2 = 452;  // on every architecture but alpha
#endif
  return negated_errno(static_cast<int>(::syscall(fchmodat2, path_fd, "", permissions(mode), AT_EMPTY_PATH)));
}
int change_owner(int path_fd, const char*, unsigned user, unsigned group) noexcept {
  return negated_errno(::fchownat(path_fd, "", user, group, AT_EMPTY_PATH));
}
#else
int open_path(const char*) noexcept { return -ENOSYS; }
int open_bound_file(int) noexcept { return -ENOSYS; }
int is_bound_to(int, int) noexcept { return -ENOSYS; }
int change_mode(int, const char* path, unsigned mode) noexcept {
  return negated_errno(::fchmodat(AT_FDCWD, path, permissions(mode), AT_SYMLINK_NOFOLLOW));
}
int change_owner(int, const char* path, unsigned user, unsigned group) noexcept {
  return negated_errno(::lchown(path, user, group));
}
#endif

}  // namespace sd::detail::os

#endif

// ---- src/detail/os/processes.cpp ----

#if SD_HAS_DESCRIPTORS

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to the program

namespace sd::detail::os {

namespace {

std::int64_t monotonic_usec() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

}  // namespace

int open_pipe(int (&ends)[2]) noexcept {
#if defined(__APPLE__)
  if (::pipe(ends) < 0) return -errno;
  for (const int end : ends) set_close_on_exec(end, true);
  return 0;
#else
  return negated_errno(::pipe2(ends, O_CLOEXEC));
#endif
}
int wait_for_hangup(int fd, std::int64_t timeout_usec) noexcept {
  const bool is_limited = timeout_usec >= 0;
  const std::int64_t start = monotonic_usec();
  while (true) {
    // poll(2) takes milliseconds in an int: round up, and repeat if that was too short.
    const std::int64_t left = is_limited ? timeout_usec - (monotonic_usec() - start) : 0;
    const std::int64_t wait = left <= 0 ? 0 : left / 1000 < INT_MAX ? left / 1000 + 1 : INT_MAX;
    pollfd hangup{fd, 0, 0};
    const int result = ::poll(&hangup, 1, is_limited ? static_cast<int>(wait) : -1);
    if (result > 0) return 1;
    if (result < 0 && errno != EINTR) return -errno;
    if (is_limited && left <= 0) return 0;
  }
}
#if defined(__linux__)
int pidfd_inode(int pidfd, std::uint64_t& number) noexcept {
  if (sizeof(long) == sizeof number) return inode(pidfd, number);
  // A 32-bit kernel has the lower half only in its `struct stat`, and all of the number in the file handle.
  struct {
    unsigned size;
    int type;
    unsigned char number[sizeof(std::uint64_t)];
  } handle{sizeof number, 0, {}};
  int mount = 0;
  if (::syscall(SYS_name_to_handle_at, pidfd, "", &handle, &mount, AT_EMPTY_PATH) < 0) return -EOPNOTSUPP;
  std::memcpy(&number, handle.number, sizeof number);
  return 0;
}
#else
int pidfd_inode(int, std::uint64_t&) noexcept { return -EOPNOTSUPP; }
#endif
int duplicate_to(int fd, int number) noexcept { return negated_errno(::dup2(fd, number)); }
char** environment() noexcept { return environ; }
int execute(const char* path, char* const* arguments, char* const* environment) noexcept {
  return negated_errno(::execve(path, arguments, environment));
}

// --- start -----------------------------------------------------------------------------------------------------------

namespace {

constexpr int cannot_start = 127;  // the exit status that shells use

constexpr int most_bits = 64;

bool may_have_action(const signal_actions& actions, int signal) noexcept {
  return signal > most_bits || ((actions.handled | actions.ignored) >> static_cast<unsigned>(signal - 1) & 1U) != 0;
}

// Signals, by system calls on Linux: a C library keeps tables and takes locks in sigaction(3), which a child that
// shares the memory of its parent must not touch, and it leaves out the signals that it uses itself.
#if defined(__linux__)

constexpr std::size_t mask_size = _NSIG / 8;

struct signal_mask {
  alignas(unsigned long) unsigned char bits[mask_size];
};

void set_signal_mask(const signal_mask& mask, signal_mask* previous) noexcept {
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, previous, mask_size);
}

signal_mask block_signals() noexcept {
  signal_mask all;
  signal_mask previous{};
  std::memset(&all, 0xff, sizeof all);
  set_signal_mask(all, &previous);
  return previous;
}

constexpr int last_signal = static_cast<int>(mask_size * 8);

/// The structure of the system call. Only its beginning is of interest.
struct kernel_action {
#if defined(__mips__)
  unsigned flags;
#endif
  std::uintptr_t handler;
  unsigned char rest[128];
};

std::uintptr_t handler_of(int signal) noexcept {
  kernel_action action{};
  // Sparc takes the size as the fifth argument.
  ::syscall(SYS_rt_sigaction, signal, nullptr, &action, mask_size, mask_size);
  return action.handler;
}

void reset_signals(const signal_actions& actions) noexcept {
  // SIG_DFL without flags, in every layout that the structure has.
  static constexpr kernel_action default_action{};
  for (int signal = 1; signal <= last_signal; ++signal) {
    if (!may_have_action(actions, signal)) continue;
    ::syscall(SYS_rt_sigaction, signal, &default_action, nullptr, mask_size, mask_size);
  }
  set_signal_mask({}, nullptr);
}

#else

using signal_mask = sigset_t;

void set_signal_mask(const signal_mask& mask, signal_mask* previous) noexcept {
  ::pthread_sigmask(SIG_SETMASK, &mask, previous);
}

signal_mask block_signals() noexcept {
  signal_mask all;
  signal_mask previous;
  sigfillset(&all);  // a macro on macOS, and so without `::`
  set_signal_mask(all, &previous);
  return previous;
}

constexpr int last_signal = NSIG - 1;

std::uintptr_t handler_of(int signal) noexcept {
  struct sigaction action {};
  ::sigaction(signal, nullptr, &action);
  return reinterpret_cast<std::uintptr_t>(action.sa_handler);
}

void reset_signals(const signal_actions& actions) noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal <= last_signal; ++signal) {
    if (may_have_action(actions, signal)) ::sigaction(signal, &action, nullptr);
  }
  signal_mask none;
  sigemptyset(&none);
  set_signal_mask(none, nullptr);
}

#endif

/// Blocks all signals of this thread, so that none of the handlers runs in the child.
class all_signals_blocked {
 public:
  all_signals_blocked() noexcept = default;
  all_signals_blocked(const all_signals_blocked&) = delete;
  all_signals_blocked& operator=(const all_signals_blocked&) = delete;
  ~all_signals_blocked() { set_signal_mask(previous_, nullptr); }

 private:
  signal_mask previous_ = block_signals();
};

/// Defers the cancellation of this thread: a child that shares its memory would unwind the thread's stack, and the
/// descriptors that are open meanwhile would stay open.
class cancellation_disabled {
 public:
#if defined(__ANDROID__)  // which has no cancellation
  cancellation_disabled() noexcept {}
#else
  cancellation_disabled() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &previous_); }
  ~cancellation_disabled() { ::pthread_setcancelstate(previous_, nullptr); }
#endif
  cancellation_disabled(const cancellation_disabled&) = delete;
  cancellation_disabled& operator=(const cancellation_disabled&) = delete;

 private:
  SD_UNUSED_MEMBER int previous_ = 0;
};

/// Waits for a child, which is killed first if it still runs.
void end(int pid) noexcept {
  int options = WNOHANG;
  while (true) {
    const int result = ::waitpid(pid, nullptr, options);
    if (result == 0) {
      ::kill(pid, SIGKILL);
      options = 0;
    } else if (result > 0 || errno != EINTR) {
      return;
    }
  }
}

/// Returns the pid of a child that runs its program. Ends the child if there was an error.
int result_of(int pid, int error) noexcept {
  if (error == 0) return pid;
  end(pid);
  return -error;
}

// A forked child creates a pipe, and sends its read end to the parent: no other child that is forked meanwhile can hold
// the write end, so that the pipe ends when the program is executed or the child exits. The child writes 0 before it
// executes the program, and an errno if that fails.

/// What the child sends: an errno, or 0 and the read end.
struct message {
  int error = 0;
  iovec data{&error, sizeof error};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))]{};
  msghdr header{};

  message() noexcept {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
  }
  message(const message&) = delete;
  message& operator=(const message&) = delete;
  ~message() = default;

  void attach_control() noexcept {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
};

void send_pipe(int channel, int error, int fd) noexcept {
  message sent;
  sent.error = error;
  if (error == 0) {
    sent.attach_control();
    cmsghdr* const attached = CMSG_FIRSTHDR(&sent.header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(attached), &fd, sizeof fd);
  }
  while (::sendmsg(channel, &sent.header, 0) < 0 && errno == EINTR) {
  }
}

/// Returns the read end of the child's pipe, or a negated errno.
int receive_pipe(int channel) noexcept {
#if defined(MSG_CMSG_CLOEXEC)
  constexpr int flags = MSG_CMSG_CLOEXEC;
#else
  constexpr int flags = 0;
#endif
  message received;
  received.attach_control();
  ssize_t count = 0;
  while ((count = ::recvmsg(channel, &received.header, flags)) < 0 && errno == EINTR) {
  }
  if (count < 0) return -errno;
  if (count == 0) return -ECANCELED;
  if (received.error != 0) return -received.error;
  const cmsghdr* const attached = CMSG_FIRSTHDR(&received.header);
  if (attached == nullptr) return -EMFILE;  // the message was cut
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(attached), sizeof fd);
  if (flags == 0) set_close_on_exec(fd, true);
  return fd;
}

/// Reads what the child writes until the pipe ends. Returns 0 if the program was executed, and an errno if not.
int read_status(int pipe) noexcept {
  int status = ECANCELED;
  while (true) {
    int next = 0;
    const auto count = ::read(pipe, &next, sizeof next);
    if (count == sizeof next) {
      status = next;
    } else if (count >= 0 || errno != EINTR) {
      return status;
    }
  }
}

void write_status(int pipe, int status) noexcept {
  while (::write(pipe, &status, sizeof status) < 0 && errno == EINTR) {
  }
}

/// Returns 0 or an errno.
int prepare(const child& program) noexcept {
  const int error = program.prepare != nullptr ? program.prepare(program.argument) : 0;
  return error < 0 ? EINVAL : error;
}

[[noreturn]] void run_forked(const child& program, int channel) noexcept {
  reset_signals(program.actions);
  int ends[2];
  int result = open_pipe(ends);
  if (result >= 0) result = duplicate(ends[1], program.end_of_overwritten);
  send_pipe(channel, result < 0 ? -result : 0, ends[0]);
  if (result < 0) ::_exit(cannot_start);
  const int report = result;
  for (const int fd : ends) close(fd);
  close(channel);
  int error = prepare(program);
  if (error == 0) {
    write_status(report, 0);
    error = program.execute(program.self);
  }
  write_status(report, error);
  ::_exit(cannot_start);
}

int open_channel(int (&ends)[2]) noexcept {
#if defined(SOCK_CLOEXEC)
  return negated_errno(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return -errno;
  for (const int end : ends) set_close_on_exec(end, true);
  return 0;
#endif
}

int start_by_fork(const child& program) noexcept {
  int channel[2];
  if (const int result = open_channel(channel); result < 0) return result;
  int pid = 0;
  {
    const all_signals_blocked blocked;
    pid = negated_errno(::fork());
    if (pid == 0) run_forked(program, channel[1]);
  }
  close(channel[1]);
  int result = pid;
  if (pid > 0) {
    const int pipe = receive_pipe(channel[0]);
    result = result_of(pid, pipe < 0 ? -pipe : read_status(pipe));
    if (pipe >= 0) close(pipe);
  }
  close(channel[0]);
  return result;
}

#if defined(__linux__) && !defined(__ia64__)

int clone_sharing_memory(int (*function)(void*), const child& program, int flags, void* argument) noexcept {
#if defined(__hppa__)  // where stacks grow upwards
  char* const stack = program.stack;
#else
  char* const stack = program.stack + stack_size;
#endif
  return negated_errno(::clone(function, stack, CLONE_VM | CLONE_VFORK | flags, argument));
}

/// Returns whether a child shares memory and suspends this thread (1). Emulators such as qemu and valgrind fork instead
/// (0).
int can_share_memory(const child& program) noexcept {
  enum { unknown, yes, no };
  static std::atomic<int> known{unknown};
  if (const int result = known.load(std::memory_order_relaxed); result != unknown) return result == yes ? 1 : 0;
  constexpr int only_clones = INT_MIN;  // __WCLONE, which the headers define as unsigned
  int shared = 0;
  const auto mark = [](void* argument) {
    *static_cast<int*>(argument) = 1;
    return 0;
  };
  const int pid = clone_sharing_memory(mark, program, 0,
                                       &shared);  // no SIGCHLD, so that no other wait() of this process sees the child
  if (pid < 0 && pid != -EINVAL) return pid;
  while (pid > 0 && ::waitpid(pid, nullptr, only_clones) < 0 && errno == EINTR) {
  }
  known.store(shared != 0 ? yes : no, std::memory_order_relaxed);
  return shared;
}

struct shared_child {
  const child& program;
  int status;  // as written to the pipe of a forked child
};

/// Runs in the memory of the parent, while its thread is suspended. Returns the exit status.
int run_sharing_memory(void* argument) noexcept {
  auto& self = *static_cast<shared_child*>(argument);
  reset_signals(self.program.actions);
  int error = prepare(self.program);
  if (error == 0) {
    self.status = 0;
    error = self.program.execute(self.program.self);
  }
  self.status = error;
  return cannot_start;
}

int start_sharing_memory(const child& program, bool& is_possible) noexcept {
  shared_child child{program, ECANCELED};
  int pid = 0;
  {
    std::optional<all_signals_blocked> blocked;
    if (program.actions.handled != 0) blocked.emplace();
    pid = can_share_memory(program);
    is_possible = pid != 0;
    if (pid <= 0) return pid;
    pid = clone_sharing_memory(run_sharing_memory, program, SIGCHLD, &child);
  }
  return pid < 0 ? pid : result_of(pid, child.status);
}

#else

int start_sharing_memory(const child&, bool& is_possible) noexcept {
  is_possible = false;
  return 0;
}

#endif

}  // namespace

signal_actions read_signal_actions() noexcept {
  signal_actions actions{0, 0};
  for (int signal = 1; signal <= last_signal; ++signal) {
    const auto bit = signal > most_bits ? 0 : std::uint64_t{1} << static_cast<unsigned>(signal - 1);
    const auto handler = handler_of(signal);
    if (handler == reinterpret_cast<std::uintptr_t>(SIG_IGN)) {
      actions.ignored |= bit;
    } else if (handler != reinterpret_cast<std::uintptr_t>(SIG_DFL)) {
      actions.handled |= bit;
    }
  }
  return actions;
}

// A preparation of a caller that does not know of this gets a copy of the memory: what it calls may be unsafe in shared
// memory even if it is async-signal-safe. In musl, setuid(2) signals every thread that it finds in the C library's
// list.
int start(const child& program) noexcept {
  const cancellation_disabled disabled;
  if (program.prepare == nullptr || program.prepares_in_shared_memory) {
    bool is_possible = false;
    const int result = start_sharing_memory(program, is_possible);
    if (is_possible) return result;
  }
  return start_by_fork(program);
}

}  // namespace sd::detail::os

#endif

// ---- src/detail/os/sockets.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail::os {

namespace {
int size_of(int result, socklen_t length) noexcept { return result < 0 ? -errno : static_cast<int>(length); }
}  // namespace

int is_nonblocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  return (flags & O_NONBLOCK) != 0 ? 1 : 0;
}
int set_nonblocking(int fd, bool on) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return wanted == flags ? 0 : negated_errno(::fcntl(fd, F_SETFL, wanted));
}

int socket_option(int fd, int level, int option, int& value) noexcept {
  socklen_t size = sizeof value;
  return negated_errno(::getsockopt(fd, level, option, &value, &size));
}
int set_socket_option(int fd, int level, int option, int value) noexcept {
  return negated_errno(::setsockopt(fd, level, option, &value, sizeof value));
}
int set_send_buffer(int fd, int size) noexcept {
#if defined(SO_SNDBUFFORCE)
  if (set_socket_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, size) >= 0) return 0;
#endif
  return set_socket_option(fd, SOL_SOCKET, SO_SNDBUF, size);
}
int socket_family(int fd) noexcept {
#if defined(SO_DOMAIN)
  int family = 0;
  const int result = socket_option(fd, SOL_SOCKET, SO_DOMAIN, family);
  return result < 0 ? result : family;
#else
  sockaddr_storage local{};
  const int result = local_address(fd, &local, sizeof local);
  return result < 0 ? result : local.ss_family;
#endif
}
int socket_protocol([[maybe_unused]] int fd) noexcept {
#if defined(SO_PROTOCOL)
  int protocol = 0;
  const int result = socket_option(fd, SOL_SOCKET, SO_PROTOCOL, protocol);
  return result < 0 ? result : protocol;
#else
  return 0;
#endif
}
int local_address(int fd, void* address, std::size_t size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const int result = ::getsockname(fd, static_cast<sockaddr*>(address), &length);
  return size_of(result, length);
}
int peer_address(int fd, void* address, std::size_t size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const int result = ::getpeername(fd, static_cast<sockaddr*>(address), &length);
  return size_of(result, length);
}

int open_socket(int family, int type, int protocol) noexcept {
#if defined(SOCK_CLOEXEC)
  return negated_errno(::socket(family, type | SOCK_CLOEXEC, protocol));
#else
  const int fd = negated_errno(::socket(family, type, protocol));
  if (fd >= 0) set_close_on_exec(fd, true);
  return fd;
#endif
}
int bind(int fd, const void* address, std::size_t size) noexcept {
  return negated_errno(::bind(fd, static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)));
}
int listen(int fd, int backlog) noexcept { return negated_errno(::listen(fd, backlog)); }
int connect(int fd, const void* address, std::size_t size) noexcept {
  while (::connect(fd, static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}
int send_message(int fd, const piece* pieces, std::size_t piece_count, const void* address, std::size_t size,
                 const int* fds, std::size_t fd_count, int pid) noexcept {
  iovec text[most_pieces];
  if (piece_count > most_pieces) return -EMSGSIZE;
  for (std::size_t i = 0; i < piece_count; ++i) text[i] = {const_cast<void*>(pieces[i].data), pieces[i].size};

  constexpr std::size_t fds_size = sizeof(int) * most_attached;
#if defined(__linux__)
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(fds_size) + CMSG_SPACE(sizeof(ucred))];
#else
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(fds_size)];
#endif
  std::memset(control, 0, sizeof control);
  msghdr header{};
  header.msg_name = const_cast<void*>(address);
  header.msg_namelen = static_cast<socklen_t>(size);
  header.msg_iov = text;
  // The sizes here and below are int or socklen_t in some C libraries. All types take an unsigned short, which all
  // sizes fit.
  header.msg_iovlen = static_cast<unsigned short>(piece_count);
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  std::size_t control_size = 0;
  if (fd_count > 0) {
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = static_cast<unsigned short>(CMSG_LEN(sizeof(int) * fd_count));
    std::memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
    control_size += CMSG_SPACE(sizeof(int) * fd_count);
    part = static_cast<cmsghdr*>(static_cast<void*>(control + control_size));
  }
#if defined(__linux__)
  if (pid != 0) {
    const ucred credentials{pid, ::getuid(), ::getgid()};
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_CREDENTIALS;
    part->cmsg_len = CMSG_LEN(sizeof credentials);
    std::memcpy(CMSG_DATA(part), &credentials, sizeof credentials);
    control_size += CMSG_SPACE(sizeof credentials);
  }
#else
  if (pid != 0) return -EOPNOTSUPP;
#endif
  header.msg_controllen = static_cast<unsigned short>(control_size);
  if (control_size == 0) header.msg_control = nullptr;

#if defined(MSG_NOSIGNAL)
  constexpr int flags = MSG_NOSIGNAL;
#else
  constexpr int flags = 0;
#endif
  while (true) {
#if defined(__linux__) && !defined(__GLIBC__) && defined(SYS_sendmsg)
    // musl's sendmsg(3) copies the ancillary data to a buffer that is too small for 253 descriptors. It does so to
    // clear the padding, which is zero here.
    const auto sent = ::syscall(SYS_sendmsg, fd, &header, flags);
#else
    const auto sent = ::sendmsg(fd, &header, flags);
#endif
    if (sent >= 0) return static_cast<int>(sent);
    if (errno != EINTR) return -errno;
  }
}
int is_readable(int fd) noexcept {
  pollfd readable{fd, POLLIN, 0};
  return negated_errno(::poll(&readable, 1, 0));
}

#if defined(__linux__)
int interface_number(const char* name, unsigned& number) noexcept {
  // As if_nametoindex(3), which reports ENOENT with glibc if it cannot open a socket.
  const int fd = open_socket(AF_UNIX, SOCK_DGRAM);
  if (fd < 0) return fd;
  ifreq request{};
  std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  const int result = negated_errno(::ioctl(fd, SIOCGIFINDEX, &request));
  close(fd);
  number = static_cast<unsigned>(request.ifr_ifindex);
  return result;
}
#else
int interface_number(const char* name, unsigned& number) noexcept {
  errno = 0;
  number = ::if_nametoindex(name);
  if (number != 0) return 0;
  return errno == 0 || errno == ENXIO ? -ENODEV : -errno;
}
#endif
const char* interface_name(unsigned number, char* name) noexcept { return ::if_indextoname(number, name); }

}  // namespace sd::detail::os

#endif

// ---- src/detail/bind_path.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail {

namespace {

/// Returns the directory of a path. Empty if that is the root or the current directory.
std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// Returns whether a path can only be one of a directory, such as "/run/x/".
bool names_directory(const std::string& path) {
  const auto name = path.substr(path.rfind('/') + 1);
  return name.empty() || name == "." || name == "..";
}

/// Makes directories, and removes those that it made unless they are kept. A directory that is not empty stays.
class new_directories {
 public:
  new_directories() = default;
  new_directories(const new_directories&) = delete;
  new_directories& operator=(const new_directories&) = delete;
  ~new_directories() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) os::remove_directory(made->c_str());
  }

  /// Makes a directory and its parents, unless they exist. Returns 0 or the negated errno, and sets `why` accordingly.
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the path, which is short
  int make(const std::string& directory, unsigned mode, failure& why) {
    if (directory.empty()) return 0;
    int result = make_one(directory, mode);
    if (result == -ENOENT) {
      if (const int parents = make(parent(directory), mode, why); parents < 0) return parents;
      result = make_one(directory, mode);
    }
    if (result >= 0) return 0;
    os::file there;
    const int status = os::status(directory.c_str(), there);
    if (status == 0 && there.type == os::file_type::directory) return 0;
    succeeded(result, "make directory", directory, why);
    // Another process may have removed a directory that was there a moment ago.
    return result == -EEXIST && status == -ENOENT ? -ENOENT : result;
  }

  void keep() noexcept { made_.clear(); }

 private:
  int make_one(const std::string& directory, unsigned mode) {
    made_.push_back(directory);  // before it is made, as this may throw
    const int result = os::make_directory(directory.c_str(), mode);
    if (result < 0) made_.pop_back();
    return result;
  }

  std::vector<std::string> made_;
};

/// Makes the parent directories of a path and locks the path.
bool make_and_lock(const std::string& path, unsigned mode, new_directories& directories, std::optional<path_lock>& lock,
                   failure& why) {
  // A process that fails removes the directories that it made, and others may rely on them by then. Once the lock file
  // is in the directory, no other process can remove it any more.
  int attempts = 100;
  int result = 0;
  do {
    why = {};
    result = directories.make(parent(path), mode, why);
    if (result < 0) continue;
    lock.emplace(path);
    result = lock->status();
    succeeded(result, "lock", lock->name(), why);
  } while (result == -ENOENT && --attempts > 0);
  return result >= 0;
}

constexpr unsigned owner_write = 0200;

/// Returns whether no process serves the socket at a path. The server does not notice the probe, which is a datagram
/// socket: the kernel reports that a server of another type is there, and a datagram server is not told.
bool is_dead(const address& where, const std::string& path) noexcept {
  os::file there;
  if (os::link_status(path.c_str(), there) < 0 || there.type != os::file_type::socket) return false;
  const unique_fd probe(os::open_socket(AF_UNIX, SOCK_DGRAM));
  if (!probe) return false;
  const auto connect_probe = [&] { return os::connect(probe.get(), where.data(), where.size()); };
  int result = connect_probe();
  if (result != -EACCES) return result == -ECONNREFUSED;

  // The mode may keep even the owner out, if it was meant so, or if its server was killed before it had set the mode.
  unique_fd file;
  if constexpr (os::has_path_descriptors) {
    file = unique_fd(os::open_path(path.c_str()));
    if (!file || os::status(file.get(), there) < 0) return false;
  }
  if (there.type != os::file_type::socket || there.owner != os::effective_user() || (there.mode & owner_write) != 0) {
    return false;
  }
  if (os::change_mode(file.get(), path.c_str(), there.mode | owner_write) < 0) return false;
  result = connect_probe();
  if (result != -ECONNREFUSED) os::change_mode(file.get(), path.c_str(), there.mode);
  return result == -ECONNREFUSED;
}

bool bind_or_replace(int fd, const address& where, const std::string& path, failure& why) {
  // Linux takes the path's mode from the socket, so that no other user can send to the path before its owner and mode
  // are set. The owner may, so that the next process can tell whether the socket is dead if this one is killed.
  os::change_mode(fd, owner_write);
  int result = os::bind(fd, where.data(), where.size());
  if (result == -EADDRINUSE && is_dead(where, path)) {
    if (!succeeded(os::remove(path.c_str()), "remove the dead socket", path, why)) return false;
    result = os::bind(fd, where.data(), where.size());
  }
  return succeeded(result, "bind to", path, why);
}

/// The file of a socket that was just bound. The caller must hold the path's lock.
///
/// Another user who can write to the directory may have replaced the path since, with a link to another file or with
/// another socket of this user. So the file is identified once, and then changed by its descriptor. Where there are no
/// such descriptors, as on macOS and the BSDs, symbolic links are not followed, but another file that takes the place
/// of the socket is changed instead.
class bound_file {
 public:
  explicit bound_file(const std::string& path) noexcept : path_(path) {}
  bound_file(const bound_file&) = delete;
  bound_file& operator=(const bound_file&) = delete;
  ~bound_file() {
    if (!kept_) remove();
  }

  /// Finds the file that a socket is bound to. -ESTALE if the path does not refer to it.
  int find(int socket) noexcept {
    const int result = identify(socket);
    is_replaced_ = result == -ESTALE;
    return result;
  }

  bool set_owner_and_mode(const bind_options& options, failure& why) const {
    if (options.socket_uid || options.socket_gid) {
      const int result = os::change_owner(fd_.get(), path_.c_str(), options.socket_uid.value_or(os::same_id),
                                          options.socket_gid.value_or(os::same_id));
      if (!succeeded(result, "change the owner of", path_, why)) return false;
    }
    const int result = os::change_mode(fd_.get(), path_.c_str(), options.socket_mode);
    return succeeded(result, "change the mode of", path_, why);
  }

  [[nodiscard]] file_identity identity() const noexcept { return {status_.device, status_.inode, status_.modified}; }

  /// Lets the path stay.
  void keep() noexcept { kept_ = true; }

 private:
  int identify(int socket) noexcept {
    if constexpr (!os::has_path_descriptors) {
      const int result = os::link_status(path_.c_str(), status_);
      return result < 0 || status_.type == os::file_type::socket ? result : -ESTALE;
    }
    fd_ = unique_fd(os::open_bound_file(socket));
    if (fd_) {
      os::file there;
      if (const int result = os::status(fd_.get(), status_); result < 0) return result;
      if (const int result = os::link_status(path_.c_str(), there); result < 0) return result;
      return os::is_same(status_, there) ? 0 : -ESTALE;
    }
    // Without the privilege for that, ask about the file that is at the path now.
    const int fd = os::open_path(path_.c_str());
    if (fd < 0) return fd;
    fd_ = unique_fd(fd);
    if (const int result = os::status(fd, status_); result < 0) return result;
    if (status_.type != os::file_type::socket || status_.owner != os::effective_user() || status_.links != 1) {
      return -ESTALE;
    }
    // If the kernel cannot tell, this may still be another socket of this user that was moved here.
    return os::is_bound_to(socket, fd) == 0 ? -ESTALE : 0;
  }

  void remove() const noexcept {
    if (!is_replaced_) os::remove(path_.c_str());
  }

  const std::string& path_;
  unique_fd fd_;
  os::file status_;
  bool is_replaced_ = false;
  bool kept_ = false;
};

}  // namespace

bool succeeded(int result, const char* step, const std::string& subject, failure& why) {
  if (result < 0) why = {{-result, std::generic_category()}, step + (' ' + escaped(subject))};
  return result >= 0;
}

bool start_listening(int fd, const bind_options& options, const std::string& subject, failure& why) {
  if (options.kind == kind::datagram) return true;
  return succeeded(os::listen(fd, options.backlog < 0 ? INT_MAX : options.backlog), "listen on", subject, why);
}

bool bind_path(int fd, const address& where, const bind_options& options, file_identity& bound, failure& why) {
  const std::string path(where.path());
  if (names_directory(path)) return succeeded(-EISDIR, "bind to", path, why);
  new_directories directories;
  std::optional<path_lock> lock;  // released before the directories are removed
  if (!make_and_lock(path, options.directory_mode, directories, lock, why)) return false;
  if (!bind_or_replace(fd, where, path, why)) return false;
  bound_file file(path);
  if (!succeeded(file.find(fd), "find the bound socket at", path, why) || !file.set_owner_and_mode(options, why) ||
      !start_listening(fd, options, path, why)) {
    return false;
  }
  bound = file.identity();
  file.keep();
  directories.keep();
  return true;
}

void unlink_path(const std::string& path, const file_identity& bound) noexcept {
  const path_lock lock(path);
  os::file there;
  if (lock.status() < 0 || os::link_status(path.c_str(), there) < 0) return;
  if (there.device == bound.device && there.inode == bound.inode && there.modified == bound.modified) {
    os::remove(path.c_str());
  }
}

}  // namespace sd::detail

#endif

// ---- src/detail/bind_socket.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail {

namespace {

int type_of(kind wanted) noexcept {
  switch (wanted) {
    case kind::stream:
      return SOCK_STREAM;
    case kind::seqpacket:
      return SOCK_SEQPACKET;
    case kind::datagram:
      return SOCK_DGRAM;
    default:
      return 0;
  }
}

/// Opens one socket.
class binder {
 public:
  binder(const address& where, const bind_options& options, const socket_details& details)
      : where_(where), text_(to_string(where)), options_(options), details_(details), type_(type_of(options.kind)) {}

  server_socket open(failure& why) {
    if (type_ == 0) {
      why = {std::make_error_code(std::errc::invalid_argument), std::string("bind a ") + to_string(options_.kind)};
      return {};
    }
    return where_.path().empty() ? open_address(why) : open_path(why);
  }

 private:
  bool open_socket(unique_fd& fd, int family, failure& why) const {
    const int result = os::open_socket(family, type_, details_.protocol);
    if (!succeeded(result, "open a socket for", text_, why)) return false;
    fd = unique_fd(result);
    if (options_.nonblocking == nonblocking::on &&
        !succeeded(os::set_nonblocking(result, true), "make nonblocking", text_, why)) {
      return false;
    }
    return details_.configure == nullptr || details_.configure(details_.argument, result, why);
  }

  bool set_option(const unique_fd& fd, int level, int option, int value, const char* step, failure& why) const {
    return succeeded(os::set_socket_option(fd.get(), level, option, value), step, text_, why);
  }

  server_socket open_address(failure& why) const {
    unique_fd fd;
    const int family = where_.family();
    if (!open_socket(fd, family, why)) return {};
    const bool internet = family == AF_INET || family == AF_INET6;
    if (internet && type_ != SOCK_DGRAM && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR for", why)) {
      return {};
    }
    if (family == AF_INET6 && options_.ipv6 != bind_ipv6_only::system_default &&
        !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options_.ipv6 == bind_ipv6_only::ipv6_only ? 1 : 0,
                    "set IPV6_V6ONLY for", why)) {
      return {};
    }
    if (!succeeded(os::bind(fd.get(), where_.data(), where_.size()), "bind to", text_, why)) return {};
    if (!start_listening(fd.get(), options_, text_, why)) return {};
    return {std::move(fd), {}};
  }

  server_socket open_path(failure& why) const {
    std::string path(where_.path());  // copied here, because nothing may throw once the path is bound
    file_identity file;
    unique_fd fd;
    if (!open_socket(fd, AF_UNIX, why) || !bind_path(fd.get(), where_, options_, file, why)) return {};
    return {std::move(fd), {std::move(path), file, os::process_id()}};
  }

  const address& where_;
  std::string text_;
  const bind_options& options_;
  const socket_details& details_;
  int type_;
};

}  // namespace

server_socket bind_socket(const address& where, const bind_options& options, const socket_details& details,
                          failure& why) {
  return binder(where, options, details).open(why);
}

}  // namespace sd::detail

#endif

// ---- src/detail/inspect.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail {

namespace {

/// Holds an address of any family.
struct socket_address {
  alignas(8) unsigned char bytes[sizeof(sockaddr_storage)] = {};
  std::size_t size = 0;

  [[nodiscard]] int family() const noexcept { return size == 0 ? AF_UNSPEC : as<sockaddr>().sa_family; }
  template <class Address>
  [[nodiscard]] Address as() const noexcept {
    Address address;
    std::memcpy(&address, bytes, sizeof address);
    return address;
  }
};

int local_address(int fd, socket_address& local) noexcept {
  const int size = os::local_address(fd, local.bytes, sizeof local.bytes);
  if (size < 0) return size;
  local.size = static_cast<std::size_t>(size);
  return 0;
}

/// Whether stat(2) failed because there is nothing at the path. A check gives false then; it does not fail.
bool is_absent(int result) noexcept { return result == -ENOENT || result == -ENOTDIR; }

/// Returns whether the file is the one at this path.
int is_at(const os::file& file, const char* path) noexcept {
  os::file other;
  if (const int result = os::status(path, other); result < 0) return is_absent(result) ? 0 : result;
  if (file.type != other.type) return 0;
  if (file.type == os::file_type::character) return file.number == other.number ? 1 : 0;
  return file.device == other.device && file.inode == other.inode ? 1 : 0;
}

bool is_internet_family(int family) noexcept { return family == AF_INET || family == AF_INET6; }

unsigned port_of(const socket_address& address) noexcept {
  return ntohs(address.family() == AF_INET ? address.as<sockaddr_in>().sin_port : address.as<sockaddr_in6>().sin6_port);
}

#if defined(__linux__)
bool matches(const sockaddr_vm& actual, const sockaddr_vm& wanted) noexcept {
  return (wanted.svm_port == 0 || actual.svm_port == wanted.svm_port) && actual.svm_cid == wanted.svm_cid;
}
#endif

bool matches(const sockaddr_in& actual, const sockaddr_in& wanted) noexcept {
  return (wanted.sin_port == 0 || actual.sin_port == wanted.sin_port) &&
         actual.sin_addr.s_addr == wanted.sin_addr.s_addr;
}

bool matches(const sockaddr_in6& actual, const sockaddr_in6& wanted) noexcept {
  return (wanted.sin6_port == 0 || actual.sin6_port == wanted.sin6_port) &&
         (wanted.sin6_flowinfo == 0 || actual.sin6_flowinfo == wanted.sin6_flowinfo) &&
         (wanted.sin6_scope_id == 0 || actual.sin6_scope_id == wanted.sin6_scope_id) &&
         std::memcmp(&actual.sin6_addr, &wanted.sin6_addr, sizeof actual.sin6_addr) == 0;
}

}  // namespace

int is_fifo(int fd, const char* path) noexcept {
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (file.type != os::file_type::fifo) return 0;
  return path != nullptr ? is_at(file, path) : 1;
}

int is_special(int fd, const char* path) noexcept {
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (file.type != os::file_type::regular && file.type != os::file_type::character) return 0;
  return path != nullptr ? is_at(file, path) : 1;
}

int is_socket(int fd, int family, int type, int listening) noexcept {
  if (fd < 0) return -EBADF;
  if (family < 0 || type < 0) return -EINVAL;
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (file.type != os::file_type::socket) return 0;
  if (type != 0) {
    int actual = 0;
    if (const int result = os::socket_option(fd, SOL_SOCKET, SO_TYPE, actual); result < 0) return result;
    if (actual != type) return 0;
  }
  if (listening >= 0) {
    int actual = 0;
    if (const int result = os::socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN, actual); result < 0) return result;
    if ((actual != 0) != (listening != 0)) return 0;
  }
  if (family == AF_UNSPEC) return 1;
  const int actual = os::socket_family(fd);
  if (actual < 0) return actual;
  return actual == family ? 1 : 0;
}

int is_socket_inet(int fd, int family, int type, int listening, unsigned port) noexcept {
  if (fd >= 0 && family != AF_UNSPEC && !is_internet_family(family)) return -EINVAL;
  if (const int result = is_socket(fd, family, type, listening); result <= 0) return result;
  socket_address local;
  if (const int result = local_address(fd, local); result < 0) return result;
  if (!is_internet_family(local.family())) return 0;
  return port == 0 || port_of(local) == port ? 1 : 0;
}

int is_socket_sockaddr(int fd, int type, const void* address, std::size_t size, int listening) noexcept {
  socket_address wanted;
  if (size > sizeof wanted.bytes) return -EINVAL;
  std::memcpy(wanted.bytes, address, size);
  wanted.size = size;
  if (const int result = is_socket(fd, wanted.family(), type, listening); result <= 0) return result;
  socket_address local;
  if (const int result = local_address(fd, local); result < 0) return result;
  switch (wanted.family()) {
    case AF_INET:
      return matches(local.as<sockaddr_in>(), wanted.as<sockaddr_in>()) ? 1 : 0;
    case AF_INET6:
      return matches(local.as<sockaddr_in6>(), wanted.as<sockaddr_in6>()) ? 1 : 0;
#if defined(__linux__)
    case AF_VSOCK:
      return matches(local.as<sockaddr_vm>(), wanted.as<sockaddr_vm>()) ? 1 : 0;
#endif
    default:
      return local.size == wanted.size && std::memcmp(local.bytes, wanted.bytes, size) == 0 ? 1 : 0;
  }
}

int is_socket_unix(int fd, int type, int listening, const char* path, std::size_t length) noexcept {
  if (const int result = is_socket(fd, AF_UNIX, type, listening); result <= 0 || path == nullptr) return result;
  socket_address local;
  if (const int result = local_address(fd, local); result < 0) return result;
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  std::size_t actual = local.size > start ? local.size - start : 0;
  const auto* const bytes = reinterpret_cast<const char*>(local.bytes) + start;
  // The size of a path includes a terminating NUL if it did in bind(2).
  if (actual > 0 && *bytes != '\0') actual = ::strnlen(bytes, actual);
  return actual == length && std::memcmp(bytes, path, length) == 0 ? 1 : 0;
}

int is_message_queue(int fd, const char* name) noexcept {
  if (const int result = os::is_message_queue(fd); result <= 0 || name == nullptr) return result;
  // The file system of the queues, if it is mounted. If it is not, only the name that the queue was opened by is known.
  constexpr char queues[] = "/dev/mqueue";
  if (*name != '/') return -EINVAL;
  char path[PATH_MAX];
  const int length = std::snprintf(path, sizeof path, "%s%s", queues, name);
  if (length < 0 || static_cast<std::size_t>(length) >= sizeof path) return -ENAMETOOLONG;
  os::file file;
  if (const int result = os::status(fd, file); result < 0) return result;
  if (is_at(file, path) > 0) return 1;
  const int opened = os::opened_path(fd, path, sizeof path);
  return static_cast<std::size_t>(opened) == std::strlen(name) && std::memcmp(path, name, std::strlen(name)) == 0 ? 1
                                                                                                                  : 0;
}

int booted() noexcept {
  os::file file;
  const int result = os::link_status("/run/systemd/system/", file);
  if (result < 0) return is_absent(result) ? 0 : result;
  return file.type == os::file_type::directory ? 1 : 0;
}

}  // namespace sd::detail

#endif

// ---- src/detail/notify.cpp ----

namespace sd::detail {

namespace {

/// Returns 0, or the negated errno for a message that cannot be sent to any service manager.
int check(const message& message) noexcept {
  if (message.piece_count == 0 || (message.fds == nullptr && message.fd_count > 0)) return -EINVAL;
  return message.fd_count > os::most_attached ? -E2BIG : 0;
}

}  // namespace

}  // namespace sd::detail

#if SD_HAS_DESCRIPTORS

namespace sd::detail {

namespace {

/// The size of the send buffer for a message that does not fit the default one.
constexpr int large_buffer = 8 << 20;

/// The address of the service manager, and the type of its socket.
struct manager {
  alignas(8) unsigned char address[sizeof(sockaddr_un)] = {};
  std::size_t size = 0;
  int family = AF_UNIX;
  int type = SOCK_DGRAM;
  int second_type = 0;  // tried if there is no socket of the first type
};

int parse_unix(const char* where, manager& result) noexcept {
  sockaddr_un local{};
  const std::size_t length = std::strlen(where);
  if (length < 2) return -EINVAL;
  if (length + (*where == '/' ? 1 : 0) > sizeof local.sun_path) return -E2BIG;
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, where, length);
  if (*where == '@') local.sun_path[0] = '\0';
  std::memcpy(result.address, &local, sizeof local);
  // A path is terminated by a NUL, an abstract name by the size of the address.
  result.size = offsetof(sockaddr_un, sun_path) + length + (*where == '/' ? 1 : 0);
  return 0;
}

#if defined(__linux__)

/// Returns whether the text starts with the word, and removes the word from it.
bool skip(const char*& text, const char* word) noexcept {
  const std::size_t length = std::strlen(word);
  if (std::strncmp(text, word, length) != 0) return false;
  text += length;
  return true;
}

int parse_vsock(const char* where, manager& result) noexcept {
  if (skip(where, "vsock:")) {
    result.second_type = SOCK_SEQPACKET;
  } else if (skip(where, "vsock-stream:")) {
    result.type = SOCK_STREAM;
  } else if (skip(where, "vsock-seqpacket:")) {
    result.type = SOCK_SEQPACKET;
  } else if (!skip(where, "vsock-dgram:")) {
    return -EAFNOSUPPORT;
  }
  const char* const colon = std::strchr(where, ':');
  char cid_text[16] = {};
  if (colon == nullptr || colon == where || static_cast<std::size_t>(colon - where) >= sizeof cid_text) return -EINVAL;
  std::memcpy(cid_text, where, static_cast<std::size_t>(colon - where));
  std::uint64_t cid = 0;
  std::uint64_t port = 0;
  if (parse_decimal(cid_text, UINT32_MAX - 1, cid) != number::ok ||
      parse_decimal(colon + 1, UINT32_MAX - 1, port) != number::ok) {
    return -EINVAL;
  }
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = static_cast<unsigned>(cid);
  vsock.svm_port = static_cast<unsigned>(port);
  std::memcpy(result.address, &vsock, sizeof vsock);
  result.size = sizeof vsock;
  result.family = AF_VSOCK;
  return 0;
}

#else
int parse_vsock(const char*, manager&) noexcept { return -EAFNOSUPPORT; }
#endif

int parse(const char* where, manager& result) noexcept {
  return *where == '/' || *where == '@' ? parse_unix(where, result) : parse_vsock(where, result);
}

/// Opens a socket of the type, and connects it unless it is a unix socket.
int open_socket(const manager& to, int type) noexcept {
  const int fd = os::open_socket(to.family, type);
  if (fd < 0 || to.family == AF_UNIX) return fd;
  const int result = os::connect(fd, to.address, to.size);
  if (result >= 0) return fd;
  os::close(fd);
  return result;
}

int send(const message& message, const manager& to) noexcept {
  int fd = open_socket(to, to.type);
  if (fd < 0 && to.second_type != 0) fd = open_socket(to, to.second_type);
  if (fd < 0) return fd;
  const bool connected = to.family != AF_UNIX;
  bool grown = false;
  const auto send_as = [&](int pid) {
    while (true) {
      const int sent = os::send_message(fd, message.pieces, message.piece_count, connected ? nullptr : to.address,
                                        connected ? 0 : to.size, message.fds, message.fd_count, pid);
      if (sent != -EMSGSIZE || grown || os::set_send_buffer(fd, large_buffer) < 0) return sent;
      grown = true;
    }
  };
  // The kernel adds the credentials of this process itself.
  const int pid = message.pid != 0 && message.pid != os::process_id() ? message.pid : 0;
  int result = send_as(pid);
  if (result < 0 && pid != 0 && message.falls_back_to_self) result = send_as(0);
  os::close(fd);
  return result;
}

}  // namespace

int notify(const message& message) noexcept {
  if (const int result = check(message); result < 0) return result;
  const char* const where = os::get_environment("NOTIFY_SOCKET");
  if (where == nullptr) return 0;
  manager to;
  if (const int result = parse(where, to); result < 0) return result;
  if (to.family != AF_UNIX && message.fd_count > 0) return -EOPNOTSUPP;
  const int result = send(message, to);
  return result < 0 ? result : 1;
}

int notify_barrier(std::int64_t timeout_usec, int pid) noexcept {
  if (os::get_environment("NOTIFY_SOCKET") == nullptr) return 0;
  int ends[2];
  if (const int result = os::open_pipe(ends); result < 0) return result;
  // The manager closes the attached write end when it processes this message, which hangs up the read end.
  constexpr char text[] = "BARRIER=1";
  const os::piece piece{text, sizeof text - 1};
  message barrier;
  barrier.pieces = &piece;
  barrier.piece_count = 1;
  barrier.fds = &ends[1];
  barrier.fd_count = 1;
  barrier.pid = pid;
  barrier.falls_back_to_self = true;
  int result = notify(barrier);
  os::close(ends[1]);
  if (result > 0) {
    const int waited = os::wait_for_hangup(ends[0], timeout_usec);
    result = waited < 0 ? waited : waited == 0 ? -ETIMEDOUT : 1;
  }
  os::close(ends[0]);
  return result;
}

}  // namespace sd::detail

#else

namespace sd::detail {
int notify(const message& message) noexcept { return check(message); }
int notify_barrier(std::int64_t, int) noexcept { return 0; }
}  // namespace sd::detail

#endif

// ---- src/detail/path_lock.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd::detail {

path_lock::path_lock(const std::string& path) noexcept : status_(acquire(path)) {}

path_lock::~path_lock() {
  if (status_ < 0) return;
  os::remove(name_);
  os::unlock(file_.get());  // closing the descriptor is not enough if a forked child has a copy
}

int path_lock::acquire(const std::string& path) noexcept {
  std::snprintf(name_, sizeof name_, "%s%s", path.c_str(), suffix);
  while (true) {
    if (const int result = open(); result < 0) return result;
    if (const int result = os::lock(file_.get()); result < 0) return result;
    os::file locked;
    os::file there;
    if (const int result = os::status(file_.get(), locked); result < 0) return result;
    // The former holder may have removed the file that is locked now. Later processes would lock a new one.
    if (os::link_status(name_, there) == 0 && os::is_same(locked, there)) return 0;
  }
}

/// Opens the lock file, and creates it if need be.
int path_lock::open() noexcept {
  while (true) {
    int fd = os::create_file(name_);
    if (fd >= 0) {
      file_ = unique_fd(fd);
      share();
      return 0;
    }
    if (fd != -EEXIST) return fd;
    // Without O_CREAT, which Linux may forbid for the files of other users in a sticky directory
    // (fs.protected_regular).
    fd = os::open_file(name_);
    if (fd >= 0) {
      file_ = unique_fd(fd);
      return 0;
    }
    if (fd != -ENOENT) return fd;  // else its holder has just removed it
  }
}

/// Gives a new lock file the owner and write permissions of its directory. If this process is killed, the processes of
/// other users can lock the file that is left. A user who cannot write to the directory cannot open the file, because
/// whoever can open it can hold the lock. Failures are ignored: the file stays private then.
void path_lock::share() noexcept {
  constexpr unsigned group_write = 0020;
  constexpr unsigned others_write = 0002;
  constexpr unsigned for_owner = 0600;
  constexpr unsigned for_group = 0060;
  constexpr unsigned for_others = 0006;

  char directory[sizeof name_];
  std::snprintf(directory, sizeof directory, "%s", name_);
  if (auto* const slash = std::strrchr(directory, '/'); slash != nullptr) slash[1] = '\0';
  os::file where;
  if (os::status(directory, where) < 0) return;
  if ((where.mode & others_write) != 0) {
    os::change_mode(file_.get(), for_owner | for_group | for_others);
    return;
  }
  const bool group_may = (where.mode & group_write) != 0;
  if (where.owner == os::effective_user() && !group_may) return;
  const int result = os::change_owner(file_.get(), where.owner, where.group);
  if (!group_may || (result < 0 && os::change_owner(file_.get(), os::same_id, where.group) < 0)) return;
  os::change_mode(file_.get(), for_owner | for_group);
}

}  // namespace sd::detail

#endif

// ---- src/detail/protocol.cpp ----

namespace sd::detail {

namespace {

struct variable {
  const char* name;
  std::uint64_t max;
  errc malformed;
  errc out_of_range;
};

constexpr variable listen_pid{"LISTEN_PID", INT_MAX, errc::malformed_listen_pid, errc::listen_pid_out_of_range};
constexpr variable listen_pidfdid{"LISTEN_PIDFDID", UINT64_MAX, errc::malformed_listen_pidfdid,
                                  errc::listen_pidfdid_out_of_range};
constexpr variable listen_fds{"LISTEN_FDS", INT_MAX - first_descriptor, errc::malformed_listen_fds,
                              errc::listen_fds_out_of_range};
constexpr variable first_fd{"LISTEN_FDS_FIRST_FD", INT_MAX, errc::malformed_listen_fds_first_fd,
                            errc::listen_fds_first_fd_out_of_range};
constexpr variable watchdog_usec_variable{"WATCHDOG_USEC", INT64_MAX, errc::malformed_watchdog_usec,
                                          errc::malformed_watchdog_usec};
constexpr variable watchdog_pid_variable{"WATCHDOG_PID", INT_MAX, errc::malformed_watchdog_pid,
                                         errc::malformed_watchdog_pid};

bool parse(const variable& which, const char* text, std::uint64_t& value, fault& why) noexcept {
  const auto result = parse_decimal(text, which.max, value);
  if (result == number::ok) return true;
  why.code = result == number::malformed ? which.malformed : which.out_of_range;
  why.variable = which.name;
  why.value = text;
  why.out_of_range = result == number::out_of_range;
  return false;
}

}  // namespace

number parse_decimal(const char* text, std::uint64_t max, std::uint64_t& value) noexcept {
  if (*text == '\0') return number::malformed;
  value = 0;
  bool fits = true;  // if not, read to the end: a number of any size is malformed if other characters follow
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text > '9') return number::malformed;
    const auto digit = static_cast<std::uint64_t>(*text - '0');
    fits = fits && digit <= max && value <= (max - digit) / 10;
    if (fits) value = value * 10 + digit;
  }
  return fits ? number::ok : number::out_of_range;
}

addressee addressed_to(const environment& env, int pid, listen_options options, std::uint64_t& pidfdid,
                       fault& why) noexcept {
  const bool any_pid = (options & listen_options::any_pid) != listen_options::none;
  if (env.listen_fds == nullptr || (env.listen_pid == nullptr && !any_pid)) return addressee::another;

  std::uint64_t listen_pid_value = 0;
  if (env.listen_pid != nullptr && !parse(listen_pid, env.listen_pid, listen_pid_value, why)) return addressee::another;
  if (!any_pid && listen_pid_value != static_cast<std::uint64_t>(pid)) return addressee::another;

  if (env.listen_pidfdid == nullptr) return addressee::this_one;
  if (!parse(listen_pidfdid, env.listen_pidfdid, pidfdid, why)) return addressee::another;
  return any_pid ? addressee::this_one : addressee::by_pidfdid;
}

descriptor_range passed_range(const environment& env, fault& why) noexcept {
  std::uint64_t count = 0;
  if (!parse(listen_fds, env.listen_fds, count, why)) return {};
  std::uint64_t first = first_descriptor;
  if (env.listen_fds_first_fd != nullptr) {
    if (!parse(first_fd, env.listen_fds_first_fd, first, why)) return {};
    if (first < first_descriptor || first + count > INT_MAX) {
      why.code = first_fd.out_of_range;
      why.variable = first_fd.name;
      why.value = env.listen_fds_first_fd;
      why.out_of_range = true;
      return {};
    }
  }
  return {static_cast<int>(first), static_cast<int>(count)};
}

bool watchdog_period(const char* watchdog_usec, const char* watchdog_pid, int pid, std::uint64_t& period,
                     fault& why) noexcept {
  if (watchdog_usec == nullptr) return false;
  auto addressed = static_cast<std::uint64_t>(pid);
  if (watchdog_pid != nullptr && !parse(watchdog_pid_variable, watchdog_pid, addressed, why)) return false;
  if (addressed != static_cast<std::uint64_t>(pid) || !parse(watchdog_usec_variable, watchdog_usec, period, why)) {
    return false;
  }
  if (period == 0) {  // such a watchdog would expire at once
    why.code = errc::malformed_watchdog_usec;
    why.variable = watchdog_usec_variable.name;
    why.value = watchdog_usec;
    return false;
  }
  return true;
}

std::optional<std::string_view> name_list::next() noexcept {
  if (rest_ == nullptr) return std::nullopt;
  const char* const end = std::strchr(rest_, ':');
  const std::string_view name = end != nullptr ? std::string_view(rest_, static_cast<std::size_t>(end - rest_)) : rest_;
  rest_ = end != nullptr ? end + 1 : nullptr;
  return name;
}

}  // namespace sd::detail

// ---- src/detail/receive.cpp ----

namespace sd::detail {

namespace {

/// Descriptors up to this number are verified and marked one by one, which takes no more calls than for a whole range.
constexpr int individually = 2;

fault failed(const char* variable, const char* value, int error, int descriptor = -1) noexcept {
  fault why;
  why.error = error;
  why.variable = variable;
  why.value = value;
  why.descriptor = descriptor;
  return why;
}

/// Returns whether this process has the pidfs inode (1) or not (0). Returns 1 if the kernel has no such inodes.
int has_pidfdid(std::uint64_t expected, int pid) noexcept {
  std::uint64_t actual = 0;
  const int result = pidfd_inode(pid, actual);
  if (result <= 0) return result == 0 ? 1 : result;
  return actual == expected ? 1 : 0;
}

/// Verifies that `fd` can have been passed: it is open and was not close-on-exec.
fault verify_one(int fd, ownership wanted, const char* value) noexcept {
  const int close_on_exec = os::is_close_on_exec(fd);
  if (close_on_exec == 0 || (close_on_exec > 0 && wanted == ownership::shared)) return {};
  fault why = failed("LISTEN_FDS", value, close_on_exec < 0 ? -close_on_exec : 0, fd);
  if (close_on_exec > 0) why.code = errc::already_claimed;
  return why;
}

/// Verifies that the whole range is open.
fault verify(const descriptor_range& range, ownership wanted, const char* value) noexcept {
  if (const fault why = verify_one(range.first, wanted, value)) return why;
  if (range.count > individually) {
    // The kernel returns the lowest free number, so a number past the range means that the range has no hole.
    const int probe = os::duplicate(range.first, range.first);
    if (probe >= 0) {
      os::close(probe);
      return probe < range.end() ? failed("LISTEN_FDS", value, EBADF, probe) : fault();
    }
  }
  for (int fd = range.first + 1; fd < range.end(); ++fd) {
    if (const fault why = verify_one(fd, wanted, value)) return why;
  }
  return {};
}

/// Returns whether LISTEN_PIDFDID names this process. False on a fault.
bool is_named(const environment& env, std::uint64_t pidfdid, int pid, fault& why) noexcept {
  const int result = has_pidfdid(pidfdid, pid);
  if (result < 0) why = failed("LISTEN_PIDFDID", env.listen_pidfdid, -result);
  return result == 1;
}

void set_empty(offer& offered, emptiness reason, const char* variable) noexcept {
  offered.range = {};
  offered.empty = reason;
  offered.variable = variable;
}

/// Sets the reason for an empty offer if the variables do not address this process.
void set_not_addressed(offer& offered, listen_options options) noexcept {
  const bool any_pid = (options & listen_options::any_pid) != listen_options::none;
  if (offered.env.listen_fds == nullptr) {
    set_empty(offered, emptiness::not_set, "LISTEN_FDS");
  } else if (offered.env.listen_pid == nullptr && !any_pid) {
    set_empty(offered, emptiness::not_set, "LISTEN_PID");
  } else {
    set_empty(offered, emptiness::other_process, "LISTEN_PID");
  }
}

/// Completes a claimed offer. It is empty on a fault.
void complete(offer& offered, addressee addressed, std::uint64_t pidfdid, int pid, ownership wanted,
              fault& why) noexcept {
  if (addressed == addressee::by_pidfdid && !is_named(offered.env, pidfdid, pid, why)) {
    if (!why) set_empty(offered, emptiness::other_process, "LISTEN_PIDFDID");
    return;
  }
  offered.range = passed_range(offered.env, why);
  if (why) return;
  if (offered.range.count == 0) return set_empty(offered, emptiness::zero, "LISTEN_FDS");
  why = verify(offered.range, wanted, offered.env.listen_fds);
  if (why) offered.range = {};
}

}  // namespace

offer claim(listen_options options, ownership wanted, fault& why) noexcept {
  offer offered;
  if (claimed.load(std::memory_order_acquire) != 0) {
    set_empty(offered, emptiness::taken, "LISTEN_FDS");
    return offered;
  }
  offered.env.listen_pid = os::get_environment("LISTEN_PID");
  offered.env.listen_pidfdid = os::get_environment("LISTEN_PIDFDID");
  offered.env.listen_fds = os::get_environment("LISTEN_FDS");
  offered.env.listen_fds_first_fd = os::get_environment("LISTEN_FDS_FIRST_FD");
  offered.env.listen_fdnames = os::get_environment("LISTEN_FDNAMES");

  const int pid = os::process_id();
  std::uint64_t pidfdid = 0;
  const addressee addressed = addressed_to(offered.env, pid, options, pidfdid, why);
  if (addressed == addressee::another) {
    if (!why) set_not_addressed(offered, options);
    return offered;
  }
  if (claimed.exchange(1, std::memory_order_acq_rel) != 0) {
    set_empty(offered, emptiness::taken, "LISTEN_FDS");
    return offered;
  }
  complete(offered, addressed, pidfdid, pid, wanted, why);
  if (offered.range.count == 0) claimed.store(0, std::memory_order_release);
  return offered;
}

void mark(const offer& offered, fault& why) noexcept {
  const auto& range = offered.range;
  if (range.count > individually && os::set_close_on_exec_range(range.first, range.end() - 1) >= 0) return;
  for (int fd = range.first; fd < range.end(); ++fd) {
    if (const int result = os::set_close_on_exec(fd, true); result < 0) {
      for (int marked = range.first; marked < fd; ++marked) os::set_close_on_exec(marked, false);
      why = failed("LISTEN_FDS", offered.env.listen_fds, -result, fd);
      return;
    }
  }
}

int pidfd_inode(int pid, std::uint64_t& number) noexcept {
  const int pidfd = os::open_pidfd(pid);
  if (pidfd < 0) return pidfd == -ENOSYS ? 0 : pidfd;
  static std::atomic<bool> has_pidfs{false};
  int result = has_pidfs.load(std::memory_order_relaxed) ? 1 : os::is_pidfs(pidfd);
  if (result > 0) {
    has_pidfs.store(true, std::memory_order_relaxed);
    result = os::inode(pidfd, number);
    if (result == 0) result = 1;
  }
  os::close(pidfd);
  return result;
}

void unset_environment() noexcept {
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"}) {
    os::unset_environment(name);
  }
}

}  // namespace sd::detail

// ---- src/detail/text.cpp ----

namespace sd::detail {

std::string escaped(std::string_view value) {
  constexpr char hex[] = "0123456789abcdef";
  std::string text;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == '"') {
      text += {'\\', c};
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += {'\\', 'x', hex[byte >> 4U], hex[byte & 0xfU]};
    }
  }
  return text;
}

std::string quoted(std::string_view value) {
  constexpr std::size_t longest = 64;
  std::string text = escaped(value.substr(0, longest));
  text.insert(0, 1, '"');
  text += value.size() > longest ? "...\"" : "\"";
  return text;
}

void append_decimal(std::string& text, int number) {
  // Negated in unsigned arithmetic, where the smallest number does not overflow.
  unsigned rest = number < 0 ? 0U - static_cast<unsigned>(number) : static_cast<unsigned>(number);
  const std::size_t start = text.size();
  do {
    text += static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (number < 0) text += '-';
  std::reverse(text.begin() + static_cast<std::string::difference_type>(start), text.end());
}

}  // namespace sd::detail

// ---- src/activation.cpp ----

#if SD_HAS_EXCEPTIONS

namespace sd {
inline namespace v0 {

#if SD_HAS_DESCRIPTORS

namespace {

namespace os = detail::os;

constexpr std::string_view listen_pid = "LISTEN_PID=";
constexpr std::string_view listen_pidfdid = "LISTEN_PIDFDID=";
constexpr const char* shell = "/bin/sh";

[[noreturn]] void invalid(const std::string& what) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument), what);
}

bool has_nul(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

/// Returns the variable LISTEN_FDNAMES, which is empty if it must not be set.
std::string names_of(const std::vector<listen_fd>& fds) {
  constexpr std::size_t longest = 255;
  const auto is_named = [](const listen_fd& entry) { return entry.name.has_value(); };
  if (std::none_of(fds.begin(), fds.end(), is_named)) return "";
  std::string names = "LISTEN_FDNAMES=";
  for (const auto& entry : fds) {
    const auto name = entry.name.value_or("unknown");
    const auto is_invalid = [](char c) { return c == ':' || detail::is_control(c); };
    if (name.size() > longest) invalid("descriptor name " + detail::quoted(name) + ": longer than 255 bytes");
    if (std::any_of(name.begin(), name.end(), is_invalid)) {
      invalid("descriptor name " + detail::quoted(name) + ": contains a colon or a control character");
    }
    names += name + ':';
  }
  names.pop_back();
  return names;
}

std::vector<int> numbers_of(const std::vector<listen_fd>& fds) {
  std::vector<int> numbers;
  numbers.reserve(fds.size());
  for (const auto& entry : fds) numbers.push_back(entry.fd.get());
  return numbers;
}

bool is_of_the_protocol(std::string_view name) noexcept {
  return name == "LISTEN_PID" || name == "LISTEN_PIDFDID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES" ||
         name == "LISTEN_FDS_FIRST_FD";
}

void check_command(const std::vector<std::string>& command) {
  if (command.empty()) invalid("the command is empty");
  for (const auto& word : command) {
    if (has_nul(word)) invalid("word " + detail::quoted(word) + " of the command: contains a NUL byte");
  }
}

void check_variable(const std::string& name, const std::string& value) {
  const char* problem = nullptr;
  if (name.empty()) problem = "the name is empty";
  if (name.find('=') != std::string::npos) problem = "the name contains \"=\"";
  if (has_nul(name)) problem = "the name contains a NUL byte";
  if (has_nul(value)) problem = "the value contains a NUL byte";
  if (problem != nullptr) invalid("variable " + detail::quoted(name) + ": " + problem);
}

/// Returns the variables of the program but for those of the protocol, and that with the pid.
std::vector<std::string> variables_of(const std::map<std::string, std::string>& environment,
                                      const activation_options& options) {
  std::vector<std::string> variables;
  const auto is_set_later = [&](std::string_view name) {
    return is_of_the_protocol(name) || name == options.pid_variable;
  };
  char** own = options.inherits_environment ? os::environment() : nullptr;
  for (; own != nullptr && *own != nullptr; ++own) {
    const std::string_view text = *own;
    const auto name = text.substr(0, text.find('='));
    if (!is_set_later(name) && environment.count(std::string(name)) == 0) variables.emplace_back(text);
  }
  for (const auto& [name, value] : environment) {
    check_variable(name, value);
    if (!is_set_later(name)) variables.emplace_back(name).append("=").append(value);
  }
  return variables;
}

/// Returns the paths that execvp(3) tries for a program if these are the variables.
std::vector<std::string> candidates_of(const std::string& program, const std::vector<std::string>& variables) {
  if (program.empty() || program.find('/') != std::string::npos) return {program};
  constexpr std::string_view name = "PATH=";
  std::string_view directories = "/bin:/usr/bin";
  for (const auto& variable : variables) {
    if (variable.compare(0, name.size(), name) != 0) continue;
    directories = std::string_view(variable).substr(name.size());
    break;
  }
  std::vector<std::string> candidates;
  while (true) {
    const auto colon = directories.find(':');
    auto path = std::string(directories.substr(0, colon));
    if (!path.empty()) path += '/';  // an empty element is the working directory
    candidates.push_back(path + program);
    if (colon == std::string_view::npos) return candidates;
    directories.remove_prefix(colon + 1);
  }
}

/// Whether execvp(3) tries the next candidate after this error.
bool is_not_there(int error) noexcept {
  return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV || error == ETIMEDOUT;
}

/// Writes NAME= and the number. Async-signal-safe.
void write(char* variable, std::string_view name, std::uint64_t number) noexcept {
  char digits[20];
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  name.copy(variable, name.size());
  char* const end = std::reverse_copy(digits, digits + count, variable + name.size());
  *end = '\0';
}

std::error_code error_code_of(int error) noexcept { return {error, std::generic_category()}; }

}  // namespace

activation::activation(std::vector<std::string> command, const std::vector<listen_fd>& fds,
                       const std::map<std::string, std::string>& environment, const activation_options& options)
    : command_(std::move(command)),
      variables_(variables_of(environment, options)),
      fds_(numbers_of(fds)),
      sets_listen_pid_(options.sets_listen_pid),
      child_fds_(fds_),
      stack_(new char[os::stack_size]) {
  check_command(command_);
  if (has_nul(options.program)) invalid("program " + detail::quoted(options.program) + ": contains a NUL byte");
  candidates_ = candidates_of(options.program.empty() ? command_.front() : options.program, variables_);
  for (auto& word : command_) arguments_.push_back(word.data());
  arguments_.push_back(nullptr);
  shell_arguments_.push_back(const_cast<char*>(shell));
  shell_arguments_.insert(shell_arguments_.end(), arguments_.begin(), arguments_.end());

  if (!fds_.empty()) {
    variables_.push_back("LISTEN_FDS=" + std::to_string(fds_.size()));
    if (auto names = names_of(fds); !names.empty()) variables_.push_back(std::move(names));
  }
  for (auto& variable : variables_) environment_.push_back(variable.data());
  if (!options.pid_variable.empty()) {
    constexpr std::size_t digits = 20;
    check_variable(options.pid_variable, "");
    pid_variable_ = options.pid_variable + '=';
    pid_offset_ = pid_variable_.size();
    pid_variable_.resize(pid_offset_ + digits + 1);
    environment_.push_back(pid_variable_.data());
  }
  if (!fds_.empty() && sets_listen_pid_)
    environment_.insert(environment_.end(), {listen_pid_, nullptr});  // and LISTEN_PIDFDID
  environment_.push_back(nullptr);
}

std::error_code activation::exec() noexcept { return error_code_of(execute(fds_)); }

int activation::execute(std::vector<int>& fds) noexcept {
  if (pid_offset_ != 0) write(&pid_variable_[pid_offset_], "", static_cast<std::uint64_t>(os::process_id()));
  if (!fds.empty() && sets_listen_pid_) {
    const int pid = os::process_id();
    write(listen_pid_, listen_pid, static_cast<std::uint64_t>(pid));
    std::uint64_t pidfdid = 0;
    const bool known = detail::pidfd_inode(pid, pidfdid) > 0;
    if (known) write(listen_pidfdid_, listen_pidfdid, pidfdid);
    environment_[environment_.size() - 2] = known ? listen_pidfdid_ : nullptr;
  }

  // Step aside first: a descriptor may occupy the number of another one.
  const int end = detail::first_descriptor + static_cast<int>(fds.size());
  for (int& fd : fds) {
    if (fd >= end) continue;
    const int moved = os::duplicate(fd, end);
    if (moved < 0) return -moved;
    fd = moved;
  }
  int number = detail::first_descriptor;
  for (const int fd : fds) {
    if (const int result = os::duplicate_to(fd, number++); result < 0) return -result;
  }
  return execute_candidates();
}

/// Does what execvp(3) does, without allocating.
int activation::execute_candidates() noexcept {
  int error = ENOENT;
  bool is_denied = false;
  for (auto& path : candidates_) {
    error = -os::execute(path.c_str(), arguments_.data(), environment_.data());
    if (error == ENOEXEC) {
      shell_arguments_[1] = path.data();
      error = -os::execute(shell, shell_arguments_.data(), environment_.data());
    }
    if (error == EACCES) {
      is_denied = true;
    } else if (!is_not_there(error)) {
      return error;
    }
  }
  return is_denied ? EACCES : error;
}

int activation::spawn(std::error_code& ec) noexcept { return start(nullptr, nullptr, ec); }

int activation::start(int (*prepare)(void*) noexcept, void* argument, std::error_code& ec) noexcept {
  return detail::program_start::spawn(*this, {prepare, argument, false, {}}, ec);
}

#else

activation::activation(std::vector<std::string>, const std::vector<listen_fd>&,
                       const std::map<std::string, std::string>&, const activation_options&) {}
std::error_code activation::exec() noexcept { return {ENOSYS, std::generic_category()}; }
int activation::spawn(std::error_code& ec) noexcept { return start(nullptr, nullptr, ec); }
int activation::start(int (*)(void*) noexcept, void*, std::error_code& ec) noexcept {
  ec.assign(ENOSYS, std::generic_category());
  return -ENOSYS;
}

#endif

int activation::spawn() {
  std::error_code ec;
  const int pid = spawn(ec);
  if (ec) fail(ec);
  return pid;
}

void activation::fail(const std::error_code& ec) const {
  throw std::system_error(ec, "start " + (command_.empty() ? "" : command_.front()));
}

}  // namespace v0

#if SD_HAS_DESCRIPTORS

int detail::program_start::spawn(activation& program, const preparation& before, std::error_code& ec) noexcept {
  std::copy(program.fds_.begin(), program.fds_.end(), program.child_fds_.begin());
  os::child child{};
  child.execute = [](void* self) noexcept {
    auto& started = *static_cast<activation*>(self);
    return started.execute(started.child_fds_);
  };
  child.self = &program;
  child.prepare = before.prepare;
  child.argument = before.argument;
  child.prepares_in_shared_memory = before.may_share_memory;
  child.actions = before.actions;
  child.end_of_overwritten = first_descriptor + static_cast<int>(program.fds_.size());
  child.stack = program.stack_.get();
  const int pid = os::start(child);
  ec.clear();
  if (pid < 0) ec = error_code_of(-pid);
  return pid;
}

#endif

}  // namespace sd

#endif

// ---- src/address.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd {
inline namespace v0 {

namespace {

static_assert(sizeof(sockaddr_storage) <= 128);

template <class Sockaddr>
Sockaddr as(const address& where) noexcept {
  Sockaddr result;
  std::memcpy(&result, where.data(), sizeof result);
  return result;
}

/// Copies text and ends it with a NUL. The copy is empty if the text does not fit or contains a NUL.
template <std::size_t Size>
class c_string {
 public:
  explicit c_string(std::string_view text) noexcept {
    if (text.size() < Size && text.find('\0') == std::string_view::npos) text.copy(text_, Size);
  }
  [[nodiscard]] const char* get() const noexcept { return text_; }

 private:
  char text_[Size] = {};
};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_decimal(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// Whether text could be the name of a host: labels of letters, digits, hyphens and underscores, and not digits and
/// dots alone, which are a malformed IPv4 address.
bool is_host_name(std::string_view text) noexcept {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
  };
  const auto is_allowed = [&](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; };
  return std::all_of(text.begin(), text.end(), is_allowed) && std::any_of(text.begin(), text.end(), is_letter);
}

std::optional<std::uint32_t> number_up_to(std::uint64_t max, std::string_view text) noexcept {
  if (!text.empty()) text.remove_prefix(std::min(text.find_first_not_of('0'), text.size() - 1));
  std::uint64_t value = 0;
  const c_string<16> digits(text);
  if (detail::parse_decimal(digits.get(), max, value) != detail::number::ok) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

std::error_code parse_port(std::string_view text, in_port_t& port) noexcept {
  const auto value = number_up_to(UINT16_MAX, text);
  if (!value) return is_decimal(text) ? errc::port_out_of_range : errc::malformed_address;
  port = htons(static_cast<std::uint16_t>(*value));
  return {};
}

/// Returns a view of the name of a unix socket: a path, an abstract name including its leading NUL, or nothing.
std::string_view unix_name(const address& where) noexcept {
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  if (where.family() != AF_UNIX || where.size() <= start) return {};
  const std::string_view name(static_cast<const char*>(where.data()) + start, where.size() - start);
  return name.front() == '\0' ? name : name.substr(0, name.find('\0'));
}

std::error_code parse_unix(std::string_view text, address& result) noexcept {
  sockaddr_un local{};
  const bool abstract = text.front() == '@';
  constexpr auto start = offsetof(sockaddr_un, sun_path);
  if (text.size() + (abstract ? 0 : 1) > sizeof local.sun_path) return {ENAMETOOLONG, std::generic_category()};
  if (abstract ? text.size() == 1 : text.find('\0') != std::string_view::npos) return errc::malformed_address;
  local.sun_family = AF_UNIX;
  text.copy(local.sun_path, text.size());
  if (abstract) local.sun_path[0] = '\0';
  result = address::from_sockaddr(&local, start + text.size() + (abstract ? 0 : 1));
  return {};
}

/// Parses the IP address of `HOST:PORT`.
std::error_code parse_host(int family, const char* host, std::string_view text, std::string_view port,
                           void* result) noexcept {
  if (::inet_pton(family, host, result) == 1) return {};
  return is_host_name(text) && is_decimal(port) ? errc::host_name : errc::malformed_address;
}

std::error_code parse_ipv4(std::string_view host, std::string_view port, address& result) noexcept {
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  const c_string<INET_ADDRSTRLEN> copy(host);
  if (const auto ec = parse_host(AF_INET, copy.get(), host, port, &inet.sin_addr)) return ec;
  if (const auto ec = parse_port(port, inet.sin_port)) return ec;
  result = address::from_sockaddr(&inet, sizeof inet);
  return {};
}

std::error_code parse_scope(std::string_view text, std::uint32_t& scope) noexcept {
  const auto value = number_up_to(UINT32_MAX, text);
  if (value && *value != 0) {
    scope = *value;
    return {};
  }
  const int result = value ? -ENODEV : detail::os::interface_number(c_string<IF_NAMESIZE>(text).get(), scope);
  return result < 0 ? std::error_code(-result, std::generic_category()) : std::error_code();
}

std::error_code parse_ipv6(std::string_view host, std::string_view port, std::string_view scope,
                           address& result) noexcept {
  sockaddr_in6 inet6{};
  inet6.sin6_family = AF_INET6;
  const c_string<INET6_ADDRSTRLEN> copy(host);
  if (const auto ec = parse_host(AF_INET6, copy.get(), host, port, &inet6.sin6_addr)) return ec;
  if (const auto ec = parse_port(port, inet6.sin6_port)) return ec;
  if (!scope.empty()) {
    std::uint32_t number = 0;
    if (const auto ec = parse_scope(scope, number)) return ec;
    inet6.sin6_scope_id = number;
  }
  result = address::from_sockaddr(&inet6, sizeof inet6);
  return {};
}

/// Whether the kernel has IPv6. Only EAFNOSUPPORT means that it has not: other errors, such as EMFILE, say nothing
/// about it.
bool has_ipv6() noexcept {
  const int result = detail::os::open_socket(AF_INET6, SOCK_DGRAM);
  const unique_fd probe(result < 0 ? -1 : result);
  return result != -EAFNOSUPPORT;
}

address any_address(in_port_t port) noexcept {
  if (!has_ipv6()) {
    sockaddr_in inet{};
    inet.sin_family = AF_INET;
    inet.sin_port = port;
    return address::from_sockaddr(&inet, sizeof inet);
  }
  sockaddr_in6 inet6{};
  inet6.sin6_family = AF_INET6;
  inet6.sin6_port = port;
  return address::from_sockaddr(&inet6, sizeof inet6);
}

#if defined(__linux__)
std::error_code parse_vsock(std::string_view text, address& result) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return errc::malformed_address;
  const auto cid =
      colon == 0 ? std::optional<std::uint32_t>(VMADDR_CID_ANY) : number_up_to(UINT32_MAX, text.substr(0, colon));
  const auto port = number_up_to(UINT32_MAX, text.substr(colon + 1));
  if (!cid || !port) return errc::malformed_address;
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = *cid;
  vsock.svm_port = *port;
  result = address::from_sockaddr(&vsock, sizeof vsock);
  return {};
}
#endif

/// Parses [IPV6]:PORT, with %INTERFACE after either part.
std::error_code parse_bracketed(std::string_view text, address& result) noexcept {
  const auto bracket = text.find(']');
  if (bracket == std::string_view::npos || text.substr(bracket + 1, 1) != ":") return errc::malformed_address;
  auto host = text.substr(1, bracket - 1);
  auto port = text.substr(bracket + 2);
  std::string_view scope;
  for (auto* const part : {&host, &port}) {
    const auto percent = part->find('%');
    if (percent == std::string_view::npos) continue;
    if (!scope.empty() || percent + 1 == part->size()) return errc::malformed_address;
    scope = part->substr(percent + 1);
    *part = part->substr(0, percent);
  }
  return parse_ipv6(host, port, scope, result);
}

}  // namespace

std::error_code address::assign(std::string_view text) noexcept {
  if (text.empty()) return errc::malformed_address;
  if (text.front() == '/' || text.front() == '@') return parse_unix(text, *this);
  if (text.front() == '[') return parse_bracketed(text, *this);
#if defined(__linux__)
  constexpr std::string_view vsock = "vsock:";
  if (text.substr(0, vsock.size()) == vsock) return parse_vsock(text.substr(vsock.size()), *this);
#endif
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos) return parse_ipv4(text.substr(0, colon), text.substr(colon + 1), *this);
  in_port_t port = 0;
  if (const auto ec = parse_port(text, port)) return ec;
  *this = any_address(port);
  return {};
}

address address::any(std::uint16_t port) noexcept { return any_address(htons(port)); }

address address::from_sockaddr(const void* sockaddr, std::size_t size) noexcept {
  address result;
  result.size_ = std::min(size, sizeof result.storage_.bytes);
  if (result.size_ != 0) std::memcpy(result.storage_.bytes, sockaddr, result.size_);
  return result;
}

int address::family() const noexcept { return size_ < sizeof(sa_family_t) ? AF_UNSPEC : as<sockaddr>(*this).sa_family; }

unsigned address::port() const noexcept {
  switch (family()) {
    case AF_INET:
      return ntohs(as<sockaddr_in>(*this).sin_port);
    case AF_INET6:
      return ntohs(as<sockaddr_in6>(*this).sin6_port);
#if defined(__linux__)
    case AF_VSOCK:
      return as<sockaddr_vm>(*this).svm_port;
#endif
    default:
      return 0;
  }
}

std::string_view address::path() const noexcept {
  const auto name = unix_name(*this);
  return name.empty() || name.front() == '\0' ? std::string_view() : name;
}

namespace {

/// The bytes of an address that distinguish it from others of its family, in the order in which they are compared.
class address_key {
 public:
  explicit address_key(const address& where) noexcept {
    switch (where.family()) {
      case AF_INET: {
        const auto inet = as<sockaddr_in>(where);
        append(inet.sin_addr);
        append(inet.sin_port);
        break;
      }
      case AF_INET6: {
        const auto inet6 = as<sockaddr_in6>(where);
        append(inet6.sin6_addr);
        append(inet6.sin6_port);
        append(inet6.sin6_scope_id);
        break;
      }
      case AF_UNIX: {
        const auto name = unix_name(where);
        append(name.data(), name.size());
        break;
      }
      default:
        append(where.data(), where.size());
    }
  }

  [[nodiscard]] std::string_view get() const noexcept { return {bytes_, size_}; }

 private:
  template <class Value>
  void append(const Value& value) noexcept {
    append(&value, sizeof value);
  }
  void append(const void* bytes, std::size_t size) noexcept {
    if (size != 0) std::memcpy(bytes_ + size_, bytes, size);
    size_ += size;
  }

  char bytes_[128];
  std::size_t size_ = 0;
};

}  // namespace

int address::compare(const address& other) const noexcept {
  if (family() != other.family()) return family() < other.family() ? -1 : 1;
  return address_key(*this).get().compare(address_key(other).get());
}

std::size_t address::hash() const noexcept {
  return std::hash<std::string_view>()(address_key(*this).get()) ^ static_cast<std::size_t>(family());
}

std::string to_string(const address& where) {
  char host[INET6_ADDRSTRLEN] = {};
  switch (where.family()) {
    case AF_UNSPEC:
      return "";
    case AF_INET: {
      const auto inet = as<sockaddr_in>(where);
      ::inet_ntop(AF_INET, &inet.sin_addr, host, sizeof host);
      return host + (':' + std::to_string(where.port()));
    }
    case AF_INET6: {
      const auto inet6 = as<sockaddr_in6>(where);
      ::inet_ntop(AF_INET6, &inet6.sin6_addr, host, sizeof host);
      auto text = '[' + std::string(host) + "]:" + std::to_string(where.port());
      if (inet6.sin6_scope_id == 0) return text;
      char name[IF_NAMESIZE];
      const char* const interface = detail::os::interface_name(inet6.sin6_scope_id, name);
      return text + '%' + (interface != nullptr ? interface : std::to_string(inet6.sin6_scope_id));
    }
    case AF_UNIX: {
      const auto name = unix_name(where);
      if (name.empty() || name.front() != '\0') return std::string(name);
      return '@' + std::string(name.substr(1));
    }
#if defined(__linux__)
    case AF_VSOCK: {
      const auto vsock = as<sockaddr_vm>(where);
      const auto cid = vsock.svm_cid == VMADDR_CID_ANY ? "" : std::to_string(vsock.svm_cid);
      return "vsock:" + cid + ':' + std::to_string(vsock.svm_port);
    }
#endif
    default:
      return "family " + std::to_string(where.family());
  }
}

#if SD_HAS_EXCEPTIONS
address::address(std::string_view text) {
  if (const auto ec = assign(text)) throw std::system_error(ec, "address " + detail::quoted(text));
}
#endif

}  // namespace v0
}  // namespace sd

#endif

// ---- src/booted.cpp ----

namespace sd {
inline namespace v0 {

#if SD_HAS_DESCRIPTORS
bool booted() noexcept { return detail::booted() > 0; }
#else
bool booted() noexcept { return false; }
#endif

}  // namespace v0
}  // namespace sd

// ---- src/error.cpp ----

namespace sd {
inline namespace v0 {

namespace {

class category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "sd"; }

  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::malformed_listen_pid:
        return "LISTEN_PID is not a decimal number";
      case errc::listen_pid_out_of_range:
        return "LISTEN_PID exceeds the largest possible pid";
      case errc::malformed_listen_pidfdid:
        return "LISTEN_PIDFDID is not a decimal number";
      case errc::listen_pidfdid_out_of_range:
        return "LISTEN_PIDFDID exceeds 64 bits";
      case errc::malformed_listen_fds:
        return "LISTEN_FDS is not a decimal number";
      case errc::listen_fds_out_of_range:
        return "LISTEN_FDS exceeds the largest possible number of descriptors";
      case errc::malformed_listen_fds_first_fd:
        return "LISTEN_FDS_FIRST_FD is not a decimal number";
      case errc::listen_fds_first_fd_out_of_range:
        return "LISTEN_FDS_FIRST_FD is below 3 or leaves no room for LISTEN_FDS descriptors";
      case errc::already_claimed:
        return "the descriptor is close-on-exec already, so other code in this process owns it";
      case errc::already_taken:
        return "this process has already taken the descriptors";
      case errc::not_activated:
        return "no descriptor was passed to this process; start it through its socket unit";
      case errc::malformed_address:
        return "not /path, @abstract, PORT, IPV4:PORT, [IPV6]:PORT, [IPV6]:PORT%INTERFACE or vsock:CID:PORT";
      case errc::port_out_of_range:
        return "port exceeds 65535";
      case errc::host_name:
        return "host names are not resolved; write an IP address";
      case errc::not_passed:
        return "no such descriptor was passed";
      case errc::wrong_kind:
        return "wrong kind of descriptor";
      case errc::ambiguous:
        return "more than one such descriptor was passed";
      case errc::not_taken:
        return "a passed descriptor is not used by this program";
      case errc::malformed_watchdog_usec:
        return "WATCHDOG_USEC is not a period in microseconds";
      case errc::malformed_watchdog_pid:
        return "WATCHDOG_PID is not a pid";
    }
    std::string text = "unknown error ";
    detail::append_decimal(text, code);
    return text;
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  // Never destroyed, so that error codes can be used in the destructors of static objects.
  alignas(category) static unsigned char storage[sizeof(category)];
  static const category* const instance = ::new (storage) category;
  return *instance;
}

}  // namespace v0
}  // namespace sd

// ---- src/idle.cpp ----

namespace sd {
inline namespace v0 {

namespace {

using namespace std::chrono;

// States without work.
constexpr int idle = 0;
constexpr int checking = -1;  // try_stop() checks the queues; begin() may cancel this
constexpr int stopped = -2;

/// The time modulo the range of unsigned, which is 49 days or more. Differences of two times are correct as long as
/// they are shorter than that.
unsigned now() noexcept {
  return static_cast<unsigned>(duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

/// Returns true if poll(2) fails, because a client may be waiting then.
bool may_be_readable([[maybe_unused]] int fd) noexcept {
#if SD_HAS_DESCRIPTORS
  return detail::os::is_readable(fd) != 0;
#else
  return true;
#endif
}

}  // namespace

idle_exit::idle_exit(milliseconds after) noexcept
    : after_(static_cast<int>(std::clamp<milliseconds::rep>(after.count(), 0, milliseconds(hours(24 * 24)).count()))),
      since_(now()) {}

void idle_exit::watch(const server_socket& socket) {
  fds_.push_back(socket.get());
  if (socket.origin() != origin::passed) all_passed_ = false;
}

bool idle_exit::armed() const noexcept { return all_passed_ && !fds_.empty(); }

idle_exit::work idle_exit::begin() noexcept {
  int state = state_;
  do {
    if (state == stopped) return {};
  } while (!state_.compare_exchange_weak(state, std::max(state, idle) + 1));
  return work(this);
}

void idle_exit::end() noexcept {
  since_ = now();
  --state_;
}

bool idle_exit::try_stop() noexcept {
  if (!armed()) return false;
  int state = idle;
  if (!state_.compare_exchange_strong(state, checking)) return state == stopped;
  const bool needed = remaining() > 0 || std::any_of(fds_.begin(), fds_.end(), may_be_readable);
  // If work has begun meanwhile, the state is no longer `checking`, even if that work has ended: the attempt has
  // failed. If not, nothing was accepted since the check. A client that has connected since stays in the queue.
  state = checking;
  if (!state_.compare_exchange_strong(state, needed ? idle : stopped) || needed) return false;
  std::error_code ignored;  // the manager also notices the exit itself
  notify({state::stopping()}, ignored);
  return true;
}

int idle_exit::timeout() const noexcept {
  if (!armed()) return -1;
  return state_ > 0 ? after_ : remaining();
}

int idle_exit::remaining() const noexcept {
  const unsigned since = since_;  // read before the time, which is then never the earlier one
  const unsigned elapsed = now() - since;
  const auto after = static_cast<unsigned>(after_);
  return static_cast<int>(after - std::min(elapsed, after));
}

}  // namespace v0
}  // namespace sd

// ---- src/listen_fds.cpp ----

namespace sd {
inline namespace v0 {

namespace {

/// Releases the claim on destruction, unless `keep()` was called.
class claim_guard {
 public:
  claim_guard() noexcept = default;
  claim_guard(const claim_guard&) = delete;
  claim_guard& operator=(const claim_guard&) = delete;
  ~claim_guard() {
    if (!kept_) detail::claimed.store(0, std::memory_order_release);
  }
  void keep() noexcept { kept_ = true; }

 private:
  bool kept_ = false;
};

std::vector<listen_fd> adopt(const detail::offer& offered, detail::fault& why) {
  claim_guard claim;
  // Everything that can throw comes before the descriptors change their owner.
  std::vector<listen_fd> fds(static_cast<std::size_t>(offered.range.count));
  detail::name_list names(offered.env.listen_fdnames);
  for (auto& entry : fds) {
    const auto name = names.next();
    if (!name) break;
    entry.name.emplace(*name);
  }
  detail::mark(offered, why);
  if (why) return {};
  int fd = offered.range.first;
  for (auto& entry : fds) entry.fd.reset(fd++);
  claim.keep();
  return fds;
}

bool has(listen_options options, listen_options option) noexcept { return (options & option) != listen_options::none; }

/// Returns the error for an empty list with `listen_options::required`. It names the variable that made the list empty.
detail::fault required(const detail::offer& offered) noexcept {
  detail::fault why;
  why.code = offered.empty == detail::emptiness::taken ? errc::already_taken : errc::not_activated;
  why.variable = offered.variable;
  why.value = detail::os::get_environment(offered.variable);
  return why;
}

std::vector<listen_fd> receive(listen_options options, detail::fault& why) {
  std::vector<listen_fd> fds;
  const detail::offer offered = detail::claim(options, detail::ownership::exclusive, why);
  if (offered.range.count > 0) fds = adopt(offered, why);
  if (!why && fds.empty() && has(options, listen_options::required)) why = required(offered);
  if (!why && has(options, listen_options::unset_environment)) detail::unset_environment();
  return fds;
}

std::error_code to_error_code(const detail::fault& why) noexcept {
  if (!why) return {};
  if (why.error != 0) return {why.error, std::generic_category()};
  return why.code;
}

#if SD_HAS_EXCEPTIONS

/// Returns the text of an error: NAME="value", followed by the descriptor or the process id if the error has one.
std::string text_of(const detail::fault& why) {
  std::string text = why.variable;
  if (why.value != nullptr) {
    text += '=';
    text += detail::quoted(why.value);
  } else {
    text += " is not set";
  }
  if (why.descriptor >= 0) {
    text += ", descriptor ";
    detail::append_decimal(text, why.descriptor);
  }
  if (why.code == errc::not_activated) {
    text += ", own pid ";
    detail::append_decimal(text, detail::os::process_id());
  }
  return text;
}

#endif

}  // namespace

std::vector<listen_fd> listen_fds(listen_options options, std::error_code& ec) {
  detail::fault why;
  auto fds = receive(options, why);
  ec = to_error_code(why);
  return fds;
}

#if SD_HAS_EXCEPTIONS
std::vector<listen_fd> listen_fds(listen_options options) {
  detail::fault why;
  auto fds = receive(options, why);
  if (why) throw std::system_error(to_error_code(why), text_of(why));
  return fds;
}
#endif

}  // namespace v0
}  // namespace sd

// ---- src/notify.cpp ----

namespace sd {

struct detail::state_access {
  /// The key with the "=", as it is sent.
  static std::string_view prefix(const state& state) noexcept { return state.key_; }
  /// The text that the caller passed, if any.
  static std::string_view text(const state& state) noexcept { return state.text_; }
};

inline namespace v0 {

namespace {

using detail::state_access;
using detail::os::piece;

constexpr std::string_view newline = "\n";

piece of(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// Whether the text stays within its line, and the service manager would not discard it.
bool is_valid(const state& state) noexcept {
  const auto text = state_access::text(state);
  if (state.key().empty()) return !text.empty();
  if (state.key() == "FDNAME") {
    constexpr std::size_t longest = 255;
    return !text.empty() && text.size() <= longest && std::none_of(text.begin(), text.end(), [](char c) {
      return c == ':' || detail::is_control(c) || static_cast<unsigned char>(c) >= 0x80;
    });
  }
  return text.find_first_of(std::string_view("\n\0", 2)) == std::string_view::npos;
}

/// Returns 0, or the negated errno if these descriptors cannot be attached to the states.
int check_attached(array_view<state> states, array_view<int> fds) noexcept {
  if (fds.size() > detail::os::most_attached) return -E2BIG;
  const auto is_main_pidfd = [](const state& state) { return state.key() == "MAINPIDFD"; };
  if (fds.size() != 1 && std::any_of(states.begin(), states.end(), is_main_pidfd)) return -EINVAL;
  return std::any_of(fds.begin(), fds.end(), [](int fd) { return fd < 0; }) ? -EBADF : 0;
}

int send(array_view<state> states, const notify_options& options) noexcept {
  std::array<piece, detail::os::most_pieces> pieces;
  std::size_t count = 0;
  for (const auto& state : states) {
    if (!is_valid(state)) return -EINVAL;
    if (count + 3 > pieces.size()) return -EMSGSIZE;
    if (count > 0) pieces[count++] = of(newline);
    pieces[count++] = of(state_access::prefix(state));
    pieces[count++] = of(state.value());
  }
  if (const int result = check_attached(states, options.fds); result < 0) return result;
  detail::message message;
  message.pieces = pieces.data();
  message.piece_count = count;
  message.fds = options.fds.data();
  message.fd_count = options.fds.size();
  message.pid = options.pid;
  return detail::notify(message);
}

notify_result report(int result, std::error_code& ec) noexcept {
  ec.clear();
  if (result < 0) ec.assign(-result, std::generic_category());
  return result > 0 ? notify_result::sent : notify_result::no_listener;
}

}  // namespace

state::state(std::string_view key, std::uint64_t number) noexcept : key_(key) {
  length_ = static_cast<std::size_t>(std::to_chars(own_text_, own_text_ + sizeof own_text_, number).ptr - own_text_);
}

state::state(std::string_view key, std::int64_t number) noexcept : key_(key) {
  length_ = static_cast<std::size_t>(std::to_chars(own_text_, own_text_ + sizeof own_text_, number).ptr - own_text_);
}

state state::reloading() noexcept {
  // systemd compares with CLOCK_MONOTONIC, which steady_clock uses with every C++ library on Linux.
  const auto now = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  constexpr std::string_view text = "1\nMONOTONIC_USEC=";
  state result("RELOADING=", std::int64_t{0});
  char* const number = result.own_text_ + text.copy(result.own_text_, text.size());
  char* const end = std::to_chars(number, result.own_text_ + sizeof result.own_text_, now.count()).ptr;
  result.length_ = static_cast<std::size_t>(end - result.own_text_);
  return result;
}

notify_result notify(array_view<state> states, const notify_options& options, std::error_code& ec) noexcept {
  return report(send(states, options), ec);
}

notify_result notify_barrier(std::chrono::microseconds timeout, std::error_code& ec) noexcept {
  return report(detail::notify_barrier(timeout.count(), 0), ec);
}

#if SD_HAS_EXCEPTIONS

namespace {

std::string notify_socket() {
  const char* const where = detail::os::get_environment("NOTIFY_SOCKET");
  return "NOTIFY_SOCKET=" + detail::quoted(where != nullptr ? where : "");
}

/// Returns what an error of `notify()` is about: the argument that is invalid, or else NOTIFY_SOCKET.
std::string subject(array_view<state> states, const notify_options& options) {
  if (states.empty()) return "no state to send";
  const auto* const invalid =
      std::find_if(states.begin(), states.end(), [](const state& state) { return !is_valid(state); });
  if (invalid != states.end()) {
    return "state " + std::string(state_access::prefix(*invalid)) + detail::quoted(invalid->value());
  }
  if (check_attached(states, options.fds) < 0) return std::to_string(options.fds.size()) + " attached descriptors";
  return notify_socket();
}

}  // namespace

notify_result notify(array_view<state> states, const notify_options& options) {
  std::error_code ec;
  const auto result = notify(states, options, ec);
  if (ec) throw std::system_error(ec, subject(states, options));
  return result;
}

notify_result notify_barrier(std::chrono::microseconds timeout) {
  std::error_code ec;
  const auto result = notify_barrier(timeout, ec);
  if (ec) throw std::system_error(ec, notify_socket());
  return result;
}

#endif

}  // namespace v0
}  // namespace sd

// ---- src/socket.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd {
inline namespace v0 {

namespace {

int number_of(listening state) noexcept {
  return state == listening::any ? detail::any : state == listening::yes ? 1 : 0;
}

/// Returns the result of a check, and sets `ec` if the check failed.
bool result_of_check(int result, std::error_code& ec) noexcept {
  ec.clear();
  if (result < 0) ec.assign(-result, std::generic_category());
  return result > 0;
}

/// Whether an option can be read and is not 0.
bool is_option_set(int fd, int level, int name) noexcept {
  int value = 0;
  return detail::os::socket_option(fd, level, name, value) >= 0 && value != 0;
}

using get_address = int (*)(int fd, void* address, std::size_t size) noexcept;

address address_of_socket(get_address get, int fd) noexcept {
  sockaddr_storage storage{};
  const int size = get(fd, &storage, sizeof storage);
  return size < 0 ? address() : address::from_sockaddr(&storage, static_cast<std::size_t>(size));
}

/// Finds out the kind of a socket whose family and type are known.
kind kind_of_socket(int fd, const description& what) noexcept {
#if defined(AF_NETLINK)
  if (what.family == AF_NETLINK) return kind::netlink;
#endif
  if (what.type == SOCK_RAW) return kind::raw;
  if (what.type != SOCK_STREAM && what.type != SOCK_SEQPACKET) return kind::datagram;
  int is_listening = 0;
  if (detail::os::socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN, is_listening) < 0) return kind::other;
  if (is_listening != 0) return what.type == SOCK_STREAM ? kind::stream : kind::seqpacket;
  return what.peer.size() != 0 ? kind::connection : kind::unconnected;
}

/// Describes a socket as far as its properties can be read. Nothing is known without its family, and its kind is
/// unknown without its type.
void describe_socket(int fd, description& what) noexcept {
  const int family = detail::os::socket_family(fd);
  if (family < 0) return;
  what.family = family;
  what.protocol = std::max(detail::os::socket_protocol(fd), 0);
  what.local = address_of_socket(detail::os::local_address, fd);
  what.peer = address_of_socket(detail::os::peer_address, fd);
  what.v6only = what.family == AF_INET6 && is_option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  const bool is_internet = what.family == AF_INET || what.family == AF_INET6;
  what.reuse_port = is_internet && is_option_set(fd, SOL_SOCKET, SO_REUSEPORT);
  int type = 0;
  if (detail::os::socket_option(fd, SOL_SOCKET, SO_TYPE, type) < 0) return;
  what.type = type;
  what.kind = kind_of_socket(fd, what);
}

/// Returns the path that a file was opened by. Linux appends a marker if the file has been unlinked since.
std::string path_of_file(int fd, const detail::os::file& file) {
  std::array<char, 4096> buffer;
  const int length = detail::os::opened_path(fd, buffer.data(), buffer.size());
  if (length <= 0) return "";
  std::string_view path(buffer.data(), static_cast<std::size_t>(length));
  constexpr std::string_view marker = " (deleted)";
  const bool is_marked = path.size() > marker.size() && path.substr(path.size() - marker.size()) == marker;
  if (file.links == 0 && is_marked) path.remove_suffix(marker.size());
  return std::string(path);
}

kind kind_of_file(detail::os::file_type type) noexcept {
  switch (type) {
    case detail::os::file_type::fifo:
      return kind::fifo;
    case detail::os::file_type::character:
    case detail::os::file_type::regular:
      return kind::special;
    case detail::os::file_type::directory:
      return kind::directory;
    default:
      return kind::other;
  }
}

const char* name_of_family(int family) noexcept {
  switch (family) {
    case AF_INET:
      return "inet";
    case AF_INET6:
      return "inet6";
    case AF_UNIX:
      return "unix";
#if defined(AF_VSOCK)
    case AF_VSOCK:
      return "vsock";
#endif
#if defined(AF_NETLINK)
    case AF_NETLINK:
      return "netlink";
#endif
    default:
      return nullptr;
  }
}

const char* name_of_type(int type) noexcept {
  switch (type) {
    case SOCK_STREAM:
      return "stream";
    case SOCK_DGRAM:
      return "datagram";
    case SOCK_SEQPACKET:
      return "seqpacket";
    case SOCK_RAW:
      return "raw";
    default:
      return nullptr;
  }
}

std::string word(const char* name, const char* what, int number) {
  return name != nullptr ? name : what + std::to_string(number);
}

/// Returns the protocol if family and type do not imply it.
std::string other_protocol(const description& what) {
  const bool internet = what.family == AF_INET || what.family == AF_INET6;
  const bool usual = what.protocol == 0 || (what.type == SOCK_STREAM && what.protocol == IPPROTO_TCP) ||
                     (what.type == SOCK_DGRAM && what.protocol == IPPROTO_UDP);
  if (internet ? usual : what.kind != kind::netlink) return "";
  return " protocol-" + std::to_string(what.protocol);
}

std::string text_of_socket(const description& what) {
  std::string text = to_string(what.kind);
  if (what.kind != kind::netlink) text += ' ' + word(name_of_family(what.family), "family-", what.family);
  if (const auto type = word(name_of_type(what.type), "type-", what.type); type != to_string(what.kind)) {
    text += ' ' + type;
  }
  text += other_protocol(what);
  if (what.kind != kind::netlink) {
    const auto local = detail::escaped(to_string(what.local));
    text += ' ' + (local.empty() ? "unnamed" : local);
    if (const auto peer = detail::escaped(to_string(what.peer)); !peer.empty()) text += " from " + peer;
  }
  const bool any_address = what.family == AF_INET6 && to_string(what.local).compare(0, 5, "[::]:") == 0;
  if (any_address) text += what.v6only ? " v6only" : " dual-stack";
  if (what.reuse_port) text += " reuse-port";
  return text;
}

}  // namespace

const char* to_string(kind value) noexcept {
  switch (value) {
    case kind::stream:
      return "stream";
    case kind::seqpacket:
      return "seqpacket";
    case kind::connection:
      return "connection";
    case kind::unconnected:
      return "unconnected";
    case kind::datagram:
      return "datagram";
    case kind::raw:
      return "raw";
    case kind::netlink:
      return "netlink";
    case kind::fifo:
      return "fifo";
    case kind::special:
      return "special";
    case kind::message_queue:
      return "message-queue";
    case kind::directory:
      return "directory";
    case kind::other:
      return "other";
  }
  return "?";
}

description describe(int fd, std::error_code& ec) {
  description what;
  detail::os::file file;
  static_cast<void>(result_of_check(detail::os::status(fd, file), ec));
  if (ec) return what;
  if (file.type == detail::os::file_type::socket) {
    describe_socket(fd, what);
  } else {
    what.kind = detail::os::is_message_queue(fd) > 0 ? kind::message_queue : kind_of_file(file.type);
  }
  if (what.family == 0) what.path = path_of_file(fd, file);
  what.nonblocking = detail::os::is_nonblocking(fd) > 0;
  return what;
}

std::string to_string(const description& what) {
  std::string text;
  if (what.family != 0) {
    text = text_of_socket(what);
  } else {
    text = to_string(what.kind);
    if (!what.path.empty()) text += ' ' + detail::escaped(what.path);
  }
  if (what.nonblocking) text += " nonblocking";
  return text;
}

bool is_fifo(int fd, const char* path, std::error_code& ec) noexcept {
  return result_of_check(detail::is_fifo(fd, path), ec);
}
bool is_special(int fd, const char* path, std::error_code& ec) noexcept {
  return result_of_check(detail::is_special(fd, path), ec);
}
bool is_socket(int fd, int family, int type, listening state, std::error_code& ec) noexcept {
  return result_of_check(detail::is_socket(fd, family, type, number_of(state)), ec);
}
bool is_socket_inet(int fd, int family, int type, listening state, unsigned port, std::error_code& ec) noexcept {
  return result_of_check(detail::is_socket_inet(fd, family, type, number_of(state), port), ec);
}
bool is_socket_sockaddr(int fd, int type, const address& where, listening state, std::error_code& ec) noexcept {
  return result_of_check(detail::is_socket_sockaddr(fd, type, where.data(), where.size(), number_of(state)), ec);
}
bool is_socket_unix(int fd, int type, listening state, std::optional<std::string_view> path,
                    std::error_code& ec) noexcept {
  // A null pointer means any path, but an empty view may have one.
  const char* const data = !path ? nullptr : path->empty() ? "" : path->data();
  return result_of_check(detail::is_socket_unix(fd, type, number_of(state), data, path ? path->size() : 0), ec);
}
bool is_mq(int fd, const char* name, std::error_code& ec) noexcept {
  return result_of_check(detail::is_message_queue(fd, name), ec);
}

}  // namespace v0
}  // namespace sd

#endif

#if SD_HAS_EXCEPTIONS

namespace sd {
inline namespace v0 {

namespace {

template <class Result>
Result checked(int fd, const std::error_code& ec, Result result) {
  if (ec) throw std::system_error(ec, "descriptor " + std::to_string(fd));
  return result;
}

}  // namespace

description describe(int fd) {
  std::error_code ec;
  auto what = describe(fd, ec);
  return checked(fd, ec, std::move(what));
}
bool is_fifo(int fd, const char* path) {
  std::error_code ec;
  const bool is = is_fifo(fd, path, ec);
  return checked(fd, ec, is);
}
bool is_special(int fd, const char* path) {
  std::error_code ec;
  const bool is = is_special(fd, path, ec);
  return checked(fd, ec, is);
}
bool is_socket(int fd, int family, int type, listening state) {
  std::error_code ec;
  const bool is = is_socket(fd, family, type, state, ec);
  return checked(fd, ec, is);
}
bool is_socket_inet(int fd, int family, int type, listening state, unsigned port) {
  std::error_code ec;
  const bool is = is_socket_inet(fd, family, type, state, port, ec);
  return checked(fd, ec, is);
}
bool is_socket_sockaddr(int fd, int type, const address& where, listening state) {
  std::error_code ec;
  const bool is = is_socket_sockaddr(fd, type, where, state, ec);
  return checked(fd, ec, is);
}
bool is_socket_unix(int fd, int type, listening state, std::optional<std::string_view> path) {
  std::error_code ec;
  const bool is = is_socket_unix(fd, type, state, path, ec);
  return checked(fd, ec, is);
}
bool is_mq(int fd, const char* name) {
  std::error_code ec;
  const bool is = is_mq(fd, name, ec);
  return checked(fd, ec, is);
}

}  // namespace v0
}  // namespace sd

#endif

// ---- src/store.cpp ----

namespace sd {
inline namespace v0 {

namespace {

/// Distinguishes stored descriptors from those of socket units, whose names have no slash.
constexpr std::string_view prefix = "stored/";

/// The name under which the service manager keeps a descriptor. It is on the stack, as `store()` allocates no memory.
class stored_name {
 public:
  explicit stored_name(std::string_view name) noexcept : fits_(prefix.size() + name.size() <= text_.size()) {
    if (!fits_) return;
    prefix.copy(text_.data(), prefix.size());
    name.copy(text_.data() + prefix.size(), name.size());
    length_ = prefix.size() + name.size();
  }
  [[nodiscard]] bool fits() const noexcept { return fits_; }
  [[nodiscard]] std::string_view get() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 255> text_;
  std::size_t length_ = 0;
  bool fits_;
};

notify_result refuse(std::error_code& ec) noexcept {
  ec.assign(EINVAL, std::generic_category());
  return notify_result::no_listener;
}

}  // namespace

notify_result store(std::string_view name, int fd, store_poll poll, std::error_code& ec) noexcept {
  const stored_name kept(name);
  if (!kept.fits()) return refuse(ec);
  notify_options options;
  options.fds = fd;
  if (poll == store_poll::off) {
    return notify({state::fdstore(), state::fdname(kept.get()), state::fdpoll_off()}, options, ec);
  }
  return notify({state::fdstore(), state::fdname(kept.get())}, options, ec);
}

notify_result forget(std::string_view name, std::error_code& ec) noexcept {
  const stored_name kept(name);
  return kept.fits() ? notify({state::fdstore_remove(), state::fdname(kept.get())}, ec) : refuse(ec);
}

std::vector<listen_fd> take_stored(std::vector<listen_fd>& fds) {
  const auto is_stored = [](const listen_fd& entry) {
    return entry.name && entry.name->compare(0, prefix.size(), prefix) == 0;
  };
  std::vector<listen_fd> stored;
  std::vector<listen_fd> rest;
  stored.reserve(fds.size());
  rest.reserve(fds.size());
  for (auto& entry : fds) (is_stored(entry) ? stored : rest).push_back(std::move(entry));
  for (auto& entry : stored) entry.name->erase(0, prefix.size());
  fds.swap(rest);
  return stored;
}

std::optional<unsigned> store_limit() noexcept {
  const char* const text = detail::os::get_environment("FDSTORE");
  std::uint64_t limit = 0;
  if (text == nullptr || detail::parse_decimal(text, UINT_MAX, limit) != detail::number::ok) return std::nullopt;
  return static_cast<unsigned>(limit);
}

#if SD_HAS_EXCEPTIONS

notify_result store(std::string_view name, int fd, store_poll poll) {
  std::error_code ec;
  const auto result = store(name, fd, poll, ec);
  if (ec) throw std::system_error(ec, "store descriptor " + std::to_string(fd) + " as " + std::string(name));
  return result;
}

notify_result forget(std::string_view name) {
  std::error_code ec;
  const auto result = forget(name, ec);
  if (ec) throw std::system_error(ec, "forget " + std::string(name));
  return result;
}

#endif

}  // namespace v0
}  // namespace sd

// ---- src/take.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd {
inline namespace v0 {

namespace {

/// Returns the IPv4 address of a v4-mapped address, and any other address unchanged.
address without_mapping(const address& where) noexcept {
  if (where.family() != AF_INET6) return where;
  sockaddr_in6 inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  if (!IN6_IS_ADDR_V4MAPPED(&inet6.sin6_addr)) return where;
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_port = inet6.sin6_port;
  std::memcpy(&inet.sin_addr, &inet6.sin6_addr.s6_addr[12], sizeof inet.sin_addr);
  return address::from_sockaddr(&inet, sizeof inet);
}

/// Removes the interface from an IPv6 address if the other address has none. The kernel keeps the interface only of
/// link-local addresses.
address without_scope(const address& where, const address& other) noexcept {
  if (where.family() != AF_INET6 || other.family() != AF_INET6) return where;
  sockaddr_in6 inet6;
  sockaddr_in6 other_inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  std::memcpy(&other_inet6, other.data(), sizeof other_inet6);
  if (other_inet6.sin6_scope_id == 0) inet6.sin6_scope_id = 0;
  return address::from_sockaddr(&inet6, sizeof inet6);
}

bool is_wildcard(const address& where) noexcept {
  if (where.family() == AF_INET) {
    sockaddr_in inet;
    std::memcpy(&inet, where.data(), sizeof inet);
    return inet.sin_addr.s_addr == htonl(INADDR_ANY);
  }
  if (where.family() != AF_INET6) return false;
  sockaddr_in6 inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  return IN6_IS_ADDR_UNSPECIFIED(&inet6.sin6_addr);
}

bool is_same_file(const address& a, const address& b) noexcept {
  if (a.path().empty() || b.path().empty()) return false;
  char path_a[sizeof(sockaddr_storage) + 1] = {};
  char path_b[sizeof(sockaddr_storage) + 1] = {};
  a.path().copy(path_a, sizeof path_a - 1);
  b.path().copy(path_b, sizeof path_b - 1);
  detail::os::file file_a;
  detail::os::file file_b;
  return detail::os::status(path_a, file_a) == 0 && detail::os::status(path_b, file_b) == 0 &&
         file_a.device == file_b.device && file_a.inode == file_b.inode;
}

/// Returns whether a socket serves this address. A socket at a wildcard address does not match the addresses that the
/// wildcard includes.
bool serves(const description& what, const address& wanted) noexcept {
  if (!wanted) return false;
  const auto actual = without_mapping(what.local);
  const auto canonical = without_mapping(wanted);
  if (without_scope(actual, canonical) == without_scope(canonical, actual) || is_same_file(actual, canonical)) {
    return true;
  }
  return actual.family() == AF_INET6 && !what.v6only && is_wildcard(actual) && canonical.family() == AF_INET &&
         is_wildcard(canonical) && actual.port() == canonical.port();
}

}  // namespace

}  // namespace v0
}  // namespace sd

#else

namespace sd {
inline namespace v0 {

namespace {
bool serves(const description&, const address&) noexcept { return false; }
}  // namespace

}  // namespace v0
}  // namespace sd

#endif

namespace sd {
inline namespace v0 {

namespace {

/// Describes the descriptor. Returns nothing if it is closed or not selected.
std::optional<description> describe_if_selected(const listen_fd& entry, const selector& which) {
  if (which.name() && entry.name != which.name()) return std::nullopt;
  std::error_code closed;
  auto what = describe(entry.fd.get(), closed);
  if (closed || (which.where() && !serves(what, *which.where()))) return std::nullopt;
  return what;
}

/// The indices of the selected descriptors.
struct selection {
  std::vector<std::size_t> found;
  bool other_kind = false;  // whether a descriptor of another kind is selected
};

selection select(const std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  selection result;
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const auto what = describe_if_selected(fds[i], which);
    if (what && what->kind == wanted) {
      result.found.push_back(i);
    } else if (what) {
      result.other_kind = true;
    }
  }
  return result;
}

/// The noun for a kind of descriptor in error messages, and the directives that make systemd pass one, or null if no
/// directive does.
struct kind_text {
  const char* noun;
  const char* directives;
};

kind_text text_of(kind wanted) noexcept {
  switch (wanted) {
    case kind::stream:
      return {"stream socket", "ListenStream="};
    case kind::seqpacket:
      return {"sequential-packet socket", "ListenSequentialPacket="};
    case kind::connection:
      return {"connection", "Accept=yes and ListenStream="};
    case kind::unconnected:
      return {"unconnected socket", nullptr};
    case kind::datagram:
      return {"datagram socket", "ListenDatagram="};
    case kind::raw:
      return {"raw socket", nullptr};
    case kind::netlink:
      return {"netlink socket", "ListenNetlink="};
    case kind::fifo:
      return {"fifo", "ListenFIFO="};
    case kind::special:
      return {"special file", "ListenSpecial="};
    case kind::message_queue:
      return {"message queue", "ListenMessageQueue="};
    case kind::directory:
      return {"directory", nullptr};
    case kind::other:
      break;
  }
  return {"descriptor of another kind", nullptr};
}

std::string text_of(const selector& which) {
  std::string text;
  if (which.name()) text += " named " + detail::quoted(*which.name());
  if (which.where()) text += " at " + detail::escaped(to_string(*which.where()));
  return text;
}

std::string advice(kind wanted, const selector& which, const std::error_code& ec) {
  if (ec == errc::ambiguous) {
    return which.name() ? "; give each its own socket unit with another FileDescriptorName="
                        : "; select one by its FileDescriptorName=";
  }
  const char* const directives = text_of(wanted).directives;
  if (directives == nullptr) return "";
  std::string text = std::string("; the socket unit needs ") + directives;
  if (which.where()) text += detail::as_unit_value(to_string(*which.where()));
  if (which.name()) text += " and FileDescriptorName=" + detail::as_unit_value(*which.name());
  return text;
}

}  // namespace

}  // namespace v0

namespace detail {

std::size_t choose_one(const std::vector<listen_fd>& fds, kind wanted, const selector& which, std::error_code& ec) {
  const auto [found, other_kind] = select(fds, wanted, which);
  ec.clear();
  if (found.size() == 1) return found.front();
  const bool is_specific = which.name() || which.where();
  ec = !found.empty() ? errc::ambiguous : other_kind && is_specific ? errc::wrong_kind : errc::not_passed;
  return 0;
}

std::vector<description> describe_selected(const std::vector<listen_fd>& fds, const selector& which) {
  std::vector<description> all;
  for (const auto& entry : fds) {
    if (auto what = describe_if_selected(entry, which)) all.push_back(std::move(*what));
  }
  return all;
}

listen_fd take_at(std::vector<listen_fd>& fds, std::size_t index) {
  const auto entry = fds.begin() + static_cast<std::ptrdiff_t>(index);
  listen_fd taken = std::move(*entry);
  fds.erase(entry);
  return taken;
}

std::string explain(const std::vector<listen_fd>& fds, kind wanted, const selector& which, const std::error_code& ec) {
  const std::string noun = text_of(wanted).noun;
  std::string text;
  if (ec == errc::wrong_kind) {
    text = "the descriptor" + text_of(which) + " is not a " + noun;
  } else {
    text = (ec == errc::ambiguous ? "more than one " : "no ") + noun + text_of(which);
  }
  return text + ", passed: " + to_string(fds) + advice(wanted, which, ec);
}

}  // namespace detail

inline namespace v0 {

listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which, std::error_code& ec) {
  const auto index = detail::choose_one(fds, wanted, which, ec);
  return ec ? listen_fd() : detail::take_at(fds, index);
}

std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted, const selector& which,
                                  std::error_code& ec) {
  auto taken = take(fds, wanted, which, ec);
  if (!ec) return taken;
  if (ec == errc::not_passed) ec.clear();
  return std::nullopt;
}

std::vector<listen_fd> take_all(std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  const auto found = select(fds, wanted, which).found;
  std::vector<listen_fd> taken;
  taken.reserve(found.size());
  for (const auto i : found) taken.push_back(std::move(fds[i]));
  for (auto i = found.rbegin(); i != found.rend(); ++i) {
    fds.erase(fds.begin() + static_cast<std::ptrdiff_t>(*i));
  }
  return taken;
}

void require_all_taken(const std::vector<listen_fd>& fds, std::error_code& ec) noexcept {
  ec.clear();
  if (!fds.empty()) ec = errc::not_taken;
}

std::string to_string(const std::vector<listen_fd>& fds) {
  std::string text;
  for (const auto& [name, fd] : fds) {
    if (!text.empty()) text += ", ";
    text += std::to_string(fd.get()) + ' ';
    if (name) text += detail::quoted(*name) + ' ';
    std::error_code closed;
    const auto what = describe(fd.get(), closed);
    text += closed ? closed.message() : to_string(what);
  }
  return text.empty() ? "nothing" : text;
}

#if SD_HAS_EXCEPTIONS
listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  std::error_code ec;
  auto taken = take(fds, wanted, which, ec);
  if (ec) throw std::system_error(ec, detail::explain(fds, wanted, which, ec));
  return taken;
}

std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  std::error_code ec;
  auto taken = try_take(fds, wanted, which, ec);
  if (ec) throw std::system_error(ec, detail::explain(fds, wanted, which, ec));
  return taken;
}

void require_all_taken(const std::vector<listen_fd>& fds) {
  std::error_code ec;
  require_all_taken(fds, ec);
  if (ec) throw std::system_error(ec, to_string(fds));
}
#endif

}  // namespace v0
}  // namespace sd

// ---- src/take_or_bind.cpp ----

#if SD_HAS_DESCRIPTORS

namespace sd {
inline namespace v0 {

namespace {

namespace os = detail::os;

using detail::failure;
using detail::succeeded;

/// Returns whether the descriptors that were passed for this address leave it free for a socket of this kind. TCP and
/// UDP have separate ports.
bool leaves_free(const std::vector<listen_fd>& fds, const address& where, kind wanted) {
  const auto passed = detail::describe_selected(fds, where);
  const auto is_same_protocol = [&](const description& what) {
    return (what.kind == kind::datagram) == (wanted == kind::datagram);
  };
  return where.family() != AF_UNIX && std::none_of(passed.begin(), passed.end(), is_same_protocol);
}

/// Opens the socket. The error lists the descriptors that were passed, because one of them often holds the address.
server_socket open(const std::vector<listen_fd>& fds, const address& where, const bind_options& options, failure& why) {
  auto socket = detail::bind_socket(where, options, {}, why);
  if (why && !fds.empty()) why.step += ", passed: " + to_string(fds);
  return socket;
}

server_socket take_or_open(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, failure& why) {
  std::error_code ec;
  const auto index = detail::choose_one(fds, options.kind, which, ec);
  const bool is_free = ec == errc::wrong_kind && !which.name() && leaves_free(fds, where, options.kind);
  if (ec == errc::not_passed || is_free) return open(fds, where, options, why);
  if (ec) {
    why = {ec, detail::explain(fds, options.kind, which, ec)};
    return {};
  }
  if (options.nonblocking != nonblocking::leave) {
    const int result = os::set_nonblocking(fds[index].fd.get(), options.nonblocking == nonblocking::on);
    if (!succeeded(result, "make nonblocking", to_string(where), why)) return {};
  }
  return server_socket(detail::take_at(fds, index).fd);
}

}  // namespace

}  // namespace v0

void detail::bound_path::unlink() noexcept {
  if (os::process_id() != pid_) return;
  unlink_path(path_, file_);
}

inline namespace v0 {

server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options, std::error_code& ec) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  ec = why.code;
  return socket;
}

#if SD_HAS_EXCEPTIONS
server_socket take_or_bind(std::vector<listen_fd>& fds, const selector& which, const address& where,
                           const bind_options& options) {
  failure why;
  auto socket = take_or_open(fds, which, where, options, why);
  if (why) throw std::system_error(why.code, why.step);
  return socket;
}
#endif

}  // namespace v0
}  // namespace sd

#endif

// ---- src/unique_fd.cpp ----

namespace sd {
inline namespace v0 {

void unique_fd::close(int fd) noexcept {
  const int saved = errno;
  [[maybe_unused]] const int result = detail::os::close(fd);
  assert(result != -EBADF && "sd::unique_fd: other code closed a descriptor that this object owns");
  errno = saved;
}

}  // namespace v0
}  // namespace sd

// ---- src/watchdog.cpp ----

namespace sd {
inline namespace v0 {

namespace {

using namespace std::chrono;

std::error_code code_of(const detail::fault& why) noexcept {
  return why ? std::error_code(why.code) : std::error_code();
}

std::optional<microseconds> period(detail::fault& why) noexcept {
  std::uint64_t usec = 0;
  const char* const text = detail::os::get_environment("WATCHDOG_USEC");
  const char* const pid = detail::os::get_environment("WATCHDOG_PID");
  if (!detail::watchdog_period(text, pid, detail::os::process_id(), usec, why)) return std::nullopt;
  return microseconds(static_cast<std::int64_t>(usec));
}

}  // namespace

std::optional<microseconds> watchdog_period(std::error_code& ec) noexcept {
  detail::fault why;
  const auto result = period(why);
  ec = code_of(why);
  return result;
}

watchdog::watchdog(std::optional<microseconds> period) noexcept : next_(clock::now()) {
  // poll(2) can wait no longer than INT_MAX milliseconds.
  if (period) interval_ = std::clamp(duration_cast<milliseconds>(*period / 2), milliseconds(1), milliseconds(INT_MAX));
}

int watchdog::timeout() const noexcept {
  if (!interval_) return -1;
  const auto left = ceil<milliseconds>(next_ - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

void watchdog::keep_alive() noexcept {
  const auto now = clock::now();
  if (!interval_ || now < next_) return;
  std::error_code ec;
  notify({state::watchdog()}, ec);
  // At most three more attempts before the period is over, and none of them at once: the caller's loop would spin.
  next_ = now + (ec ? std::max(*interval_ / 4, milliseconds(1)) : *interval_);
}

#if SD_HAS_EXCEPTIONS
std::optional<microseconds> watchdog_period() {
  detail::fault why;
  const auto result = period(why);
  if (why) throw std::system_error(code_of(why), why.variable + ('=' + detail::quoted(why.value)));
  return result;
}
#endif

}  // namespace v0
}  // namespace sd

// ---- src/without_descriptors.cpp ----

// For platforms without descriptors: every function compiles, and fails with ENOSYS or returns an empty result.

#if !SD_HAS_DESCRIPTORS

namespace sd {
inline namespace v0 {

namespace {

std::error_code no_descriptors() noexcept { return {ENOSYS, std::generic_category()}; }

bool fail(std::error_code& ec) noexcept {
  ec = no_descriptors();
  return false;
}

}  // namespace

std::error_code address::assign(std::string_view) noexcept { return no_descriptors(); }
address address::any(std::uint16_t) noexcept { return {}; }
address address::from_sockaddr(const void*, std::size_t) noexcept { return {}; }
int address::family() const noexcept { return 0; }
unsigned address::port() const noexcept { return 0; }
std::string_view address::path() const noexcept { return {}; }
int address::compare(const address&) const noexcept { return 0; }
std::size_t address::hash() const noexcept { return 0; }
std::string to_string(const address&) { return ""; }

const char* to_string(kind) noexcept { return "other"; }
description describe(int, std::error_code& ec) {
  ec = no_descriptors();
  return {};
}
std::string to_string(const description&) { return "other"; }
bool is_fifo(int, const char*, std::error_code& ec) noexcept { return fail(ec); }
bool is_special(int, const char*, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket(int, int, int, listening, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket_inet(int, int, int, listening, unsigned, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket_sockaddr(int, int, const address&, listening, std::error_code& ec) noexcept { return fail(ec); }
bool is_socket_unix(int, int, listening, std::optional<std::string_view>, std::error_code& ec) noexcept {
  return fail(ec);
}
bool is_mq(int, const char*, std::error_code& ec) noexcept { return fail(ec); }

}  // namespace v0

void detail::bound_path::unlink() noexcept {}

inline namespace v0 {

server_socket take_or_bind(std::vector<listen_fd>&, const selector&, const address&, const bind_options&,
                           std::error_code& ec) {
  ec = no_descriptors();
  return {};
}

#if SD_HAS_EXCEPTIONS
address::address(std::string_view text) { throw std::system_error(assign(text), "address " + std::string(text)); }
server_socket take_or_bind(std::vector<listen_fd>&, const selector&, const address&, const bind_options&) {
  throw std::system_error(no_descriptors(), "bind");
}
#endif

}  // namespace v0
}  // namespace sd

#endif
