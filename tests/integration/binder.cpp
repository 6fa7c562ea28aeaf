// SPDX-License-Identifier: MIT OR Apache-2.0
// The program that bind_test starts. It takes or binds an address, reports the result in lines, and echoes one message
// to each client until SIGTERM.
//
//   binder ADDRESS REPORT [OPTION[=VALUE]...]
//
// REPORT is a fifo. The options are those of sd::bind_options and those that main() reads.

#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>

#include "bind_hook.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace {

using words = std::map<std::string, std::string>;

volatile std::sig_atomic_t stopping = 0;

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

words words_of(char** begin, char** end) {
  words result;
  for (char** word = begin; word != end; ++word) {
    const std::string text = *word;
    const auto equals = text.find('=');
    result[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  return result;
}

std::optional<unsigned> number(const words& given, const std::string& name, int base) {
  const auto found = given.find(name);
  if (found == given.end()) return std::nullopt;
  return static_cast<unsigned>(std::stoul(found->second, nullptr, base));
}

std::string text(const words& given, const std::string& name) {
  const auto found = given.find(name);
  return found == given.end() ? "" : found->second;
}

sd::bind_options options_of(const words& given) {
  sd::bind_options options;
  for (const auto kind : {sd::kind::seqpacket, sd::kind::datagram, sd::kind::fifo}) {
    if (text(given, "kind") == sd::to_string(kind)) options.kind = kind;
  }
  options.socket_mode = number(given, "mode", 8).value_or(options.socket_mode);
  options.socket_uid = number(given, "user", 10);
  options.socket_gid = number(given, "group", 10);
  options.directory_mode = number(given, "directory-mode", 8).value_or(options.directory_mode);
  if (text(given, "nonblocking") == "on") options.nonblocking = sd::nonblocking::on;
  if (text(given, "nonblocking") == "off") options.nonblocking = sd::nonblocking::off;
  if (text(given, "ipv6") == "both") options.ipv6 = sd::bind_ipv6_only::both;
  if (text(given, "ipv6") == "ipv6_only") options.ipv6 = sd::bind_ipv6_only::ipv6_only;
  return options;
}

// --- reporting -------------------------------------------------------------------------------------------------------

std::ofstream report;

void say(const std::string& line) { report << line << std::endl; }

std::string open_descriptors() {
  std::string all;
  for (int fd = 0; fd < 256; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) all += ' ' + std::to_string(fd);
  }
  return all;
}

std::uint64_t inode(int fd) {
  struct stat status;
  check(::fstat(fd, &status), "fstat");
  return status.st_ino;
}

void describe(const sd::server_socket& server, const std::vector<sd::listen_fd>& fds) {
  const auto what = sd::describe(server.get());
  say(std::string("origin ") + (server.origin() == sd::origin::passed ? "passed" : "bound"));
  say("socket " + std::to_string(inode(server.get())));
  say("at " + sd::to_string(what.local));
  say("is " + sd::to_string(what));
  say("path " + server.path());
  say("left " + sd::to_string(fds));
}

// --- events right after bind(2) --------------------------------------------------------------------------------------

words at_bind;                 // what to do then, from the options
int lock_file = -1;            // another descriptor of the lock file
pid_t forked = 0;              // a child that inherited every descriptor
std::string inherited_before;  // descriptors that a program would inherit if it was started before
std::string inherited;         // and if it was started then

/// Lists the descriptors past standard error that are not close-on-exec.
std::string inheritable_descriptors() {
  std::string all;
  for (int fd = 3; fd < 256; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && flags != FD_CLOEXEC) all += ' ' + std::to_string(fd);
  }
  return all;
}

/// Does what an attacker who may write to the directory could do.
void replace(const std::string& path, const std::string& how) {
  namespace files = std::filesystem;
  const auto victim = text(at_bind, "victim");
  const auto directory = files::path(path).parent_path();
  if (how == "directory") {
    files::rename(directory, directory.string() + ".moved");
    files::create_directory_symlink(victim, directory);
    return;
  }
  files::rename(path, path + ".moved");
  if (how == "symlink") files::create_symlink(victim, path);
  if (how == "link") files::create_hard_link(victim, path);
  if (how == "rename") files::rename(victim, path);
  if (how == "file") std::ofstream(path).close();
  if (how == "removed") files::remove(path + ".moved");
}

void on_bind(const void* address) {
  if (static_cast<const sockaddr*>(address)->sa_family != AF_UNIX) return;
  const std::string path = static_cast<const sockaddr_un*>(address)->sun_path;
  inherited = inheritable_descriptors();
  if (at_bind.count("die") != 0) ::raise(SIGKILL);
  if (at_bind.count("fork-at-bind") != 0) {
    lock_file = check(::open((path + ".sd-lock").c_str(), O_RDWR | O_CLOEXEC), "open the lock file");
    forked = check(::fork(), "fork");
    while (forked == 0) ::pause();
  }
  if (const auto how = text(at_bind, "replace"); !how.empty()) replace(path, how);
}

/// Replaces a path before the first attempt to find out whether its socket is dead.
void on_connect(const void* address) {
  sd::test::before_connect = nullptr;
  replace(static_cast<const sockaddr_un*>(address)->sun_path, text(at_bind, "replace-at-probe"));
}

/// Reports what became of the lock that the forked child still has a descriptor of.
void report_lock() {
  if (forked == 0) return;
  say(::flock(lock_file, LOCK_EX | LOCK_NB) == 0 ? "lock released" : "lock held");
  ::kill(forked, SIGKILL);
  check(::waitpid(forked, nullptr, 0), "waitpid");
}

// --- serving ---------------------------------------------------------------------------------------------------------

void answer(int fd, bool is_datagram) {
  std::array<char, 4096> buffer;
  sockaddr_storage client{};
  socklen_t size = sizeof client;
  auto* const peer = reinterpret_cast<sockaddr*>(&client);
  if (is_datagram) {
    const ssize_t received = ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, peer, &size);
    if (received < 0) return;
    ::sendto(fd, buffer.data(), static_cast<std::size_t>(received), MSG_NOSIGNAL, peer, size);
  } else {
    const sd::unique_fd connection(::accept(fd, nullptr, nullptr));
    if (!connection) return;
    const ssize_t received = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
    if (received > 0) {
      ::send(connection.get(), buffer.data(), static_cast<std::size_t>(received), MSG_NOSIGNAL);
    }
  }
}

/// SIGTERM is blocked except while ppoll() waits, so a signal that arrived earlier stops the program as well.
void serve(int fd) {
  const bool is_datagram = sd::is_socket(fd, 0, SOCK_DGRAM);
  sigset_t none;
  sigemptyset(&none);
  while (stopping == 0) {
    pollfd readable{fd, POLLIN, 0};
    if (::ppoll(&readable, 1, nullptr, &none) > 0) answer(fd, is_datagram);
  }
}

/// Returns whether a client that connects to the address reaches this nonblocking socket.
bool is_reached(const sd::server_socket& server, const sd::address& where) {
  const sd::unique_fd client(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const auto size = static_cast<socklen_t>(where.size());
  if (::connect(client.get(), static_cast<const sockaddr*>(where.data()), size) < 0) return false;
  const sd::unique_fd connection(::accept(server.get(), nullptr, nullptr));
  return static_cast<bool>(connection);
}

/// Binds and unlinks the address repeatedly. Counts how often clients reached it, how often it was refused, and how
/// often it had bound the address but clients did not reach it.
void come_and_go(const sd::address& where, sd::bind_options options, const words& given) {
  auto times = number(given, "times", 10).value_or(1);
  const bool closes_first = given.count("close-first") != 0;
  const bool removes_directories = given.count("remove-directories") != 0;
  options.nonblocking = sd::nonblocking::on;
  int bound = 0;
  int refused = 0;
  int lost = 0;
  std::string failed = "none";
  while (times-- > 0 && stopping == 0) {
    std::vector<sd::listen_fd> none;
    try {
      auto server = sd::take_or_bind(none, where, options);
      ++(is_reached(server, where) ? bound : lost);
      if (closes_first) server.release_fd().reset();
      if (removes_directories) {
        server = {};
        const auto directory = std::filesystem::path(std::string(where.path())).parent_path();
        std::error_code stays;
        std::filesystem::remove(directory, stays);
        std::filesystem::remove(directory.parent_path(), stays);
      }
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::address_in_use) {
        ++refused;
      } else {
        failed = error.what();
      }
    }
  }
  say("bound " + std::to_string(bound));
  say("refused " + std::to_string(refused));
  say("lost " + std::to_string(lost));
  say("failed " + failed);
}

/// Cleans up in the requested way. By default the listener is destroyed as a whole.
void wind_up(sd::server_socket& server, const words& given) {
  if (given.count("release") != 0) server.keep_path();
  if (given.count("close-first") != 0) {
    const auto fd = server.release_fd();  // as into a network library, which closes it
  }
}

int bind_and_serve(const sd::address& where, const words& given) {
  const auto options = options_of(given);
  auto fds = sd::listen_fds();
  const auto open_before = open_descriptors();
  const auto list_before = sd::to_string(fds);
  sd::server_socket server;
  try {
    [[maybe_unused]] auto marked = ::write(-1, "begin", 5);
    server = sd::take_or_bind(fds, where, options);
    marked = ::write(-1, "end", 3);
  } catch (const std::system_error& error) {
    say(std::string("error ") + error.code().category().name() + ' ' + std::to_string(error.code().value()));
    say(std::string("what ") + error.what());
    const auto open = open_descriptors();
    say("open " + (open == open_before ? "as before" : open));
    const auto list = sd::to_string(fds);
    say("list " + (list == list_before ? "as before" : list));
    return 1;
  }
  describe(server, fds);
  say("inheritable" + (inherited == inherited_before ? " as before" : inherited));
  report_lock();
  if (given.count("fork") != 0) {
    const pid_t child = check(::fork(), "fork");
    if (child == 0) return 0;  // through the destructors of all that is here
    check(::waitpid(child, nullptr, 0), "waitpid");
  }
  say("serving");
  serve(server.get());
  wind_up(server, given);
  return 0;
}

void become(unsigned id, const std::optional<unsigned>& group) {
  const gid_t groups[] = {group.value_or(0)};
  check(::setgroups(group ? 1 : 0, groups), "setgroups");
  check(::setgid(id), "setgid");
  check(::setuid(id), "setuid");
}

void drop_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  check(static_cast<int>(::syscall(SYS_capget, &header, data)), "capget");
  data[capability / 32].effective &= ~(1U << (capability % 32));
  data[capability / 32].permitted &= ~(1U << (capability % 32));
  check(static_cast<int>(::syscall(SYS_capset, &header, data)), "capset");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    static_cast<void>(std::fputs("usage: binder ADDRESS REPORT [OPTION[=VALUE]...]\n", stderr));
    return 2;
  }
  try {
    const auto given = words_of(argv + 3, argv + argc);
    report.open(argv[2]);
    check(report ? 0 : -1, argv[2]);

    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    check(::sigprocmask(SIG_BLOCK, &stops, nullptr), "sigprocmask");
    struct sigaction action {};
    action.sa_handler = [](int) { stopping = 1; };
    check(::sigaction(SIGTERM, &action, nullptr), "sigaction");

    if (const auto mask = number(given, "umask", 8)) ::umask(*mask);
    if (const auto id = number(given, "become", 10)) become(*id, number(given, "supplementary", 10));
    if (given.count("no-net-admin") != 0) drop_capability(CAP_NET_ADMIN);
    sd::test::refuses_netlink = given.count("no-netlink") != 0;
    at_bind = given;
    inherited_before = inheritable_descriptors();
    sd::test::after_bind = on_bind;
    if (given.count("replace-at-probe") != 0) sd::test::before_connect = on_connect;
    if (const auto gate = text(given, "gate"); !gate.empty()) {
      say("ready");
      const sd::unique_fd opened(
          check(::open(gate.c_str(), O_RDONLY | O_CLOEXEC), "gate"));  // not before a writer does
    }
    const sd::address where(argv[1]);
    if (given.count("times") != 0) {
      come_and_go(where, options_of(given), given);
      return 0;
    }
    return bind_and_serve(where, given);
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "binder: %s\n", error.what()));
    return 3;
  }
}
