// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that takes the steps of its arguments, and prints the result of each: a number or text, or the name of an
// errno. A word NAME of `NAME=STEP` stands for the result in later steps, as $NAME. It does not know libsd-adopt.
//
//   socket FAMILY TYPE [nonblock] [cloexec] [mptcp] [udplite]   the new descriptor
//   set FD OPTION VALUE / get FD OPTION       socket options, by the names of the table below
//   bind FD ADDRESS [SIZE]  the address, which may be "null", cut to SIZE bytes or filled up with zeros
//   bind-in-threads FD FD ADDRESS             binds both at the same time, in a thread each
//   device FD NAME          SO_BINDTODEVICE
//   connect FD ADDRESS
//   listen FD
//   queue FD                the longest queue of a listening TCP socket
//   flags FD                "cloexec" and "nonblock", where they are set
//   inode FD
//   name FD / peer FD       the family and the address that the kernel tells, for a peer without the port
//   name-without-size FD    getsockname() without a size, which fails
//   accept FD / accept4 FD  the connection, the family of its peer and the size of the address
//   accept-only FD          the connection, without asking for an address
//   receive FD              a datagram, which is sent back; prints the sender, the size of its address and of the reply
//   receive-message FD [SIZE]   the same with recvmsg(), and with room for SIZE bytes
//   receive-unnamed FD      recvmsg() without asking for an address
//   receive-nothing FD      recvmsg() with a null pointer
//   send FD ADDRESS         a datagram
//   cancel-accept FD        a thread that waits in accept() and is cancelled
//   cancel-bind FD ADDRESS  a thread that has been cancelled, and calls bind() before it notices
//   dup FD / dup2 FD NUMBER / dup3 FD NUMBER / close FD
//   close-directly FD       by a system call that does not go through the C library
//   close-all METHOD        all descriptors from 3 on, by loop, close_range, closefrom or proc
//   close-range FIRST LAST [FLAGS] / closefrom FIRST
//   without-close-range     makes close_range() fail as with an old kernel
//   epoll FD [edge]         a new epoll instance, in which FD is registered, perhaps edge-triggered
//   add EPOLL FD            another registration
//   wait EPOLL              the descriptor that an event names
//   pending EPOLL           the numbers of events of each kind
//   unlink, remove, unlinkat PATH / rename, renameat, renameat2 FROM TO
//   chmod, fchmodat, chown, lchown, fchownat PATH
//   unlinkat-directory PATH   unlinkat() that removes only directories
//   fchownat-empty PATH     fchownat() with an empty path and a descriptor of the file
//   exists PATH / mode PATH
//   shutdown FD
//   fork                    goes on in the child; the parent waits for it
//   vfork-close FD          closes the descriptor in a child of vfork()
//   vfork-dup2 FD NUMBER
//   exec                    executes this program again, with the other steps
//   spawn                   the same in a child of posix_spawn(), for which it waits
//   limit NUMBER            of descriptors
//   clear-environment
//   copy-environment        as programs that change their title do
//   user                    drops privileges
//   chroot PATH
//   open PATH               a file, as descriptor 2 if that is closed
//   descriptors             the open descriptors
//   variable NAME [VALUE]   the value of a variable, or sets it
//   serve FD                answers each connection with the process id, without end
//   notify                  sends READY=1
//   sleep MILLISECONDS
#include <sd/address.hpp>
#include <sd/notify.hpp>

#include "failing_call.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using words = std::vector<std::string>;

std::map<std::string, std::pair<int, int>> option_names = {
    {"SO_REUSEADDR", {SOL_SOCKET, SO_REUSEADDR}},
    {"SO_REUSEPORT", {SOL_SOCKET, SO_REUSEPORT}},
    {"SO_KEEPALIVE", {SOL_SOCKET, SO_KEEPALIVE}},
    {"SO_RCVBUF", {SOL_SOCKET, SO_RCVBUF}},
    {"SO_SNDBUF", {SOL_SOCKET, SO_SNDBUF}},
    {"SO_BROADCAST", {SOL_SOCKET, SO_BROADCAST}},
    {"SO_TYPE", {SOL_SOCKET, SO_TYPE}},
    {"TCP_NODELAY", {IPPROTO_TCP, TCP_NODELAY}},
    {"TCP_FASTOPEN", {IPPROTO_TCP, TCP_FASTOPEN}},
    {"TCP_DEFER_ACCEPT", {IPPROTO_TCP, TCP_DEFER_ACCEPT}},
    {"IP_TOS", {IPPROTO_IP, IP_TOS}},
    {"IP_PKTINFO", {IPPROTO_IP, IP_PKTINFO}},
    {"IPV6_V6ONLY", {IPPROTO_IPV6, IPV6_V6ONLY}},
};

const std::map<std::string, int> families = {
    {"inet", AF_INET}, {"inet6", AF_INET6}, {"unix", AF_UNIX}, {"vsock", AF_VSOCK}};

constexpr int mptcp = 262;

std::string result_of(long result) {
  if (result != -1) return std::to_string(result);
  return errno == 0 ? "failed without an errno" : ::strerrorname_np(errno);
}

/// Returns -1 for the name of an errno.
int number(const std::string& word) { return std::isupper(word[0]) != 0 ? -1 : std::stoi(word); }

/// Waits for ten seconds at most, so that a test that fails ends.
bool is_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, 10'000) > 0;
}

std::string family_of(const sockaddr_storage& storage) {
  return storage.ss_family == AF_INET ? "inet" : storage.ss_family == AF_INET6 ? "inet6" : "other";
}

std::string text_of(const sockaddr_storage& storage, socklen_t size) {
  return family_of(storage) + ' ' + to_string(sd::address::from_sockaddr(&storage, size));
}

/// Returns the address without the port.
std::string host_of(const sockaddr_storage& storage, socklen_t size) {
  if (size == 0) return "nobody";
  const auto text = text_of(storage, size);
  return text.substr(0, text.rfind(':'));
}

/// Returns the address that the call provides, as `text` formats it.
template <class Call, class Text>
std::string address_from(Call call, Text text) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  socklen_t size = sizeof storage;
  const int result = call(reinterpret_cast<sockaddr*>(&storage), &size);
  if (result == 0) return text(storage, size);
  return result_of(result) + (storage.ss_family == AF_UNIX ? "" : " with an address");
}

/// Calls a function that accepts a connection. Provides as much room as a program of IPv4 does.
template <class Call>
std::string accept_by(int fd, Call call) {
  if (!is_readable(fd)) return "nothing";
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  const int connection = call(reinterpret_cast<sockaddr*>(&storage), &size);
  if (connection < 0) return result_of(connection);
  return std::to_string(connection) + ' ' + family_of(storage) + ' ' + std::to_string(size);
}

std::string open_descriptors() {
  DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return result_of(-1);
  std::set<int> numbers;
  for (const dirent* entry = nullptr; (entry = ::readdir(directory)) != nullptr;) {
    const int fd = std::isdigit(entry->d_name[0]) != 0 ? std::stoi(entry->d_name) : 0;
    if (fd > STDERR_FILENO && fd != ::dirfd(directory)) numbers.insert(fd);
  }
  ::closedir(directory);
  std::string all;
  for (const int fd : numbers) all += (all.empty() ? "" : " ") + std::to_string(fd);
  return all;
}

std::string close_all(const std::string& method) {
  if (method == "close_range") return result_of(::close_range(3, ~0U, 0));
  if (method == "closefrom") {
    ::closefrom(3);
  } else if (method == "loop") {
    for (int fd = 3; fd < ::sysconf(_SC_OPEN_MAX) && fd < 65536; ++fd) ::close(fd);
  } else {
    DIR* const directory = ::opendir("/proc/self/fd");
    std::vector<int> all;
    while (const dirent* const entry = ::readdir(directory)) {
      const int fd = std::atoi(entry->d_name);
      if (fd > 2 && fd != ::dirfd(directory)) all.push_back(fd);
    }
    ::closedir(directory);
    for (const int fd : all) ::close(fd);
  }
  return "done";
}

constexpr std::uint64_t event_data = 0x123456789abcdef0U;

/// Registers the descriptor in an epoll instance.
int add_to(int epoll, int fd, bool is_edge) {
  epoll_event event{EPOLLIN | (is_edge ? std::uint32_t{EPOLLET} : 0), {}};
  event.data.u64 = event_data;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

std::string cancel_accept(int fd) {
  pthread_t thread{};
  const auto wait = [](void* argument) -> void* {
    ::accept(*static_cast<int*>(argument), nullptr, nullptr);
    return nullptr;
  };
  ::pthread_create(&thread, nullptr, wait, &fd);
  ::usleep(50'000);
  ::pthread_cancel(thread);
  void* result = nullptr;
  ::pthread_join(thread, &result);
  return result == PTHREAD_CANCELED ? "cancelled" : "returned";
}

/// Returns what bind() returns in a thread that has been cancelled. The thread ends at the next cancellation point.
std::string bind_cancelled(int fd, const sd::address& where) {
  std::string result;
  std::function<void()> bind = [&] {
    ::pthread_cancel(::pthread_self());
    result = result_of(::bind(fd, static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())));
    ::pthread_testcancel();
    result += " returned";
  };
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  pthread_t thread{};
  ::pthread_create(&thread, nullptr, run, &bind);
  ::pthread_join(thread, nullptr);
  return result;
}

std::string serve(int fd) {
  while (true) {
    if (!is_readable(fd)) continue;
    const int connection = ::accept(fd, nullptr, nullptr);
    if (connection < 0) continue;
    char request[64];
    static_cast<void>(::recv(connection, request, sizeof request, 0) < 0);
    const auto pid = std::to_string(::getpid());
    ::send(connection, pid.data(), pid.size(), MSG_NOSIGNAL);
    ::close(connection);
  }
}

std::string go_on_in_a_child() {
  std::cout.flush();
  const pid_t child = ::fork();
  if (child == 0) return "child";
  int status = 0;
  ::waitpid(child, &status, 0);
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/// Executes this program in a child. Returns its exit status.
int spawn(char** arguments) {
  std::cout.flush();
  pid_t child = 0;
  if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0) return 3;
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/// Calls the function in a child of vfork(), and returns the status of the child.
template <class Call>
std::string in_vfork(Call call) {
  const pid_t child = ::vfork();
  if (child == 0) {
    call();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return std::to_string(status);
}

std::string receive_message(int fd, std::size_t capacity, bool with_name) {
  if (!is_readable(fd)) return "nothing";
  char data[64];
  sockaddr_storage storage{};
  iovec part{data, capacity};
  alignas(cmsghdr) char control[128];
  msghdr header{};
  header.msg_name = with_name ? &storage : nullptr;
  header.msg_namelen = with_name ? sizeof(sockaddr_in) : 0;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const auto count = ::recvmsg(fd, &header, 0);
  if (count < 0) return result_of(count) + (header.msg_namelen == sizeof(sockaddr_in) ? "" : " with an address");
  std::string all = std::to_string(count) + ' ' + host_of(storage, header.msg_namelen) + ' ';
  all += std::to_string(header.msg_namelen) + ((header.msg_flags & MSG_TRUNC) != 0 ? " truncated" : "");
  for (const cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr;
       each = CMSG_NXTHDR(&header, const_cast<cmsghdr*>(each))) {
    all += each->cmsg_type == IP_PKTINFO ? " IP_PKTINFO" : " other";
  }
  part.iov_len = static_cast<std::size_t>(count);
  header.msg_control = nullptr;
  header.msg_controllen = 0;
  if (with_name) ::sendmsg(fd, &header, 0);
  return all;
}

using step = std::function<std::string(const words&)>;

const std::map<std::string, step>& steps() {
  static const std::map<std::string, step> table = {
      {"socket",
       [](const words& w) {
         const auto has = [&w](const char* word) { return std::find(w.begin(), w.end(), word) != w.end(); };
         int type = has("stream") ? SOCK_STREAM : has("datagram") ? SOCK_DGRAM : SOCK_SEQPACKET;
         type |= (has("nonblock") ? SOCK_NONBLOCK : 0) | (has("cloexec") ? SOCK_CLOEXEC : 0);
         const int protocol = has("mptcp") ? mptcp : has("udplite") ? IPPROTO_UDPLITE : 0;
         return result_of(::socket(families.at(w[1]), type, protocol));
       }},
      {"set",
       [](const words& w) {
         const auto [level, name] = option_names.at(w[2]);
         const int value = number(w[3]);
         return result_of(::setsockopt(number(w[1]), level, name, &value, sizeof value));
       }},
      {"get",
       [](const words& w) {
         const auto [level, name] = option_names.at(w[2]);
         int value = 0;
         socklen_t size = sizeof value;
         const int result = ::getsockopt(number(w[1]), level, name, &value, &size);
         return result < 0 ? result_of(result) : std::to_string(value);
       }},
      {"bind",
       [](const words& w) {
         if (w[2] == "null") return result_of(::bind(number(w[1]), nullptr, sizeof(sockaddr_in)));
         const sd::address where(w[2]);
         alignas(sockaddr_storage) char bytes[1024] = {};
         std::memcpy(bytes, where.data(), where.size());
         const auto size = w.size() > 3 ? std::stoul(w[3]) : where.size();
         return result_of(::bind(number(w[1]), reinterpret_cast<const sockaddr*>(bytes), static_cast<socklen_t>(size)));
       }},
      {"bind-in-threads",
       [](const words& w) {
         const sd::address where(w[3]);
         std::atomic<int> ready{0};
         const auto bind = [&](int fd) {
           ++ready;
           while (ready < 2) continue;
           return ::bind(fd, static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size()));
         };
         auto other = std::async(std::launch::async, bind, number(w[1]));
         const int result = bind(number(w[2]));
         return result_of(std::min(result, other.get()));
       }},
      {"device",
       [](const words& w) {
         const auto size = static_cast<socklen_t>(w[2].size());
         return result_of(::setsockopt(number(w[1]), SOL_SOCKET, SO_BINDTODEVICE, w[2].c_str(), size));
       }},
      {"connect",
       [](const words& w) {
         const sd::address where(w[2]);
         const auto size = static_cast<socklen_t>(where.size());
         return result_of(::connect(number(w[1]), static_cast<const sockaddr*>(where.data()), size));
       }},
      {"listen", [](const words& w) { return result_of(::listen(number(w[1]), 7)); }},
      {"flags",
       [](const words& w) {
         std::string all = (::fcntl(number(w[1]), F_GETFD) & FD_CLOEXEC) != 0 ? "cloexec" : "";
         if ((::fcntl(number(w[1]), F_GETFL) & O_NONBLOCK) != 0) all += all.empty() ? "nonblock" : " nonblock";
         return all;
       }},
      {"queue",
       [](const words& w) {
         tcp_info info{};
         socklen_t size = sizeof info;
         const int result = ::getsockopt(number(w[1]), IPPROTO_TCP, TCP_INFO, &info, &size);
         return result < 0 ? result_of(result) : std::to_string(info.tcpi_sacked);
       }},
      {"inode",
       [](const words& w) {
         struct stat status {};
         const int result = ::fstat(number(w[1]), &status);
         return result < 0 ? result_of(result) : std::to_string(status.st_ino);
       }},
      {"name",
       [](const words& w) {
         const int fd = number(w[1]);
         return address_from([fd](sockaddr* to, socklen_t* size) { return ::getsockname(fd, to, size); }, text_of);
       }},
      {"peer",
       [](const words& w) {
         const int fd = number(w[1]);
         return address_from([fd](sockaddr* to, socklen_t* size) { return ::getpeername(fd, to, size); }, host_of);
       }},
      {"name-without-size",
       [](const words& w) {
         sockaddr storage{};
         return result_of(::getsockname(number(w[1]), &storage, nullptr));
       }},
      {"accept",
       [](const words& w) {
         const int fd = number(w[1]);
         return accept_by(fd, [fd](sockaddr* to, socklen_t* size) { return ::accept(fd, to, size); });
       }},
      {"accept4",
       [](const words& w) {
         const int fd = number(w[1]);
         return accept_by(fd, [fd](sockaddr* to, socklen_t* size) { return ::accept4(fd, to, size, SOCK_CLOEXEC); });
       }},
      {"accept-only",
       [](const words& w) {
         socklen_t size = sizeof(sockaddr_in);
         return result_of(::accept(number(w[1]), nullptr, &size));
       }},
      {"receive",
       [](const words& w) {
         const int fd = number(w[1]);
         if (!is_readable(fd)) return std::string("nothing");
         char data[64];
         sockaddr_storage storage{};
         auto* const from = reinterpret_cast<sockaddr*>(&storage);
         socklen_t size = sizeof storage;
         const auto count = ::recvfrom(fd, data, sizeof data, 0, from, &size);
         if (count < 0) return result_of(count);
         const auto sent = ::sendto(fd, data, static_cast<std::size_t>(count), 0, from, size);
         return host_of(storage, size) + ' ' + std::to_string(size) + ' ' + result_of(sent);
       }},
      {"receive-message",
       [](const words& w) { return receive_message(number(w[1]), w.size() > 2 ? std::stoul(w[2]) : 64, true); }},
      {"receive-unnamed", [](const words& w) { return receive_message(number(w[1]), 64, false); }},
      {"receive-nothing", [](const words& w) { return result_of(::recvmsg(number(w[1]), nullptr, 0)); }},
      {"send",
       [](const words& w) {
         const sd::address where(w[2]);
         return result_of(::sendto(number(w[1]), "text", 4, 0, static_cast<const sockaddr*>(where.data()),
                                   static_cast<socklen_t>(where.size())));
       }},
      {"cancel-accept", [](const words& w) { return cancel_accept(number(w[1])); }},
      {"cancel-bind", [](const words& w) { return bind_cancelled(number(w[1]), sd::address(w[2])); }},
      {"dup", [](const words& w) { return result_of(::dup(number(w[1]))); }},
      {"dup2", [](const words& w) { return result_of(::dup2(number(w[1]), number(w[2]))); }},
      {"dup3", [](const words& w) { return result_of(::dup3(number(w[1]), number(w[2]), O_CLOEXEC)); }},
      {"close", [](const words& w) { return result_of(::close(number(w[1]))); }},
      {"close-directly", [](const words& w) { return result_of(::syscall(SYS_close, number(w[1]))); }},
      {"close-range",
       [](const words& w) {
         const auto flags = w.size() > 3 ? number(w[3]) : 0;
         return result_of(
             ::close_range(static_cast<unsigned>(std::stoul(w[1])), static_cast<unsigned>(std::stoul(w[2])), flags));
       }},
      {"closefrom",
       [](const words& w) {
         ::closefrom(number(w[1]));
         return std::string("done");
       }},
      {"without-close-range",
       [](const words&) {
         return result_of(sd::test::install({SYS_close_range, 2, 0, ENOSYS}));
       }},
      {"close-all", [](const words& w) { return close_all(w[1]); }},
      {"epoll",
       [](const words& w) {
         const int epoll = ::epoll_create1(0);
         if (epoll < 0) return result_of(epoll);
         const int result = add_to(epoll, number(w[1]), w.size() > 2);
         return result_of(result < 0 ? result : epoll);
       }},
      {"add", [](const words& w) { return result_of(add_to(number(w[1]), number(w[2]), false)); }},
      {"pending",
       [](const words& w) {
         epoll_event events[32];
         auto* const end = events + std::max(::epoll_wait(number(w[1]), events, 32, 0), 0);
         const auto count = [&](std::uint32_t kind) {
           const auto is_one = [kind](const auto& e) { return e.events == kind && e.data.u64 == event_data; };
           return std::to_string(std::count_if(events, end, is_one));
         };
         return count(EPOLLIN) + " readable, " + count(EPOLLHUP) + " hung up";
       }},
      {"wait",
       [](const words& w) {
         epoll_event event{};
         const int count = ::epoll_wait(number(w[1]), &event, 1, 10'000);
         return count == 1 && event.data.u64 == event_data ? std::string("event") : result_of(count);
       }},
      {"unlink", [](const words& w) { return result_of(::unlink(w[1].c_str())); }},
      {"remove", [](const words& w) { return result_of(std::remove(w[1].c_str())); }},
      {"unlinkat", [](const words& w) { return result_of(::unlinkat(AT_FDCWD, w[1].c_str(), 0)); }},
      {"unlinkat-directory",
       [](const words& w) { return result_of(::unlinkat(AT_FDCWD, w[1].c_str(), AT_REMOVEDIR)); }},
      {"rename", [](const words& w) { return result_of(std::rename(w[1].c_str(), w[2].c_str())); }},
      {"renameat",
       [](const words& w) { return result_of(::renameat(AT_FDCWD, w[1].c_str(), AT_FDCWD, w[2].c_str())); }},
      {"renameat2",
       [](const words& w) { return result_of(::renameat2(AT_FDCWD, w[1].c_str(), AT_FDCWD, w[2].c_str(), 0)); }},
      {"chmod", [](const words& w) { return result_of(::chmod(w[1].c_str(), 0600)); }},
      {"fchmodat", [](const words& w) { return result_of(::fchmodat(AT_FDCWD, w[1].c_str(), 0600, 0)); }},
      {"chown", [](const words& w) { return result_of(::chown(w[1].c_str(), 65534, 65534)); }},
      {"lchown", [](const words& w) { return result_of(::lchown(w[1].c_str(), 65534, 65534)); }},
      {"fchownat",
       [](const words& w) { return result_of(::fchownat(AT_FDCWD, w[1].c_str(), 65534, 65534, AT_SYMLINK_NOFOLLOW)); }},
      {"fchownat-empty",
       [](const words& w) {
         const int file = ::open(w[1].c_str(), O_PATH | O_CLOEXEC);
         auto result = result_of(::fchownat(file, "", 65534, 65534, AT_EMPTY_PATH));
         ::close(file);
         return result;
       }},
      {"exists",
       [](const words& w) {
         struct stat status {};
         return std::string(::lstat(w[1].c_str(), &status) == 0 ? "yes" : "no");
       }},
      {"mode",
       [](const words& w) {
         struct stat status {};
         if (::lstat(w[1].c_str(), &status) < 0) return result_of(-1);
         std::ostringstream text;
         text << std::oct << (status.st_mode & 07777U) << std::dec << ' ' << status.st_uid;
         return text.str();
       }},
      {"shutdown", [](const words& w) { return result_of(::shutdown(number(w[1]), SHUT_RDWR)); }},
      {"fork", [](const words&) { return go_on_in_a_child(); }},
      {"vfork-close",
       [](const words& w) {
         const int fd = number(w[1]);
         return in_vfork([fd] { ::close(fd); });
       }},
      {"vfork-dup2",
       [](const words& w) {
         const int fd = number(w[1]);
         const int to = number(w[2]);
         return in_vfork([fd, to] { ::dup2(fd, to); });
       }},
      {"limit",
       [](const words& w) {
         const rlimit limit{static_cast<rlim_t>(number(w[1])), static_cast<rlim_t>(number(w[1]))};
         return result_of(::setrlimit(RLIMIT_NOFILE, &limit));
       }},
      {"clear-environment", [](const words&) { return result_of(::clearenv()); }},
      {"copy-environment",
       [](const words&) {
         static words variables;
         static std::vector<char*> pointers;
         for (char** each = environ; *each != nullptr; ++each) variables.emplace_back(*each);
         for (auto& each : variables) pointers.push_back(each.data());
         pointers.push_back(nullptr);
         environ = pointers.data();
         return std::to_string(0);
       }},
      {"chroot", [](const words& w) { return result_of(::chroot(w[1].c_str())); }},
      {"user", [](const words&) { return result_of(::setgid(65534) < 0 ? -1 : ::setuid(65534)); }},
      {"open", [](const words& w) { return result_of(::open(w[1].c_str(), O_RDWR | O_CREAT, 0600)); }},
      {"descriptors", [](const words&) { return open_descriptors(); }},
      {"variable",
       [](const words& w) {
         if (w.size() > 2) return result_of(::setenv(w[1].c_str(), w[2].c_str(), 1));
         const char* const value = std::getenv(w[1].c_str());
         return std::string(value == nullptr ? "(unset)" : value);
       }},
      {"serve", [](const words& w) { return serve(number(w[1])); }},
      {"notify",
       [](const words&) {
         sd::notify(sd::state::ready());
         return std::string("sent");
       }},
      // The message by which libsd-adopt reports an adoption.
      {"adopted",
       [](const words& w) {
         ::setenv("NOTIFY_SOCKET", std::getenv("SD_ADOPT_NOTIFY"), 1);
         const auto line = "SD_ADOPTED=" + w[1];
         sd::notify(sd::state::raw(line));
         return std::string("sent");
       }},
      {"sleep", [](const words& w) { return result_of(::usleep(1000 * static_cast<useconds_t>(number(w[1])))); }},
  };
  return table;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> results;
  for (int i = 1; i < argc; ++i) {
    std::string name;
    std::istringstream line(argv[i]);
    words parts;
    for (std::string word; line >> word;) {
      const auto equal = word.find('=');
      if (parts.empty() && equal != std::string::npos) {
        name = word.substr(0, equal);
        word.erase(0, equal + 1);
      }
      parts.push_back(word[0] == '$' ? results.at(word.substr(1)) : word);
    }
    if (parts[0] == "exec") {
      std::cout.flush();
      argv[i] = argv[0];
      ::execv("/proc/self/exe", argv + i);
      return 3;
    }
    if (parts[0] == "spawn") {
      argv[i] = argv[0];
      return spawn(argv + i);
    }
    const auto result = steps().at(parts[0])(parts);
    std::cout << argv[i] << ": " << result << std::endl;
    if (!name.empty()) results[name] = result.substr(0, result.find(' '));
  }
  return 0;
}
