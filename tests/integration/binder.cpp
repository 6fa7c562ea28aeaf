// The program that bind_test starts: it takes or binds an address, reports in lines what it got or why it got nothing,
// and serves it, a line of words to a client, until SIGTERM.
//
//   binder ADDRESS REPORT [OPTION[=VALUE]...]
//
// REPORT is a fifo. Options are those of sd::bind_options and what stands in main().

#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
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

/// SIGTERM is blocked but while it waits here: one that came before stops it, too.
void serve(int fd) {
  const bool is_datagram = sd::is_socket(fd, 0, SOCK_DGRAM);
  sigset_t none;
  sigemptyset(&none);
  while (stopping == 0) {
    pollfd readable{fd, POLLIN, 0};
    if (::ppoll(&readable, 1, nullptr, &none) > 0) answer(fd, is_datagram);
  }
}

/// Whether a client who goes to the address gets to this socket, which is nonblocking.
bool is_reached(const sd::server_socket& server, const sd::address& where) {
  const sd::unique_fd client(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const auto size = static_cast<socklen_t>(where.size());
  if (::connect(client.get(), static_cast<const sockaddr*>(where.data()), size) < 0) return false;
  const sd::unique_fd connection(::accept(server.get(), nullptr, nullptr));
  return static_cast<bool>(connection);
}

/// Binds and goes, time after time, and counts how often it served, was refused, and bound what it did not get to
/// serve.
void come_and_go(const sd::address& where, sd::bind_options options, unsigned times, bool closes_first) {
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

/// For the end: the usual way is that the listener goes out of scope as it is.
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

void become(unsigned id) {
  check(::setgroups(0, nullptr), "setgroups");
  check(::setgid(id), "setgid");
  check(::setuid(id), "setuid");
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
    if (const auto id = number(given, "become", 10)) become(*id);
    if (const auto gate = text(given, "gate"); !gate.empty()) {
      say("ready");
      const sd::unique_fd opened(
          check(::open(gate.c_str(), O_RDONLY | O_CLOEXEC), "gate"));  // not before a writer does
    }
    const sd::address where(argv[1]);
    if (const auto times = number(given, "times", 10)) {
      come_and_go(where, options_of(given), *times, given.count("close-first") != 0);
      return 0;
    }
    return bind_and_serve(where, given);
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "binder: %s\n", error.what()));
    return 3;
  }
}
