// SPDX-License-Identifier: MIT OR Apache-2.0
// Bad input: one message, the right exit status, and nothing left behind.
#include <sd/socket.hpp>
#include <sd/testing.hpp>
#include <sd/version.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "running.hpp"
#include "units.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::eventually;
using sd::activate::test::exit_failure;
using sd::activate::test::run;
using sd::activate::test::service;
using sd::activate::test::with_service;
using sd::activate::test::without;
using sd::activate::test::words;
using sd::test::ask;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr int exit_usage = 2;
constexpr int exit_invalid_unit = 3;

class failure : public sd::activate::test::units {
 protected:
  /// Returns the path of a valid socket unit whose socket is DIR/s, without a service.
  [[nodiscard]] std::string socket_unit() const {
    return write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") + '\n');
  }

  /// Checks that sd-activate exits with this status and this text on standard error, in which DIR stands for the
  /// directory, and that it leaves no file there.
  void expect(const words& arguments, int status, const std::string& errors, const circumstances& how = {}) const {
    const auto before = there_.entries();
    const auto ended = run(arguments, how);
    EXPECT_EQ(ended.status, status);
    EXPECT_EQ(without(there_.path(), ended.errors), errors);
    EXPECT_EQ(ended.output, "");
    EXPECT_EQ(there_.entries(), before);
  }
};

// --- the command line ------------------------------------------------------------------------------------------------

TEST_F(failure, command_line_is_wrong) {
  const std::string hint = "Try 'sd-activate --help'.\n";
  const auto wrong = [&](const words& arguments, const std::string& message) {
    expect(arguments, exit_usage, "sd-activate: " + message + '\n' + hint);
  };
  wrong({}, "nothing to listen on: give a socket unit, -l or -s");
  wrong({"--", "/bin/true"}, "nothing to listen on: give a socket unit, -l or -s");
  wrong({"-l", "8080"}, "there is no command");
  wrong({"-l", "8080", "-d", "--seqpacket", "--", "/bin/true"}, "--datagram and --seqpacket exclude each other");
  for (const std::string option : {"--datagram", "--seqpacket", "--accept", "--fdname"}) {
    const auto argument = option == "--fdname" ? option + "=web" : option;
    wrong({argument, "-s", "ListenStream=8080", "--", "/bin/true"}, option + " requires --listen");
  }
  wrong({"-l", "8080", "-d", "-a", "--", "/bin/true"}, "--datagram and --accept exclude each other");
  wrong({"-l", "8080", "-l", "8081", "--inetd", "--", "/bin/true"}, "--inetd takes one socket, or --accept");
  wrong({"-l", "8080", "-E", "1=x", "--", "/bin/true"}, "--setenv takes NAME or NAME=VALUE");
  wrong({"web.socket", "-q"}, "options must precede units");
  expect({"--json", "77", "-l", "8080", "--", "/bin/true"}, exit_usage, "sd-activate: --json 77: Bad file descriptor\n",
         {{}, {}, false, false});
}

TEST_F(failure, command_line_is_right) {
  for (const auto& arguments :
       {words{"-l", "@a", "/bin/true"}, words{"-l", "@a", "--inetd", "/bin/true"},
        words{"-l", "@a", "-l", "@b", "--inetd", "-a", "/bin/true"}, words{"-l", "@a", "-E", "A=1", "/bin/true"},
        words{"-l", "@a", "--fdname", "a", "/bin/true"}, words{"-s", "ListenStream=@a", "/bin/true"}}) {
    auto all = words{"--check"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    expect(all, 0, "");
  }
  const auto program = write("it.service", "#!/bin/sh\n");
  std::filesystem::permissions(program, std::filesystem::perms(0755));
  expect({"--check", "-l", "@a", "--", program}, 0, "");
}

TEST_F(failure, option_is_unknown_or_has_no_value) {
  for (const auto& arguments : {words{"--foo"}, words{"-l"}, words{"--json", "-1"}}) {
    const auto ended = run(arguments, {{}, {}, false, false});
    EXPECT_EQ(ended.status, exit_usage) << arguments[0];
    EXPECT_NE(ended.errors, "");
    EXPECT_EQ(ended.output, "");
  }
}

TEST_F(failure, help_and_version_are_no_failures) {
  const auto help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_EQ(help.errors, "");
  EXPECT_THAT(help.output, HasSubstr("Usage: sd-activate [OPTION...] [UNIT.socket...] [--] [COMMAND...]\n"));
  EXPECT_THAT(help.output, HasSubstr("\n  -q,--quiet                Report errors and warnings only\n"));
  const auto version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.output, "sd-activate " + std::to_string(SD_LISTEN_FDS_VERSION_MAJOR) + '.' +
                                std::to_string(SD_LISTEN_FDS_VERSION_MINOR) + '.' +
                                std::to_string(SD_LISTEN_FDS_VERSION_PATCH) + '\n');
}

TEST_F(failure, address_is_malformed) {
  expect(with_service({"-l", "localhost:80"}), exit_invalid_unit,
         "-l:1:1: error: ListenStream=localhost:80: host names are not resolved; write an IP address\n"
         "    1 | localhost:80\n"
         "      | ^\n");
}

TEST_F(failure, settings_on_the_command_line_are_malformed) {
  expect(with_service({"-s", "ListenStream=@a Backlog=x foo"}), exit_invalid_unit,
         "-s:1:27: error: not NAME=VALUE\n"
         "    1 | ListenStream=@a Backlog=x foo\n"
         "      |                           ^\n"
         "-s:1:25: error: Backlog=x: not a number from 0 to 4294967295\n"
         "    1 | ListenStream=@a Backlog=x foo\n"
         "      |                         ^\n");
  expect(with_service({"-s", "ListenStream=@a =x"}), exit_invalid_unit,
         "-s:1:17: error: not NAME=VALUE\n"
         "    1 | ListenStream=@a =x\n"
         "      |                 ^\n");
  EXPECT_THAT(run(with_service({"-s", "ListenStream=@a \"Backlog=1"})).errors,
              HasSubstr("-s:1:17: error: the quote is not closed\n"));
  expect(with_service({"-s", "ListenStream=@a \"SocketMode=9\""}), exit_invalid_unit,
         "-s:1:29: error: SocketMode=9: not an access mode in octal, such as 0660\n"
         "    1 | ListenStream=@a \"SocketMode=9\"\n"
         "      |                             ^\n");
}

// --- units -----------------------------------------------------------------------------------------------------------

TEST_F(failure, unit_is_missing) {
  expect({there_ / "web.socket"}, exit_invalid_unit, "DIR/web.socket: error: No such file or directory\n");
  expect(with_service({there_ / "web.socket"}), exit_invalid_unit,
         "DIR/web.socket: error: No such file or directory\n");
  for (const auto& before : {words{"-l", "@a"}, words{"-l", "@a", "--fdname", "web"}}) {
    auto arguments = before;
    arguments.push_back(there_ / "web.socket");
    expect(arguments, exit_invalid_unit,
           "DIR/web.socket: error: No such file or directory\n"
           "sd-activate.service: error: No such file or directory\n");
  }
}

TEST_F(failure, unit_is_empty) {
  write("web.socket", "");
  expect({there_ / "web.socket"}, exit_invalid_unit,
         "DIR/web.socket: error: nothing to listen on: there is no ListenStream= or the like\n"
         "DIR/web.service: error: No such file or directory\n");
  expect(with_service({there_ / "web.socket"}), exit_invalid_unit,
         "DIR/web.socket: error: nothing to listen on: there is no ListenStream= or the like\n");
}

TEST_F(failure, service_unit_is_missing) {
  expect({socket_unit()}, exit_invalid_unit, "DIR/web.service: error: No such file or directory\n");
}

TEST_F(failure, template_of_the_service_is_missing) {
  expect({write("web.socket", "[Socket]\nListenStream=@a\nAccept=yes\n")}, exit_invalid_unit,
         "DIR/web@.service: error: No such file or directory\n");
}

TEST_F(failure, settings_have_no_effect_on_a_service_for_one_connection) {
  const auto path = write("web.socket", "[Socket]\nListenStream=@a\nAccept=yes\n");
  write("web@.service", "[Service]\nExecStart=/bin/cat\nRestart=always\nFileDescriptorStoreMax=2\n");
  const std::string warnings =
      "DIR/web@.service:3:1: warning: Restart=always has no effect with Accept=yes\n"
      "    3 | Restart=always\n"
      "      | ^\n"
      "DIR/web@.service:4:1: warning: FileDescriptorStoreMax=2 has no effect with Accept=yes\n"
      "    4 | FileDescriptorStoreMax=2\n"
      "      | ^\n";
  expect({"--check", path}, 0, warnings);
  expect({"--check", "--strict", path}, exit_invalid_unit, warnings);
  write("web@.service", "[Service]\nExecStart=/bin/cat\nRestart=no\nWatchdogSec=1\nFileDescriptorStoreMax=0\n");
  expect({"--check", path}, 0, "");
}

TEST_F(failure, line_is_malformed) {
  expect({write("web.socket", "[Socket]\nListenStream=80\nfoo\n")}, exit_invalid_unit,
         "DIR/web.socket:3:1: error: neither NAME=VALUE nor [SECTION]\n"
         "    3 | foo\n"
         "      | ^\n"
         "DIR/web.service: error: No such file or directory\n");
}

TEST_F(failure, every_problem_of_the_service_is_reported) {
  write("web.service", "[Service]\nExecStart=bin/x\nPrivateTmp=yes\nNice=a\n");
  expect({socket_unit()}, exit_invalid_unit,
         "DIR/web.service:2:11: error: ExecStart=bin/x: the program is neither an absolute path nor a name without a "
         "slash\n"
         "    2 | ExecStart=bin/x\n"
         "      |           ^\n"
         "DIR/web.service:3:1: warning: not enforced: PrivateTmp=\n"
         "    3 | PrivateTmp=yes\n"
         "      | ^\n"
         "DIR/web.service:4:6: error: Nice=a: not a number from -20 to 19\n"
         "    4 | Nice=a\n"
         "      |      ^\n");
}

TEST_F(failure, problems_of_both_units_are_reported) {
  write("web.service", "[Service]\nExecStart=/bin/true\nNice=a\n");
  expect({write("web.socket", "[Socket]\nListenStream=@a\nBacklog=b\n")}, exit_invalid_unit,
         "DIR/web.socket:3:9: error: Backlog=b: not a number from 0 to 4294967295\n"
         "    3 | Backlog=b\n"
         "      |         ^\n"
         "DIR/web.service:3:6: error: Nice=a: not a number from -20 to 19\n"
         "    3 | Nice=a\n"
         "      |      ^\n");
}

TEST_F(failure, sockets_belong_to_different_services) {
  expect({write("a.socket", "[Socket]\nListenStream=@a\n"), write("b.socket", "[Socket]\nListenStream=@b\n")},
         exit_invalid_unit,
         "DIR/b.socket: error: starts DIR/b.service, but DIR/a.socket starts DIR/a.service: set Service= in both, run "
         "each with its own sd-activate, or give a command\n");
}

TEST_F(failure, service_is_not_named_because_of_another_error) {
  expect(
      {write("a.socket", "[Socket]\nListenStream=@a\n"), write("b.socket", "[Socket]\nListenStream=@b\nService=a\n")},
      exit_invalid_unit,
      "DIR/b.socket:3:9: error: Service=a: not the name of a service unit\n"
      "    3 | Service=a\n"
      "      |         ^\n");
}

TEST_F(failure, another_socket_unit_of_the_service_cannot_be_read) {
  const auto unit = socket_unit();
  write("web.service", "[Service]\nExecStart=/bin/true\nSockets=other.socket\n");
  expect({"--check", unit}, exit_invalid_unit, "DIR/other.socket: error: No such file or directory\n");
}

TEST_F(failure, service_unit_in_place_of_the_socket_unit) {
  expect({write("web.service", "[Service]\nExecStart=/bin/true\n")}, exit_usage,
         "sd-activate: nothing to listen on: give the socket unit, not the service unit\n"
         "Try 'sd-activate --help'.\n");
}

TEST_F(failure, check_reports_problems_and_starts_nothing) {
  const auto unit = socket_unit();
  const auto service_file = write("web.service", "[Service]\nExecStart=/bin/sh -c 'echo > " + (there_ / "ran") + "'\n");
  expect({"--check", "--now", unit}, 0, "");
  write("web.service", "[Service]\nExecStart=/bin/true\nFoo=1\n");
  expect({"--check", unit}, exit_invalid_unit,
         "DIR/web.service:3:1: error: [Service] Foo= is not supported\n"
         "    3 | Foo=1\n"
         "      | ^\n");
  expect({"--check", "-l", there_ / "s"}, 0, "");
  write("web.service", "[Service]\nExecStart=/no/such/program\n");
  expect({"--check", unit}, 0, "");
}

TEST_F(failure, warning_is_an_error_with_strict) {
  const auto unit = socket_unit();
  write("web.service", "[Service]\nExecStart=/bin/true\nPrivateTmp=yes\n");
  const std::string warning =
      "DIR/web.service:3:1: warning: not enforced: PrivateTmp=\n"
      "    3 | PrivateTmp=yes\n"
      "      | ^\n";
  expect({"--check", unit}, 0, warning);
  expect({"--check", "--strict", unit}, exit_invalid_unit, warning);
  expect({"--strict", "--now", "--once", unit}, exit_invalid_unit, warning);
}

// --- sockets ---------------------------------------------------------------------------------------------------------

TEST_F(failure, port_is_busy) {
  const auto other = sd::testing::open(sd::kind::stream, "127.0.0.1:0");
  const auto where = to_string(sd::describe(other.fd.get()).local);
  expect(with_service({"-l", there_ / "s", "-l", where}), exit_failure,
         "sd-activate: error: bind to " + where + ": Address already in use\n");
}

TEST_F(failure, path_is_busy) {
  activator first(with_service({"-l", there_ / "s"}));
  first.address();
  expect(with_service({"-l", there_ / "s"}), exit_failure,
         "sd-activate: error: bind to DIR/s: Address already in use\n");
  EXPECT_NE(ask(there_ / "s", "pid"), "");
}

TEST_F(failure, path_is_a_file) {
  write("file", "text");
  const auto ended = run(with_service({"-l", there_ / "file"}));
  EXPECT_EQ(ended.status, exit_failure);
  EXPECT_THAT(ended.errors, StartsWith("sd-activate: error: "));
  EXPECT_THAT(ended.errors, HasSubstr(there_ / "file"));
  std::string text;
  std::ifstream(there_ / "file") >> text;
  EXPECT_EQ(text, "text");
}

TEST_F(failure, special_file_is_missing) {
  expect(with_service({"-s", "ListenSpecial=" + (there_ / "x")}), exit_failure,
         "sd-activate: error: ListenSpecial=DIR/x: No such file or directory\n");
  expect(with_service({"-s", "ListenSpecial=/dev/null"}), exit_failure,
         "sd-activate: error: watch ListenSpecial=/dev/null: Operation not permitted\n");
}

TEST_F(failure, owner_of_the_socket_is_unknown) {
  expect(with_service({"-s", "ListenStream=" + (there_ / "s") + " SocketUser=no-such-user"}), exit_failure,
         "sd-activate: error: SocketUser=no-such-user: there is no such user\n");
  expect(with_service({"-s", "ListenFIFO=" + (there_ / "f") + " SocketGroup=no-such-group"}), exit_failure,
         "sd-activate: error: SocketGroup=no-such-group: there is no such group\n");
}

TEST_F(failure, directories_that_were_made_are_removed) {
  for (const std::string setting : {"ListenStream=", "ListenFIFO="}) {
    const auto listen = setting + (there_ / "a/b/x");
    expect(with_service({"-s", listen + " SocketUser=no-such-user"}), exit_failure,
           "sd-activate: error: SocketUser=no-such-user: there is no such user\n");
    // The first one is open when the second one fails.
    expect(with_service({"-s", listen + " ListenStream=192.0.2.1:1"}), exit_failure,
           "sd-activate: error: bind to 192.0.2.1:1: Cannot assign requested address\n");
  }
}

TEST_F(failure, symbolic_link_that_cannot_be_made_causes_a_warning) {
  write("link", "text");
  activator program(with_service({"-q", "-s", "ListenStream=" + (there_ / "s") + " Symlinks=" + (there_ / "link")}));
  program.address();
  EXPECT_NE(ask(there_ / "s", "pid"), "");
  EXPECT_EQ(without(there_.path(), program.errors()),
            "sd-activate: warning: Symlinks=DIR/link: not created: File exists\n");
}

TEST_F(failure, directory_is_read_only) {
  ASSERT_EQ(::chmod(there_.path().c_str(), 0555), 0);
  const circumstances unprivileged = {{}, {}, true, true};
  expect(with_service({"-l", there_ / "s"}), exit_failure,
         "sd-activate: error: lock DIR/s.sd-lock: Permission denied\n", unprivileged);
  expect(with_service({"-s", "ListenFIFO=" + (there_ / "f")}), exit_failure,
         "sd-activate: error: ListenFIFO=DIR/f: Permission denied\n", unprivileged);
  for (const std::string setting : {"ListenStream=", "ListenFIFO="}) {
    expect(with_service({"-s", setting + (there_ / "a/s")}), exit_failure,
           "sd-activate: error: make directory DIR/a: Permission denied\n", unprivileged);
  }
}

TEST_F(failure, privileges_for_an_owner_and_for_large_buffers_are_missing) {
  ASSERT_EQ(::chmod(there_.path().c_str(), 0777), 0);
  const circumstances unprivileged = {{}, {}, true, true};
  const auto fifo = "ListenFIFO=" + (there_ / "f");
  expect(with_service({"-s", fifo + " SocketGroup=0"}), exit_failure,
         "sd-activate: error: change the owner of DIR/f: Operation not permitted\n", unprivileged);
  activator program(
      with_service({"-q", "-s", fifo + " PipeSize=64M", "-s", "ListenStream=127.0.0.1:0 ReceiveBuffer=64M"}),
      unprivileged);
  program.addresses(2);
  const auto errors = without(there_.path(), program.errors());
  EXPECT_THAT(errors, HasSubstr("warning: PipeSize=67108864: not set for DIR/f: Operation not permitted\n"));
  EXPECT_THAT(errors, HasSubstr("warning: ReceiveBuffer=67108864: the kernel made it "));
}

// --- the service -----------------------------------------------------------------------------------------------------

TEST_F(failure, user_of_the_service_is_unknown) {
  write("web.service", "[Service]\nUser=no-such-user\nExecStart=/bin/true\n");
  expect({socket_unit()}, exit_failure, "sd-activate: error: User=no-such-user: there is no such user\n");
  write("web.service", "[Service]\nGroup=no-such-group\nExecStart=/bin/true\n");
  expect({socket_unit()}, exit_failure, "sd-activate: error: Group=no-such-group: there is no such group\n");
}

TEST_F(failure, program_is_missing) {
  write("web.service", "[Service]\nExecStart=/no/such/program\n");
  expect({socket_unit()}, exit_invalid_unit,
         "DIR/web.service:2:11: error: /no/such/program: No such file or directory\n"
         "    2 | ExecStart=/no/such/program\n"
         "      |           ^\n");
  expect({"-l", there_ / "s", "--", "/no/such/program"}, exit_invalid_unit,
         "sd-activate: error: /no/such/program: No such file or directory\n");
}

TEST_F(failure, program_is_not_executable) {
  const auto program = write("program", "#!/bin/sh\n");
  write("web.service", "[Service]\nExecStart=" + program + '\n');
  const auto ended = run({socket_unit()});
  EXPECT_EQ(ended.status, exit_invalid_unit);
  EXPECT_THAT(without(there_.path(), ended.errors),
              StartsWith("DIR/web.service:2:11: error: DIR/program: Permission denied\n"));
  expect({"-l", there_ / "s", "--", program}, exit_invalid_unit,
         "sd-activate: error: DIR/program: Permission denied\n");
}

TEST_F(failure, program_is_a_directory) {
  expect({"-l", there_ / "s", "--", "/tmp"}, exit_invalid_unit, "sd-activate: error: /tmp: Is a directory\n");
}

TEST_F(failure, program_that_is_not_in_the_path_is_missing) {
  expect({"-q", "--now", "--once", "-l", there_ / "s", "--", "no-such-program"}, exit_failure,
         "sd-activate: error: no-such-program.service: start no-such-program: No such file or directory\n",
         {{{"PATH", "/usr/bin:/bin"}}, {}, false, true});
}

TEST_F(failure, program_disappears) {
  const auto program = write("program", "#!/bin/sh\n");
  ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
  activator running({"-q", "--once", "-l", there_ / "s", "--", program});
  running.address();
  std::filesystem::remove(program);
  const auto client = sd::test::connect(there_ / "s");
  EXPECT_EQ(running.wait(), exit_failure);
  EXPECT_EQ(without(there_.path(), running.errors()),
            "sd-activate: error: program.service: start DIR/program: No such file or directory\n");
  EXPECT_THAT(there_.entries(), IsEmpty());
}

TEST_F(failure, working_directory_is_missing) {
  write("web.service", "[Service]\nWorkingDirectory=/no/such/directory\nExecStart=/bin/true\n");
  expect({"-q", "--now", "--once", write("tcp.socket", "[Socket]\nListenStream=127.0.0.1:0\nService=web.service\n")},
         exit_failure,
         "sd-activate: error: web.service: change to the working directory of /bin/true: No such file or directory\n");
}

TEST_F(failure, environment_file_is_missing) {
  write("web.service", "[Service]\nEnvironmentFile=/no/such/file\nExecStart=/bin/true\n");
  expect({socket_unit()}, exit_failure,
         "sd-activate: error: EnvironmentFile=/no/such/file: No such file or directory\n");
}

TEST_F(failure, command_of_the_socket_fails) {
  write("web.service", "[Service]\nExecStart=/bin/true\n");
  for (const char* when : {"ExecStartPre", "ExecStartPost"}) {
    const auto unit = write(
        "web.socket", "[Socket]\nListenStream=" + (there_ / "s") + "\nRemoveOnStop=yes\n" + when + "=/bin/false\n");
    expect({"-q", unit}, exit_failure, "sd-activate: error: /bin/false failed: Operation canceled\n");
  }
}

TEST_F(failure, last_commands_of_the_sockets_are_run_if_another_socket_cannot_be_opened) {
  write("web.service", "[Service]\nExecStart=/bin/true\n");
  const auto first = write("a.socket", "[Socket]\nListenStream=" + (there_ / "s") +
                                           "\nService=web.service\nExecStopPost=/bin/touch " + (there_ / "ran") + '\n');
  const auto second = write("b.socket", "[Socket]\nListenStream=192.0.2.1:1\nService=web.service\n");
  EXPECT_EQ(run({first, second}).status, exit_failure);
  EXPECT_TRUE(std::filesystem::exists(there_ / "ran"));
  EXPECT_FALSE(std::filesystem::exists(there_ / "s"));
}

TEST_F(failure, last_command_of_the_sockets_fails) {
  write("web.service", "[Service]\nExecStart=/bin/true\n");
  activator program(
      {"-q", write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") +
                                     "\nExecStopPre=/bin/false\nExecStopPost=/bin/touch " + (there_ / "ran") + '\n')});
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.errors(), "sd-activate: error: /bin/false failed: Operation canceled\n");
  EXPECT_TRUE(std::filesystem::exists(there_ / "ran"));
}

TEST_F(failure, command_before_the_start_cannot_be_started) {
  const auto unit = write("tcp.socket", "[Socket]\nListenStream=127.0.0.1:0\nService=web.service\n");
  write("web.service", "[Service]\nExecStartPre=no-such-program\nExecStart=/bin/true\n");
  expect({"-q", "--now", "--once", unit}, exit_failure,
         "sd-activate: error: web.service: start no-such-program: No such file or directory\n");
  write("web.service", "[Service]\nExecStartPre=-no-such-program\nExecStart=/bin/true\n");
  expect({"-q", "--now", "--once", unit}, 0,
         "sd-activate: warning: web.service: start no-such-program: No such file or directory\n");
}

TEST_F(failure, command_before_the_start_fails) {
  write("web.service", "[Service]\nExecStartPre=/bin/sh -c 'exit 6'\nExecStart=/bin/true\n");
  expect({"-q", "--now", "--once", write("tcp.socket", "[Socket]\nListenStream=127.0.0.1:0\nService=web.service\n")}, 6,
         "sd-activate: error: web.service: /bin/sh exited with status 6\n");
}

// --- no descriptors left ---------------------------------------------------------------------------------------------

/// Runs sd-activate with more and more descriptors, until a client is served. Up to that limit, sd-activate must end
/// with one message, or go on without serving the client.
void expect_robust(const sd::test::directory& there, const words& arguments) {
  constexpr unsigned most = 64;
  for (unsigned limit = 4; limit < most; ++limit) {
    SCOPED_TRACE("with a limit of " + std::to_string(limit));
    const auto before = there.entries();
    activator program(arguments, {{}, limit, false, true});
    sd::unique_fd client;
    const bool is_settled = eventually([&] {
      if (program.has_ended()) return true;
      try {
        client = sd::test::connect(there / "s");
        return true;
      } catch (const std::system_error&) {
        return false;
      }
    });
    ASSERT_TRUE(is_settled);
    if (program.has_ended()) {
      EXPECT_EQ(program.wait(), exit_failure);
      const auto errors = program.errors();
      EXPECT_THAT(errors, StartsWith("sd-activate: error: "));
      EXPECT_THAT(errors, HasSubstr("Too many open files"));
      EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 1) << errors;
      EXPECT_EQ(there.entries(), before);
      continue;
    }
    const auto settled = [&] {
      return program.has_ended() || program.errors().find("Too many open files") != std::string::npos ||
             program.errors().find("process") != std::string::npos;
    };
    EXPECT_TRUE(eventually(settled)) << program.errors();
    EXPECT_FALSE(program.has_ended()) << program.errors();
    const bool is_served = program.errors().find("started as process") != std::string::npos;
    program.stop();
    EXPECT_EQ(there.entries(), before);
    if (is_served) return;
  }
  ADD_FAILURE() << "no client was served";
}

TEST_F(failure, there_are_few_descriptors) { expect_robust(there_, with_service({"-v", "-l", there_ / "s"})); }

TEST_F(failure, there_are_few_descriptors_for_a_service_that_notifies) {
  write("web.service", "[Service]\nType=notify\nExecStart=" + service()[0] + " --ready\n");
  const auto unit = write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") + "\nRemoveOnStop=yes\n");
  expect_robust(there_, {"-v", unit});
}

TEST_F(failure, there_are_few_descriptors_for_a_service_per_connection) {
  expect_robust(there_, with_service({"-v", "-a", "-l", there_ / "s"}));
}

}  // namespace
