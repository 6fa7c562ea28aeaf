// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests sd_notify() and its variants: calls both libraries with the same NOTIFY_SOCKET and arguments, and compares the
// results and the messages that arrive.

#include "comparison.hpp"
#include "directory.hpp"
#include "libraries.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

namespace {

using sd::test::comparison;
using sd::test::library;
using sd::test::manager;
using sd::test::notify_call;
using sd::test::observation;
using sd::test::variable;

class notify : public sd::test::both_libraries {
 protected:
  void TearDown() override { ::unsetenv("NOTIFY_SOCKET"); }

  sd::test::directory directory_;
  // Other processes may run these tests at the same time.
  const std::string abstract_ = "@sd-daemon-notified-" + std::to_string(::getpid());
  const std::string longest_path_ = directory_.path() + '/' + std::string(106 - directory_.path().size(), 'l');
  const std::array<manager, 3> managers_{manager(directory_.path() + "/notify"), manager(abstract_),
                                         manager(longest_path_)};
};

TEST_F(notify, same_results) {
  const std::string at = directory_.path();
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  at.copy(address.sun_path, at.size());
  std::memcpy(address.sun_path + at.size(), "/stream", sizeof "/stream");
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(::open((at + "/file").c_str(), O_CREAT | O_CLOEXEC, S_IRWXU));
  { manager gone(at + "/dead"); }
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }

  const std::vector<variable> addresses{
      std::nullopt, at + "/notify", abstract_, longest_path_, at + "/none", at + "/file", at + "/stream", at + "/dead",
      at + "/notify/", at, "@none", "", "/", "@", "x", "relative/x", " /x", "file:///x", "/" + std::string(107, 'x'),
      "/" + std::string(1000, 'x'), "@" + std::string(106, 'y'), "@" + std::string(107, 'y'),
      "@" + std::string(108, 'y'),
      // Only malformed vsock addresses, as connecting takes seconds.
      "vsock:2", "vsock::1", "vsock:", "vsock:x:1", "vsock:2:x", "vsock:-1:1", "vsock:4294967295:1",
      "vsock:2:4294967296", "vsock-dgram:2:1", "vsock-other:2:1", "VSOCK:2:1"};
  const std::vector<std::optional<std::string>> states{std::nullopt,
                                                       "",
                                                       "READY=1",
                                                       "READY=1\n",
                                                       "READY=1\nSTATUS=a b \xff\n\nX_Y=",
                                                       "\n",
                                                       "BARRIER=1",
                                                       "FDSTORE=1\nFDNAME=x",
                                                       "%s%n",
                                                       "STATUS=" + std::string(5'000, 's'),
                                                       std::string(212'000, 'x'),
                                                       std::string(1'000'000, 'x')};
  const std::vector<pid_t> pids{0, ::getpid(), child, ::getppid(), 1, 2, -1, INT_MIN, 99'999'999};
  std::vector<std::vector<int>> descriptors{{}, {0}, {0, 1}, {0, 999}, {-1}};
  for (const std::size_t count : {253U, 254U, 1000U}) descriptors.emplace_back(count, 0);

  comparison both;
  std::mt19937 random(1);  // NOLINT(cert-msc*): the same calls in each run
  const auto one_of = [&](const auto& values) { return values[random() % values.size()]; };
  const std::vector<std::string> functions{"sd_notify",
                                           "sd_notifyf",
                                           "sd_pid_notify",
                                           "sd_pid_notifyf",
                                           "sd_pid_notify_with_fds",
                                           "sd_pid_notifyf_with_fds",
                                           "sd_notify_barrier",
                                           "sd_pid_notify_barrier"};
  for (int i = 0; i < 30'000; ++i) {
    const auto where = random() % 2 != 0 ? addresses[1 + random() % 3] : one_of(addresses);
    notify_call call;
    call.where = where;
    call.function = one_of(functions);
    // Most of the time without the large messages, which take long.
    call.state = random() % 8 != 0 ? states[random() % 9] : one_of(states);
    call.unset_environment = static_cast<int>(random() % 3) - 1;
    if (call.function.find("pid") != std::string::npos) call.pid = one_of(pids);
    if (call.has_fds()) call.fds = one_of(descriptors);
    if (!call.exists_in(theirs)) continue;
    const auto our_result = call.of(ours, managers_);
    const auto their_result = call.of(theirs, managers_);
    both.compare([&] { return call.text(); }, their_result, our_result,
                 allowed(call, their_result, our_result, theirs));
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(listener);

  both.expect(20'000, {"a malformed `NOTIFY_SOCKET`", "descriptors for a vsock address",
                       theirs.knows_e2big ? "an empty message that cannot be sent"
                                          : "more than 253 descriptors, compared with libsystemd before 257"});
}

TEST_F(notify, same_results_without_privilege) {
  // In a process that gives up its privileges for good. Its exit status is the result.
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((directory_.path() + "/notify").c_str(), 0777), 0);
  if (::getuid() != 0) GTEST_SKIP() << "SKIPPED: needs root, to give up its privileges";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    comparison both;
    for (const pid_t pid : {0, ::getpid(), ::getppid(), 1, -1}) {
      for (const char* function : {"sd_pid_notify", "sd_pid_notifyf", "sd_pid_notify_with_fds"}) {
        notify_call call;
        call.where = directory_.path() + "/notify";
        call.function = function;
        call.pid = pid;
        call.state = "READY=1";
        both.compare([&] { return call.text(); }, call.of(theirs, managers_), call.of(ours, managers_));
        if (call.of(ours, managers_).at("result") != "1") ::_exit(3);
      }
    }
    both.expect(15);
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(notify, null_arguments_are_einval) {
  // By plain pointers, as the compiler checks the formats of direct calls.
  using pid_notifyf = int (*)(pid_t, int, const char*, ...);
  using notifyf = int (*)(int, const char*, ...);
  comparison both;
  for (const variable& where : {variable(), variable(directory_.path() + "/notify"), variable("x")}) {
    for (const int unset : {0, 1}) {
      const auto compare = [&](const std::string& text, const std::function<int(const library&)>& call) {
        const auto observed = [&](const library& library) {
          sd::test::set("NOTIFY_SOCKET", where);
          observation seen;
          seen["result"] = std::to_string(call(library));
          seen["message"] = managers_[0].received();
          sd::test::observe(seen, "NOTIFY_SOCKET");
          return seen;
        };
        const auto our_result = observed(ours);
        EXPECT_EQ(our_result.at("result"), std::to_string(-EINVAL)) << text;
        both.compare([&] { return text; }, observed(theirs), our_result);
      };
      for (const unsigned count : {1U, 253U, 254U, 1000U}) {
        compare("null descriptors", [&](const library& library) {
          return library.pid_notify_with_fds(0, unset, "FDSTORE=1", nullptr, count);
        });
      }
      compare("null text", [&](const library& library) { return library.notify(unset, nullptr); });
      compare("null format",
              [&](const library& library) { return static_cast<notifyf>(library.notifyf)(unset, nullptr); });
      compare("null format with a pid",
              [&](const library& library) { return static_cast<pid_notifyf>(library.pid_notifyf)(0, unset, nullptr); });
    }
  }
  both.expect(42);
}

TEST_F(notify, barriers_wait) {
  using namespace std::chrono;
  ::setenv("NOTIFY_SOCKET", (directory_.path() + "/notify").c_str(), 1);
  for (const auto& library : {theirs, ours}) {
    for (const std::uint64_t timeout :
         {std::uint64_t{60'000'000}, UINT64_MAX, std::uint64_t{INT64_MAX}, std::uint64_t{1} << 63U}) {
      std::atomic<bool> dealt_with{false};
      std::thread late([&] {
        managers_.front().wait();
        std::this_thread::sleep_for(20ms);
        dealt_with = true;
        EXPECT_EQ(managers_.front().received().substr(0, 11), "[BARRIER=1 ");
      });
      EXPECT_EQ(library.notify_barrier(0, timeout), 1);
      EXPECT_TRUE(dealt_with);
      late.join();
    }
    const auto start = steady_clock::now();
    EXPECT_EQ(library.notify_barrier(0, 30'000), -ETIMEDOUT);
    EXPECT_GE(steady_clock::now() - start, 30ms);
    EXPECT_EQ(managers_.front().received().substr(0, 11), "[BARRIER=1 ");
  }
}

}  // namespace
