// SPDX-License-Identifier: MIT OR Apache-2.0
// How sd-activate starts a service, and what the service finds.
#include <sd/testing.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "running.hpp"
#include "units.hpp"
#include "web.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::eventually;
using sd::activate::test::exec_start;
using sd::activate::test::has_ipv6;
using sd::activate::test::is_running;
using sd::activate::test::run;
using sd::activate::test::service;
using sd::activate::test::text_of;
using sd::activate::test::units;
using sd::activate::test::with_service;
using sd::activate::test::words;
using sd::test::ask;
using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

// --- sockets that were passed to sd-activate
// ---------------------------------------------------------------------------

/// The outer sd-activate passes its socket to the inner one.
words nested(words inner, const words& service_options = {}) {
  words all = {"-l", "127.0.0.1:0", "--fdname", "outer", "--", SD_ACTIVATE};
  for (auto& each : with_service(std::move(inner), service_options)) all.push_back(std::move(each));
  return all;
}

TEST(start, passed_socket_is_enough) {
  activator program(nested({}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "names"), "outer");
  EXPECT_NE(ask(where, "pid"), program.event("started").at("pid").dump());
  EXPECT_EQ(program.stop(), 0);
}

TEST(start, passed_socket_can_have_an_idle_service) {
  activator program(nested({"--stop-idle", "1h"}));
  EXPECT_EQ(ask(program.address(), "names"), "outer");
  EXPECT_EQ(program.stop(), 0);
}

TEST(start, passed_sockets_come_before_its_own) {
  activator program(nested({"-l", "127.0.0.1:0", "--fdname", "inner"}));
  EXPECT_EQ(ask(program.address(), "names"), "outer inner");
  EXPECT_EQ(program.stop(), 0);
}

// --- the first traffic -----------------------------------------------------------------------------------------------

/// Checks that a service is started by the first client of this socket, and serves it and the next one.
void expect_start(const words& options, int type, const std::string& port = "") {
  activator program(with_service(options));
  auto where = program.address();
  if (!port.empty()) where = port + where.substr(where.rfind(':'));
  const auto pid = ask(where, "pid", type);
  const auto started = program.event("started");
  EXPECT_EQ(started.value("pid", 0), std::stoi(pid)) << where;
  EXPECT_EQ(ask(where, "pid", type), pid) << where;
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(std::stoi(pid)));
}

TEST(start, first_connection_starts_the_service) {
  const sd::test::directory there;
  expect_start({"-l", "127.0.0.1:0"}, SOCK_STREAM);
  expect_start({"-l", there / "socket"}, SOCK_STREAM);
  expect_start({"-l", "@" + there.path()}, SOCK_STREAM);
  expect_start({"-s", "ListenStream=127.0.0.1:0"}, SOCK_STREAM);
  expect_start({"-l", "0"}, SOCK_STREAM, "127.0.0.1");
}

TEST(start, first_connection_over_ipv6_starts_the_service) {
  if (!has_ipv6()) GTEST_SKIP() << "there is no IPv6";
  expect_start({"-l", "[::1]:0"}, SOCK_STREAM);
  expect_start({"-l", "0"}, SOCK_STREAM, "[::1]");
}

TEST(start, first_datagram_starts_the_service) {
  const sd::test::directory there;
  expect_start({"-d", "-l", "127.0.0.1:0"}, SOCK_DGRAM);
  expect_start({"-d", "-l", there / "socket"}, SOCK_DGRAM);
  expect_start({"-s", "ListenDatagram=127.0.0.1:0"}, SOCK_DGRAM);
  if (has_ipv6()) expect_start({"-d", "-l", "[::1]:0"}, SOCK_DGRAM);
}

TEST(start, first_connection_of_sequential_packets_starts_the_service) {
  const sd::test::directory there;
  expect_start({"--seqpacket", "-l", there / "socket"}, SOCK_SEQPACKET);
}

TEST(start, first_data_in_a_fifo_starts_the_service) {
  const sd::test::directory there;
  activator program(with_service({"-s", "ListenFIFO=" + (there / "fifo") + " SocketMode=0600"}));
  EXPECT_EQ(program.event("listening").value("kind", ""), "fifo");
  const sd::unique_fd fifo(::open((there / "fifo").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fifo);
  const auto request = "save " + (there / "pid");
  ASSERT_EQ(::write(fifo.get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
  const int pid = program.event("started").value("pid", 0);
  int saved = 0;
  EXPECT_TRUE(eventually([&] { return static_cast<bool>(std::ifstream(there / "pid") >> saved); }));
  EXPECT_EQ(saved, pid);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(there.entries(), testing::ElementsAre("pid"));
}

TEST(start, nothing_is_started_before) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.errors(), Not(HasSubstr("service")));
}

TEST(start, service_is_started_at_once_with_now) {
  activator program(with_service({"--now", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  const int pid = program.event("started").value("pid", 0);
  EXPECT_GT(pid, 0);
  EXPECT_EQ(ask(where, "pid"), std::to_string(pid));
}

TEST(start, clients_that_come_before_the_service_is_ready_wait) {
  const sd::test::directory there;
  activator program(with_service({"-l", there / "socket"}));
  program.address();
  const auto first = sd::test::connect(there / "socket");
  const auto second = sd::test::connect(there / "socket");
  const auto pid = sd::test::converse(first, "pid");
  EXPECT_EQ(sd::test::converse(second, "pid"), pid);
}

TEST(start, clients_of_two_sockets_start_the_service_once) {
  activator program(with_service({"-l", "127.0.0.1:0", "-l", "127.0.0.1:0"}));
  const auto where = program.addresses(2);
  program.send(SIGSTOP);  // so that it finds both at once
  const auto first = sd::test::connect(where[0]);
  const auto second = sd::test::connect(where[1]);
  program.send(SIGCONT);
  const auto pid = sd::test::converse(first, "pid");
  EXPECT_EQ(sd::test::converse(second, "pid"), pid);
  EXPECT_EQ(program.event("started").value("pid", 0), std::stoi(pid));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.remaining_events(), Not(Contains("started")));
}

TEST(start, each_socket_starts_the_service_again) {
  activator program(with_service({"-l", "127.0.0.1:0", "-l", "127.0.0.1:0"}));
  const auto where = program.addresses(2);
  for (const auto& each : {where[0], where[1], where[1]}) {
    EXPECT_EQ(ask(each, "exit 0"), "");
    program.event("exited");
  }
}

TEST(start, one_socket_can_start_a_service_and_another_one_a_process_for_each_connection) {
  activator program(with_service({"-l", "127.0.0.1:0", "-s", "ListenStream=127.0.0.1:0 Accept=yes"}));
  const auto where = program.addresses(2);
  const auto pid = ask(where[0], "pid");
  EXPECT_EQ(ask(where[1], "exit 7"), "");
  EXPECT_EQ(program.event("exited").value("status", 0), 7);
  EXPECT_NE(ask(where[1], "pid"), pid);
  EXPECT_EQ(ask(where[0], "pid"), pid);
  EXPECT_EQ(program.stop(), 0);
}

TEST(start, socket_is_the_standard_input_and_output_with_inetd) {
  const auto ended = run({"-q", "--once", "--now", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c",
                          "[ -S /dev/stdin ] && [ -S /dev/stdout ] && [ ! -S /dev/stderr ] && exit 7"});
  EXPECT_EQ(ended.errors, "sd-activate: error: sh.service: exited with status 7\n");
  EXPECT_EQ(ended.status, 7);
}

TEST_F(units, standard_stream_cannot_be_one_of_several_sockets) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nStandardInput=socket\nExecStart=/bin/true\n"), Not(""));
  const auto ended = run({"-q", "--once", "--now", unit});
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.errors, HasSubstr("there is no socket for a standard stream"));
}

// --- sockets ---------------------------------------------------------------------------------------------------------

TEST(start, sockets_have_names_and_are_in_order) {
  const sd::test::directory there;
  const auto datagram = "ListenDatagram=" + (there / "b") + " FileDescriptorName=dns";
  activator program(with_service(
      {"--fdname", "web:admin", "-l", "127.0.0.1:0", "-s", datagram, "-l", there / "c", "-l", there / "d"}));
  const auto where = program.addresses(4);
  EXPECT_EQ(where[1], there / "b");
  EXPECT_EQ(where[2], there / "c");
  EXPECT_EQ(ask(where[0], "names"), "web dns admin sd-activate.socket");
  for (const auto& each : {where[2], where[3]}) EXPECT_EQ(ask(each, "descriptors"), "3 4 5 6 7");  // and the connection
}

TEST(start, single_name_is_that_of_all_sockets) {
  activator program(with_service({"--fdname", "web", "-l", "127.0.0.1:0", "-l", "127.0.0.1:0"}));
  EXPECT_EQ(ask(program.address(), "names"), "web web");
}

TEST(start, paths_on_the_command_line_are_taken_literally) {
  const sd::test::directory there;
  activator program(with_service({"-l", there / "%i", "-s", "ListenStream=" + (there / R"(a\tb)")}));
  program.addresses(2);
  EXPECT_THAT(there.entries(), testing::IsSupersetOf({"%i", R"(a\tb)"}));
}

TEST(start, number_of_connections_is_not_limited_without_a_unit) {
  activator program({"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/cat"});
  const auto all = sd::test::connect_many(70, program.address());
  EXPECT_EQ(sd::test::converse(all.back(), "text"), "text");
}

TEST(start, command_inherits_no_ignored_sigpipe) {
  const auto ended =
      run({"-q", "--once", "--now", "-l", "127.0.0.1:0", "--", "/bin/grep", "SigIgn", "/proc/self/status"});
  EXPECT_THAT(ended.output, testing::StartsWith("SigIgn:"));
  EXPECT_EQ(std::stoull(ended.output.substr(ended.output.find(':') + 1), nullptr, 16) >> (SIGPIPE - 1) & 1U, 0U);
}

TEST(start, service_inherits_no_other_descriptor) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  EXPECT_EQ(ask(program.address(), "descriptors"), "3 4");  // the socket and the connection
}

TEST(start, sockets_of_the_service_block_unless_its_unit_says_otherwise) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  EXPECT_EQ(ask(program.address(), "blocking"), "yes");
}

TEST_F(units, nonblocking_makes_the_sockets_nonblocking) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nNonBlocking=yes\n" + exec_start()), Not(""));
  activator program({unit});
  EXPECT_EQ(ask(program.address(), "blocking"), "no");
}

TEST_F(units, socket_has_the_mode_and_the_symbolic_links_of_the_unit) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=" + (there_ / "a/b/socket") +
                                            "\nSocketMode=0600\nDirectoryMode=0700\nSymlinks=" + (there_ / "link") +
                                            "\nRemoveOnStop=yes\n");
  activator program(with_service({unit}));
  program.address();
  EXPECT_NE(ask(there_ / "link", "pid"), "");
  struct stat status {};
  ASSERT_EQ(::stat((there_ / "a/b/socket").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  ASSERT_EQ(::stat((there_ / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(there_ / "a/b/socket"));
  EXPECT_FALSE(std::filesystem::is_symlink(there_ / "link"));
}

// --- units -----------------------------------------------------------------------------------------------------------

TEST_F(units, service_of_the_same_name_is_started) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\nListenDatagram=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({unit});
  EXPECT_EQ(ask(program.address(), "names"), "web.socket web.socket");
  EXPECT_EQ(program.event("started").value("unit", ""), "web.service");
}

TEST_F(units, named_service_is_started_for_several_sockets) {
  const auto first = write("a.socket", "[Socket]\nListenStream=127.0.0.1:0\nService=web.service\n");
  const auto second =
      write("b.socket", "[Socket]\nListenStream=127.0.0.1:0\nService=web.service\nFileDescriptorName=other\n");
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({first, second});
  const auto where = program.addresses(2);
  EXPECT_EQ(ask(where[1], "names"), "a.socket other");
  EXPECT_EQ(ask(where[0], "pid"), ask(where[1], "pid"));
}

TEST_F(units, service_can_name_more_sockets) {
  const auto first = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("b.socket", "[Socket]\nListenStream=127.0.0.1:0\nFileDescriptorName=b\n"), Not(""));
  EXPECT_THAT(write("web.service", "[Service]\nSockets=web.socket b.socket\n" + exec_start()), Not(""));
  activator program({first});
  EXPECT_EQ(ask(program.addresses(2)[1], "names"), "web.socket b");
}

TEST_F(units, instance_starts_the_instance_of_the_service) {
  EXPECT_THAT(write("web@.socket", "[Socket]\nListenStream=" + (there_ / "%i") + '\n'), Not(""));
  EXPECT_THAT(write("web@.service", "[Service]\nEnvironment=INSTANCE=%i\n" + exec_start()), Not(""));
  activator program({there_ / "web@one.socket"});
  EXPECT_EQ(ask(program.address(), "variable INSTANCE"), "one");
  EXPECT_EQ(program.event("started").value("unit", ""), "web@one.service");
}

TEST_F(units, service_of_a_connection_has_an_instance) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n");
  EXPECT_THAT(write("web@.service", "[Service]\n" + exec_start()), Not(""));
  activator program({unit});
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_THAT(program.event("started").value("unit", ""), testing::MatchesRegex("web@.+\\.service"));
}

TEST_F(units, command_replaces_the_service) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  activator program(with_service({unit}));
  EXPECT_EQ(ask(program.address(), "names"), "web.socket");
}

// --- readiness -------------------------------------------------------------------------------------------------------

TEST_F(units, privileges_for_limits_and_the_oom_score_are_not_required) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  static_cast<void>(write("web.service",
                          "[Service]\nLimitNOFILE=50:infinity\nOOMScoreAdjust=-900\nStandardOutput=journal\n"
                          "ExecStart=/bin/sh -c 'ulimit -n; ulimit -Hn'\n"));
  std::filesystem::permissions(there_.path(), std::filesystem::perms(0755));  // for another user
  const auto ended = run({"-q", "--once", "--now", unit}, {{}, 100, true, false});
  EXPECT_EQ(ended.errors, "");
  EXPECT_EQ(ended.output, "50\n100\n");
}

TEST_F(units, service_that_does_not_notify_is_ready_at_once) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  for (const std::string type : {"simple", "exec", "idle"}) {
    EXPECT_THAT(write("web.service", "[Service]\nType=" + type + '\n' + exec_start()), Not(""));
    activator program({"-q", "--now", unit});
    const int pid = program.event("started").value("pid", 0);
    EXPECT_EQ(program.event("ready").value("pid", 0), pid) << type;
  }
}

TEST_F(units, other_messages_do_not_make_a_service_ready) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nType=notify\n" + exec_start()), Not(""));
  activator program({"-q", "--now", "--once", unit});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "send STATUS=starting"), "done");
  EXPECT_EQ(program.event("status").value("text", ""), "starting");
  EXPECT_EQ(ask(where, "exit 0"), "");
  EXPECT_EQ(program.wait(), 1);
}

TEST_F(units, command_before_the_start_cannot_make_the_service_ready) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  for (const std::string access : {"main", "exec"}) {
    auto commands = exec_start() + exec_start({"--notify", "STATUS=of-the-command"}).insert(9, "Pre") +
                    exec_start({"--notify", "READY=1"}).insert(9, "Pre");
    EXPECT_THAT(write("web.service", "[Service]\nType=notify\nNotifyAccess=" + access + '\n' + commands), Not(""));
    activator program({"-v", "--now", unit});
    const auto where = program.address();
    EXPECT_EQ(ask(where, "ready"), "done");
    EXPECT_EQ(program.event("ready").value("pid", 0), std::stoi(ask(where, "pid")));
    EXPECT_EQ(program.errors().find("web.service: of-the-command\n") != std::string::npos, access == "exec");
  }
}

TEST_F(units, notifying_service_is_ready_when_it_says_so) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nType=notify\n" + exec_start() + "ExecStartPost=/bin/sh -c 'echo > " +
                                       (there_ / "post") + "'\n"),
              Not(""));
  activator program({unit});
  const auto where = program.address();
  EXPECT_NE(ask(where, "variable NOTIFY_SOCKET"), "(unset)");
  EXPECT_FALSE(std::filesystem::exists(there_ / "post"));
  EXPECT_EQ(ask(where, "ready"), "done");
  EXPECT_EQ(program.event("ready").value("pid", 0), std::stoi(ask(where, "pid")));
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "post"); }));
}

TEST_F(units, notifying_service_that_exits_before_it_is_ready_has_failed) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nType=notify\nExecStart=/bin/true\n"), Not(""));
  const auto ended = run({"-q", "--now", "--once", unit});
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.errors, "sd-activate: error: web.service: exited with status 0 before it was ready\n");
}

TEST_F(units, notifying_service_that_is_not_ready_in_time_is_stopped) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  EXPECT_THAT(write("web.service", "[Service]\nType=notify\nTimeoutStartSec=200ms\n" + exec_start()), Not(""));
  const auto ended = run({"-q", "--now", "--once", unit});
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.errors, "sd-activate: error: web.service: did not start in time\n");
}

TEST(start, parent_is_told_when_the_sockets_listen_and_when_they_no_longer_do) {
  const sd::test::directory there;
  const auto notify = sd::testing::open(sd::kind::datagram, there / "notify");
  const auto message = [&] {
    std::array<char, 256> buffer;
    const auto size = ::recv(notify.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return std::string(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  };
  activator program(with_service({"-l", there / "socket"}), {{{"NOTIFY_SOCKET", there / "notify"}}, {}, false, true});
  std::string received;
  EXPECT_TRUE(eventually([&] { return !(received = message()).empty(); }));
  EXPECT_EQ(received, "READY=1");
  EXPECT_TRUE(sd::test::accepts_connections(there / "socket"));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(message(), "STOPPING=1");
}

// --- activators that start activators --------------------------------------------------------------------------------

TEST(start, activator_passes_on_what_it_was_passed) {
  const sd::test::directory there;
  words options = {"--fdname", "outer", "-l", there / "outer", "--", SD_ACTIVATE,
                   "--fdname", "inner", "-l", there / "inner"};
  activator program(with_service(options));
  program.address();
  EXPECT_EQ(ask(there / "outer", "names"), "outer inner");
  EXPECT_EQ(ask(there / "inner", "descriptors"), "3 4 5");
}

TEST(start, show_prints_what_was_passed) {
  const sd::test::directory there;
  const auto ended =
      run({"--now", "--once", "-q", "--fdname", "web", "-l", there / "socket", "--", SD_ACTIVATE, "show"});
  EXPECT_EQ(ended.status, 0);
  EXPECT_THAT(ended.output, HasSubstr("LISTEN_FDS=1\n"));
  EXPECT_THAT(ended.output, HasSubstr("LISTEN_FDNAMES=web\n"));
  EXPECT_THAT(ended.output, HasSubstr("descriptor 3 \"web\": stream unix " + (there / "socket")));
  EXPECT_THAT(ended.output, Not(HasSubstr("no descriptors")));
  EXPECT_THAT(ended.output, Not(HasSubstr("PATH=")));
  EXPECT_THAT(ended.output, HasSubstr("\npid "));
}

TEST(start, show_prints_what_is_wrong_or_missing) {
  const auto show = [](const std::string& variables) {
    circumstances how;
    how.program = {"/bin/sh", "-c", "exec 3</dev/null; " + variables + R"( exec "$0" "$@")", SD_ACTIVATE};
    how.has_events = false;
    return run({"show"}, how);
  };
  const auto wrong = show("LISTEN_PID=$$ LISTEN_FDS=x");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.output, HasSubstr("\nerror: "));
  const auto without_name = show("LISTEN_PID=$$ LISTEN_FDS=1");
  EXPECT_EQ(without_name.status, 0);
  EXPECT_THAT(without_name.output, HasSubstr("\ndescriptor 3: "));
  EXPECT_THAT(show("").output, HasSubstr("\nno descriptors were passed to this process\n"));
}

TEST(start, show_with_another_word_is_a_command) { EXPECT_EQ(run({"show", "it"}, {{}, {}, false, false}).status, 2); }

// --- events ----------------------------------------------------------------------------------------------------------

TEST(start, events_describe_what_happens) {
  const sd::test::directory there;
  activator program(with_service({"-l", there / "socket"}));
  nlohmann::json expected = {{"event", "listening"}, {"unit", "sd-activate.socket"}, {"name", "sd-activate.socket"},
                             {"kind", "stream"},     {"address", there / "socket"},  {"port", 0}};
  EXPECT_EQ(program.event("listening"), expected);
  const int pid = std::stoi(ask(there / "socket", "pid"));
  const auto name = std::filesystem::path(ACTIVATED_SERVICE).filename().string() + ".service";
  expected = {{"event", "started"}, {"unit", name}, {"pid", pid}};
  EXPECT_EQ(program.event("started"), expected);
  expected = {{"event", "ready"}, {"unit", name}, {"pid", pid}};
  EXPECT_EQ(program.event("ready"), expected);
  ask(there / "socket", "exit 7");
  expected = {{"event", "exited"}, {"unit", name}, {"status", 7}};
  EXPECT_EQ(program.event("exited"), expected);
}

TEST(start, events_can_be_written_to_descriptor_0) {
  const sd::test::directory there;
  circumstances how;
  how.program = {"/bin/sh", "-c", "exec 0>" + (there / "events") + R"(; exec "$0" "$@")", SD_ACTIVATE};
  how.has_events = false;
  EXPECT_EQ(run({"-q", "--json", "0", "--once", "--now", "-l", "127.0.0.1:0", "--", "/bin/true"}, how).status, 0);
  std::string line;
  std::ifstream events(there / "events");
  std::getline(events, line);
  EXPECT_THAT(line, HasSubstr("\"listening\""));
}

TEST(start, port_that_the_kernel_chose_is_reported) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  const auto listening = program.event("listening");
  const int port = listening.value("port", 0);
  EXPECT_GT(port, 0);
  EXPECT_EQ(listening.value("address", ""), "127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(program.errors(),
            "sd-activate: listening on stream inet 127.0.0.1:" + std::to_string(port) + " nonblocking\n");
}

TEST(start, service_goes_on_if_nobody_reads_the_events) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  const auto where = program.address();
  program.stop_reading_events();
  const auto pid = ask(where, "pid");
  EXPECT_EQ(ask(where, "pid"), pid);
  EXPECT_FALSE(program.has_ended());
  EXPECT_EQ(program.stop(), 0);
}

TEST(start, connections_to_a_running_service_do_not_wake_sd_activate_up) {
  activator program(with_service({"-l", "127.0.0.1:0"}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "descriptors"), "3 4");
  EXPECT_NE(program.event("ready").value("pid", 0), 0);
  const auto count_waits = [&] {
    std::ifstream status("/proc/" + std::to_string(program.pid()) + "/status");
    const std::string label = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.rfind(label, 0) == 0) return std::stoi(line.substr(label.size()));
    }
    return -1;
  };
  const int before = count_waits();
  ASSERT_GT(before, 0);
  constexpr int connections = 200;
  for (int i = 0; i < connections; ++i) ask(where, "descriptors");
  EXPECT_LT(count_waits() - before, connections / 10);
}

}  // namespace
