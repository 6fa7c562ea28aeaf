// SPDX-License-Identifier: MIT OR Apache-2.0
// Sends datagrams of any bytes, with descriptors, to the notify socket of sd-activate, and stores the descriptors.
//
// The datagrams are separated by a line "---". The first line of each has the number of its descriptors and, after a
// blank, the number of bytes that are added to it.
#include <sd/address.hpp>

#include "descriptor_store.hpp"
#include "events.hpp"
#include "input.hpp"
#include "notify_socket.hpp"
#include "values.hpp"

#include <asio/io_context.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace {

using sd::fuzz::require;
using namespace sd::activate;

constexpr std::size_t most_attached = 253;
constexpr std::size_t most_stored = 20;
constexpr std::size_t longest_message = 65536;

/// Returns the number of open descriptors.
std::size_t open_descriptors() {
  const int lowest = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  std::size_t count = 0;
  for (int fd = 0; fd < lowest + 400; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1U : 0U;
  ::close(lowest);
  return count - 1;
}

struct datagram {
  std::size_t fds = 0;
  std::string text;
};

datagram read(std::string_view text) {
  const auto line = text.substr(0, text.find('\n'));
  datagram result{0, std::string(text.substr(std::min(line.size() + 1, text.size())))};
  const char* const end = line.data() + line.size();
  std::size_t added = 0;
  const auto number = std::from_chars(line.data(), end, result.fds);
  if (number.ptr != end) std::from_chars(number.ptr + 1, end, added);
  if (result.fds > most_attached) result.fds %= 4;  // Many descriptors take long.
  result.text.append(added % 100'000, 'x');
  return result;
}

/// Opens a file, or a pipe whose other end is closed, which the store removes.
sd::unique_fd open_file(std::size_t number) {
  constexpr std::array files{"/dev/null", "/dev/zero", "/"};
  if (number % 4 < files.size()) return sd::unique_fd(::open(files[number % 4], O_RDONLY | O_CLOEXEC));
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC) == 0);
  ::close(ends[1]);
  return sd::unique_fd(ends[0]);
}

/// Returns whether the kernel took the message.
bool send(int fd, const datagram& message) {
  std::vector<sd::unique_fd> files;
  std::vector<int> numbers;
  for (std::size_t i = 0; i < message.fds; ++i) {
    files.push_back(open_file(i));
    numbers.push_back(files.back().get());
  }
  auto text = message.text;
  iovec piece{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_attached * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  if (!numbers.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(numbers.size() * sizeof(int));
    auto* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), numbers.data(), numbers.size() * sizeof(int));
  }
  return ::sendmsg(fd, &header, MSG_DONTWAIT) >= 0;
}

void require_fields(const notification& message, std::string_view text) {
  auto field = message.fields.begin();
  for (const auto line : sd::fuzz::split(text, "\n")) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    require(field != message.fields.end());
    require(field->first == line.substr(0, equals) && field->second == line.substr(equals + 1));
    ++field;
  }
  require(field == message.fields.end());
}

/// Is shared by all inputs, because it is slow to create.
struct environment {
  environment() {
    const sd::address where(receiver.address());
    const auto size = static_cast<socklen_t>(where.size());
    require(::connect(sender.get(), static_cast<const sockaddr*>(where.data()), size) == 0);
  }

  notify_socket receiver;
  sd::unique_fd sender{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  asio::io_context io;
};
environment* all = nullptr;

void run(std::string_view text) {
  const event_log log(verbosity::quiet, -1);
  std::vector<sd::listen_fd> passed(2);
  descriptor_store store(all->io, passed, most_stored, "fuzzed.service", log);
  for (const auto part : sd::fuzz::split(text, "\n---\n")) {
    const auto sent = read(part);
    if (!send(all->sender.get(), sent)) continue;
    auto message = all->receiver.receive();
    require(message.has_value());
    require(!all->receiver.receive());
    const bool is_too_long = sent.text.size() > longest_message;
    require(message->pid == (is_too_long ? 0 : ::getpid()));
    if (is_too_long) continue;
    require(message->fds.size() == sent.fds);
    for (const auto& fd : message->fds) require(::fcntl(fd.get(), F_GETFD) == FD_CLOEXEC);
    require_fields(*message, sent.text);
    store.handle(*message);
    all->io.poll();
    require(passed.size() >= 2 && passed.size() <= 2 + most_stored);
    for (auto stored = passed.begin() + 2; stored != passed.end(); ++stored) {
      require(::fcntl(stored->fd.get(), F_GETFD) == FD_CLOEXEC);
      require(stored->name && is_fd_name(*stored->name));
    }
  }
  store.clear();
  require(passed.size() == 2);
}

}  // namespace

extern "C" {
// The warnings of the store would hide what the fuzzer prints. NOLINTBEGIN: the linker chose the names
ssize_t __real_write(int fd, const void* data, std::size_t size);
ssize_t __wrap_write(int fd, const void* data, std::size_t size);
ssize_t __wrap_write(int fd, const void* data, std::size_t size) {
  return fd == STDERR_FILENO ? static_cast<ssize_t>(size) : __real_write(fd, data, size);
}
// NOLINTEND
}

extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
  all = new environment;
  run("");  // Asio opens some descriptors with the first store.
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto before = open_descriptors();
  run(sd::fuzz::text_of(data, size));
  require(open_descriptors() == before);
  return 0;
}
