// SPDX-License-Identifier: MIT OR Apache-2.0
// Descriptors of every kind are described, and pass the checks of their kind. Kinds that this kernel does not have are
// skipped.

#include <sd/socket.hpp>

#include "descriptors.hpp"
#include "directory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// clang-format off: it needs <sys/socket.h> before it
#include <linux/vm_sockets.h>
// clang-format on

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace {

using namespace std::string_literals;
using sd::address;
using sd::kind;
using sd::listening;
using sd::unique_fd;
using sd::test::abstract_name;
using sd::test::accepted;
using sd::test::bind;
using sd::test::bound;
using sd::test::bound_v6;
using sd::test::check;
using sd::test::connect;
using sd::test::directory;
using sd::test::expect_throw;
using sd::test::has_option;
using sd::test::is_unsupported;
using sd::test::listen;
using sd::test::listener;
using sd::test::listener_v6;
using sd::test::local_of;
using sd::test::never_open;
using sd::test::open_fifo;
using sd::test::open_file;
using sd::test::open_queue;
using sd::test::open_socket;
using sd::test::peer_of;
using sd::test::pipe_end;
using sd::test::queue_name;
using sd::test::queue_remover;
using sd::test::sample;
using sd::test::set;
using sd::test::socket_pair;
using sd::test::stale;
using sd::test::system_error;
using sd::test::with;

constexpr int icmp6 = IPPROTO_ICMPV6;
constexpr int udplite = IPPROTO_UDPLITE;

// --- the kinds -------------------------------------------------------------------------------------------------------

/// In the texts, {dir}, {abstract} and {queue} stand for the directory and the names of the test, and {port} and {peer}
/// for the ports that the kernel chose.
struct descriptor_row {
  const char* name;
  sample (*open)(const directory& dir);
  sd::kind kind;
  int family;
  int type;
  int protocol;
  const char* text;
  const char* checks;     // the checks that pass
  const char* path = "";  // of a file
};

constexpr descriptor_row descriptor_table[] = {
    // stream sockets that listen
    {"tcp4_listener", [](const directory&) { return sample{listener(address("127.0.0.1:0"))}; }, kind::stream, AF_INET,
     SOCK_STREAM, IPPROTO_TCP, "stream inet 127.0.0.1:{port}", "socket listening stream inet inet4 inet-listening"},
    {"tcp4_wildcard_listener", [](const directory&) { return sample{listener(address("0.0.0.0:0"))}; }, kind::stream,
     AF_INET, SOCK_STREAM, IPPROTO_TCP, "stream inet 0.0.0.0:{port}",
     "socket listening stream inet inet4 inet-listening"},
    {"tcp6_listener", [](const directory&) { return sample{listener_v6("[::1]:0", false)}; }, kind::stream, AF_INET6,
     SOCK_STREAM, IPPROTO_TCP, "stream inet6 [::1]:{port}", "socket listening stream inet inet6 inet-listening"},
    {"tcp6_listener_v6only", [](const directory&) { return sample{listener_v6("[::1]:0", true)}; }, kind::stream,
     AF_INET6, SOCK_STREAM, IPPROTO_TCP, "stream inet6 [::1]:{port}",
     "socket listening stream inet inet6 inet-listening"},
    {"tcp6_wildcard_listener", [](const directory&) { return sample{listener_v6("[::]:0", false)}; }, kind::stream,
     AF_INET6, SOCK_STREAM, IPPROTO_TCP, "stream inet6 [::]:{port} dual-stack",
     "socket listening stream inet inet6 inet-listening"},
    {"tcp6_wildcard_listener_v6only", [](const directory&) { return sample{listener_v6("[::]:0", true)}; },
     kind::stream, AF_INET6, SOCK_STREAM, IPPROTO_TCP, "stream inet6 [::]:{port} v6only",
     "socket listening stream inet inet6 inet-listening"},
    {"tcp6_v4_mapped_listener", [](const directory&) { return sample{listener_v6("[::ffff:127.0.0.1]:0", false)}; },
     kind::stream, AF_INET6, SOCK_STREAM, IPPROTO_TCP, "stream inet6 [::ffff:127.0.0.1]:{port}",
     "socket listening stream inet inet6 inet-listening"},
    {"tcp4_listener_reuse_port",
     [](const directory&) {
       auto fd = open_socket(AF_INET, SOCK_STREAM);
       set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
       bind(fd, address("127.0.0.1:0"));
       listen(fd);
       return sample{std::move(fd)};
     },
     kind::stream, AF_INET, SOCK_STREAM, IPPROTO_TCP, "stream inet 127.0.0.1:{port} reuse-port",
     "socket listening stream inet inet4 inet-listening"},
    {"tcp6_listener_with_everything",
     [](const directory&) {
       auto fd = open_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK);
       set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
       set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
       bind(fd, address("[::]:0"));
       listen(fd);
       return sample{std::move(fd)};
     },
     kind::stream, AF_INET6, SOCK_STREAM, IPPROTO_TCP, "stream inet6 [::]:{port} v6only reuse-port nonblocking",
     "socket listening stream inet inet6 inet-listening"},
    {"unix_listener", [](const directory& dir) { return sample{listener(address(dir / "socket"))}; }, kind::stream,
     AF_UNIX, SOCK_STREAM, 0, "stream unix {dir}/socket", "socket listening stream unix"},
    {"unix_listener_of_odd_name", [](const directory& dir) { return sample{listener(address(dir / " \n\"\\\xff"))}; },
     kind::stream, AF_UNIX, SOCK_STREAM, 0, R"(stream unix {dir}/ \x0a\"\\\xff)", "socket listening stream unix"},
    {"unix_abstract_listener", [](const directory&) { return sample{listener(address('@' + abstract_name()))}; },
     kind::stream, AF_UNIX, SOCK_STREAM, 0, "stream unix @{abstract}", "socket listening stream unix"},
    {"vsock_listener",
     [](const directory&) { return sample{listener(address("vsock::" + std::to_string(VMADDR_PORT_ANY)))}; },
     kind::stream, AF_VSOCK, SOCK_STREAM, 0, "stream vsock vsock::{port}", "socket listening stream vsock"},

    // sequential packets
    {"unix_seqpacket_listener",
     [](const directory& dir) { return sample{listener(address(dir / "socket"), SOCK_SEQPACKET)}; }, kind::seqpacket,
     AF_UNIX, SOCK_SEQPACKET, 0, "seqpacket unix {dir}/socket", "socket listening seqpacket unix"},

    // connected sockets
    {"tcp4_connection", [](const directory&) { return accepted(address("127.0.0.1:0")); }, kind::connection, AF_INET,
     SOCK_STREAM, IPPROTO_TCP, "connection inet stream 127.0.0.1:{port} from 127.0.0.1:{peer}",
     "socket not-listening stream inet inet4"},
    {"tcp6_connection", [](const directory&) { return accepted(address("[::1]:0")); }, kind::connection, AF_INET6,
     SOCK_STREAM, IPPROTO_TCP, "connection inet6 stream [::1]:{port} from [::1]:{peer}",
     "socket not-listening stream inet inet6"},
    {"unix_connection", [](const directory& dir) { return accepted(address(dir / "socket")); }, kind::connection,
     AF_UNIX, SOCK_STREAM, 0, "connection unix stream {dir}/socket", "socket not-listening stream unix"},
    {"unix_connection_of_a_client",
     [](const directory& dir) {
       auto server = listener(address(dir / "odd\nsocket"));
       auto client = open_socket(AF_UNIX, SOCK_STREAM);
       connect(client, local_of(server));
       return with(std::move(client), std::move(server));
     },
     kind::connection, AF_UNIX, SOCK_STREAM, 0, R"(connection unix stream unnamed from {dir}/odd\x0asocket)",
     "socket not-listening stream unix"},
    {"unix_seqpacket_connection",
     [](const directory& dir) { return accepted(address(dir / "socket"), SOCK_SEQPACKET); }, kind::connection, AF_UNIX,
     SOCK_SEQPACKET, 0, "connection unix seqpacket {dir}/socket", "socket not-listening seqpacket unix"},
    {"unix_pair", [](const directory&) { return socket_pair(SOCK_STREAM); }, kind::connection, AF_UNIX, SOCK_STREAM, 0,
     "connection unix stream unnamed", "socket not-listening stream unix"},
    {"unix_seqpacket_pair", [](const directory&) { return socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK); },
     kind::connection, AF_UNIX, SOCK_SEQPACKET, 0, "connection unix seqpacket unnamed nonblocking",
     "socket not-listening seqpacket unix"},

    // sockets that are neither listening nor connected
    {"tcp4_new", [](const directory&) { return sample{open_socket(AF_INET, SOCK_STREAM)}; }, kind::unconnected, AF_INET,
     SOCK_STREAM, IPPROTO_TCP, "unconnected inet stream 0.0.0.0:0", "socket not-listening stream inet inet4"},
    {"tcp4_bound", [](const directory&) { return sample{bound(address("127.0.0.1:0"), SOCK_STREAM)}; },
     kind::unconnected, AF_INET, SOCK_STREAM, IPPROTO_TCP, "unconnected inet stream 127.0.0.1:{port}",
     "socket not-listening stream inet inet4"},
    {"unix_new", [](const directory&) { return sample{open_socket(AF_UNIX, SOCK_STREAM)}; }, kind::unconnected, AF_UNIX,
     SOCK_STREAM, 0, "unconnected unix stream unnamed", "socket not-listening stream unix"},
    {"unix_seqpacket_bound", [](const directory& dir) { return sample{bound(address(dir / "s"), SOCK_SEQPACKET)}; },
     kind::unconnected, AF_UNIX, SOCK_SEQPACKET, 0, "unconnected unix seqpacket {dir}/s",
     "socket not-listening seqpacket unix"},

    // datagrams
    {"udp4", [](const directory&) { return sample{bound(address("127.0.0.1:0"), SOCK_DGRAM)}; }, kind::datagram,
     AF_INET, SOCK_DGRAM, IPPROTO_UDP, "datagram inet 127.0.0.1:{port}", "socket not-listening datagram inet inet4"},
    {"udp6_wildcard", [](const directory&) { return sample{bound_v6("[::]:0", SOCK_DGRAM, false)}; }, kind::datagram,
     AF_INET6, SOCK_DGRAM, IPPROTO_UDP, "datagram inet6 [::]:{port} dual-stack",
     "socket not-listening datagram inet inet6"},
    {"udp6_scoped", [](const directory&) { return sample{bound_v6("[ff02::1]:0%lo", SOCK_DGRAM, true)}; },
     kind::datagram, AF_INET6, SOCK_DGRAM, IPPROTO_UDP, "datagram inet6 [ff02::1]:{port}%lo",
     "socket not-listening datagram inet inet6"},
    {"udp4_connected",
     [](const directory&) {
       auto fd = bound(address("127.0.0.1:0"), SOCK_DGRAM);
       auto other = bound(address("127.0.0.1:0"), SOCK_DGRAM);
       connect(fd, local_of(other));
       return with(std::move(fd), std::move(other));
     },
     kind::datagram, AF_INET, SOCK_DGRAM, IPPROTO_UDP, "datagram inet 127.0.0.1:{port} from 127.0.0.1:{peer}",
     "socket not-listening datagram inet inet4"},
    {"udplite4", [](const directory&) { return sample{bound(address("127.0.0.1:0"), SOCK_DGRAM, udplite)}; },
     kind::datagram, AF_INET, SOCK_DGRAM, udplite, "datagram inet protocol-136 127.0.0.1:{port}",
     "socket not-listening datagram inet inet4"},
    {"unix_datagram", [](const directory& dir) { return sample{bound(address(dir / "socket"), SOCK_DGRAM)}; },
     kind::datagram, AF_UNIX, SOCK_DGRAM, 0, "datagram unix {dir}/socket", "socket not-listening datagram unix"},
    {"unix_datagram_pair", [](const directory&) { return socket_pair(SOCK_DGRAM); }, kind::datagram, AF_UNIX,
     SOCK_DGRAM, 0, "datagram unix unnamed", "socket not-listening datagram unix"},

    // raw and netlink
    {"raw4", [](const directory&) { return sample{open_socket(AF_INET, SOCK_RAW, IPPROTO_UDP)}; }, kind::raw, AF_INET,
     SOCK_RAW, IPPROTO_UDP, "raw inet protocol-17 0.0.0.0:17", "socket not-listening raw inet inet4"},
    {"raw6",
     [](const directory&) {
       auto fd = open_socket(AF_INET6, SOCK_RAW, icmp6);
       bind(fd, address("[::1]:0"));
       return sample{std::move(fd)};
     },
     kind::raw, AF_INET6, SOCK_RAW, icmp6, "raw inet6 protocol-58 [::1]:58", "socket not-listening raw inet inet6"},
    {"packet", [](const directory&) { return sample{open_socket(AF_PACKET, SOCK_RAW)}; }, kind::raw, AF_PACKET,
     SOCK_RAW, 0, "raw family-17 family 17", "socket not-listening raw"},
    {"netlink_route", [](const directory&) { return sample{open_socket(AF_NETLINK, SOCK_RAW)}; }, kind::netlink,
     AF_NETLINK, SOCK_RAW, 0, "netlink raw protocol-0", "socket not-listening raw netlink"},
    {"netlink_kobject_uevent", [](const directory&) { return sample{open_socket(AF_NETLINK, SOCK_DGRAM, 15)}; },
     kind::netlink, AF_NETLINK, SOCK_DGRAM, 15, "netlink datagram protocol-15",
     "socket not-listening datagram netlink"},

    // files
    {"fifo", [](const directory& dir) { return sample{open_fifo(dir / "fifo")}; }, kind::fifo, 0, 0, 0,
     "fifo {dir}/fifo", "fifo", "{dir}/fifo"},
    {"fifo_nonblocking", [](const directory& dir) { return sample{open_fifo(dir / "f", O_RDONLY | O_NONBLOCK)}; },
     kind::fifo, 0, 0, 0, "fifo {dir}/f nonblocking", "fifo", "{dir}/f"},
    {"fifo_of_odd_name", [](const directory& dir) { return sample{open_fifo(dir / " \n\"\\\xff")}; }, kind::fifo, 0, 0,
     0, R"(fifo {dir}/ \x0a\"\\\xff)", "fifo", "{dir}/ \n\"\\\xff"},
    {"pipe_to_read", [](const directory&) { return pipe_end(0); }, kind::fifo, 0, 0, 0, "fifo", "fifo"},
    {"pipe_to_write", [](const directory&) { return pipe_end(1); }, kind::fifo, 0, 0, 0, "fifo", "fifo"},
    {"character_device", [](const directory&) { return sample{open_file("/dev/null", O_RDWR)}; }, kind::special, 0, 0,
     0, "special /dev/null", "special", "/dev/null"},
    {"file", [](const directory& dir) { return sample{open_file(dir / "file", O_CREAT | O_RDWR)}; }, kind::special, 0,
     0, 0, "special {dir}/file", "special", "{dir}/file"},
    {"memfd", [](const directory&) { return sample{unique_fd(check(::memfd_create("x", MFD_CLOEXEC), "memfd"))}; },
     kind::special, 0, 0, 0, "special /memfd:x", "special", "/memfd:x"},
    {"directory", [](const directory& dir) { return sample{open_file(dir.path(), O_DIRECTORY | O_RDONLY)}; },
     kind::directory, 0, 0, 0, "directory {dir}", "", "{dir}"},
    {"message_queue", [](const directory&) { return sample{open_queue(queue_name())}; }, kind::message_queue, 0, 0, 0,
     "message-queue {queue}", "special message-queue", "{queue}"},
    {"eventfd", [](const directory&) { return sample{unique_fd(check(::eventfd(0, EFD_CLOEXEC), "eventfd"))}; },
     kind::other, 0, 0, 0, "other", ""},
    {"epoll", [](const directory&) { return sample{unique_fd(check(::epoll_create1(EPOLL_CLOEXEC), "epoll"))}; },
     kind::other, 0, 0, 0, "other", ""},
};

// --- the checks ------------------------------------------------------------------------------------------------------

/// Both forms of each check, with all other arguments set to match anything.
struct check_row {
  const char* name;
  bool (*with_code)(int fd, std::error_code& ec);
  bool (*throwing)(int fd);
};

constexpr check_row check_table[] = {
    {"fifo", [](int fd, std::error_code& ec) { return sd::is_fifo(fd, nullptr, ec); },
     [](int fd) { return sd::is_fifo(fd); }},
    {"special", [](int fd, std::error_code& ec) { return sd::is_special(fd, nullptr, ec); },
     [](int fd) { return sd::is_special(fd); }},
    {"socket", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, 0, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd); }},
    {"listening", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, 0, listening::yes, ec); },
     [](int fd) { return sd::is_socket(fd, 0, 0, listening::yes); }},
    {"not-listening", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, 0, listening::no, ec); },
     [](int fd) { return sd::is_socket(fd, 0, 0, listening::no); }},
    {"stream", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, SOCK_STREAM, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd, 0, SOCK_STREAM); }},
    {"datagram", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, SOCK_DGRAM, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd, 0, SOCK_DGRAM); }},
    {"seqpacket", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, SOCK_SEQPACKET, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd, 0, SOCK_SEQPACKET); }},
    {"raw", [](int fd, std::error_code& ec) { return sd::is_socket(fd, 0, SOCK_RAW, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd, 0, SOCK_RAW); }},
    {"netlink", [](int fd, std::error_code& ec) { return sd::is_socket(fd, AF_NETLINK, 0, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd, AF_NETLINK); }},
    {"vsock", [](int fd, std::error_code& ec) { return sd::is_socket(fd, AF_VSOCK, 0, listening::any, ec); },
     [](int fd) { return sd::is_socket(fd, AF_VSOCK); }},
    {"inet", [](int fd, std::error_code& ec) { return sd::is_socket_inet(fd, 0, 0, listening::any, 0, ec); },
     [](int fd) { return sd::is_socket_inet(fd); }},
    {"inet4", [](int fd, std::error_code& ec) { return sd::is_socket_inet(fd, AF_INET, 0, listening::any, 0, ec); },
     [](int fd) { return sd::is_socket_inet(fd, AF_INET); }},
    {"inet6", [](int fd, std::error_code& ec) { return sd::is_socket_inet(fd, AF_INET6, 0, listening::any, 0, ec); },
     [](int fd) { return sd::is_socket_inet(fd, AF_INET6); }},
    {"inet-listening",
     [](int fd, std::error_code& ec) { return sd::is_socket_inet(fd, 0, SOCK_STREAM, listening::yes, 0, ec); },
     [](int fd) { return sd::is_socket_inet(fd, 0, SOCK_STREAM, listening::yes); }},
    {"unix", [](int fd, std::error_code& ec) { return sd::is_socket_unix(fd, 0, listening::any, std::nullopt, ec); },
     [](int fd) { return sd::is_socket_unix(fd); }},
    {"message-queue", [](int fd, std::error_code& ec) { return sd::is_mq(fd, nullptr, ec); },
     [](int fd) { return sd::is_mq(fd); }},
    {"this-sockaddr",
     [](int fd, std::error_code& ec) { return sd::is_socket_sockaddr(fd, 0, address("[::2]:1"), listening::any, ec); },
     [](int fd) { return sd::is_socket_sockaddr(fd, 0, address("[::2]:1")); }},
};

class descriptors : public testing::TestWithParam<descriptor_row> {
 protected:
  void SetUp() override {
    try {
      made_ = GetParam().open(dir_);
    } catch (const std::system_error& error) {
      if (!is_unsupported(error.code())) throw;
      GTEST_SKIP() << "SKIPPED: " << error.what();
    }
  }

  [[nodiscard]] const unique_fd& fd() const { return made_.fd; }

  [[nodiscard]] std::string filled(std::string text) const {
    const std::pair<std::string, std::string> values[] = {
        {"{dir}", dir_.path()},
        {"{abstract}", abstract_name()},
        {"{queue}", queue_name()},
        {"{port}", std::to_string(local_of(fd()).port())},
        {"{peer}", std::to_string(peer_of(fd()).port())},
    };
    for (const auto& [name, value] : values) {
      if (const auto at = text.find(name); at != std::string::npos) text.replace(at, name.size(), value);
    }
    return text;
  }

 private:
  directory dir_;
  queue_remover remover_;
  sample made_;
};

TEST_P(descriptors, are_described) {
  const auto& row = GetParam();
  auto ec = stale();
  const auto what = sd::describe(fd().get(), ec);
  ASSERT_EQ(ec, std::error_code());
  EXPECT_EQ(what.kind, row.kind);
  EXPECT_EQ(what.family, row.family);
  EXPECT_EQ(what.type, row.type);
  EXPECT_EQ(what.protocol, row.protocol);
  EXPECT_EQ(what.path, filled(row.path));

  // The rest is compared with the results of the system calls.
  const bool internet = row.family == AF_INET || row.family == AF_INET6;
  EXPECT_EQ(what.local, local_of(fd()));
  EXPECT_EQ(what.local.size(), local_of(fd()).size());
  EXPECT_EQ(what.peer, peer_of(fd()));
  EXPECT_EQ(what.peer.size(), peer_of(fd()).size());
  EXPECT_EQ(what.nonblocking, (::fcntl(fd().get(), F_GETFL) & O_NONBLOCK) != 0);
  EXPECT_EQ(what.v6only, row.family == AF_INET6 && has_option(fd(), IPPROTO_IPV6, IPV6_V6ONLY));
  EXPECT_EQ(what.reuse_port, internet && has_option(fd(), SOL_SOCKET, SO_REUSEPORT));

  EXPECT_EQ(to_string(what), filled(row.text));
  EXPECT_EQ(to_string(sd::describe(fd().get())), to_string(what));
}

TEST_P(descriptors, pass_the_checks_of_their_kind) {
  const auto wanted = " "s + GetParam().checks + ' ';
  for (const auto& check : check_table) {
    const bool expected = wanted.find(" "s + check.name + ' ') != std::string::npos;
    auto ec = stale();
    EXPECT_EQ(check.with_code(fd().get(), ec), expected) << check.name;
    EXPECT_EQ(ec, std::error_code()) << check.name;
    EXPECT_EQ(check.throwing(fd().get()), expected) << check.name;
  }
}

TEST_P(descriptors, are_not_changed) {
  const auto flags = ::fcntl(fd().get(), F_GETFL);
  const auto close_on_exec = ::fcntl(fd().get(), F_GETFD);
  (void)sd::describe(fd().get());
  for (const auto& check : check_table) check.throwing(fd().get());
  EXPECT_EQ(::fcntl(fd().get(), F_GETFL), flags);
  EXPECT_EQ(::fcntl(fd().get(), F_GETFD), close_on_exec);
}

std::string name_of(const testing::TestParamInfo<descriptor_row>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(socket, descriptors, testing::ValuesIn(descriptor_table), name_of);

TEST(socket, closed_descriptor_is_ebadf) {
  for (const int fd : {-1, never_open}) {
    auto ec = stale();
    const auto what = sd::describe(fd, ec);
    EXPECT_EQ(ec, system_error(EBADF));
    EXPECT_EQ(to_string(what), "other");
    for (const auto& check : check_table) {
      ec = stale();
      EXPECT_FALSE(check.with_code(fd, ec)) << check.name;
      EXPECT_EQ(ec, system_error(EBADF)) << check.name;
    }
  }
}

TEST(socket, exception_names_the_descriptor) {
  for (const int fd : {-1, never_open}) {
    const auto what = "descriptor " + std::to_string(fd) + ": Bad file descriptor";
    expect_throw([&] { (void)sd::describe(fd); }, EBADF, what);
    for (const auto& check : check_table) expect_throw([&] { check.throwing(fd); }, EBADF, what);
  }
}

}  // namespace
