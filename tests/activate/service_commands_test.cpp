// SPDX-License-Identifier: MIT OR Apache-2.0
// The commands of services and sockets: their order, what they know, and what they are passed.
#include "client.hpp"
#include "running.hpp"
#include "units.hpp"
#include "web.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::eventually;
using sd::activate::test::exec_start;
using sd::activate::test::run;
using sd::activate::test::service;
using sd::activate::test::text_of;
using sd::activate::test::units;
using sd::test::ask;
using testing::HasSubstr;
using testing::Not;

TEST_F(units, service_runs_its_commands_in_order) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  const auto say = [&](const std::string& word) {
    return "/bin/sh -c 'echo " + word + " >> " + (there_ / "order") + "'\n";
  };
  EXPECT_THAT(write("web.service", "[Service]\nExecStartPre=" + say("pre") + "ExecStartPre=-/bin/false\n" +
                                       exec_start() + "ExecStartPost=" + say("post") + "ExecStop=" +
                                       say("stop $MAINPID") + "ExecStopPost=" + say("after $SERVICE_RESULT")),
              Not(""));
  activator program({unit});
  const auto pid = ask(program.address(), "pid");
  const auto text = [&] { return text_of(there_ / "order"); };
  EXPECT_TRUE(eventually([&] { return text().find("post") != std::string::npos; }));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(text(), "pre\npost\nstop " + pid + "\nafter success\n");
}

TEST_F(units, no_signal_is_forwarded_before_the_main_process_starts) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  const auto wait = "touch " + (there_ / "begun") + "; until test -e " + (there_ / "go") + "; do sleep 0.01; done";
  EXPECT_THAT(write("web.service", "[Service]\nExecStartPre=/bin/sh -c '" + wait + "'\n" + exec_start()), Not(""));
  ::setpgid(0, 0);  // Processes outside of the test must not be signalled if it fails.
  activator program({"--now", unit});
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(there_ / "begun"); }));
  program.send(SIGUSR2);  // Sent to process 0, it would kill this process.
  std::ofstream(there_ / "go").flush();
  EXPECT_NE(ask(program.address(), "pid"), "");
  EXPECT_EQ(program.stop(), 0);
}

TEST_F(units, socket_runs_its_commands_in_order) {
  const auto say = [&](const std::string& word) {
    return "=/bin/sh -c 'test -e " + (there_ / "s") + " && there=yes; echo " + word + " $there >> " +
           (there_ / "order") + "'\n";
  };
  const auto unit = write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") + "\nRemoveOnStop=yes\n" +
                                            "ExecStartPre" + say("start-pre") + "ExecStartPost" + say("start-post") +
                                            "ExecStopPre" + say("stop-pre") + "ExecStopPost" + say("stop-post"));
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({unit});
  program.address();
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(text_of(there_ / "order"), "start-pre\nstart-post yes\nstop-pre yes\nstop-post\n");
}

TEST_F(units, commands_of_the_socket_are_passed_the_descriptors_if_its_unit_says_so) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") +
                                            "\nRemoveOnStop=yes\nPassFileDescriptorsToExec=yes\n"
                                            "ExecStartPost=" SD_ACTIVATE " show\n");
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({unit});
  program.address();
  EXPECT_THAT(program.output(), HasSubstr("LISTEN_FDNAMES=web.socket\n"));
  EXPECT_THAT(program.output(), HasSubstr("descriptor 3 \"web.socket\": stream unix " + (there_ / "s") + '\n'));
  EXPECT_EQ(program.errors(), "sd-activate: listening on stream unix " + (there_ / "s") + " nonblocking\n");
}

TEST_F(units, commands_of_the_socket_are_usually_passed_nothing) {
  const auto unit =
      write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") + "\nExecStartPost=" SD_ACTIVATE " show\n");
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  activator program({unit});
  program.address();
  EXPECT_THAT(program.output(), HasSubstr("no descriptors"));
}

TEST_F(units, sockets_are_closed_before_the_last_command) {
  EXPECT_THAT(write("web.service", "[Service]\n" + exec_start()), Not(""));
  EXPECT_THAT(write("web@.service", "[Service]\n" + exec_start()), Not(""));
  for (const std::string accept : {"no", "yes"}) {
    const auto unit = write("web.socket", "[Socket]\nListenStream=" + (there_ / "s") + "\nAccept=" + accept +
                                              "\nExecStopPost=/bin/sh -c 'grep " + (there_ / "s") +
                                              " /proc/net/unix || echo closed'\n");
    activator program({"-q", unit});
    program.address();
    EXPECT_NE(ask(there_ / "s", "pid"), "");
    EXPECT_EQ(program.stop(), 0);
    EXPECT_EQ(program.output(), "closed\n") << accept;
  }
}

TEST_F(units, commands_know_the_main_process_and_have_no_sockets) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  const auto say = [&](const std::string& word) {
    return "/bin/sh -c 'echo " + word +
           " $${LISTEN_FDS-none} $${MAINPID-none} $${SERVICE_RESULT-none} $${NOTIFY_SOCKET+notify} >>" +
           (there_ / "said") + "'\n";
  };
  for (const std::string access : {"main", "exec", "all"}) {
    EXPECT_THAT(write("said", ""), Not(""));
    EXPECT_THAT(write("web.service", "[Service]\nNotifyAccess=" + access + '\n' + exec_start() +
                                         "ExecStartPre=" + say("before") + "ExecStartPost=" + say("after") +
                                         "ExecStop=" + say("stop") + "ExecStopPost=" + say("last")),
                Not(""));
    activator program({"-q", "--now", unit});
    const auto pid = program.event("started").at("pid").dump();
    EXPECT_TRUE(eventually([&] { return text_of(there_ / "said").find("after") != std::string::npos; }));
    EXPECT_EQ(program.stop(), 0);
    const std::string end = access == "main" ? "\n" : " notify\n";
    EXPECT_EQ(text_of(there_ / "said"), "before none none none" + end + "after none " + pid + " none" + end +
                                            "stop none " + pid + " success" + end + "last none none success" + end);
  }
}

TEST_F(units, last_commands_know_how_the_service_ended) {
  const auto unit = write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  const struct {
    std::string settings;
    std::string request;
    int status;
    const char* said;
  } rows[] = {{exec_start(), "exit 0", 0, "success exited 0"},
              {exec_start(), "exit 3", 3, "exit-code exited 3"},
              {exec_start(), "raise 9", 128 + 9, "signal killed KILL"},
              {"Type=notify\n" + exec_start(), "exit 0", 1, "protocol exited 0"},
              {"Type=notify-reload\n" + exec_start({"--ready"}), "", 1, "protocol killed TERM"},
              {"Type=notify\nTimeoutStartSec=100ms\n" + exec_start(), "", 1, "timeout killed TERM"},
              {"WatchdogSec=100ms\n" + exec_start(), "", 128 + 6, "watchdog killed ABRT"},
              {"ExecStartPre=no-such-program\n" + exec_start(), "", 1, "exit-code none none"}};
  for (const auto& [settings, request, status, said] : rows) {
    EXPECT_THAT(write("web.service", "[Service]\n" + settings +
                                         "ExecStopPost=/bin/sh -c 'echo $${SERVICE_RESULT-none} $${EXIT_CODE-none} "
                                         "$${EXIT_STATUS-none} >" +
                                         (there_ / "said") + "'\n"),
                Not(""));
    activator program({"-q", "--now", "--once", unit});
    if (!request.empty()) {
      EXPECT_EQ(ask(program.address(), request), "");
    }
    EXPECT_EQ(program.wait(), status) << settings;
    EXPECT_EQ(text_of(there_ / "said"), std::string(said) + '\n') << settings;
  }
}

// --- services that run to their end ----------------------------------------------------------------------------------

class oneshot : public units {
 protected:
  /// Returns the path of a socket unit whose service has Type=oneshot and these settings.
  [[nodiscard]] std::string write_service(const std::string& settings) const {
    EXPECT_THAT(write("web.service", "[Service]\nType=oneshot\n" + settings), Not(""));
    return write("web.socket", "[Socket]\nListenStream=127.0.0.1:0\n");
  }

  /// Returns a command that adds a word to those that `said()` returns, and what the shell does then.
  [[nodiscard]] std::string say(const std::string& word, const std::string& then = "") const {
    return "/bin/sh -c 'echo " + word + " >>" + (there_ / "said") + "; " + then + "'\n";
  }

  [[nodiscard]] std::string said() const { return text_of(there_ / "said"); }
};

TEST_F(oneshot, service_runs_its_commands_in_order) {
  const auto ended =
      run({"-q", "--now", "--once",
           write_service("NotifyAccess=main\nExecStart=" + say("first") + "ExecStart=-/bin/false\n" +
                         exec_start({"--notify", "READY=1"}) + "ExecStart=" + say("second") +
                         "ExecStartPost=" + say("after") + "ExecStop=" + say("stop") + "ExecStopPost=" + say("last"))});
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.errors, "");
  EXPECT_EQ(said(), "first\nsecond\nafter\nlast\n");
}

TEST_F(oneshot, service_may_have_no_main_command) {
  const auto ended = run({"-q", "--now", "--once", write_service("ExecStartPost=" + say("after"))});
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(said(), "after\n");
}

TEST_F(oneshot, command_that_fails_ends_the_service) {
  const auto ended = run({"-q", "--now", "--once",
                          write_service("ExecStart=" + say("first", "exit 3") + "ExecStart=" + say("second") +
                                        "ExecStartPost=" + say("after") + "ExecStopPost=" + say("last"))});
  EXPECT_EQ(ended.status, 3);
  EXPECT_EQ(ended.errors, "sd-activate: error: web.service: exited with status 3\n");
  EXPECT_EQ(said(), "first\nlast\n");
}

TEST_F(oneshot, no_command_is_started_after_the_signal_to_stop) {
  const auto unit = write_service("ExecStart=" + say("first", "trap \"exit 0\" TERM; while :; do sleep 0.01; done") +
                                  "ExecStart=" + say("second") + "ExecStop=" + say("stop"));
  activator program({"-q", "--now", unit});
  EXPECT_TRUE(eventually([&] { return said() == "first\n"; }));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(said(), "first\n");
}

TEST_F(oneshot, nothing_is_left_to_stop_after_the_main_commands) {
  const auto unit = write_service("ExecStart=/bin/true\nExecStartPost=" + say("after", "exec sleep 1000") +
                                  "ExecStop=" + say("stop"));
  activator program({"-q", "--now", unit});
  EXPECT_TRUE(eventually([&] { return said() == "after\n"; }));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_EQ(said(), "after\n");
}

}  // namespace
