// SPDX-License-Identifier: MIT OR Apache-2.0
#include "supervision.hpp"

#include "service_unit.hpp"

#include <asio/error.hpp>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;
using sd::activate::describe_status;
using sd::activate::exceeded_trigger_limit;
using sd::activate::is_restarted;
using sd::activate::is_success;
using sd::activate::lacks_resources;
using sd::activate::outcome;
using sd::activate::rate_limit;
using sd::activate::restart_policy;
using sd::activate::service_result;
using sd::activate::service_unit;
using sd::activate::shell_status;
using sd::activate::start_pauses;
using sd::activate::to_text;

service_result ended(outcome how, std::optional<int> main_status = {}) { return {how, 0, "", false, main_status}; }

/// Returns the status of waitpid(2) for a process that exited.
constexpr int exited(int status) { return status << 8; }

/// The table of systemd.service(5).
TEST(supervision, unit_chooses_the_outcomes_after_which_the_service_is_restarted) {
  const struct {
    outcome how;
    std::string policies;  ///< that restart the service
  } rows[] = {
      {outcome::success, "always on-success"},
      {outcome::exit_code, "always on-failure"},
      {outcome::signal, "always on-failure on-abnormal on-abort"},
      {outcome::core_dump, "always on-failure on-abnormal on-abort"},
      {outcome::timeout, "always on-failure on-abnormal"},
      {outcome::watchdog, "always on-failure on-abnormal on-watchdog"},
      {outcome::protocol, "always on-failure on-abnormal"},
  };
  const struct {
    restart_policy policy;
    const char* name;
  } policies[] = {
      {restart_policy::always, "always"},
      {restart_policy::on_success, "on-success"},
      {restart_policy::on_failure, "on-failure"},
      {restart_policy::on_abnormal, "on-abnormal"},
      {restart_policy::on_abort, "on-abort"},
      {restart_policy::on_watchdog, "on-watchdog"},
      {restart_policy::no, "(never)"},
  };
  for (const auto& row : rows) {
    std::string restarting;
    for (const auto& [policy, name] : policies) {
      service_unit unit;
      unit.restart = policy;
      if (is_restarted(unit, ended(row.how))) restarting += (restarting.empty() ? "" : " ") + std::string(name);
    }
    EXPECT_EQ(restarting, row.policies) << to_string(row.how);
  }
}

TEST(supervision, status_of_the_main_process_overrides_the_policy) {
  service_unit unit;
  unit.restart = restart_policy::on_failure;
  unit.restart_prevent_statuses = {{1, 2}, {SIGKILL}};
  unit.restart_force_statuses = {{0, 2}, {SIGTERM}};
  EXPECT_FALSE(is_restarted(unit, ended(outcome::exit_code, exited(1))));
  EXPECT_FALSE(is_restarted(unit, ended(outcome::exit_code, exited(2)))) << "the prevention precedes";
  EXPECT_TRUE(is_restarted(unit, ended(outcome::exit_code, exited(3))));
  EXPECT_TRUE(is_restarted(unit, ended(outcome::success, exited(0))));
  EXPECT_FALSE(is_restarted(unit, ended(outcome::signal, SIGKILL)));
  EXPECT_TRUE(is_restarted(unit, ended(outcome::success, SIGTERM)));
  EXPECT_FALSE(is_restarted(unit, ended(outcome::success, SIGHUP)));
  EXPECT_TRUE(is_restarted(unit, ended(outcome::signal, SIGSEGV)));
  EXPECT_TRUE(is_restarted(unit, ended(outcome::exit_code))) << "a command failed before the main process was started";
}

TEST(supervision, status_is_described_and_becomes_that_of_a_shell) {
  EXPECT_EQ(describe_status(exited(3)), "exited with status 3");
  EXPECT_EQ(shell_status(exited(3)), 3);
  EXPECT_EQ(describe_status(SIGKILL), "killed by SIGKILL");
  EXPECT_EQ(shell_status(SIGKILL), 137);
}

/// The list of systemd.service(5).
TEST(supervision, clean_signals_are_a_success_but_not_of_a_oneshot_service) {
  service_unit unit;
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) EXPECT_TRUE(is_success(unit, signal)) << signal;
  for (const int signal : {SIGKILL, SIGQUIT, SIGSEGV, SIGUSR1}) EXPECT_FALSE(is_success(unit, signal)) << signal;
  unit.type = sd::activate::service_type::oneshot;
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) EXPECT_FALSE(is_success(unit, signal)) << signal;
  unit.success_statuses = {{3}, {SIGKILL}};
  for (const int status : {exited(0), exited(3), SIGKILL}) EXPECT_TRUE(is_success(unit, status)) << status;
  for (const int status : {exited(1), SIGTERM}) EXPECT_FALSE(is_success(unit, status)) << status;
}

TEST(supervision, only_a_shortage_passes_by_itself) {
  for (const int error : {EMFILE, ENFILE, ENOMEM, EAGAIN}) {
    EXPECT_TRUE(lacks_resources({error, std::generic_category()})) << error;
    EXPECT_FALSE(lacks_resources({error, asio::error::get_misc_category()})) << error;
  }
  EXPECT_FALSE(lacks_resources({ENOENT, std::generic_category()}));
  EXPECT_FALSE(lacks_resources({}));
}

TEST(supervision, limit_admits_a_burst_in_each_interval) {
  rate_limit limit(10s, 2);
  const rate_limit::clock::time_point begin{};
  EXPECT_TRUE(limit.is_set());
  EXPECT_TRUE(limit.admits(begin));
  EXPECT_TRUE(limit.admits(begin + 9s));
  EXPECT_FALSE(limit.admits(begin + 10s));
  EXPECT_TRUE(limit.admits(begin + 11s));
  EXPECT_TRUE(limit.admits(begin + 12s));
  EXPECT_FALSE(limit.admits(begin + 13s));
}

TEST(supervision, limit_without_interval_or_burst_admits_everything) {
  for (auto limit : {rate_limit(0s, 1), rate_limit(1s, 0)}) {
    EXPECT_FALSE(limit.is_set());
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(limit.admits({}));
  }
}

TEST(supervision, text_of_a_limit_has_its_burst_and_its_interval) {
  EXPECT_EQ(to_text(rate_limit(10s, 5)), "5 times in 10 s");
  EXPECT_EQ(exceeded_trigger_limit("web.socket", rate_limit(2s, 20)),
            "web.socket: traffic starts the service more often than 20 times in 2 s, which TriggerLimitBurst= and "
            "TriggerLimitIntervalSec= allow; the sockets are closed");
}

TEST(supervision, pauses_double_until_a_run_is_long_enough) {
  start_pauses pauses;
  EXPECT_EQ(pauses.after_run(false), 0ms);
  EXPECT_FALSE(pauses.is_crash_loop());
  EXPECT_EQ(pauses.after_run(true), 20ms);
  EXPECT_TRUE(pauses.is_crash_loop());
  EXPECT_EQ(pauses.after_run(true), 40ms);
  for (int i = 0; i < 10; ++i) pauses.after_run(true);
  EXPECT_EQ(pauses.after_run(true), 10s);
  EXPECT_EQ(pauses.after_run(false), 0ms);
  EXPECT_EQ(pauses.after_run(true), 20ms);
}

}  // namespace
