// SPDX-License-Identifier: MIT OR Apache-2.0
// Failures of sd::take_or_bind(): the texts of errors, and failures injected into every step.

#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/take_or_bind.hpp>
#include <sd/testing.hpp>

#include "binding.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using sd::kind;
using sd::listen_fd;
using sd::unique_fd;
using sd::test::bind_one;
using sd::test::check;
using sd::test::exists;
using sd::test::failure_of;
using sd::test::leave_dead_socket;
using sd::test::list_of;
using sd::test::loopback;
using sd::test::may_change_owners;
using sd::test::mode_of;
using sd::test::of_kind;
using sd::test::private_server;
using sd::test::program;
using sd::test::refuses;
using sd::test::report;
using sd::test::scratch;
using sd::test::start_and_stop;
using sd::test::status_of;
using sd::test::words;
using testing::HasSubstr;
using testing::IsEmpty;

// --- error texts -----------------------------------------------------------------------------------------------------

TEST(error, names_the_directory_that_cannot_be_made) {
  const scratch directory;
  std::ofstream(directory / "file").close();
  EXPECT_EQ(failure_of(directory / "file/s"), "make directory " + directory / "file" + ": File exists");
  EXPECT_EQ(failure_of(directory / "file/a/s"), "make directory " + directory / "file/a" + ": Not a directory");
  std::filesystem::create_symlink(directory / "nowhere", directory / "link");
  EXPECT_EQ(failure_of(directory / "link/s"), "make directory " + directory / "link" + ": File exists");
  EXPECT_EQ(failure_of("/proc/sd-bind/s"), "make directory /proc/sd-bind: No such file or directory");
  EXPECT_EQ(directory.entries(), (words{"file", "link"}));
}

TEST(error, names_the_lock_file) {
  const scratch directory;
  const auto lock = directory / "s.sd-lock";
  std::filesystem::create_directory(lock);
  EXPECT_EQ(failure_of(directory / "s"), "lock " + lock + ": Is a directory");
  std::filesystem::remove(lock);
  std::filesystem::create_symlink(directory / "elsewhere", lock);
  EXPECT_EQ(failure_of(directory / "s"), "lock " + lock + ": Too many levels of symbolic links");
  EXPECT_EQ(directory.entries(), words{"s.sd-lock"});
}

TEST(error, address_of_another_host) {
  EXPECT_EQ(failure_of("192.0.2.1:1"), "bind to 192.0.2.1:1: Cannot assign requested address");
}

TEST(error, port_is_named_as_wildcard_address) {
  const auto server = bind_one("[::]:0");
  const auto port = std::to_string(sd::describe(server.get()).local.port());
  EXPECT_EQ(failure_of(port), "bind to [::]:" + port + ": Address already in use");
}

TEST(error, kind_that_the_family_does_not_have) {
  if (unique_fd(::socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))) GTEST_SKIP() << "SKIPPED: this system has SCTP";
  EXPECT_EQ(failure_of("127.0.0.1:1", of_kind(kind::seqpacket)),
            "open a socket for 127.0.0.1:1: Socket type not supported");
}

TEST(error, newline_in_path_is_escaped) {
  const scratch directory;
  std::filesystem::create_directory(directory / "a\nb");
  EXPECT_EQ(failure_of(directory / "a\nb"), "bind to " + directory / "a\\x0ab: Address already in use");
}

TEST(error, wrong_kind_names_passed_sockets_and_directive) {
  const scratch directory;
  auto fds = list_of(sd::testing::open(kind::datagram, directory / "s", "log"));
  EXPECT_EQ(failure_of(fds, directory / "s"),
            "the descriptor at " + directory / "s" + " is not a stream socket, available: " + sd::to_string(fds) +
                "; the socket unit needs ListenStream=" + directory / "s" + ": wrong kind of descriptor");
}

/// Returns the report of a program that runs as nobody.
report unprivileged(const std::string& where, words options = {}) {
  options.emplace_back("become=65534");
  return start_and_stop(where, options);
}

TEST(error, missing_permission) {
  if (::geteuid() != 0 || !may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  const scratch directory;
  EXPECT_EQ(unprivileged(directory / "s").count("serving"), 1U);
  EXPECT_EQ(unprivileged(directory / "s", {"user=0"})["what"],
            "change the owner of " + directory / "s" + ": Operation not permitted");
  EXPECT_THAT(directory.entries(), IsEmpty());

  check(::chmod(directory.path().c_str(), 0755), "chmod");
  EXPECT_EQ(unprivileged(directory / "s")["what"], "lock " + directory / "s.sd-lock: Permission denied");
  EXPECT_EQ(unprivileged(directory / "d/s")["what"], "make directory " + directory / "d: Permission denied");
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(stale_path, server_of_another_user_that_refuses_the_probe_stays) {
  if (::geteuid() != 0 || !may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  const scratch directory;
  const auto server = private_server(directory / "s");
  EXPECT_EQ(unprivileged(directory / "s")["what"], "bind to " + directory / "s: Address already in use");
  EXPECT_FALSE(refuses(directory / "s"));
}

// --- system calls ----------------------------------------------------------------------------------------------------

class traced : public testing::Test {
 protected:
  void SetUp() override {
    if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer makes system calls of its own";
    if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
    if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: strace would trace the emulator";
    if (sd::testing::process({STRACE, "-qq", "-o", "/dev/null", "true"}, {}).wait() != 0) {
      GTEST_SKIP() << "SKIPPED: strace may not trace here";
    }
  }

  /// The system calls of a program, and its report.
  struct outcome {
    words calls;
    std::size_t begin = 0;  ///< of the calls of take_or_bind() in `calls`
    std::size_t end = 0;
    report said;
  };

  /// Runs the program until it serves or fails, and stops it. `look` is called while it serves.
  outcome run(const std::string& where, const words& options, const std::vector<listen_fd>& passed = {},
              const words& injected = {}, const std::function<void()>& look = {}) const {
    const auto trace = traces_ / "trace";
    // -D: strace is a grandchild, so that the program keeps the pid that LISTEN_PID names.
    words tracer = {STRACE, "-D", "-o", trace};
    tracer.insert(tracer.end(), injected.begin(), injected.end());
    outcome result;
    {
      program running(where, options, passed, tracer);
      result.said = running.read_report();
      if (look) look();
      EXPECT_EQ(running.stop(), result.said.count("serving") != 0 ? 0 : 1) << result.said["what"];
    }
    const auto& calls = result.calls = lines_of(trace);
    for (int wait = 0; wait < 1000 && (calls.empty() || calls.back().compare(0, 3, "+++") != 0); ++wait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      result.calls = lines_of(trace);
    }
    const auto marked = [&](const char* mark) {
      const auto found = std::find_if(calls.begin(), calls.end(), [&](const auto& call) {
        return call.find("write(-1, \"" + std::string(mark)) == 0;
      });
      return static_cast<std::size_t>(std::distance(calls.begin(), found));
    };
    result.begin = marked("begin") + 1;
    result.end = marked("end");
    std::filesystem::remove(trace);
    return result;
  }

  static words lines_of(const std::string& path) {
    words lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  static std::string name_of(const std::string& call) { return call.substr(0, call.find('(')); }

  /// Returns the options of strace that make this call of that trace fail.
  static words failing(const outcome& sound, std::size_t call, const std::string& error) {
    const auto name = name_of(sound.calls[call]);
    const auto nth = std::count_if(sound.calls.begin(), sound.calls.begin() + static_cast<std::ptrdiff_t>(call) + 1,
                                   [&](const auto& line) { return name_of(line) == name; });
    return {"-e", "inject=" + name + ":error=" + error + ":when=" + std::to_string(nth)};
  }

  /// Returns the index of the n-th call of take_or_bind() that matches.
  static std::size_t find(const outcome& sound, const std::string& pattern, int nth = 1) {
    const std::regex wanted(pattern);
    for (auto call = sound.begin; call < sound.end; ++call) {
      if (std::regex_search(sound.calls[call], wanted, std::regex_constants::match_continuous) && --nth == 0)
        return call;
    }
    throw std::runtime_error("no call is like " + pattern);
  }

  /// Returns whether the failure was injected into the intended call.
  static bool was_injected(const outcome& failed, const outcome& sound, std::size_t call) {
    const auto injected = std::find_if(failed.calls.begin(), failed.calls.end(),
                                       [](const auto& line) { return line.find("(INJECTED)") != std::string::npos; });
    return injected - failed.calls.begin() == static_cast<std::ptrdiff_t>(call) &&
           name_of(*injected) == name_of(sound.calls[call]);
  }

 private:
  scratch traces_;
};

TEST_F(traced, owner_and_mode_are_set_before_listening) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  for (const char* const kind : {"kind=stream", "kind=seqpacket", "kind=datagram"}) {
    const scratch directory;
    check(::chmod(directory.path().c_str(), 0700), "chmod");  // so that the mode of the lock file is left alone
    const auto result = run(directory / "s", {kind, "mode=0600", "user=1234", "group=4321", "umask=0"});
    ASSERT_EQ(result.said.count("serving"), 1U);
    words order;
    const std::regex relevant("(fchmod|bind|l?chown|fchownat|f?chmod(at)?|listen)(32)?\\(.*");
    for (auto call = result.begin; call < result.end; ++call) {
      if (std::regex_match(result.calls[call], relevant)) order.push_back(result.calls[call]);
    }
    const auto path = HasSubstr('"' + directory / "s" + '"');
    const bool listens = kind != std::string("kind=datagram");
    ASSERT_EQ(order.size(), listens ? 5U : 4U) << testing::PrintToString(order);
    EXPECT_THAT(order[0], testing::AllOf(testing::StartsWith("fchmod("), HasSubstr(", 0200)")));
    EXPECT_THAT(order[1], testing::AllOf(testing::StartsWith("bind("), path));
    EXPECT_THAT(order[2], testing::AllOf(HasSubstr("fchownat"), HasSubstr("\"\", 1234, 4321, AT_EMPTY_PATH")));
    EXPECT_THAT(order[3], testing::AllOf(HasSubstr("chmod"), HasSubstr("/proc/self/fd/"), HasSubstr("0600")));
    EXPECT_THAT(order.back(), testing::StartsWith(listens ? "listen(" : "chmod("));
  }
}

TEST_F(traced, descriptors_are_close_on_exec_from_the_start) {
  std::vector<words> ways = {{}};
  if (may_change_owners()) ways.push_back({"no-net-admin"});
  for (const auto& options : ways) {
    for (const bool lock_file_exists : {false, true}) {
      const scratch directory;
      if (lock_file_exists) std::ofstream(directory / "s.sd-lock").close();
      const auto result = run(directory / "s", options);
      ASSERT_EQ(result.said.count("serving"), 1U);
      int opened = 0;
      for (auto call = result.begin; call < result.end; ++call) {
        if (!std::regex_match(result.calls[call], std::regex("(open|openat|socket)\\(.*= [0-9]+"))) continue;
        EXPECT_THAT(result.calls[call], HasSubstr("CLOEXEC"));
        ++opened;
      }
      EXPECT_GE(opened, 2) << "the lock file and the socket";
    }
  }
}

TEST_F(traced, path_is_unlinked_before_the_socket_is_closed) {
  const scratch directory;
  const auto result = run(directory / "s", {});
  ASSERT_EQ(result.said.count("serving"), 1U);
  const auto bound = result.calls[find(result, "bind\\(")];
  const auto close = "close(" + bound.substr(5, bound.find(',') - 5) + ')';
  words order;
  for (auto call = result.end; call < result.calls.size(); ++call) {
    const auto& line = result.calls[call];
    if (line.find("unlink") == 0 && line.find('"' + directory / "s" + '"') != std::string::npos)
      order.emplace_back("path");
    if (line.find(close) == 0) order.emplace_back("socket");
  }
  EXPECT_EQ(order, (words{"path", "socket"}));
}

TEST_F(traced, passed_socket_is_not_changed) {
  const scratch directory;
  const auto passed = list_of(sd::testing::open(kind::stream, directory / "s"));
  const auto result = run(directory / "s", {"mode=0600", "ipv6=both"}, passed);
  EXPECT_EQ(result.said.at("origin"), "passed");
  const std::regex changes(
      "(setsockopt|f?chmod|bind|listen|l?chown|unlink|mkdir|connect|openat|flock|shutdown)\\(.*|.*SETFL.*");
  for (auto call = result.begin; call < result.end; ++call) {
    EXPECT_FALSE(std::regex_match(result.calls[call], changes)) << result.calls[call];
  }
}

TEST_F(traced, ipv6_only_is_not_set_by_default) {
  const auto result = run("[::]:0", {});
  if (result.said.count("serving") == 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  for (auto call = result.begin; call < result.end; ++call) {
    EXPECT_THAT(result.calls[call], testing::Not(HasSubstr("IPV6_V6ONLY")));
  }
}

struct step {
  const char* name;
  const char* call;
  int nth;
  const char* error;
  const char* what;   // DIR is filled in
  bool left = false;  // whether the lock file stays
  bool without_net_admin = false;
  const char* where = "d/s";
};

std::ostream& operator<<(std::ostream& out, const step& what) { return out << what.name; }

/// The error text with the list of what was passed, in front of the error's own message.
std::string with_passed(std::string what, const std::vector<listen_fd>& passed) {
  return what.insert(what.rfind(": "), ", available: 3 \"other\" " + to_string(sd::describe(passed.front().fd.get())));
}

class failing_step : public traced, public testing::WithParamInterface<step> {};

TEST_P(failing_step, is_reported_and_leaves_nothing) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  words options = {"mode=0600", "user=1234", "group=4321", "nonblocking=on", "umask=0"};
  if (GetParam().without_net_admin) options.emplace_back("no-net-admin");
  const auto passed = list_of(sd::testing::open(kind::stream, loopback() + ":0", "other"));
  const scratch directory;
  std::filesystem::create_directory(directory / "d");
  const auto where = directory / GetParam().where;
  const auto prepare = [&] {
    std::filesystem::remove_all(directory / "new");
    if (GetParam().name == std::string("remove")) leave_dead_socket(directory / "d/s");
  };

  prepare();
  const auto sound = run(where, options, passed);
  ASSERT_EQ(sound.said.count("serving"), 1U);
  const auto call = find(sound, GetParam().call, GetParam().nth);
  prepare();
  auto failed = run(where, options, passed, failing(sound, call, GetParam().error));
  ASSERT_TRUE(was_injected(failed, sound, call)) << testing::PrintToString(failed.calls);

  auto what = std::string(GetParam().what);
  if (const auto at = what.find("DIR"); at != std::string::npos) what.replace(at, 3, directory.path());
  EXPECT_EQ(failed.said["what"], with_passed(what, passed));
  EXPECT_EQ(failed.said["open"], "as before");
  EXPECT_EQ(failed.said["list"], "as before");
  EXPECT_EQ(directory.entries(), words{"d"});
  std::filesystem::remove(GetParam().name == std::string("remove") ? where : "");
  // A lock file that could not be locked may belong to another process.
  std::filesystem::remove(GetParam().left ? where + ".sd-lock" : "");
  EXPECT_TRUE(std::filesystem::is_empty(directory / "d")) << "a path or a lock file was left";
}

constexpr step steps[] = {
    {"mkdir", "mkdir(at)?\\(", 1, "EROFS", "make directory DIR/new: Read-only file system", false, false, "new/s"},
    {"mkdir_of_parent", "mkdir(at)?\\(", 2, "EPERM", "make directory DIR/new: Operation not permitted", false, false,
     "new/a/s"},
    {"open_lock", "open(at)?\\(.*lock", 1, "EROFS", "lock DIR/d/s.sd-lock: Read-only file system"},
    {"lock", "flock\\(", 1, "ENOLCK", "lock DIR/d/s.sd-lock: No locks available", true},
    {"status_of_lock", "(newfstatat|fstat|fstat64|statx)\\([0-9]", 2, "EIO", "lock DIR/d/s.sd-lock: Input/output error",
     true},
    {"socket", "socket\\(", 1, "EMFILE", "open a socket for DIR/d/s: Too many open files"},
    {"get_flags", "fcntl(64)?\\([0-9]+, F_GETFL", 2, "EIO", "make nonblocking DIR/d/s: Input/output error"},
    {"set_flags", "fcntl(64)?\\([0-9]+, F_SETFL", 1, "EIO", "make nonblocking DIR/d/s: Input/output error"},
    {"bind", "bind\\(", 1, "ENOSPC", "bind to DIR/d/s: No space left on device"},
    {"remove", "unlink(at)?\\(.*/s\"", 1, "EPERM", "remove the dead socket DIR/d/s: Operation not permitted"},
    {"status_of_path", "(newfstatat|l?stat|lstat64|statx)\\(.*/s\"", 1, "EIO",
     "find the bound socket at DIR/d/s: Input/output error"},
    {"status_of_bound_file", "(newfstatat|fstat|fstat64|statx)\\([0-9]", 3, "EIO",
     "find the bound socket at DIR/d/s: Input/output error"},
    {"open_path", "open(at)?\\(.*/s\".*O_PATH", 1, "EMFILE", "find the bound socket at DIR/d/s: Too many open files",
     false, true},
    {"status_of_opened_path", "(newfstatat|fstat|fstat64|statx)\\([0-9]", 3, "EIO",
     "find the bound socket at DIR/d/s: Input/output error", false, true},
    {"chown", "(l?chown(32)?|fchownat)\\(.*1234", 1, "EPERM", "change the owner of DIR/d/s: Operation not permitted"},
    {"chown_in_new_directory", "(l?chown(32)?|fchownat)\\(.*1234", 1, "EPERM",
     "change the owner of DIR/new/s: Operation not permitted", false, false, "new/s"},
    {"chmod", "(chmod|fchmodat2?)\\(.*/proc/self/fd", 1, "EPERM",
     "change the mode of DIR/d/s: Operation not permitted"},
    {"listen", "listen\\(", 1, "EADDRINUSE", "listen on DIR/d/s: Address already in use"},
};

INSTANTIATE_TEST_SUITE_P(traced, failing_step, testing::ValuesIn(steps),
                         [](const auto& tested) { return tested.param.name; });

/// Ways to identify the file of the bound socket that are not available everywhere.
TEST_F(traced, missing_ways_to_identify_the_file_do_no_harm) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
  struct way {
    const char* call;
    const char* error;
    bool without_net_admin;
    int nth = 1;
  };
  for (const auto& missing :
       {way{"ioctl\\(", "ENOTTY", false}, way{"socket\\(AF_NETLINK", "EAFNOSUPPORT", true},
        way{"(sendto|send|socketcall)\\(.*nlmsg", "EPERM", true},
        way{"(recvfrom|recv|socketcall)\\(.*nlmsg", "EAGAIN", true},
        // The status of the path, after those of the lock file, of the path when it was opened, and of the socket.
        way{"(newfstatat|fstat|fstat64|statx)\\([0-9]", "EIO", true, 4}}) {
    const scratch directory;
    words options = {"mode=0600", "user=1234", "group=4321"};
    if (missing.without_net_admin) options.emplace_back("no-net-admin");
    const auto sound = run(directory / "s", options);
    const auto call = find(sound, missing.call, missing.nth);
    const auto failed = run(directory / "s", options, {}, failing(sound, call, missing.error), [&] {
      EXPECT_EQ(mode_of(directory / "s"), 0600U) << missing.call;
      EXPECT_EQ(status_of(directory / "s").st_uid, 1234U) << missing.call;
      EXPECT_FALSE(refuses(directory / "s")) << missing.call;
    });
    EXPECT_TRUE(was_injected(failed, sound, call));
    EXPECT_EQ(failed.said.count("serving"), 1U) << missing.call;
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

/// Without /proc, the mode is changed by fchmodat2(2).
TEST_F(traced, mode_is_changed_without_proc) {
  const scratch directory;
  const auto sound = run(directory / "s", {"mode=0600"});
  const auto call = find(sound, "chmod\\(.*/proc/self/fd");
  unsigned mode = 0;
  auto failed = run(directory / "s", {"mode=0600"}, {}, failing(sound, call, "ENOENT"),
                    [&] { mode = exists(directory / "s") ? mode_of(directory / "s") : 0; });
  EXPECT_TRUE(was_injected(failed, sound, call));
  if (failed.said["what"] == "change the mode of " + directory / "s" + ": " + std::generic_category().message(ENOSYS)) {
    GTEST_SKIP() << "SKIPPED: this kernel has no fchmodat2(2)";
  }
  EXPECT_EQ(failed.said.count("serving"), 1U) << failed.said["what"];
  EXPECT_EQ(mode, 0600U);
}

TEST_F(traced, file_in_the_place_of_a_directory_is_not_tried_again) {
  const scratch directory;
  std::ofstream(directory / "file").close();
  const auto failed = run(directory / "file/s", {});
  EXPECT_EQ(failed.said.at("what"), "make directory " + directory / "file: File exists");
  const std::regex mkdir("mkdir(at)?\\(.*");
  EXPECT_EQ(std::count_if(failed.calls.begin(), failed.calls.end(),
                          [&](const auto& call) { return std::regex_match(call, mkdir); }),
            1);
}

/// As if another process removed the directory right after it was found to exist.
TEST_F(traced, directory_that_disappears_is_made_again) {
  const scratch directory;
  const auto sound = run(directory / "new/s", {});
  const auto call = find(sound, "mkdir(at)?\\(");
  std::filesystem::remove(directory / "new");
  auto failed = run(directory / "new/s", {}, {}, failing(sound, call, "EEXIST"));
  ASSERT_TRUE(was_injected(failed, sound, call));
  EXPECT_EQ(failed.said.count("serving"), 1U) << failed.said["what"];
}

/// As if another process removed the lock file right after it was found to exist.
TEST_F(traced, lock_file_that_disappears_is_made_again) {
  const scratch directory;
  auto sound = run(directory / "s", {});
  sound.begin = sound.end;  // the second one, which unlinks the path
  sound.end = sound.calls.size();
  const auto call = find(sound, "open(at)?\\(.*sd-lock");
  const auto failed = run(directory / "s", {}, {}, failing(sound, call, "EEXIST"));
  EXPECT_TRUE(was_injected(failed, sound, call));
  EXPECT_THAT(directory.entries(), IsEmpty());
}

class failing_internet_step : public traced, public testing::WithParamInterface<step> {};

TEST_P(failing_internet_step, is_reported_and_leaves_nothing) {
  const words options = {"nonblocking=on", "ipv6=both"};
  const auto passed = list_of(sd::testing::open(kind::stream, loopback() + ":0", "other"));
  const auto sound = run("[::1]:0", options, passed);
  if (sound.said.count("serving") == 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  const auto call = find(sound, GetParam().call, GetParam().nth);
  auto failed = run("[::1]:0", options, passed, failing(sound, call, GetParam().error));
  ASSERT_TRUE(was_injected(failed, sound, call)) << testing::PrintToString(failed.calls);
  EXPECT_EQ(failed.said["what"], with_passed(GetParam().what, passed));
  EXPECT_EQ(failed.said["open"], "as before");
  EXPECT_EQ(failed.said["list"], "as before");
}

constexpr step internet_steps[] = {
    {"socket", "socket\\(", 1, "EAFNOSUPPORT", "open a socket for [::1]:0: Address family not supported by protocol"},
    {"get_flags", "fcntl(64)?\\([0-9]+, F_GETFL", 2, "EIO", "make nonblocking [::1]:0: Input/output error"},
    {"set_flags", "fcntl(64)?\\([0-9]+, F_SETFL", 1, "EIO", "make nonblocking [::1]:0: Input/output error"},
    {"reuse", "setsockopt\\(.*SO_REUSEADDR", 1, "EPERM", "set SO_REUSEADDR for [::1]:0: Operation not permitted"},
    {"v6only", "setsockopt\\(.*IPV6_V6ONLY", 1, "EPERM", "set IPV6_V6ONLY for [::1]:0: Operation not permitted"},
    {"bind", "bind\\(", 1, "EACCES", "bind to [::1]:0: Permission denied"},
    {"listen", "listen\\(", 1, "EADDRINUSE", "listen on [::1]:0: Address already in use"},
};

INSTANTIATE_TEST_SUITE_P(traced, failing_internet_step, testing::ValuesIn(internet_steps),
                         [](const auto& tested) { return tested.param.name; });

TEST_F(traced, passed_socket_that_cannot_be_made_nonblocking_stays_in_the_list) {
  const auto passed = list_of(sd::testing::open(kind::stream, loopback() + ":0"));
  const auto at = sd::to_string(sd::describe(passed.front().fd.get()).local);
  const auto sound = run(at, {"nonblocking=on"}, passed);
  ASSERT_EQ(sound.said.at("origin"), "passed");
  const int flags = check(::fcntl(passed.front().fd.get(), F_GETFL), "F_GETFL");
  check(::fcntl(passed.front().fd.get(), F_SETFL, flags & ~O_NONBLOCK), "F_SETFL");
  const auto call = find(sound, "fcntl(64)?\\(3, F_SETFL");
  auto failed = run(at, {"nonblocking=on"}, passed, failing(sound, call, "EIO"));
  ASSERT_TRUE(was_injected(failed, sound, call));
  EXPECT_EQ(failed.said["what"], "make nonblocking " + at + ": Input/output error");
  EXPECT_EQ(failed.said["list"], "as before");
  EXPECT_EQ(failed.said["open"], "as before");
}

/// Each call in turn fails while a stale path is replaced. The error is reported and nothing is left, or the server
/// works.
class failing_call : public traced, public testing::WithParamInterface<const char*> {};

TEST_P(failing_call, is_reported_or_does_no_harm) {
  const scratch directory;
  const auto where = directory / "s";
  words options = {"mode=0600", "nonblocking=on", "umask=0"};
  if (GetParam() == std::string("without_net_admin")) {
    if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: requires root with CAP_CHOWN";
    options.emplace_back("no-net-admin");
  }
  leave_dead_socket(where);
  const auto sound = run(where, options);
  ASSERT_EQ(sound.said.count("serving"), 1U);
  // These never fail, or their failure is of no importance.
  const std::regex harmless("(brk|mmap|munmap|futex|getpid|geteuid(32)?|close|getrandom)\\(.*");
  for (auto call = sound.begin; call < sound.end; ++call) {
    SCOPED_TRACE(sound.calls[call]);
    if (std::regex_match(sound.calls[call], harmless)) continue;
    const bool leaves_lock =
        std::regex_search(sound.calls[call], std::regex("^unlink.*sd-lock|^flock|^n?e?w?f?stat.*"));
    leave_dead_socket(where);
    // While it is open, no other file gets its inode number.
    const sd::unique_fd dead(check(::open(where.c_str(), O_PATH | O_CLOEXEC), "open"));
    const auto dead_inode = status_of(where).st_ino;
    bool right = false;
    auto failed = run(where, options, {}, failing(sound, call, "EIO"),
                      [&] { right = exists(where) && mode_of(where) == 0600 && !refuses(where); });
    EXPECT_TRUE(was_injected(failed, sound, call));
    if (failed.said.count("serving") != 0) {
      EXPECT_TRUE(right);
      EXPECT_FALSE(exists(where));
    } else {
      EXPECT_EQ(failed.said["open"], "as before");
      EXPECT_THAT(failed.said["what"], HasSubstr(directory.path()));
      EXPECT_TRUE(!exists(where) || status_of(where).st_ino == dead_inode) << "it left its own path";
    }
    EXPECT_TRUE(leaves_lock || !exists(where + ".sd-lock"));
    std::filesystem::remove(where);
    std::filesystem::remove(where + ".sd-lock");
  }
}

INSTANTIATE_TEST_SUITE_P(traced, failing_call, testing::Values("as_it_is", "without_net_admin"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST_F(traced, interrupted_lock_is_tried_again) {
  const scratch directory;
  const auto sound = run(directory / "s", {});
  const auto call = find(sound, "flock\\(");
  const auto interrupted = run(directory / "s", {}, {}, failing(sound, call, "EINTR"));
  ASSERT_TRUE(was_injected(interrupted, sound, call));
  EXPECT_EQ(interrupted.said.count("serving"), 1U);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

}  // namespace
