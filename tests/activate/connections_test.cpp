// SPDX-License-Identifier: MIT OR Apache-2.0
#include "connections.hpp"

#include <sd/address.hpp>
#include <sd/socket.hpp>

#include "check.hpp"
#include "client.hpp"
#include "directory.hpp"
#include "failing_call.hpp"
#include "sockets.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using sd::address;
using sd::describe;
using sd::listen_fd;
using sd::unique_fd;
using sd::activate::connections;
using sd::test::check;
using testing::HasSubstr;

constexpr int netns_cookie = 71;  // SO_NETNS_COOKIE

/// Returns a socket that is bound to the address, and listens if its type allows that.
unique_fd bind_to(const std::string& where, int type = SOCK_STREAM, int protocol = 0) {
  const address local(where);
  unique_fd fd(check(::socket(local.family(), type | SOCK_CLOEXEC, protocol), "socket"));
  const auto* const sockaddr = static_cast<const struct sockaddr*>(local.data());
  check(::bind(fd.get(), sockaddr, static_cast<socklen_t>(local.size())), "bind to " + where);
  if (type != SOCK_DGRAM) check(::listen(fd.get(), SOMAXCONN), "listen");
  return fd;
}

std::string address_of(const unique_fd& fd) { return sd::to_string(describe(fd.get()).local); }

unique_fd accept(const unique_fd& listener) {
  return unique_fd(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
}

/// Waits for the end of the data of a connection.
void wait_for_end(const unique_fd& connection) {
  char byte = 0;
  while (check(::recv(connection.get(), &byte, 1, 0), "recv") > 0) continue;
}

/// The two ends of a connection to a listener.
struct pair {
  unique_fd client;
  unique_fd server;
};

pair connect_to(const unique_fd& listener, const std::string& where) {
  int type = 0;
  socklen_t size = sizeof type;
  check(::getsockopt(listener.get(), SOL_SOCKET, SO_TYPE, &type, &size), "SO_TYPE");
  auto client = sd::test::connect(where, type);
  return {std::move(client), accept(listener)};
}

/// A service's sockets, which the service uses, and what sd-activate knows about them.
struct watched {
  explicit watched(unique_fd listener) : fd(std::move(listener)) {
    fds.push_back({"a", sd::activate::duplicate(fd.get())});
    seen = std::make_unique<connections>(fds);
  }
  [[nodiscard]] bool are_in_use() const { return seen->are_in_use(); }

  unique_fd fd;
  std::vector<listen_fd> fds;
  std::unique_ptr<connections> seen;
};

/// Returns what a connection to the socket looks like at each stage. Each stage but the first two begins with a look
/// that takes note of what has arrived.
void expect_stages(const watched& service, const std::string& where) {
  EXPECT_FALSE(service.are_in_use()) << where << ": nothing";
  int type = 0;
  socklen_t size = sizeof type;
  check(::getsockopt(service.fd.get(), SOL_SOCKET, SO_TYPE, &type, &size), "SO_TYPE");
  auto client = sd::test::connect(where, type);
  EXPECT_TRUE(service.are_in_use()) << where << ": in the queue";
  EXPECT_TRUE(service.are_in_use()) << where << ": in the queue, still";
  auto server = accept(service.fd);
  EXPECT_TRUE(service.are_in_use()) << where << ": accepted";
  EXPECT_TRUE(service.are_in_use()) << where << ": accepted, still";
  check(::shutdown(client.get(), SHUT_WR), "shutdown");
  wait_for_end(server);
  EXPECT_TRUE(service.are_in_use()) << where << ": the client has ended its data";
  server.reset();
  EXPECT_FALSE(service.are_in_use()) << where << ": closed by the service first";
  client.reset();
  EXPECT_FALSE(service.are_in_use()) << where << ": closed";
}

TEST(connections, of_each_kind_of_listener_are_seen) {
  const sd::test::directory there;
  const auto name = "@sd-connections-" + std::to_string(::getpid());
  struct {
    std::string where;
    int type;
  } const rows[] = {
      {"127.0.0.1:0", SOCK_STREAM},        {"0.0.0.0:0", SOCK_STREAM},      {there / "stream", SOCK_STREAM},
      {there / "packets", SOCK_SEQPACKET}, {name + "-stream", SOCK_STREAM}, {name + "-packets", SOCK_SEQPACKET},
  };
  for (const auto& [where, type] : rows) {
    const watched service(bind_to(where, type));
    auto client = address_of(service.fd);
    if (client.starts_with("0.0.0.0")) client.replace(0, 7, "127.0.0.1");
    expect_stages(service, client);
  }
}

TEST(connections, of_ipv6_listeners_are_seen) {
  const unique_fd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) GTEST_SKIP() << "SKIPPED: no IPv6";
  const watched local(bind_to("[::1]:0"));
  expect_stages(local, address_of(local.fd));
  const watched any(bind_to("[::]:0"));
  const auto port = std::to_string(describe(any.fd.get()).local.port());
  expect_stages(any, "[::1]:" + port);
  expect_stages(any, "127.0.0.1:" + port);
}

TEST(connections, of_mptcp_listeners_are_seen) {
  constexpr int mptcp = 262;
  const unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, mptcp));
  if (!probe) GTEST_SKIP() << "SKIPPED: no MPTCP";
  const watched service(bind_to("127.0.0.1:0", SOCK_STREAM, mptcp));
  expect_stages(service, address_of(service.fd));
}

TEST(connections, that_the_service_has_half_closed_are_seen_while_it_holds_them) {
  const watched service(bind_to("127.0.0.1:0"));
  auto ends = connect_to(service.fd, address_of(service.fd));
  check(::shutdown(ends.server.get(), SHUT_WR), "shutdown");
  wait_for_end(ends.client);
  EXPECT_TRUE(service.are_in_use());
  EXPECT_TRUE(service.are_in_use());
  ends.server.reset();
  EXPECT_FALSE(service.are_in_use());
}

TEST(connections, of_others_are_not_counted) {
  const sd::test::directory there;
  const watched service(bind_to("127.0.0.1:0"));
  const auto port = std::to_string(describe(service.fd.get()).local.port());
  const auto same_port = bind_to("127.0.0.2:" + port);
  const auto other_port = bind_to("127.0.0.1:0");
  const auto first = connect_to(same_port, "127.0.0.2:" + port);
  const auto second = connect_to(other_port, address_of(other_port));
  EXPECT_FALSE(service.are_in_use());

  if (const unique_fd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)); probe) {
    const watched with_ipv6(bind_to("[::1]:0"));
    const auto its_port = std::to_string(describe(with_ipv6.fd.get()).local.port());
    const auto mapped = bind_to("[::ffff:127.0.0.1]:" + its_port);
    const auto connection = connect_to(mapped, "127.0.0.1:" + its_port);
    EXPECT_FALSE(with_ipv6.are_in_use());
  }

  // Another socket at the same path.
  const auto path = there / "socket";
  const auto earlier = bind_to(path);
  const auto third = connect_to(earlier, path);
  check(::unlink(path.c_str()), "unlink");
  const watched successor(bind_to(path));
  EXPECT_FALSE(successor.are_in_use());
  const auto fourth = connect_to(successor.fd, path);
  EXPECT_TRUE(successor.are_in_use());
}

TEST(connections, among_many_are_found) {
  const sd::test::directory there;
  const auto other = bind_to(there / "other");
  std::vector<pair> others;
  for (int i = 0; i < 400; ++i) others.push_back(connect_to(other, there / "other"));
  const watched service(bind_to(there / "socket"));
  EXPECT_FALSE(service.are_in_use());
  const auto ends = connect_to(service.fd, there / "socket");
  EXPECT_TRUE(service.are_in_use());
  EXPECT_TRUE(service.are_in_use());
}

TEST(connections, that_have_come_and_gone_are_seen_once) {
  const sd::test::directory there;
  for (const auto* const where : {"127.0.0.1:0", "PATH"}) {
    const watched service(bind_to(where == std::string("PATH") ? there / "socket" : where));
    EXPECT_FALSE(service.are_in_use());
    static_cast<void>(connect_to(service.fd, address_of(service.fd)));
    EXPECT_TRUE(service.are_in_use());
    EXPECT_FALSE(service.are_in_use());
  }
}

TEST(connections, messages_that_have_come_and_gone_are_seen_once) {
  const sd::test::directory there;
  const auto receive = [](const unique_fd& fd) {
    char byte = 0;
    EXPECT_EQ(::read(fd.get(), &byte, 1), 1);
  };
  const auto expect_one = [&](const watched& service, const auto& send) {
    const auto name = sd::to_string(describe(service.fd.get()));
    EXPECT_FALSE(service.are_in_use()) << name;
    send();
    EXPECT_TRUE(service.are_in_use()) << name << ": it waits";
    EXPECT_TRUE(service.are_in_use()) << name << ": it waits, still";
    receive(service.fd);
    static_cast<void>(service.are_in_use());  // a FIFO also tells that it has been read
    EXPECT_FALSE(service.are_in_use()) << name;
    send();
    receive(service.fd);
    EXPECT_TRUE(service.are_in_use()) << name << ": it has been received";
    EXPECT_FALSE(service.are_in_use()) << name;
  };
  for (const auto& where : {std::string("127.0.0.1:0"), there / "datagrams"}) {
    const watched service(bind_to(where, SOCK_DGRAM));
    const auto client = sd::test::connect(address_of(service.fd), SOCK_DGRAM);
    expect_one(service, [&] { sd::test::send(client, "x"); });
  }
  check(::mkfifo((there / "fifo").c_str(), 0600), "mkfifo");
  const watched fifo(unique_fd(check(::open((there / "fifo").c_str(), O_RDWR | O_CLOEXEC), "open")));
  expect_one(fifo, [&] { EXPECT_EQ(::write(fifo.fd.get(), "x", 1), 1); });
}

TEST(connections, message_queue_is_used_by_messages) {
  const auto name = "/sd-connections-" + std::to_string(::getpid());
  const auto queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600, nullptr);
  if (queue < 0 && (errno == ENOSYS || errno == EACCES)) GTEST_SKIP() << "SKIPPED: no message queues";
  const watched service(unique_fd(check(queue, "mq_open")));
  ::mq_unlink(name.c_str());
  static_cast<void>(service.are_in_use());
  EXPECT_FALSE(service.are_in_use());
  check(::mq_send(service.fd.get(), "x", 1, 0), "mq_send");
  std::vector<char> buffer(65536);
  EXPECT_TRUE(service.are_in_use());
  EXPECT_TRUE(service.are_in_use());
  check(::mq_receive(service.fd.get(), buffer.data(), buffer.size(), nullptr), "mq_receive");
  static_cast<void>(service.are_in_use());
  EXPECT_FALSE(service.are_in_use());
  // The kernel's time of the last message may be too coarse for a single one.
  bool is_seen = false;
  while (!is_seen) {
    check(::mq_send(service.fd.get(), "x", 1, 0), "mq_send");
    check(::mq_receive(service.fd.get(), buffer.data(), buffer.size(), nullptr), "mq_receive");
    is_seen = service.are_in_use();
  }
}

TEST(connections, flags_that_the_service_sets_stay_and_hide_nothing_for_long) {
  const watched service(bind_to("127.0.0.1:0", SOCK_DGRAM));
  const auto client = sd::test::connect(address_of(service.fd), SOCK_DGRAM);
  check(::fcntl(service.fd.get(), F_SETFL, O_NONBLOCK), "O_NONBLOCK");  // which clears O_ASYNC
  EXPECT_FALSE(service.are_in_use());
  EXPECT_NE(::fcntl(service.fd.get(), F_GETFL) & O_NONBLOCK, 0);
  sd::test::send(client, "x");
  char byte = 0;
  EXPECT_EQ(::read(service.fd.get(), &byte, 1), 1);
  EXPECT_TRUE(service.are_in_use());
}

TEST(connections, sockets_are_left_as_they_were) {
  const auto listener = bind_to("127.0.0.1:0");
  const int flags = ::fcntl(listener.get(), F_GETFL);
  { const watched service(sd::activate::duplicate(listener.get())); }
  EXPECT_EQ(::fcntl(listener.get(), F_GETFL), flags);
}

// --- errors ----------------------------------------------------------------------------------------------------------

std::string error_for(unique_fd fd) {
  try {
    const watched service(std::move(fd));
    return "";
  } catch (const std::system_error& error) {
    return error.what();
  }
}

/// Makes a socket in a network namespace of its own, which is that of a thread. Returns why that is not possible.
std::string make_foreign(const std::string& where, unique_fd& foreign) {
  std::string reason;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) < 0) {
      reason = "cannot make a network namespace: " + std::generic_category().message(errno);
    } else {
      foreign = bind_to(where);
    }
  }).join();
  return reason;
}

TEST(connections, socket_whose_use_cannot_be_seen_is_an_error) {
  const auto listener = bind_to("127.0.0.1:0");
  auto [client, server] = connect_to(listener, address_of(listener));
  EXPECT_THAT(error_for(std::move(server)),
              testing::AllOf(testing::StartsWith("--stop-idle: connection inet stream 127.0.0.1:"),
                             HasSubstr(": whether it is used cannot be seen: Operation not supported")));
  EXPECT_THAT(error_for(unique_fd(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open"))),
              HasSubstr(": its traffic cannot be seen: "));
}

TEST(connections, socket_of_another_family_is_an_error) {
  unique_fd vsock(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_vm any{};
  any.svm_family = AF_VSOCK;
  any.svm_cid = VMADDR_CID_ANY;
  any.svm_port = VMADDR_PORT_ANY;
  const bool listens = vsock && ::bind(vsock.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 &&
                       ::listen(vsock.get(), 1) == 0;
  unique_fd packet(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!listens && !packet) GTEST_SKIP() << "SKIPPED: no vsock, and no right to open packet sockets";
  if (listens) {
    EXPECT_THAT(error_for(std::move(vsock)), HasSubstr(": whether it is used cannot be seen: "));
  }
  if (packet) {
    EXPECT_THAT(error_for(std::move(packet)), HasSubstr(": whether it is used cannot be seen: "));
  }
}

constexpr auto size_of_header = static_cast<std::uint32_t>(sizeof(nlmsghdr));
constexpr auto size_of_inet_request = static_cast<std::uint32_t>(size_of_header + sizeof(inet_diag_req_v2));
constexpr auto size_of_unix_request = static_cast<std::uint32_t>(size_of_header + sizeof(unix_diag_req));

TEST(connections, kernel_that_refuses_to_list_them_is_an_error) {
  const struct {
    sd::test::failing_call call;
    const char* message;
  } rows[] = {
      {{SYS_socket, 2, NETLINK_SOCK_DIAG, EPROTONOSUPPORT},
       ": its connections cannot be seen: sock_diag: Protocol not supported"},
      {{SYS_sendto, 2, size_of_inet_request, EOPNOTSUPP},
       ": its connections cannot be seen: sock_diag: Operation not supported"},
      {{SYS_recvfrom, 3, MSG_DONTWAIT, ENOBUFS},
       ": its connections cannot be seen: sock_diag: No buffer space available"},
      {{SYS_fcntl, 1, F_SETOWN, EPERM}, ": its traffic cannot be seen: Operation not permitted"},
  };
  for (const auto& [call, message] : rows) {
    const auto text = sd::test::run_with(call, [] { return error_for(bind_to("127.0.0.1:0")); });
    if (!text) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
    if (text == "") GTEST_SKIP() << "SKIPPED: seccomp filters have no effect here";
    EXPECT_THAT(*text, HasSubstr(message));
  }
}

TEST(connections, service_counts_as_used_if_the_kernel_does_not_reply) {
  const watched service(bind_to("127.0.0.1:0"));
  EXPECT_FALSE(service.are_in_use());
  const auto use_without = [&](std::uint32_t request) {
    return sd::test::run_with({SYS_sendto, 2, request, EOPNOTSUPP}, [&]() -> std::string {
      if (::send(-1, nullptr, request, 0) < 0 && errno != EOPNOTSUPP) return "the filter has no effect";
      return service.are_in_use() ? "used" : "not used";
    });
  };
  const auto use = use_without(size_of_inet_request);
  if (!use) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
  if (*use == "the filter has no effect") GTEST_SKIP() << "SKIPPED: " << *use;
  EXPECT_EQ(*use, "used");
  // Only a service with a unix socket needs the list of those.
  EXPECT_EQ(use_without(size_of_unix_request), "not used");
}

TEST(connections, socket_of_another_network_is_an_error) {
  const sd::test::directory there;
  for (const auto& where : {std::string("0.0.0.0:0"), there / "socket"}) {
    unique_fd foreign;
    const auto reason = make_foreign(where, foreign);
    if (!foreign) GTEST_SKIP() << "SKIPPED: " << reason;
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(foreign.get(), SOL_SOCKET, netns_cookie, &cookie, &size) < 0)
      GTEST_SKIP() << "SKIPPED: the kernel does not tell namespaces apart";
    EXPECT_THAT(error_for(std::move(foreign)),
                HasSubstr(": its connections cannot be seen: it belongs to another network namespace: Operation not "
                          "supported"));
  }
}

/// An older kernel does not tell namespaces apart.
TEST(connections, unix_socket_that_the_kernel_does_not_find_is_an_error) {
  const sd::test::directory there;
  unique_fd foreign;
  const auto reason = make_foreign(there / "socket", foreign);
  if (!foreign) GTEST_SKIP() << "SKIPPED: " << reason;
  const auto text =
      sd::test::run_with({SYS_getsockopt, 2, netns_cookie, ENOPROTOOPT}, [&] { return error_for(std::move(foreign)); });
  if (!text || text->find("another network") != std::string::npos)
    GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
  EXPECT_THAT(*text, HasSubstr(": its connections cannot be seen: sock_diag: No such file or directory"));
}

}  // namespace
