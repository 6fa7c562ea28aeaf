// SPDX-License-Identifier: MIT OR Apache-2.0
// report [FILE]: a service that reports what sd::listen_fds() returned, to every client and in FILE:
//
//   pid 42
//   descriptors 2
//   3 "web" stream inet 127.0.0.1:80 close-on-exec
//   4 unnamed datagram unix /run/socket inherited
//   in a child: 4
//   error: ...
//
// The last lines name the descriptors that a program that it executes finds open, and the exception. The data that a
// client sends is sent back after the report. The service exits if it has nothing to serve.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

std::string describe(const sd::listen_fd& passed) {
  const int fd = passed.fd.get();
  std::string line = std::to_string(fd) + (passed.name ? " \"" + *passed.name + '"' : " unnamed");
  line += ' ' + to_string(sd::describe(fd));
  const int flags = ::fcntl(fd, F_GETFD);
  return line + ((flags & FD_CLOEXEC) != 0 ? " close-on-exec\n" : " inherited\n");
}

constexpr const char* list_descriptors = "--list-descriptors";

void print_open_descriptors() {
  for (int fd = 3; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) std::cout << ' ' << fd;
  }
}

std::string open_in_child(const std::string& own_path) {
  const auto command = own_path + ' ' + list_descriptors;
  const std::unique_ptr<FILE, int (*)(FILE*)> child(::popen(command.c_str(), "re"), ::pclose);
  if (!child) throw std::system_error(errno, std::generic_category(), "popen");
  std::string text;
  for (int c = 0; (c = std::fgetc(child.get())) != EOF;) text += static_cast<char>(c);
  return text;
}

std::string make_report(const std::vector<sd::listen_fd>& passed, const std::string& own_path) {
  std::string text = "descriptors " + std::to_string(passed.size()) + '\n';
  for (const auto& entry : passed) text += describe(entry);
  return text + "in a child:" + open_in_child(own_path) + '\n';
}

void reply_to_connection(int client, const std::string& report) {
  std::string words;
  std::array<char, 256> buffer;
  for (ssize_t n = 0; (n = ::recv(client, buffer.data(), buffer.size(), 0)) > 0;) {
    words.append(buffer.data(), static_cast<std::size_t>(n));
  }
  const std::string text = report + words;
  ::send(client, text.data(), text.size(), MSG_NOSIGNAL);
}

void reply_to_datagram(int socket, const std::string& report) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  std::array<char, 256> buffer;
  const ssize_t n = ::recvfrom(socket, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size);
  if (n < 0) return;
  const std::string text = report + std::string(buffer.data(), static_cast<std::size_t>(n));
  ::sendto(socket, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&peer), size);
}

void serve(const std::vector<sd::listen_fd>& passed, const std::string& report) {
  std::vector<pollfd> waiting;
  waiting.reserve(passed.size());
  for (const auto& entry : passed) waiting.push_back({entry.fd.get(), POLLIN, 0});
  while (!waiting.empty()) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0) throw std::system_error(errno, std::generic_category(), "poll");
    for (auto entry = waiting.begin(); entry != waiting.end();) {
      const bool ready = entry->revents != 0;
      const int fd = entry->fd;
      const auto actual = sd::describe(fd).kind;
      if (ready && (actual == sd::kind::stream || actual == sd::kind::seqpacket)) {
        const sd::unique_fd connection(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
        reply_to_connection(connection.get(), report);
      } else if (ready && actual == sd::kind::datagram) {
        reply_to_datagram(fd, report);
      } else if (ready) {
        reply_to_connection(fd, report);
        entry = waiting.erase(entry);
        continue;
      }
      ++entry;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == list_descriptors) {
    print_open_descriptors();
    return 0;
  }
  std::vector<sd::listen_fd> passed;
  std::string report = "pid " + std::to_string(::getpid()) + '\n';
  try {
    passed = sd::listen_fds();
    report += make_report(passed, argv[0]);
  } catch (const std::exception& error) {
    report += "error: " + std::string(error.what()) + '\n';
  }
  if (argc == 2) std::ofstream(argv[1]) << report;
  try {
    serve(passed, report);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "report: " << error.what() << '\n';
    return 1;
  }
}
