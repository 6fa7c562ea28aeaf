// Inode numbers of 64 bits, on platforms of 32 bits, too.
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64  // NOLINT: the C library chose the name and that it is a macro
#endif

#include "os.hpp"

#include <cerrno>

#if defined(_WIN32)
#include <io.h>
#elif defined(__wasi__)
#include <unistd.h>
#else
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>
#endif

#if defined(__linux__)
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

#if SD_HAS_DESCRIPTORS
extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program to declare it
#endif

namespace sd::detail::os {

namespace {
int negated_errno(int result) noexcept { return result < 0 ? -errno : result; }
}  // namespace

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
// Not by getpid(3): glibc before 2.25 answers a raw clone's child with the parent's pid, and in newer ones the function
// lies on a page of its own, which costs a fresh process a fault.
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

// By number, as older C libraries have no wrappers; and as older headers have no numbers either, which would make what
// the library answers depend on where it was built, by the numbers that most architectures share.
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

#if SD_HAS_DESCRIPTORS

namespace {

file_type type_of(mode_t mode) noexcept {
  if (S_ISFIFO(mode)) return file_type::fifo;
  if (S_ISCHR(mode)) return file_type::character;
  if (S_ISREG(mode)) return file_type::regular;
  if (S_ISDIR(mode)) return file_type::directory;
  if (S_ISSOCK(mode)) return file_type::socket;
  return file_type::other;
}

int answer(int result, const struct stat& status, file& file) noexcept {
  if (result < 0) return -errno;
  file.type = type_of(status.st_mode);
  file.device = status.st_dev;
  file.inode = status.st_ino;
  file.number = status.st_rdev;
#if defined(__APPLE__)
  const auto& modified = status.st_mtimespec;
#else
  const auto& modified = status.st_mtim;
#endif
  file.modified = static_cast<std::int64_t>(modified.tv_sec) * 1000000000 + modified.tv_nsec;
  return 0;
}

mode_t permissions(unsigned mode) noexcept { return mode & 07777U; }

std::int64_t monotonic_usec() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

int size_of(int result, socklen_t length) noexcept { return result < 0 ? -errno : static_cast<int>(length); }

}  // namespace

int status(int fd, file& result) noexcept {
  struct stat status;
  return answer(::fstat(fd, &status), status, result);
}
int status(const char* path, file& result) noexcept {
  struct stat status;
  return answer(::stat(path, &status), status, result);
}
int link_status(const char* path, file& result) noexcept {
  struct stat status;
  return answer(::lstat(path, &status), status, result);
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

int open_socket(int family, int type) noexcept {
#if defined(SOCK_CLOEXEC)
  return negated_errno(::socket(family, type | SOCK_CLOEXEC, 0));
#else
  const int fd = negated_errno(::socket(family, type, 0));
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
  header.msg_iovlen = piece_count;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  std::size_t control_size = 0;
  if (fd_count > 0) {
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    std::memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
    control_size += CMSG_SPACE(sizeof(int) * fd_count);
    part = CMSG_NXTHDR(&header, part);
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
  header.msg_controllen = control_size;
  if (control_size == 0) header.msg_control = nullptr;

#if defined(MSG_NOSIGNAL)
  constexpr int flags = MSG_NOSIGNAL;
#else
  constexpr int flags = 0;
#endif
  while (true) {
    const auto sent = ::sendmsg(fd, &header, flags);
    if (sent >= 0) return static_cast<int>(sent);
    if (errno != EINTR) return -errno;
  }
}
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
  const std::int64_t start = monotonic_usec();
  while (true) {
    // poll(2) counts in milliseconds, and no further than an int: so round up, and look again.
    const std::int64_t left = timeout_usec - (monotonic_usec() - start);
    const std::int64_t wait = left <= 0 ? 0 : left / 1000 < INT_MAX ? left / 1000 + 1 : INT_MAX;
    pollfd hangup{fd, 0, 0};
    const int result = ::poll(&hangup, 1, timeout_usec < 0 ? -1 : static_cast<int>(wait));
    if (result > 0) return 1;
    if (result < 0 && errno != EINTR) return -errno;
    if (timeout_usec >= 0 && left <= 0) return 0;
  }
}
int is_readable(int fd) noexcept {
  pollfd readable{fd, POLLIN, 0};
  return negated_errno(::poll(&readable, 1, 0));
}

int duplicate_to(int fd, int at) noexcept { return negated_errno(::dup2(fd, at)); }
char** environment() noexcept { return environ; }
int execute(char* const* arguments, char** environment) noexcept {
  char** const saved = std::exchange(environ, environment);
  ::execvp(*arguments, arguments);
  environ = saved;
  return -errno;
}
int fork() noexcept { return negated_errno(::fork()); }
void exit(int status) noexcept { ::_exit(status); }
int wait_for_exit(int pid) noexcept {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return status;
}
int write(int fd, const void* data, std::size_t size) noexcept {
  while (true) {
    const auto written = ::write(fd, data, size);
    if (written >= 0) return static_cast<int>(written);
    if (errno != EINTR) return -errno;
  }
}
int read(int fd, void* data, std::size_t size) noexcept {
  while (true) {
    const auto count = ::read(fd, data, size);
    if (count >= 0) return static_cast<int>(count);
    if (errno != EINTR) return -errno;
  }
}

unsigned interface_number(const char* name) noexcept { return ::if_nametoindex(name); }
const char* interface_name(unsigned number, char* name) noexcept { return ::if_indextoname(number, name); }

int make_directory(const char* path, unsigned mode) noexcept { return negated_errno(::mkdir(path, permissions(mode))); }
int change_mode(int fd, unsigned mode) noexcept { return negated_errno(::fchmod(fd, permissions(mode))); }
int change_mode(const char* path, unsigned mode) noexcept { return negated_errno(::chmod(path, permissions(mode))); }
int change_owner(const char* path, int user, int group) noexcept {
  return negated_errno(::lchown(path, static_cast<uid_t>(user), static_cast<gid_t>(group)));
}
int remove(const char* path) noexcept { return negated_errno(::unlink(path)); }
int open_lock(const char* path) noexcept {
  return negated_errno(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR));
}
int lock(int fd) noexcept {
  while (::flock(fd, LOCK_EX) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

#endif

}  // namespace sd::detail::os
