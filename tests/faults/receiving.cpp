// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions that receive, select and describe descriptors.
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/testing.hpp>

#include "enumeration.hpp"
#include "library.hpp"
#include "setting.hpp"

#include <mqueue.h>
#include <sys/socket.h>

#include <string>
#include <system_error>
#include <vector>

namespace sd::test {

namespace {

std::string text_of_check(bool result, const std::error_code& ec) { return ec ? text_of(ec) : result ? "ok" : "false"; }

/// A process to which this many descriptors were passed takes them.
auto receives(int count, bool has_pidfdid, sd::listen_options options = sd::listen_options::none) {
  return [=](run& each) {
    pass(count, has_pidfdid);
    each.test([&] {
      const auto fds = sd::listen_fds(options);
      run::returned();
      return fds.size() == static_cast<std::size_t>(count) ? "ok" : std::to_string(fds.size());
    });
  };
}

auto takes(kind wanted, const char* name) {
  return [=](run& each) {
    auto fds = passed(each);
    const auto which = sd::named(name);
    test_result(each, [&] { return sd::take(fds, wanted, which); });
  };
}

void takes_by_address(run& each) {
  auto fds = passed(each);
  const sd::address where(each / "log");
  test_result(each, [&] { return sd::take(fds, kind::datagram, where); });
}

void takes_all(run& each) {
  auto fds = passed(each);
  each.test([&] {
    const auto taken = sd::take_all(fds, kind::stream);
    run::returned();
    return std::to_string(taken.size());
  });
}

void rejects_what_is_left(run& each) {
  const auto fds = passed(each);
  each.test([&] {
    sd::require_all_taken(fds);
    return ok();
  });
}

auto describes(kind type, const char* where) {
  return [=](run& each) {
    const auto open = sd::testing::open(type, *where == '.' ? each / "s" : where);
    if (type == kind::message_queue) ::mq_unlink(where);
    each.test([&] {
      const auto what = sd::describe(open.fd.get());
      return sd::to_string(what.kind) + std::string(what.local || !what.path.empty() ? "" : " without an address");
    });
  };
}

void describes_connection(run& each) {
  const auto ends = sd::testing::connection();
  each.test([&] { return std::string(sd::to_string(sd::describe(ends.second.get()).kind)); });
}

/// The subject of a check.
struct checked {
  int fd;
  std::string path;
  sd::address local;
};

/// @param check Returns the result of the check.
template <class Check>
auto checks(kind type, const char* where, Check check) {
  return [=](run& each) {
    const std::string path = *where == '.' ? each / "s" : where;
    const auto open = sd::testing::open(type, path);
    const checked what{open.fd.get(), path, sd::describe(open.fd.get()).local};
    each.test([&] {
      std::error_code ec;
      const bool result = check(what, ec);
      return text_of_check(result, ec);
    });
    if (type == kind::message_queue) ::mq_unlink(where);
  };
}

bool is_fifo_at_path(const checked& what, std::error_code& ec) { return sd::is_fifo(what.fd, what.path.c_str(), ec); }

bool is_special_at_path(const checked& what, std::error_code& ec) {
  return sd::is_special(what.fd, what.path.c_str(), ec);
}

bool is_mq_of_name(const checked& what, std::error_code& ec) { return sd::is_mq(what.fd, what.path.c_str(), ec); }

bool is_listening(const checked& what, std::error_code& ec) {
  return sd::is_socket(what.fd, AF_INET, SOCK_STREAM, sd::listening::yes, ec);
}

bool is_listening_at_port(const checked& what, std::error_code& ec) {
  return sd::is_socket_inet(what.fd, AF_INET, SOCK_STREAM, sd::listening::yes, what.local.port(), ec);
}

bool is_listening_at_address(const checked& what, std::error_code& ec) {
  return sd::is_socket_sockaddr(what.fd, SOCK_STREAM, what.local, sd::listening::yes, ec);
}

bool is_listening_at_path(const checked& what, std::error_code& ec) {
  return sd::is_socket_unix(what.fd, SOCK_STREAM, sd::listening::yes, what.path, ec);
}

void parses_interface(run& each) {
  each.test([&] {
    const sd::address where("[::1]:80%lo");
    return ok();
  });
}

void prints_interface(run& each) {
  const sd::address where("[fe80::1]:80%lo");
  each.test([&] { return sd::to_string(where); });
}

/// Without close_range(2) or a free descriptor, the descriptors are examined and marked one by one.
const exceptions one_by_one = {{"fcntl F_DUPFD_CLOEXEC", "", "usual"}, {"close_range", "", "usual"}};

/// Without pidfds, the pid is sufficient.
const exceptions without_pidfds = {{"pidfd_open", "ENOSYS", "usual"}};

/// A check of a path at which there is no file returns false.
exceptions absent(const std::string& path) {
  return {{"newfstatat " + path, "ENOENT", "false"}, {"newfstatat " + path, "ENOTDIR", "false"}};
}

}  // namespace

std::vector<scenario> receiving() {
  return {
      {"listen_fds.one", receives(1, false), "ok", {"-fd 3"}},
      {"listen_fds.pidfdid", receives(1, true), "ok", {"-fd 3"}, without_pidfds},
      {"listen_fds.several",
       receives(4, true, sd::listen_options::unset_environment | sd::listen_options::required),
       "ok",
       {"-fd 3", "-fd 4", "-fd 5", "-fd 6", "-env LISTEN_PID", "-env LISTEN_PIDFDID", "-env LISTEN_FDS",
        "-env LISTEN_FDNAMES"},
       without_pidfds + one_by_one},
      {"take.name", takes(kind::stream, "web"), "ok", {"-fd 3"}, reading(not_selected)},
      {"take.fifo", takes(kind::fifo, "fifo"), "ok", {"-fd 5"}, reading_files(not_selected)},
      {"take.wrong_kind",
       takes(kind::fifo, "web"),
       "sd:wrong kind of descriptor",
       {},
       reading(not_selected) + reading_files(not_selected)},
      {"take.address", takes_by_address, "ok", {"-fd 4"}, reading(not_selected) + reading_files(not_selected)},
      {"take_all", takes_all, "1", {"-fd 3"}, reading("0") + reading_files("0")},
      {"require_all_taken",
       rejects_what_is_left,
       "sd:a passed descriptor is not used by this program",
       {},
       reading("usual") + reading_files("usual")},
      {"describe.tcp",
       describes(kind::stream, "127.0.0.1:0"),
       "stream",
       {},
       reading("other|stream without an address|other without an address")},
      {"describe.tcp6",
       describes(kind::stream, "[::1]:0"),
       "stream",
       {},
       reading("other|stream without an address|other without an address")},
      {"describe.unix",
       describes(kind::datagram, "."),
       "datagram",
       {},
       reading("other|datagram without an address|other without an address")},
      {"describe.connection", describes_connection, "connection", {}, reading("other|unconnected")},
      {"describe.fifo", describes(kind::fifo, "."), "fifo", {}, reading_files("fifo without an address")},
      {"describe.special",
       describes(kind::special, "/dev/null"),
       "special",
       {},
       reading_files("special without an address")},
      {"describe.message_queue",
       describes(kind::message_queue, "/sd-faults"),
       "message-queue",
       {},
       reading_files("special|message-queue without an address")},
      {"is_fifo", checks(kind::fifo, ".", is_fifo_at_path), "ok", {}, absent("s")},
      {"is_special", checks(kind::special, "/dev/null", is_special_at_path), "ok", {}, absent("/dev/null")},
      {"is_mq",
       checks(kind::message_queue, "/sd-faults", is_mq_of_name),
       "ok",
       {},
       {{"newfstatat /dev/mqueue/sd-faults", "", "usual"}, {"readlink /proc/self/fd", "", "false"}}},
      {"is_socket", checks(kind::stream, "127.0.0.1:0", is_listening)},
      {"is_socket_inet", checks(kind::stream, "127.0.0.1:0", is_listening_at_port)},
      {"is_socket_sockaddr", checks(kind::stream, "127.0.0.1:0", is_listening_at_address)},
      {"is_socket_unix", checks(kind::stream, ".", is_listening_at_path)},
      {"address.parse", parses_interface},
      // The C library tries another way, and the number stands for the name.
      {"address.to_string",
       prints_interface,
       "[fe80::1]:80%lo",
       {},
       {{"socket", "", "usual"}, {"ioctl SIOCGIFNAME", "", "[fe80::1]:80%1"}}},
  };
}

}  // namespace sd::test
