// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests what sd::notify() sends: the text, the sender and the descriptors.

#include <sd/notify.hpp>
#include <sd/unique_fd.hpp>

#include "allocation.hpp"
#include "notify_fixture.hpp"
#include "privilege.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::notify_options;
using sd::notify_result;
using sd::state;
using sd::unique_fd;
using sd::test::abstract_address;
using sd::test::check;
using sd::test::most_attached;
using sd::test::notify;
using sd::test::open_descriptors;
using sd::test::receiver;
using sd::test::stale;
using sd::test::system_error;
using sd::test::without_nul;
using std::chrono::microseconds;
using testing::SizeIs;

struct file {
  dev_t device;
  ino_t inode;
  bool operator==(const file& other) const { return device == other.device && inode == other.inode; }
};

file file_of(int fd) {
  struct stat status {};
  check(::fstat(fd, &status), "fstat");
  return {status.st_dev, status.st_ino};
}

// --- text ------------------------------------------------------------------------------------------------------------

TEST_F(notify, text_of_each_state) {
  const std::vector<std::pair<state, std::string>> cases = {
      {state::ready(), "READY=1"},
      {state::stopping(), "STOPPING=1"},
      {state::status("serving 12 users, 100 % \"ok\"\t= ü"), "STATUS=serving 12 users, 100 % \"ok\"\t= ü"},
      {state::status(""), "STATUS="},
      {state::failed(2), "ERRNO=2"},
      {state::failed(0), "ERRNO=0"},
      {state::failed(INT_MIN), "ERRNO=-2147483648"},
      {state::failed(INT_MAX), "ERRNO=2147483647"},
      {state::bus_error("org.freedesktop.DBus.Error.TimedOut"), "BUSERROR=org.freedesktop.DBus.Error.TimedOut"},
      {state::varlink_error("org.varlink.service.InvalidParameter"),
       "VARLINKERROR=org.varlink.service.InvalidParameter"},
      {state::exit_status(0), "EXIT_STATUS=0"},
      {state::exit_status(255), "EXIT_STATUS=255"},
      {state::main_pid(4711), "MAINPID=4711"},
      {state::main_pidfd_id(UINT64_MAX), "MAINPIDFDID=18446744073709551615"},
      {state::main_pidfd_id(0), "MAINPIDFDID=0"},
      {state::notify_access("none"), "NOTIFYACCESS=none"},
      {state::notify_access("exec"), "NOTIFYACCESS=exec"},
      {state::watchdog(), "WATCHDOG=1"},
      {state::watchdog_trigger(), "WATCHDOG=trigger"},
      {state::watchdog_period(20s), "WATCHDOG_USEC=20000000"},
      {state::watchdog_period(1us), "WATCHDOG_USEC=1"},
      {state::extend_timeout(500ms), "EXTEND_TIMEOUT_USEC=500000"},
      {state::extend_timeout(microseconds::max()), "EXTEND_TIMEOUT_USEC=9223372036854775807"},
      {state::extend_timeout(microseconds::min()), "EXTEND_TIMEOUT_USEC=-9223372036854775808"},
      {state::restart_reset(), "RESTART_RESET=1"},
      {state::fdstore(), "FDSTORE=1"},
      {state::fdstore_remove(), "FDSTOREREMOVE=1"},
      {state::fdname("users"), "FDNAME=users"},
      {state::fdpoll_off(), "FDPOLL=0"},
      {state::raw("X_MINE=1"), "X_MINE=1"},
      {state::raw("X_A=1\nX_B=\n"), "X_A=1\nX_B=\n"},
      {state::raw("\n"), "\n"},
  };
  for (const auto& [one, text] : cases) {
    SCOPED_TRACE(text);
    expect_sent({one}, text);
    expect_sent({state::ready(), one}, "READY=1\n" + text);
    expect_sent({one, state::watchdog()}, text + "\nWATCHDOG=1");
    const auto key = std::string(one.key());
    EXPECT_EQ(key.empty() ? std::string(one.value()) : key + '=' + std::string(one.value()), text);
    const state copy = one;
    std::string twice = text;
    twice.append(1, '\n').append(text);
    expect_sent({one, copy}, twice);
  }
}

TEST_F(notify, one_state) {
  EXPECT_EQ(sd::notify(state::ready()), notify_result::sent);
  EXPECT_EQ(manager().only(), "READY=1");
  auto ec = stale();
  EXPECT_EQ(sd::notify(state::stopping(), ec), notify_result::sent);
  EXPECT_FALSE(ec);
  EXPECT_EQ(manager().only(), "STOPPING=1");
}

TEST_F(notify, container_of_states) {
  std::vector<state> states = {state::ready()};
  EXPECT_EQ(sd::notify(states), notify_result::sent);
  EXPECT_EQ(manager().only(), "READY=1");
  states.push_back(state::status("up"));
  EXPECT_EQ(sd::notify(states), notify_result::sent);
  EXPECT_EQ(manager().only(), "READY=1\nSTATUS=up");
  EXPECT_EQ(sd::notify(std::array<state, 2>{state::stopping(), state::status("down")}), notify_result::sent);
  EXPECT_EQ(manager().only(), "STOPPING=1\nSTATUS=down");
  states.clear();
  expect_refused(states, EINVAL);
}

TEST_F(notify, several_states_are_one_message) {
  expect_sent({state::ready(), state::status("up"), state::main_pid(1)}, "READY=1\nSTATUS=up\nMAINPID=1");
  expect_sent({state::fdstore(), state::fdname("a"), state::fdpoll_off()}, "FDSTORE=1\nFDNAME=a\nFDPOLL=0");
}

TEST(state, key_and_value) {
  EXPECT_EQ(state::ready().key(), "READY");
  EXPECT_EQ(state::ready().value(), "1");
  EXPECT_EQ(state::status("a=b").key(), "STATUS");
  EXPECT_EQ(state::status("a=b").value(), "a=b");
  EXPECT_EQ(state::raw("A=1\nB=2").key(), "");
  EXPECT_EQ(state::raw("A=1\nB=2").value(), "A=1\nB=2");
  const auto reloading = state::reloading();
  EXPECT_EQ(reloading.key(), "RELOADING");
  EXPECT_EQ(reloading.value().substr(0, 2), "1\n");
}

TEST_F(notify, reloading_sends_the_monotonic_clock) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
  };
  const auto before = now();
  ASSERT_EQ(sd::notify({state::reloading(), state::status("again")}), notify_result::sent);
  const auto after = now();
  const auto text = manager().only();
  const std::string begin = "RELOADING=1\nMONOTONIC_USEC=";
  const std::string end = "\nSTATUS=again";
  ASSERT_THAT(text, testing::MatchesRegex(begin + "[0-9]+" + end));
  const auto said = std::stoll(text.substr(begin.size()));
  EXPECT_GE(said, before);
  EXPECT_LE(said, after);
}

TEST_F(notify, text_of_several_lines_is_einval) {
  const std::string nul("a\0b", 3);
  for (const std::string& text :
       {std::string("a\nb"), std::string("\n"), std::string("a\n"), std::string("\na"), nul, std::string(1, '\0')}) {
    for (const auto& one : {state::status(text), state::bus_error(text), state::varlink_error(text),
                            state::notify_access(text), state::fdname(text)}) {
      SCOPED_TRACE(one.key());
      expect_refused({one}, EINVAL);
      expect_refused({state::ready(), one}, EINVAL);
      expect_refused({one, state::ready()}, EINVAL);
    }
  }
}

TEST_F(notify, descriptor_names_that_the_store_accepts) {
  for (const std::string& name :
       {std::string("a"), std::string(255, 'x'), std::string(" !\"/=~"), std::string("stored/b")}) {
    expect_sent({state::fdname(name)}, "FDNAME=" + name);
  }
  for (const std::string& name :
       {std::string(), std::string(256, 'x'), std::string("a:b"), std::string(":"), std::string("\t"),
        std::string("\x1f"), std::string("\x7f"), std::string("\x80"), std::string("\xff"), std::string("ü")}) {
    SCOPED_TRACE(name);
    expect_refused({state::fdname(name)}, EINVAL);
  }
}

TEST_F(notify, no_state_is_einval) {
  expect_refused({}, EINVAL);
  expect_refused({state::raw("")}, EINVAL);
  expect_refused({state::ready(), state::raw("")}, EINVAL);
}

TEST_F(notify, raw_lines_are_sent_unchanged) {
  const std::string bytes("X=\0\xff:\n\nY", 8);
  expect_sent({state::raw(bytes)}, without_nul(bytes));
}

TEST_F(notify, more_than_21_states_are_emsgsize) {
  const auto r = state::restart_reset();
  std::string text;
  for (int i = 0; i < 21; ++i) text += (i > 0 ? "\nRESTART_RESET=1" : "RESTART_RESET=1");
  expect_sent({r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r}, text);
  expect_refused({r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r}, EMSGSIZE);
  expect_refused(std::vector<state>(1000, r), EMSGSIZE);
}

TEST_F(notify, long_messages) {
  const std::string long_line(100'000, 'x');
  expect_sent({state::status(long_line)}, "STATUS=" + long_line);
  const std::string longer(300'000, 'x');  // than the default send buffer
  expect_sent({state::status(longer)}, "STATUS=" + longer);
  const std::string too_long(64U << 20U, 'x');
  expect_refused({state::status(too_long)}, EMSGSIZE);
}

TEST_F(notify, allocates_no_memory) {
  const std::string text(1000, 'x');
  const auto fd = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = fd.get();
  const notify_options options{number};
  for (int times = 0; times < 2; ++times) {
    std::error_code ec;
    sd::test::largest_allocation = 0;
    sd::notify({state::ready(), state::status(text), state::main_pid(1)}, ec);
    sd::notify({state::reloading()}, ec);
    sd::notify({state::watchdog()}, ec);
    sd::notify({state::fdstore(), state::fdname("a")}, options, ec);
    sd::notify_barrier(0us, ec);
    EXPECT_EQ(sd::test::largest_allocation, 0U);
    EXPECT_EQ(ec, system_error(ETIMEDOUT));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(manager().next());
  }
}

// --- sender ----------------------------------------------------------------------------------------------------------

/// A process that does nothing. It ends with this object.
class other_process {
 public:
  other_process() : pid_(check(::fork(), "fork")) {
    if (pid_ != 0) return;
    while (true) ::pause();
  }
  ~other_process() { end(); }
  other_process(const other_process&) = delete;
  other_process& operator=(const other_process&) = delete;
  [[nodiscard]] int pid() const noexcept { return pid_; }
  void end() noexcept {
    if (ended_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ended_ = true;
  }

 private:
  int pid_;
  bool ended_ = false;
};

notify_options from(int pid) {
  notify_options options;
  options.pid = pid;
  return options;
}

TEST_F(notify, sender_is_this_process) {
  for (const int pid : {0, ::getpid()}) {
    EXPECT_EQ(sd::notify({state::ready()}, from(pid)), notify_result::sent);
    const auto message = manager().next();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->text, "READY=1");
    EXPECT_EQ(message->pid, ::getpid());
  }
}

TEST_F(notify, privileged_process_sends_as_another) {
  if (!sd::test::has_sys_admin()) GTEST_SKIP() << "SKIPPED: needs CAP_SYS_ADMIN";
  other_process other;
  EXPECT_EQ(sd::notify({state::main_pid(other.pid())}, from(other.pid())), notify_result::sent);
  const auto message = manager().next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "MAINPID=" + std::to_string(other.pid()));
  EXPECT_EQ(message->pid, other.pid());
  EXPECT_NE(message->pid, ::getpid());

  other.end();
  expect_refused({state::ready()}, ESRCH, from(other.pid()));
}

TEST(notify_as_another, without_privilege_is_eperm) {
  const other_process other;
  receiver manager(abstract_address());  // reachable regardless of the modes of directories
  const pid_t child = check(::fork(), "fork");
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) < 0 || ::setuid(65534) < 0)) ::_exit(200);
    std::error_code ec;
    const auto result = sd::notify({state::ready()}, from(other.pid()), ec);
    if (result == notify_result::sent || ec.category() != std::generic_category()) ::_exit(201);
    if (sd::notify({state::status("own")}, from(::getpid()), ec) != notify_result::sent) ::_exit(202);
    sd::notify({state::ready()}, from(other.pid()), ec);
    ::_exit(ec.value());
  }
  int status = 0;
  check(::waitpid(child, &status, 0), "waitpid");
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), EPERM);
  const auto message = manager.next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "STATUS=own");
  EXPECT_EQ(message->pid, child);
  EXPECT_FALSE(manager.next());
}

// --- descriptors -----------------------------------------------------------------------------------------------------

std::vector<unique_fd> open_files(std::size_t count) {
  std::vector<unique_fd> files;
  while (files.size() < count) files.emplace_back(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  return files;
}

std::vector<int> numbers(const std::vector<unique_fd>& files) {
  std::vector<int> result;
  result.reserve(files.size());
  for (const auto& fd : files) result.push_back(fd.get());
  return result;
}

TEST_F(notify, descriptors_arrive) {
  for (const int pid : {0, ::getpid()}) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, most_attached}) {
      SCOPED_TRACE(count);
      const auto files = open_files(count);
      const auto fds = numbers(files);
      const auto before = open_descriptors();
      EXPECT_EQ(sd::notify({state::fdstore(), state::fdname("a")}, {fds, pid}), notify_result::sent);
      EXPECT_EQ(open_descriptors(), before) << "the descriptors of the sender stay open";
      const auto message = manager().next();
      ASSERT_TRUE(message);
      EXPECT_EQ(message->text, "FDSTORE=1\nFDNAME=a");
      EXPECT_EQ(message->pid, ::getpid());
      ASSERT_THAT(message->fds, SizeIs(count));
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(file_of(message->fds[i].get()), file_of(fds[i])) << i;
    }
  }
}

TEST_F(notify, more_than_253_descriptors_are_e2big) {
  const auto files = open_files(most_attached + 1);
  const auto fds = numbers(files);
  expect_refused({state::fdstore()}, E2BIG, {fds});
  for (const int fd : fds) EXPECT_GE(::fcntl(fd, F_GETFD), 0);
}

TEST_F(notify, main_pidfd_needs_exactly_one_descriptor) {
  const auto files = open_files(2);
  const auto fds = numbers(files);
  expect_refused({state::main_pidfd()}, EINVAL);
  expect_refused({state::ready(), state::main_pidfd()}, EINVAL, {fds});
  EXPECT_EQ(sd::notify({state::ready(), state::main_pidfd()}, {fds[0]}), notify_result::sent);
  const auto message = manager().next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "READY=1\nMAINPIDFD=1");
  EXPECT_THAT(message->fds, SizeIs(1));
}

TEST_F(notify, closed_descriptor_is_ebadf) {
  const auto file = open_files(1);
  const std::array<int, 2> fds = {file[0].get(), -1};
  expect_refused({state::fdstore()}, EBADF, {fds});
  const int closed = 987'654;
  expect_refused({state::fdstore()}, EBADF, {closed});
}

}  // namespace
