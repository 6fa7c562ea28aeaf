// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests sd_listen_fds() and sd_listen_fds_with_names(): calls both libraries with the same variables, descriptors and
// arguments, and compares ours with an implementation of docs/sd-daemon.md, too.

#include "comparison.hpp"
#include "libraries.hpp"
#include "process.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using sd::test::comparison;
using sd::test::receive_call;
using sd::test::variable;

constexpr int first = receive_call::first;
constexpr int last = receive_call::last;

/// Generates inputs. Most are well-formed, and the others nearly are.
class generator {
  int below(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }
  bool often() { return below(6) != 0; }
  template <class Values>
  auto one_of(const Values& values) {
    return values[random_() % values.size()];
  }

 public:
  explicit generator(std::uint64_t pidfdid) {
    const auto pid = std::to_string(::getpid());
    pids_ = {pid,
             std::to_string(::getpid() + 1),
             "1",
             "0",
             "",
             "-1",
             '+' + pid,
             ' ' + pid,
             pid + ' ',
             "0x1",
             '0' + pid,
             pid + 'x',
             "1 1",
             "2147483647",
             "\n" + pid,
             "2147483648",
             "-2147483648",
             "4294967297",
             std::string(30, '9'),
             std::nullopt};
    const auto id = std::to_string(pidfdid);
    pidfdids_ = {std::nullopt,
                 id,
                 std::to_string(pidfdid + 1),
                 "",
                 "0",
                 "-1",
                 "x",
                 '0' + id,
                 id + ' ',
                 '+' + id,
                 "18446744073709551615",
                 "18446744073709551616",
                 std::string(30, '9')};
    counts_ = {"0",
               "00",
               "-1",
               "-0",
               "+1",
               " 1",
               "1 ",
               "01",
               "010",
               "08",
               "0x1",
               "0b1",
               "0o1",
               "1x",
               "1,2",
               "2147483644",
               "2147483645",
               "2147483647",
               "2147483648",
               "4294967297",
               "",
               "\t1",
               "1\n",
               "12",
               "13",
               std::string(30, '9'),
               std::string(30, '9') + 'x',
               std::nullopt};
  }

  receive_call next() {
    receive_call result;
    result.pid = often() ? pids_.front() : one_of(pids_);
    if (!often()) result.pidfdid = often() ? pidfdids_[1] : one_of(pidfdids_);
    const int count = 1 + below(6);
    result.count = often() ? std::to_string(count) : one_of(counts_);
    if (!often()) result.first_fd = one_of(first_fds_);
    result.open = often() ? count + below(3) : below(last - first);
    if (!often()) result.hole = first + below(last - first);
    result.close_on_exec = !often();
    if (below(4) != 0) {
      const int names = often() ? count : below(6);
      result.names = "";
      for (int i = 0; i < names; ++i) *result.names += (i > 0 ? ":" : "") + one_of(names_);
    }
    result.unset_environment = below(3) - 1;
    result.form = std::array{receive_call::without_names, receive_call::null_names, receive_call::wants_names,
                             receive_call::wants_names}[static_cast<std::size_t>(below(4))];
    return result;
  }

 private:
  std::mt19937 random_{1};  // NOLINT(cert-msc*): the same inputs in each run
  std::vector<variable> pids_, pidfdids_, counts_;
  std::vector<variable> first_fds_{"3",
                                   "3",
                                   "4",
                                   "5",
                                   "10",
                                   "0",
                                   "2",
                                   "-1",
                                   "",
                                   "x",
                                   "3 ",
                                   "03",
                                   "0x3",
                                   "2147483640",
                                   "2147483647",
                                   "2147483648",
                                   std::string(30, '9')};
  std::vector<std::string> names_{
      "web",  "web", "",   "a b", "unknown", "connection", "name.socket", "'q'",   "\"q\"", "\"",
      "\xff", " a ", "\t", "#c",  "$HOME",   "a\\b",       "\\",          "\\x41", "\\\\",  std::string(255, 'n')};
};

class receive : public sd::test::our_library {};
class receive_by_both : public sd::test::both_libraries {};

TEST_F(receive, documented_results) {
  const std::uint64_t pidfdid = sd::test::pidfd_inode(::getpid()).value_or(0);
  generator inputs(pidfdid);
  for (int i = 0; i < 100'000; ++i) {
    const auto input = inputs.next();
    ASSERT_EQ(input.of(ours), input.expected(pidfdid)) << input.text();
  }
  receive_call().arrange();
}

TEST_F(receive_by_both, same_results) {
  const std::uint64_t pidfdid = sd::test::pidfd_inode(::getpid()).value_or(0);
  generator inputs(pidfdid);
  comparison both;
  for (int i = 0; i < 100'000; ++i) {
    const auto input = inputs.next();
    const auto our_result = input.of(ours);
    const auto their_result = input.of(theirs);
    both.compare([&] { return input.text(); }, their_result, our_result,
                 allowed(input, their_result, our_result, theirs));
  }
  receive_call().arrange();
  std::set<std::string> differences{
      "malformed variables that are for another process, or without `LISTEN_FDS`",
      "a number that is not plain decimal or is too large",
      "an error of `sd_listen_fds()`",
      "a name with a backslash",
      "`LISTEN_FDS_FIRST_FD`",
  };
  if (!theirs.knows_pidfdid) differences.insert("`LISTEN_PIDFDID`, compared with libsystemd before 259");
  both.expect(100'000, differences);
}

TEST_F(receive, one_of_several_threads_that_unset_the_environment_receives) {
  receive_call input;
  input.pid = std::to_string(::getpid());
  input.count = "3";
  input.open = 3;
  input.unset_environment = 1;
  for (int i = 0; i < 200; ++i) {
    input.arrange();
    std::atomic<int> ready{0};
    std::array<int, 4> results{};
    std::vector<std::thread> threads;
    threads.reserve(results.size());
    for (auto& result : results) {
      threads.emplace_back([&] {
        for (++ready; ready < static_cast<int>(results.size());) {
        }
        result = ours.listen_fds(1);
      });
    }
    for (auto& thread : threads) thread.join();
    std::sort(results.begin(), results.end());
    ASSERT_EQ(results, (std::array{0, 0, 0, 3}));
  }
  receive_call().arrange();
}

TEST_F(receive, all_threads_receive_if_the_environment_stays) {
  receive_call input;
  input.pid = std::to_string(::getpid());
  input.count = "3";
  input.open = 3;
  input.arrange();
  std::array<int, 4> results{};
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (auto& result : results) threads.emplace_back([&] { result = ours.listen_fds(0); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(results, (std::array{3, 3, 3, 3}));
  receive_call().arrange();
}

}  // namespace
