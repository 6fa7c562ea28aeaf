// SPDX-License-Identifier: MIT OR Apache-2.0
// A process for each connection.
#include <sd/socket.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "running.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <fstream>
#include <string>
#include <system_error>

namespace {

using sd::activate::test::activator;
using sd::activate::test::eventually;
using sd::activate::test::has_ipv6;
using sd::activate::test::is_running;
using sd::activate::test::service;
using sd::activate::test::with_service;
using sd::test::ask;
using sd::test::connect;
using sd::test::converse;

/// Returns the port of this end of a connection.
std::string port_of(const sd::unique_fd& connection) {
  return std::to_string(sd::describe(connection.get()).local.port());
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

/// Each of these settings needs more than a process.
TEST(accept, instances_with_any_settings_serve_their_clients) {
  for (const char* settings :
       {"Type=exec", "Type=notify", "ExecStartPre=/bin/true", "ExecStartPost=/bin/true", "ExecStop=/bin/true",
        "ExecStopPost=/bin/true", "EnvironmentFile=-/nonexistent", "NotifyAccess=main", "KillMode=mixed",
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
  activator program(with_service({"-s", "ListenStream=127.0.0.1:0 Accept=yes MaxConnections=1"}));
  const auto where = program.address();
  const auto first = connect(where);
  program.event("started");
  const auto second = connect(where);
  char byte = 0;
  EXPECT_LE(::recv(second.get(), &byte, 1, 0), 0);
  EXPECT_TRUE(
      program.reports("sd-activate: warning: sd-activate.socket: MaxConnections=1: a connection was refused\n"));
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

TEST(accept, connections_beyond_the_most_of_a_source_are_closed) {
  activator program(with_service({"-s", "ListenStream=127.0.0.1:0 Accept=yes MaxConnectionsPerSource=1"}));
  const auto where = program.address();
  const auto first = connect(where);
  program.event("started");
  const auto second = connect(where);
  char byte = 0;
  EXPECT_LE(::recv(second.get(), &byte, 1, 0), 0);
  EXPECT_TRUE(
      program.reports("sd-activate: warning: sd-activate.socket: MaxConnectionsPerSource=1: a connection of "
                      "127.0.0.1 was refused\n"));
  EXPECT_NE(converse(first, "pid"), "");
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
  activator program(with_service({"-q", "-a", "-l", "127.0.0.1:0"}));
  const auto where = program.address();
  EXPECT_EQ(ask(where, "exit 9"), "");
  EXPECT_TRUE(program.reports(": exited with status 9\n"));
  EXPECT_NE(ask(where, "pid"), "");
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

TEST(accept, processes_that_a_service_leaves_end_with_it) {
  activator program({"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "read line; sleep 1000 & echo $!"});
  const auto pid = std::stoi(ask(program.address(), "x\n"));
  EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
}

TEST(accept, service_that_ignores_the_signal_to_stop_is_killed) {
  const sd::test::directory there;
  std::ofstream(there / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there / "web@.service")
      << "[Service]\nStandardInput=socket\nTimeoutStopSec=50ms\n"
         "ExecStart=/bin/sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'\n";
  activator program({there / "web.socket"});
  const auto connection = connect(program.address());
  char first = 0;
  ASSERT_EQ(::recv(connection.get(), &first, 1, 0), 1);  // the trap is set
  const int pid = program.event("started").value("pid", 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_FALSE(is_running(pid));
  EXPECT_TRUE(program.reports(".service: did not stop in time, and is killed\n"));
}

TEST(accept, client_sees_the_end_while_the_service_goes_on) {
  activator program(
      {"-a", "--inetd", "-l", "127.0.0.1:0", "--", "/bin/sh", "-c", "echo $$; exec <&- >&-; exec sleep 1000"});
  const auto pid = std::stoi(ask(program.address(), ""));
  EXPECT_TRUE(is_running(pid));
}

}  // namespace
