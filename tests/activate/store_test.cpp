// SPDX-License-Identifier: MIT OR Apache-2.0
// Descriptors that a service stores in sd-activate.
#include "client.hpp"
#include "descriptor_limit.hpp"
#include "running.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::count;
using sd::activate::test::count_descriptors;
using sd::activate::test::create;
using sd::activate::test::eventually;
using sd::activate::test::web;
using sd::test::ask;
using sd::test::connect;

class store : public web {
 protected:
  /// Writes units for a service that can store three descriptors, and is started again after a crash.
  [[nodiscard]] std::string write_storing(const std::string& settings = "Restart=always\nRestartSec=0\n") const {
    return write("FileDescriptorStoreMax=3\n" + settings);
  }
};

/// Restarts the service, and returns the names of the descriptors that it is passed then.
std::string names_after_restart(activator& program, const std::string& where) {
  program.send(SIGHUP);
  EXPECT_NE(program.event("restarted").value("pid", 0), 0);
  return ask(where, "variable LISTEN_FDNAMES");
}

/// Kills the service, and returns the names that the next one is passed.
std::string names_after_crash(activator& program, const std::string& where) {
  const auto pid = ask(where, "pid");
  ::kill(std::stoi(pid), SIGKILL);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGKILL);
  return ask(where, "variable LISTEN_FDNAMES");
}

TEST_F(store, descriptors_follow_the_sockets_with_their_names) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable FDSTORE"), "3");
  EXPECT_EQ(ask(where, "variable LISTEN_FDNAMES"), "web.socket");
  ask(where, "send FDSTORE=1");
  ask(where, "send FDSTORE=1+FDNAME=a");
  ask(where, "send FDSTORE=1+FDNAME=b");
  EXPECT_EQ(names_after_restart(program, where), "web.socket:stored:a:b");
  EXPECT_EQ(ask(where, "variable LISTEN_FDS"), "4");
  EXPECT_EQ(ask(where, "descriptors"), "3 4 5 6 7");  // the last one is the connection
  EXPECT_EQ(names_after_crash(program, where), "web.socket:stored:a:b");
  EXPECT_EQ(names_after_restart(program, where), "web.socket:stored:a:b");
}

TEST_F(store, descriptors_are_removed_by_name) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  for (const auto* const name : {"a", "b", "a"}) ask(where, std::string("send FDSTORE=1+FDNAME=") + name);
  ask(where, "send FDSTOREREMOVE=1+FDNAME=a");
  EXPECT_EQ(names_after_restart(program, where), "web.socket:b");
  ask(where, "send FDSTOREREMOVE=1+FDNAME=other");
  EXPECT_EQ(names_after_restart(program, where), "web.socket:b");
}

TEST_F(store, sd_activate_may_open_as_many_descriptors_as_possible) {
  rlimit limit{};
  {
    const sd::test::descriptor_limit low(200);
    activator program({"-q", write_storing()});
    EXPECT_NE(ask(program.address(), "pid"), "");
    ASSERT_EQ(::prlimit(program.pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  }
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST_F(store, copies_of_a_stored_descriptor_are_dropped) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  ask(where, "store a");
  ask(where, "store-again a");
  ask(where, "store-again b");
  EXPECT_THAT(names_after_restart(program, where), testing::MatchesRegex("web.socket:[^:]*a"));
}

TEST_F(store, descriptors_over_the_limit_are_closed) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  for (const auto* const name : {"a", "b", "c", "d", "e"}) ask(where, std::string("send FDSTORE=1+FDNAME=") + name);
  EXPECT_EQ(names_after_restart(program, where), "web.socket:a:b:c");
  EXPECT_EQ(count(program.errors(), "web.service: FileDescriptorStoreMax=3 is reached; 1 descriptors were closed"), 2U)
      << program.errors();
}

TEST_F(store, malformed_name_is_ignored) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  ask(where, "send FDSTORE=1+FDNAME=a:b");
  ask(where, "send FDNAME=b:c");  // which stores nothing
  ask(where, "send FDSTORE=1+FDNAME=");
  EXPECT_EQ(names_after_restart(program, where), "web.socket:stored:stored");
  EXPECT_EQ(program.errors(),
            "sd-activate: warning: web.service: FDNAME=a:b is not a valid name, and is ignored\n"
            "sd-activate: warning: web.service: FDNAME= is not a valid name, and is ignored\n");
}

TEST_F(store, connection_that_hangs_up_is_removed_unless_it_is_not_watched) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  const auto before = count_descriptors(program.pid());
  ask(where, "store-end a");
  ask(where, "store-unpolled b");
  EXPECT_EQ(count_descriptors(program.pid()), before + 2);
  ask(where, "close-ends");
  EXPECT_TRUE(eventually([&] { return count_descriptors(program.pid()) == before + 1; }));
  EXPECT_THAT(names_after_restart(program, where), testing::MatchesRegex("web.socket:[^:]*b"));
}

TEST_F(store, message_counts_although_its_sender_has_ended) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  for (int i = 0; i < 3; ++i) {
    ask(where, "send-and-exit FDSTORE=1+FDNAME=a");
    program.event("exited");
  }
  EXPECT_EQ(ask(where, "variable LISTEN_FDNAMES"), "web.socket:a:a:a");
}

TEST_F(store, descriptors_stay_as_long_as_the_unit_chooses) {
  const struct {
    std::string settings;
    const char* after_restart;  ///< on SIGHUP
    const char* after_recovery;
    const char* after_next_client;
  } rows[] = {
      {"", "web.socket:a", "web.socket:a", "web.socket"},
      {"FileDescriptorStorePreserve=restart\n", "web.socket:a", "web.socket:a", "web.socket"},
      {"FileDescriptorStorePreserve=yes\n", "web.socket:a", "web.socket:a", "web.socket:a"},
      {"FileDescriptorStorePreserve=no\n", "web.socket", "web.socket", "web.socket"},
  };
  for (const auto& row : rows) {
    activator program({"-q", write_storing(row.settings + "RestartForceExitStatus=3\n")});
    const auto where = program.address();
    ask(where, "send FDSTORE=1+FDNAME=a");
    EXPECT_EQ(names_after_restart(program, where), row.after_restart) << row.settings;
    ask(where, "send FDSTOREREMOVE=1+FDNAME=a");
    ask(where, "send FDSTORE=1+FDNAME=a");
    EXPECT_EQ(ask(where, "exit 3"), "");
    EXPECT_EQ(ask(where, "variable LISTEN_FDNAMES"), row.after_recovery) << row.settings;
    EXPECT_EQ(ask(where, "exit 0"), "");
    EXPECT_EQ(ask(where, "variable LISTEN_FDNAMES"), row.after_next_client) << row.settings;
  }
}

TEST_F(store, service_without_a_store_keeps_nothing) {
  activator program({"-q", write("NotifyAccess=main\nRestart=always\nRestartSec=0\n")});
  const auto where = program.address();
  EXPECT_EQ(ask(where, "variable FDSTORE"), "(unset)");
  const auto before = count_descriptors(program.pid());
  for (int i = 0; i < 10; ++i) ask(where, "send FDSTORE=1");
  EXPECT_EQ(count_descriptors(program.pid()), before);
  EXPECT_EQ(names_after_crash(program, where), "web.socket");
}

TEST_F(store, other_processes_store_nothing) {
  const auto unit = write_storing("Restart=always\nRestartSec=0\n");
  std::ofstream(there_ / "web.service", std::ios::app) << "NotifyAccess=main\n";
  activator program({"-q", unit});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  const auto before = count_descriptors(program.pid());
  ask(where, "send-from-child FDSTORE=1");
  EXPECT_TRUE(eventually([&] { return count_descriptors(program.pid()) == before; }));  // a thread closes it
  EXPECT_EQ(names_after_restart(program, where), "web.socket");
}

TEST_F(store, no_descriptor_leaks) {
  activator program({"-q", write_storing()});
  const auto where = program.address();
  ask(where, "pid");
  const auto before = count_descriptors(program.pid());
  for (int i = 0; i < 20; ++i) {
    for (const auto* const request : {"send FDSTORE=1+FDNAME=a", "send FDSTORE=1+FDNAME=a:", "send X=1",
                                      "store-again a", "send FDSTORE=1+FDNAME=a", "send FDSTORE=1+FDNAME=a"}) {
      ask(where, request);
    }
    EXPECT_LE(count_descriptors(program.pid()), before + 3);
    ask(where, "send FDSTOREREMOVE=1+FDNAME=a");
    ask(where, "send FDSTOREREMOVE=1+FDNAME=stored");
    ask(where, "forget a");
    program.send(SIGHUP);
    program.event("restarted");
  }
  EXPECT_EQ(ask(where, "variable LISTEN_FDNAMES"), "web.socket");
  EXPECT_EQ(count_descriptors(program.pid()), before);
}

TEST_F(store, start_by_a_client_after_a_failed_restart_is_no_restart) {
  activator program(
      {"-q", write("Type=notify\nFileDescriptorStoreMax=1\n", {"--fail-when", there_ / "fail", "--ready"})});
  const auto where = program.address();
  EXPECT_NE(ask(where, "pid"), "");
  create(there_ / "fail");
  program.send(SIGHUP);
  EXPECT_EQ(program.event("exited").value("status", 0), 128 + SIGTERM);
  EXPECT_EQ(program.event("exited").value("status", 0), 3);
  std::filesystem::remove(there_ / "fail");
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.remaining_events(), testing::ElementsAre("started", "ready", "exited"));
}

TEST_F(store, client_waits_while_the_service_is_stopped_and_started) {
  activator program({write("FileDescriptorStoreMax=3\n", {"--handle", "15", there_ / "stopping"})});
  const auto where = program.address();
  const auto pid = ask(where, "pid");
  program.send(SIGHUP);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "stopping"); }));
  program.send(SIGHUP);  // which changes nothing
  ::kill(std::stoi(pid), SIGKILL);
  const auto client = connect(where);
  const auto next = program.event("restarted").value("pid", 0);
  EXPECT_NE(std::to_string(next), pid);
  EXPECT_EQ(sd::test::converse(client, "pid"), std::to_string(next));
  EXPECT_EQ(count(program.errors(), "web.service: restarting\n"), 1U) << program.errors();
}

}  // namespace
