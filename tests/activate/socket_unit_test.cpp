// SPDX-License-Identifier: MIT OR Apache-2.0
#include "socket_unit.hpp"

#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::activate::infinity;
using sd::activate::listen;
using sd::activate::listen_kind;
using sd::activate::socket_directives;
using sd::activate::socket_unit;
using sd::activate::support;
using sd::activate::test::honored_names;
using sd::activate::test::names_in;
using sd::activate::test::read_socket;
using testing::ElementsAre;
using testing::IsEmpty;

using lines = std::vector<std::string>;
using unit = socket_unit;

/// Returns the text of a unit with something to listen on, whose third line is this setting.
std::string with(std::string_view setting) { return "[Socket]\nListenStream=/a\n" + std::string(setting) + '\n'; }

/// Returns whether the options of a unit are these: values by level and option, in order.
bool has_options(const socket_unit& read, const std::vector<std::vector<int>>& expected) {
  std::vector<std::vector<int>> found;
  for (const auto& [option, value] : read.options) found.push_back({option->level, option->option, value});
  return found == expected;
}

/// Returns whether a unit has one more thing to listen on than `with()` adds.
bool listens(const socket_unit& read, listen_kind kind, std::string_view where) {
  return read.listens.size() == 2 && read.listens[1].kind == kind && read.listens[1].where == where;
}

struct good {
  std::string_view setting;
  std::function<bool(const socket_unit&)> holds;
};

const good good_settings[] = {
    {"ListenStream=127.0.0.1:80", [](const unit& u) { return listens(u, listen_kind::stream, "127.0.0.1:80"); }},
    {"ListenStream=/run/%p", [](const unit& u) { return listens(u, listen_kind::stream, "/run/web"); }},
    {"ListenStream=@%n", [](const unit& u) { return listens(u, listen_kind::stream, "@web.socket"); }},
    {"ListenStream=80", [](const unit& u) { return listens(u, listen_kind::stream, "80"); }},
    {"ListenStream=[::1]:80", [](const unit& u) { return listens(u, listen_kind::stream, "[::1]:80"); }},
    {"ListenStream=vsock:2:80", [](const unit& u) { return listens(u, listen_kind::stream, "vsock:2:80"); }},
    {"ListenDatagram=127.0.0.1:53", [](const unit& u) { return listens(u, listen_kind::datagram, "127.0.0.1:53"); }},
    {"ListenSequentialPacket=@b", [](const unit& u) { return listens(u, listen_kind::seqpacket, "@b"); }},
    {"ListenSequentialPacket=vsock:2:80",
     [](const unit& u) { return listens(u, listen_kind::seqpacket, "vsock:2:80"); }},
    {"ListenFIFO=/run/%p", [](const unit& u) { return listens(u, listen_kind::fifo, "/run/web"); }},
    {"ListenSpecial=/dev/%j", [](const unit& u) { return listens(u, listen_kind::special, "/dev/web"); }},
    {"ListenNetlink=kobject-uevent 1",
     [](const unit& u) {
       return listens(u, listen_kind::netlink, "kobject-uevent 1") &&
              u.listens[1].netlink_family == NETLINK_KOBJECT_UEVENT && u.listens[1].netlink_group == 1;
     }},
    {"ListenNetlink=route",
     [](const unit& u) { return listens(u, listen_kind::netlink, "route") && u.listens[1].netlink_group == 0; }},
    {"ListenMessageQueue=/q", [](const unit& u) { return listens(u, listen_kind::message_queue, "/q"); }},
    {"SocketProtocol=udplite", [](const unit& u) { return u.protocol == IPPROTO_UDPLITE; }},
    {"SocketProtocol=sctp", [](const unit& u) { return u.protocol == IPPROTO_SCTP; }},
    {"BindIPv6Only=both", [](const unit& u) { return u.ipv6 == sd::bind_ipv6_only::both; }},
    {"BindIPv6Only=ipv6-only", [](const unit& u) { return u.ipv6 == sd::bind_ipv6_only::ipv6_only; }},
    {"BindIPv6Only=no", [](const unit& u) { return u.ipv6 == sd::bind_ipv6_only::both; }},
    {"BindIPv6Only=yes", [](const unit& u) { return u.ipv6 == sd::bind_ipv6_only::ipv6_only; }},
    {"Backlog=0", [](const unit& u) { return u.backlog == 0; }},
    {"Backlog=17", [](const unit& u) { return u.backlog == 17; }},
    {"BindToDevice=lo", [](const unit& u) { return u.device == "lo"; }},
    {"SocketUser=%p", [](const unit& u) { return u.user == "web"; }},
    {"SocketGroup=staff", [](const unit& u) { return u.group == "staff"; }},
    {"SocketMode=0600", [](const unit& u) { return u.mode == 0600; }},
    {"DirectoryMode=0700", [](const unit& u) { return u.directory_mode == 0700; }},
    {"Symlinks=/a \"/b c\" /%p",
     [](const unit& u) {
       return u.symlinks == lines{"/a", "/b c", "/web"};
     }},
    {"RemoveOnStop=yes", [](const unit& u) { return u.remove_on_stop; }},
    {"FileDescriptorName=%p-1", [](const unit& u) { return u.fd_name == "web-1"; }},
    {"Accept=yes", [](const unit& u) { return u.accept; }},
    {"MaxConnections=3", [](const unit& u) { return u.max_connections == 3; }},
    {"MaxConnectionsPerSource=2", [](const unit& u) { return u.max_connections_per_source == 2U; }},
    {"TriggerLimitIntervalSec=5",
     [](const unit& u) { return u.trigger_limit().interval() == 5s && u.trigger_limit().burst() == 20; }},
    {"TriggerLimitBurst=5",
     [](const unit& u) { return u.trigger_limit().interval() == 2s && u.trigger_limit().burst() == 5; }},
    {"Service=other.service", [](const unit& u) { return u.service == "other.service"; }},
    {"Service=other@%p.service", [](const unit& u) { return u.service == "other@web.service"; }},
    {"Writable=true", [](const unit& u) { return u.writable; }},
    {"FlushPending=1", [](const unit& u) { return u.flush_pending; }},
    {"PassFileDescriptorsToExec=on", [](const unit& u) { return u.pass_file_descriptors_to_exec; }},
    {"TCPCongestion=reno", [](const unit& u) { return u.congestion == "reno"; }},
    {"PipeSize=64K", [](const unit& u) { return u.pipe_size == 65536U; }},
    {"PipeSize=2147483647", [](const unit& u) { return u.pipe_size == INT_MAX; }},
    {"ExecStartPre=-/bin/a b ; /bin/c", [](const unit& u) { return u.start_pre.size() == 2; }},
    {"ExecStartPost=/bin/a", [](const unit& u) { return u.start_post.size() == 1; }},
    {"ExecStopPre=/bin/a", [](const unit& u) { return u.stop_pre.size() == 1; }},
    {"ExecStopPost=/bin/a", [](const unit& u) { return u.stop_post.size() == 1; }},
    {"TimeoutSec=1min 5s", [](const unit& u) { return u.timeout == 65s; }},
    {"TimeoutSec=infinity", [](const unit& u) { return u.timeout == infinity; }},
    {"KeepAlive=yes",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_KEEPALIVE, 1}});
     }},
    {"KeepAlive=no",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_KEEPALIVE, 0}});
     }},
    {"KeepAliveTimeSec=2min",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_TCP, TCP_KEEPIDLE, 120}});
     }},
    {"KeepAliveTimeSec=2147483647",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_TCP, TCP_KEEPIDLE, INT_MAX}});
     }},
    {"KeepAliveIntervalSec=1500ms",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_TCP, TCP_KEEPINTVL, 2}});
     }},
    {"KeepAliveProbes=4",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_TCP, TCP_KEEPCNT, 4}});
     }},
    {"NoDelay=yes",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_TCP, TCP_NODELAY, 1}});
     }},
    {"DeferAcceptSec=5",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_TCP, TCP_DEFER_ACCEPT, 5}});
     }},
    {"AcceptFileDescriptors=no",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, 83, 0}});
     }},
    {"PassPacketInfo=yes",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_PKTINFO, 1}, {SOL_NETLINK, NETLINK_PKTINFO, 1}}) &&
              u.options[0].option->ipv6_option == IPV6_RECVPKTINFO;
     }},
    {"Timestamping=us",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_TIMESTAMP, 1}});
     }},
    {"Timestamping=nsec",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_TIMESTAMPNS, 1}});
     }},
    {"Broadcast=yes",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_BROADCAST, 1}});
     }},
    {"PassCredentials=yes",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_PASSCRED, 1}});
     }},
    {"PassPIDFD=yes",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, 76, 1}});
     }},
    {"PassSecurity=yes",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_PASSSEC, 1}});
     }},
    {"Priority=6",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_PRIORITY, 6}});
     }},
    {"ReceiveBuffer=64K",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_RCVBUF, 65536}});
     }},
    {"SendBuffer=1M",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_SNDBUF, 1 << 20}});
     }},
    {"Mark=4294967295",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_MARK, -1}});
     }},
    {"IPTOS=low-delay",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TOS, IPTOS_LOWDELAY}});
     }},
    {"IPTOS=throughput",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TOS, IPTOS_THROUGHPUT}});
     }},
    {"IPTOS=reliability",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TOS, IPTOS_RELIABILITY}});
     }},
    {"IPTOS=low-cost",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TOS, IPTOS_LOWCOST}});
     }},
    {"IPTOS=184",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TOS, 184}});
     }},
    {"IPTTL=3",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TTL, 3}});
     }},
    {"ReusePort=yes",
     [](const unit& u) {
       return has_options(u, {{SOL_SOCKET, SO_REUSEPORT, 1}}) && u.options[0].option->before_bind;
     }},
    {"FreeBind=yes",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_FREEBIND, 1}});
     }},
    {"Transparent=yes",
     [](const unit& u) {
       return has_options(u, {{IPPROTO_IP, IP_TRANSPARENT, 1}});
     }},
};

TEST(socket_unit, settings_become_what_they_mean) {
  for (const auto& [setting, holds] : good_settings) {
    const auto read = read_socket(with(setting));
    EXPECT_THAT(read.problems, IsEmpty()) << setting;
    EXPECT_TRUE(holds(read.unit)) << setting;
    EXPECT_FALSE(holds(read_socket(with("")).unit)) << setting << " is the default";
  }
}

TEST(socket_unit, empty_value_restores_the_default) {
  for (const auto& [setting, holds] : good_settings) {
    const auto name = setting.substr(0, setting.find('='));
    // The list of what to listen on must not be empty in the end.
    const auto read = read_socket(with(std::string(setting) + '\n' + std::string(name) + "=\nListenStream=@z"));
    EXPECT_THAT(read.problems, IsEmpty()) << setting;
    EXPECT_FALSE(holds(read.unit)) << setting;
  }
}

TEST(socket_unit, queue_has_its_sizes) {
  const auto read = read_socket(with("MessageQueueMaxMessages=5\nMessageQueueMessageSize=100"));
  EXPECT_THAT(read.problems, IsEmpty());
  EXPECT_EQ(read.unit.queue_messages, 5);
  EXPECT_EQ(read.unit.queue_message_size, 100);
  const auto reset = read_socket(with(
      "MessageQueueMaxMessages=5\nMessageQueueMessageSize=100\nMessageQueueMaxMessages=\nMessageQueueMessageSize="));
  EXPECT_THAT(reset.problems, IsEmpty());
  EXPECT_EQ(reset.unit.queue_messages, std::nullopt);
}

TEST(socket_unit, later_value_replaces_an_earlier_one) {
  EXPECT_EQ(read_socket(with("Backlog=1\nBacklog=2")).unit.backlog, 2U);
  EXPECT_TRUE(has_options(read_socket(with("IPTTL=1\nIPTTL=2")).unit, {{IPPROTO_IP, IP_TTL, 2}}));
  EXPECT_TRUE(has_options(read_socket(with("Timestamping=us\nTimestamping=off")).unit, {}));
  EXPECT_TRUE(has_options(read_socket(with("KeepAlive=yes\nTimestamping=us\nTimestamping=ns")).unit,
                          {{SOL_SOCKET, SO_KEEPALIVE, 1}, {SOL_SOCKET, SO_TIMESTAMPNS, 1}}));
  EXPECT_EQ(read_socket(with("BindIPv6Only=both\nBindIPv6Only=default")).unit.ipv6, sd::bind_ipv6_only::system_default);
}

TEST(socket_unit, options_are_in_the_order_in_which_they_are_set) {
  EXPECT_TRUE(has_options(read_socket(with("IPTTL=1\nIPTOS=8\nMark=2\nPriority=3\nKeepAlive=yes")).unit,
                          {{SOL_SOCKET, SO_KEEPALIVE, 1},
                           {SOL_SOCKET, SO_PRIORITY, 3},
                           {SOL_SOCKET, SO_MARK, 2},
                           {IPPROTO_IP, IP_TOS, 8},
                           {IPPROTO_IP, IP_TTL, 1}}));
}

TEST(socket_unit, defaults_are_those_of_systemd) {
  const auto read = read_socket("[Socket]\nListenStream=80\n").unit;
  EXPECT_EQ(read.mode, 0666U);
  EXPECT_EQ(read.directory_mode, 0755U);
  EXPECT_EQ(read.backlog, UINT32_MAX);
  EXPECT_EQ(read.max_connections, 64U);
  EXPECT_EQ(read.ipv6, sd::bind_ipv6_only::system_default);
  EXPECT_EQ(read.timeout, 90s);
  EXPECT_FALSE(read.accept);
  EXPECT_FALSE(read.remove_on_stop);
  EXPECT_EQ(read.name.full(), "web.socket");
  EXPECT_EQ(read.path, "/etc/units/web.socket");
}

TEST(socket_unit, sockets_are_in_order) {
  const auto read = read_socket("[Socket]\nListenStream=80\nListenDatagram=@a\nListenFIFO=/f\nListenStream=/s\n").unit;
  lines where;
  for (const auto& each : read.listens) where.push_back(each.where);
  EXPECT_THAT(where, ElementsAre("80", "@a", "/f", "/s"));
  EXPECT_EQ(read.listens[3].at.line, 5U);
  EXPECT_EQ(read.listens[3].at.column, 14U);
}

TEST(socket_unit, empty_listen_setting_clears_all_of_them) {
  const auto read = read_socket("[Socket]\nListenStream=80\nListenFIFO=/f\nListenDatagram=\nListenStream=81\n").unit;
  ASSERT_EQ(read.listens.size(), 1U);
  EXPECT_EQ(read.listens[0].where, "81");
}

// --- malformed values ------------------------------------------------------------------------------------------------

struct bad {
  std::string_view setting;
  std::string_view problem;  ///< the message after the setting
  std::size_t offset = 0;    ///< of the problem in the value
};

constexpr std::string_view no_address =
    "not /path, @abstract, PORT, IPV4:PORT, [IPV6]:PORT, [IPV6]:PORT%INTERFACE or vsock:CID:PORT";
constexpr std::string_view no_boolean = "neither yes nor no";
constexpr std::string_view no_number = "not a number from 0 to 4294967295";
constexpr std::string_view no_integer = "not a number from 0 to 2147483647";
constexpr std::string_view no_positive = "not a number from 1 to 2147483647";
constexpr std::string_view no_size = "not a size, such as 65536 or 64K";
constexpr std::string_view no_period = "not a time span, such as 90 or 1min 30s";
constexpr std::string_view no_mode = "not an access mode in octal, such as 0660";
constexpr std::string_view no_specifier = "unknown specifier \"%Z\"; write \"%%\" for a percent sign";
constexpr std::string_view no_program = "the program is neither an absolute path nor a name without a slash";
constexpr std::string_view no_name = "not a name of up to 255 ASCII characters without colons and control characters";

const bad bad_settings[] = {
    {"ListenStream=x", no_address},
    {"ListenStream=localhost:80", "host names are not resolved; write an IP address"},
    {"ListenStream=65536", "port exceeds 65535"},
    {"ListenStream=/a%Z", no_specifier, 2},
    {"ListenDatagram=:", no_address},
    {"ListenSequentialPacket=127.0.0.1:80", "only unix and vsock sockets have sequential packets"},
    {"ListenSequentialPacket=80", "only unix and vsock sockets have sequential packets"},
    {"ListenFIFO=fifo", "not an absolute path"},
    {"ListenFIFO=/a/../b", "the path contains \"..\""},
    {"ListenFIFO=/a%Z", no_specifier, 2},
    {"ListenSpecial=dev/null", "not an absolute path"},
    {"ListenNetlink=foo 1", "unknown netlink family"},
    {"ListenNetlink=\"route", "unknown netlink family"},
    {"ListenNetlink=route x", "not a netlink family and the number of a multicast group", 6},
    {"ListenNetlink=route 1 2", "not a netlink family and the number of a multicast group", 6},
    {"ListenMessageQueue=q", "not the name of a message queue, such as /queue"},
    {"ListenMessageQueue=queue", "not the name of a message queue, such as /queue"},
    {"ListenMessageQueue=/", "not the name of a message queue, such as /queue"},
    {"ListenMessageQueue=//", "not the name of a message queue, such as /queue"},
    {"ListenMessageQueue=/a/b", "not the name of a message queue, such as /queue"},
    {"SocketProtocol=tcp", "none of udplite, sctp"},
    {"BindIPv6Only=maybe", "none of default, both, ipv6-only, no, yes"},
    {"Backlog=-1", no_number},
    {"Backlog=4294967296", no_number},
    {"BindToDevice=%Z", no_specifier},
    {"SocketUser=a%Z", no_specifier, 1},
    {"SocketGroup=%Z", no_specifier},
    {"SocketMode=0888", no_mode},
    {"DirectoryMode=rwx", no_mode},
    {"Symlinks=/a b", "not an absolute path", 3},
    {"Symlinks=/a \"b", "the quote is not closed", 3},
    {"RemoveOnStop=maybe", no_boolean},
    {"FileDescriptorName=a:b", no_name},
    {"FileDescriptorName=\u00e4", no_name},
    {"FileDescriptorName=a%Z", no_specifier, 1},
    {"Accept=2", no_boolean},
    {"MaxConnections=x", no_number},
    {"MaxConnectionsPerSource=1.5", no_number},
    {"TriggerLimitIntervalSec=x", "not a time span, such as 90 or 1min 30s"},
    {"TriggerLimitBurst=infinity", no_number},
    {"Service=web", "not the name of a service unit"},
    {"Service=web.socket", "not the name of a service unit"},
    {"Service=web@.service", "not the name of a service unit"},
    {"Service=%Z", no_specifier},
    {"Writable=x", no_boolean},
    {"FlushPending=x", no_boolean},
    {"PassFileDescriptorsToExec=x", no_boolean},
    {"TCPCongestion=%Z", no_specifier},
    {"PipeSize=x", no_size},
    {"PipeSize=2G", "exceeds 2147483647"},
    {"MessageQueueMaxMessages=0", no_positive},
    {"MessageQueueMessageSize=x", no_positive},
    {"ExecStartPre=bin/a", no_program},
    {"ExecStartPost=bin/a", no_program},
    {"ExecStopPre=/bin/a ; b/c", no_program, 9},
    {"ExecStopPost=bin/a", no_program},
    {"TimeoutSec=5 mins", no_period},
    {"KeepAlive=x", no_boolean},
    {"KeepAliveTimeSec=x", no_period},
    {"KeepAliveTimeSec=infinity", "too long"},
    {"KeepAliveIntervalSec=100y", "too long"},
    {"KeepAliveProbes=-1", no_integer},
    {"NoDelay=x", no_boolean},
    {"DeferAcceptSec=x", no_period},
    {"AcceptFileDescriptors=x", no_boolean},
    {"PassPacketInfo=x", no_boolean},
    {"Timestamping=ms", "none of off, us, usec, \u00b5s, ns, nsec"},
    {"Broadcast=x", no_boolean},
    {"PassCredentials=x", no_boolean},
    {"PassPIDFD=x", no_boolean},
    {"PassSecurity=x", no_boolean},
    {"Priority=x", no_integer},
    {"ReceiveBuffer=64k", no_size},
    {"ReceiveBuffer=2G", "exceeds 2147483647"},
    {"SendBuffer=-1", no_size},
    {"Mark=4294967296", no_number},
    {"IPTOS=256", "neither a number up to 255 nor low-delay, throughput, reliability or low-cost"},
    {"IPTTL=x", no_integer},
    {"ReusePort=x", no_boolean},
    {"FreeBind=x", no_boolean},
    {"Transparent=x", no_boolean},
};

TEST(socket_unit, malformed_values_are_reported_where_they_are) {
  for (const auto& [setting, problem, offset] : bad_settings) {
    const auto read = read_socket(with(setting));
    const auto column = setting.find('=') + 2 + offset;
    const lines expected = {"3:" + std::to_string(column) + ": error: " + std::string(setting) + ": " +
                            std::string(problem)};
    EXPECT_EQ(read.problems, expected);
    EXPECT_EQ(read.unit.listens.size(), 1U) << setting;
  }
}

TEST(socket_unit, tables_of_this_test_are_complete) {
  auto tested = names_in(good_settings);
  tested.insert({"MessageQueueMaxMessages", "MessageQueueMessageSize"});
  EXPECT_EQ(tested, honored_names(socket_directives()));
  EXPECT_EQ(names_in(bad_settings), honored_names(socket_directives()));
}

TEST(socket_unit, name_of_a_descriptor_has_at_most_255_bytes) {
  EXPECT_THAT(read_socket(with("FileDescriptorName=" + std::string(255, 'a'))).problems, IsEmpty());
  EXPECT_EQ(read_socket(with("FileDescriptorName=" + std::string(256, 'a'))).problems.size(), 1U);
}

TEST(socket_unit, template_can_name_the_template_of_a_service) {
  EXPECT_THAT(read_socket(with("Service=other@.service"), "web@.socket").problems, IsEmpty());
}

TEST(socket_unit, every_problem_is_reported) {
  EXPECT_THAT(
      read_socket("[Socket]\nListenStream=x\nBacklog=y\nFoo=1\n").problems,
      ElementsAre("2:14: error: ListenStream=x: " + std::string(no_address),
                  "3:9: error: Backlog=y: " + std::string(no_number), "4:1: error: [Socket] Foo= is not supported"));
}

// --- settings that are not honored -----------------------------------------------------------------------------------

TEST(socket_unit, refused_setting_is_an_error) {
  EXPECT_THAT(read_socket(with("ListenUSBFunction=/x")).problems,
              ElementsAre("3:1: error: ListenUSBFunction= is not supported: there is no USB gadget here"));
}

TEST(socket_unit, unknown_setting_is_an_error) {
  EXPECT_THAT(read_socket(with("  Foo=1")).problems, ElementsAre("3:3: error: [Socket] Foo= is not supported"));
  EXPECT_THAT(read_socket(with("listenstream=80")).problems,
              ElementsAre("3:1: error: [Socket] listenstream= is not supported"));
  EXPECT_THAT(read_socket(with("[Service]\nExecStart=/x")).problems,
              ElementsAre("4:1: error: [Service] ExecStart= is not supported"));
  EXPECT_THAT(read_socket(with("[Unit]\nFoo=1")).problems, ElementsAre("4:1: error: [Unit] Foo= is not supported"));
  EXPECT_THAT(read_socket(with("Description=x")).problems,
              ElementsAre("3:1: error: [Socket] Description= is not supported"));
}

TEST(socket_unit, settings_that_are_not_enforced_share_one_warning) {
  EXPECT_THAT(read_socket(with("SmackLabel=x\nPollLimitBurst=3\nBacklog=5\nSmackLabel=y\nXAttrListen=z")).problems,
              ElementsAre("3:1: warning: not enforced: SmackLabel=, PollLimitBurst=, XAttrListen="));
}

TEST(socket_unit, start_limit_has_no_effect) {
  // systemd.unit(5) describes it for units of every type. The sockets are opened once.
  EXPECT_THAT(read_socket("[Unit]\nStartLimitBurst=3\n[Socket]\nListenStream=80\n").problems, IsEmpty());
}

TEST(socket_unit, connections_have_a_higher_trigger_limit) {
  const auto read = read_socket("[Socket]\nListenStream=80\nAccept=yes\nTriggerLimitIntervalSec=1\n").unit;
  EXPECT_EQ(read.trigger_limit().burst(), 200U);
  EXPECT_FALSE(read_socket("[Socket]\nListenStream=80\nAccept=yes\n").unit.trigger_limit().is_set());
}

TEST(socket_unit, settings_of_unit_and_install_have_no_effect) {
  EXPECT_THAT(read_socket("[Unit]\nDescription=x\nAfter=y\nDocumentation=man:x(1)\n[Socket]\nListenStream=80\n"
                          "[Install]\nWantedBy=sockets.target\n")
                  .problems,
              IsEmpty());
}

TEST(socket_unit, settings_of_others_are_ignored) {
  EXPECT_THAT(read_socket(with("X-Foo=1\n[X-Bar]\nBaz=2")).problems, IsEmpty());
}

TEST(socket_unit, every_setting_that_is_not_honored_is_reported_as_its_group_requires) {
  for (const auto& group : socket_directives().others) {
    for (const auto name : group.names) {
      const auto problems =
          read_socket(with("[" + std::string(group.section) + "]\n" + std::string(name) + "=x")).problems;
      const auto refusal = "4:1: error: " + std::string(name) + "= is not supported: " + std::string(group.note);
      const auto warning = "4:1: warning: not enforced: " + std::string(name) + '=';
      EXPECT_EQ(problems, group.level == support::refused        ? lines{refusal}
                          : group.level == support::not_enforced ? lines{warning}
                                                                 : lines{})
          << name;
    }
  }
}

// --- contradictions --------------------------------------------------------------------------------------------------

TEST(socket_unit, other_units_are_refused) {
  EXPECT_THAT(read_socket(with(""), "web.service").problems, ElementsAre("error: not a socket unit"));
}

TEST(socket_unit, nothing_to_listen_on_is_an_error) {
  const auto problem = "error: nothing to listen on: there is no ListenStream= or the like";
  EXPECT_THAT(read_socket("").problems, ElementsAre(problem));
  EXPECT_THAT(read_socket("[Socket]\nBacklog=3\n").problems, ElementsAre(problem));
  EXPECT_THAT(read_socket("[Socket]\nListenStream=80\nListenStream=\n").problems, ElementsAre(problem));
}

TEST(socket_unit, accept_needs_sockets_that_accept) {
  EXPECT_THAT(read_socket("[Socket]\nAccept=yes\nListenStream=80\nListenDatagram=80\nListenFIFO=/f\n").problems,
              ElementsAre("4:16: error: Accept=yes is possible for stream and sequential-packet sockets only",
                          "5:12: error: Accept=yes is possible for stream and sequential-packet sockets only"));
}

TEST(socket_unit, accept_is_possible_for_sequential_packets) {
  EXPECT_THAT(read_socket(with("Accept=yes\nListenSequentialPacket=@a")).problems, IsEmpty());
}

TEST(socket_unit, accept_excludes_a_named_service) {
  EXPECT_THAT(read_socket(with("Accept=yes\nService=x.service")).problems,
              ElementsAre("error: Service= is not possible with Accept=yes, which starts an instance of a template"));
}

TEST(socket_unit, symlinks_need_one_path) {
  const auto problem = "error: Symlinks= needs exactly one unix socket or FIFO with a path";
  EXPECT_THAT(read_socket("[Socket]\nListenStream=80\nSymlinks=/l\n").problems, ElementsAre(problem));
  EXPECT_THAT(read_socket("[Socket]\nListenStream=@a\nSymlinks=/l\n").problems, ElementsAre(problem));
  EXPECT_THAT(read_socket("[Socket]\nListenStream=/a\nListenFIFO=/b\nSymlinks=/l\n").problems, ElementsAre(problem));
  EXPECT_THAT(read_socket("[Socket]\nListenStream=/a\nListenStream=80\nSymlinks=/l\n").problems, IsEmpty());
}

TEST(socket_unit, sizes_of_a_queue_need_each_other) {
  const auto problem = "error: MessageQueueMaxMessages= and MessageQueueMessageSize= need each other";
  EXPECT_THAT(read_socket(with("MessageQueueMaxMessages=5")).problems, ElementsAre(problem));
  EXPECT_THAT(read_socket(with("MessageQueueMessageSize=5")).problems, ElementsAre(problem));
}

TEST(socket_unit, contradictions_are_reported_although_another_unit_has_errors) {
  sd::activate::diagnostics problems;
  for (const char* text : {"[Socket]\nListenStream=x\n", "[Socket]\n"}) {
    sd::activate::read_socket_unit(sd::activate::test::unit_of("web.socket", text, problems), problems);
  }
  EXPECT_EQ(problems.all().size(), 2U);
}

}  // namespace
