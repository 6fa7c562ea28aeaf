// SPDX-License-Identifier: MIT OR Apache-2.0
// The checks of sd_is_fifo(3), with paths, ports, addresses and names.

#include <sd/socket.hpp>

#include "descriptors.hpp"
#include "directory.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

// clang-format off: it needs <sys/socket.h> before it
#include <linux/vm_sockets.h>
// clang-format on

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using sd::address;
using sd::listening;
using sd::unique_fd;
using sd::test::abstract_name;
using sd::test::bound;
using sd::test::bound_v6;
using sd::test::check;
using sd::test::directory;
using sd::test::expect_throw;
using sd::test::is_unsupported;
using sd::test::listener;
using sd::test::local_of;
using sd::test::open_fifo;
using sd::test::open_file;
using sd::test::open_queue;
using sd::test::pipe_end;
using sd::test::queue_name;
using sd::test::queue_remover;
using sd::test::socket_pair;
using sd::test::stale;
using sd::test::system_error;

// --- is_fifo, is_special ---------------------------------------------------------------------------------------------

using path_check = bool (*)(int fd, const char* path, std::error_code& ec) noexcept;

/// Returns the names in the directory, and the paths outside, for which the check passes.
std::vector<std::string> places(path_check check, const unique_fd& fd, const directory& dir) {
  std::vector<std::string> found;
  for (const char* name : {"fifo", "file", "other-fifo", "other-file", "linked", "symlink", "none", "file/none", "",
                           ".", "socket", "/dev/null", "/dev/zero"}) {
    auto ec = stale();
    if (check(fd.get(), (*name == '/' ? name : dir / name).c_str(), ec)) found.emplace_back(name);
    EXPECT_EQ(ec, std::error_code()) << name;
  }
  return found;
}

/// A directory with files of each kind, and a hard link and a symbolic link to one of them.
struct crowded_directory : directory {
  explicit crowded_directory(const std::string& first) {
    for (const char* name : {"fifo", "other-fifo"}) open_fifo(*this / name);
    for (const char* name : {"file", "other-file"}) open_file(*this / name, O_CREAT | O_RDWR);
    socket = bound(address(*this / "socket"), SOCK_DGRAM);
    std::filesystem::create_hard_link(*this / first, *this / "linked");
    std::filesystem::create_symlink(first, *this / "symlink");
  }
  unique_fd socket;
};

TEST(is_fifo, path) {
  const crowded_directory dir("fifo");
  EXPECT_THAT(places(sd::is_fifo, open_file(dir / "fifo", O_RDWR), dir),
              testing::ElementsAre("fifo", "linked", "symlink"));
  EXPECT_THAT(places(sd::is_fifo, open_file(dir / "file", O_RDWR), dir), testing::IsEmpty());
  EXPECT_THAT(places(sd::is_fifo, pipe_end(0).fd, dir), testing::IsEmpty());
}

TEST(is_special, path) {
  const crowded_directory dir("file");
  EXPECT_THAT(places(sd::is_special, open_file(dir / "file", O_RDWR), dir),
              testing::ElementsAre("file", "linked", "symlink"));
  EXPECT_THAT(places(sd::is_special, open_file(dir / "fifo", O_RDWR), dir), testing::IsEmpty());
  EXPECT_THAT(places(sd::is_special, open_file("/dev/null", O_RDWR), dir), testing::ElementsAre("/dev/null"));
  EXPECT_THAT(places(sd::is_special, open_file("/dev/zero", O_RDWR), dir), testing::ElementsAre("/dev/zero"));
}

TEST(is_special, devices_are_compared_by_number) {
  const directory dir;
  const auto null = open_file("/dev/null", O_RDWR);
  const auto node = dir / "node";
  if (::mknod(node.c_str(), S_IFCHR | S_IRUSR, makedev(1, 3)) < 0) {
    GTEST_SKIP() << "SKIPPED: mknod: " << system_error(errno).message();
  }
  EXPECT_TRUE(sd::is_special(null.get(), node.c_str()));
  const auto zero = open_file("/dev/zero", O_RDWR);
  EXPECT_FALSE(sd::is_special(zero.get(), node.c_str()));
  // A block device with the same number is another device.
  const auto block = dir / "block";
  check(::mknod(block.c_str(), S_IFBLK | S_IRUSR, makedev(1, 3)), "mknod");
  EXPECT_FALSE(sd::is_special(null.get(), block.c_str()));
}

TEST(is_fifo, path_that_cannot_be_followed_is_an_error) {
  const directory dir;
  const auto loop = dir / "loop";
  std::filesystem::create_symlink("loop", loop);
  const auto fifo = open_fifo(dir / "fifo");
  const auto file = open_file(dir / "file", O_CREAT | O_RDWR);
  const struct {
    path_check check;
    const unique_fd& fd;
    bool (*throwing)(int fd, const char* path);
  } rows[] = {{sd::is_fifo, fifo, sd::is_fifo}, {sd::is_special, file, sd::is_special}};
  for (const auto& row : rows) {
    auto ec = stale();
    EXPECT_FALSE(row.check(row.fd.get(), loop.c_str(), ec));
    EXPECT_EQ(ec, system_error(ELOOP));
    expect_throw([&] { row.throwing(row.fd.get(), loop.c_str()); }, ELOOP,
                 "descriptor " + std::to_string(row.fd.get()) + ": " + system_error(ELOOP).message());
  }
}

// --- is_socket, is_socket_inet ---------------------------------------------------------------------------------------

TEST(is_socket, family_type_and_state) {
  const auto fd = listener(address("127.0.0.1:0"));
  for (const int family : {0, AF_INET, AF_INET6, AF_UNIX}) {
    for (const int type : {0, int{SOCK_STREAM}, int{SOCK_DGRAM}}) {
      for (const auto state : {listening::any, listening::no, listening::yes}) {
        const bool expected = (family == 0 || family == AF_INET) && type != SOCK_DGRAM && state != listening::no;
        EXPECT_EQ(sd::is_socket(fd.get(), family, type, state), expected) << family << ' ' << type;
        if (family == AF_UNIX) continue;
        EXPECT_EQ(sd::is_socket_inet(fd.get(), family, type, state), expected) << family << ' ' << type;
      }
    }
  }
}

TEST(is_socket, descriptor_0_is_like_any_other) {
  const unique_fd saved(check(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), "F_DUPFD_CLOEXEC"));
  const auto fd = listener(address("127.0.0.1:0"));
  check(::dup2(fd.get(), STDIN_FILENO), "dup2");
  std::error_code codes[3];
  const bool is_stream = sd::is_socket(STDIN_FILENO, AF_INET, SOCK_STREAM, listening::yes, codes[0]);
  const bool is_inet = sd::is_socket_inet(STDIN_FILENO, AF_INET, SOCK_STREAM, listening::yes, 0, codes[1]);
  const bool is_unix = sd::is_socket_inet(STDIN_FILENO, AF_UNIX, SOCK_STREAM, listening::yes, 0, codes[2]);
  check(::dup2(saved.get(), STDIN_FILENO), "dup2");
  EXPECT_TRUE(is_stream) << codes[0].message();
  EXPECT_TRUE(is_inet) << codes[1].message();
  EXPECT_FALSE(is_unix);
  EXPECT_EQ(codes[2], system_error(EINVAL));
}

TEST(is_socket_inet, port) {
  for (const char* where : {"127.0.0.1:0", "[::1]:0"}) {
    auto fd = unique_fd();
    try {
      fd = listener(address(where));
    } catch (const std::system_error& error) {
      if (!is_unsupported(error.code())) throw;
      GTEST_SKIP() << "SKIPPED: " << where << ": " << error.what();
    }
    const unsigned port = local_of(fd).port();
    const unsigned swapped = (port & 0xffU) << 8U | port >> 8U;
    EXPECT_TRUE(sd::is_socket_inet(fd.get(), 0, 0, listening::any, port));
    EXPECT_TRUE(sd::is_socket_inet(fd.get(), address(where).family(), SOCK_STREAM, listening::yes, port));
    EXPECT_FALSE(sd::is_socket_inet(fd.get(), 0, SOCK_DGRAM, listening::any, port));
    EXPECT_FALSE(sd::is_socket_inet(fd.get(), 0, 0, listening::no, port));
    EXPECT_TRUE(sd::is_socket_inet(fd.get(), 0, 0, listening::any, 0));
    for (const unsigned other : {port + 1, port - 1, port + 65536, 65536U, swapped == port ? port + 1 : swapped}) {
      EXPECT_FALSE(sd::is_socket_inet(fd.get(), 0, 0, listening::any, other)) << other;
    }
  }
}

TEST(is_socket, negative_family_or_type_is_einval) {
  const auto inet = listener(address("127.0.0.1:0"));
  for (const auto& [family, type] : {std::pair(-1, 0), std::pair(0, -1), std::pair(-1, -1)}) {
    auto ec = stale();
    EXPECT_FALSE(sd::is_socket(inet.get(), family, type, listening::any, ec));
    EXPECT_EQ(ec, system_error(EINVAL));
    EXPECT_FALSE(sd::is_socket(-1, family, type, listening::any, ec));
    EXPECT_EQ(ec, system_error(EBADF));
  }
}

TEST(is_socket_inet, other_family_is_einval) {
  const auto inet = listener(address("127.0.0.1:0"));
  const auto pair = socket_pair(SOCK_STREAM);
  for (const auto* fd : {&inet, &pair.fd}) {
    for (const int family : {AF_UNIX, AF_NETLINK, AF_VSOCK, -1}) {
      auto ec = stale();
      EXPECT_FALSE(sd::is_socket_inet(fd->get(), family, 0, listening::any, 0, ec));
      EXPECT_EQ(ec, system_error(EINVAL));
      expect_throw([&] { (void)sd::is_socket_inet(fd->get(), family); }, EINVAL,
                   "descriptor " + std::to_string(fd->get()) + ": Invalid argument");
    }
  }
  EXPECT_FALSE(sd::is_socket_inet(pair.fd.get(), 0, 0, listening::any, 80));
}

// --- is_socket_sockaddr ----------------------------------------------------------------------------------------------

bool is_at(const unique_fd& fd, const address& where, int type = 0, listening state = listening::any) {
  auto ec = stale();
  const bool is = sd::is_socket_sockaddr(fd.get(), type, where, state, ec);
  EXPECT_EQ(ec, std::error_code());
  EXPECT_EQ(sd::is_socket_sockaddr(fd.get(), type, where, state), is);
  return is;
}

TEST(is_socket_sockaddr, ipv4_address) {
  const auto fd = listener(address("127.0.0.1:0"));
  const auto port = ':' + std::to_string(local_of(fd).port());
  EXPECT_TRUE(is_at(fd, address("127.0.0.1" + port)));
  EXPECT_TRUE(is_at(fd, address("127.0.0.1:0")));  // any port
  EXPECT_TRUE(is_at(fd, address("127.0.0.1" + port), SOCK_STREAM, listening::yes));
  EXPECT_FALSE(is_at(fd, address("127.0.0.1" + port), SOCK_DGRAM));
  EXPECT_FALSE(is_at(fd, address("127.0.0.1" + port), 0, listening::no));
  for (const auto& other : {"127.0.0.1:1"s, "127.0.0.2" + port, "127.0.0.2:0"s, "0.0.0.0" + port, "0.0.0.0:0"s,
                            "[::ffff:127.0.0.1]" + port, "[::]" + port, "/socket"s, "@x"s, "vsock::0"s}) {
    EXPECT_FALSE(is_at(fd, address(other))) << other;
  }
  EXPECT_FALSE(is_at(fd, address()));
}

address with_flow_label(const address& where, std::uint32_t label) {
  sockaddr_in6 inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  inet6.sin6_flowinfo = htonl(label);
  return address::from_sockaddr(&inet6, sizeof inet6);
}

TEST(is_socket_sockaddr, ipv6_address) {
  unique_fd fd;
  try {
    fd = bound_v6("[ff02::1]:0%lo", SOCK_DGRAM, true);
  } catch (const std::system_error& error) {
    if (!is_unsupported(error.code())) throw;
    GTEST_SKIP() << "SKIPPED: " << error.what();
  }
  const auto port = ':' + std::to_string(local_of(fd).port());
  EXPECT_TRUE(is_at(fd, address("[ff02::1]" + port + "%lo")));
  EXPECT_TRUE(is_at(fd, address("[ff02::1]" + port)));  // any scope
  EXPECT_TRUE(is_at(fd, address("[ff02::1]:0")));       // and any port
  EXPECT_TRUE(is_at(fd, address("[ff02::1]" + port), SOCK_DGRAM, listening::no));
  EXPECT_FALSE(is_at(fd, address("[ff02::1]" + port), SOCK_STREAM));
  EXPECT_FALSE(is_at(fd, address("[ff02::1]" + port), 0, listening::yes));
  EXPECT_FALSE(is_at(fd, with_flow_label(address("[ff02::1]" + port), 1)));
  for (const auto& other : {"[ff02::1]" + port + "%4294967295", "[ff02::1]:1%lo"s, "[ff02::2]" + port, "[::]" + port,
                            "0.0.0.0" + port, "127.0.0.1:0"s}) {
    EXPECT_FALSE(is_at(fd, address(other))) << other;
  }
}

TEST(is_socket_sockaddr, path) {
  const directory dir;
  const auto path = dir / "socket";
  const auto fd = listener(address(path));
  EXPECT_TRUE(is_at(fd, address(path)));
  EXPECT_TRUE(is_at(fd, address(path), SOCK_STREAM, listening::yes));
  EXPECT_FALSE(is_at(fd, address(path), SOCK_SEQPACKET));
  EXPECT_FALSE(is_at(fd, address(path), 0, listening::no));
  for (const auto& other : {path + 'x', path.substr(0, path.size() - 1), dir / "sockeT", '@' + path.substr(1), "@x"s}) {
    EXPECT_FALSE(is_at(fd, address(other))) << other;
  }
  EXPECT_FALSE(is_at(fd, address()));
}

TEST(is_socket_sockaddr, abstract_name) {
  const address where('@' + abstract_name());
  const auto fd = listener(where);
  EXPECT_TRUE(is_at(fd, where));
  EXPECT_FALSE(is_at(fd, address('@' + abstract_name().substr(1))));
  EXPECT_FALSE(is_at(fd, address('/' + abstract_name().substr(1))));
}

TEST(is_socket_sockaddr, vsock_port) {
  unique_fd fd;
  try {
    fd = listener(address("vsock::" + std::to_string(VMADDR_PORT_ANY)));
  } catch (const std::system_error& error) {
    if (!is_unsupported(error.code())) throw;
    GTEST_SKIP() << "SKIPPED: " << error.what();
  }
  const auto port = ':' + std::to_string(local_of(fd).port());
  EXPECT_TRUE(is_at(fd, address("vsock:" + port)));
  EXPECT_TRUE(is_at(fd, address("vsock::0")));  // any port
  EXPECT_FALSE(is_at(fd, address("vsock::1")));
  EXPECT_FALSE(is_at(fd, address("vsock:2" + port)));
  EXPECT_FALSE(is_at(fd, address("vsock:2:0")));
}

TEST(is_socket_sockaddr, files_do_not_match) {
  EXPECT_FALSE(is_at(pipe_end(0).fd, address("127.0.0.1:0")));
  EXPECT_FALSE(is_at(open_file("/dev/null", O_RDWR), address("/dev/null")));
}

// --- is_socket_unix --------------------------------------------------------------------------------------------------

bool is_unix_at(const unique_fd& fd, std::optional<std::string_view> path, int type = 0,
                listening state = listening::any) {
  auto ec = stale();
  const bool is = sd::is_socket_unix(fd.get(), type, state, path, ec);
  EXPECT_EQ(ec, std::error_code());
  EXPECT_EQ(sd::is_socket_unix(fd.get(), type, state, path), is);
  return is;
}

TEST(is_socket_unix, path) {
  const directory dir;
  const auto path = dir / "socket";
  const auto fd = listener(address(path));
  EXPECT_TRUE(is_unix_at(fd, std::nullopt));
  EXPECT_TRUE(is_unix_at(fd, path));
  EXPECT_TRUE(is_unix_at(fd, path, SOCK_STREAM, listening::yes));
  EXPECT_FALSE(is_unix_at(fd, path, SOCK_DGRAM));
  EXPECT_FALSE(is_unix_at(fd, path, 0, listening::no));
  for (const auto& other : {path + 'x', path + '\0', path.substr(0, path.size() - 1), '\0' + path, "/"s, ""s}) {
    EXPECT_FALSE(is_unix_at(fd, other)) << other;
  }
  EXPECT_FALSE(is_unix_at(fd, std::string_view()));
}

TEST(is_socket_unix, path_that_fills_the_address) {
  const directory dir;
  for (const std::size_t length : {107U, 108U}) {
    auto path = dir / "";
    ASSERT_LT(path.size(), 100U) << "the temporary directory has too long a path for a socket";
    path.resize(length, 'p');
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, length);
    const auto fd = listener(address::from_sockaddr(&where, sizeof where));
    EXPECT_TRUE(is_unix_at(fd, path));
    EXPECT_FALSE(is_unix_at(fd, path + '\0'));
    EXPECT_FALSE(is_unix_at(fd, path.substr(0, length - 1)));
    EXPECT_EQ(to_string(sd::describe(fd.get())), "stream unix " + path);
    check(::unlink(path.c_str()), "unlink");
  }
}

TEST(is_socket_unix, abstract_name) {
  const auto name = '\0' + abstract_name();
  const auto fd = listener(address('@' + abstract_name()));
  EXPECT_TRUE(is_unix_at(fd, name));
  for (const auto& other :
       {name.substr(1), name.substr(0, name.size() - 1), name + '\0', '@' + name.substr(1), "\0"s, ""s}) {
    EXPECT_FALSE(is_unix_at(fd, other)) << other;
  }
}

TEST(is_socket_unix, unbound_socket_has_the_empty_path) {
  const auto pair = socket_pair(SOCK_STREAM);
  EXPECT_TRUE(is_unix_at(pair.fd, ""));
  EXPECT_TRUE(is_unix_at(pair.fd, std::string_view()));
  EXPECT_FALSE(is_unix_at(pair.fd, "\0"sv));
  EXPECT_FALSE(is_unix_at(pair.fd, "/"));
}

TEST(is_socket_unix, other_descriptors_do_not_match) {
  const auto fd = listener(address("127.0.0.1:0"));
  EXPECT_FALSE(is_unix_at(fd, ""));
  EXPECT_FALSE(is_unix_at(pipe_end(0).fd, ""));
}

// --- is_mq -----------------------------------------------------------------------------------------------------------

class is_mq : public testing::Test {
 protected:
  void SetUp() override {
    try {
      queue_ = open_queue(queue_name());
    } catch (const std::system_error& error) {
      if (!is_unsupported(error.code())) throw;
      GTEST_SKIP() << "SKIPPED: " << error.what();
    }
  }

  [[nodiscard]] bool at(const std::string& name) const {
    auto ec = stale();
    const bool is = sd::is_mq(queue_.get(), name.c_str(), ec);
    EXPECT_EQ(ec, std::error_code()) << name;
    return is;
  }

  [[nodiscard]] int queue() const { return queue_.get(); }

 private:
  unique_fd queue_;
  queue_remover remover_;
};

TEST_F(is_mq, name) {
  EXPECT_TRUE(at(queue_name()));
  EXPECT_TRUE(sd::is_mq(queue(), queue_name().c_str()));
}

TEST_F(is_mq, other_names_do_not_match) {
  const auto other = queue_name() + "-other";
  const auto fd = open_queue(other);
  EXPECT_FALSE(at(other));
  check(::mq_unlink(other.c_str()), "mq_unlink");
  EXPECT_FALSE(at(other));
  EXPECT_FALSE(at(queue_name().substr(0, queue_name().size() - 1)));
  EXPECT_FALSE(at("/"));
  auto last = queue_name();
  last.back() = 'x';
  EXPECT_FALSE(at(last));  // as long
}

TEST_F(is_mq, malformed_name_is_an_error) {
  auto ec = stale();
  for (const auto& name : {""s, queue_name().substr(1)}) {
    EXPECT_FALSE(sd::is_mq(queue(), name.c_str(), ec));
    EXPECT_EQ(ec, system_error(EINVAL));
  }
  constexpr std::size_t longest = PATH_MAX - sizeof "/dev/mqueue";
  EXPECT_FALSE(at('/' + std::string(longest - 1, 'x')));
  for (const std::size_t size : {longest, std::size_t{5000}}) {
    EXPECT_FALSE(sd::is_mq(queue(), ('/' + std::string(size, 'x')).c_str(), ec));
    EXPECT_EQ(ec, system_error(ENAMETOOLONG)) << size;
  }
}

TEST_F(is_mq, directory_of_queues_does_not_match) {
  const unique_fd fd(::open("/dev/mqueue", O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!fd) GTEST_SKIP() << "SKIPPED: /dev/mqueue: " << system_error(errno).message();
  EXPECT_FALSE(sd::is_mq(fd.get()));
  EXPECT_EQ(to_string(sd::describe(fd.get())), "directory /dev/mqueue");
}

TEST_F(is_mq, other_descriptors_do_not_match) {
  const auto null = open_file("/dev/null", O_RDWR);
  const auto sockets = socket_pair(SOCK_STREAM);
  EXPECT_FALSE(sd::is_mq(null.get(), queue_name().c_str()));
  EXPECT_FALSE(sd::is_mq(sockets.fd.get(), queue_name().c_str()));
}

}  // namespace
