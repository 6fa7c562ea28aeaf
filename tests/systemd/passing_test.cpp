// SPDX-License-Identifier: MIT OR Apache-2.0
// Compares what sd::listen_fds() returns for various units with the whole report that report.cpp prints.

#include <sd/socket.hpp>

#include "client.hpp"
#include "manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace {

using namespace sd::test;

using passing = under_systemd;

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Removes the first line of a report and checks that it names the process.
std::string without_pid(const std::string& report, int pid) {
  const auto line = "pid " + std::to_string(pid) + '\n';
  EXPECT_THAT(report, testing::StartsWith(line));
  return report.substr(report.find('\n') + 1);
}

/// Returns the report that a service sends to a client, without the line for the process.
std::string report_of(const std::string& service, const std::string& where, int type = SOCK_STREAM) {
  const auto report = ask(where, "", type);
  return without_pid(report, main_pid(service));
}

TEST_F(passing, one_socket) {
  systemctl("start web.socket");
  EXPECT_EQ(report_of("several-units.service", "127.0.0.1:7001"),
            "descriptors 1\n"
            "3 \"web\" stream inet 127.0.0.1:7001 close-on-exec\n"
            "in a child:\n");
}

TEST_F(passing, name_with_special_characters) {
  systemctl("start odd-name.socket");
  EXPECT_EQ(report_of("several-units.service", "127.0.0.1:7002"),
            "descriptors 1\n"
            R"(3 "back\slash \x41 \\ "quoted" 'it' = % #" stream inet 127.0.0.1:7002 close-on-exec)"
            "\nin a child:\n");
}

TEST_F(passing, default_name_is_the_name_of_the_unit) {
  systemctl("start unnamed.socket");
  EXPECT_EQ(report_of("several-units.service", "127.0.0.1:7003"),
            "descriptors 1\n"
            "3 \"unnamed.socket\" stream inet 127.0.0.1:7003 close-on-exec\n"
            "in a child:\n");
}

/// systemd chooses the order, but each name belongs to its socket.
TEST_F(passing, sockets_of_several_units) {
  systemctl("start web.socket odd-name.socket unnamed.socket");
  const auto report = report_of("several-units.service", "127.0.0.1:7001");
  EXPECT_EQ(report_of("several-units.service", "127.0.0.1:7003"), report);
  EXPECT_THAT(report, testing::StartsWith("descriptors 3\n3 "));
  EXPECT_THAT(report, testing::HasSubstr("\n4 "));
  EXPECT_THAT(report, testing::HasSubstr("\n5 "));
  EXPECT_THAT(report, testing::HasSubstr(" \"web\" stream inet 127.0.0.1:7001 close-on-exec\n"));
  EXPECT_THAT(report, testing::HasSubstr(" % #\" stream inet 127.0.0.1:7002 close-on-exec\n"));
  EXPECT_THAT(report, testing::HasSubstr(" \"unnamed.socket\" stream inet 127.0.0.1:7003 close-on-exec\n"));
  EXPECT_THAT(report, testing::EndsWith("\nin a child:\n"));
}

TEST_F(passing, several_sockets_of_one_unit_are_in_order) {
  systemctl("start one-unit.socket");
  const auto report = report_of("one-unit.service", "127.0.0.1:7101");
  EXPECT_EQ(report,
            "descriptors 7\n"
            "3 \"one\" stream inet 127.0.0.1:7101 close-on-exec\n"
            "4 \"one\" datagram unix /run/one-unit/datagram close-on-exec\n"
            "5 \"one\" stream inet6 [::1]:7102 close-on-exec\n"
            "6 \"one\" stream unix /run/one-unit/stream close-on-exec\n"
            "7 \"one\" datagram inet 127.0.0.1:7103 close-on-exec\n"
            "8 \"one\" stream unix @one-unit close-on-exec\n"
            "9 \"one\" seqpacket unix /run/one-unit/packets close-on-exec\n"
            "in a child:\n");
  // Each entry describes the socket that serves the address.
  const std::string service = "one-unit.service";
  EXPECT_EQ(report_of(service, "[::1]:7102"), report);
  EXPECT_EQ(report_of(service, "/run/one-unit/stream"), report);
  EXPECT_EQ(report_of(service, "@one-unit"), report);
  EXPECT_EQ(report_of(service, "127.0.0.1:7103", SOCK_DGRAM), report);
  EXPECT_EQ(report_of(service, "/run/one-unit/datagram", SOCK_DGRAM), report);
  EXPECT_EQ(report_of(service, "/run/one-unit/packets", SOCK_SEQPACKET), report);
}

TEST_F(passing, connection_that_systemd_accepted) {
  systemctl("start accept.socket");
  const auto first = connect("127.0.0.1:7201");
  const auto second = connect("127.0.0.1:7201");
  std::set<std::string> processes;
  for (const auto* client : {&second, &first}) {
    const auto reply = converse(*client, "hello\n");
    const auto after_pid = reply.find('\n') + 1;
    processes.insert(reply.substr(0, after_pid));
    EXPECT_EQ(reply.substr(after_pid),
              "descriptors 1\n"
              "3 \"connection\" connection inet stream 127.0.0.1:7201 from " +
                  to_string(sd::describe(client->get()).local) +
                  " close-on-exec\n"
                  "in a child:\n"
                  "hello\n");
  }
  EXPECT_EQ(processes.size(), 2);
}

TEST_F(passing, service_without_a_socket_unit_receives_nothing) {
  systemctl("start without-socket.service");
  EXPECT_THAT(content("/run/without-socket"), testing::EndsWith("\ndescriptors 0\nin a child:\n"));
}

/// A program that a shell starts is not the process that systemd started. The descriptors stay open for the shell.
TEST_F(passing, child_of_the_service_receives_nothing) {
  systemctl("start wrapped.socket wrapped.service");
  EXPECT_THAT(content("/run/wrapped"), testing::EndsWith("\ndescriptors 0\nin a child: 3\n"));
}

/// The variables name this process and are malformed.
TEST_F(passing, malformed_variables_of_the_unit_cause_an_error) {
  systemctl("start broken.socket broken.service");
  EXPECT_THAT(content("/run/broken"),
              testing::EndsWith("\nerror: LISTEN_FDS=\"one\": LISTEN_FDS is not a decimal number\n"));
}

/// sorter.cpp takes descriptors of all kinds that systemd can pass from one list, in which several share a name.
TEST_F(passing, descriptors_are_taken_from_a_mixed_list) {
  systemctl("start sorted-web.socket sorted-local.socket sorted-rest.socket");
  const auto report = [] { return content("/run/sorted/report"); };
  const auto expected = [](const std::string& connection) {
    return "error: more than one such descriptor was passed\n"
           "error: more than one such descriptor was passed\n"
           "datagram unix /run/sorted/datagram\n"
           "error: wrong kind of descriptor\n"
           "error: no such descriptor was passed\n"
           "datagram inet 127.0.0.1:7401\n"
           "stream inet 127.0.0.1:7402\n"
           "seqpacket unix /run/sorted/packets\n"
           "stream unix /run/sorted/stream\n" +
           connection +
           "all: \"web\" stream inet 127.0.0.1:7401\n"
           "fifo /run/sorted/fifo\n"
           "netlink raw protocol-15\n"
           "message-queue /sorted\n"
           "special /dev/ptmx\n"
           "left: 0\n";
  };
  const auto client = connect("127.0.0.1:7402");
  EXPECT_TRUE(eventually([&] { return !report().empty(); }));
  EXPECT_EQ(report(), expected("error: no such descriptor was passed\n"));

  // systemd stores the connection for the next instance.
  EXPECT_TRUE(eventually_is("sorted.service", "NFileDescriptorStore", "1"));
  run("rm /run/sorted/report");
  systemctl("restart sorted.service");
  EXPECT_TRUE(eventually([&] { return !report().empty(); }));
  EXPECT_EQ(report(), expected("connection inet stream 127.0.0.1:7402 from " +
                               to_string(sd::describe(client.get()).local) + '\n'));
}

}  // namespace
