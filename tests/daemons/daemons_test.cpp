// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests daemons of Debian's packages, mostly with Debian's units. Clients of their protocols are served. Under systemd,
// with libsd-daemon in LD_PRELOAD, the trace shows which library handled their calls.

#include "client.hpp"
#include "daemon.hpp"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

namespace {

using namespace sd::test;
using testing::HasSubstr;

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_F(daemons, beanstalkd) {
  if (!installed({"/usr/bin/beanstalkd"})) GTEST_SKIP();
  start("beanstalkd.socket");
  EXPECT_THAT(ask("127.0.0.1:11300", "put 0 0 60 5\r\nhello\r\nreserve\r\nquit\r\n"),
              HasSubstr("RESERVED 1 5\r\nhello\r\n"));
  EXPECT_TRUE(called("beanstalkd", "sd_listen_fds", 1));
  EXPECT_TRUE(called("beanstalkd", "sd_is_socket_inet", 1));
}

TEST_F(daemons, cups) {
  if (!installed({"/usr/sbin/cupsd", "/usr/bin/lpstat"})) GTEST_SKIP();
  start("cups.socket");
  EXPECT_EQ(client("lpstat -h /run/cups/cups.sock -r"), "scheduler is running\n");
  EXPECT_TRUE(active("cups.service"));
  EXPECT_EQ(status_text("cups.service"), "Scheduler is running...");
  EXPECT_TRUE(called("cupsd", "sd_listen_fds", 1));
  EXPECT_TRUE(called("cupsd", "sd_notifyf", 1));
}

TEST_F(daemons, dbus) {
  if (!installed({"/usr/bin/dbus-daemon", "/usr/bin/dbus-send"})) GTEST_SKIP();
  start("dbus.socket");
  EXPECT_THAT(client("dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames"),
              HasSubstr("string \"org.freedesktop.DBus\""));
  EXPECT_TRUE(active("dbus.service"));
  EXPECT_TRUE(called("dbus-daemon", "sd_listen_fds", 1));
  EXPECT_TRUE(called("dbus-daemon", "sd_is_socket", 1));
  EXPECT_TRUE(called("dbus-daemon", "sd_notify", 1));
}

TEST_F(daemons, dovecot) {
  if (!installed({"/usr/sbin/dovecot", "/usr/lib/dovecot/imap"})) GTEST_SKIP();
  start("dovecot.socket");
  EXPECT_THAT(client("curl -sS --user someone:secret 'imap://127.0.0.1/' --request 'LIST \"\" *'"), HasSubstr("INBOX"));
  EXPECT_TRUE(active("dovecot.service"));
  EXPECT_THAT(status_text("dovecot.service"), testing::EndsWith(" running"));
  EXPECT_TRUE(called("dovecot", "sd_listen_fds", 4));
  EXPECT_TRUE(called("dovecot", "sd_is_socket_inet", 1));
  EXPECT_TRUE(called("dovecot", "sd_notifyf", 1));
}

TEST_F(daemons, haproxy) {
  if (!installed({"/usr/sbin/haproxy"})) GTEST_SKIP();
  start("haproxy.service");
  EXPECT_EQ(client("curl -sS http://127.0.0.1:8080/"), "haproxy is here");
  EXPECT_TRUE(called("haproxy", "sd_notifyf", 1));
  if (under_sd_activate()) {
    signal(SIGUSR2);  // which sd-activate forwards. ExecReload= of the unit sends the same signal.
    EXPECT_TRUE(eventually([] { return content(log_path).find("Reloading HAProxy") != std::string::npos; }));
  } else {
    systemctl("reload haproxy.service");
  }
  EXPECT_TRUE(called("haproxy", "sd_notify", 1));
  EXPECT_TRUE(active("haproxy.service"));
  EXPECT_EQ(client("curl -sS http://127.0.0.1:8080/"), "haproxy is here");
}

TEST_F(daemons, journal_gatewayd) {
  if (!installed({"/lib/systemd/systemd-journal-gatewayd"})) GTEST_SKIP();
  start("systemd-journal-gatewayd.socket");
  EXPECT_THAT(client("curl -sS http://127.0.0.1:19531/machine"), HasSubstr("machine_id"));
  EXPECT_TRUE(called("systemd-journal-gatewayd", "sd_listen_fds", 1));
}

TEST_F(daemons, knot) {
  if (!installed({"/usr/sbin/knotd", "/usr/bin/kdig"})) GTEST_SKIP();
  start("knot.service");
  EXPECT_TRUE(active("knot.service"));
  EXPECT_EQ(client("kdig +short @127.0.0.1 here.test A"), "192.0.2.7\n");
  EXPECT_TRUE(called("knotd", "sd_notify", 1));
}

/// The only daemon that uses names: connections to the socket "extra" are for administrators.
TEST_F(daemons, mariadb) {
  if (!installed({"/usr/sbin/mariadbd", "/usr/bin/mariadb"})) GTEST_SKIP();
  start("mariadb.socket mariadb-extra.socket");
  const std::string query = " --skip-column-names --execute='SELECT 6 * 7'";
  EXPECT_EQ(client("mariadb --no-defaults --socket=/run/mariadb/socket" + query), "42\n");
  EXPECT_EQ(client("mariadb --no-defaults --host=127.0.0.1" + query), "42\n");
  EXPECT_EQ(client("mariadb --no-defaults --socket=/run/mariadb/extra" + query), "42\n");
  EXPECT_TRUE(active("mariadb.service"));
  EXPECT_TRUE(called("mariadbd", "sd_listen_fds_with_names", 3));
  EXPECT_THAT(content(log_path), HasSubstr("unix socket /run/mariadb/extra (extra)\n"));
  EXPECT_TRUE(called("mariadbd", "sd_notify", 1));
  EXPECT_THAT(status_text("mariadb.service"), HasSubstr("Taking your SQL requests now"));
}

TEST_F(daemons, mosquitto) {
  if (!installed({"/usr/sbin/mosquitto", "/usr/bin/mosquitto_pub"})) GTEST_SKIP();
  start("mosquitto.service");
  EXPECT_TRUE(active("mosquitto.service"));
  client("mosquitto_pub -t somewhere -m hello --retain");
  EXPECT_EQ(client("mosquitto_sub -t somewhere -C 1"), "hello\n");
  EXPECT_TRUE(called("mosquitto", "sd_notify", 1));
}

/// Tests the trace: without libsd-daemon, libsystemd handles the calls.
TEST_F(daemons, without_libsd_daemon) {
  if (!installed({"/usr/sbin/mosquitto"})) GTEST_SKIP();
  use_library("libsystemd.so");
  start("mosquitto.service");
  EXPECT_TRUE(called("mosquitto", "sd_notify", 1));
}

TEST_F(daemons, nghttpx) {
  if (!installed({"/usr/sbin/nghttpx"})) GTEST_SKIP();
  start("nghttpx.service");
  EXPECT_TRUE(active("nghttpx.service"));
  EXPECT_THAT(client("curl -sS --include --http2-prior-knowledge http://127.0.0.1:8080/"),
              testing::StartsWith("HTTP/2 200"));
  EXPECT_TRUE(called("nghttpx", "sd_notifyf", 1));
}

TEST_F(daemons, pcscd) {
  if (!installed({"/usr/sbin/pcscd"})) GTEST_SKIP();
  start("pcscd.socket");
  // All clients go through this library.
  const std::unique_ptr<void, int (*)(void*)> library(::dlopen("libpcsclite.so.1", RTLD_NOW), ::dlclose);
  ASSERT_NE(library, nullptr) << ::dlerror();
  using establish_context = long(unsigned long, const void*, const void*, long*);
  auto* const establish = reinterpret_cast<establish_context*>(::dlsym(library.get(), "SCardEstablishContext"));
  ASSERT_NE(establish, nullptr);
  long context = 0;
  constexpr unsigned long whole_system = 2;
  EXPECT_EQ(establish(whole_system, nullptr, nullptr, &context), 0);
  EXPECT_TRUE(called("pcscd", "sd_listen_fds", 1));
  EXPECT_TRUE(called("pcscd", "sd_is_socket", 1));
}

TEST_F(daemons, rpcbind) {
  if (!installed({"/usr/sbin/rpcbind"})) GTEST_SKIP();
  start("rpcbind.socket");
  // Over each of the sockets: TCP and UDP of IPv4 and IPv6, and the unix socket.
  EXPECT_THAT(client("rpcinfo -t 127.0.0.1 100000"), HasSubstr("program 100000 version 4 ready and waiting"));
  EXPECT_THAT(client("rpcinfo -u 127.0.0.1 100000"), HasSubstr("program 100000 version 4 ready and waiting"));
  EXPECT_THAT(client("rpcinfo -T tcp6 ::1 100000"), HasSubstr("program 100000 version 4 ready and waiting"));
  EXPECT_THAT(client("rpcinfo -T udp6 ::1 100000"), HasSubstr("program 100000 version 4 ready and waiting"));
  EXPECT_THAT(client("rpcinfo"), HasSubstr("/run/rpcbind.sock"));
  EXPECT_TRUE(active("rpcbind.service"));
  EXPECT_TRUE(called("rpcbind", "sd_listen_fds", 5));
  EXPECT_TRUE(called("rpcbind", "sd_notify", 1));
}

TEST_F(daemons, rsyslog) {
  if (!installed({"/usr/sbin/rsyslogd"})) GTEST_SKIP();
  start("syslog.socket rsyslog.service");
  EXPECT_TRUE(active("rsyslog.service"));
  client("logger --socket /run/systemd/journal/syslog hello");
  EXPECT_TRUE(eventually([] { return content("/run/everything.log").find("hello") != std::string::npos; }));
  EXPECT_TRUE(called("rsyslogd", "sd_listen_fds", 1));
  EXPECT_TRUE(called("rsyslogd", "sd_is_socket_unix", 1));
  EXPECT_TRUE(called("rsyslogd", "sd_notify", 1));
}

TEST_F(daemons, sshd) {
  if (!installed({"/usr/sbin/sshd"})) GTEST_SKIP();
  start("ssh.socket");
  EXPECT_THAT(client("ssh-keyscan 127.0.0.1"), HasSubstr("127.0.0.1 ssh-ed25519 "));
  EXPECT_TRUE(active("ssh.service"));
  EXPECT_TRUE(called("sshd", "sd_listen_fds", 1));
  EXPECT_TRUE(called("sshd", "sd_notify", 1));
}

TEST_F(daemons, tor) {
  if (!installed({"/usr/bin/tor", "/usr/bin/tor-resolve"})) GTEST_SKIP();
  start("tor@default.service");
  EXPECT_TRUE(active("tor@default.service"));
  EXPECT_EQ(client("tor-resolve here.test 127.0.0.1:9050"), "192.0.2.7\n");
  if (under_sd_activate()) return;  // without the watchdog
  EXPECT_TRUE(called("tor", "sd_watchdog_enabled", 1));
  // The daemon sends one per second; the period is two seconds.
  EXPECT_TRUE(eventually([this] { return calls("tor", "sd_notify", 1) > 4; }));
  EXPECT_TRUE(active("tor@default.service"));
  EXPECT_EQ(property("tor@default.service", "NRestarts"), "0");
}

TEST_F(daemons, unbound) {
  if (!installed({"/usr/sbin/unbound", "/usr/bin/kdig"})) GTEST_SKIP();
  start("unbound.socket");
  EXPECT_EQ(client("kdig +short @127.0.0.1 here.test A"), "192.0.2.7\n");
  EXPECT_EQ(client("kdig +short +tcp @127.0.0.1 here.test A"), "192.0.2.7\n");
  EXPECT_TRUE(active("unbound.service"));
  EXPECT_TRUE(called("unbound", "sd_listen_fds", 2));
  EXPECT_TRUE(called("unbound", "sd_notify", 1));
}

TEST_F(daemons, uuidd) {
  if (!installed({"/usr/sbin/uuidd"})) GTEST_SKIP();
  start("uuidd.socket");
  EXPECT_THAT(client("uuidd -r"), testing::ContainsRegex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$"));
  EXPECT_TRUE(called("uuidd", "sd_listen_fds", 1));
}

}  // namespace
