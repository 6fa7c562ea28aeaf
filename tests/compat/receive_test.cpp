// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests sd_listen_fds() and sd_listen_fds_with_names(): calls both libraries with the same variables, descriptors and
// arguments, and compares ours with an implementation of docs/sd-daemon.md, too.

#include "comparison.hpp"
#include "libraries.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace {

using sd::test::comparison;
using sd::test::documented;
using sd::test::library;
using sd::test::observation;
using sd::test::variable;

constexpr int first = SD_LISTEN_FDS_START;
constexpr int last = 16;

struct input {
  variable pid, pidfdid, count, first_fd, names;
  int open = 0;   // how many descriptors are open, from the first one on
  int hole = -1;  // the one among them that is closed
  bool close_on_exec = false;

  int unset_environment = 0;
  enum { without_names, null_names, wants_names } form = without_names;
};

void arrange(const input& input) {
  sd::test::set("LISTEN_PID", input.pid);
  sd::test::set("LISTEN_PIDFDID", input.pidfdid);
  sd::test::set("LISTEN_FDS", input.count);
  sd::test::set("LISTEN_FDS_FIRST_FD", input.first_fd);
  sd::test::set("LISTEN_FDNAMES", input.names);
  for (int fd = first; fd <= last; ++fd) {
    if (fd < first + input.open && fd != input.hole) {
      ::dup3(STDIN_FILENO, fd, input.close_on_exec ? O_CLOEXEC : 0);
    } else {
      ::close(fd);
    }
  }
}

/// Returns a character per descriptor: x for close-on-exec, o for open without it, . for closed.
std::string descriptors() {
  std::string text;
  for (int fd = first; fd <= last; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    text += flags < 0 ? '.' : (flags & FD_CLOEXEC) != 0 ? 'x' : 'o';
  }
  return text;
}

void observe_environment(observation& seen) {
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDS_FIRST_FD", "LISTEN_FDNAMES"})
    sd::test::observe(seen, name);
}

observation receive_with(const library& library, const input& input) {
  arrange(input);
  char* none[] = {nullptr};
  char** names = none;
  const int result = input.form == input::without_names ? library.listen_fds(input.unset_environment)
                     : input.form == input::null_names ? library.listen_fds_with_names(input.unset_environment, nullptr)
                                                       : library.listen_fds_with_names(input.unset_environment, &names);
  observation seen;
  seen["result"] = std::to_string(result);
  if (names == none) {
    seen["names"] = "untouched";
  } else {
    for (char** name = names; *name != nullptr; ++name) {
      seen["names"] += '[' + std::string(*name) + ']';
      std::free(*name);
    }
    std::free(static_cast<void*>(names));
  }
  seen["descriptors"] = descriptors();
  observe_environment(seen);
  // What the next caller receives.
  seen["again"] = std::to_string(library.listen_fds(0));
  return seen;
}

std::string describe(const input& input) {
  std::string text = input.form == input::without_names ? "sd_listen_fds(" : "sd_listen_fds_with_names(";
  text += std::to_string(input.unset_environment);
  text += input.form == input::without_names ? ")" : input.form == input::null_names ? ", NULL)" : ", &names)";
  arrange(input);
  observation environment;
  observe_environment(environment);
  for (const auto& [name, value] : environment) text.append(" ").append(name).append(": ").append(value);
  return text + " descriptors: " + descriptors();
}

// The results that the page documents.

/// Reads a decimal number that consists of digits only.
int read(const variable& text, std::uint64_t most, std::uint64_t& number) {
  if (text->empty() || text->find_first_not_of("0123456789") != std::string::npos) return -EINVAL;
  errno = 0;
  number = std::strtoull(text->c_str(), nullptr, 10);
  return errno == ERANGE || number > most ? -ERANGE : 0;
}

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> result{""};
  for (const char c : names) {
    if (c == ':') {
      result.emplace_back();
    } else {
      result.back() += c;
    }
  }
  return result;
}

int expected_result(const input& input, std::uint64_t pidfdid) {
  std::uint64_t number = 0;
  if (!input.pid || !input.count) return 0;
  if (const int error = read(input.pid, INT_MAX, number); error != 0) return error;
  if (number != static_cast<std::uint64_t>(::getpid())) return 0;
  if (input.pidfdid) {
    if (const int error = read(input.pidfdid, UINT64_MAX, number); error != 0) return error;
    if (pidfdid != 0 && number != pidfdid) return 0;
  }
  if (const int error = read(input.count, INT_MAX - first, number); error != 0) return error;
  const auto count = static_cast<int>(number);
  number = first;
  if (input.first_fd) {
    if (const int error = read(input.first_fd, INT_MAX, number); error != 0) return error;
    if (number < first || number + static_cast<unsigned>(count) > INT_MAX) return -ERANGE;
  }
  if (count == 0) return -EINVAL;
  const auto begin = static_cast<int>(number);
  const auto end = begin + count;
  if (end > first + input.open || (input.hole >= begin && input.hole < end)) return -EBADF;
  if (begin != first) return -EINVAL;
  const bool wants_names = input.form == input::wants_names && input.names;
  return wants_names && split(*input.names).size() != static_cast<std::size_t>(count) ? -EINVAL : count;
}

observation expected(const input& input, std::uint64_t pidfdid) {
  const int result = expected_result(input, pidfdid);
  arrange(input);
  observation seen;
  seen["result"] = std::to_string(result);
  seen["names"] = "untouched";
  if (result > 0 && input.form == input::wants_names) {
    auto names =
        input.names ? split(*input.names) : std::vector<std::string>(static_cast<std::size_t>(result), "unknown");
    seen["names"].clear();
    for (const auto& name : names) seen["names"] += '[' + name + ']';
  }
  seen["descriptors"] = descriptors();
  for (int i = 0; i < result; ++i) seen["descriptors"][static_cast<std::size_t>(i)] = 'x';
  const bool unset = input.unset_environment != 0 && result >= 0;
  if (unset) arrange({});
  observe_environment(seen);
  auto again = input;
  again.form = input::without_names;
  seen["again"] = unset ? "0" : std::to_string(expected_result(again, pidfdid));
  return seen;
}

/// Whether it is a plain decimal number in this range.
bool is_plain(const variable& text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  if (!text) return true;
  return read(text, most, number) == 0 && number >= least && (text->size() == 1 || text->front() != '0');
}

/// Returns the difference that the page allows for this input.
std::optional<documented> allowed(const input& input, const observation& theirs, const observation& ours,
                                  bool knows_pidfdid) {
  const auto& result = ours.at("result");
  if (input.pidfdid && !knows_pidfdid) return documented{"`LISTEN_PIDFDID`, compared with libsystemd before 259"};
  if (result == "0" && theirs.at("result").front() == '-') {
    return documented{"malformed variables that are for another process, or without `LISTEN_FDS`"};
  }
  const bool starts_elsewhere = input.first_fd && input.first_fd != std::to_string(first);
  if ((starts_elsewhere && result.front() == '-') || (input.first_fd && input.unset_environment != 0)) {
    return documented{"`LISTEN_FDS_FIRST_FD`"};
  }
  if (!is_plain(input.pid, 1, INT_MAX) || !is_plain(input.pidfdid, 0, UINT64_MAX) ||
      !is_plain(input.count, 0, INT_MAX - first)) {
    return documented{"a number that is not plain decimal or is too large"};
  }
  if (result.front() == '-' && theirs.at("result") == result) {
    return documented{"an error of `sd_listen_fds()`"};
  }
  const bool has_backslash = input.names && input.names->find('\\') != std::string::npos;
  if (has_backslash && input.form == input::wants_names) return documented{"a name with a backslash"};
  return std::nullopt;
}

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

  input next() {
    input result;
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
    result.form = std::array{input::without_names, input::null_names, input::wants_names,
                             input::wants_names}[static_cast<std::size_t>(below(4))];
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
    ASSERT_EQ(receive_with(ours, input), expected(input, pidfdid)) << describe(input);
  }
  arrange({});
}

TEST_F(receive_by_both, same_results) {
  const std::uint64_t pidfdid = sd::test::pidfd_inode(::getpid()).value_or(0);
  generator inputs(pidfdid);
  comparison both;
  for (int i = 0; i < 100'000; ++i) {
    const auto input = inputs.next();
    const auto our_result = receive_with(ours, input);
    const auto their_result = receive_with(theirs, input);
    both.compare([&] { return describe(input); }, their_result, our_result,
                 allowed(input, their_result, our_result, theirs.knows_pidfdid));
  }
  arrange({});
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
  input input;
  input.pid = std::to_string(::getpid());
  input.count = "3";
  input.open = 3;
  input.unset_environment = 1;
  for (int i = 0; i < 200; ++i) {
    arrange(input);
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
  arrange({});
}

TEST_F(receive, all_threads_receive_if_the_environment_stays) {
  input input;
  input.pid = std::to_string(::getpid());
  input.count = "3";
  input.open = 3;
  arrange(input);
  std::array<int, 4> results{};
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (auto& result : results) threads.emplace_back([&] { result = ours.listen_fds(0); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(results, (std::array{3, 3, 3, 3}));
  arrange({});
}

}  // namespace
