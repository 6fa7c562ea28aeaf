// SPDX-License-Identifier: MIT OR Apache-2.0
// report ADDRESS [WORD...]: reports to the unix stream socket at a path what it was passed: its words, its variables,
// its descriptors and their options. If "streams" is among the words, it also reports its standard streams, and if
// "process" is, the properties of the process as well. It exits when the reader closes the connection, with the status
// N if there is a word "exit=N".

#include <sd/address.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

namespace {

namespace fs = std::filesystem;

std::ostringstream report;  // NOLINT(cert-err58-cpp)

struct option {
  const char* name;
  int level;
  int number;
};

constexpr option options[] = {
    {"SO_BROADCAST", SOL_SOCKET, SO_BROADCAST},
    {"SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE},
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
    {"SO_MARK", SOL_SOCKET, SO_MARK},
    {"SO_PASSCRED", SOL_SOCKET, SO_PASSCRED},
    {"SO_PASSPIDFD", SOL_SOCKET, 76},
    {"SO_PASSRIGHTS", SOL_SOCKET, 83},
    {"SO_PASSSEC", SOL_SOCKET, SO_PASSSEC},
    {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY},
    {"SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL},
    {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF},
    {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
    {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
    {"SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP},
    {"SO_TIMESTAMPNS", SOL_SOCKET, SO_TIMESTAMPNS},
    {"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND},
    {"IP_PKTINFO", IPPROTO_IP, IP_PKTINFO},
    {"IP_TOS", IPPROTO_IP, IP_TOS},
    {"IP_TRANSPARENT", IPPROTO_IP, IP_TRANSPARENT},
    {"IP_TTL", IPPROTO_IP, IP_TTL},
    {"IPV6_FREEBIND", IPPROTO_IPV6, IPV6_FREEBIND},
    {"IPV6_RECVPKTINFO", IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {"IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS},
    {"IPV6_TRANSPARENT", IPPROTO_IPV6, IPV6_TRANSPARENT},
    {"IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY},
    {"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
    {"NETLINK_PKTINFO", SOL_NETLINK, NETLINK_PKTINFO},
};

void report_text_option(int fd, const char* name, int level, int number) {
  std::array<char, 64> text{};
  socklen_t size = text.size() - 1;
  if (::getsockopt(fd, level, number, text.data(), &size) == 0) report << "  " << name << ' ' << text.data() << '\n';
}

void report_socket(int fd, const sd::description& what) {
  const bool is_internet = what.family == AF_INET || what.family == AF_INET6;
  for (const auto& [name, level, number] : options) {
    int value = 0;
    socklen_t size = sizeof value;
    // Other protocols have other options of the same numbers.
    if (level == IPPROTO_TCP && !(is_internet && what.type == SOCK_STREAM)) continue;
    if (::getsockopt(fd, level, number, &value, &size) == 0) report << "  " << name << ' ' << value << '\n';
  }
  if (what.protocol == IPPROTO_TCP && what.kind == sd::kind::stream) {
    tcp_info info{};
    socklen_t size = sizeof info;
    ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    report << "  backlog " << info.tcpi_sacked << '\n';  // which it is for a listening socket
  }
  if (what.protocol == IPPROTO_TCP) report_text_option(fd, "TCP_CONGESTION", IPPROTO_TCP, TCP_CONGESTION);
  report_text_option(fd, "SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE);
  if (what.kind == sd::kind::datagram) {
    std::array<char, 64> text{};
    const auto size = ::recv(fd, text.data(), text.size(), MSG_PEEK | MSG_DONTWAIT);
    if (size >= 0) report << "  queue " << std::string_view(text.data(), static_cast<std::size_t>(size)) << '\n';
  }
}

void report_descriptor(int fd) {
  const auto what = sd::describe(fd);
  const auto flags = static_cast<unsigned>(::fcntl(fd, F_GETFL));
  report << "descriptor " << fd << ": " << to_string(what) << '\n'
         << "  flags " << std::oct << (flags & ~static_cast<unsigned>(O_LARGEFILE)) << std::dec
         << ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? " close-on-exec\n" : "\n");
  if (what.family != 0) report_socket(fd, what);
  if (what.kind == sd::kind::fifo) report << "  size " << ::fcntl(fd, F_GETPIPE_SZ) << '\n';
  mq_attr attributes{};
  if (what.kind == sd::kind::message_queue && ::mq_getattr(fd, &attributes) == 0) {
    report << "  messages " << attributes.mq_maxmsg << " of " << attributes.mq_msgsize << '\n';
  }
}

void report_open_descriptors(int first) {
  std::set<int> open;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) open.insert(std::stoi(entry.path().filename()));
  for (const int fd : open) {
    // Without that of the directory, which is closed by now.
    if (fd >= first && ::fcntl(fd, F_GETFD) >= 0) report_descriptor(fd);
  }
}

void report_variables() {
  const auto own_pid = std::to_string(::getpid());
  std::set<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const auto equals = text.find('=');
    const bool is_pid = text.substr(equals + 1) == own_pid;
    variables.insert(is_pid ? text.substr(0, equals + 1) + "own pid" : text);
  }
  for (const auto& each : variables) report << "variable " << each << '\n';
}

void report_process() {
  const auto contents_of = [](const char* path) { return std::ifstream(path); };
  auto status = contents_of("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    for (const std::string_view name :
         {"Cap", "Gid", "Groups", "NoNewPrivs", "Seccomp:", "SigBlk", "SigIgn", "Uid", "Umask"}) {
      if (std::string_view(line).substr(0, name.size()) == name) report << line << '\n';
    }
  }
  report << contents_of("/proc/self/limits").rdbuf() << "oom score " << contents_of("/proc/self/oom_score_adj").rdbuf()
         << "nice " << ::getpriority(PRIO_PROCESS, 0) << '\n'
         << "directory " << fs::current_path().string() << '\n'
         << (::getsid(0) == ::getpid() ? "leads its session\n" : "is in the session of another process\n");
}

sd::unique_fd connect(const char* path) {
  const sd::address where(path);
  sd::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const data = static_cast<const sockaddr*>(where.data());
  if (!fd || ::connect(fd.get(), data, static_cast<socklen_t>(where.size())) < 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return fd;
}

}  // namespace

int main(int argc, char** argv) try {
  int status = 0;
  bool is_full = false;
  bool has_streams = false;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];
    constexpr std::string_view exit_status = "exit=";
    report << "word " << word << '\n';
    if (word == "process") is_full = true;
    if (word == "process" || word == "streams") has_streams = true;
    if (word.substr(0, exit_status.size()) == exit_status) status = std::stoi(argv[i] + exit_status.size());
  }
  report << "user " << ::getuid() << " group " << ::getgid() << '\n';
  report_variables();
  report_open_descriptors(has_streams ? STDIN_FILENO : STDERR_FILENO + 1);
  if (is_full) report_process();
  const auto text = report.str();
  const auto reader = connect(argv[1]);
  for (std::size_t written = 0; written < text.size();) {
    const auto size = ::write(reader.get(), text.data() + written, text.size() - written);
    if (size < 0) throw std::system_error(errno, std::generic_category(), "write");
    written += static_cast<std::size_t>(size);
  }
  ::shutdown(reader.get(), SHUT_WR);
  char end = 0;
  while (::read(reader.get(), &end, 1) > 0) continue;
  return status;
} catch (const std::exception& error) {
  std::cerr << "report: " << error.what() << '\n';
  return 111;
}
