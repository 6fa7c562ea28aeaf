// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests sd::listen_fds() in real processes: a test for each row of the table in docs/listen_fds.md.

#include <sd/error.hpp>

#include "errors.hpp"
#include "process.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using sd::test::activation;
using sd::test::on_valgrind;
using sd::test::outcome;
using sd::test::system_error;

activation probe(const std::string& scenario, std::vector<std::string> options = {}) {
  activation program;
  options.insert(options.begin(), scenario);
  program.command = sd::test::command(PROBE, options);
  return program;
}

outcome run_probe(const activation& program) {
  auto result = sd::test::run(program);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.errors, "");
  return result;
}

/// Returns the report of `count` descriptors: those that were passed, in order, close-on-exec, with these names.
std::string received(const outcome& result, std::size_t count, const std::vector<std::string>& names = {},
                     std::size_t first = 3) {
  std::string text = "fds " + std::to_string(count) + '\n';
  for (std::size_t i = 0; i < count; ++i) {
    text += std::to_string(first + i) + ' ' + std::to_string(result.sockets.at(first - 3 + i)) + " cloexec";
    text += (i < names.size() ? " name=" + names[i] : " unnamed") + '\n';
  }
  return text;
}

/// Returns what the program prints for an error code.
std::string error_line(const std::error_code& ec) {
  return std::string("error ") + ec.category().name() + ' ' + std::to_string(ec.value()) + '\n';
}

constexpr auto both_set = "set LISTEN_PID LISTEN_FDS\n";

void expect_empty(const activation& program) {
  const auto result = run_probe(program);
  EXPECT_EQ(result.output.substr(0, result.output.find('\n')), "fds 0");
  EXPECT_THAT(result.output, testing::HasSubstr("\nopen 3\n")) << "descriptor 3 has changed";
}

void expect_error(activation program, const std::string& what) {
  program.command = probe("take-by-exception", {"unset_environment"}).command;
  const auto result = run_probe(program);
  // Nothing was adopted, closed, marked or unset.
  std::string state = "open";
  for (int fd = 3; fd < 3 + program.descriptors; ++fd) {
    if (program.holes.count(fd) == 0) state += ' ' + std::to_string(fd);
  }
  state += "\nset";
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"}) {
    const bool always = name == std::string("LISTEN_PID") || name == std::string("LISTEN_FDS");
    if (always || program.environment.count(name) != 0) state += std::string(" ") + name;
  }
  EXPECT_EQ(result.output, "threw " + what + '\n' + state + '\n');
}

// --- received --------------------------------------------------------------------------------------------------------

TEST(listen_fds, all_descriptors_in_order_with_their_names) {
  auto program = probe("take");
  program.descriptors = 3;
  program.environment["LISTEN_FDNAMES"] = "http:https:admin";
  const auto result = run_probe(program);
  EXPECT_EQ(result.output, received(result, 3, {"http", "https", "admin"}) +
                               "open 3c 4c 5c\nset LISTEN_PID LISTEN_FDS LISTEN_FDNAMES\n");
}

TEST(listen_fds, throwing_form_receives_the_same) {
  const auto result = run_probe(probe("take-by-exception"));
  EXPECT_EQ(result.output,
            received(result, 1) + "open\n" + both_set);  // the list was destroyed, which closed the descriptor
}

TEST(listen_fds, a_thousand_descriptors) {
  auto program = probe("take");
  program.descriptors = 1000;
  const auto result = run_probe(program);
  EXPECT_THAT(result.output, testing::StartsWith(received(result, 1000)));
}

TEST(listen_fds, two_descriptors) {  // marked one by one; three or more are marked at once
  auto program = probe("take");
  program.descriptors = 2;
  const auto result = run_probe(program);
  EXPECT_EQ(result.output, received(result, 2) + "open 3c 4c\n" + both_set);
}

TEST(listen_fds, descriptors_past_the_count_are_unchanged) {
  auto program = probe("take");
  program.descriptors = 4;
  program.environment["LISTEN_FDS"] = "3";
  const auto result = run_probe(program);
  EXPECT_EQ(result.output, received(result, 3) + "open 3c 4c 5c 6\n" + both_set);
}

// --- not for this process: empty -------------------------------------------------------------------------------------

TEST(listen_fds, no_variable_is_empty) {
  auto program = probe("take");
  program.environment = {{"LISTEN_PID", {}}, {"LISTEN_FDS", {}}};
  expect_empty(program);
}

TEST(listen_fds, no_listen_pid_is_empty) {
  auto program = probe("take");
  program.environment["LISTEN_PID"] = {};
  expect_empty(program);
}

TEST(listen_fds, no_listen_fds_is_empty) {
  auto program = probe("take");
  program.environment["LISTEN_FDS"] = {};
  expect_empty(program);
}

TEST(listen_fds, other_pid_is_empty_even_with_malformed_variables) {
  for (const char* pid : {"1", "0", "{pid}0"}) {
    auto program = probe("take");
    program.environment = {{"LISTEN_PID", pid}, {"LISTEN_FDS", "junk"}, {"LISTEN_PIDFDID", "junk"}};
    expect_empty(program);
  }
}

TEST(listen_fds, listen_fds_0_is_empty) {
  auto program = probe("take");
  program.environment["LISTEN_FDS"] = "0";
  expect_empty(program);
  program.descriptors = 0;
  EXPECT_EQ(run_probe(program).output, std::string("fds 0\nopen\n") + both_set);
}

// --- numbers ---------------------------------------------------------------------------------------------------------

TEST(listen_fds, malformed_number_error_names_variable_and_value) {
  const std::string not_a_number = " is not a decimal number";
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_PIDFDID"}) {
    for (const char* value : {"", "-1", "+1", " 1", "1 ", "0x1", "1x", "1:2"}) {
      auto program = probe("take");
      program.environment[variable] = value;
      expect_error(program, std::string(variable) + "=\"" + value + "\": " + variable + not_a_number);
    }
  }
}

TEST(listen_fds, overflow_error_names_variable_and_value) {
  const std::pair<const char*, const char*> variables[] = {
      {"LISTEN_PID", "LISTEN_PID exceeds the largest possible pid"},
      {"LISTEN_FDS", "LISTEN_FDS exceeds the largest possible number of descriptors"},
      {"LISTEN_PIDFDID", "LISTEN_PIDFDID exceeds 64 bits"},
  };
  for (const auto& [variable, message] : variables) {
    auto program = probe("take");
    program.environment[variable] = "18446744073709551617";
    expect_error(program, std::string(variable) + "=\"18446744073709551617\": " + message);
  }
}

TEST(listen_fds, count_past_the_last_descriptor_number_is_an_error) {
  auto program = probe("take");
  program.environment["LISTEN_FDS"] = "2147483645";  // INT_MAX - 2
  expect_error(program, R"(LISTEN_FDS="2147483645": LISTEN_FDS exceeds the largest possible number of descriptors)");
}

TEST(listen_fds, descriptors_start_at_listen_fds_first_fd) {
  for (const int count : {1, 2, 3}) {
    auto program = probe("take");
    program.descriptors = 5;
    program.environment["LISTEN_FDS"] = std::to_string(count);
    program.environment["LISTEN_FDS_FIRST_FD"] = "5";
    program.environment["LISTEN_FDNAMES"] = "web";
    const auto result = run_probe(program);
    EXPECT_THAT(result.output,
                testing::StartsWith(received(result, static_cast<std::size_t>(count), {"web"}, 5) + "open 3 4 5c "));
  }
}

TEST(listen_fds, holes_below_listen_fds_first_fd_do_not_matter) {
  auto program = probe("take");
  program.descriptors = 6;
  program.holes = {3, 4};
  program.environment["LISTEN_FDS"] = "4";
  program.environment["LISTEN_FDS_FIRST_FD"] = "5";
  const auto result = run_probe(program);
  EXPECT_THAT(result.output, testing::StartsWith(received(result, 4, {}, 5) + "open 5c 6c 7c 8c\n"));
}

TEST(listen_fds, closed_descriptor_above_listen_fds_first_fd_is_ebadf) {
  auto program = probe("take");
  program.descriptors = 5;
  program.holes = {7};
  program.environment["LISTEN_FDS"] = "3";
  program.environment["LISTEN_FDS_FIRST_FD"] = "5";
  expect_error(program, "LISTEN_FDS=\"3\", descriptor 7: Bad file descriptor");
}

TEST(listen_fds, listen_fds_first_fd_out_of_range_is_an_error) {
  for (const char* first : {"0", "2", "2147483647", "18446744073709551617"}) {
    auto program = probe("take");
    program.environment["LISTEN_FDS_FIRST_FD"] = first;
    expect_error(program, std::string("LISTEN_FDS_FIRST_FD=\"") + first +
                              "\": LISTEN_FDS_FIRST_FD is below 3 or leaves no room for LISTEN_FDS descriptors");
  }
}

TEST(listen_fds, leading_zeros_are_decimal) {
  auto program = probe("take");
  program.descriptors = 10;
  program.environment = {{"LISTEN_FDS", "010"}, {"LISTEN_PID", "00{pid}"}};
  const auto result = run_probe(program);
  EXPECT_THAT(result.output, testing::StartsWith(received(result, 10)));
}

TEST(listen_fds, value_in_the_error_is_escaped_and_cut) {
  auto program = probe("take");
  program.environment["LISTEN_FDS"] = "1\n\x1b\x7f\xff\\x0a\" ~";
  expect_error(program, R"(LISTEN_FDS="1\x0a\x1b\x7f\xff\\x0a\" ~": LISTEN_FDS is not a decimal number)");
  program.environment["LISTEN_FDS"] = std::string(64, 'x');
  expect_error(program, "LISTEN_FDS=\"" + std::string(64, 'x') + "\": LISTEN_FDS is not a decimal number");
  program.environment["LISTEN_FDS"] = std::string(65, 'x');
  expect_error(program, "LISTEN_FDS=\"" + std::string(64, 'x') + "...\": LISTEN_FDS is not a decimal number");
}

// --- LISTEN_PIDFDID --------------------------------------------------------------------------------------------------

class listen_pidfdid : public testing::Test {
 protected:
  void SetUp() override {
    if (!sd::test::pidfd_inode(::getpid())) GTEST_SKIP() << "SKIPPED: this kernel has no pidfs (Linux 6.9)";
  }
};

TEST_F(listen_pidfdid, own_inode_is_received) {
  auto program = probe("take");
  program.environment["LISTEN_PIDFDID"] = "{pidfdid}";
  const auto result = run_probe(program);
  EXPECT_EQ(result.output, received(result, 1) + "open 3c\nset LISTEN_PID LISTEN_PIDFDID LISTEN_FDS\n");
}

TEST_F(listen_pidfdid, other_inode_is_empty) {
  for (const char* other : {"1", "{pidfdid}0", "18446744073709551615"}) {
    auto program = probe("take");
    program.environment["LISTEN_PIDFDID"] = other;
    expect_empty(program);
  }
}

TEST_F(listen_pidfdid, other_inode_is_empty_even_with_malformed_count) {
  auto program = probe("take");
  program.environment = {{"LISTEN_PIDFDID", "1"}, {"LISTEN_FDS", "junk"}};
  expect_empty(program);
}

TEST_F(listen_pidfdid, failed_check_is_an_error) {
  auto program = probe("take");
  program.environment["LISTEN_PIDFDID"] = "1";
  program.environment["PROBE_LIMIT"] = "4";  // 0, 1, 2 and 3 are open
  expect_error(program, R"(LISTEN_PIDFDID="1": Too many open files)");
}

// --- older kernels ---------------------------------------------------------------------------------------------------

TEST(listen_fds, older_kernel_receives_the_same) {
  for (const int count : {1, 2, 3, 100}) {
    auto program = probe("take");
    program.descriptors = count;
    program.environment["LISTEN_PIDFDID"] = "1";  // ignored, because such a kernel cannot check it
    program.environment["PROBE_OLD_KERNEL"] = "";
    const auto result = sd::test::run(program);
    if (result.status == 77) GTEST_SKIP() << "SKIPPED: " << result.errors;
    EXPECT_THAT(result.output, testing::StartsWith(received(result, static_cast<std::size_t>(count))));
  }
}

// --- missing descriptors ---------------------------------------------------------------------------------------------

TEST(listen_fds, closed_descriptor_is_ebadf) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind uses the free number itself";
  for (const int count : {1, 2, 3, 100}) {
    for (const int hole : {3, 3 + count / 2, 2 + count}) {
      auto program = probe("take");
      program.descriptors = count;
      program.holes = {hole};
      expect_error(program, "LISTEN_FDS=\"" + std::to_string(count) + "\", descriptor " + std::to_string(hole) +
                                ": Bad file descriptor");
    }
  }
}

TEST(listen_fds, count_past_the_last_open_descriptor_is_ebadf) {
  auto program = probe("take");
  program.descriptors = 2;
  program.environment["LISTEN_FDS"] = "3";
  expect_error(program, R"(LISTEN_FDS="3", descriptor 5: Bad file descriptor)");
}

TEST(listen_fds, huge_count_is_ebadf_and_allocates_nothing) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind has an operator new of its own";
  auto program = probe("measure-allocation");
  program.environment["LISTEN_FDS"] = "2147483644";  // INT_MAX - 3
  EXPECT_EQ(run_probe(program).output, error_line(system_error(EBADF)) + "largest allocation 0\n");
}

TEST(listen_fds, failed_allocation_changes_nothing) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind has an operator new of its own";
  auto program = probe("take-without-memory", {"unset_environment"});
  const std::vector<std::string> names = {"a name that takes memory", "another one, as long"};
  program.descriptors = 2;
  program.environment["LISTEN_FDNAMES"] = names[0] + ':' + names[1];
  const auto result = run_probe(program);
  const std::string nothing_changed = "no memory\nopen 3 4\nset LISTEN_PID LISTEN_FDS LISTEN_FDNAMES\n";
  std::string expected;
  for (int allocation = 0; allocation < 3; ++allocation) expected += nothing_changed;  // the list and two names
  EXPECT_EQ(result.output, expected + received(result, 2, names));
}

TEST(listen_fds, no_free_descriptor_is_needed) {
  for (const int count : {1, 2, 3, 100}) {
    auto program = probe("take");
    program.descriptors = count;
    program.environment["PROBE_LIMIT"] = std::to_string(3 + count);
    const auto result = run_probe(program);
    EXPECT_THAT(result.output, testing::StartsWith(received(result, static_cast<std::size_t>(count))));
  }
}

TEST(listen_fds, closed_descriptor_above_the_limit_is_ebadf) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind uses the free number itself";
  auto program = probe("take");
  program.descriptors = 100;
  program.environment["PROBE_LIMIT"] = "50";
  program.holes = {90};
  expect_error(program, R"(LISTEN_FDS="100", descriptor 90: Bad file descriptor)");
}

TEST(listen_fds, descriptors_above_the_limit_are_received) {
  auto program = probe("take");
  program.descriptors = 100;
  program.environment["PROBE_LIMIT"] = "50";
  const auto result = run_probe(program);
  EXPECT_THAT(result.output, testing::StartsWith(received(result, 100)));
}

TEST(listen_fds, close_on_exec_descriptor_is_already_claimed) {
  const auto result = run_probe(probe("take-already-claimed"));
  EXPECT_EQ(result.output,
            "threw LISTEN_FDS=\"1\", descriptor 3: the descriptor is close-on-exec already, so other code in this "
            "process owns it\n"
            "open 3c\nset LISTEN_PID LISTEN_FDS\n");
}

// --- names -----------------------------------------------------------------------------------------------------------

struct names_row {
  const char* listen_fdnames;
  std::vector<std::string> names;
};

class names : public testing::TestWithParam<names_row> {};

TEST_P(names, are_verbatim) {
  auto program = probe("take");
  program.descriptors = 2;
  program.environment["LISTEN_FDNAMES"] = GetParam().listen_fdnames;
  const auto result = run_probe(program);
  EXPECT_THAT(result.output, testing::StartsWith(received(result, 2, GetParam().names)));
}

INSTANTIATE_TEST_SUITE_P(listen_fdnames, names,
                         testing::Values(names_row{"", {}},                           //
                                         names_row{"one", {"one"}},                   // fewer
                                         names_row{"one:two:three", {"one", "two"}},  // more
                                         names_row{"one:one", {"one", "one"}},        // not unique
                                         names_row{":two", {"", "two"}},              // an empty name
                                         names_row{"one:", {"one", ""}},              //
                                         names_row{"one::three", {"one", ""}},        //
                                         names_row{R"(a\x3a:"b\')", {R"(a\x3a)", R"("b\')"}},
                                         names_row{"\xff\xfe:\xc3", {"\xff\xfe", "\xc3"}}));

// --- one owner -------------------------------------------------------------------------------------------------------

TEST(listen_fds, second_call_is_empty) {
  const auto result = run_probe(probe("take-twice"));
  EXPECT_EQ(result.output, received(result, 1) + "fds 0\nopen 3c\n" + both_set);
}

TEST(listen_fds, second_call_is_empty_if_the_numbers_were_reused) {
  auto program = probe("take-after-close");
  program.descriptors = 3;
  const auto result = run_probe(program);
  EXPECT_EQ(result.output, received(result, 3) + "fds 0\nopen 3 4 5\n" + both_set);
}

TEST(listen_fds, exactly_one_of_many_threads_receives_all) {
  const int rounds = sd::test::emulator().empty() ? 50 : 4;
  for (int round = 0; round < rounds; ++round) {
    auto program = probe("take-in-threads");
    program.descriptors = round % 2 == 0 ? 1 : 50;
    const auto result = run_probe(program);
    ASSERT_EQ(result.output, "winners 1\nerrors 0\n" + received(result, static_cast<std::size_t>(program.descriptors)));
  }
}

TEST(listen_fds, no_thread_receives_a_closed_descriptor) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind uses the free number itself";
  const int rounds = sd::test::emulator().empty() ? 50 : 4;
  for (int round = 0; round < rounds; ++round) {
    auto program = probe("take-in-threads");
    program.descriptors = 20;
    program.holes = {10};
    const auto result = run_probe(program);
    ASSERT_THAT(result.output, testing::StartsWith("winners 0\nerrors "));
    ASSERT_THAT(result.output, testing::Not(testing::StartsWith("winners 0\nerrors 0\n")));
  }
}

TEST(listen_fds, forked_child_receives_none) {
  for (const char* scenario : {"fork-then-take", "clone-then-take"}) {
    const auto result = run_probe(probe(scenario));
    EXPECT_EQ(result.output, "fds 0\n" + received(result, 1) + "open 3c\n" + both_set) << scenario;
  }
}

TEST(listen_fds, child_forked_after_they_are_taken_receives_none) {
  for (const auto& options : {std::vector<std::string>{}, {"any_pid"}}) {
    const auto result = run_probe(probe("take-then-fork", options));
    EXPECT_EQ(result.output, received(result, 1) + "fds 0\nfds 0\nopen 3c\n" + both_set);
  }
}

TEST(listen_fds, exec_of_itself_before_taking_receives_them) {
  const auto result = run_probe(probe("execute-then-take"));
  EXPECT_EQ(result.output, received(result, 1) + "open 3c\n" + both_set);
}

TEST(listen_fds, exec_of_itself_after_taking_is_ebadf) {
  const auto result = run_probe(probe("take-then-execute"));
  EXPECT_EQ(result.output, received(result, 1) + error_line(system_error(EBADF)) + "open\n" + both_set);
}

TEST(listen_fds, exec_of_itself_after_unset_environment_is_empty) {
  const auto result = run_probe(probe("take-then-execute", {"unset_environment"}));
  EXPECT_EQ(result.output, received(result, 1) + "fds 0\nopen\nset\n");
}

TEST(listen_fds, program_executed_by_a_child_receives_none) {
  const auto result = run_probe(probe("take-then-execute-child"));
  EXPECT_EQ(result.output, received(result, 1) + "fds 0\nopen\n" + both_set);
}

// --- options ---------------------------------------------------------------------------------------------------------

TEST(listen_fds, unset_environment_unsets_all_variables_on_success) {
  auto program = probe("take", {"unset_environment"});
  program.environment["LISTEN_FDNAMES"] = "one";
  program.environment["LISTEN_FDS_FIRST_FD"] = "3";
  if (sd::test::pidfd_inode(::getpid())) program.environment["LISTEN_PIDFDID"] = "{pidfdid}";
  const auto result = run_probe(program);
  EXPECT_EQ(result.output, received(result, 1, {"one"}) + "open 3c\nset\n");
}

TEST(listen_fds, unset_environment_unsets_all_variables_for_another_process) {
  auto program = probe("take", {"unset_environment"});
  program.environment = {{"LISTEN_PID", "1"}, {"LISTEN_PIDFDID", "1"}, {"LISTEN_FDNAMES", "one"}};
  EXPECT_EQ(run_probe(program).output, "fds 0\nopen 3\nset\n");
}

TEST(listen_fds, unset_environment_unsets_all_variables_in_a_second_call) {
  const auto result = run_probe(probe("take-twice", {"unset_environment"}));
  EXPECT_EQ(result.output, received(result, 1) + "fds 0\nopen 3c\nset\n");
}

TEST(listen_fds, any_pid_accepts_missing_or_other_pid) {
  for (const auto& pid : {std::optional<std::string>(), {"1"}, {"{pid}"}}) {
    auto program = probe("take", {"any_pid"});
    program.environment["LISTEN_PID"] = pid;
    auto result = run_probe(program);
    EXPECT_THAT(result.output, testing::StartsWith(received(result, 1)));
    program.environment["LISTEN_PIDFDID"] = "1";
    result = run_probe(program);
    EXPECT_THAT(result.output, testing::StartsWith(received(result, 1)));
  }
}

TEST(listen_fds, any_pid_rejects_malformed_pid) {
  auto program = probe("take", {"any_pid"});
  program.environment["LISTEN_PID"] = "self";
  EXPECT_THAT(run_probe(program).output, testing::StartsWith(error_line(sd::errc::malformed_listen_pid) + "open 3\n"));
}

TEST(listen_fds, any_pid_without_listen_fds_is_empty) {
  auto program = probe("take", {"any_pid"});
  program.environment["LISTEN_FDS"] = {};
  expect_empty(program);
}

TEST(listen_fds, required_and_passed_is_received) {
  const auto result = run_probe(probe("take", {"required", "unset_environment"}));
  EXPECT_EQ(result.output, received(result, 1) + "open 3c\nset\n");
}

TEST(listen_fds, required_error_names_the_variable_at_fault) {
  const std::string not_activated = "no descriptor was passed to this process; start it through its socket unit\n";
  const auto expect = [&](const activation& program, const std::string& cause, const std::string& set) {
    const auto output = run_probe(program).output;
    EXPECT_THAT(output, testing::StartsWith("threw " + cause + ", own pid "));
    EXPECT_THAT(output, testing::ContainsRegex("own pid [1-9][0-9]*: "));
    EXPECT_THAT(output, testing::EndsWith(": " + not_activated + "open 3\nset" + set + "\n"));
  };
  const auto with = [](const char* variable, const std::optional<std::string>& value) {
    auto program = probe("take-by-exception", {"required", "unset_environment"});
    program.environment[variable] = value;
    return program;
  };
  expect(with("LISTEN_PID", "1"), R"(LISTEN_PID="1")", " LISTEN_PID LISTEN_FDS");
  expect(with("LISTEN_PID", std::nullopt), "LISTEN_PID is not set", " LISTEN_FDS");
  expect(with("LISTEN_FDS", std::nullopt), "LISTEN_FDS is not set", " LISTEN_PID");
  expect(with("LISTEN_FDS", "0"), R"(LISTEN_FDS="0")", " LISTEN_PID LISTEN_FDS");
  if (sd::test::pidfd_inode(::getpid())) {
    expect(with("LISTEN_PIDFDID", "1"), R"(LISTEN_PIDFDID="1")", " LISTEN_PID LISTEN_PIDFDID LISTEN_FDS");
  }
}

TEST(listen_fds, required_in_a_second_call_is_already_taken) {
  const auto result = run_probe(probe("take-twice", {"required"}));
  EXPECT_EQ(result.output, received(result, 1) + error_line(sd::errc::already_taken) + "open 3c\n" + both_set);
}

TEST(listen_fds, required_reports_a_malformed_variable_first) {
  auto program = probe("take", {"required"});
  program.environment["LISTEN_FDS"] = "one";
  EXPECT_THAT(run_probe(program).output, testing::StartsWith(error_line(sd::errc::malformed_listen_fds) + "open 3\n"));
}

}  // namespace
