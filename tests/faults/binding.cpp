// SPDX-License-Identifier: MIT OR Apache-2.0
// The functions that open a socket.
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "enumeration.hpp"
#include "library.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace sd::test {

namespace {

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

/// The state of the path before it is bound.
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
    test_result(each, [&] { return sd::take_or_bind(none, address, options); });
  };
}

/// The address is in use, and an error lists what was passed.
void binds_port_in_use(run& each) {
  const auto server = sd::testing::open(kind::stream, "127.0.0.1:0");
  const auto where = sd::describe(server.fd.get()).local;
  auto fds = passed(each);
  test_result(each, [&] { return sd::take_or_bind(fds, sd::named("none"), where); });
}

void takes_instead_of_binding(run& each) {
  auto fds = passed(each);
  const auto where = sd::describe(fds[0].fd.get()).local;
  sd::bind_options options;
  options.nonblocking = sd::nonblocking::on;
  test_result(each, [&] { return sd::take_or_bind(fds, where, options); });
}

/// The directory exists, so a failure to create it does no harm.
const exceptions in_directory = {{"mkdir *", "", "usual"}, {"newfstatat .", "", "usual|EEXIST"}};

/// Returns the unusual results of functions that use a path: a lock file that cannot be locked or examined stays
/// behind, together with the directories that were created before.
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
/// @param usual The changes without a failure.
/// @param kept  The changes if the path stays.
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

/// An existing lock file may stay.
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

}  // namespace

exceptions binding_new_path() { return in_directory + locking("s", {}) + finding; }

namespace {

/// If the kernel cannot tell whether a socket of this user is bound to the file, it is assumed.
const exceptions finding_unprivileged = {{"fstat", "", "usual"},
                                         {"fstatfs", "", "usual"},
                                         {"socket", "", "same|usual"},
                                         {"sendto", "", "usual"},
                                         {"recvfrom", "", "usual"}};

const words new_directories = {"+path a", "+path a/b"};

const exceptions binding_path = binding_new_path() + unlinking("s", {}, {"+path s"});

/// A server may be listening unless the kernel refuses the connection.
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

/// Failures after a dead socket has been removed.
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

}  // namespace

std::vector<scenario> binding() {
  return {
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
  };
}

}  // namespace sd::test
