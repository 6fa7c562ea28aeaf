// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that takes the steps of its arguments, and prints the result of each: a number or text, or the name of an
// errno. A word NAME of `NAME=STEP` stands for the result in later steps, as $NAME. It does not know libsd-adopt.
//
//   socket FAMILY TYPE [nonblock] [cloexec]   the new descriptor
//   set FD OPTION VALUE / get FD OPTION       socket options, by the names of the table below
//   bind FD ADDRESS / listen FD
//   flags FD               "cloexec" and "nonblock", where they are set
//   name FD / peer FD      the family and the address that the kernel tells
//   accept FD              the connection, and the family of its peer
//   receive FD             a datagram, which is sent back; prints the family of the sender
//   cancel-accept FD       a thread that waits in accept() and is cancelled
//   dup FD / dup2 FD NUMBER / close FD
//   close-all METHOD       all descriptors from 3 on, by loop, close_range, closefrom or proc
//   epoll FD               a new epoll instance, in which FD is registered
//   wait EPOLL             the descriptor that an event names
//   unlink, remove, unlinkat PATH / rename FROM TO / chmod, chown PATH
//   exists PATH / mode PATH
//   shutdown FD
//   fork                   goes on in the child; the parent waits for it
//   vfork-close FD         closes the descriptor in a child of vfork()
//   exec                   executes this program again, with the other steps
//   clear-environment
//   user                   drops privileges
//   open PATH              a file, as descriptor 2 if that is closed
//   descriptors            the open descriptors
//   variable NAME
//   serve FD               answers each connection with the process id, without end
//   notify                 sends READY=1
//   sleep MILLISECONDS
#include <sd/address.hpp>
#include <sd/notify.hpp>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
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

std::string result_of(long result) { return result < 0 ? ::strerrorname_np(errno) : std::to_string(result); }

/// Returns -1 for the name of an errno.
int number(const std::string& word) { return std::isupper(word[0]) != 0 ? -1 : std::stoi(word); }

std::string text_of(const sockaddr_storage& storage, socklen_t size) {
  const auto where = sd::address::from_sockaddr(&storage, size);
  const char* const family = where.family() == AF_INET ? "inet" : where.family() == AF_INET6 ? "inet6" : "other";
  return std::string(family) + ' ' + to_string(where);
}

template <class Call>
std::string address_from(Call call) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const int result = call(reinterpret_cast<sockaddr*>(&storage), &size);
  return result < 0 ? result_of(result) : text_of(storage, size);
}

std::string family_of(const sockaddr_storage& storage) {
  return storage.ss_family == AF_INET ? "inet" : storage.ss_family == AF_INET6 ? "inet6" : "other";
}

/// Waits for ten seconds at most, so that a test that fails ends.
bool is_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, 10'000) > 0;
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

using step = std::function<std::string(const words&)>;

const std::map<std::string, step>& steps() {
  static const std::map<std::string, step> table = {
      {"socket",
       [](const words& w) {
         int type = w[2] == "stream" ? SOCK_STREAM : w[2] == "datagram" ? SOCK_DGRAM : SOCK_SEQPACKET;
         for (const auto& word : w) type |= word == "nonblock" ? SOCK_NONBLOCK : word == "cloexec" ? SOCK_CLOEXEC : 0;
         return result_of(::socket(w[1] == "inet" ? AF_INET : w[1] == "inet6" ? AF_INET6 : AF_UNIX, type, 0));
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
         const sd::address where(w[2]);
         return result_of(
             ::bind(number(w[1]), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())));
       }},
      {"listen", [](const words& w) { return result_of(::listen(number(w[1]), 7)); }},
      {"flags",
       [](const words& w) {
         std::string all = (::fcntl(number(w[1]), F_GETFD) & FD_CLOEXEC) != 0 ? "cloexec" : "";
         if ((::fcntl(number(w[1]), F_GETFL) & O_NONBLOCK) != 0) all += all.empty() ? "nonblock" : " nonblock";
         return all;
       }},
      {"name",
       [](const words& w) {
         return address_from([&](sockaddr* to, socklen_t* size) { return ::getsockname(number(w[1]), to, size); });
       }},
      {"peer",
       [](const words& w) {
         const auto text =
             address_from([&](sockaddr* to, socklen_t* size) { return ::getpeername(number(w[1]), to, size); });
         return text.substr(0, text.find(':'));
       }},
      {"accept",
       [](const words& w) {
         if (!is_readable(number(w[1]))) return std::string("nothing");
         sockaddr_storage storage{};
         socklen_t size = sizeof(sockaddr_in);  // what a program of IPv4 provides
         const int fd = ::accept(number(w[1]), reinterpret_cast<sockaddr*>(&storage), &size);
         return fd < 0 ? result_of(fd) : std::to_string(fd) + ' ' + family_of(storage) + ' ' + std::to_string(size);
       }},
      {"receive",
       [](const words& w) {
         if (!is_readable(number(w[1]))) return std::string("nothing");
         char data[64];
         sockaddr_storage storage{};
         socklen_t size = sizeof storage;
         const auto count =
             ::recvfrom(number(w[1]), data, sizeof data, 0, reinterpret_cast<sockaddr*>(&storage), &size);
         if (count < 0) return result_of(count);
         const auto sent = ::sendto(number(w[1]), data, static_cast<std::size_t>(count), 0,
                                    reinterpret_cast<sockaddr*>(&storage), size);
         return family_of(storage) + ' ' + result_of(sent);
       }},
      {"receive-message",
       [](const words& w) {
         if (!is_readable(number(w[1]))) return std::string("nothing");
         char data[64];
         sockaddr_storage storage{};
         iovec part{data, sizeof data};
         alignas(cmsghdr) char control[128];
         msghdr header{};
         header.msg_name = &storage;
         header.msg_namelen = sizeof(sockaddr_in);
         header.msg_iov = &part;
         header.msg_iovlen = 1;
         header.msg_control = control;
         header.msg_controllen = sizeof control;
         const auto count = ::recvmsg(number(w[1]), &header, 0);
         if (count < 0) return result_of(count);
         std::string all = std::to_string(count) + ' ' + family_of(storage) + ' ' + std::to_string(header.msg_namelen);
         const cmsghdr* const first = CMSG_FIRSTHDR(&header);
         if (first != nullptr && first->cmsg_type == IP_PKTINFO) all += " IP_PKTINFO";
         header.msg_iov->iov_len = static_cast<std::size_t>(count);
         header.msg_control = nullptr;
         header.msg_controllen = 0;
         ::sendmsg(number(w[1]), &header, 0);
         return all;
       }},
      {"cancel-accept", [](const words& w) { return cancel_accept(number(w[1])); }},
      {"dup", [](const words& w) { return result_of(::dup(number(w[1]))); }},
      {"dup2", [](const words& w) { return result_of(::dup2(number(w[1]), number(w[2]))); }},
      {"close", [](const words& w) { return result_of(::close(number(w[1]))); }},
      {"close-all", [](const words& w) { return close_all(w[1]); }},
      {"epoll",
       [](const words& w) {
         const int fd = ::epoll_create1(0);
         if (fd < 0) return result_of(fd);
         epoll_event event{EPOLLIN, {}};
         event.data.u64 = 0x123456789abcdef0U;
         const int result = ::epoll_ctl(fd, EPOLL_CTL_ADD, number(w[1]), &event);
         return result_of(result < 0 ? result : fd);
       }},
      {"wait",
       [](const words& w) {
         epoll_event event{};
         const int count = ::epoll_wait(number(w[1]), &event, 1, 10'000);
         return count == 1 && event.data.u64 == 0x123456789abcdef0U ? std::string("event") : result_of(count);
       }},
      {"unlink", [](const words& w) { return result_of(::unlink(w[1].c_str())); }},
      {"remove", [](const words& w) { return result_of(std::remove(w[1].c_str())); }},
      {"unlinkat", [](const words& w) { return result_of(::unlinkat(AT_FDCWD, w[1].c_str(), 0)); }},
      {"rename", [](const words& w) { return result_of(std::rename(w[1].c_str(), w[2].c_str())); }},
      {"renameat",
       [](const words& w) { return result_of(::renameat(AT_FDCWD, w[1].c_str(), AT_FDCWD, w[2].c_str())); }},
      {"chmod", [](const words& w) { return result_of(::chmod(w[1].c_str(), 0600)); }},
      {"fchmodat", [](const words& w) { return result_of(::fchmodat(AT_FDCWD, w[1].c_str(), 0600, 0)); }},
      {"chown", [](const words& w) { return result_of(::chown(w[1].c_str(), 65534, 65534)); }},
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
         const pid_t child = ::vfork();
         if (child == 0) {
           ::close(fd);
           ::_exit(0);
         }
         int status = 0;
         ::waitpid(child, &status, 0);
         return std::to_string(status);
       }},
      {"limit",
       [](const words& w) {
         const rlimit limit{static_cast<rlim_t>(number(w[1])), static_cast<rlim_t>(number(w[1]))};
         return result_of(::setrlimit(RLIMIT_NOFILE, &limit));
       }},
      {"clear-environment", [](const words&) { return result_of(::clearenv()); }},
      {"user", [](const words&) { return result_of(::setgid(65534) < 0 ? -1 : ::setuid(65534)); }},
      {"open", [](const words& w) { return result_of(::open(w[1].c_str(), O_RDWR | O_CREAT, 0600)); }},
      {"descriptors", [](const words&) { return open_descriptors(); }},
      {"variable",
       [](const words& w) {
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
    const auto result = steps().at(parts[0])(parts);
    std::cout << argv[i] << ": " << result << std::endl;
    if (!name.empty()) results[name] = result.substr(0, result.find(' '));
  }
  return 0;
}
