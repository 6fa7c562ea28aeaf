// SPDX-License-Identifier: MIT OR Apache-2.0
#include "service_unit.hpp"

#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::activate::infinity;
using sd::activate::kill_mode;
using sd::activate::notify_access;
using sd::activate::restart_policy;
using sd::activate::service_directives;
using sd::activate::service_directory;
using sd::activate::service_type;
using sd::activate::service_unit;
using sd::activate::store_lifetime;
using sd::activate::stream;
using sd::activate::stream_kind;
using sd::activate::support;
using sd::activate::timeout_mode;
using sd::activate::test::honored_names;
using sd::activate::test::names_in;
using sd::activate::test::read_service;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

using lines = std::vector<std::string>;
using unit = service_unit;

/// Returns the text of a service whose third line is this setting.
std::string with(std::string_view setting) {
  const bool is_of_unit = setting.starts_with("StartLimitIntervalSec=");
  const auto* const before = is_of_unit ? "#\n[Unit]\n" : "[Service]\nExecStart=/bin/a\n";
  return before + std::string(setting) + (is_of_unit ? "\n[Service]\nExecStart=/bin/a\n" : "\n");
}

bool is(const stream& found, stream_kind where, std::string_view name = "") {
  return found.where == where && found.name == name;
}

bool has_limit(const service_unit& read, int resource, rlim_t soft, rlim_t hard) {
  return read.limits.size() == 1 && read.limits[0].resource == resource && read.limits[0].soft == soft &&
         read.limits[0].hard == hard;
}

bool has_start_limit(const service_unit& read, sd::activate::period interval, unsigned burst) {
  return read.start_limit().interval() == interval && read.start_limit().burst() == burst;
}

bool has_directory(const service_unit& read, int kind, std::string_view name) {
  return read.directories.size() == 1 && read.directories[0].kind == kind && read.directories[0].name == name;
}

struct good {
  std::string_view setting;
  std::function<bool(const service_unit&)> holds;
};

const good good_settings[] = {
    {"Type=exec", [](const unit& u) { return u.type == service_type::exec; }},
    {"Type=notify", [](const unit& u) { return u.type == service_type::notify && u.notifies(); }},
    {"Type=notify-reload", [](const unit& u) { return u.type == service_type::notify_reload && u.notifies(); }},
    {"Type=oneshot", [](const unit& u) { return u.type == service_type::oneshot; }},
    {"ExecStartPre=/bin/b", [](const unit& u) { return u.start_pre.size() == 1; }},
    {"ExecStartPost=/bin/b ; /bin/c", [](const unit& u) { return u.start_post.size() == 2; }},
    {"ExecStop=/bin/b $MAINPID", [](const unit& u) { return u.stop.size() == 1; }},
    {"ExecStopPost=-/bin/b", [](const unit& u) { return u.stop_post.size() == 1; }},
    {"TimeoutStartSec=5min 20s", [](const unit& u) { return u.start_timeout == 320s; }},
    {"TimeoutStartSec=0", [](const unit& u) { return u.start_timeout == infinity; }},
    {"TimeoutStopSec=infinity", [](const unit& u) { return u.stop_timeout == infinity; }},
    {"TimeoutSec=7", [](const unit& u) { return u.start_timeout == 7s && u.stop_timeout == 7s; }},
    {"Environment=A=1 \"B=x y\" C=%n D=",
     [](const unit& u) {
       return u.environment == std::vector<std::pair<std::string, std::string>>{
                                   {"A", "1"}, {"B", "x y"}, {"C", "web.service"}, {"D", ""}};
     }},
    {"EnvironmentFile=-/etc/%p",
     [](const unit& u) {
       return u.environment_files.size() == 1 && u.environment_files[0].path == "/etc/web" &&
              u.environment_files[0].may_be_missing;
     }},
    {"PassEnvironment=A B",
     [](const unit& u) {
       return u.pass_environment == lines{"A", "B"};
     }},
    {"UnsetEnvironment=A B=1",
     [](const unit& u) { return u.unset_environment.size() == 2 && u.unset_environment[1].text == "B=1"; }},
    {"WorkingDirectory=/srv/%p", [](const unit& u) { return u.working_directory == "/srv/web"; }},
    {"WorkingDirectory=-/srv",
     [](const unit& u) { return u.working_directory == "/srv" && u.may_lack_working_directory; }},
    {"WorkingDirectory=~", [](const unit& u) { return u.working_directory_is_home; }},
    {"WorkingDirectory=-~", [](const unit& u) { return u.working_directory_is_home && u.may_lack_working_directory; }},
    {"RuntimeDirectory=%p", [](const unit& u) { return has_directory(u, service_directory::runtime, "web"); }},
    {"StateDirectory=a/b", [](const unit& u) { return has_directory(u, service_directory::state, "a/b"); }},
    {"CacheDirectory=a", [](const unit& u) { return has_directory(u, service_directory::cache, "a"); }},
    {"LogsDirectory=a", [](const unit& u) { return has_directory(u, service_directory::logs, "a"); }},
    {"ConfigurationDirectory=a", [](const unit& u) { return has_directory(u, service_directory::configuration, "a"); }},
    {"RuntimeDirectoryMode=0700", [](const unit& u) { return u.directory_modes[service_directory::runtime] == 0700; }},
    {"StateDirectoryMode=0710", [](const unit& u) { return u.directory_modes[service_directory::state] == 0710; }},
    {"CacheDirectoryMode=0720", [](const unit& u) { return u.directory_modes[service_directory::cache] == 0720; }},
    {"LogsDirectoryMode=0730", [](const unit& u) { return u.directory_modes[service_directory::logs] == 0730; }},
    {"ConfigurationDirectoryMode=0740",
     [](const unit& u) { return u.directory_modes[service_directory::configuration] == 0740; }},
    {"RuntimeDirectoryPreserve=yes", [](const unit& u) { return u.keeps_runtime_directory; }},
    {"RuntimeDirectoryPreserve=true", [](const unit& u) { return u.keeps_runtime_directory; }},
    {"User=%p", [](const unit& u) { return u.user == "web"; }},
    {"Group=staff", [](const unit& u) { return u.group == "staff"; }},
    {"SupplementaryGroups=a b",
     [](const unit& u) {
       return u.supplementary_groups == lines{"a", "b"};
     }},
    {"UMask=0077", [](const unit& u) { return u.umask == 0077U; }},
    {"Nice=-20", [](const unit& u) { return u.nice == -20; }},
    {"Nice=19", [](const unit& u) { return u.nice == 19; }},
    {"OOMScoreAdjust=-1000", [](const unit& u) { return u.oom_score_adjust == -1000; }},
    {"IgnoreSIGPIPE=no", [](const unit& u) { return !u.ignores_sigpipe; }},
    {"NoNewPrivileges=yes", [](const unit& u) { return u.no_new_privileges; }},
    {"StandardInput=socket", [](const unit& u) { return is(u.input, stream_kind::socket); }},
    {"StandardInput=file:/%p", [](const unit& u) { return is(u.input, stream_kind::file, "/web"); }},
    {"StandardInput=fd:a", [](const unit& u) { return is(u.input, stream_kind::named_fd, "a"); }},
    {"StandardInput=fd", [](const unit& u) { return is(u.input, stream_kind::named_fd, "stdin"); }},
    {"StandardOutput=null", [](const unit& u) { return is(u.output, stream_kind::null); }},
    {"StandardOutput=inherit", [](const unit& u) { return is(u.output, stream_kind::inherit); }},
    {"StandardOutput=journal", [](const unit& u) { return is(u.output, stream_kind::activator); }},
    {"StandardOutput=journal+console", [](const unit& u) { return is(u.output, stream_kind::activator); }},
    {"StandardOutput=append:/a:b", [](const unit& u) { return is(u.output, stream_kind::append, "/a:b"); }},
    {"StandardOutput=truncate:/a", [](const unit& u) { return is(u.output, stream_kind::truncate, "/a"); }},
    {"StandardOutput=fd", [](const unit& u) { return is(u.output, stream_kind::named_fd, "stdout"); }},
    {"StandardError=file:/a", [](const unit& u) { return is(u.error, stream_kind::file, "/a"); }},
    {"StandardError=kmsg", [](const unit& u) { return is(u.error, stream_kind::activator); }},
    {"StandardError=fd", [](const unit& u) { return is(u.error, stream_kind::named_fd, "stderr"); }},
    {"NonBlocking=yes", [](const unit& u) { return u.nonblocking; }},
    {"NotifyAccess=none", [](const unit& u) { return u.access == notify_access::none; }},
    {"NotifyAccess=main", [](const unit& u) { return u.access == notify_access::main_process; }},
    {"NotifyAccess=exec", [](const unit& u) { return u.access == notify_access::exec_processes; }},
    {"NotifyAccess=all", [](const unit& u) { return u.effective_access() == notify_access::all; }},
    {"FileDescriptorStoreMax=5",
     [](const unit& u) {
       return u.most_stored_descriptors == 5 && u.effective_access() == notify_access::main_process;
     }},
    {"FileDescriptorStorePreserve=no", [](const unit& u) { return u.stored_descriptors_stay == store_lifetime::run; }},
    {"FileDescriptorStorePreserve=yes",
     [](const unit& u) { return u.stored_descriptors_stay == store_lifetime::activator; }},
    {"FileDescriptorStorePreserve=false",
     [](const unit& u) { return u.stored_descriptors_stay == store_lifetime::run; }},
    {"FileDescriptorStorePreserve=true",
     [](const unit& u) { return u.stored_descriptors_stay == store_lifetime::activator; }},
    {"Sockets=a.socket %p.socket",
     [](const unit& u) {
       return u.sockets == lines{"a.socket", "web.socket"};
     }},
    {"KillMode=mixed", [](const unit& u) { return u.kill == kill_mode::mixed; }},
    {"KillMode=process", [](const unit& u) { return u.kill == kill_mode::process; }},
    {"KillMode=none", [](const unit& u) { return u.kill == kill_mode::none; }},
    {"KillSignal=SIGINT", [](const unit& u) { return u.kill_signal == SIGINT; }},
    {"SendSIGHUP=yes", [](const unit& u) { return u.send_sighup; }},
    {"SendSIGKILL=no", [](const unit& u) { return !u.send_sigkill; }},
    {"SuccessExitStatus=1 250 SIGKILL TEMPFAIL",
     [](const unit& u) {
       return u.success_statuses.statuses == std::vector<int>{1, 250, 75} &&
              u.success_statuses.signals == std::vector<int>{SIGKILL};
     }},
    {"TimeoutAbortSec=5", [](const unit& u) { return u.abort_timeout == 5s; }},
    {"TimeoutStartFailureMode=abort", [](const unit& u) { return u.start_timeout_mode == timeout_mode::abort; }},
    {"TimeoutStopFailureMode=kill", [](const unit& u) { return u.stop_timeout_mode == timeout_mode::kill; }},
    {"WatchdogSec=5",
     [](const unit& u) { return u.watchdog == 5s && u.effective_access() == notify_access::main_process; }},
    {"WatchdogSignal=SIGUSR2", [](const unit& u) { return u.watchdog_signal == SIGUSR2; }},
    {"FinalKillSignal=SIGQUIT", [](const unit& u) { return u.final_kill_signal == SIGQUIT; }},
    {"RestartKillSignal=SIGINT", [](const unit& u) { return u.restart_kill_signal == SIGINT; }},
    {"ExecReload=/bin/b", [](const unit& u) { return u.reload.size() == 1 && u.can_reload(); }},
    {"ReloadSignal=SIGUSR1", [](const unit& u) { return u.reload_signal == SIGUSR1; }},
    {"Restart=on-success", [](const unit& u) { return u.restart == restart_policy::on_success; }},
    {"Restart=on-failure", [](const unit& u) { return u.restart == restart_policy::on_failure; }},
    {"Restart=on-abnormal", [](const unit& u) { return u.restart == restart_policy::on_abnormal; }},
    {"Restart=on-watchdog", [](const unit& u) { return u.restart == restart_policy::on_watchdog; }},
    {"Restart=on-abort", [](const unit& u) { return u.restart == restart_policy::on_abort; }},
    {"Restart=always", [](const unit& u) { return u.restart == restart_policy::always; }},
    {"RestartSec=5", [](const unit& u) { return u.restart_delay == 5s; }},
    {"RestartPreventExitStatus=1 SIGABRT",
     [](const unit& u) {
       return u.restart_prevent_statuses.statuses == std::vector<int>{1} &&
              u.restart_prevent_statuses.signals == std::vector<int>{SIGABRT};
     }},
    {"RestartForceExitStatus=0",
     [](const unit& u) { return u.restart_force_statuses.statuses == std::vector<int>{0}; }},
    {"StartLimitIntervalSec=3", [](const unit& u) { return has_start_limit(u, 3s, 5); }},
    {"StartLimitInterval=3", [](const unit& u) { return has_start_limit(u, 3s, 5); }},
    {"StartLimitBurst=3", [](const unit& u) { return has_start_limit(u, 10s, 3); }},
    {"LimitCPU=5", [](const unit& u) { return has_limit(u, RLIMIT_CPU, 5, 5); }},
    {"LimitCPU=1min:2min", [](const unit& u) { return has_limit(u, RLIMIT_CPU, 60, 120); }},
    {"LimitFSIZE=1M", [](const unit& u) { return has_limit(u, RLIMIT_FSIZE, 1 << 20, 1 << 20); }},
    {"LimitDATA=1G", [](const unit& u) { return has_limit(u, RLIMIT_DATA, 1 << 30, 1 << 30); }},
    {"LimitSTACK=8M:infinity", [](const unit& u) { return has_limit(u, RLIMIT_STACK, 8 << 20, RLIM_INFINITY); }},
    {"LimitCORE=0", [](const unit& u) { return has_limit(u, RLIMIT_CORE, 0, 0); }},
    {"LimitCORE=1K", [](const unit& u) { return has_limit(u, RLIMIT_CORE, 1024, 1024); }},
    {"LimitRSS=1K", [](const unit& u) { return has_limit(u, RLIMIT_RSS, 1024, 1024); }},
    {"LimitNOFILE=512:1024", [](const unit& u) { return has_limit(u, RLIMIT_NOFILE, 512, 1024); }},
    {"LimitAS=infinity", [](const unit& u) { return has_limit(u, RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY); }},
    {"LimitAS=1K", [](const unit& u) { return has_limit(u, RLIMIT_AS, 1024, 1024); }},
    {"LimitNPROC=64", [](const unit& u) { return has_limit(u, RLIMIT_NPROC, 64, 64); }},
    {"LimitMEMLOCK=64K", [](const unit& u) { return has_limit(u, RLIMIT_MEMLOCK, 65536, 65536); }},
    {"LimitLOCKS=1", [](const unit& u) { return has_limit(u, RLIMIT_LOCKS, 1, 1); }},
    {"LimitSIGPENDING=1", [](const unit& u) { return has_limit(u, RLIMIT_SIGPENDING, 1, 1); }},
    {"LimitMSGQUEUE=1K", [](const unit& u) { return has_limit(u, RLIMIT_MSGQUEUE, 1024, 1024); }},
    {"LimitNICE=30", [](const unit& u) { return has_limit(u, RLIMIT_NICE, 30, 30); }},
    {"LimitNICE=+5:-5", [](const unit& u) { return has_limit(u, RLIMIT_NICE, 15, 25); }},
    {"LimitNICE=-20", [](const unit& u) { return has_limit(u, RLIMIT_NICE, 40, 40); }},
    {"LimitRTPRIO=1", [](const unit& u) { return has_limit(u, RLIMIT_RTPRIO, 1, 1); }},
    {"LimitRTTIME=5", [](const unit& u) { return has_limit(u, RLIMIT_RTTIME, 5, 5); }},
    {"LimitRTTIME=5ms", [](const unit& u) { return has_limit(u, RLIMIT_RTTIME, 5000, 5000); }},
};

TEST(service_unit, settings_become_what_they_mean) {
  for (const auto& [setting, holds] : good_settings) {
    const auto read = read_service(with(setting));
    EXPECT_THAT(read.problems, IsEmpty()) << setting;
    EXPECT_TRUE(holds(read.unit)) << setting;
    EXPECT_FALSE(holds(read_service(with("")).unit)) << setting << " is the default";
  }
}

TEST(service_unit, empty_value_restores_the_default) {
  for (const auto& [setting, holds] : good_settings) {
    const auto name = setting.substr(0, setting.find('='));
    const auto read = read_service(with(std::string(setting) + '\n' + std::string(name) + "="));
    EXPECT_THAT(read.problems, IsEmpty()) << setting;
    EXPECT_FALSE(holds(read.unit)) << setting;
  }
}

TEST(service_unit, default_can_replace_another_value) {
  const good rows[] = {
      {"Type=exec\nType=simple", [](const unit& u) { return u.type == service_type::simple; }},
      {"Type=exec\nType=idle", [](const unit& u) { return u.type == service_type::simple; }},
      {"TimeoutStopFailureMode=kill\nTimeoutStopFailureMode=terminate",
       [](const unit& u) { return u.stop_timeout_mode == timeout_mode::terminate; }},
      {"RuntimeDirectoryPreserve=yes\nRuntimeDirectoryPreserve=no",
       [](const unit& u) { return !u.keeps_runtime_directory; }},
      {"RuntimeDirectoryPreserve=yes\nRuntimeDirectoryPreserve=restart",
       [](const unit& u) { return !u.keeps_runtime_directory; }},
      {"RuntimeDirectoryPreserve=yes\nRuntimeDirectoryPreserve=false",
       [](const unit& u) { return !u.keeps_runtime_directory; }},
      {"FileDescriptorStorePreserve=yes\nFileDescriptorStorePreserve=restart",
       [](const unit& u) { return u.stored_descriptors_stay == store_lifetime::restarts; }},
      {"KillMode=mixed\nKillMode=control-group", [](const unit& u) { return u.kill == kill_mode::control_group; }},
      {"Restart=always\nRestart=no", [](const unit& u) { return u.restart == restart_policy::no; }},
  };
  for (const auto& [settings, holds] : rows) {
    const auto read = read_service(with(settings));
    EXPECT_THAT(read.problems, IsEmpty()) << settings;
    EXPECT_TRUE(holds(read.unit)) << settings;
    EXPECT_FALSE(holds(read_service(with(settings.substr(0, settings.find('\n')))).unit)) << settings;
  }
}

TEST(service_unit, defaults_are_those_of_systemd) {
  const auto read = read_service("[Service]\nExecStart=/bin/a\n").unit;
  EXPECT_EQ(read.type, service_type::simple);
  EXPECT_EQ(read.start_timeout, 90s);
  EXPECT_EQ(read.stop_timeout, 90s);
  EXPECT_TRUE(is(read.input, stream_kind::null));
  EXPECT_TRUE(is(read.output, stream_kind::unset));
  EXPECT_TRUE(is(read.error, stream_kind::unset));
  EXPECT_EQ(read.kill, kill_mode::control_group);
  EXPECT_EQ(read.kill_signal, SIGTERM);
  EXPECT_TRUE(read.send_sigkill);
  EXPECT_TRUE(read.ignores_sigpipe);
  EXPECT_EQ(read.effective_access(), notify_access::none);
  EXPECT_EQ(read.restart, restart_policy::no);
  EXPECT_FALSE(read.has_watchdog());
  EXPECT_FALSE(read.has_store());
  EXPECT_EQ(read.stored_descriptors_stay, store_lifetime::restarts);
  EXPECT_EQ(read.watchdog_signal, SIGABRT);
  EXPECT_EQ(read.final_kill_signal, SIGKILL);
  EXPECT_EQ(read.reload_signal, SIGHUP);
  EXPECT_EQ(read.restart_delay, 100ms);
  EXPECT_FALSE(read.start_limit().is_set());
  for (const auto mode : read.directory_modes) EXPECT_EQ(mode, 0755U);
  ASSERT_EQ(read.start.size(), 1U);
  EXPECT_EQ(read.start[0].program, "/bin/a");
  EXPECT_EQ(read.path, "/etc/units/web.service");
}

TEST(service_unit, lists_add_up_and_other_values_are_replaced) {
  EXPECT_EQ(read_service(with("Sockets=a.socket\nSockets=b.socket")).unit.sockets, lines({"a.socket", "b.socket"}));
  EXPECT_EQ(read_service(with("Sockets=a.socket\nSockets=\nSockets=b.socket")).unit.sockets, lines({"b.socket"}));
  EXPECT_EQ(read_service(with("Environment=A=1\nEnvironment=A=2")).unit.environment.size(), 2U);
  EXPECT_EQ(read_service(with("StateDirectory=a\nCacheDirectory=b\nStateDirectory=")).unit.directories.size(), 1U);
  EXPECT_EQ(read_service(with("SuccessExitStatus=1\nSuccessExitStatus=2")).unit.success_statuses.statuses,
            std::vector<int>({1, 2}));
  EXPECT_EQ(read_service(with("LimitNOFILE=1\nLimitCORE=2")).unit.limits.size(), 2U);
  EXPECT_EQ(read_service(with("Nice=1\nNice=2")).unit.nice, 2);
  EXPECT_TRUE(has_limit(read_service(with("LimitNOFILE=1\nLimitNOFILE=2")).unit, RLIMIT_NOFILE, 2, 2));
}

TEST(service_unit, notifying_service_accepts_its_main_process_at_least) {
  EXPECT_EQ(read_service(with("Type=notify")).unit.effective_access(), notify_access::main_process);
  EXPECT_EQ(read_service(with("Type=notify\nNotifyAccess=none")).unit.effective_access(), notify_access::main_process);
  EXPECT_EQ(read_service(with("Type=notify\nNotifyAccess=all")).unit.effective_access(), notify_access::all);
  EXPECT_EQ(read_service(with("NotifyAccess=main")).unit.effective_access(), notify_access::main_process);
}

TEST(service_unit, start_limit_can_be_turned_off) {
  EXPECT_FALSE(read_service(with("StartLimitIntervalSec=0")).unit.start_limit().is_set());
  EXPECT_FALSE(read_service(with("StartLimitBurst=0")).unit.start_limit().is_set());
}

TEST(service_unit, oneshot_service_is_not_restarted_after_success) {
  const std::vector<std::string> refused = {"error: Type=oneshot excludes Restart=always and Restart=on-success"};
  EXPECT_EQ(read_service(with("Type=oneshot\nRestart=always")).problems, refused);
  EXPECT_EQ(read_service(with("Type=oneshot\nRestart=on-success")).problems, refused);
  EXPECT_THAT(read_service(with("Type=oneshot\nRestart=on-failure")).problems, IsEmpty());
}

TEST(service_unit, dash_before_an_environment_file_allows_it_to_be_missing) {
  const auto read = read_service(with("EnvironmentFile=/a\nEnvironmentFile=-/b")).unit;
  ASSERT_EQ(read.environment_files.size(), 2U);
  EXPECT_FALSE(read.environment_files[0].may_be_missing);
  EXPECT_TRUE(read.environment_files[1].may_be_missing);
}

// --- malformed values ------------------------------------------------------------------------------------------------

struct bad {
  std::string_view setting;
  std::string_view problem;  ///< the message after the setting
  std::size_t offset = 0;    ///< of the problem in the value
};

constexpr std::string_view no_boolean = "neither yes nor no";
constexpr std::string_view no_period = "not a time span, such as 90 or 1min 30s";
constexpr std::string_view no_signal = "not a signal, such as SIGTERM";
constexpr std::string_view no_mode_after_timeout = "none of terminate, abort, kill";
constexpr std::string_view no_mode = "not an access mode in octal, such as 0660";
constexpr std::string_view no_limit = "not a limit, such as 1024, 512:1024 or infinity";
constexpr std::string_view no_program = "the program is neither an absolute path nor a name without a slash";
constexpr std::string_view no_directory = "not a relative path without \"..\" and \":\"";
constexpr std::string_view no_specifier = "unknown specifier \"%Z\"; write \"%%\" for a percent sign";
constexpr std::string_view no_input = "none of null, socket, file:PATH and fd:NAME";
constexpr std::string_view no_output =
    "none of inherit, null, journal, socket, file:PATH, append:PATH, truncate:PATH and fd:NAME";
constexpr std::string_view no_type =
    "none of simple, exec, notify, notify-reload, oneshot, idle; a service of type "
    "forking or dbus cannot be supervised here";

const bad bad_settings[] = {
    {"Type=forking", no_type},
    {"Type=dbus", no_type},
    {"ExecStart=bin/b", no_program},
    {"ExecStartPre=bin/b", no_program},
    {"ExecStartPost=/bin/b ; c/d", no_program, 9},
    {"ExecStop=bin/b", no_program},
    {"ExecStopPost=bin/b", no_program},
    {"TimeoutStartSec=x", no_period},
    {"TimeoutStopSec=-1", no_period},
    {"TimeoutSec=5 x", no_period},
    {"Environment=A=1 B", "not NAME=VALUE", 4},
    {"Environment=1A=x", "not NAME=VALUE"},
    {"Environment=A=1 \"B=x", "the quote is not closed", 4},
    {"Environment=A=1 \"B=%Z\"", no_specifier, 7},
    {"EnvironmentFile=a", "not an absolute path"},
    {"EnvironmentFile=-a", "not an absolute path"},
    {"EnvironmentFile=/a%Z", no_specifier, 2},
    {"PassEnvironment=A B=1", "not the name of a variable", 2},
    {"UnsetEnvironment='A", "the quote is not closed"},
    {"UnsetEnvironment=A %Z", no_specifier, 2},
    {"WorkingDirectory=srv", "neither an absolute path nor \"~\""},
    {"WorkingDirectory=-srv", "neither an absolute path nor \"~\""},
    {"WorkingDirectory=/a%Z", no_specifier, 2},
    {"WorkingDirectory=-/a%Z", no_specifier, 3},
    {"RuntimeDirectory=a /b", no_directory, 2},
    {"StateDirectory=../a", no_directory},
    {"CacheDirectory=a:b", no_directory},
    {"LogsDirectory=a/..", no_directory},
    {"ConfigurationDirectory=/etc/a", no_directory},
    {"RuntimeDirectoryMode=x", no_mode},
    {"StateDirectoryMode=9", no_mode},
    {"CacheDirectoryMode=x", no_mode},
    {"LogsDirectoryMode=x", no_mode},
    {"ConfigurationDirectoryMode=x", no_mode},
    {"RuntimeDirectoryPreserve=x", "none of no, yes, restart, false, true"},
    {"User=%Z", no_specifier},
    {"Group=a%Z", no_specifier, 1},
    {"SupplementaryGroups=a %Z", no_specifier, 2},
    {"UMask=x", no_mode},
    {"Nice=20", "not a number from -20 to 19"},
    {"Nice=-21", "not a number from -20 to 19"},
    {"Nice=--1", "not a number from -20 to 19"},
    {"OOMScoreAdjust=1001", "not a number from -1000 to 1000"},
    {"OOMScoreAdjust=-", "not a number from -1000 to 1000"},
    {"IgnoreSIGPIPE=x", no_boolean},
    {"NoNewPrivileges=x", no_boolean},
    {"StandardInput=tty", no_input},
    {"StandardInput=append:/a", no_input},
    {"StandardInput=inherit", no_input},
    {"StandardInput=file:a", "not an absolute path after the colon"},
    {"StandardOutput=journalist", no_output},
    {"StandardOutput=nul", no_output},
    {"StandardOutput=file:/a%Z", no_specifier, 7},
    {"StandardOutput=append:a", "not an absolute path after the colon"},
    {"StandardError=truncate:", "not an absolute path after the colon"},
    {"StandardError=x", no_output},
    {"NonBlocking=x", no_boolean},
    {"NotifyAccess=x", "none of none, main, exec, all"},
    {"FileDescriptorStoreMax=x", "not a number from 0 to 4294967295"},
    {"FileDescriptorStorePreserve=always", "none of no, restart, yes, false, true"},
    {"Sockets=a.socket b", "not the name of a socket unit", 9},
    {"Sockets=a.service", "not the name of a socket unit"},
    {"KillMode=x", "none of control-group, mixed, process, none"},
    {"KillSignal=x", no_signal},
    {"SendSIGHUP=x", no_boolean},
    {"SendSIGKILL=x", no_boolean},
    {"SuccessExitStatus=1 256", "neither an exit status nor a signal", 2},
    {"TimeoutAbortSec=x", no_period},
    {"TimeoutStartFailureMode=stop", no_mode_after_timeout},
    {"TimeoutStopFailureMode=x", no_mode_after_timeout},
    {"WatchdogSec=x", no_period},
    {"WatchdogSignal=x", no_signal},
    {"FinalKillSignal=SIG", no_signal},
    {"RestartKillSignal=x", no_signal},
    {"ExecReload=bin/b", no_program},
    {"ReloadSignal=x", no_signal},
    {"Restart=sometimes", "none of no, on-success, on-failure, on-abnormal, on-watchdog, on-abort, always"},
    {"RestartSec=x", no_period},
    {"RestartPreventExitStatus=x", "neither an exit status nor a signal"},
    {"RestartForceExitStatus=1 SIGX", "neither an exit status nor a signal", 2},
    {"StartLimitIntervalSec=x", no_period},
    {"StartLimitInterval=x", no_period},
    {"StartLimitBurst=-1", "not a number from 0 to 4294967295"},
    {"LimitCPU=x", no_limit},
    {"LimitFSIZE=1k", no_limit},
    {"LimitDATA=-1", no_limit},
    {"LimitSTACK=1:", no_limit},
    {"LimitCORE=:1", no_limit},
    {"LimitRSS=1:2:3", no_limit},
    {"LimitNOFILE=2:1", "the soft limit exceeds the hard limit"},
    {"LimitNOFILE=1K", no_limit},
    {"LimitAS=x", no_limit},
    {"LimitNPROC=1.5", no_limit},
    {"LimitNPROC=+1", no_limit},
    {"LimitMEMLOCK=x", no_limit},
    {"LimitLOCKS=x", no_limit},
    {"LimitSIGPENDING=x", no_limit},
    {"LimitMSGQUEUE=infinity:1", "the soft limit exceeds the hard limit"},
    {"LimitNICE=x", no_limit},
    {"LimitNICE=+20", no_limit},
    {"LimitNICE=-21", no_limit},
    {"LimitNICE=5s", no_limit},
    {"LimitRTPRIO=x", no_limit},
    {"LimitRTTIME=5 foo", no_limit},
};

TEST(service_unit, malformed_values_are_reported_where_they_are) {
  for (const auto& [setting, problem, offset] : bad_settings) {
    const auto read = read_service(with(setting));
    const auto column = setting.find('=') + 2 + offset;
    const lines expected = {"3:" + std::to_string(column) + ": error: " + std::string(setting) + ": " +
                            std::string(problem)};
    EXPECT_EQ(read.problems, expected);
  }
}

TEST(service_unit, tables_of_this_test_are_complete) {
  auto tested = names_in(good_settings);
  tested.insert("ExecStart");
  EXPECT_EQ(tested, honored_names(service_directives()));
  EXPECT_EQ(names_in(bad_settings), honored_names(service_directives()));
}

// --- settings that are not honored -----------------------------------------------------------------------------------

TEST(service_unit, refused_setting_is_an_error) {
  EXPECT_THAT(read_service(with("RootDirectory=/x")).problems,
              ElementsAre("3:1: error: RootDirectory= is not supported: the service needs what sd-activate does not "
                          "set up"));
}

TEST(service_unit, empty_value_takes_back_a_setting_that_is_not_honored) {
  EXPECT_THAT(read_service(with("BindPaths=/a\nPrivateTmp=yes\nBindPaths=\nPrivateTmp=")).problems, IsEmpty());
  EXPECT_THAT(
      read_service(with("BindPaths=\nBindPaths=/a")).problems,
      ElementsAre("4:1: error: BindPaths= is not supported: the service needs what sd-activate does not set up"));
  EXPECT_THAT(read_service(with("UnknownSetting=")).problems,
              ElementsAre("3:1: error: [Service] UnknownSetting= is not supported"));
}

TEST(service_unit, empty_value_of_another_setting_takes_nothing_back) {
  for (const char* other : {"BindReadOnlyPaths=", "[X-Other]\nBindPaths="}) {
    EXPECT_THAT(
        read_service(with(std::string("BindPaths=/a\n") + other)).problems,
        ElementsAre("3:1: error: BindPaths= is not supported: the service needs what sd-activate does not set up"))
        << other;
  }
}

TEST(service_unit, earlier_names_of_settings_are_known) {
  EXPECT_THAT(read_service(with("ReadOnlyDirectories=/\nReadWriteDirectories=/a\nInaccessibleDirectories=/b")).problems,
              ElementsAre("3:1: warning: not enforced: ReadOnlyDirectories=, ReadWriteDirectories=, "
                          "InaccessibleDirectories="));
}

TEST(service_unit, unknown_setting_is_an_error) {
  EXPECT_THAT(read_service(with("Foo=1")).problems, ElementsAre("3:1: error: [Service] Foo= is not supported"));
  EXPECT_THAT(read_service(with("[Socket]\nListenStream=80")).problems,
              ElementsAre("4:1: error: [Socket] ListenStream= is not supported"));
}

TEST(service_unit, settings_that_are_not_enforced_share_one_warning) {
  EXPECT_THAT(read_service(with("ProtectSystem=strict\nPrivateTmp=yes\nNice=5\nPrivateTmp=no")).problems,
              ElementsAre("3:1: warning: not enforced: ProtectSystem=, PrivateTmp="));
}

/// One setting of each group.
TEST(service_unit, setting_is_refused_or_not_enforced_or_without_effect) {
  for (const std::string name : {"BindPaths", "ExecCondition", "ExecSearchPath"}) {
    EXPECT_THAT(read_service(with(name + "=x")).problems,
                ElementsAre(StartsWith("3:1: error: " + name + "= is not supported: ")));
  }
  for (const std::string name : {"ExitType", "RemainAfterExit", "RestartSteps", "RestartMode", "RuntimeMaxSec",
                                 "DynamicUser", "PrivateTmp", "CPUQuota", "CPUAffinity"}) {
    EXPECT_THAT(read_service(with(name + "=x")).problems, ElementsAre("3:1: warning: not enforced: " + name + '='));
  }
  for (const std::string name : {"SyslogIdentifier", "PIDFile"}) {
    EXPECT_THAT(read_service(with(name + "=x")).problems, IsEmpty()) << name;
  }
}

TEST(service_unit, conditions_and_actions_of_a_unit_are_not_enforced) {
  EXPECT_THAT(read_service(with("[Unit]\nConditionPathExists=/a\nFailureAction=reboot")).problems,
              ElementsAre("4:1: warning: not enforced: ConditionPathExists=, FailureAction="));
}

TEST(service_unit, every_setting_that_is_not_honored_is_reported_as_its_group_requires) {
  for (const auto& group : service_directives().others) {
    for (const auto name : group.names) {
      const auto problems =
          read_service(with("[" + std::string(group.section) + "]\n" + std::string(name) + "=x")).problems;
      const auto refusal = "4:1: error: " + std::string(name) + "= is not supported: " + std::string(group.note);
      const auto warning = "4:1: warning: not enforced: " + std::string(name) + '=';
      EXPECT_EQ(problems, group.level == support::refused        ? lines{refusal}
                          : group.level == support::not_enforced ? lines{warning}
                                                                 : lines{})
          << name;
    }
  }
}

TEST(service_unit, no_setting_is_both_honored_and_not) {
  auto names = honored_names(service_directives());
  for (const auto& group : service_directives().others) {
    for (const auto name : group.names) {
      EXPECT_TRUE(group.section != "Service" || names.emplace(name).second) << name;
    }
  }
}

// --- contradictions --------------------------------------------------------------------------------------------------

TEST(service_unit, other_units_are_refused) {
  EXPECT_THAT(read_service(with(""), "web.socket").problems, ElementsAre("error: not a service unit"));
}

TEST(service_unit, service_needs_a_command) {
  EXPECT_THAT(read_service("").problems, ElementsAre("error: there is no ExecStart="));
  EXPECT_THAT(read_service("[Service]\nExecStart=/bin/a\nExecStart=\n").problems,
              ElementsAre("error: there is no ExecStart="));
}

TEST(service_unit, only_a_oneshot_service_can_have_several_commands) {
  EXPECT_THAT(read_service(with("ExecStart=/bin/b")).problems,
              ElementsAre("error: more than one ExecStart= needs Type=oneshot"));
  EXPECT_THAT(read_service(with("ExecStart=/bin/b\nType=oneshot")).problems, IsEmpty());
}

}  // namespace
