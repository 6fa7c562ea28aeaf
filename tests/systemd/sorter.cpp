// SPDX-License-Identifier: MIT OR Apache-2.0
// sorter FILE: a service that takes the descriptors that it was passed with various selectors. It writes the descriptor
// or the error of each call to FILE. Then it accepts one client and stores the connection in systemd, so that the next
// instance is passed a connection, too.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

void store(int fd, const std::string& name) {
  const char* const where = std::getenv("NOTIFY_SOCKET");
  if (where == nullptr || *where != '/') throw std::runtime_error("NOTIFY_SOCKET is not a path");
  sockaddr_un manager{};
  manager.sun_family = AF_UNIX;
  std::string_view(where).copy(manager.sun_path, sizeof manager.sun_path - 1);
  std::string message = "FDSTORE=1\nFDNAME=" + name;
  iovec text{message.data(), message.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr header{};
  header.msg_name = &manager;
  header.msg_namelen = sizeof manager;
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  const sd::unique_fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::sendmsg(socket.get(), &header, 0) < 0) throw std::system_error(errno, std::generic_category(), "sendmsg");
}

class sorter {
 public:
  explicit sorter(std::ostream& report) : report_(report), fds_(sd::listen_fds()) {}

  sd::unique_fd one(sd::kind wanted, const sd::selector& which = {}) {
    try {
      auto fd = sd::take(fds_, wanted, which).fd;
      report_ << to_string(sd::describe(fd.get())) << '\n';
      return fd;
    } catch (const std::system_error& error) {
      report_ << "error: " << error.code().message() << '\n';
      return {};
    }
  }

  void all(sd::kind wanted, const sd::selector& which = {}) {
    for (const auto& entry : sd::take_all(fds_, wanted, which)) {
      report_ << "all: \"" << entry.name.value_or("?") << "\" " << to_string(sd::describe(entry.fd.get())) << '\n';
    }
  }

  void rest() { report_ << "left: " << fds_.size() << std::endl; }

 private:
  std::ostream& report_;
  std::vector<sd::listen_fd> fds_;
};

}  // namespace

int main(int, char** argv) {
  try {
    const std::string path = argv[1];
    std::ofstream report(path + ".new");
    sorter sort(report);
    sort.one(sd::kind::stream);
    sort.one(sd::kind::stream, sd::named("web"));
    sort.one(sd::kind::datagram, sd::named("local"));
    sort.one(sd::kind::fifo, sd::named("web"));
    sort.one(sd::kind::stream, sd::named("missing"));
    sort.one(sd::kind::datagram, sd::named("web"));
    const auto listener = sort.one(sd::kind::stream, sd::address("127.0.0.1:7402"));
    sort.one(sd::kind::seqpacket);
    sort.one(sd::kind::stream, sd::address("/run/sorted/stream"));
    sort.one(sd::kind::connection, sd::named("kept"));
    sort.all(sd::kind::stream);
    sort.one(sd::kind::fifo);
    sort.one(sd::kind::netlink, sd::named("rest"));
    sort.one(sd::kind::message_queue);
    sort.one(sd::kind::special);
    sort.rest();
    std::filesystem::rename(path + ".new", path);

    const sd::unique_fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    store(client.get(), "kept");
    ::pause();
  } catch (const std::exception& error) {
    std::cerr << "sorter: " << error.what() << '\n';
    return 1;
  }
}
