// What sd::notify() sends to a service manager of the test's own: the text, the sender and the descriptors.

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
using sd::state;
using sd::unique_fd;
using sd::test::abstract_address;
using sd::test::check;
using sd::test::error;
using sd::test::most_attached;
using sd::test::notify;
using sd::test::open_descriptors;
using sd::test::receiver;
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

// --- what is said ----------------------------------------------------------------------------------------------------

TEST_F(notify, says_each_thing_byte_for_byte) {
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
      {state::main_pidfd(), "MAINPIDFD=1"},
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
    EXPECT_EQ(std::string(one.key()) + std::string(one.value()), text);
    const state copy = one;
    std::string twice = text;
    twice.append(1, '\n').append(text);
    expect_sent({one, copy}, twice);
  }
}

TEST_F(notify, sends_several_in_one_message) {
  expect_sent({state::ready(), state::status("up"), state::main_pid(1)}, "READY=1\nSTATUS=up\nMAINPID=1");
  expect_sent({state::fdstore(), state::fdname("a"), state::fdpoll_off()}, "FDSTORE=1\nFDNAME=a\nFDPOLL=0");
}

TEST_F(notify, reloading_says_what_the_clock_says) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
  };
  const auto before = now();
  ASSERT_TRUE(sd::notify({state::reloading(), state::status("again")}));
  const auto after = now();
  const auto text = manager().only();
  const std::string begin = "RELOADING=1\nMONOTONIC_USEC=";
  const std::string end = "\nSTATUS=again";
  ASSERT_THAT(text, testing::MatchesRegex(begin + "[0-9]+" + end));
  const auto said = std::stoll(text.substr(begin.size()));
  EXPECT_GE(said, before);
  EXPECT_LE(said, after);
}

TEST_F(notify, refuses_text_that_is_more_than_a_line) {
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

TEST_F(notify, takes_names_of_descriptors_by_the_rules_of_the_store) {
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

TEST_F(notify, refuses_to_say_nothing) {
  expect_refused({}, EINVAL);
  expect_refused({state::raw("")}, EINVAL);
  expect_refused({state::ready(), state::raw("")}, EINVAL);
}

TEST_F(notify, sends_raw_lines_as_they_are) {
  const std::string bytes("X=\0\xff:\n\nY", 8);
  expect_sent({state::raw(bytes)}, without_nul(bytes));
}

TEST_F(notify, says_as_many_things_as_fit_a_message) {
  const auto r = state::restart_reset();
  std::string text;
  for (int i = 0; i < 21; ++i) text += (i > 0 ? "\nRESTART_RESET=1" : "RESTART_RESET=1");
  expect_sent({r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r}, text);
  expect_refused({r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r, r}, EMSGSIZE);
}

TEST_F(notify, says_no_more_than_a_datagram_holds) {
  const std::string long_line(100'000, 'x');
  expect_sent({state::status(long_line)}, "STATUS=" + long_line);
  const std::string longer(300'000, 'x');  // than what sockets have room for from the start
  expect_sent({state::status(longer)}, "STATUS=" + longer);
  const std::string too_long(64U << 20U, 'x');
  expect_refused({state::status(too_long)}, EMSGSIZE);
}

TEST_F(notify, allocates_nothing) {
  const std::string text(1000, 'x');
  const auto fd = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = fd.get();
  const notify_options options{&number, 1, 0};
  for (int times = 0; times < 2; ++times) {
    std::error_code ec;
    sd::test::largest_allocation = 0;
    sd::notify({state::ready(), state::status(text), state::main_pid(1)}, ec);
    sd::notify({state::reloading()}, ec);
    sd::notify({state::watchdog()}, ec);
    sd::notify({state::fdstore(), state::fdname("a")}, options, ec);
    sd::notify_barrier(0us, ec);
    EXPECT_EQ(sd::test::largest_allocation, 0U);
    EXPECT_EQ(ec, error(ETIMEDOUT));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(manager().next());
  }
}

// --- who says it -----------------------------------------------------------------------------------------------------

/// A process that does nothing, until this object goes.
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

TEST_F(notify, comes_from_this_process) {
  for (const int pid : {0, ::getpid()}) {
    EXPECT_TRUE(sd::notify({state::ready()}, from(pid)));
    const auto message = manager().next();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->text, "READY=1");
    EXPECT_EQ(message->pid, ::getpid());
  }
}

TEST_F(notify, comes_from_another_process_with_privilege) {
  if (!sd::test::has_sys_admin()) GTEST_SKIP() << "SKIPPED: this takes CAP_SYS_ADMIN";
  other_process other;
  EXPECT_TRUE(sd::notify({state::main_pid(other.pid())}, from(other.pid())));
  const auto message = manager().next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "MAINPID=" + std::to_string(other.pid()));
  EXPECT_EQ(message->pid, other.pid());
  EXPECT_NE(message->pid, ::getpid());

  other.end();
  expect_refused({state::ready()}, ESRCH, from(other.pid()));
}

TEST(notify_from, another_process_takes_privilege) {
  const other_process other;
  receiver manager(abstract_address());  // which a directory's mode does not keep anyone from
  const pid_t child = check(::fork(), "fork");
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) < 0 || ::setuid(65534) < 0)) ::_exit(200);
    std::error_code ec;
    const bool sent = sd::notify({state::ready()}, from(other.pid()), ec);
    if (sent || ec.category() != std::generic_category()) ::_exit(201);
    if (!sd::notify({state::status("own")}, from(::getpid()), ec)) ::_exit(202);
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

// --- what goes with it -----------------------------------------------------------------------------------------------

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

TEST_F(notify, attaches_descriptors) {
  for (const int pid : {0, ::getpid()}) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, most_attached}) {
      SCOPED_TRACE(count);
      const auto files = open_files(count);
      const auto fds = numbers(files);
      const auto before = open_descriptors();
      EXPECT_TRUE(sd::notify({state::fdstore(), state::fdname("a")}, {fds.data(), fds.size(), pid}));
      EXPECT_EQ(open_descriptors(), before) << "the sender's are all open, and no others";
      const auto message = manager().next();
      ASSERT_TRUE(message);
      EXPECT_EQ(message->text, "FDSTORE=1\nFDNAME=a");
      EXPECT_EQ(message->pid, ::getpid());
      ASSERT_THAT(message->fds, SizeIs(count));
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(file_of(message->fds[i].get()), file_of(fds[i])) << i;
    }
  }
}

TEST_F(notify, attaches_no_more_descriptors_than_can_be) {
  const auto files = open_files(most_attached + 1);
  const auto fds = numbers(files);
  expect_refused({state::fdstore()}, E2BIG, {fds.data(), fds.size(), 0});
  expect_refused({state::fdstore()}, E2BIG, {fds.data(), SIZE_MAX, 0});
  for (const int fd : fds) EXPECT_GE(::fcntl(fd, F_GETFD), 0);
}

TEST_F(notify, attaches_only_what_is_open) {
  const auto file = open_files(1);
  const std::array<int, 2> fds = {file[0].get(), -1};
  expect_refused({state::fdstore()}, EBADF, {fds.data(), fds.size(), 0});
}

}  // namespace
