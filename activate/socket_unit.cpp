// SPDX-License-Identifier: MIT OR Apache-2.0
#include "socket_unit.hpp"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>
#include <functional>
#include <iterator>
#include <utility>

namespace sd::activate {

namespace {

using apply_function = std::function<void(setting_reader&, const assignment&, socket_unit&)>;

// These are newer than the headers of Debian 12.
// NOLINTBEGIN(readability-identifier-naming): the names of the kernel
#if !defined(SO_PASSPIDFD)
constexpr int SO_PASSPIDFD = 76;
#endif
#if !defined(SO_PASSRIGHTS)
constexpr int SO_PASSRIGHTS = 83;
#endif
// NOLINTEND(readability-identifier-naming)

// --- values ----------------------------------------------------------------------------------------------------------

constexpr auto positive = [](setting_reader& reader, const assignment& setting) {
  return reader.number(setting, 1, INT_MAX);
};
constexpr auto integer = [](setting_reader& reader, const assignment& setting) {
  return reader.number(setting, 0, INT_MAX);
};
constexpr auto size = [](setting_reader& reader, const assignment& setting) { return reader.size(setting, INT_MAX); };
/// A period in whole seconds, as the options of TCP take it.
constexpr auto seconds = [](setting_reader& reader, const assignment& setting) -> std::optional<int> {
  const auto value = reader.time(setting);
  if (!value) return std::nullopt;
  const auto whole = std::chrono::ceil<std::chrono::seconds>(*value).count();
  if (whole <= INT_MAX) return static_cast<int>(whole);
  reader.error(setting, "too long");
  return std::nullopt;
};
constexpr auto type_of_service = [](setting_reader& reader, const assignment& setting) -> std::optional<int> {
  static constexpr std::pair<std::string_view, int> known[] = {{"low-delay", IPTOS_LOWDELAY},
                                                               {"throughput", IPTOS_THROUGHPUT},
                                                               {"reliability", IPTOS_RELIABILITY},
                                                               {"low-cost", IPTOS_LOWCOST}};
  for (const auto& [name, value] : known) {
    if (setting.value == name) return value;
  }
  if (const auto value = parse_number(setting.value, 255)) return static_cast<int>(*value);
  reader.error(setting, "neither a number up to 255 nor low-delay, throughput, reliability or low-cost");
  return std::nullopt;
};

// --- what to open ----------------------------------------------------------------------------------------------------

constexpr std::pair<std::string_view, int> netlink_families[] = {
    {"route", NETLINK_ROUTE},
    {"firewall", NETLINK_FIREWALL},
    {"inet-diag", NETLINK_INET_DIAG},
    {"nflog", NETLINK_NFLOG},
    {"xfrm", NETLINK_XFRM},
    {"selinux", NETLINK_SELINUX},
    {"iscsi", NETLINK_ISCSI},
    {"audit", NETLINK_AUDIT},
    {"fib-lookup", NETLINK_FIB_LOOKUP},
    {"connector", NETLINK_CONNECTOR},
    {"netfilter", NETLINK_NETFILTER},
    {"ip6-fw", NETLINK_IP6_FW},
    {"dnrtmsg", NETLINK_DNRTMSG},
    {"kobject-uevent", NETLINK_KOBJECT_UEVENT},
    {"generic", NETLINK_GENERIC},
    {"scsitransport", NETLINK_SCSITRANSPORT},
    {"ecryptfs", NETLINK_ECRYPTFS},
    {"rdma", NETLINK_RDMA},
};

bool parse_netlink(setting_reader& reader, const assignment& setting, listen& what) {
  const auto parts = split(what.where).words;
  const auto* const family =
      std::find_if(std::begin(netlink_families), std::end(netlink_families),
                   [&](const auto& each) { return !parts.empty() && each.first == parts[0].text; });
  if (family == std::end(netlink_families)) {
    reader.error(setting, "unknown netlink family");
    return false;
  }
  what.netlink_family = family->second;
  if (parts.size() == 1) return true;
  const auto group = parse_number(parts[1].text, UINT32_MAX);
  if (parts.size() == 2 && group) {
    what.netlink_group = static_cast<unsigned>(*group);
    return true;
  }
  reader.error(setting, "not a netlink family and the number of a multicast group", parts[1].offset);
  return false;
}

bool parse_socket(setting_reader& reader, const assignment& setting, listen& what) {
  std::error_code ec;
  what.socket = address(what.where, ec);
  if (ec) {
    reader.error(setting, ec.message());
    return false;
  }
  const int family = what.socket.family();
  if (what.kind == listen_kind::seqpacket && family != AF_UNIX && family != AF_VSOCK) {
    reader.error(setting, "only unix and vsock sockets have sequential packets");
    return false;
  }
  return true;
}

apply_function open(listen_kind kind) {
  return [kind](setting_reader& reader, const assignment& setting, socket_unit& unit) {
    if (setting.value.empty()) {
      unit.listens.clear();
      return;
    }
    const bool is_path = kind == listen_kind::fifo || kind == listen_kind::special;
    auto where = is_path ? reader.path(setting) : reader.text(setting);
    if (!where) return;
    listen what{.kind = kind, .where = std::move(*where), .socket = {}, .at = setting.value_at()};
    switch (kind) {
      case listen_kind::stream:
      case listen_kind::datagram:
      case listen_kind::seqpacket:
        if (!parse_socket(reader, setting, what)) return;
        break;
      case listen_kind::netlink:
        if (!parse_netlink(reader, setting, what)) return;
        break;
      case listen_kind::message_queue:
        if (what.where.size() < 2 || what.where[0] != '/' || what.where.find('/', 1) != std::string::npos) {
          return reader.error(setting, "not the name of a message queue, such as /queue");
        }
        break;
      case listen_kind::fifo:
      case listen_kind::special:
        break;
    }
    unit.listens.push_back(std::move(what));
  };
}

// --- socket options --------------------------------------------------------------------------------------------------

// In the order in which they are set: IP_TOS changes SO_PRIORITY.
constexpr socket_option socket_options[] = {
    {"KeepAlive", option_scope::all_sockets, SOL_SOCKET, SO_KEEPALIVE},
    {"KeepAliveTimeSec", option_scope::tcp, IPPROTO_TCP, TCP_KEEPIDLE},
    {"KeepAliveIntervalSec", option_scope::tcp, IPPROTO_TCP, TCP_KEEPINTVL},
    {"KeepAliveProbes", option_scope::tcp, IPPROTO_TCP, TCP_KEEPCNT},
    {"NoDelay", option_scope::tcp, IPPROTO_TCP, TCP_NODELAY},
    {"DeferAcceptSec", option_scope::tcp, IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {"PassPacketInfo", option_scope::internet, IPPROTO_IP, IP_PKTINFO, IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {"PassPacketInfo", option_scope::netlink, SOL_NETLINK, NETLINK_PKTINFO},
    {"AcceptFileDescriptors", option_scope::unix_domain, SOL_SOCKET, SO_PASSRIGHTS},
    {"Broadcast", option_scope::all_sockets, SOL_SOCKET, SO_BROADCAST},
    {"PassCredentials", option_scope::unix_or_netlink, SOL_SOCKET, SO_PASSCRED},
    {"PassPIDFD", option_scope::unix_or_netlink, SOL_SOCKET, SO_PASSPIDFD},
    {"PassSecurity", option_scope::unix_or_netlink, SOL_SOCKET, SO_PASSSEC},
    {"Priority", option_scope::all_sockets, SOL_SOCKET, SO_PRIORITY},
    {"ReceiveBuffer", option_scope::all_sockets, SOL_SOCKET, SO_RCVBUF},
    {"SendBuffer", option_scope::all_sockets, SOL_SOCKET, SO_SNDBUF},
    {"Mark", option_scope::all_sockets, SOL_SOCKET, SO_MARK},
    {"IPTOS", option_scope::internet, IPPROTO_IP, IP_TOS},
    {"IPTTL", option_scope::internet, IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {"ReusePort", option_scope::internet, SOL_SOCKET, SO_REUSEPORT, 0, 0, true},
    {"FreeBind", option_scope::internet, IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, IPV6_FREEBIND, true},
    {"Transparent", option_scope::internet, IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT, true},
};

/// Returns what a setting does that sets a socket option. An empty value removes it.
template <class Convert>
directive<socket_unit> option(std::string_view name, std::string_view meaning, Convert convert) {
  return {"Socket", name, meaning,
          [name, convert](setting_reader& reader, const assignment& setting, socket_unit& unit) {
            std::erase_if(unit.options, [&](const auto& each) { return each.option->setting == name; });
            if (setting.value.empty()) return;
            const auto value = convert(reader, setting);
            if (!value) return;
            for (const auto& row : socket_options) {
              if (row.setting != name) continue;
              const auto next = std::find_if(unit.options.begin(), unit.options.end(),
                                             [&](const auto& each) { return std::less<>()(&row, each.option); });
              unit.options.insert(next, {&row, static_cast<int>(*value)});
            }
          }};
}

constexpr socket_option timestamps_in_microseconds = {"Timestamping", option_scope::all_sockets, SOL_SOCKET,
                                                      SO_TIMESTAMP};
constexpr socket_option timestamps_in_nanoseconds = {"Timestamping", option_scope::all_sockets, SOL_SOCKET,
                                                     SO_TIMESTAMPNS};

void read_timestamping(setting_reader& reader, const assignment& setting, socket_unit& unit) {
  constexpr const socket_option* off = nullptr;
  static const auto convert = convert::one_of<const socket_option*>({{"off", off},
                                                                     {"us", &timestamps_in_microseconds},
                                                                     {"usec", &timestamps_in_microseconds},
                                                                     {"\u00b5s", &timestamps_in_microseconds},
                                                                     {"ns", &timestamps_in_nanoseconds},
                                                                     {"nsec", &timestamps_in_nanoseconds}});
  std::erase_if(unit.options, [&](const auto& each) { return each.option->setting == "Timestamping"; });
  if (setting.value.empty()) return;
  const auto row = convert(reader, setting);
  if (row && *row != off) unit.options.push_back({*row, 1});
}

// --- other settings --------------------------------------------------------------------------------------------------

void read_symlinks(setting_reader& reader, const assignment& setting, socket_unit& unit) {
  if (setting.value.empty()) return unit.symlinks.clear();
  for (const auto& each : reader.words(setting).value_or(std::vector<word>())) {
    if (each.text.starts_with('/')) {
      unit.symlinks.push_back(each.text);
    } else {
      reader.error(setting, "not an absolute path", each.offset);
    }
  }
}

constexpr auto fd_name = [](setting_reader& reader, const assignment& setting) -> std::optional<std::string> {
  auto name = reader.text(setting);
  if (!name || is_fd_name(*name)) return name;
  reader.error(setting, "not a name of up to 255 ASCII characters without colons and control characters");
  return std::nullopt;
};

constexpr auto service_name = [](setting_reader& reader, const assignment& setting) -> std::optional<std::string> {
  auto name = reader.text(setting);
  if (!name) return std::nullopt;
  const auto parsed = parse_unit_name(*name);
  const bool is_complete = parsed && (!parsed->is_template() || reader.whole().name.is_template());
  if (is_complete && parsed->type == "service") return name;
  reader.error(setting, "not the name of a service unit");
  return std::nullopt;
};

apply_function commands(std::vector<command> socket_unit::*member) {
  return [member](setting_reader& reader, const assignment& setting, socket_unit& unit) {
    read_commands(reader, setting, unit.*member);
  };
}

std::vector<directive<socket_unit>> honored() {
  using unit = socket_unit;
  return {
      {"Socket", "ListenStream", "a listening stream socket", open(listen_kind::stream)},
      {"Socket", "ListenDatagram", "a datagram socket", open(listen_kind::datagram)},
      {"Socket", "ListenSequentialPacket", "a listening sequential-packet socket", open(listen_kind::seqpacket)},
      {"Socket", "ListenFIFO", "a FIFO", open(listen_kind::fifo)},
      {"Socket", "ListenSpecial", "a special file", open(listen_kind::special)},
      {"Socket", "ListenNetlink", "a netlink socket", open(listen_kind::netlink)},
      {"Socket", "ListenMessageQueue", "a POSIX message queue", open(listen_kind::message_queue)},
      {"Socket", "SocketProtocol", "udplite or sctp",
       store(&unit::protocol, convert::one_of<int>({{"udplite", IPPROTO_UDPLITE}, {"sctp", IPPROTO_SCTP}}))},
      {"Socket", "BindIPv6Only", "whether a socket of IPv6 serves IPv4 as well",
       store(&unit::ipv6, convert::one_of<bind_ipv6_only>({{"default", bind_ipv6_only::system_default},
                                                           {"both", bind_ipv6_only::both},
                                                           {"ipv6-only", bind_ipv6_only::ipv6_only},
                                                           {"no", bind_ipv6_only::both},
                                                           {"yes", bind_ipv6_only::ipv6_only}}))},
      {"Socket", "Backlog", "the length of the queue of connections", store(&unit::backlog, convert::number)},
      {"Socket", "BindToDevice", "a network interface", store(&unit::device, convert::text)},
      {"Socket", "SocketUser", "the owner of paths", store(&unit::user, convert::text)},
      {"Socket", "SocketGroup", "the group of paths", store(&unit::group, convert::text)},
      {"Socket", "SocketMode", "the access mode of paths", store(&unit::mode, convert::mode)},
      {"Socket", "DirectoryMode", "the access mode of directories that are made",
       store(&unit::directory_mode, convert::mode)},
      {"Socket", "Symlinks", "symbolic links to the path", read_symlinks},
      {"Socket", "RemoveOnStop", "whether paths are removed on exit", store(&unit::remove_on_stop, convert::boolean)},
      {"Socket", "FileDescriptorName", "the name in LISTEN_FDNAMES", store(&unit::fd_name, fd_name)},
      {"Socket", "Accept", "a process for each connection", store(&unit::accept, convert::boolean)},
      {"Socket", "MaxConnections", "the most connections at once, with Accept=yes",
       store(&unit::max_connections, convert::number)},
      {"Socket", "MaxConnectionsPerSource", "the most connections of a client, with Accept=yes",
       store(&unit::max_connections_per_source, convert::number)},
      {"Socket", "TriggerLimitIntervalSec",
       "the interval of the trigger limit; 2 s if only the burst is set, and no limit if neither is",
       store(&unit::trigger_limit_interval, convert::time_span)},
      {"Socket", "TriggerLimitBurst",
       "the most starts by traffic in the interval; 20, or 200 with Accept=yes, if only the interval is set",
       store(&unit::trigger_limit_burst, convert::number)},
      {"Socket", "Service", "the service, if it has another name", store(&unit::service, service_name)},
      {"Socket", "Writable", "whether a special file is opened for writing", store(&unit::writable, convert::boolean)},
      {"Socket", "FlushPending", "whether queues are emptied when the service has exited",
       store(&unit::flush_pending, convert::boolean)},
      {"Socket", "PassFileDescriptorsToExec", "whether the commands of this unit are passed the descriptors",
       store(&unit::pass_file_descriptors_to_exec, convert::boolean)},
      {"Socket", "TCPCongestion", "the congestion control", store(&unit::congestion, convert::text)},
      {"Socket", "PipeSize", "the size of a FIFO's buffer", store(&unit::pipe_size, size)},
      {"Socket", "MessageQueueMaxMessages", "the most messages in a queue", store(&unit::queue_messages, positive)},
      {"Socket", "MessageQueueMessageSize", "the size of a message", store(&unit::queue_message_size, positive)},
      {"Socket", "ExecStartPre", "commands to run before the sockets are opened", commands(&unit::start_pre)},
      {"Socket", "ExecStartPost", "commands to run after the sockets were opened", commands(&unit::start_post)},
      {"Socket", "ExecStopPre", "commands to run before the sockets are closed", commands(&unit::stop_pre)},
      {"Socket", "ExecStopPost", "commands to run after the sockets were closed", commands(&unit::stop_post)},
      {"Socket", "TimeoutSec", "the time that each command of the socket unit has",
       store(&unit::timeout, convert::time_span)},
      option("KeepAlive", "SO_KEEPALIVE", convert::boolean),
      option("KeepAliveTimeSec", "TCP_KEEPIDLE", seconds),
      option("KeepAliveIntervalSec", "TCP_KEEPINTVL", seconds),
      option("KeepAliveProbes", "TCP_KEEPCNT", integer),
      option("NoDelay", "TCP_NODELAY", convert::boolean),
      option("DeferAcceptSec", "TCP_DEFER_ACCEPT", seconds),
      option("AcceptFileDescriptors", "SO_PASSRIGHTS", convert::boolean),
      option("PassPacketInfo", "IP_PKTINFO, IPV6_RECVPKTINFO, NETLINK_PKTINFO", convert::boolean),
      {"Socket", "Timestamping", "SO_TIMESTAMP or SO_TIMESTAMPNS", read_timestamping},
      option("Broadcast", "SO_BROADCAST", convert::boolean),
      option("PassCredentials", "SO_PASSCRED", convert::boolean),
      option("PassPIDFD", "SO_PASSPIDFD", convert::boolean),
      option("PassSecurity", "SO_PASSSEC", convert::boolean),
      option("Priority", "SO_PRIORITY", integer),
      option("ReceiveBuffer", "SO_RCVBUF", size),
      option("SendBuffer", "SO_SNDBUF", size),
      option("Mark", "SO_MARK", convert::number),
      option("IPTOS", "IP_TOS", type_of_service),
      option("IPTTL", "IP_TTL, IPV6_UNICAST_HOPS", integer),
      option("ReusePort", "SO_REUSEPORT", convert::boolean),
      option("FreeBind", "IP_FREEBIND, IPV6_FREEBIND", convert::boolean),
      option("Transparent", "IP_TRANSPARENT, IPV6_TRANSPARENT", convert::boolean),
  };
}

std::vector<directive_group> others() {
  return {
      {"Socket", support::refused, "there is no USB gadget here", {"ListenUSBFunction"}},
      {"Socket",
       support::not_enforced,
       "labels of mandatory access control are not set",
       {"SELinuxContextFromNet", "SmackLabel", "SmackLabelIPIn", "SmackLabelIPOut"}},
      {"Socket",
       support::not_enforced,
       "sd-activate does not limit how often a socket is looked at",
       {"DeferTrigger", "DeferTriggerMaxSec", "PollLimitBurst", "PollLimitIntervalSec"}},
      {"Unit",
       support::without_effect,
       "in a socket unit, they limit how often the sockets are opened, which happens once",
       {"StartLimitBurst", "StartLimitInterval", "StartLimitIntervalSec"}},
      {"Socket",
       support::not_enforced,
       "extended attributes are not set",
       {"XAttrAccept", "XAttrEntryPoint", "XAttrListen"}},
  };
}

/// Reports settings that contradict each other.
void check(const socket_unit& unit, const unit_name& name, const location& whole, diagnostics& problems) {
  if (name.type != "socket") return problems.error(whole, "not a socket unit");
  if (unit.listens.empty()) return problems.error(whole, "nothing to listen on: there is no ListenStream= or the like");
  const auto paths =
      std::count_if(unit.listens.begin(), unit.listens.end(), [](const auto& each) { return each.has_path(); });
  if (!unit.symlinks.empty() && paths != 1) {
    problems.error(whole, "Symlinks= needs exactly one unix socket or FIFO with a path");
  }
  for (const auto& each : unit.listens) {
    const bool is_accepting = each.kind == listen_kind::stream || each.kind == listen_kind::seqpacket;
    if (unit.accept && !is_accepting) {
      problems.error(each.at, "Accept=yes is possible for stream and sequential-packet sockets only");
    }
  }
  if (unit.accept && !unit.service.empty()) {
    problems.error(whole, "Service= is not possible with Accept=yes, which starts an instance of a template");
  }
  if (unit.queue_messages.has_value() != unit.queue_message_size.has_value()) {
    problems.error(whole, "MessageQueueMaxMessages= and MessageQueueMessageSize= need each other");
  }
}

}  // namespace

const directive_table<socket_unit>& socket_directives() {
  static const directive_table<socket_unit> table = {honored(), others()};
  return table;
}

socket_unit read_socket_unit(const unit& whole, diagnostics& problems) {
  socket_unit result;
  result.name = whole.name;
  result.path = whole.path;
  const auto errors_before = problems.errors();
  setting_reader reader(whole, problems);
  apply(socket_directives(), reader, result);
  if (problems.errors() == errors_before) check(result, whole.name, {whole.text}, problems);
  return result;
}

}  // namespace sd::activate
