// SPDX-License-Identifier: MIT OR Apache-2.0
// What the settings of a unit do to the process of its service.
#include "process.hpp"

#include "check.hpp"
#include "client.hpp"
#include "failing_call.hpp"
#include "running.hpp"
#include "web.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

namespace fs = std::filesystem;

using sd::activate::test::activator;
using sd::activate::test::can_fail_calls;
using sd::activate::test::circumstances;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::exit_failure;
using sd::activate::test::is_running;
using sd::activate::test::pid_in;
using sd::activate::test::run;
using sd::activate::test::service;
using sd::activate::test::text_of;
using sd::activate::test::with_service;
using sd::activate::test::without;
using sd::activate::test::words;
using sd::test::ask;
using testing::StartsWith;

// Calls that have another number on systems with 32-bit ids of users and with 16-bit ones before.
#if defined(SYS_setresuid32)
constexpr long number_of_setgroups = SYS_setgroups32, number_of_setresgid = SYS_setresgid32,
               number_of_setresuid = SYS_setresuid32;
#else
constexpr long number_of_setgroups = SYS_setgroups, number_of_setresgid = SYS_setresgid,
               number_of_setresuid = SYS_setresuid;
#endif
#if defined(SYS_dup2)
constexpr long number_of_dup2 = SYS_dup2;
#else
constexpr long number_of_dup2 = SYS_dup3;
#endif

class process : public sd::activate::test::web {
 protected:
  process() { fs::permissions(there_.path(), fs::perms(0777)); }  // for services of other users

  /// Writes units whose service runs this command.
  [[nodiscard]] std::string write_with(const std::string& command, const std::string& settings) const {
    auto unit = write("");
    std::ofstream(there_ / "web.service") << "[Service]\nExecStart=" << command << '\n' << settings;
    return unit;
  }

  /// Returns the process id of a service that --now has started.
  static int pid_of(activator& program) {
    const int pid = program.event("started").value("pid", 0);
    // Linux reports the success of execve(2) before it has set these.
    EXPECT_TRUE(pid == 0 || eventually([&] { return !text_of(file_of(pid, "cmdline")).empty(); }));
    return pid;
  }

  static std::string file_of(int pid, const std::string& name) { return "/proc/" + std::to_string(pid) + '/' + name; }

  /// Returns a line of /proc/PID/status without its name, and with single spaces.
  static std::string status_of(int pid, const std::string& name) {
    std::ifstream file(file_of(pid, "status"));
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with(name + ':')) continue;
      std::istringstream rest(line.substr(name.size() + 1));
      std::string all;
      for (std::string word; rest >> word;) all += (all.empty() ? "" : " ") + word;
      return all;
    }
    return "(none)";
  }

  static std::string limit_of(int pid, decltype(RLIMIT_CORE) resource) {
    rlimit limit{};
    EXPECT_EQ(::prlimit(pid, resource, nullptr, &limit), 0);
    return std::to_string(limit.rlim_cur) + ':' + std::to_string(limit.rlim_max);
  }

  static bool is_ignored(int signal, const std::string& mask) {
    return (std::stoull(mask, nullptr, 16) & 1ULL << static_cast<unsigned>(signal - 1)) != 0;
  }

  static std::map<std::string, std::string> properties_of(int pid) {
    return {{"nice", std::to_string(::getpriority(PRIO_PROCESS, static_cast<id_t>(pid)))},
            {"umask", status_of(pid, "Umask")},
            {"OOM score", text_of(file_of(pid, "oom_score_adj"))},
            {"no new privileges", status_of(pid, "NoNewPrivs")},
            {"SIGPIPE", is_ignored(SIGPIPE, status_of(pid, "SigIgn")) ? "ignored" : "not ignored"},
            {"file size", limit_of(pid, RLIMIT_FSIZE)},
            {"files", limit_of(pid, RLIMIT_NOFILE)},
            {"directory", fs::read_symlink(file_of(pid, "cwd"))}};
  }
};

TEST_F(process, settings_change_its_properties) {
  const auto unit = write(
      "Nice=19\nUMask=0027\nOOMScoreAdjust=999\nNoNewPrivileges=yes\nLimitFSIZE=1048576:4194304\nLimitNOFILE=100:200\n"
      "WorkingDirectory=" +
      there_.path() + '\n');
  activator program({"-q", "--now", unit});
  EXPECT_THAT(properties_of(pid_of(program)),
              testing::UnorderedElementsAreArray(std::map<std::string, std::string>{{"nice", "19"},
                                                                                    {"umask", "0027"},
                                                                                    {"OOM score", "999\n"},
                                                                                    {"no new privileges", "1"},
                                                                                    {"SIGPIPE", "ignored"},
                                                                                    {"file size", "1048576:4194304"},
                                                                                    {"files", "100:200"},
                                                                                    {"directory", there_.path()}}));
}

TEST_F(process, properties_are_those_of_sd_activate_without_settings) {
  const auto unit = write("IgnoreSIGPIPE=no\nWorkingDirectory=-/no/such/directory\n");
  activator program({"-q", "--now", unit});
  const int pid = pid_of(program);
  EXPECT_THAT(properties_of(pid), testing::UnorderedElementsAreArray(properties_of(program.pid())));
  EXPECT_EQ(::getsid(pid), pid);
}

TEST_F(process, limit_of_descriptors_stays_if_sd_activate_raises_its_own) {
  const auto unit = write("FileDescriptorStoreMax=1\n");
  circumstances how;
  how.program = {"/bin/sh", "-c", "ulimit -Sn 100; ulimit -Hn 300; exec \"$0\" \"$@\"", SD_ACTIVATE};
  activator program({"-q", "--now", unit}, how);
  EXPECT_EQ(limit_of(pid_of(program), RLIMIT_NOFILE), "100:300");
  EXPECT_EQ(limit_of(program.pid(), RLIMIT_NOFILE), "300:300");
}

TEST_F(process, command_line_has_its_own_name_and_the_values_of_variables) {
  const auto unit =
      write_with("@" + service()[0] + " other ${NAME} $NAME x${UNSET}y $UNSET", "Environment=\"NAME=a b\"\n");
  activator program({"-q", "--now", unit});
  EXPECT_EQ(text_of(file_of(pid_of(program), "cmdline")), std::string("other\0a b\0a\0b\0xy\0", 17));
}

TEST_F(process, is_killed_with_sd_activate) {
  activator program({"-q", "--now", write("", {"--ignore", std::to_string(SIGUSR1)})});
  const int pid = pid_of(program);
  EXPECT_TRUE(eventually([&] { return is_ignored(SIGUSR1, status_of(pid, "SigIgn")); }));
  EXPECT_EQ(program.stop(SIGKILL), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
}

// --- standard streams ------------------------------------------------------------------------------------------------

class standard_streams_of_a_process : public process {
 protected:
  static std::optional<std::pair<dev_t, ino_t>> number_of_file(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) < 0) return std::nullopt;
    return std::pair(status.st_dev, status.st_ino);
  }

  /// Returns the name of what a stream leads to, and its access mode and flags.
  [[nodiscard]] std::string describe(const activator& program, int pid, int number) const {
    const std::pair<std::string, std::string> known[] = {{"null", "/dev/null"},
                                                         {"output", file_of(program.pid(), "fd/1")},
                                                         {"errors", file_of(program.pid(), "fd/2")},
                                                         {"a", there_ / "a"},
                                                         {"b", there_ / "b"},
                                                         {"3", file_of(pid, "fd/3")},
                                                         {"4", file_of(pid, "fd/4")}};
    const auto path = file_of(pid, "fd/" + std::to_string(number));
    std::string text = fs::read_symlink(path);
    text.erase(std::min(text.find(':'), text.size()));
    for (const auto& [name, other] : known) {
      if (number_of_file(path) == number_of_file(other)) text = name;
    }
    const auto info = text_of(file_of(pid, "fdinfo/" + std::to_string(number)));
    const auto flags = std::stoi(info.substr(info.find("flags:") + 6), nullptr, 8);
    const int access = flags & O_ACCMODE;
    text += access == O_RDONLY ? " r" : access == O_WRONLY ? " w" : " rw";
    if ((flags & O_APPEND) != 0) text += " append";
    if ((flags & O_NONBLOCK) != 0) text += " nonblocking";
    return text;
  }
};

TEST_F(standard_streams_of_a_process, are_those_of_its_settings) {
  // DIR stands for the directory, in which there is a file a, but none called b.
  const struct {
    std::string settings;
    std::array<std::string, 3> expected;
  } rows[] = {
      {"", {"null r", "output rw append", "errors rw append"}},
      {"StandardOutput=null\n", {"null r", "null w", "null w"}},
      {"StandardOutput=inherit\n", {"null r", "null r", "null r"}},
      {"StandardInput=file:DIR/a\nStandardOutput=file:DIR/b\n", {"a r", "b w", "b w"}},
      {"StandardInput=file:DIR/a\nStandardError=null\n", {"a r", "output rw append", "null w"}},
      {"StandardOutput=append:DIR/b\nStandardError=truncate:DIR/a\n", {"null r", "b w append", "a w"}},
      {"StandardOutput=truncate:DIR/b\nStandardError=inherit\n", {"null r", "b w", "b w"}},
      {"StandardInput=fd:other\n", {"4 rw", "4 rw", "4 rw"}},
      {"StandardInput=fd:other\nStandardOutput=null\n", {"4 rw", "null w", "null w"}},
      {"StandardInput=fd:other\nStandardError=fd:web.socket\n", {"4 rw", "4 rw", "3 rw"}},
      {"StandardInput=fd:other\nStandardOutput=journal\n", {"4 rw", "output rw append", "errors rw append"}},
      {"StandardOutput=socket\n", {"null r", "3 rw", "3 rw"}},
      {"StandardInput=socket\n", {"socket rw", "socket rw", "socket rw"}},  // which is not passed then
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.settings);
    std::ofstream(there_ / "a") << "before";
    fs::remove(there_ / "b");
    auto settings = row.settings;
    for (std::size_t at = 0; (at = settings.find("DIR")) != std::string::npos;) settings.replace(at, 3, there_.path());
    const auto unit = write(settings);
    words arguments = {"-q", "--now", unit};
    if (settings.find("fd:other") != std::string::npos) {
      std::ofstream(there_ / "other.socket")
          << "[Socket]\nListenStream=127.0.0.1:0\nFileDescriptorName=other\nService=web.service\n";
      arguments.push_back(there_ / "other.socket");
    }
    activator program(arguments);
    const int pid = pid_of(program);
    for (int number = 0; number < 3; ++number) {
      EXPECT_EQ(describe(program, pid, number), row.expected[static_cast<std::size_t>(number)]) << number;
    }
    EXPECT_EQ(text_of(there_ / "a"), row.expected[2] == "a w" ? "" : "before");
  }
}

// --- failures --------------------------------------------------------------------------------------------------------

TEST_F(process, step_that_fails_is_named) {
  if (!can_fail_calls()) GTEST_SKIP() << "SKIPPED: the kernel rejects filters of system calls";
  const bool is_root = ::geteuid() == 0;
  const std::string user = std::to_string(is_root ? 65534 : ::geteuid());
  const std::string group = std::to_string(is_root ? 65534 : ::getegid());
  constexpr int of_root = 1;          ///< needs root
  constexpr int as_nobody = 2;        ///< sd-activate has no privileges
  const auto nowhere = std::nullopt;  ///< a failure without a failing call
  const std::string eio = ": Input/output error";
  const std::string eperm = ": Operation not permitted";
  const struct {
    std::string settings;
    std::optional<sd::test::failing_call> call;
    std::string error;  ///< what follows "sd-activate: error: web.service: ". Empty if the service starts
    int who = 0;
  } rows[] = {
      {"FileDescriptorStoreMax=1\n", {{SYS_prlimit64, 3, 0, EIO}}, "set a limit of /bin/true" + eio},
      {"LimitCORE=0\n", {{SYS_prlimit64, 3, 0, EPERM}}, "set a limit of /bin/true" + eperm},
      {"LimitNOFILE=300\n", {{SYS_prlimit64, 2, 0, EIO}}, "set a limit of /bin/true" + eio, as_nobody},
      {"LimitNOFILE=300\n", nowhere, "", as_nobody},
      {"Nice=19\n", {{SYS_setpriority, 0, PRIO_PROCESS, EIO}}, "set the nice value of /bin/true" + eio},
      {"OOMScoreAdjust=999\n", {{SYS_write, 2, 3, EIO}}, "set the OOM score of /bin/true" + eio},
      {"OOMScoreAdjust=999\n", {{SYS_write, 2, 3, EPERM}}, ""},
      {"OOMScoreAdjust=999\n", {{SYS_write, 2, 3, EACCES}}, ""},
      {"OOMScoreAdjust=999\n", {{SYS_openat, 2, O_WRONLY | O_CLOEXEC, EIO}}, "set the OOM score of /bin/true" + eio},
      {"", {{number_of_dup2, 1, 0, EIO}}, "set a standard stream of /bin/true" + eio},
      {"User=65534\n", {{number_of_setgroups, 0, 1, EIO}}, "set the groups of /bin/true" + eio, of_root},
      {"User=65534\n", {{number_of_setresgid, 0, 65534, EIO}}, "set the group of /bin/true" + eio, of_root},
      {"User=65534\n", {{number_of_setresuid, 0, 65534, EIO}}, "set the user of /bin/true" + eio, of_root},
      {"", {{SYS_prctl, 0, PR_SET_PDEATHSIG, EIO}}, "set the parent-death signal of /bin/true" + eio},
      {"KillMode=none\n", {{SYS_prctl, 0, PR_SET_PDEATHSIG, EIO}}, ""},
      {"", {{SYS_rt_sigaction, 0, SIGPIPE, EIO}}, "ignore SIGPIPE of /bin/true" + eio},
      {"NoNewPrivileges=yes\n", {{SYS_prctl, 0, PR_SET_NO_NEW_PRIVS, EIO}}, "set no-new-privileges of /bin/true" + eio},
      {"WorkingDirectory=DIR/x\n", nowhere, "change to the working directory of /bin/true: No such file or directory"},
      {"WorkingDirectory=-DIR/x\n", nowhere, ""},
      {"StandardInput=file:DIR/x\n", nowhere, "DIR/x: No such file or directory"},
      {"StandardInput=fd:x\n", nowhere,
       "there is no descriptor named x for a standard stream: No such file or directory"},
      {"StandardInput=fd:web.socket\nExecStartPre=/bin/true\n", nowhere,
       "there is no descriptor named web.socket for a standard stream: No such file or directory"},
      // Without privileges, users and groups may only be what they are.
      {"User=" + user + '\n', nowhere, "", as_nobody},
      {"Group=" + group + '\n', nowhere, "", as_nobody},
      {"User=0\nGroup=" + group + '\n', nowhere, "set the groups of /bin/true" + eperm, as_nobody},
      {"User=" + user + "\nGroup=0\n", nowhere, "set the groups of /bin/true" + eperm, as_nobody},
      {"SupplementaryGroups=" + group + '\n', nowhere, "set the groups of /bin/true" + eperm, as_nobody},
  };
  for (const auto& row : rows) {
    if (row.who == of_root && !is_root) continue;
    if (sd::test::sanitized && row.call && row.call->number == SYS_prlimit64) continue;  // which a sanitizer needs
    auto settings = row.settings;
    if (const auto at = settings.find("DIR"); at != std::string::npos) settings.replace(at, 3, there_.path());
    circumstances how;
    how.failing_call = row.call;
    if (row.who == as_nobody) {
      how.is_unprivileged = true;
      how.descriptor_limit = 100;
    }
    const auto ended = run({"-q", "--now", "--once", write_with("/bin/true", settings)}, how);
    EXPECT_EQ(without(there_.path(), ended.errors),
              row.error.empty() ? "" : "sd-activate: error: web.service: " + row.error + '\n')
        << row.settings;
    EXPECT_EQ(ended.status, row.error.empty() ? 0 : exit_failure) << row.settings;
    EXPECT_FALSE(fs::exists(there_ / "x"));
  }
}

TEST_F(process, socket_for_a_standard_stream_must_be_the_only_one) {
  const auto unit = write_with("/bin/true", "StandardInput=socket\n");
  std::ofstream(unit, std::ios::app) << "ListenStream=127.0.0.1:0\n";
  EXPECT_EQ(run({"-q", "--now", "--once", unit}).errors,
            "sd-activate: error: web.service: there is no socket for a standard stream: "
            "Transport endpoint is not connected\n");
}

TEST_F(process, step_that_failed_before_is_not_named) {
  const auto program = there_ / "program";
  std::ofstream(program) << "#!/bin/sh\n";
  fs::permissions(program, fs::perms(0755));
  std::ofstream(there_ / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there_ / "web@.service") << "[Service]\nExecStart=" << program
                                         << "\nWorkingDirectory=" << there_ / "x\n";
  activator running({"-q", there_ / "web.socket"});
  const auto where = running.address();
  EXPECT_EQ(ask(where, ""), "");
  EXPECT_TRUE(running.reports("change to the working directory of " + program)) << running.errors();
  fs::create_directory(there_ / "x");
  fs::remove(program);
  EXPECT_EQ(ask(where, ""), "");
  EXPECT_TRUE(running.reports(": start " + program)) << running.errors();
}

// --- without the files of this machine -------------------------------------------------------------------------------

/// Runs sd-activate with mounts of its own.
class process_with_mounts : public process {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: not root";
    const auto trial = run({}, after(":", "true"));
    if (trial.status != 0) GTEST_SKIP() << "SKIPPED: cannot make a namespace: " << trial.errors;
  }

  static circumstances after(const std::string& commands, const std::string& program = SD_ACTIVATE) {
    circumstances how;
    how.has_events = program == SD_ACTIVATE;
    how.program = {"unshare", "--mount", "/bin/sh", "-euc", commands + "; exec \"$0\" \"$@\"", program};
    return how;
  }

  /// Returns the user, the group, the groups and four variables of a process.
  static std::string identity_of(int pid) {
    const auto first = [](const std::string& text) { return text.substr(0, text.find(' ')); };
    auto text =
        first(status_of(pid, "Uid")) + ' ' + first(status_of(pid, "Gid")) + " (" + status_of(pid, "Groups") + ')';
    const auto variables = text_of(file_of(pid, "environ"));
    for (const std::string name : {"USER", "LOGNAME", "HOME", "SHELL"}) {
      const auto at = ('\0' + variables).find('\0' + name + '=');
      if (at != std::string::npos) text += ' ' + variables.substr(at, variables.find('\0', at) - at);
    }
    return text;
  }
};

TEST_F(process_with_mounts, reads_nothing_if_there_is_no_dev_null) {
  const auto how = after("mount -t tmpfs tmpfs /dev");
  const auto reading = write_with("/bin/sh -c 'readlink /proc/self/fd/0; cat'", "StandardOutput=journal\n");
  const auto read = run({"-q", "--now", "--once", reading}, how);
  EXPECT_EQ(read.errors, "");
  EXPECT_THAT(read.output, StartsWith("pipe:["));
  if (can_fail_calls()) {
    auto without_pipes = how;
    without_pipes.failing_call = {SYS_pipe2, 1, O_CLOEXEC, EIO};
    EXPECT_EQ(run({"-q", "--now", "--once", reading}, without_pipes).errors,
              "sd-activate: error: web.service: pipe: Input/output error\n");
  }
  const auto unit = write_with("/bin/true", "StandardOutput=null\n");
  EXPECT_EQ(run({"-q", "--now", "--once", unit}, how).errors,
            "sd-activate: error: web.service: /dev/null: No such file or directory\n");
}

TEST_F(process_with_mounts, has_the_user_and_the_groups_of_its_settings) {
  fs::create_directory(there_ / "home");
  std::ofstream(there_ / "passwd") << "root:x:0:0::/root:/bin/sh\na:x:4001:4101::" << there_ / "home"
                                   << ":/bin/sh\nb:x:4002:4102::/:/usr/sbin/nologin\nc:x:4003:4103::/c:/bin/false\n"
                                      "d:x:4004:4104::/d:/bin/true\ne:x:4005:4105:::\n"
                                      "nobody:x:4006:4106::/nonexistent:/bin/sh\n";
  std::ofstream(there_ / "group") << "root:x:0:\nown:x:4101:\nmore:x:4201:a\nother:x:4202:\n";
  const auto how = after("mount --bind " + there_ / "passwd" + " /etc/passwd; mount --bind " + there_ / "group" +
                         " /etc/group; set -- --groups=7 --inh-caps=-all \"$0\" \"$@\"; set setpriv \"$@\"; "
                         "exec \"$@\"");
  const std::string variables_of_a = " USER=a LOGNAME=a HOME=" + there_ / "home" + " SHELL=/bin/sh";
  const struct {
    std::string settings;
    std::string expected;
  } rows[] = {
      {"", "0 0 (7)"},
      {"User=a\n", "4001 4101 (4101 4201)" + variables_of_a},
      {"User=a\nGroup=other\n", "4001 4202 (4201 4202)" + variables_of_a},
      {"User=a\nSupplementaryGroups=other\n", "4001 4101 (4101 4201 4202)" + variables_of_a},
      {"User=b\n", "4002 4102 (4102) USER=b LOGNAME=b"},
      {"User=c\n", "4003 4103 (4103) USER=c LOGNAME=c HOME=/c"},
      {"User=d\n", "4004 4104 (4104) USER=d LOGNAME=d HOME=/d"},
      {"User=e\n", "4005 4105 (4105) USER=e LOGNAME=e"},
      {"User=nobody\n", "4006 4106 (4106) USER=nobody LOGNAME=nobody SHELL=/bin/sh"},
      {"User=4444\n", "4444 0 (0)"},
      {"User=root\n", "0 0 (0) USER=root LOGNAME=root HOME=/root SHELL=/bin/sh"},
      {"Group=other\n", "0 4202 ()"},
      {"SupplementaryGroups=other\n", "0 0 (4202)"},
  };
  for (const auto& row : rows) {
    activator program({"-q", "--now", write_with("/bin/sleep 1000", row.settings)}, how);
    EXPECT_EQ(identity_of(pid_of(program)), row.expected) << row.settings << program.errors();
  }
  activator privileged({"-q", "--now", write_with("+/bin/sleep 1000", "User=a\nWorkingDirectory=~\n")}, how);
  const int pid = pid_of(privileged);
  EXPECT_EQ(identity_of(pid), "0 0 (7)" + variables_of_a);
  EXPECT_EQ(fs::read_symlink(file_of(pid, "cwd")), there_ / "home");
}

// --- directories -----------------------------------------------------------------------------------------------------

/// Runs sd-activate as a user whose directories are in DIR.
class directories_of_a_process : public process {
 protected:
  directories_of_a_process() {
    how_.is_unprivileged = true;
    how_.environment = {{"XDG_RUNTIME_DIR", there_ / "run"},
                        {"XDG_STATE_HOME", there_ / "state"},
                        {"XDG_CACHE_HOME", there_ / "cache"},
                        {"XDG_CONFIG_HOME", there_ / "etc"}};
  }

  /// Makes a directory of that user.
  void make(const std::string& name) const {
    fs::create_directories(there_ / name);
    constexpr unsigned nobody = 65534;
    if (::geteuid() == 0) sd::test::check(::chown((there_ / name).c_str(), nobody, nobody), "chown");
  }

  [[nodiscard]] unsigned mode_of(const std::string& name) const {
    struct stat status {};
    return ::stat((there_ / name).c_str(), &status) < 0 ? 0 : status.st_mode & 07777U;
  }

  circumstances how_;
};

TEST_F(directories_of_a_process, have_the_modes_of_its_settings_and_are_in_its_environment) {
  for (const auto* const name : {"run", "run/old", "state", "state/old", "etc", "etc/old"}) make(name);
  const std::string settings =
      "RuntimeDirectory=a b/c old\nRuntimeDirectoryMode=0700\nStateDirectory=old new\nStateDirectoryMode=0710\n"
      "CacheDirectory=a\nLogsDirectory=a\nConfigurationDirectory=old new\nConfigurationDirectoryMode=0701\n";
  activator program({"-q", write(settings)}, how_);
  const auto where = program.address();
  const std::pair<std::string, unsigned> modes[] = {{"run/a", 0700U},       {"run/b/c", 0700U},   {"run/old", 0700U},
                                                    {"state/old", 0710U},   {"state/new", 0710U}, {"cache/a", 0755U},
                                                    {"state/log/a", 0755U}, {"etc/old", 0755U},   {"etc/new", 0701U}};
  for (const auto& [name, mode] : modes) EXPECT_EQ(mode_of(name), mode) << name;
  const std::pair<std::string, std::string> variables[] = {{"RUNTIME_DIRECTORY", "DIR/run/a:DIR/run/b/c:DIR/run/old"},
                                                           {"STATE_DIRECTORY", "DIR/state/old:DIR/state/new"},
                                                           {"CACHE_DIRECTORY", "DIR/cache/a"},
                                                           {"LOGS_DIRECTORY", "DIR/state/log/a"},
                                                           {"CONFIGURATION_DIRECTORY", "DIR/etc/old:DIR/etc/new"}};
  for (const auto& [name, value] : variables) {
    EXPECT_EQ(without(there_.path(), ask(where, "variable " + name)), value);
  }
  EXPECT_EQ(program.stop(), 0);
  for (const auto& [name, mode] : modes) {
    EXPECT_EQ(mode_of(name), name == "run/a" || name == "run/b/c" ? 0 : mode) << name;
  }
}

TEST_F(directories_of_a_process, stay_if_the_unit_says_so) {
  activator program({"-q", write("RuntimeDirectory=a\nRuntimeDirectoryPreserve=yes\n")}, how_);
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(mode_of("run/a"), 0755U);
}

TEST_F(directories_of_a_process, failure_is_reported) {
  if (!can_fail_calls()) GTEST_SKIP() << "SKIPPED: the kernel rejects filters of system calls";
  for (const auto* const name : {"run", "run/a"}) make(name);
  const struct {
    std::string settings;
    std::optional<sd::test::failing_call> call;
    std::string error;
  } rows[] = {
      {"", std::nullopt, "open DIR/run/a: Permission denied"},
      {"RuntimeDirectoryMode=0753\n", {{SYS_fchmod, 1, 0753, EIO}}, "change the mode of DIR/run/a: Input/output error"},
      {"User=0\n", std::nullopt, "change the owner of DIR/run/a: Operation not permitted"},
  };
  for (const auto& row : rows) {
    auto how = how_;
    fs::permissions(there_ / "run/a", fs::perms(row.settings.empty() ? 0300 : 0700));
    how.failing_call = row.call;
    const auto ended = run({"-q", write("RuntimeDirectory=a\n" + row.settings)}, how);
    EXPECT_EQ(without(there_.path(), ended.errors), "sd-activate: error: " + row.error + '\n');
    EXPECT_EQ(ended.status, exit_failure);
  }
}

// --- commands of a socket --------------------------------------------------------------------------------------------

class process_of_a_socket : public process {
 protected:
  /// Writes units whose socket has these settings.
  [[nodiscard]] std::string write_socket(const std::string& settings, const std::string& of_service = "") const {
    auto unit = write(of_service);
    std::ofstream(unit, std::ios::app) << settings;
    return unit;
  }
};

TEST_F(process_of_a_socket, has_its_own_environment_and_ignores_sigpipe) {
  const auto unit = write_socket(
      "PassFileDescriptorsToExec=yes\nExecStartPost=/bin/sh -c '[ $$LISTEN_PID = $$$$ ] && echo $${#INVOCATION_ID} && "
      "grep SigIgn /proc/self/status'\n",
      "IgnoreSIGPIPE=no\n");
  activator program({"-q", "--now", unit});
  EXPECT_FALSE(is_ignored(SIGPIPE, status_of(pid_of(program), "SigIgn")));
  const auto output = program.output();
  EXPECT_THAT(output, StartsWith("32\nSigIgn:\t"));
  EXPECT_TRUE(is_ignored(SIGPIPE, output.substr(output.find('\t') + 1)));
}

TEST_F(process_of_a_socket, may_fail_with_the_prefix) {
  activator program({"-q", write_socket("ExecStartPre=-/bin/false\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
}

TEST_F(process_of_a_socket, may_take_some_time) {
  activator program({"-q", write_socket("ExecStartPre=/bin/sleep 0.3\n")});
  EXPECT_NE(ask(program.address(), "pid"), "");
}

TEST_F(process_of_a_socket, is_killed_with_its_children_if_it_takes_too_long) {
  std::ofstream(there_ / "script") << "trap '' USR1\nsleep 1000 &\necho $! > " << there_ / "pid"
                                   << "\nwait\n";
  const auto ended = run({"-q", write_socket("TimeoutSec=600ms\nExecStartPre=/bin/sh " + there_ / "script" + "\n")});
  EXPECT_EQ(ended.errors, "sd-activate: error: /bin/sh failed: Operation canceled\n");
  const int pid = pid_in(there_ / "pid");
  EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
}

}  // namespace
