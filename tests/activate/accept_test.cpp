// SPDX-License-Identifier: MIT OR Apache-2.0
// A process for each connection.
#include <sd/socket.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>

namespace {

using namespace std::chrono_literals;
using sd::activate::test::activator;
using sd::activate::test::count;
using sd::activate::test::eventually;
using sd::activate::test::has_ipv6;
using sd::activate::test::is_running;
using sd::activate::test::service;
using sd::activate::test::with_service;
using sd::test::ask;
using sd::test::connect;
using sd::test::converse;
using testing::HasSubstr;
using testing::Not;

/// Returns the port of this end of a connection.
std::string port_of(const sd::unique_fd& connection) {
  return std::to_string(sd::describe(connection.get()).local.port());
}

/// What a service for each connection may do besides running one process. Without it, sd-activate has simpler code.
constexpr const char* ways[] = {"", "ExecStartPre=/bin/true\n"};

/// Writes the units of a service for each connection. Returns the path of the socket unit.
std::string write_web(const sd::test::directory& there, const std::string& service_settings,
                      const std::string& socket_settings = "ListenStream=127.0.0.1:0\n",
                      const std::string& command = service()[0]) {
  std::ofstream(there / "web.socket") << "[Socket]\nAccept=yes\n" << socket_settings;
  std::ofstream(there / "web@.service") << "[Service]\nExecStart=" << command << '\n' << service_settings;
  return there / "web.socket";
}

/// The same, with a service that runs a script of the shell whose standard streams are the connection.
std::string write_script(const sd::test::directory& there, const std::string& script,
                         const std::string& service_settings = "") {
  std::ofstream(there / "script") << script;
  return write_web(there, "StandardInput=socket\n" + service_settings, "ListenStream=127.0.0.1:0\n",
                   "/bin/sh " + (there / "script"));
}

/// Returns what the service writes up to the end of a line, or less if it ends before.
std::string receive_line(const sd::unique_fd& connection) {
  std::string line;
  for (char next = 0; ::recv(connection.get(), &next, 1, 0) == 1 && next != '\n';) line += next;
  return line;
}

TEST(accept, inetd_program_has_the_connection_as_standard_streams) {
  activator program({"-a", "--inetd", "-l", "127.0.0.1:0", "--", "cat"});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "hello"), "hello");
  EXPECT_EQ(ask(where, "again"), "again");
}

TEST(accept, inetd_program_can_read_its_peer_in_the_environment) {
  activator program(
      {"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "cat > /dev/null; echo $REMOTE_ADDR $REMOTE_PORT"});
  const auto connection = connect(program.address());
  EXPECT_EQ(converse(connection, "x"), "127.0.0.1 " + port_of(connection) + '\n');
}

TEST(accept, errors_of_an_inetd_program_are_those_of_sd_activate) {
  activator program(
      {"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "cat > /dev/null; echo oops >&2; echo reply"});
  EXPECT_EQ(ask(program.address(), "x"), "reply\n");
  EXPECT_TRUE(program.reports("oops\n"));
}

TEST(accept, connection_is_passed_as_a_descriptor) {
  activator program(with_service({"-a", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "names"), "connection");
  EXPECT_EQ(ask(where, "descriptors"), "3");
  EXPECT_EQ(ask(where, "blocking"), "yes");
  EXPECT_EQ(ask(where, "variable LISTEN_FDS"), "1");
}

TEST(accept, address_of_the_peer_is_passed) {
  activator program(with_service({"-a", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable REMOTE_ADDR"), "127.0.0.1");
  const auto connection = connect(where);
  EXPECT_EQ(converse(connection, "variable REMOTE_PORT"), port_of(connection));
}

TEST(accept, address_of_a_peer_with_ipv6_is_passed) {
  if (!has_ipv6()) GTEST_SKIP() << "there is no IPv6";
  activator program(with_service({"-a", "-l", "[::]:0"}));
  auto where = program.address();
  where.replace(0, where.rfind(':'), "[::1]");
  EXPECT_EQ(ask(where, "variable REMOTE_ADDR"), "::1");
  const auto connection = connect(where);
  EXPECT_EQ(converse(connection, "variable REMOTE_PORT"), port_of(connection));
}

TEST(accept, peer_with_ipv4_of_a_socket_of_ipv6_has_an_ipv4_address) {
  if (!has_ipv6()) GTEST_SKIP() << "there is no IPv6";
  activator program(with_service({"-s", "ListenStream=[::]:0 BindIPv6Only=both Accept=yes"}));
  auto where = program.address();
  where.replace(0, where.rfind(':'), "127.0.0.1");
  EXPECT_EQ(ask(where, "variable REMOTE_ADDR"), "127.0.0.1");
}

TEST(accept, peer_of_a_unix_socket_has_no_address) {
  const sd::test::directory there;
  activator program(with_service({"-a", "-l", there / "socket"}));
  program.address();
  EXPECT_EQ(ask(there / "socket", "variable REMOTE_ADDR"), "(unset)");
  EXPECT_EQ(ask(there / "socket", "variable REMOTE_PORT"), "(unset)");
}

TEST(accept, service_has_the_name_of_its_program) {
  activator program(with_service({"-a", "-l", "127.0.0.1:0"}));
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.event("started").value("unit", ""), "activated_service.service");
}

TEST(accept, connection_has_the_options_of_the_unit) {
  const sd::test::directory there;
  activator program(with_service({"-s", "ListenStream=" + (there / "socket") + " Accept=yes SendBuffer=50K"}));
  const auto request = "option " + std::to_string(SOL_SOCKET) + ' ' + std::to_string(SO_SNDBUF);
  EXPECT_EQ(ask(program.address(), request), std::to_string(2 * 50 * 1024));  // the kernel doubles it
}

TEST(accept, connection_is_nonblocking_if_the_unit_says_so) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program({"-q", write_web(there, "NonBlocking=yes\n" + way)});
    EXPECT_EQ(ask(program.address(), "blocking"), "no") << way;
  }
}

TEST(accept, connections_are_served_at_the_same_time) {
  activator program(with_service({"-a", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  const auto first = connect(where);
  const auto second = connect(where);
  const auto pid = converse(second, "pid");
  EXPECT_NE(converse(first, "pid"), pid);
}

TEST(accept, instance_gets_the_cookie_of_its_socket) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there / "web@.service") << "[Service]\nExecStart=" << service()[0] << '\n';
  activator program({there / "web.socket"});
  const auto where = program.address();
  const auto cookie = ask(where, "variable SO_COOKIE");
  EXPECT_GT(std::stoull(cookie), 0U);
  EXPECT_NE(cookie, ask(where, "variable SO_COOKIE"));
}

TEST(accept, unit_starts_instances_of_the_template) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\nFileDescriptorName=%p\n";
  std::ofstream(there / "web@.service") << "[Service]\nEnvironment=INSTANCE=%i\nExecStart=" << service()[0] << '\n';
  activator program({there / "web.socket"});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "names"), "web");
  const auto connection = connect(where);
  const auto instance = "1-" + where + "-127.0.0.1:" + port_of(connection);
  EXPECT_EQ(converse(connection, "variable INSTANCE"), instance);
  program.event("started");
  EXPECT_EQ(program.event("started").value("unit", ""), "web@" + instance + ".service");
}

TEST(accept, unit_can_name_the_path_of_its_instance) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there / "web@.service") << "[Service]\nEnvironment=INSTANCE=%f\nExecStart=" << service()[0] << '\n';
  activator program({there / "web.socket"});
  const auto where = program.address();
  const auto connection = connect(where);
  const auto instance = "/0/" + where + "/127.0.0.1:" + port_of(connection);
  EXPECT_EQ(converse(connection, "variable INSTANCE"), instance);
}

TEST(accept, services_are_reloaded_as_their_unit_says) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there / "web@.service") << "[Service]\nExecReload=/bin/true\nExecStart=" << service()[0] << '\n';
  activator program({there / "web.socket"});
  const auto connection = connect(program.address());
  const int pid = program.event("ready").value("pid", 0);
  program.send(SIGUSR1);
  EXPECT_EQ(program.event("reloaded").value("pid", 0), pid);
  EXPECT_EQ(converse(connection, "pid"), std::to_string(pid));
}

TEST(accept, commands_of_instances_are_run) {
  const struct {
    const char* when;
    bool is_at_the_end;
  } rows[] = {{"ExecStartPre", false}, {"ExecStartPost", false}, {"ExecStop", true}, {"ExecStopPost", true}};
  for (const auto& [when, is_at_the_end] : rows) {
    const sd::test::directory there;
    activator program({"-q", write_web(there, std::string(when) + "=/bin/touch " + (there / "file") + '\n')});
    const auto connection = connect(program.address());
    program.event("ready");
    const auto has_run = [&] { return std::filesystem::exists(there / "file"); };
    EXPECT_TRUE(is_at_the_end ? !has_run() : eventually(has_run)) << when;
    EXPECT_EQ(program.stop(), 0) << when;
    EXPECT_TRUE(has_run()) << when;
  }
}

TEST(accept, environment_file_is_read_for_each_connection) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    const auto file = there / "variables";
    std::ofstream(file) << "NAME=first\n";
    activator program({"-q", write_web(there, "EnvironmentFile=" + file + '\n' + way)});
    const auto where = program.address();
    EXPECT_EQ(ask(where, "variable NAME"), "first") << way;
    std::filesystem::remove(file);
    EXPECT_EQ(receive_line(connect(where)), "");
    EXPECT_TRUE(program.reports(": EnvironmentFile=" + file + ": No such file or directory\n")) << way;
    EXPECT_THAT(program.errors(), Not(HasSubstr("clients wait"))) << way;
    std::ofstream(file) << "NAME=second\n";
    EXPECT_EQ(ask(where, "variable NAME"), "second") << way;
    EXPECT_EQ(program.stop(), 0) << way;
  }
}

TEST(accept, program_that_has_disappeared_is_reported) {
  const sd::test::directory there;
  const auto path = there / "program";
  std::filesystem::copy_file("/bin/true", path);
  activator program({"-q", "-a", "-l", "127.0.0.1:0", "--", path});
  const auto where = program.address();
  std::filesystem::remove(path);
  EXPECT_EQ(receive_line(connect(where)), "");
  EXPECT_TRUE(program.reports("sd-activate: error: program.service: start " + path + ": No such file or directory\n"))
      << program.errors();
}

TEST(accept, directory_is_made_for_each_connection) {
  const sd::test::directory there;
  const auto unit = write_web(there, "RuntimeDirectory=sd-activate-test-" + std::to_string(::getpid()) + '\n');
  activator program({"-q", unit}, {{{"XDG_RUNTIME_DIR", there.path()}}, {}, false, true});
  const auto where = program.address();
  const std::string path = ask(where, "variable RUNTIME_DIRECTORY");
  EXPECT_TRUE(std::filesystem::remove(path)) << path;
  EXPECT_EQ(ask(where, "variable RUNTIME_DIRECTORY"), path);
  EXPECT_TRUE(std::filesystem::remove(path)) << path;
}

TEST(accept, instance_can_send_messages_if_the_unit_says_so) {
  const sd::test::directory there;
  activator program({"-q", write_web(there, "NotifyAccess=main\n")});
  EXPECT_NE(ask(program.address(), "variable NOTIFY_SOCKET"), "(unset)");
}

TEST(accept, oneshot_instance_must_end_in_time) {
  const sd::test::directory there;
  activator program({"-q", write_web(there, "Type=oneshot\nTimeoutStartSec=100ms\n")});
  const auto connection = connect(program.address());
  EXPECT_TRUE(program.reports(": did not start in time\n"));
}

/// Each of these settings needs more than a process.
TEST(accept, instances_with_any_settings_serve_their_clients) {
  for (const char* settings : {"Type=exec", "Type=notify", "ExecStartPre=/bin/true", "ExecStartPost=/bin/true",
                               "ExecStop=/bin/true", "ExecStopPost=/bin/true", "NotifyAccess=main", "KillMode=mixed",
                               "TimeoutStopFailureMode=kill", "SendSIGKILL=no"}) {
    const sd::test::directory there;
    std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
    std::ofstream(there / "web@.service") << "[Service]\nExecStart=" << service()[0] << " --ready\n"
                                          << settings << '\n';
    activator program({"-q", there / "web.socket"});
    const auto where = program.address();
    EXPECT_EQ(ask(where, "names"), "connection") << settings;
    const auto connection = connect(where);
    EXPECT_EQ(program.stop(), 0) << settings;
    EXPECT_EQ(program.errors(), "") << settings;
  }
}

TEST(accept, instance_of_a_unix_socket_is_named_after_its_client) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=" << (there / "socket") << "\nAccept=yes\n";
  std::ofstream(there / "web@.service") << "[Service]\nEnvironment=INSTANCE=%i\nExecStart=" << service()[0] << '\n';
  activator program({there / "web.socket"});
  const auto client = std::to_string(::getpid()) + '-' + std::to_string(::getuid());
  EXPECT_EQ(ask(program.address(), "variable INSTANCE"), "0-" + client);
  EXPECT_EQ(ask(there / "socket", "variable INSTANCE"), "1-" + client);
}

TEST(accept, each_process_has_an_invocation_id_of_its_own) {
  activator program(with_service({"-a", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  EXPECT_NE(ask(where, "variable INVOCATION_ID"), ask(where, "variable INVOCATION_ID"));
}

TEST(accept, unit_can_use_the_connection_as_standard_streams) {
  const sd::test::directory there;
  std::ofstream(there / "echo.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there / "echo@.service") << "[Service]\nStandardInput=socket\nExecStart=/bin/cat\n";
  activator program({there / "echo.socket"});
  EXPECT_EQ(ask(program.address(), "hello"), "hello");
}

TEST(accept, connections_beyond_the_most_are_closed) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program({"-q", write_web(there, way, "ListenStream=127.0.0.1:0\nMaxConnections=1\n")});
    const auto where = program.address();
    const auto first = connect(where);
    program.event("started");
    const auto second = connect(where);
    char byte = 0;
    EXPECT_LE(::recv(second.get(), &byte, 1, 0), 0);
    EXPECT_TRUE(program.reports("sd-activate: warning: web.socket: MaxConnections=1: a connection was refused\n"));
    EXPECT_NE(converse(first, "pid"), "");
    program.event("exited");
    EXPECT_TRUE(eventually([&] {
      try {
        return !ask(where, "pid").empty();
      } catch (const std::system_error&) {
        return false;  // sd-activate has not noticed the end of the first one yet
      }
    }));
  }
}

TEST(accept, connections_beyond_the_most_of_a_source_are_closed) {
  if (!has_ipv6()) GTEST_SKIP() << "there is no IPv6";
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program(
        {"-q", write_web(there, way, "ListenStream=[::]:0\nBindIPv6Only=both\nMaxConnectionsPerSource=1\n")});
    auto where = program.address();
    const auto port = where.substr(where.rfind(':'));
    const auto first = connect("[::1]" + port);
    EXPECT_EQ(program.event("started").value("unit", ""), "web@0-::1" + port + "-::1:" + port_of(first) + ".service");
    const auto other = connect("127.0.0.1" + port);
    EXPECT_EQ(program.event("started").value("unit", ""),
              "web@1-127.0.0.1" + port + "-127.0.0.1:" + port_of(other) + ".service");
    for (const std::string host : {"::1", "127.0.0.1"}) {
      const auto refused = connect((host == "::1" ? "[::1]" : host) + port);
      char byte = 0;
      EXPECT_LE(::recv(refused.get(), &byte, 1, 0), 0);
      EXPECT_TRUE(program.reports("sd-activate: warning: web.socket: MaxConnectionsPerSource=1: a connection of " +
                                  host + " was refused\n"));
    }
    EXPECT_NE(converse(first, "pid"), "");
    EXPECT_NE(converse(other, "pid"), "");
  }
}

TEST(accept, users_are_the_sources_of_connections_to_unix_sockets) {
  const sd::test::directory there;
  activator program(
      with_service({"-s", "ListenStream=" + (there / "socket") + " Accept=yes MaxConnectionsPerSource=1"}));
  const auto where = program.address();
  const auto first = connect(where);
  program.event("started");
  const auto second = connect(where);
  EXPECT_TRUE(program.reports("a connection of user " + std::to_string(::getuid()) + " was refused\n"));
  EXPECT_NE(converse(first, "pid"), "");
}

TEST(accept, process_that_fails_is_reported_and_others_go_on) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program({"-q", write_web(there, way)});
    const auto where = program.address();
    EXPECT_EQ(ask(where, "exit 9"), "");
    EXPECT_TRUE(program.reports(": exited with status 9\n"));
    EXPECT_NE(ask(where, "pid"), "");
  }
}

TEST(accept, failure_of_a_process_is_ignored_if_the_unit_says_so) {
  const sd::test::directory there;
  activator program({"-q", write_web(there, "", "ListenStream=127.0.0.1:0\n", '-' + service()[0])});
  EXPECT_EQ(ask(program.address(), "exit 9"), "");
  EXPECT_EQ(program.event("exited").value("status", 0), 9);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(program.errors(), "");
}

TEST(accept, signal_of_the_unit_is_a_failure_unless_it_stops_the_process) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program({"-q", write_web(there, "KillSignal=SIGUSR1\n" + way)});
    const auto where = program.address();
    const auto connection = connect(where);
    program.event("ready");
    EXPECT_EQ(ask(where, "raise " + std::to_string(SIGUSR1)), "");
    EXPECT_TRUE(program.reports(": killed by SIGUSR1\n")) << way;
    const auto before = program.errors();
    EXPECT_EQ(program.stop(), 0);
    EXPECT_EQ(program.errors(), before) << way;
  }
}

TEST(accept, ends_of_the_processes_of_all_sockets_are_noticed) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    const auto unit = write_web(there, "Sockets=web.socket other.socket\n" + way);
    std::filesystem::copy_file(unit, there / "other.socket");
    activator program({"-q", unit});
    for (const auto& where : program.addresses(2)) {
      EXPECT_EQ(ask(where, "exit 0"), "");
      EXPECT_EQ(program.event("exited").value("status", -1), 0) << way;
    }
    EXPECT_EQ(program.stop(), 0);
  }
}

TEST(accept, signal_is_passed_on_to_the_processes) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program(
        {"-q", write_script(there, "trap 'echo received' USR2; echo ready; while :; do sleep 0.02; done", way)});
    const auto where = program.address();
    const auto first = connect(where);
    const auto second = connect(where);
    EXPECT_EQ(receive_line(first), "ready");
    EXPECT_EQ(receive_line(second), "ready");
    program.send(SIGUSR2);
    EXPECT_EQ(receive_line(first), "received") << way;
    EXPECT_EQ(receive_line(second), "received") << way;
  }
}

TEST(accept, service_is_neither_started_at_once_nor_restarted) {
  activator program(with_service({"--now", "-a", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  program.send(SIGHUP);
  const auto pid = ask(where, "pid");
  EXPECT_EQ(program.event("started").value("pid", 0), std::stoi(pid));
  EXPECT_EQ(program.stop(), 0);
}

TEST(accept, processes_end_with_sd_activate) {
  const sd::test::directory there;
  activator program(with_service({"-a", "-l", there / "socket"}));
  program.address();
  const auto first = connect(there / "socket");
  const auto second = connect(there / "socket");
  const int first_pid = program.event("started").value("pid", 0);
  const int second_pid = program.event("started").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(first_pid));
  EXPECT_FALSE(is_running(second_pid));
  EXPECT_TRUE(there.entries().empty());
}

TEST(accept, both_ways_can_be_used_at_once) {
  const sd::test::directory there;
  activator program(with_service({"-s", "ListenStream=127.0.0.1:0 Accept=yes", "-l", there / "socket"}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "names"), "connection");
  EXPECT_EQ(ask(there / "socket", "names"), "sd-activate.socket");
}

TEST(accept, no_client_is_served_while_sd_activate_stops) {
  const sd::test::directory there;
  activator program(
      {"-q",
       write_script(there, "exec 2>/dev/null; trap 'echo stopping' TERM; echo ready; while :; do sleep 0.02; done")});
  const auto where = program.address();
  const auto first = connect(where);
  EXPECT_EQ(receive_line(first), "ready");
  program.send(SIGTERM);
  EXPECT_EQ(receive_line(first), "stopping");
  const auto second = connect(where);
  std::this_thread::sleep_for(50ms);  // in which it would be served
  program.send(SIGINT);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_EQ(receive_line(second), "");
}

TEST(accept, second_signal_to_stop_kills_all_processes) {
  for (const std::string way : ways) {
    const sd::test::directory there;
    activator program(
        {"-q", write_script(there, "trap '' TERM USR1; sleep 1000 & echo $!; while :; do sleep 1; done", way)});
    const auto connection = connect(program.address());
    const int child = std::stoi(receive_line(connection));
    program.send(SIGTERM);
    program.send(SIGINT);
    EXPECT_EQ(program.wait(), 0) << way;
    EXPECT_TRUE(eventually([&] { return !is_running(child); }));
    EXPECT_THAT(program.errors(), HasSubstr("killing what has not stopped yet\n")) << way;
  }
}

TEST(accept, processes_that_a_service_leaves_end_with_it) {
  activator program({"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "read line; sleep 1000 & echo $!"});
  const auto pid = std::stoi(ask(program.address(), "x\n"));
  EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
  EXPECT_EQ(program.stop(), 0);
}

TEST(accept, processes_that_a_service_leaves_stay_if_the_unit_says_so) {
  const sd::test::directory there;
  activator program({"-q", write_script(there, "sleep 1000 > /dev/null 2>&1 & echo $!", "KillMode=process\n")});
  const auto pid = std::stoi(ask(program.address(), ""));
  program.event("exited");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(is_running(pid));
  ::kill(pid, SIGKILL);
}

/// Returns for how long a process has run so far, without the time in which it waited.
std::chrono::nanoseconds time_of(int pid) {
  std::int64_t nanoseconds = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/schedstat") >> nanoseconds;
  return std::chrono::nanoseconds(nanoseconds);
}

/// Returns how often a process has waited so far.
int count_waits(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string name, value; file >> name && std::getline(file, value);) {
    if (name == "voluntary_ctxt_switches:") return std::stoi(value);
  }
  return 0;
}

TEST(accept, processes_that_a_service_leaves_are_killed_in_time) {
  const sd::test::directory there;
  const auto unit = write_script(there,
                                 "read what\n"
                                 "[ \"$what\" = leave ] || { echo $$; exec sleep 1000; }\n"
                                 "(trap '' TERM; trap 'touch " +
                                     (there / "hung-up") + "' HUP; touch " + (there / "ready") +
                                     "; while :; do sleep 0.02; done) &\n"
                                     "while [ ! -e " +
                                     (there / "ready") + " ]; do sleep 0.02; done\necho $!\n",
                                 "TimeoutStopSec=300ms\n");
  activator program({"-q", unit});
  const auto where = program.address();
  const auto other = connect(where);
  sd::test::send(other, "stay\n");
  const int other_pid = std::stoi(receive_line(other));
  const auto before = time_of(program.pid());
  const auto leaving = connect(where);
  sd::test::send(leaving, "leave\n");
  const int child = std::stoi(receive_line(leaving));
  EXPECT_EQ(program.event("exited").value("status", -1), 0);
  EXPECT_TRUE(is_running(child));
  EXPECT_TRUE(eventually([&] { return !is_running(child); }));
  if (!sd::test::sanitized && sd::test::emulator().empty()) {
    EXPECT_LT(time_of(program.pid()) - before, 50ms);
  }
  EXPECT_TRUE(is_running(other_pid));
  EXPECT_FALSE(std::filesystem::exists(there / "hung-up"));
  // It does not go on looking.
  EXPECT_TRUE(eventually([&] {
    const int waits = count_waits(program.pid());
    std::this_thread::sleep_for(100ms);
    return count_waits(program.pid()) == waits;
  }));
  EXPECT_EQ(program.errors(), "");
  EXPECT_EQ(program.stop(), 0);
}

TEST(accept, processes_get_the_signal_to_stop_once) {
  const sd::test::directory there;
  const auto unit = write_script(there, "(trap 'echo x >> " + (there / "signals") + "' TERM HUP; touch " +
                                            (there / "trapped") + "; while [ ! -e " + (there / "end") +
                                            " ]; do sleep 0.02; done) &\n"
                                            "trap : TERM\n"
                                            "while [ ! -e " +
                                            (there / "trapped") +
                                            " ]; do sleep 0.02; done\n"
                                            "echo ready\n"
                                            "while [ ! -e " +
                                            (there / "signals") + " ]; do sleep 0.02; done\nexit 0\n");
  activator program({"-q", unit});
  const auto connection = connect(program.address());
  EXPECT_EQ(receive_line(connection), "ready");
  program.send(SIGTERM);
  EXPECT_EQ(program.event("exited").value("status", -1), 0);
  std::this_thread::sleep_for(50ms);  // in which another one would arrive
  std::ofstream(there / "end").flush();
  EXPECT_EQ(program.wait(), 0);
  std::ifstream file(there / "signals");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "x\n");
}

/// A service that does not end on SIGTERM and SIGUSR2.
constexpr const char* stubborn = "trap '' TERM USR2; echo ready; while :; do sleep 1; done";

TEST(accept, service_that_ignores_the_signal_to_stop_is_killed) {
  const struct {
    const char* settings;
    int signal;
  } rows[] = {{"", SIGKILL}, {"TimeoutStopFailureMode=abort\n", SIGABRT}};
  for (const auto& [settings, signal] : rows) {
    const sd::test::directory there;
    activator program({"-q", write_script(there, stubborn, std::string("TimeoutStopSec=50ms\n") + settings)});
    const auto connection = connect(program.address());
    ASSERT_EQ(receive_line(connection), "ready");
    const int pid = program.event("started").value("pid", 0);
    EXPECT_EQ(program.stop(), 0);
    EXPECT_EQ(program.event("exited").value("status", 0), 128 + signal) << settings;
    EXPECT_FALSE(is_running(pid));
    if (signal != SIGKILL) continue;
    EXPECT_THAT(program.errors(), HasSubstr(".service: did not stop in time, and is killed\n"));
    EXPECT_THAT(program.errors(), HasSubstr(".service: killed by SIGKILL\n"));
  }
}

TEST(accept, service_that_ignores_the_signal_to_stop_may_stay) {
  const sd::test::directory there;
  activator program({"-q", write_script(there, stubborn, "TimeoutStopSec=50ms\nSendSIGKILL=no\n")});
  const auto connection = connect(program.address());
  ASSERT_EQ(receive_line(connection), "ready");
  const int pid = program.event("started").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_TRUE(is_running(pid));
  ::kill(pid, SIGKILL);
}

TEST(accept, service_that_ignores_the_final_signal_is_not_reported_all_the_time) {
  const sd::test::directory there;
  activator program({"-q", write_script(there, stubborn, "TimeoutStopSec=200ms\nFinalKillSignal=SIGUSR2\n")});
  const auto connection = connect(program.address());
  ASSERT_EQ(receive_line(connection), "ready");
  program.send(SIGTERM);
  const std::string message = ": did not stop in time, and is killed\n";
  EXPECT_TRUE(program.reports(message));
  std::this_thread::sleep_for(150ms);
  EXPECT_LE(count(program.errors(), message), 2U);
  program.send(SIGINT);
  EXPECT_EQ(program.wait(), 0);
}

TEST(accept, client_sees_the_end_while_the_service_goes_on) {
  activator program(
      {"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "echo $$; exec <&- >&-; exec sleep 1000"});
  const auto pid = std::stoi(ask(program.address(), ""));
  EXPECT_TRUE(is_running(pid));
}

}  // namespace
