// SPDX-License-Identifier: MIT OR Apache-2.0
// How descriptors of every kind are described and checked. Kinds that this kernel does not have are skipped.

#include <sd/error.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/unique_fd.hpp>

#include "detail/os/files.hpp"
#include "directory.hpp"
#include "failing_call.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

// clang-format off: it needs <sys/socket.h> before it
#include <linux/vm_sockets.h>
// clang-format on

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using sd::address;
using sd::kind;
using sd::listening;
using sd::unique_fd;
using sd::test::directory;

constexpr int icmp6 = IPPROTO_ICMPV6;
constexpr int udplite = IPPROTO_UDPLITE;
constexpr int never_open = 1'000'000'000;

std::error_code system_error(int error) { return {error, std::generic_category()}; }

/// What an error code holds before a call that must clear or replace it.
std::error_code stale() { return std::make_error_code(std::errc::io_error); }

// --- descriptors -----------------------------------------------------------------------------------------------------

template <class Number>
Number check(Number result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

/// Whether the error means that this kernel has no such descriptors, or does not let this user open one.
bool is_unsupported(const std::error_code& ec) {
  constexpr int errors[] = {EACCES,     EAFNOSUPPORT, EADDRNOTAVAIL,   ENODEV,         ENOSYS,
                            EOPNOTSUPP, EPERM,        EPROTONOSUPPORT, ESOCKTNOSUPPORT};
  return std::any_of(std::begin(errors), std::end(errors), [&](int error) { return ec == system_error(error); });
}

unique_fd open_socket(int family, int type, int protocol = 0) {
  return unique_fd(check(::socket(family, type | SOCK_CLOEXEC, protocol), "socket"));
}

void set(const unique_fd& fd, int level, int option, int value) {
  check(::setsockopt(fd.get(), level, option, &value, sizeof value), "setsockopt");
}

const sockaddr* sockaddr_of(const address& where) { return static_cast<const sockaddr*>(where.data()); }

void bind(const unique_fd& fd, const address& where) {
  check(::bind(fd.get(), sockaddr_of(where), static_cast<socklen_t>(where.size())), "bind");
}

void listen(const unique_fd& fd) { check(::listen(fd.get(), 5), "listen"); }

void connect(const unique_fd& fd, const address& where) {
  check(::connect(fd.get(), sockaddr_of(where), static_cast<socklen_t>(where.size())), "connect");
}

unique_fd accept(const unique_fd& fd) {
  return unique_fd(check(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
}

unique_fd bound(const address& where, int type, int protocol = 0) {
  auto fd = open_socket(where.family(), type, protocol);
  bind(fd, where);
  return fd;
}

unique_fd listener(const address& where, int type = SOCK_STREAM) {
  auto fd = bound(where, type);
  listen(fd);
  return fd;
}

unique_fd bound_v6(const char* where, int type, bool v6only) {
  if (std::string_view(where).find('%') != std::string_view::npos && !sd::test::emulator().empty()) {
    throw std::system_error(system_error(EOPNOTSUPP), "qemu gives the bytes of a scope in another order");
  }
  auto fd = open_socket(AF_INET6, type);
  set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only ? 1 : 0);
  bind(fd, address(where));
  return fd;
}

unique_fd listener_v6(const char* where, bool v6only) {
  auto fd = bound_v6(where, SOCK_STREAM, v6only);
  listen(fd);
  return fd;
}

/// By getsockname(2) or getpeername(2).
template <class Call>
address address_by(Call call, const unique_fd& fd) {
  std::array<char, 256> where{};
  socklen_t size = where.size();
  if (call(fd.get(), reinterpret_cast<sockaddr*>(where.data()), &size) < 0) return {};
  return address::from_sockaddr(where.data(), size);
}
address local_of(const unique_fd& fd) { return address_by(::getsockname, fd); }
address peer_of(const unique_fd& fd) { return address_by(::getpeername, fd); }

bool has_option(const unique_fd& fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd.get(), level, option, &value, &size) == 0 && value != 0;
}

unique_fd open_file(const std::string& path, int flags) {
  return unique_fd(check(::open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR), "open"));
}

unique_fd open_fifo(const std::string& path, int flags = O_RDWR) {
  check(::mkfifo(path.c_str(), S_IRUSR | S_IWUSR), "mkfifo");
  return open_file(path, flags);
}

/// An abstract name that fills a sockaddr_un: qemu-user appends a NUL to shorter ones.
std::string abstract_name() {
  auto name = "sd-socket-test-" + std::to_string(::getpid()) + '-';
  name.resize(sizeof(sockaddr_un::sun_path) - 1, 'x');
  return name;
}

std::string queue_name() { return "/sd-socket-test-" + std::to_string(::getpid()); }

unique_fd open_queue(const std::string& name) {
  const int flags = O_RDONLY | O_CREAT | O_CLOEXEC;
  return unique_fd(check(::mq_open(name.c_str(), flags, S_IRUSR | S_IWUSR, nullptr), "mq_open"));
}

struct queue_remover {
  queue_remover() = default;
  queue_remover(const queue_remover&) = delete;
  queue_remover& operator=(const queue_remover&) = delete;
  ~queue_remover() { ::mq_unlink(queue_name().c_str()); }
};

/// A descriptor, and others that must stay open with it.
struct sample {
  unique_fd fd;
  std::vector<unique_fd> others = {};
};

sample with(unique_fd fd, unique_fd other) {
  sample result{std::move(fd)};
  result.others.push_back(std::move(other));
  return result;
}

sample socket_pair(int type) {
  int ends[2];
  check(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  return with(unique_fd(ends[0]), unique_fd(ends[1]));
}

sample pipe_end(int which) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe");
  return with(unique_fd(ends[which]), unique_fd(ends[1 - which]));
}

/// A connection as a server accepts it.
sample accepted(const address& where, int type = SOCK_STREAM) {
  const auto server = listener(where, type);
  auto client = open_socket(where.family(), type);
  connect(client, local_of(server));
  return with(accept(server), std::move(client));
}

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

template <class Call>
void expect_throw(Call call, int error, const std::string& what) {
  try {
    call();
    ADD_FAILURE() << "no error, but expected " << what;
  } catch (const std::system_error& thrown) {
    EXPECT_EQ(thrown.code(), system_error(error));
    EXPECT_EQ(thrown.what(), what);
  }
}

TEST(socket, exception_names_the_descriptor) {
  for (const int fd : {-1, never_open}) {
    const auto what = "descriptor " + std::to_string(fd) + ": Bad file descriptor";
    expect_throw([&] { (void)sd::describe(fd); }, EBADF, what);
    for (const auto& check : check_table) expect_throw([&] { check.throwing(fd); }, EBADF, what);
  }
}

// --- as text ---------------------------------------------------------------------------------------------------------

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

TEST(file, modification_times_after_2262_differ) {
  const unique_fd fd(check(::memfd_create("x", MFD_CLOEXEC), "memfd_create"));
  std::set<std::int64_t> times;
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{1} << 34, (std::int64_t{1} << 34) + 1}) {
    for (const long nanoseconds : {0, 1}) {
      const timespec time{static_cast<time_t>(seconds), nanoseconds};
      const timespec both[] = {time, time};
      check(::futimens(fd.get(), both), "futimens");
      sd::detail::os::file file;
      ASSERT_EQ(sd::detail::os::status(fd.get(), file), 0);
      times.insert(file.modified);
    }
  }
  EXPECT_EQ(times.size(), 6U);
}

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
  EXPECT_FALSE(sd::is_mq(queue(), ('/' + std::string(5000, 'x')).c_str(), ec));
  EXPECT_EQ(ec, system_error(ENAMETOOLONG));
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
