// SPDX-License-Identifier: MIT OR Apache-2.0
// accepting JOURNAL [--two]: a service that sends back what each client sends, one client after the other. It finishes
// with a client that it has accepted before it exits on SIGTERM. It may be passed a single connection instead. With
// --two, it has a second process, which only waits for a signal.
//
// The journal tells which clients were accepted, even if the service is killed. The service appends a record before it
// accepts a connection, and another one afterwards. See accepting.hpp for the records.
#include "accepting.hpp"

#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/socket.hpp>
#include <sd/unique_fd.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <system_error>

namespace {

using sd::activate::test::accepted_none;
using sd::activate::test::accepting;

volatile std::sig_atomic_t is_stopped = 0;

/// Returns the number of a client, which is in its address.
std::uint32_t number_of(const sockaddr_storage& peer, socklen_t size) {
  if (peer.ss_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, &peer, sizeof address);
    return ntohl(address.sin_addr.s_addr) - INADDR_LOOPBACK;
  }
  sockaddr_un address{};
  std::memcpy(&address, &peer, sizeof address);
  const std::string name(address.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1);
  return static_cast<std::uint32_t>(std::stoul(name.substr(name.rfind('-') + 1)));
}

void append(int journal, std::uint32_t record) {
  if (::write(journal, &record, sizeof record) != sizeof record) std::abort();
}

void echo(int connection) {
  std::array<char, 256> buffer;
  const auto received = ::recv(connection, buffer.data(), buffer.size(), 0);
  if (received > 0) ::send(connection, buffer.data(), static_cast<std::size_t>(received), MSG_NOSIGNAL);
}

void serve(int listener, int journal) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  append(journal, accepting);
  const sd::unique_fd connection(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
  append(journal, connection ? number_of(peer, size) : accepted_none);
  if (connection) echo(connection.get());
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) return 2;
  if (argc > 2 && ::fork() == 0) ::pause();
  const sd::unique_fd journal(::open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  // SIGTERM is handled only while the service waits.
  sigset_t blocked;
  sigset_t unblocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &unblocked);
  struct sigaction action {};
  action.sa_handler = [](int) { is_stopped = 1; };
  ::sigaction(SIGTERM, &action, nullptr);

  const auto fds = sd::listen_fds();
  const int listener = fds.at(0).fd.get();
  if (sd::describe(listener).kind == sd::kind::connection) {
    echo(listener);
    return 0;
  }
  ::fcntl(listener, F_SETFL, O_NONBLOCK);  // several processes accept
  std::error_code without_manager;
  sd::notify(sd::state::ready(), without_manager);
  while (is_stopped == 0) {
    pollfd waiting{listener, POLLIN, 0};
    if (::ppoll(&waiting, 1, nullptr, &unblocked) > 0) serve(listener, journal.get());
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "accepting: " << error.what() << '\n';
  return 4;
}
