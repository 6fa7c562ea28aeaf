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
using sd::test::documented;
using sd::test::library;
using sd::test::observation;
using sd::test::variable;

/// The socket of a service manager. Reports the messages, their senders and their descriptors.
class manager {
 public:
  explicit manager(const std::string& where) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const bool abstract = where.front() == '@';
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, where.data(), where.size());
    if (abstract) address.sun_path[0] = '\0';
    const std::size_t size = offsetof(sockaddr_un, sun_path) + where.size() + (abstract ? 0 : 1);
    EXPECT_EQ(
        ::bind(fd_, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(std::min(size, sizeof address))), 0)
        << where << ": " << std::strerror(errno);
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;
  ~manager() { ::close(fd_); }

  void wait() const {
    pollfd readable{fd_, POLLIN, 0};
    ::poll(&readable, 1, -1);
  }

  [[nodiscard]] std::string received() const {
    std::string all;
    while (true) {
      static std::array<char, 2 << 20> text;
      alignas(cmsghdr) std::array<char, 4096> control;
      iovec piece{text.data(), text.size()};
      msghdr message{};
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      const auto size = ::recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      if (size < 0) return all;
      const std::string said(text.data(), static_cast<std::size_t>(size));
      all += '[' + said.substr(0, 100) + ' ' + std::to_string(std::hash<std::string>()(said)) + ']';
      for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part))
        all += words(*part);
    }
  }

 private:
  static std::string words(const cmsghdr& part) {
    std::string text;
    if (part.cmsg_type == SCM_CREDENTIALS) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(&part), sizeof sender);
      return " from " + std::to_string(sender.pid) + ' ' + std::to_string(sender.uid) + ' ' +
             std::to_string(sender.gid);
    }
    std::vector<int> fds((part.cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(&part), fds.size() * sizeof(int));
    for (const int fd : fds) {
      struct stat file {};
      ::fstat(fd, &file);
      // Each barrier has a new pipe.
      text += S_ISFIFO(file.st_mode) ? " pipe" : " file " + std::to_string(file.st_ino);
      ::close(fd);
    }
    return text;
  }

  int fd_;
};

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 100; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

/// A call of one of the functions.
struct call {
  std::string function;
  pid_t pid = 0;
  int unset_environment = 0;
  std::optional<std::string> state;
  std::vector<int> fds;

  [[nodiscard]] bool has_fds() const { return function.find("fds") != std::string::npos; }
  [[nodiscard]] bool is_barrier() const { return function.find("barrier") != std::string::npos; }
  [[nodiscard]] bool exists_in(const library& library) const {
    if (function == "sd_pid_notify_barrier") return library.pid_notify_barrier != nullptr;
    return function != "sd_pid_notifyf_with_fds" || library.pid_notifyf_with_fds != nullptr;
  }

  [[nodiscard]] int of(const library& library) const {
    const char* const text = state ? state->c_str() : nullptr;
    const char* const or_nothing = text != nullptr ? text : "";
    const auto count = static_cast<unsigned>(fds.size());
    const int* const files = fds.empty() ? nullptr : fds.data();
    if (function == "sd_notify") return library.notify(unset_environment, text);
    if (function == "sd_notifyf") return library.notifyf(unset_environment, "%s%%%d", or_nothing, 5);
    if (function == "sd_pid_notify") return library.pid_notify(pid, unset_environment, text);
    if (function == "sd_pid_notifyf") return library.pid_notifyf(pid, unset_environment, "%s", or_nothing);
    if (function == "sd_pid_notify_with_fds")
      return library.pid_notify_with_fds(pid, unset_environment, text, files, count);
    if (function == "sd_pid_notifyf_with_fds")
      return library.pid_notifyf_with_fds(pid, unset_environment, files, count, "%s", or_nothing);
    if (function == "sd_notify_barrier") return library.notify_barrier(unset_environment, 0);
    return library.pid_notify_barrier(pid, unset_environment, 1);
  }

  [[nodiscard]] std::string text() const {
    return function + "(pid " + std::to_string(pid) + ", unset " + std::to_string(unset_environment) + ", " +
           (state ? '"' + state->substr(0, 100) + '"' : "NULL") + ", " + std::to_string(fds.size()) + " descriptors)";
  }
};

class notify : public sd::test::both_libraries {
 protected:
  void TearDown() override { ::unsetenv("NOTIFY_SOCKET"); }

  [[nodiscard]] observation observe(const library& library, const variable& where, const call& call) const {
    sd::test::set("NOTIFY_SOCKET", where);
    observation seen;
    const int open = open_descriptors();
    seen["result"] = std::to_string(call.of(library));
    for (std::size_t i = 0; i < managers_.size(); ++i) seen["manager " + std::to_string(i)] = managers_[i].received();
    seen["left open"] = std::to_string(open_descriptors() - open);
    sd::test::observe(seen, "NOTIFY_SOCKET");
    return seen;
  }

  sd::test::directory directory_;
  // Other processes may run these tests at the same time.
  const std::string abstract_ = "@sd-daemon-notified-" + std::to_string(::getpid());
  const std::string longest_path_ = directory_.path() + '/' + std::string(106 - directory_.path().size(), 'l');
  const std::array<manager, 3> managers_{manager(directory_.path() + "/notify"), manager(abstract_),
                                         manager(longest_path_)};
};

/// Whether messages can be sent to such an address.
bool is_well_formed(const std::string& where) {
  return where.size() < sizeof(sockaddr_un::sun_path) && where.size() > 1 &&
         (where.front() == '/' || where.front() == '@');
}

std::optional<documented> allowed(const variable& where, const call& call, const observation& ours, bool knows_e2big) {
  const bool failed = ours.at("result").front() == '-';
  if (call.fds.size() > 253 && !knows_e2big)
    return documented{"more than 253 descriptors, compared with libsystemd before 257", -E2BIG};
  if (!where) return std::nullopt;
  if (where->rfind("vsock-dgram:2:1", 0) == 0 && (!call.fds.empty() || call.is_barrier())) {
    return documented{"descriptors for a vsock address", -EOPNOTSUPP};
  }
  if (!is_well_formed(*where) && failed) return documented{"a malformed `NOTIFY_SOCKET`"};
  if (call.state.value_or("").empty() && call.pid != 0) return documented{"an empty message that cannot be sent"};
  return std::nullopt;
}

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
    call call;
    call.function = one_of(functions);
    // Most of the time without the large messages, which take long.
    call.state = random() % 8 != 0 ? states[random() % 9] : one_of(states);
    call.unset_environment = static_cast<int>(random() % 3) - 1;
    if (call.function.find("pid") != std::string::npos) call.pid = one_of(pids);
    if (call.has_fds()) call.fds = one_of(descriptors);
    if (!call.exists_in(theirs)) continue;
    const auto our_result = observe(ours, where, call);
    const auto their_result = observe(theirs, where, call);
    both.compare([&] { return "NOTIFY_SOCKET=" + where.value_or("(not set)") + ' ' + call.text(); }, their_result,
                 our_result, allowed(where, call, our_result, theirs.knows_e2big));
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
        call call;
        call.function = function;
        call.pid = pid;
        call.state = "READY=1";
        const auto where = directory_.path() + "/notify";
        both.compare([&] { return call.text(); }, observe(theirs, where, call), observe(ours, where, call));
        if (observe(ours, where, call).at("result") != "1") ::_exit(3);
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
