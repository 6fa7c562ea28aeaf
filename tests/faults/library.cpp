// SPDX-License-Identifier: MIT OR Apache-2.0
// Failures of everything that the functions of <sd/...> call.
#include <sd/activation.hpp>
#include <sd/booted.hpp>
#include <sd/idle.hpp>
#include <sd/listen_fds.hpp>
#include <sd/notify.hpp>
#include <sd/socket.hpp>
#include <sd/store.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>
#include <sd/watchdog.hpp>

#include "enumeration.hpp"
#include "setting.hpp"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace sd::test;
using sd::kind;
using sd::listen_fd;

std::string ok() { return "ok"; }

std::string text_of_check(bool result, const std::error_code& ec) { return ec ? text_of(ec) : result ? "ok" : "false"; }

// --- listen_fds ------------------------------------------------------------------------------------------------------

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

// --- take and describe -----------------------------------------------------------------------------------------------

std::vector<listen_fd> passed(const run& each) {
  std::vector<listen_fd> fds;
  fds.push_back(sd::testing::open(kind::stream, "127.0.0.1:0", "web"));
  fds.push_back(sd::testing::open(kind::datagram, each / "log", "log"));
  fds.push_back(sd::testing::open(kind::fifo, each / "fifo", "fifo"));
  return fds;
}

auto takes(kind wanted, const char* name) {
  return [=](run& each) {
    auto fds = passed(each);
    const auto which = sd::named(name);
    each.test([&] {
      const auto taken = sd::take(fds, wanted, which);
      run::returned();
      return ok();
    });
  };
}

void takes_by_address(run& each) {
  auto fds = passed(each);
  const sd::address where(each / "log");
  each.test([&] {
    const auto taken = sd::take(fds, kind::datagram, where);
    run::returned();
    return ok();
  });
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

auto checks(kind type, const char* where, bool (*check)(int fd, const char* path, std::error_code& ec) noexcept) {
  return [=](run& each) {
    const auto path = *where == '.' ? each / "s" : where;
    const auto open = sd::testing::open(type, path);
    each.test([&] {
      std::error_code ec;
      const bool result = check(open.fd.get(), path.c_str(), ec);
      return text_of_check(result, ec);
    });
    if (type == kind::message_queue) ::mq_unlink(where);
  };
}

void checks_socket(run& each) {
  const auto open = sd::testing::open(kind::stream, "127.0.0.1:0");
  each.test([&] {
    std::error_code ec;
    const bool result = sd::is_socket(open.fd.get(), AF_INET, SOCK_STREAM, sd::listening::yes, ec);
    return text_of_check(result, ec);
  });
}

void checks_internet_socket(run& each) {
  const auto open = sd::testing::open(kind::stream, "127.0.0.1:0");
  const auto port = sd::describe(open.fd.get()).local.port();
  each.test([&] {
    std::error_code ec;
    const bool result = sd::is_socket_inet(open.fd.get(), AF_INET, SOCK_STREAM, sd::listening::yes, port, ec);
    return text_of_check(result, ec);
  });
}

void checks_address(run& each) {
  const auto open = sd::testing::open(kind::stream, "127.0.0.1:0");
  const auto where = sd::describe(open.fd.get()).local;
  each.test([&] {
    std::error_code ec;
    const bool result = sd::is_socket_sockaddr(open.fd.get(), SOCK_STREAM, where, sd::listening::yes, ec);
    return text_of_check(result, ec);
  });
}

void checks_unix_socket(run& each) {
  const auto path = each / "s";
  const auto open = sd::testing::open(kind::stream, path);
  each.test([&] {
    std::error_code ec;
    const bool result = sd::is_socket_unix(open.fd.get(), SOCK_STREAM, sd::listening::yes, path, ec);
    return text_of_check(result, ec);
  });
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

// --- take_or_bind ----------------------------------------------------------------------------------------------------

sd::bind_options of_kind(kind wanted) {
  sd::bind_options options;
  options.kind = wanted;
  return options;
}

sd::bind_options with_owner() {
  sd::bind_options options;
  options.socket_uid = ::geteuid();
  options.socket_gid = ::getegid();
  options.socket_mode = 0600;
  options.nonblocking = sd::nonblocking::on;
  return options;
}

sd::bind_options only_ipv6() {
  sd::bind_options options;
  options.ipv6 = sd::bind_ipv6_only::ipv6_only;
  return options;
}

/// What is at the address before it is bound.
enum class before { nothing, dead, dead_and_closed, served, lock, writable };

/// Opens a socket. An address with a dot is a path in the working directory.
auto binds(const char* where, sd::bind_options options = {}, before there = before::nothing) {
  return [=](run& each) {
    const sd::address address(*where == '.' ? each / (where + 2) : where);
    sd::unique_fd server;
    if (there == before::dead || there == before::dead_and_closed || there == before::served) {
      server = sd::testing::open(kind::stream, each / "s").fd;
      ::chmod("s", there == before::dead_and_closed ? 0 : 0600);
      if (there != before::served) server.reset();
    }
    // As a process that was killed leaves it.
    if (there == before::lock) ::close(::open("s.sd-lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (there == before::writable) ::chmod(".", 01777);
    std::vector<listen_fd> none;
    each.test([&] {
      const auto socket = sd::take_or_bind(none, address, options);
      run::returned();
      return ok();
    });
  };
}

/// The address is in use, and an error lists what was passed.
void binds_port_in_use(run& each) {
  const auto server = sd::testing::open(kind::stream, "127.0.0.1:0");
  const auto where = sd::describe(server.fd.get()).local;
  auto fds = passed(each);
  each.test([&] {
    const auto socket = sd::take_or_bind(fds, sd::named("none"), where);
    run::returned();
    return ok();
  });
}

void takes_instead_of_binding(run& each) {
  auto fds = passed(each);
  const auto where = sd::describe(fds[0].fd.get()).local;
  sd::bind_options options;
  options.nonblocking = sd::nonblocking::on;
  each.test([&] {
    const auto socket = sd::take_or_bind(fds, where, options);
    run::returned();
    return ok();
  });
}

// --- messages --------------------------------------------------------------------------------------------------------

std::string text_of_sent(sd::notify_result result, const std::error_code& ec) {
  return ec ? text_of(ec) : result == sd::notify_result::sent ? "ok" : "no listener";
}

template <class Function>
auto sends(Function function) {
  return [=](run& each) {
    const auto manager = sd::testing::open(kind::datagram, each / "notify");
    ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
    each.test([&] {
      std::error_code ec;
      const auto result = function(ec);
      return text_of_sent(result, ec);
    });
  };
}

auto sends_large_message() {
  return [](run& each) {
    const auto manager = sd::testing::open(kind::datagram, each / "notify");
    ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
    const std::string text(1 << 20, 'x');
    each.test([&] {
      std::error_code ec;
      const auto result = sd::notify(sd::state::status(text), ec);
      return text_of_sent(result, ec);
    });
  };
}

void throws_of_notify(run& each) {
  ::setenv("NOTIFY_SOCKET", (each / "nobody").c_str(), 1);
  each.test([&] {
    sd::notify(sd::state::ready());
    return ok();
  });
}

void waits_for_manager(run& each) {
  ::setenv("NOTIFY_SOCKET", manager_address().c_str(), 1);
  each.test([&] {
    std::error_code ec;
    const auto result = sd::notify_barrier(10s, ec);
    return text_of_sent(result, ec);
  });
}

void waits_in_vain(run& each) {
  const auto manager = sd::testing::open(kind::datagram, each / "notify");
  ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
  each.test([&] {
    std::error_code ec;
    const auto result = sd::notify_barrier(0s, ec);
    return text_of_sent(result, ec);
  });
}

void keeps_alive(run& each) {
  const auto manager = sd::testing::open(kind::datagram, each / "notify");
  ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
  sd::watchdog watchdog(1h);
  each.test([&] {
    watchdog.keep_alive();
    // After a failure, the next attempt is due after a quarter of the interval.
    return watchdog.timeout() > 1000 * 60 * 20 ? ok() : std::string("soon");
  });
}

void reads_watchdog_period(run& each) {
  ::setenv("WATCHDOG_USEC", "1000", 1);
  each.test([&] { return sd::watchdog_period() ? ok() : std::string("none"); });
}

void becomes_idle(run& each) {
  const auto manager = sd::testing::open(kind::datagram, each / "notify");
  ::setenv("NOTIFY_SOCKET", (each / "notify").c_str(), 1);
  const sd::server_socket socket(sd::testing::open(kind::stream, "127.0.0.1:0").fd);
  sd::idle_exit idle(0s);
  each.test([&] {
    idle.watch(socket);
    return idle.try_stop() ? ok() : std::string("stays");
  });
}

// --- starting programs -----------------------------------------------------------------------------------------------

sd::unique_fd null() { return sd::unique_fd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

/// Descriptors at the numbers 4 and 3, so that each has to step aside for the other one.
std::vector<listen_fd> crossed() {
  sd::unique_fd first = null();
  sd::unique_fd second = null();
  std::vector<listen_fd> fds;
  fds.push_back({"b", std::move(second)});
  fds.push_back({"a", std::move(first)});
  return fds;
}

std::vector<std::string> target(int count) { return {"/proc/self/exe", "target", std::to_string(count)}; }

/// Waits for the target, which checks what it was passed.
std::string status_of(int pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return "no child";
  return status == 0 ? "ok" : "the program was not started as it should: " + std::to_string(WEXITSTATUS(status));
}

void starts(run& each) {
  const auto fds = crossed();
  sd::activation program(target(2), fds);
  int pid = 0;
  each.test(
      [&] {
        std::error_code ec;
        pid = program.spawn(ec);
        return text_of(ec);
      },
      [&] { return status_of(pid); });
}

void starts_without_descriptors(run& each) {
  sd::activation program(target(0), {});
  int pid = 0;
  each.test(
      [&] {
        pid = program.spawn();
        return ok();
      },
      [&] { return status_of(pid); });
}

void starts_with_preparation(run& each) {
  const auto fds = crossed();
  sd::activation program(target(2), fds);
  int pid = 0;
  each.test(
      [&] {
        std::error_code ec;
        pid = program.spawn([]() noexcept { return 0; }, ec);
        return text_of(ec);
      },
      [&] { return status_of(pid); });
}

void fails_to_prepare(run& each) {
  sd::activation program(target(0), {});
  each.test([&] {
    std::error_code ec;
    program.spawn([]() noexcept { return EDOM; }, ec);
    return text_of(ec);
  });
}

void starts_what_is_not_there(run& each) {
  const auto fds = crossed();
  sd::activation program({"nothing"}, fds, {{"PATH", "/nowhere:/proc/self/fd"}});
  each.test([&] {
    std::error_code ec;
    program.spawn(ec);
    return text_of(ec);
  });
}

void prepares_command(run& each) {
  const auto fds = crossed();
  const auto command = target(2);
  each.test([&] {
    const sd::activation program(command, fds, {{"NAME", "value"}});
    return ok();
  });
}

void executes(run& each) {
  const auto fds = crossed();
  ::setenv("REPORT", std::to_string(each.report()).c_str(), 1);
  sd::activation program(target(2), fds);
  each.test([&] { return text_of(program.exec()); });
}

// --- the helpers for tests -------------------------------------------------------------------------------------------

auto opens(kind type, const char* where) {
  return [=](run& each) {
    const std::string path = *where == '.' ? each / "s" : where;
    each.test([&] {
      const auto open = sd::testing::open(type, path);
      run::returned();
      return ok();
    });
    if (type == kind::message_queue) ::mq_unlink(where);
  };
}

void opens_fifo_that_exists(run& each) {
  ::mkfifo("s", 0600);
  const auto path = each / "s";
  each.test([&] {
    const auto open = sd::testing::open(kind::fifo, path);
    run::returned();
    return ok();
  });
}

void opens_connection(run& each) {
  each.test([&] {
    const auto ends = sd::testing::connection();
    run::returned();
    return ok();
  });
}

void runs_process(run& each) {
  const auto fds = crossed();
  const auto command = target(2);
  each.test([&] {
    sd::testing::process program(command, fds);
    const int status = program.wait();
    return status == 0 ? ok() : std::to_string(status);
  });
}

void kills_process(run& each) {
  const std::vector<std::string> command = {"/bin/sleep", "1000"};
  each.test([&] {
    const sd::testing::process program(command, {});
    run::returned();
    return ok();
  });
}

void closes(run& each) {
  each.test([&] {
    sd::unique_fd fd(::dup(0));
    run::returned();
    return fd ? ok() : name_of_errno();
  });
}

void looks_for_systemd(run& each) {
  each.test([&] { return std::string(sd::booted() ? "booted" : "not booted"); });
}

// --- what does not fail with the errno of the call -------------------------------------------------------------------

using exceptions = std::vector<sd::test::exception>;

/// Without close_range(2) or a free descriptor, the descriptors are examined and marked one by one.
const exceptions one_by_one = {{"fcntl F_DUPFD_CLOEXEC", "", "usual"}, {"close_range", "", "usual"}};

/// Without pidfds, the pid is sufficient.
const exceptions without_pidfds = {{"pidfd_open", "ENOSYS", "usual"}};

/// `describe()` leaves out what it cannot read, and the kind is then `other` or, without a peer, `unconnected`. What it
/// is called for then does not find the descriptor, or finds one of another kind.
exceptions reading(const std::string& results) {
  return {{"getsockopt *", "", "usual|" + results},
          {"getsockname", "", "usual|" + results},
          {"getpeername", "", "usual|" + results},
          {"fcntl F_GETFL", "", "usual|" + results},
          {"fstat", "", "usual|same|" + results}};
}
exceptions reading_files(const std::string& results) {
  return {{"fstatfs", "", "usual|" + results},
          {"readlink /proc/self/fd", "", "usual|" + results},
          {"fcntl F_GETFL", "", "usual"},
          {"fstat", "", "usual|same|" + results}};
}

const std::string not_selected = "sd:no such descriptor was passed|sd:wrong kind of descriptor";

/// A check of a path where nothing is gives false.
exceptions absent(const std::string& path) {
  return {{"newfstatat " + path, "ENOENT", "false"}, {"newfstatat " + path, "ENOTDIR", "false"}};
}

/// The directory is there, so it does not matter why it cannot be made.
const exceptions in_directory = {{"mkdir *", "", "usual"}, {"newfstatat .", "", "usual|EEXIST"}};

/// Returns what all functions that use a path have in common: if its lock file cannot be locked or examined, it stays
/// behind, beside what was made before.
exceptions locking(const std::string& path, const words& made) {
  const std::string lock = path + ".sd-lock";
  auto changes = made;
  changes.push_back("+path " + lock);
  return {{"openat " + lock, "EEXIST", "usual"},
          {"openat " + lock, "ENOENT", "usual"},
          {"newfstatat " + lock, "ENOENT", "usual"},
          {"unlink " + lock, "", "usual"},
          {"flock LOCK_UN", "", "usual"},
          {"flock LOCK_EX", "", "same", changes},
          {"fstat", "", "same", changes},
          {"newfstatat " + lock, "", "same", changes}};
}

/// The path stays if it cannot be locked, examined or removed.
///
/// @param usual What has changed at the end if nothing fails.
/// @param kept  What has changed if the path stays.
exceptions unlinking(const std::string& path, const words& usual, const words& kept) {
  const std::string lock = path + ".sd-lock";
  const auto with_lock = [&](words all) {
    all.push_back("+path " + lock);
    return all;
  };
  exceptions all;
  for (const auto& call : words{"flock LOCK_EX", "fstat", "newfstatat " + lock}) {
    all.push_back({"cleanup: " + call, "", "usual", with_lock(kept)});
  }
  for (const auto& call : words{"openat " + lock, "newfstatat " + path, "unlink " + path}) {
    all.push_back({"cleanup: " + call, "", "usual", kept});
  }
  all.push_back({"cleanup: openat " + lock, "EEXIST", "usual"});
  all.push_back({"cleanup: newfstatat " + lock, "ENOENT", "usual"});
  all.push_back({"cleanup: unlink " + lock, "", "usual", with_lock(usual)});
  return all;
}

/// A lock file that is there may stay.
const exceptions with_lock_file = {{"openat s.sd-lock", "EEXIST", "same"},
                                   {"flock LOCK_EX", "", "same"},
                                   {"fstat", "", "same"},
                                   {"newfstatat s.sd-lock", "", "same"},
                                   {"cleanup: flock LOCK_EX", "", "usual", {"+path s"}},
                                   {"cleanup: fstat", "", "usual", {"+path s"}},
                                   {"cleanup: newfstatat s.sd-lock", "", "usual", {"+path s"}},
                                   {"cleanup: unlink s.sd-lock", "", "usual"}};

/// Linux has two ways to find the file of a socket, and sets its mode with or without /proc. Other systems ignore the
/// mode of the socket itself.
const exceptions finding = {{"fchmod", "", "usual"},
                            {"ioctl SIOCUNIXFILE", "", "usual"},
                            {"chmod /proc/self/fd", "ENOENT", "usual"},
                            {"fstat", "", "same"}};
/// If the kernel cannot tell whether a socket of this user is bound to the file, it is assumed.
const exceptions finding_unprivileged = {{"fstat", "", "usual"},
                                         {"fstatfs", "", "usual"},
                                         {"socket", "", "same|usual"},
                                         {"sendto", "", "usual"},
                                         {"recvfrom", "", "usual"}};

const words new_directories = {"+path a", "+path a/b"};

const exceptions binding_path = in_directory + locking("s", {}) + unlinking("s", {}, {"+path s"}) + finding;

/// Without an answer, a server may be there.
exceptions probing(const words& removed) {
  return {{"newfstatat s", "", "EADDRINUSE"},
          {"newfstatat s", "", "same", removed},
          {"socket", "", "same|usual|EADDRINUSE"},
          {"connect", "", "EADDRINUSE"},
          {"connect", "ECONNREFUSED", "ok", {"-path s"}},
          {"bind", "", "same", removed},
          {"bind", "", "same"},
          {"bind", "EADDRINUSE", "usual"},
          {"bind", "EADDRINUSE", "same", removed}};
}

/// What fails after a dead socket was removed.
exceptions after_removal(const words& removed) {
  return {{"fstat", "", "same", removed},
          {"chmod /proc/self/fd", "", "same", removed},
          {"chmod /proc/self/fd", "ENOENT", "usual"},
          {"listen", "", "same", removed}};
}

/// Without the privilege to connect to it, a dead socket is recognized after its mode was changed. The file is opened
/// for that, and again after it was bound.
const exceptions opening_dead = {{"openat s", "", "EADDRINUSE"},
                                 {"openat s", "", "same", {"-path s"}},
                                 {"fstat", "", "EADDRINUSE"},
                                 {"chmod /proc/self/fd", "", "EADDRINUSE"},
                                 {"connect", "", "EADDRINUSE", {"~path s"}},
                                 {"connect", "EACCES", "usual"},
                                 {"unlink s", "", "same", {"~path s"}}};

/// A message that does not fit is sent again with a larger buffer.
const exceptions sending = {{"sendmsg", "EMSGSIZE", "usual"}};

/// A process without pidfds is started without LISTEN_PIDFDID.
const exceptions without_pidfdid = {{"pidfd_open", "", "usual"}, {"fstatfs", "", "usual"}, {"fstat", "", "usual"}};
/// A file that is not a program is started by a shell, as execvp(3) does it. The program of the tests is not a script.
const exceptions by_shell = {{"execve /proc/self/exe", "ENOEXEC", "the program was not started as it should: 2"}};
const exceptions sharing_memory = {{"clone", "EINVAL", "usual|same"}, {"wait4", "ECHILD", "usual"}};
/// The parent learns that the child has ended. A child that is injected to be gone is still there.
const exceptions by_fork = {{"sendmsg", "", "ECANCELED"}, {"read", "", "ECANCELED|usual"}, {"write", "", "ECANCELED"}};

const std::vector<scenario>& scenarios() {
  static const std::vector<scenario> all = {
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
      {"is_fifo", checks(kind::fifo, ".", sd::is_fifo), "ok", {}, absent("s")},
      {"is_special", checks(kind::special, "/dev/null", sd::is_special), "ok", {}, absent("/dev/null")},
      {"is_mq",
       checks(kind::message_queue, "/sd-faults", sd::is_mq),
       "ok",
       {},
       {{"newfstatat /dev/mqueue/sd-faults", "", "usual"}, {"readlink /proc/self/fd", "", "false"}}},
      {"is_socket", checks_socket},
      {"is_socket_inet", checks_internet_socket},
      {"is_socket_sockaddr", checks_address},
      {"is_socket_unix", checks_unix_socket},
      {"address.parse", parses_interface},
      // The C library tries another way, and the number stands for the name.
      {"address.to_string",
       prints_interface,
       "[fe80::1]:80%lo",
       {},
       {{"socket", "", "usual"}, {"ioctl SIOCGIFNAME", "", "[fe80::1]:80%1"}}},
      {"take_or_bind.tcp", binds("127.0.0.1:0")},
      {"take_or_bind.tcp6", binds("[::]:0", only_ipv6())},
      {"take_or_bind.udp", binds("127.0.0.1:0", of_kind(kind::datagram))},
      {"take_or_bind.abstract", binds("@sd-faults")},
      {"take_or_bind.unix", binds("./s"), "ok", {}, binding_path},
      {"take_or_bind.unix_owner", binds("./s", with_owner()), "ok", {}, binding_path},
      {"take_or_bind.unix_datagram", binds("./s", of_kind(kind::datagram)), "ok", {}, binding_path},
      {"take_or_bind.unix_unprivileged", binds("./s"), "ok", {}, binding_path + finding_unprivileged, true},
      {"take_or_bind.unix_in_writable_directory", binds("./s", {}, before::writable), "ok", {}, binding_path},
      {"take_or_bind.unix_in_new_directories", binds("./a/b/s"), "ok", new_directories,
       exceptions{{"mkdir *", "EEXIST", "usual"}, {"mkdir *", "ENOENT", "usual"}, {"newfstatat a/b/", "", "usual"}} +
           locking("a/b/s", new_directories) +
           unlinking("a/b/s", new_directories, {"+path a", "+path a/b", "+path a/b/s"}) + finding},
      {"take_or_bind.unix_locked_before", binds("./s", {}, before::lock), "ok", {}, binding_path + with_lock_file},
      {"take_or_bind.unix_dead",
       binds("./s", {}, before::dead),
       "ok",
       {"-path s"},
       in_directory + locking("s", {}) + unlinking("s", {"-path s"}, {"~path s"}) + finding + probing({"-path s"}) +
           after_removal({"-path s"})},
      {"take_or_bind.unix_dead_unprivileged",
       binds("./s", {}, before::dead_and_closed),
       "ok",
       {"-path s"},
       in_directory + locking("s", {}) + unlinking("s", {"-path s"}, {"~path s"}) + finding + finding_unprivileged +
           probing({"-path s"}) + after_removal({"-path s"}) + opening_dead,
       true},
      {"take_or_bind.unix_served",
       binds("./s", {}, before::served),
       "EADDRINUSE",
       {},
       in_directory + locking("s", {}) + probing({}) +
           exceptions{{"fchmod", "", "usual"}, {"unlink s.sd-lock", "", "usual", {"+path s.sd-lock"}}}},
      {"take_or_bind.directory", binds("./a/"), "EISDIR"},
      {"take_or_bind.port_in_use", binds_port_in_use, "EADDRINUSE", {}, reading("usual") + reading_files("usual")},
      {"take_or_bind.passed",
       takes_instead_of_binding,
       "ok",
       {"-fd 3"},
       reading("EADDRINUSE|" + not_selected) + reading_files("usual") + exceptions{{"fcntl F_GETFL", "", "same"}}},
      {"notify", sends([](std::error_code& ec) { return sd::notify(sd::state::ready(), ec); }), "ok", {}, sending},
      {"notify.as_other",
       sends([](std::error_code& ec) {
         sd::notify_options options;
         options.pid = 1;
         return sd::notify(sd::state::ready(), options, ec);
       }),
       "ok",
       {},
       sending},
      {"notify.large",
       sends_large_message(),
       "ok",
       {},
       exceptions{{"sendmsg", "EMSGSIZE", "usual|same"}} + exceptions{{"setsockopt SO_SNDBUFFORCE", "", "usual"}}},
      {"notify.nobody", throws_of_notify, "ENOENT", {}, sending},
      {"notify_barrier", waits_for_manager, "ok", {}, sending},
      {"notify_barrier.timeout", waits_in_vain, "ETIMEDOUT", {}, sending},
      {"store", sends([](std::error_code& ec) { return sd::store("name", 0, ec); }), "ok", {}, sending},
      {"forget", sends([](std::error_code& ec) { return sd::forget("name", ec); }), "ok", {}, sending},
      {"watchdog", keeps_alive, "ok", {}, {{"socket", "", "soon"}, {"sendmsg", "", "soon|usual"}}},
      {"watchdog_period", reads_watchdog_period},
      // A client may be waiting if poll(2) fails, and the manager notices the exit itself.
      {"idle_exit",
       becomes_idle,
       "ok",
       {},
       {{"poll", "", "stays"}, {"poll", "EINTR", "stays"}, {"socket", "", "usual"}, {"sendmsg", "", "usual"}}},
      {"activation", prepares_command},
      {"activation.spawn", starts, "ok", {}, without_pidfdid + by_shell + sharing_memory},
      {"activation.spawn_throwing", starts_without_descriptors, "ok", {}, by_shell + sharing_memory},
      {"activation.spawn_prepared", starts_with_preparation, "ok", {}, without_pidfdid + by_shell + by_fork},
      {"activation.spawn_unprepared",
       fails_to_prepare,
       "EDOM",
       {},
       by_fork +
           exceptions{{"wait4", "ECHILD", "usual"}, {"wait4", "ECHILD", "usual", {"+child"}}, {"kill", "", "usual"}}},
      // The next directory of PATH is tried, or a shell. Nobody waits for that one.
      {"activation.spawn_nothing",
       starts_what_is_not_there,
       "ENOENT",
       {},
       without_pidfdid + sharing_memory +
           exceptions{{"wait4", "ECHILD", "usual", {"+child"}},
                      {"execve *", "ENOENT", "usual"},
                      {"execve *", "ENOTDIR", "usual|same"},
                      {"execve *", "EACCES", "EACCES"},
                      {"execve *", "ENOEXEC", "ok", {"+child"}}}},
      {"activation.exec",
       executes,
       "ok",
       {},
       without_pidfdid + exceptions{{"fcntl F_DUPFD_CLOEXEC", "", "same"},
                                    {"fcntl F_DUPFD_CLOEXEC", "", "same", {"+fd 5"}},
                                    {"dup2", "", "same", {"+fd 5", "+fd 6"}},
                                    {"dup2", "", "same", {"+fd 5", "+fd 6", "~fd 3"}},
                                    {"execve *", "", "same", {"+fd 5", "+fd 6", "~fd 3", "~fd 4"}},
                                    {"execve *", "ENOEXEC", ""}}},
      {"testing.tcp", opens(kind::stream, "127.0.0.1:0")},
      {"testing.unix", opens(kind::stream, "."), "ok", {"+path s"}},
      {"testing.fifo", opens(kind::fifo, "."), "ok", {"+path s"}},
      {"testing.fifo_that_exists", opens_fifo_that_exists},
      {"testing.special", opens(kind::special, "/dev/null")},
      {"testing.message_queue", opens(kind::message_queue, "/sd-faults")},
      {"testing.netlink", opens(kind::netlink, "route 1")},
      {"testing.connection", opens_connection},
      {"testing.process", runs_process},
      {"testing.process_killed", kills_process},
      {"unique_fd", closes},
      {"booted", looks_for_systemd, "not booted", {}, {{"newfstatat *", "", "not booted"}}},
  };
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string("target")) return check_target(std::stoi(argv[2]));
  return enumerate(scenarios(), argc, argv);
}
