// SPDX-License-Identifier: MIT OR Apache-2.0
// Calls libsd-daemon and libsystemd with the same variables and arguments. They may differ in what docs/sd-daemon.md
// lists.
//
// Besides the variables, an input has call=NUMBER, and unset=NUMBER.
//
// call=0 is sd_listen_fds(), with form=, open=, hole= and close_on_exec=, as in receive_call. call=1 is
// sd_watchdog_enabled(). call=2 is sd_notify(), with state=TEXT, and function=NUMBER, fds=NUMBER and pid=NUMBER for its
// variants; in NOTIFY_SOCKET, $DIRECTORY/notify is a socket. call=3 is sd_is_socket_sockaddr() for each size of an
// address, with socket=NUMBER, type=NUMBER and listening=NUMBER; address=TEXT, which may contain $IPV4_PORT or
// $IPV6_PORT, and xor=BYTES make the address.
#include <sd/address.hpp>
#include <sd/unique_fd.hpp>

#include "calls.hpp"
#include "detail/receive.hpp"
#include "directory.hpp"
#include "input.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using sd::fuzz::require;
using sd::fuzz::settings;
using sd::test::documented;
using sd::test::library;
using sd::test::manager;
using sd::test::notify_call;
using sd::test::observation;
using sd::test::receive_call;
using sd::test::watchdog_call;

sd::unique_fd listening(const char* where, int type, int& port) {
  sd::address address(where);
  sd::unique_fd fd(::socket(address.family(), type | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(address.size());
  // Without IPv6, the socket has no address.
  const bool is_bound = ::bind(fd.get(), static_cast<const sockaddr*>(address.data()), size) == 0;
  if (is_bound && type == SOCK_STREAM) ::listen(fd.get(), 1);
  sockaddr_in6 bound{};
  socklen_t length = sizeof bound;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  port = ntohs(bound.sin6_port);  // that of IPv4 is at the same place
  return fd;
}

/// Returns the inode number in pidfs. 0 if the kernel has no such numbers.
std::uint64_t own_pidfdid() {
  std::uint64_t number = 0;
  return sd::detail::pidfd_inode(::getpid(), number) > 0 ? number : 0;
}

/// The objects that inputs refer to.
struct world {
  world() {
    int ignored = 0;
    sockets.push_back(listening("127.0.0.1:0", SOCK_STREAM, port));
    sockets.push_back(listening(("127.0.0.1:" + std::to_string(port)).c_str(), SOCK_DGRAM, ignored));
    sockets.push_back(listening("[::1]:0", SOCK_STREAM, port6));
    sockets.push_back(listening((directory.path() + "/stream").c_str(), SOCK_STREAM, ignored));
    sockets.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    sockets.emplace_back();
  }

  library ours = sd::test::load(SD_DAEMON);
  library theirs = sd::test::load("libsystemd.so.0");
  sd::test::directory directory;
  std::array<manager, 1> managers{manager(directory.path() + "/notify")};
  std::vector<sd::unique_fd> sockets;
  int port = 0;
  int port6 = 0;
  std::uint64_t pidfdid = own_pidfdid();
};
world* all = nullptr;

void print(const char* name, const observation& seen) {
  std::fprintf(stderr, "%s:\n", name);
  for (const auto& [what, value] : seen) std::fprintf(stderr, "  %s: %s\n", what.c_str(), value.c_str());
}

void compare(const std::string& call, const observation& theirs, const observation& ours,
             const std::optional<documented>& allowed = std::nullopt) {
  if (theirs == ours) return;
  const bool is_right = allowed && (!allowed->result || ours.at("result") == std::to_string(*allowed->result));
  if (is_right) return;
  std::fprintf(stderr, "%s\n", call.c_str());
  print("libsystemd", theirs);
  print("sd-daemon", ours);
  require(false);
}

int unset(const settings& input) { return input.number("unset", 2) - 1; }

void receive(const settings& input) {
  receive_call call;
  call.pid = input.find("LISTEN_PID");
  call.pidfdid = input.find("LISTEN_PIDFDID");
  call.count = input.find("LISTEN_FDS");
  call.first_fd = input.find("LISTEN_FDS_FIRST_FD");
  call.names = input.find("LISTEN_FDNAMES");
  call.open = input.number("open", receive_call::last - receive_call::first);
  call.hole = input.number("hole", receive_call::last);
  call.close_on_exec = input.number("close_on_exec", 1) != 0;
  call.unset_environment = unset(input);
  constexpr std::array forms{receive_call::without_names, receive_call::null_names, receive_call::wants_names};
  call.form = forms[static_cast<std::size_t>(input.number("form", 2))];
  const auto ours = call.of(all->ours);
  const auto theirs = call.of(all->theirs);
  compare(call.text(), theirs, ours, allowed(call, theirs, ours, all->theirs));
  require(ours == call.expected(all->pidfdid));
  receive_call().arrange();
}

void watch(const settings& input) {
  const watchdog_call call{input.find("WATCHDOG_USEC"), input.find("WATCHDOG_PID"), unset(input), true};
  const auto ours = call.of(all->ours);
  const auto theirs = call.of(all->theirs);
  compare(call.text(), theirs, ours, allowed(call, theirs, ours));
}

void notify(const settings& input) {
  constexpr std::array functions{"sd_notify", "sd_pid_notify", "sd_pid_notify_with_fds"};
  notify_call call;
  call.where = input.find("NOTIFY_SOCKET");
  call.function = functions[static_cast<std::size_t>(input.number("function", functions.size() - 1))];
  call.state = input.find("state");
  call.unset_environment = unset(input);
  if (call.function != functions.front()) call.pid = input.number("pid", 1) == 0 ? 0 : ::getpid();
  if (call.has_fds()) call.fds.assign(static_cast<std::size_t>(input.number("fds", 260)), STDIN_FILENO);
  const auto ours = call.of(all->ours, all->managers);
  const auto theirs = call.of(all->theirs, all->managers);
  compare(call.text(), theirs, ours, allowed(call, theirs, ours, all->theirs));
}

void examine(const settings& input) {
  const auto socket = static_cast<std::size_t>(input.number("socket", static_cast<int>(all->sockets.size()) - 1));
  const int type = input.number("type", 6);
  const int listening = input.number("listening", 2) - 1;
  sockaddr_storage storage{};
  std::error_code ec;
  const sd::address where(input.find("address").value_or(""), ec);
  std::memcpy(&storage, where.data(), where.size());
  const auto changes = input.find("xor").value_or("");
  for (std::size_t i = 0; i < std::min(changes.size(), sizeof storage); ++i) {
    reinterpret_cast<char*>(&storage)[i] = static_cast<char>(reinterpret_cast<char*>(&storage)[i] ^ changes[i]);
  }
  for (std::size_t size = 1; size < sizeof(sockaddr_in6) + 2; ++size) {
    // A copy of that size, so that a sanitizer notices a read beyond its end.
    const std::vector<char> bytes(reinterpret_cast<char*>(&storage), reinterpret_cast<char*>(&storage) + size);
    const auto* const address = reinterpret_cast<const sockaddr*>(bytes.data());
    const auto result_of = [&](const library& library) {
      const int result =
          library.is_socket_sockaddr(all->sockets[socket].get(), type, address, static_cast<unsigned>(size), listening);
      return observation{{"result", std::to_string(result)}};
    };
    compare("sd_is_socket_sockaddr() with a size of " + std::to_string(size), result_of(all->theirs),
            result_of(all->ours));
  }
}

/// Returns whether an address is one of this program's, or none.
bool is_own(const void* address, std::size_t size) {
  if (address == nullptr || size == 0) return true;
  const sd::address to = sd::address::from_sockaddr(address, size);
  return to.family() == AF_UNIX && to.path().substr(0, all->directory.path().size()) == all->directory.path();
}

}  // namespace

// Both libraries call these functions instead of those of the C library, so that no input reaches other programs.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" {
int connect(int fd, const sockaddr* address, socklen_t size) {
  if (is_own(address, size)) return static_cast<int>(::syscall(SYS_connect, fd, address, size));
  errno = ECONNREFUSED;
  return -1;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (is_own(message->msg_name, message->msg_namelen)) return ::syscall(SYS_sendmsg, fd, message, flags);
  errno = ECONNREFUSED;
  return -1;
}

int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
  // The descriptors of receive_call stay free.
  receive_call occupied;
  occupied.open = receive_call::last - receive_call::first + 1;
  occupied.arrange();
  all = new world;
  if (all->ours.listen_fds == nullptr) sd::fuzz::skip("cannot load " SD_DAEMON);
  if (all->theirs.listen_fds == nullptr) sd::fuzz::skip("there is no libsystemd.so.0 to compare with");
  std::atexit([] { delete all; });
  return 0;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const settings input(sd::fuzz::text_of(data, size), {{"PID", std::to_string(::getpid())},
                                                       {"ID", std::to_string(all->pidfdid)},
                                                       {"IPV6_PORT", std::to_string(all->port6)},
                                                       {"IPV4_PORT", std::to_string(all->port)},
                                                       {"DIRECTORY", all->directory.path()}});
  constexpr std::array calls{receive, watch, notify, examine};
  calls[static_cast<std::size_t>(input.number("call", calls.size() - 1))](input);
  return 0;
}
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
