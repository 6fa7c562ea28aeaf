// SPDX-License-Identifier: MIT OR Apache-2.0
// sd-activate --adopt: programs that bind their own sockets, as services.
#include "client.hpp"
#include "directory.hpp"
#include "free_port.hpp"
#include "process.hpp"
#include "running.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using sd::activate::test::activator;
using sd::activate::test::circumstances;
using sd::activate::test::eventually;
using sd::activate::test::is_running;
using sd::activate::test::run;
using sd::activate::test::without;
using sd::activate::test::words;
using sd::test::ask;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class adopt_option : public testing::Test {
 protected:
  /// Returns an address at which nobody listens.
  [[nodiscard]] static std::string free_address() {
    return "127.0.0.1:" + sd::test::free_port(sd::kind::stream, "127.0.0.1");
  }

  /// The command line of a program that takes these steps.
  [[nodiscard]] static words with_steps(words options, const words& steps) {
    options.insert(options.end(), {"--", STEPS});
    options.insert(options.end(), steps.begin(), steps.end());
    return options;
  }

  /// The steps of a server at the address, which becomes ready later.
  [[nodiscard]] static words server(const std::string& where) {
    return {"sleep 50", "fd=socket inet stream", "bind $fd " + where, "listen $fd", "serve $fd"};
  }

  /// Begins the unit of a service, which passes the options of AddressSanitizer on.
  [[nodiscard]] std::ofstream service() const {
    std::ofstream file(there_ / "web.service");
    file << "[Service]\nPassEnvironment=ASAN_OPTIONS\n";
    return file;
  }

  [[nodiscard]] const sd::test::directory& there() const { return there_; }

 private:
  sd::test::directory there_;
};

TEST_F(adopt_option, program_is_started_on_demand) {
  const auto where = free_address();
  activator program(with_steps({"-v", "--adopt", "-l", where}, server(where)));
  EXPECT_EQ(program.address(), where);
  const auto pid = std::stoi(ask(where, "pid"));
  EXPECT_EQ(program.event("started").value("pid", 0), pid);
  EXPECT_EQ(program.event("ready").value("pid", 0), pid);
  EXPECT_THAT(program.errors(), HasSubstr("steps.service: has adopted " + where + '\n'));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.errors(), Not(HasSubstr("warning")));
}

TEST_F(adopt_option, next_process_has_adopted_the_socket_before_the_old_one_is_stopped) {
  const auto where = free_address();
  activator program(with_steps({"--adopt", "-l", where}, server(where)));
  EXPECT_EQ(program.address(), where);
  const auto old_pid = std::stoi(ask(where, "pid"));
  program.send(SIGHUP);
  const auto new_pid = program.event("restarted").value("pid", 0);
  EXPECT_NE(new_pid, old_pid);
  EXPECT_TRUE(eventually([&] { return !is_running(old_pid); }));
  EXPECT_EQ(ask(where, "pid"), std::to_string(new_pid));
}

TEST_F(adopt_option, process_that_does_not_adopt_the_socket_does_not_replace_the_old_one) {
  const auto where = free_address();
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=" << where << '\n';
  std::ofstream(there() / "server") << "#!/bin/sh\n[ ! -e " << there() / "fails"
                                    << " ] || exit 3\nexec " << STEPS << " 'fd=socket inet stream' 'bind $fd " << where
                                    << "' 'serve $fd'\n";
  std::filesystem::permissions(there() / "server", std::filesystem::perms::owner_all);
  service() << "ExecStart=" << there() / "server" << '\n';
  activator program({"--adopt", there() / "web.socket"});
  EXPECT_EQ(program.address(), where);
  const auto pid = ask(where, "pid");
  std::ofstream(there() / "fails").flush();
  program.send(SIGHUP);
  EXPECT_TRUE(program.reports("web.service: the restart failed: exited with status 3; the old process stays\n"));
  EXPECT_EQ(ask(where, "pid"), pid);
}

TEST_F(adopt_option, unadopted_socket_causes_a_warning_at_ready_and_at_exit) {
  const auto first = free_address();
  activator program(with_steps({"--adopt", "--now", "-l", first, "-l", "127.0.0.1:0"}, server(first)));
  const auto second = program.addresses(2)[1];
  const auto warning = "sd-activate: warning: steps.service: has not adopted " + second +
                       ": see SD_ADOPT_VERBOSE=1 for the addresses that it binds\n";
  EXPECT_TRUE(program.reports(warning));
  EXPECT_THAT(program.errors(), Not(HasSubstr("has not adopted " + first)));
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.errors(), HasSubstr(warning + warning));
}

TEST_F(adopt_option, service_that_notifies_is_ready_when_it_says_so) {
  const auto where = free_address();
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=" << where << '\n';
  service() << "Type=notify\nEnvironment=LD_PRELOAD=libdl.so.2\nExecStart=" << STEPS
            << " \"fd=socket inet stream\" \"bind $$fd " << where
            << "\" notify \"variable LD_PRELOAD\" \"serve $$fd\"\n";
  activator program({"--adopt", there() / "web.socket"});
  EXPECT_EQ(program.address(), where);
  const auto pid = std::stoi(ask(where, "pid"));
  EXPECT_EQ(program.event("ready").value("pid", 0), pid);
  EXPECT_THAT(program.output(), HasSubstr("libsd-adopt.so libdl.so.2\n"));
  EXPECT_THAT(program.errors(), Not(HasSubstr("warning")));
}

TEST_F(adopt_option, only_processes_that_get_the_sockets_load_the_library) {
  const auto where = free_address();
  const auto print = std::string("=" STEPS " \"variable LD_PRELOAD\"");
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=" << where << '\n';
  service() << "ExecStartPre" << print << "\nExecStart" << print
            << " \"variable NOTIFY_SOCKET\" \"fd=socket inet stream\" \"bind $$fd " << where << "\" \"serve $$fd\"\n";
  activator program({"--adopt", there() / "web.socket"});
  EXPECT_EQ(program.address(), where);
  EXPECT_NE(ask(where, "pid"), "");
  EXPECT_THAT(program.output(), AllOf(StartsWith("variable LD_PRELOAD: (unset)\nvariable LD_PRELOAD: /"),
                                      HasSubstr("/libsd-adopt.so\nvariable NOTIFY_SOCKET: (unset)\n")));
}

TEST_F(adopt_option, statically_linked_program_is_refused) {
#if defined(STATIC_PROGRAM)
  const auto result = run({"--adopt", "-l", "127.0.0.1:0", "--", STATIC_PROGRAM});
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.errors, std::string("sd-activate: error: --adopt: ") + STATIC_PROGRAM +
                               " is linked statically, so that no library can be preloaded\n");
  std::ofstream(there() / "script") << "#!" << STATIC_PROGRAM << "\n";
  EXPECT_THAT(run({"--adopt", "-l", "127.0.0.1:0", "--", there() / "script"}).errors,
              HasSubstr("script is run by " STATIC_PROGRAM ", which is linked statically"));
  const std::filesystem::path program = STATIC_PROGRAM;
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
  service() << "Environment=PATH=/nowhere:" << program.parent_path().string()
            << "\nExecStart=" << program.filename().string() << '\n';
  EXPECT_THAT(run({"--adopt", there() / "web.socket"}).errors,
              HasSubstr("--adopt: " + program.filename().string() + " is linked statically"));
#else
  GTEST_SKIP() << "SKIPPED: programs cannot be linked statically here";
#endif
}

TEST_F(adopt_option, library_must_be_there_and_its_path_must_fit_into_ld_preload) {
  namespace fs = std::filesystem;
  const auto errors = [&](const std::string& directory, bool has_library) {
    fs::create_directories(there() / directory);
    fs::copy_file(SD_ACTIVATE, there() / directory + "/sd-activate", fs::copy_options::overwrite_existing);
    if (has_library) std::ofstream(there() / directory + "/libsd-adopt.so");
    circumstances how;
    how.program = {there() / directory + "/sd-activate"};
    return without(there().path(), run({"--adopt", "-l", "127.0.0.1:0", "--", "cat"}, how).errors);
  };
  EXPECT_THAT(errors("bin", false), StartsWith("sd-activate: error: --adopt: libsd-adopt.so in DIR/bin or DIR/"));
  EXPECT_THAT(errors("bin", false), EndsWith(": No such file or directory\n"));
  for (const std::string name : {"my programs", "my:programs"}) {
    EXPECT_EQ(errors(name, true), "sd-activate: error: --adopt: LD_PRELOAD cannot name DIR/" + name +
                                      "/libsd-adopt.so, which contains a space or a colon: Invalid argument\n");
  }
}

TEST_F(adopt_option, program_that_ends_at_once_has_adopted_its_socket) {
  const auto where = free_address();
  activator program(
      with_steps({"-v", "--adopt", "--now", "--once", "-l", where}, {"fd=socket inet stream", "bind $fd " + where}));
  EXPECT_EQ(program.wait(), 0);
  EXPECT_THAT(program.errors(), HasSubstr("has adopted " + where));
  EXPECT_THAT(program.errors(), Not(HasSubstr("has not adopted")));
}

TEST_F(adopt_option, program_may_adopt_its_sockets_one_after_the_other) {
  const auto first = free_address();
  const auto second = free_address();
  activator program(with_steps({"--adopt", "--now", "-l", first, "-l", second},
                               {"a=socket inet stream", "bind $a " + first, "sleep 100", "b=socket inet stream",
                                "bind $b " + second, "serve $a"}));
  EXPECT_NE(program.event("ready").value("pid", 0), 0);
  EXPECT_EQ(program.stop(), 0);
  EXPECT_THAT(program.errors(), Not(HasSubstr("warning")));
}

TEST_F(adopt_option, start_times_out_unless_a_program_runs_that_need_not_notify) {
  const auto start = [&](const std::string& settings) {
    std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
    service() << "TimeoutStartSec=100ms\nExecStart=/bin/sleep 60\n" << settings;
    return activator({"--adopt", "--now", there() / "web.socket"});
  };
  const std::string failure = "web.service: did not start in time";
  EXPECT_TRUE(start("Type=notify\n").reports(failure));
  EXPECT_TRUE(start("ExecStartPre=/bin/sleep 60\n").reports(failure));
  // Commands after the start have the same time.
  auto slow = start("ExecStartPost=/bin/sleep 60\n");
  EXPECT_NE(slow.event("ready").value("pid", 0), 0);
  EXPECT_TRUE(slow.reports(failure));
  auto program = start("");
  EXPECT_TRUE(is_running(program.event("ready").value("pid", 0)));
  EXPECT_TRUE(program.reports("warning: web.service: has not adopted 127.0.0.1:"));
  EXPECT_THAT(program.errors(), Not(HasSubstr(failure)));
}

TEST_F(adopt_option, reports_are_checked) {
  const auto where = free_address();
  activator program(with_steps({"-v", "--adopt", "--now", "-l", where, "-l", "127.0.0.1:0"},
                               {"variable SD_ADOPT_NOTIFY", "adopted x", "adopted 2", "fd=socket inet stream",
                                "bind $fd " + where, "adopted 0", "serve $fd"}));
  EXPECT_NE(program.event("ready").value("pid", 0), 0);
  // A process that does not belong to the service.
  const std::string prefix = "variable SD_ADOPT_NOTIFY: ";
  const auto manager = program.output().substr(prefix.size(), program.output().find('\n') - prefix.size());
  EXPECT_EQ(sd::test::run({{STEPS, "adopted 1"}, 0, {}, {{"SD_ADOPT_NOTIFY", manager}}}).status, 0);
  EXPECT_TRUE(program.reports("NotifyAccess= excludes a message of process"));
  const auto errors = program.errors();
  const std::string report = ": has adopted ";
  const auto first = errors.find(report);
  EXPECT_EQ(errors.find(report + where), first) << errors;
  EXPECT_EQ(errors.find(report, first + 1), std::string::npos) << errors;
}

TEST_F(adopt_option, program_that_ends_before_it_is_ready_has_failed) {
  const auto where = free_address();
  const auto run_once = [&](const std::string& type, const std::string& steps) {
    std::ofstream(there() / "web.socket")
        << "[Socket]\nListenStream=" << where << (type == "simple" ? "\nListenStream=127.0.0.1:0\n" : "\n");
    service() << "Type=" << type << "\nExecStart=" STEPS " " << steps << '\n';
    return run({"--adopt", "--now", "--once", there() / "web.socket"});
  };
  const auto adopting = "\"fd=socket inet stream\" \"bind $$fd " + where + '"';
  const std::string failure = "web.service: exited with status 0 before it was ready";
  const auto errors = run_once("simple", "descriptors").errors;
  EXPECT_THAT(errors, HasSubstr(failure));
  EXPECT_THAT(errors, HasSubstr("has not adopted " + where));
  EXPECT_THAT(run_once("notify", adopting + " \"sleep 50\"").errors, HasSubstr(failure));
  const auto result = run_once("simple", adopting);
  EXPECT_THAT(result.errors, Not(HasSubstr(failure)));
  EXPECT_EQ(result.status, 0);
}

TEST_F(adopt_option, settings_that_do_not_fit_are_refused) {
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
  for (const std::string setting : {"FileDescriptorStoreMax=1", "Type=oneshot", "StandardInput=socket"}) {
    service() << "ExecStart=/bin/cat\n" << setting << '\n';
    const auto result = run({"--adopt", there() / "web.socket"});
    EXPECT_EQ(result.status, 3);
    EXPECT_THAT(result.errors, HasSubstr("--adopt does not work with " + setting.substr(0, setting.find('='))));
  }
}

TEST_F(adopt_option, connections_cannot_be_adopted) {
  for (const std::string option : {"--accept", "--inetd"}) {
    EXPECT_THAT(
        run({"--adopt", option, "-l", "127.0.0.1:0", "--", "cat"}).errors,
        StartsWith("sd-activate: --adopt is for a program that binds sockets; --accept and --inetd give it none"));
  }
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\nAccept=yes\n";
  std::ofstream(there() / "web@.service") << "[Service]\nExecStart=/bin/cat\n";
  EXPECT_THAT(run({"--adopt", there() / "web.socket"}).errors,
              HasSubstr("--adopt is for a program that binds sockets; with Accept=yes there are none to bind"));
}

TEST_F(adopt_option, units_with_errors_are_refused) {
  std::ofstream(there() / "web.socket") << "[Socket]\nListenStream=127.0.0.1:0\n";
  const auto result = run({"--adopt", there() / "web.socket"});
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.errors, HasSubstr("web.service"));
  EXPECT_EQ(run({"--adopt", there() / "web.socket", there() / "missing.socket"}).status, 3);
  EXPECT_EQ(run({"--adopt", there() / "missing.socket"}).status, 3);
}

}  // namespace
