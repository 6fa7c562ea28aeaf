#pragma once

#include <cstddef>
#include <cstdint>

/// Whether the platform has the protocol's descriptors at all. Where not, sockets and paths are not compiled.
#if defined(_WIN32) || defined(__wasi__) || defined(__EMSCRIPTEN__)
#define SD_HAS_DESCRIPTORS 0  // NOLINT(cppcoreguidelines-macro-usage): the preprocessor asks for it
#else
#define SD_HAS_DESCRIPTORS 1  // NOLINT(cppcoreguidelines-macro-usage)
#endif

// The system calls that the library makes, each as thin as it can be: the one file that knows the platform, and the
// seam where tests inject failures. Results are those of the call, failures the negated errno. Nothing retries on
// EINTR but what says so here: none of the others is interrupted but close(2), whose number must not be used again.
namespace sd::detail::os {

const char* get_environment(const char* name) noexcept;
void unset_environment(const char* name) noexcept;
int process_id() noexcept;

int close(int fd) noexcept;
/// F_GETFD: whether the descriptor has FD_CLOEXEC (1) or not (0).
int is_close_on_exec(int fd) noexcept;
/// F_SETFD: FD_CLOEXEC alone, or no flag.
int set_close_on_exec(int fd, bool on) noexcept;
/// F_DUPFD_CLOEXEC: the lowest number that is free from `lowest` on.
int duplicate(int fd, int lowest) noexcept;
/// close_range(CLOSE_RANGE_CLOEXEC); -ENOSYS or -EINVAL where the kernel is older than 5.11.
int set_close_on_exec_range(int first, int last) noexcept;

/// pidfd_open(2); -ENOSYS where the kernel is older than 5.3, and off Linux.
int open_pidfd(int pid) noexcept;
/// Whether `pidfd` has an inode of its own (1), from Linux 6.9 on, or shares one with every anonymous file (0).
int is_pidfs(int pidfd) noexcept;
/// The inode number: 64 bits, of which a 32-bit kernel knows the lower half.
int inode(int fd, std::uint64_t& number) noexcept;

/// A piece of a message that is sent from several places in memory.
struct piece {
  const void* data;
  std::size_t size;
};
/// SCM_MAX_FD: Linux attaches no more descriptors than these to one message.
inline constexpr std::size_t most_attached = 253;
/// The most pieces that one message is made of.
inline constexpr std::size_t most_pieces = 64;

#if SD_HAS_DESCRIPTORS

enum class file_type { fifo, character, regular, directory, socket, other };
struct file {
  file_type type = file_type::other;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t number = 0;   ///< the device that a character device is
  std::int64_t modified = 0;  ///< nanoseconds
};
/// fstat(2)
int status(int fd, file& result) noexcept;
/// stat(2)
int status(const char* path, file& result) noexcept;
/// lstat(2)
int link_status(const char* path, file& result) noexcept;
/// Whether the descriptor is a POSIX message queue (1) or not (0).
int is_message_queue(int fd) noexcept;
/// The path that the descriptor was opened by: its length, not above `size`; 0 where the system cannot tell.
int opened_path(int fd, char* result, std::size_t size) noexcept;

/// F_GETFL: whether the descriptor has O_NONBLOCK (1) or not (0).
int is_nonblocking(int fd) noexcept;
int set_nonblocking(int fd, bool on) noexcept;

int socket_option(int fd, int level, int option, int& value) noexcept;
int set_socket_option(int fd, int level, int option, int value) noexcept;
/// SO_SNDBUFFORCE, which needs privilege, else SO_SNDBUF.
int set_send_buffer(int fd, int size) noexcept;
/// SO_DOMAIN, where it is not there the family of the local address.
int socket_family(int fd) noexcept;
/// SO_PROTOCOL, where it is not there 0.
int socket_protocol(int fd) noexcept;
/// getsockname(2) and getpeername(2): the size of the address, of which at most `size` bytes are written.
int local_address(int fd, void* address, std::size_t size) noexcept;
int peer_address(int fd, void* address, std::size_t size) noexcept;

/// A new socket, close-on-exec.
int open_socket(int family, int type) noexcept;
int bind(int fd, const void* address, std::size_t size) noexcept;
int listen(int fd, int backlog) noexcept;
/// connect(2), again on EINTR.
int connect(int fd, const void* address, std::size_t size) noexcept;
/// sendmsg(2), without SIGPIPE, again on EINTR. A null address: to where the socket is connected. With SCM_CREDENTIALS
/// of another process where `pid` is not 0. -EMSGSIZE for more pieces than there may be.
int send_message(int fd, const piece* pieces, std::size_t piece_count, const void* address, std::size_t size,
                 const int* fds, std::size_t fd_count, int pid) noexcept;
/// A pipe, close-on-exec.
int open_pipe(int (&ends)[2]) noexcept;
/// Whether the other end of a pipe was closed (1) or the time ran out (0), in microseconds; negative: any. Again on
/// EINTR.
int wait_for_hangup(int fd, std::int64_t timeout_usec) noexcept;
/// Whether the descriptor can be read from (1) at once or not (0).
int is_readable(int fd) noexcept;

/// dup2(2): the copy survives exec.
int duplicate_to(int fd, int at) noexcept;
/// The environment of this process.
char** environment() noexcept;
/// exec(3) of `arguments[0]`, looked for in PATH, with another environment. Returns only where it fails.
int execute(char* const* arguments, char** environment) noexcept;
int fork() noexcept;
/// _exit(2)
[[noreturn]] void exit(int status) noexcept;
/// waitpid(2), again on EINTR.
int wait_for_exit(int pid) noexcept;
/// write(2) and read(2) of what fits a pipe, again on EINTR.
int write(int fd, const void* data, std::size_t size) noexcept;
int read(int fd, void* data, std::size_t size) noexcept;

/// The number of the network interface, 0 if there is none.
unsigned interface_number(const char* name) noexcept;
/// IF_NAMESIZE bytes; null if there is none.
const char* interface_name(unsigned number, char* name) noexcept;

int make_directory(const char* path, unsigned mode) noexcept;
int change_mode(int fd, unsigned mode) noexcept;
int change_mode(const char* path, unsigned mode) noexcept;
/// -1: as it is.
int change_owner(const char* path, int user, int group) noexcept;
int remove(const char* path) noexcept;
/// Opens, for writing, a file that nobody else may open, close-on-exec; makes it if need be; follows no link.
int open_lock(const char* path) noexcept;
/// flock(LOCK_EX), again on EINTR.
int lock(int fd) noexcept;

#endif

}  // namespace sd::detail::os
