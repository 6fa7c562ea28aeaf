// SPDX-License-Identifier: MIT OR Apache-2.0
// Selects inode numbers of 64 bits on 32-bit platforms, too.
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64  // NOLINT: the C library chose the name and that it is a macro
#endif

#include "passed_sockets.hpp"

#include "detail/os/descriptors.hpp"
#include "detail/os/sockets.hpp"
#include "detail/protocol.hpp"
#include "detail/receive.hpp"
#include "functions.hpp"
#include "message.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace sd::adopt {

namespace os = detail::os;

namespace {

/// As many as one message can pass.
constexpr std::size_t most = 253;

passed_socket sockets[most];
std::atomic<std::size_t> count{0};
/// The address of the socket to which adoptions are reported. sd-activate sets the variable SD_ADOPT_NOTIFY to it.
sockaddr_un manager{};
socklen_t manager_size = 0;

/// The environment variable that tells an executed program where the sockets are. The environment points to it. Each
/// socket has a part of its own, of the same size, so that threads that adopt different ones do not disturb each other.
constexpr char variable_name[] = "SD_ADOPT_FDS";
constexpr std::size_t name_size = sizeof variable_name;  // with "="
constexpr std::size_t part_size = 43;                    // FD:INODE:ADOPTER and a space
char variable[name_size + most * part_size + 1];

/// Writes a number with leading zeros, and a separator. Returns the place after it.
char* write_number(char* at, int digits, std::uint64_t number, char separator) noexcept {
  for (int i = digits; i-- > 0; number /= 10) at[i] = static_cast<char>('0' + number % 10);
  at[digits] = separator;
  return at + digits + 1;
}

/// Writes the part of a socket. The inode number of one that is not kept is 0, and its descriptor is -1 as an unsigned
/// number.
void write_part(const passed_socket& socket) noexcept {
  char* at = variable + name_size + static_cast<std::size_t>(&socket - sockets) * part_size;
  at = write_number(at, 10, static_cast<std::uint32_t>(socket.fd.load()), ':');
  at = write_number(at, 20, socket.identity.inode, ':');
  write_number(at, 10, static_cast<std::uint64_t>(socket.adopter.load()), ' ');
}

void write_variable() noexcept {
  std::memcpy(variable, variable_name, name_size);
  variable[name_size - 1] = '=';
  for (const auto& each : all_sockets()) write_part(each);
}

/// Returns whether the socket has the option, and it is on.
bool is_set(int fd, int level, int option) noexcept {
  int value = 0;
  os::socket_option(fd, level, option, value);
  return value != 0;
}

/// The path of a unix socket, which is empty for other addresses and for abstract names.
class socket_path {
 public:
  explicit socket_path(const detail::address_view& where) noexcept {
    const auto name = detail::unix_name(where);
    std::copy(name.begin(), name.end(), path_);
  }

  [[nodiscard]] const char* get() const noexcept { return path_; }

 private:
  char path_[sizeof(sockaddr_storage)] = {};
};

/// Describes the descriptor. A descriptor that is not a socket is kept, but has neither a type nor an address.
void describe(passed_socket& socket, int fd) noexcept {
  socket.fd = fd;
  os::status(fd, socket.identity);
  socket.family = os::socket_family(fd);
  os::socket_option(fd, SOL_SOCKET, SO_TYPE, socket.type);
  socket.protocol = os::socket_protocol(fd);
  socket.v6only = is_set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  socket.is_listening = is_set(fd, SOL_SOCKET, SO_ACCEPTCONN);
  const int size = os::local_address(fd, &socket.local, sizeof socket.local);
  socket.local_size = static_cast<std::size_t>(std::max(size, 0));
  os::link_status(socket_path(socket.address()).get(), socket.file);
  socket.has_file = socket.file.type == os::file_type::socket;
}

/// Returns the lowest number under which descriptors are kept. It is beyond those that select(2) can watch, unless the
/// limit is lower. If the limit is below `needed`, no descriptor can be moved.
int lowest_number(int needed) noexcept {
  constexpr rlim_t preferred = FD_SETSIZE;
  constexpr rlim_t first_free = STDERR_FILENO + 1;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t highest = limit.rlim_cur - static_cast<rlim_t>(needed);
  return static_cast<int>(std::max(std::min(preferred, highest), first_free));
}

/// Moves a descriptor to a number that is not below `lowest`. Returns the number at which it is then, which is the same
/// if it cannot be moved.
int move(int fd, int lowest) noexcept {
  const int moved = ::fcntl(fd, F_DUPFD, lowest);
  if (moved < 0) return fd;
  os::close(fd);
  return moved;
}

/// Takes the descriptors that the service manager has passed.
void take_passed() noexcept {
  detail::fault why;
  const auto offered = detail::claim(listen_options::none, detail::ownership::shared, why);
  if (why) {
    message words;
    words << why.variable << "=\"" << why.value << "\": ";
    if (why.error != 0) {
      words << "descriptor " << why.descriptor << ": " << std::strerror(why.error);
    } else {
      words << "not valid";
    }
    words << "; the program gets no passed socket";
    say(words);
  }
  const int taken = std::min(offered.range.count, static_cast<int>(most));
  const int lowest = lowest_number(taken);
  for (int i = 0; i < taken; ++i) describe(sockets[i], move(offered.range.first + i, lowest));
  count = static_cast<std::size_t>(taken);
  if (offered.range.count > 0) detail::unset_environment();
}

/// Reads a number and the character after it, which is skipped.
std::uint64_t read_number(const char*& at) noexcept {
  std::uint64_t number = 0;
  for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + static_cast<std::uint64_t>(*at - '0');
  if (*at != '\0') ++at;
  return number;
}

/// The process that was the first to adopt a socket, this one or an ancestor, or 0.
std::atomic<int> server{0};

/// Takes the sockets that an earlier program of this process, or the parent, has kept.
void take_kept(const char* at) noexcept {
  const int pid = os::process_id();
  std::size_t kept = 0;
  while (*at != '\0' && kept < most) {
    auto& socket = sockets[kept++];
    const auto number = static_cast<int>(read_number(at));
    const auto inode = read_number(at);
    const auto adopter = static_cast<int>(read_number(at));
    std::uint64_t actual = 0;
    if (adopter != 0) server = adopter;
    if (os::inode(number, actual) < 0 || actual != inode) continue;
    if (adopter != 0 && adopter != pid) {
      os::close(number);  // this is not the server, but a program that it runs
    } else {
      describe(socket, number);
    }
  }
  count = kept;
}

/// Copies the address, because the program may change its environment.
void remember_manager() noexcept {
  const char* const where = os::get_environment("SD_ADOPT_NOTIFY");
  if (where == nullptr) return;
  const auto size = std::strlen(where);
  if (size > sizeof manager.sun_path) return;
  manager.sun_family = AF_UNIX;
  std::memcpy(manager.sun_path, where, size);
  if (*where == '@') manager.sun_path[0] = '\0';
  manager_size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
}

void report(std::size_t index) noexcept {
  if (manager_size == 0) return;
  const int fd = os::open_socket(AF_UNIX, SOCK_DGRAM);
  if (fd < 0) return;
  // sd-activate may need some time to empty its queue.
  const timeval patience{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  text<40> words;
  words << "SD_ADOPTED=" << std::uint64_t{index};
  const os::piece piece{words.get(), words.size()};
  os::send_message(fd, &piece, 1, &manager, manager_size, nullptr, 0, 0);
  functions::close(fd);
}

/// The process that has these numbers. A child of vfork(2) has its own, but shares the memory of this process.
std::atomic<int> owner{0};

/// Returns whether the descriptor still refers to the socket. The children of the server can close it, and so can
/// system calls that do not go through the C library.
bool is_open(const passed_socket& socket) noexcept {
  os::file file;
  os::status(socket.fd, file);
  return os::is_same(socket.identity, file);
}

/// A child of the server that executes a program does not pass the server's sockets on to it.
void after_fork() noexcept {
  owner = os::process_id();
  for (auto& each : all_sockets()) {
    if (each.adopter != 0 && is_open(each)) os::set_close_on_exec(each.fd, true);
  }
}

/// Returns whether this process keeps the socket: not if it is a child of the server.
bool is_own(const passed_socket& socket) noexcept {
  const int adopter = socket.adopter != 0 ? socket.adopter : server;
  return adopter == 0 || adopter == os::process_id();
}

/// The name of the network interface to which a socket is bound, or an empty name.
class interface_name {
 public:
  explicit interface_name(int fd) noexcept {
    socklen_t size = sizeof name_;
    ::getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name_, &size);
  }

  [[nodiscard]] std::string_view get() const noexcept { return name_; }

 private:
  char name_[IF_NAMESIZE] = {};
};

/// Returns whether the program has bound its socket to a network interface, and the passed socket is not bound to it.
bool is_of_other_interface(int fd, const passed_socket& passed) noexcept {
  const interface_name wanted(fd);
  return !wanted.get().empty() && wanted.get() != interface_name(passed.fd).get();
}

bool is_tcp(int protocol) noexcept {
  constexpr int mptcp = 262;
  return protocol == IPPROTO_TCP || protocol == mptcp;
}

/// Finds the passed socket that serves the address best.
claim find_socket(int fd, const detail::address_view& wanted) noexcept {
  int type = 0;
  os::socket_option(fd, SOL_SOCKET, SO_TYPE, type);
  const int protocol = os::socket_protocol(fd);
  // The path may lead to the socket although its name is another one by now, as in a changed root directory.
  const auto* const at_path = find_by_path(AT_FDCWD, socket_path(wanted).get(), 0);
  claim found{};
  int best = 0;
  for (auto& each : all_sockets()) {
    if (each.type != type) continue;
    if (each.protocol != protocol && !(is_tcp(each.protocol) && is_tcp(protocol))) continue;
    const auto how = &each == at_path ? detail::service::exact : detail::serves(each.address(), each.v6only, wanted);
    if (how == detail::service::none || !is_open(each) || is_of_other_interface(fd, each)) continue;
    const bool is_first = each.adopter == 0;
    const int quality = (how == detail::service::exact ? 2 : 0) + (is_first ? 2 : 1);
    if (quality > best) {
      best = quality;
      found = {&each, is_first};
    }
  }
  return found;
}

}  // namespace

void receive_sockets() noexcept {
  const char* const kept = os::get_environment(variable_name);
  if (kept == nullptr && os::get_environment("LISTEN_FDS") == nullptr) return;
  remember_standard_error();
  remember_manager();
  owner = os::process_id();
  // What was passed to this process is newer than what an ancestor has kept.
  take_passed();
  if (count == 0 && kept != nullptr) take_kept(kept);
  if (count == 0) return;
  write_variable();
  ::putenv(variable);
  ::pthread_atfork(nullptr, nullptr, after_fork);
}

bool has_sockets() noexcept { return count.load(std::memory_order_relaxed) != 0; }

socket_range all_sockets() noexcept { return {sockets, sockets + count}; }

claim claim_socket(int fd, const detail::address_view& wanted) noexcept {
  while (true) {
    const auto found = find_socket(fd, wanted);
    int nobody = 0;
    if (!found.is_first || found.socket->adopter.compare_exchange_strong(nobody, os::process_id())) return found;
    // Another thread has claimed it in the meantime. There may be another socket.
  }
}

void give_up(const claim& failed) noexcept {
  if (failed.is_first) failed.socket->adopter = 0;
}

void note_adoption(const claim& adopted) noexcept {
  if (!adopted.is_first) return;
  const auto& socket = *adopted.socket;
  server = os::process_id();
  write_part(socket);
  if (std::getenv(variable_name) == nullptr) {
    // A program that this one executes would not know that the socket is not meant for it.
    os::set_close_on_exec(socket.fd, true);
  } else {
    ::putenv(variable);  // again, because some programs copy their environment
  }
  report(static_cast<std::size_t>(&socket - sockets));
}

passed_socket* find_adopted(int fd) noexcept {
  os::file file;
  os::status(fd, file);
  if (file.type != os::file_type::socket) return nullptr;
  for (auto& each : all_sockets()) {
    if (os::is_same(each.identity, file)) return &each;
  }
  return nullptr;
}

passed_socket* find_by_path(int directory, const char* path, int flags) noexcept {
  const auto all = all_sockets();
  const bool has_files = std::any_of(all.begin(), all.end(), [](const auto& each) { return each.has_file; });
  struct stat status {};
  if (!has_files || ::fstatat(directory, path, &status, flags) < 0) return nullptr;
  for (auto& each : all) {
    if (each.has_file && each.file.inode == status.st_ino && each.file.device == status.st_dev) return &each;
  }
  return nullptr;
}

bool is_kept(int fd) noexcept {
  if (fd < 0) return false;
  for (const auto& each : all_sockets()) {
    if (each.fd == fd) return is_own(each) && is_open(each);
  }
  return false;
}

int lowest_kept(int first) noexcept {
  int lowest = -1;
  for (const auto& each : all_sockets()) {
    const int fd = each.fd;
    const bool is_candidate = fd >= first && (lowest < 0 || fd < lowest);
    if (is_candidate && is_own(each) && is_open(each)) lowest = fd;
  }
  return lowest;
}

int vacate(int fd) noexcept {
  if (owner != os::process_id()) return 0;
  const int command = os::is_close_on_exec(fd) > 0 ? F_DUPFD_CLOEXEC : F_DUPFD;
  int moved = ::fcntl(fd, command, fd + 1);
  // Not the number of a standard stream that is closed.
  if (moved < 0) moved = ::fcntl(fd, command, STDERR_FILENO + 1);
  if (moved < 0) return -errno;
  for (auto& each : all_sockets()) {
    int expected = fd;
    if (!each.fd.compare_exchange_strong(expected, moved)) continue;
    write_part(each);
    return 0;
  }
  functions::close(moved);  // Another thread has moved it.
  return 0;
}

}  // namespace sd::adopt
