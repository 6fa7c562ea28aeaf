// SPDX-License-Identifier: MIT OR Apache-2.0
// The protection of sd-activate against services of other users, and against other local users.
#include <sd/notify.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "client.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

using sd::activate::test::activator;
using sd::activate::test::can_fail_calls;
using sd::activate::test::circumstances;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::exit_failure;
using sd::activate::test::is_running;
using sd::activate::test::run;
using sd::activate::test::with_service;
using sd::activate::test::without;
using sd::test::ask;
using sd::test::check;
using testing::HasSubstr;
using testing::Not;

constexpr unsigned nobody = 65534;
constexpr int exit_strict = 3;

class trust : public sd::activate::test::web {};

/// Only root can give files to another user, and start services as one.
class trust_of_root : public trust {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: not root";
  }

  /// Makes a symbolic link of the user nobody.
  static void make_foreign_link(const std::string& target, const std::string& path) {
    fs::create_symlink(target, path);
    check(::lchown(path.c_str(), nobody, nobody), "lchown");
  }

  /// Writes the units of a service that runs a shell command as the user nobody. Returns the path of the socket unit.
  [[nodiscard]] std::string write_of_nobody(const std::string& command, const std::string& settings = "") const {
    auto unit = write("");
    std::ofstream(there_ / "web.service")
        << "[Service]\nUser=" << nobody << "\nStandardOutput=journal\nExecStart=/bin/sh -c '" << command << "'\n"
        << settings;
    return unit;
  }

  /// Returns a name for a directory in /run.
  static std::string runtime_name() { return "sd-activate-test-" + std::to_string(::getpid()); }
};

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// --- what a service inherits -----------------------------------------------------------------------------------------

TEST_F(trust, service_does_not_inherit_what_sd_activate_has_inherited) {
  circumstances how;
  how.program = {"/bin/sh", "-c", R"(exec 9</dev/null; exec "$0" "$@")", SD_ACTIVATE};
  for (const bool is_old_kernel : {false, true}) {
    if (is_old_kernel && !can_fail_calls()) continue;
    if (is_old_kernel) how.failing_call = {SYS_close_range, 2, CLOSE_RANGE_CLOEXEC, ENOSYS};
    activator program(with_service({"-l", "127.0.0.1:0"}), how);
    const auto where = program.address();
    EXPECT_EQ(ask(where, "descriptors"), "3 4");  // the socket and the connection
    for (const auto* const stream : {"0", "1", "2"}) {
      EXPECT_TRUE(fs::exists("/proc/" + ask(where, "pid") + "/fd/" + stream)) << stream;
    }
  }
}

TEST_F(trust_of_root, service_of_another_user_does_not_inherit_keys) {
  const auto unit = write_of_nobody("cat /proc/keys");
  const char* const name = "sd-activate-test";
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 ||
      ::syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_SESSION_KEYRING) < 0 ||
      contents("/proc/keys").find(name) == std::string::npos) {
    GTEST_SKIP() << "SKIPPED: there are no keyrings";
  }
  const auto ended = run({"-q", "--once", "--now", unit});
  EXPECT_EQ(ended.status, 0);
  EXPECT_THAT(ended.output, Not(HasSubstr(name)));
}

TEST_F(trust_of_root, service_of_another_user_does_not_inherit_capabilities) {
  const auto unit = write_of_nobody("grep CapAmb /proc/self/status");
  fs::permissions(there_.path(), fs::perms(0755));
  circumstances how;
  how.program = {"setpriv",
                 "--reuid=daemon",
                 "--regid=daemon",
                 "--clear-groups",
                 "--inh-caps=+setuid,+setgid",
                 "--ambient-caps=+setuid,+setgid",
                 SD_ACTIVATE};
  how.has_events = false;
  const auto ended = run({"-q", "--once", "--now", unit}, how);
  EXPECT_EQ(ended.errors, "");
  EXPECT_EQ(ended.output, "CapAmb:\t0000000000000000\n");
  // One that has other groups alone keeps them.
  std::ofstream(there_ / "web.service") << "[Service]\nSupplementaryGroups=" << nobody
                                        << "\nStandardOutput=journal\nExecStart=/bin/sh -c 'id -g; id -G; grep CapAmb "
                                           "/proc/self/status'\n";
  EXPECT_EQ(run({"-q", "--once", "--now", unit}, how).output, "1\n1 65534\nCapAmb:\t00000000000000c0\n");
}

// --- files that others can change ------------------------------------------------------------------------------------

TEST_F(trust, unit_that_all_users_can_change_causes_a_warning) {
  const auto unit = write("");
  fs::create_directory(there_ / "web.socket.d");
  create(there_ / "web.socket.d/a.conf");
  for (const auto* const name : {"web.service", "web.socket.d/a.conf"}) {
    fs::permissions(there_ / name, fs::perms(0666));
    const auto warning = "DIR/" + std::string(name) + ": warning: can be changed by all users\n";
    const auto checked = run({"--check", unit});
    EXPECT_EQ(without(there_.path(), checked.errors), warning);
    EXPECT_EQ(checked.status, 0);
    EXPECT_EQ(run({"--check", "--strict", unit}).status, exit_strict);
    fs::permissions(there_ / name, fs::perms(0644));
  }
  const auto strict = run({"--check", "--strict", unit});
  EXPECT_EQ(strict.errors, "");
  EXPECT_EQ(strict.status, 0);
}

TEST_F(trust, environment_file_that_all_users_can_change_causes_a_warning) {
  create(there_ / "variables");
  fs::permissions(there_ / "variables", fs::perms(0666));
  const auto checked = run({"--check", write("EnvironmentFile=" + (there_ / "variables") + '\n')});
  EXPECT_EQ(without(there_.path(), checked.errors),
            "DIR/web.service: warning: EnvironmentFile=DIR/variables: can be changed by all users\n");
}

TEST_F(trust_of_root, unit_of_another_user_or_group_causes_a_warning) {
  const auto unit = write("");
  const auto service = there_ / "web.service";
  fs::permissions(service, fs::perms(0664));
  EXPECT_EQ(run({"--check", unit}).errors, "");  // the group is that of root
  fs::permissions(there_.path(), fs::perms(0755));
  const circumstances of_nobody = {{}, {}, true, true};
  EXPECT_EQ(run({"--check", unit}, of_nobody).errors, "");
  check(::chown(service.c_str(), 0, nobody), "chown");
  fs::permissions(service, fs::perms(0644));
  EXPECT_EQ(run({"--check", unit}).errors, "");
  fs::permissions(service, fs::perms(0664));
  EXPECT_THAT(run({"--check", unit}).errors, HasSubstr(": warning: can be changed by group 65534\n"));
  check(::chown(service.c_str(), nobody, nobody), "chown");
  EXPECT_THAT(run({"--check", unit}).errors, HasSubstr(": warning: can be changed by user 65534 and group 65534\n"));
  EXPECT_EQ(run({"--check", unit}, of_nobody).errors, "");
}

// --- symbolic links of others ----------------------------------------------------------------------------------------

TEST_F(trust_of_root, output_does_not_follow_a_link_of_another_user) {
  std::ofstream(there_ / "file") << "before\n";
  fs::create_directory(there_ / "directory");
  make_foreign_link(there_ / "file", there_ / "link");
  make_foreign_link(there_ / "directory", there_ / "other");
  fs::create_symlink("link", there_ / "own");
  for (const auto* const last : {"link", "other/file", "own"}) {
    const std::string name = last;
    const auto ended =
        run({"-q", "--once", "--now", write_of_nobody("echo text", "StandardOutput=append:" + (there_ / name) + '\n')});
    EXPECT_EQ(ended.status, exit_failure);
    EXPECT_EQ(without(there_.path(), ended.errors),
              "sd-activate: error: web.service: DIR/" + name + ": Too many levels of symbolic links\n");
  }
  EXPECT_EQ(contents(there_ / "file"), "before\n");
  EXPECT_TRUE(fs::is_empty(there_ / "directory"));
}

TEST_F(trust, output_follows_links_of_root_and_of_its_own_user) {
  fs::create_directory(there_ / "directory");
  fs::create_symlink("directory", there_ / "other");
  fs::create_symlink("../other/./file", there_ / "directory/link");
  const auto unit = write("");
  for (const std::string& path : {there_ / "directory/link", std::string("/proc/self/fd/1")}) {
    std::ofstream(there_ / "web.service")
        << "[Service]\nExecStart=/bin/echo text\nStandardOutput=append:" << path << '\n';
    const auto ended = run({"-q", "--once", "--now", unit});
    EXPECT_EQ(ended.errors, "");
    EXPECT_EQ(path == "/proc/self/fd/1" ? ended.output : contents(there_ / "directory/file"), "text\n");
  }
}

TEST_F(trust, output_to_a_fifo_does_not_wait_for_a_reader) {
  check(::mkfifo((there_ / "fifo").c_str(), 0600), "mkfifo");
  EXPECT_EQ(run({"-q", "--once", "--now", write("StandardOutput=file:" + (there_ / "fifo") + '\n')}).status,
            exit_failure);
}

TEST_F(trust_of_root, environment_file_is_not_read_through_a_link_of_another_user) {
  std::ofstream(there_ / "secret") << "SECRET=1\n";
  make_foreign_link(there_ / "secret", there_ / "variables");
  const auto ended = run({"-q", "--once", "--now", write("EnvironmentFile=" + (there_ / "variables") + '\n')});
  EXPECT_EQ(without(there_.path(), ended.errors),
            "sd-activate: error: EnvironmentFile=DIR/variables: Too many levels of symbolic links\n");
}

TEST_F(trust, environment_file_that_is_a_fifo_does_not_wait_for_a_writer) {
  check(::mkfifo((there_ / "fifo").c_str(), 0600), "mkfifo");
  activator program({"-q", write("EnvironmentFile=" + (there_ / "fifo") + '\n')});
  EXPECT_NE(ask(program.address(), "pid"), "");
}

TEST_F(trust_of_root, directories_are_not_made_and_changed_behind_a_link_of_another_user) {
  const auto name = runtime_name();
  const auto path = "/run/" + name;
  fs::create_directory(path);
  check(::chown(path.c_str(), nobody, nobody), "chown");
  fs::create_directories(there_ / "victim/b");
  make_foreign_link(there_ / "victim", path + "/a");
  const auto ended =
      run({"-q", "--once", "--now", write_of_nobody("true", "RuntimeDirectory=" + name + ' ' + name + "/a/b\n")});
  EXPECT_EQ(ended.status, exit_failure);
  EXPECT_EQ(ended.errors, "sd-activate: error: make directory " + path + "/a/b: Too many levels of symbolic links\n");
  struct stat status {};
  check(::stat((there_ / "victim/b").c_str(), &status), "stat");
  EXPECT_EQ(status.st_uid, 0U);
  fs::remove_all(path);
}

TEST_F(trust_of_root, directories_are_not_removed_behind_a_link_of_another_user) {
  const auto name = runtime_name();
  const auto path = "/run/" + name;
  fs::create_directory(path);
  fs::create_directories(there_ / "victim/b");
  activator program({"-q", write("RuntimeDirectory=" + name + "/a/b\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
  fs::remove_all(path + "/a");
  make_foreign_link(there_ / "victim", path + "/a");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(fs::exists(there_ / "victim/b"));
  fs::remove_all(path);
}

TEST_F(trust_of_root, fifo_of_another_user_is_refused) {
  const auto path = there_ / "fifo";
  check(::mkfifo(path.c_str(), 0600), "mkfifo");
  check(::chown(path.c_str(), nobody, nobody), "chown");
  const auto ended = run(with_service({"-s", "ListenFIFO=" + path}));
  EXPECT_EQ(ended.status, exit_failure);
  EXPECT_EQ(ended.errors, "sd-activate: error: " + path + ", which belongs to user 65534: File exists\n");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0600));
  activator program(with_service({"-s", "ListenFIFO=" + path + " SocketUser=65534"}));
  EXPECT_EQ(program.event("listening").value("kind", ""), "fifo");
}

// --- process numbers that are used again -----------------------------------------------------------------------------

bool has_group_signals() {
  constexpr unsigned process_group = 4;
  const sd::unique_fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  return self && (::syscall(SYS_pidfd_send_signal, self.get(), 0, nullptr, process_group) == 0 || errno == ESRCH);
}

/// Starts a process with this number, which leads a process group and sleeps. Returns whether that is possible.
bool start_as(int pid) {
  clone_args how{};
  how.exit_signal = SIGCHLD;
  how.set_tid = reinterpret_cast<std::uintptr_t>(&pid);
  how.set_tid_size = 1;
  const auto result = ::syscall(SYS_clone3, &how, sizeof how);
  if (result == 0) {
    ::setsid();
    while (true) ::pause();
  }
  return result > 0;
}

TEST_F(trust_of_root, group_that_has_got_the_number_of_the_service_is_not_killed) {
  if (!has_group_signals()) GTEST_SKIP() << "SKIPPED: the kernel has no PIDFD_SIGNAL_PROCESS_GROUP";
  const auto unit = write("");
  std::ofstream(there_ / "web.service") << "[Service]\nExecStart=/bin/sh -c 'sleep 1000 & exec "
                                        << sd::activate::test::service()[0] << "'\nExecStopPost=/bin/sh -c 'echo > "
                                        << there_ / "ended"
                                        << "; while [ ! -e " << there_ / "go"
                                        << " ]; do sleep 0.01; done'\nKillMode=mixed\n";
  activator program({"-q", unit});
  const auto where = program.address();
  const int pid = std::stoi(ask(where, "pid"));
  ask(where, "exit 0");
  EXPECT_TRUE(eventually([&] { return fs::exists(there_ / "ended") && ::kill(-pid, 0) < 0; }));
  const bool is_started = start_as(pid);
  create(there_ / "go");
  EXPECT_NE(ask(where, "pid"), "");  // of the next one, which starts when sd-activate is done with the first one
  if (!is_started) GTEST_SKIP() << "SKIPPED: clone3() with a number: " << std::strerror(errno);
  EXPECT_TRUE(is_running(pid));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

// --- messages --------------------------------------------------------------------------------------------------------

TEST_F(trust, text_of_a_service_cannot_control_the_terminal) {
  activator program({"-v", write("NotifyAccess=main\n")});
  EXPECT_EQ(ask(program.address(), "notify STATUS=a\x1b[2J\xc2\x9b\x9b\u00e4z"), "done");
  EXPECT_TRUE(program.reports("sd-activate: web.service: a?[2J??\u00e4z\n")) << program.errors();
}

TEST_F(trust, descriptors_that_were_lost_are_reported) {
  circumstances how;
  how.descriptor_limit = 40;
  activator program({"-q", write("FileDescriptorStoreMax=100\n")}, how);
  const auto where = program.address();
  for (int i = 0; i < 28; ++i) EXPECT_EQ(ask(where, "send FDSTORE=1"), "done");
  EXPECT_THAT(program.errors(),
              HasSubstr("warning: web.service: descriptors of a message were lost: too many open files\n"));
}

/// Returns a connection with data that its peer does not read, which close(2) would wait for.
sd::unique_fd make_lingering(sd::unique_fd& peer) {
  const sd::unique_fd listener(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const where = reinterpret_cast<sockaddr*>(&address);
  check(::bind(listener.get(), where, size), "bind");
  check(::listen(listener.get(), 1), "listen");
  check(::getsockname(listener.get(), where, &size), "getsockname");
  sd::unique_fd client(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check(::connect(client.get(), where, size), "connect");
  peer.reset(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  const std::string data(65536, 'x');
  while (::send(client.get(), data.data(), data.size(), MSG_DONTWAIT) > 0) continue;
  const linger how{1, 3600};
  check(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &how, sizeof how), "SO_LINGER");
  return client;
}

TEST_F(trust, descriptor_of_another_process_cannot_suspend_sd_activate) {
  activator program({"-v", write("NotifyAccess=main\n")});
  ::setenv("NOTIFY_SOCKET", ask(program.address(), "variable NOTIFY_SOCKET").c_str(), 1);
  sd::unique_fd peer;
  program.send(SIGSTOP);  // so that it is the last one to close the descriptor
  {
    const auto lingering = make_lingering(peer);
    sd::notify(sd::state::raw("X=1"), {{lingering.get()}});
  }
  program.send(SIGCONT);
  EXPECT_TRUE(program.reports("NotifyAccess= excludes a message of process " + std::to_string(::getpid())));
  EXPECT_EQ(program.stop(), 0);
}

}  // namespace
