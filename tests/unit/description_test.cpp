// SPDX-License-Identifier: MIT OR Apache-2.0
// Descriptions of descriptors as text, and of files that were unlinked and sockets that cannot be examined.

#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>

#include "descriptors.hpp"
#include "directory.hpp"
#include "failing_call.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using sd::address;
using sd::kind;
using sd::unique_fd;
using sd::test::bound;
using sd::test::check;
using sd::test::directory;
using sd::test::has_option;
using sd::test::listener;
using sd::test::local_of;
using sd::test::open_file;
using sd::test::pipe_end;

TEST(kind, names) {
  const std::pair<kind, const char*> rows[] = {
      {kind::stream, "stream"},         {kind::seqpacket, "seqpacket"},
      {kind::connection, "connection"}, {kind::unconnected, "unconnected"},
      {kind::datagram, "datagram"},     {kind::raw, "raw"},
      {kind::netlink, "netlink"},       {kind::fifo, "fifo"},
      {kind::special, "special"},       {kind::message_queue, "message-queue"},
      {kind::directory, "directory"},   {kind::other, "other"},
      {static_cast<kind>(99), "?"},
  };
  for (const auto& [value, name] : rows) EXPECT_STREQ(to_string(value), name);
}

sd::description described(kind value, int family, int type, int protocol = 0, const address& local = {}) {
  sd::description what;
  what.kind = value;
  what.family = family;
  what.type = type;
  what.protocol = protocol;
  what.local = local;
  return what;
}

TEST(description, text_of_sockets) {
  const address web("127.0.0.1:80");
  const std::pair<sd::description, const char*> rows[] = {
      {{}, "other"},
      {described(kind::datagram, 99, 77), "datagram family-99 type-77 unnamed"},
      {described(kind::datagram, 99, SOCK_DGRAM, 5), "datagram family-99 unnamed"},
      {described(kind::netlink, AF_NETLINK, 77, 99), "netlink type-77 protocol-99"},
      {described(kind::stream, AF_INET, SOCK_STREAM, 0, web), "stream inet 127.0.0.1:80"},
      {described(kind::stream, AF_INET, SOCK_STREAM, IPPROTO_TCP, web), "stream inet 127.0.0.1:80"},
      {described(kind::stream, AF_INET, SOCK_STREAM, IPPROTO_UDP, web), "stream inet protocol-17 127.0.0.1:80"},
      {described(kind::stream, AF_INET, SOCK_STREAM, 262, web), "stream inet protocol-262 127.0.0.1:80"},
      {described(kind::datagram, AF_INET, SOCK_DGRAM, IPPROTO_UDP, web), "datagram inet 127.0.0.1:80"},
      {described(kind::datagram, AF_INET, SOCK_DGRAM, IPPROTO_TCP, web), "datagram inet protocol-6 127.0.0.1:80"},
      {described(kind::datagram, AF_INET6, SOCK_DGRAM, IPPROTO_TCP, address("[::]:80")),
       "datagram inet6 protocol-6 [::]:80 dual-stack"},
      {described(kind::seqpacket, AF_INET, SOCK_SEQPACKET, 132, web), "seqpacket inet protocol-132 127.0.0.1:80"},
      {described(kind::stream, AF_VSOCK, SOCK_STREAM, 0, address("vsock:2:80")), "stream vsock vsock:2:80"},
      {described(kind::stream, AF_UNIX, SOCK_STREAM, 0, address("@a\0\n"s)), R"(stream unix @a\x00\x0a)"},
  };
  for (const auto& [what, text] : rows) EXPECT_EQ(to_string(what), text);
}

TEST(description, text_of_files) {
  sd::description what;
  what.kind = kind::special;
  what.path = "/a b\x7f";
  what.nonblocking = true;
  EXPECT_EQ(to_string(what), R"(special /a b\x7f nonblocking)");
}

TEST(description, path_that_looks_like_a_wildcard_address) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::strcpy(where.sun_path, "[::]:80");  // a relative path, and nothing else
  const auto what = described(kind::stream, AF_UNIX, SOCK_STREAM, 0, address::from_sockaddr(&where, sizeof where));
  EXPECT_EQ(to_string(what), "stream unix [::]:80");
}

TEST(description, unlinked_file_has_its_last_path) {
  const directory dir;
  const auto path = dir / "file";
  const auto fd = open_file(path, O_CREAT | O_RDWR);
  check(::unlink(path.c_str()), "unlink");
  EXPECT_EQ(to_string(sd::describe(fd.get())), "special " + path);
}

TEST(description, name_that_ends_in_deleted_is_kept) {
  const directory dir;
  const auto path = dir / "file (deleted)";
  const auto fd = open_file(path, O_CREAT | O_RDWR);
  EXPECT_EQ(sd::describe(fd.get()).path, path);
  check(::unlink(path.c_str()), "unlink");
  EXPECT_EQ(sd::describe(fd.get()).path, path);
}

TEST(description, removed_directory_has_its_last_path) {
  const directory dir;
  const auto path = dir / "directory";
  check(::mkdir(path.c_str(), S_IRWXU), "mkdir");
  const auto fd = open_file(path, O_DIRECTORY | O_RDONLY);
  check(::rmdir(path.c_str()), "rmdir");
  EXPECT_EQ(to_string(sd::describe(fd.get())), "directory " + path);
}

TEST(description, path_without_deleted_is_not_cut) {
  const directory dir;
  for (const auto* const name : {"a", "0123456789"}) {  // shorter and as long
    const auto fd = open_file(dir / name, O_CREAT | O_RDWR);
    EXPECT_EQ(sd::describe(fd.get()).path, dir / name);
  }
  const unique_fd pipe(pipe_end(0).fd);
  EXPECT_EQ(sd::describe(pipe.get()).path, "");
}

/// What a socket is described as if this option of SOL_SOCKET cannot be read.
struct failing_option {
  const char* name;
  int option;
  kind expected;
  const char* text;
};

TEST(description, socket_with_unreadable_options) {
  const failing_option rows[] = {
      {"SO_DOMAIN", SO_DOMAIN, kind::other, "other"},
      {"SO_TYPE", SO_TYPE, kind::other, "other inet type-0 protocol-6 127.0.0.1:{port}"},
      {"SO_ACCEPTCONN", SO_ACCEPTCONN, kind::other, "other inet stream 127.0.0.1:{port}"},
      {"SO_PROTOCOL", SO_PROTOCOL, kind::stream, "stream inet 127.0.0.1:{port}"},
      {"SO_REUSEPORT", SO_REUSEPORT, kind::stream, "stream inet 127.0.0.1:{port}"},
  };
  const auto no_effect = "seccomp filters have no effect on getsockopt here"s;
  const auto fd = listener(address("127.0.0.1:0"));
  for (const auto& row : rows) {
    const auto option = static_cast<std::uint32_t>(row.option);
    const auto text = sd::test::run_with({SYS_getsockopt, 2, option, EACCES}, [&] {
      if (has_option(fd, SOL_SOCKET, row.option)) return no_effect;
      const auto what = sd::describe(fd.get());
      return to_string(what) + (what.kind == row.expected && what.family >= 0 && what.protocol >= 0 ? "" : " (wrong)");
    });
    if (!text) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
    if (text == no_effect) GTEST_SKIP() << "SKIPPED: " << no_effect;
    std::string expected = row.text;
    if (const auto at = expected.find("{port}"); at != std::string::npos) {
      expected.replace(at, 6, std::to_string(local_of(fd).port()));
    }
    EXPECT_EQ(text, expected) << row.name;
  }
}

#if defined(SYS_fstat) && defined(SYS_newfstatat)
TEST(description, descriptor_without_a_status_is_other) {
  const directory dir;
  const auto fd = open_file(dir / "file", O_CREAT | O_RDWR | O_NONBLOCK);
  const auto number = static_cast<std::uint32_t>(fd.get());
  const auto text = sd::test::run_with({SYS_fstat, 0, number, EACCES}, [&] {
    check(sd::test::install({SYS_newfstatat, 0, number, EACCES}), "PR_SET_SECCOMP");
    std::error_code ec;
    const auto what = sd::describe(fd.get(), ec);
    return ec.message() + ": " + to_string(what);
  });
  if (!text) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
  EXPECT_EQ(text, "Permission denied: other");
}
#endif

TEST(description, o_path_descriptor_of_a_socket_is_other) {
  const directory dir;
  const auto server = bound(address(dir / "socket"), SOCK_DGRAM);
  const auto fd = open_file(dir / "socket", O_PATH);
  const auto what = sd::describe(fd.get());
  EXPECT_EQ(what.kind, kind::other);
  EXPECT_EQ(what.family, 0);
  EXPECT_EQ(what.type, 0);
  EXPECT_EQ(what.protocol, 0);
  EXPECT_EQ(to_string(what), "other " + (dir / "socket"));

  std::vector<sd::listen_fd> fds(1);
  fds.front().fd = open_file(dir / "socket", O_PATH);
  EXPECT_THAT(sd::take_all(fds, kind::datagram), testing::IsEmpty());
}

}  // namespace
