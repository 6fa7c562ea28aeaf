// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests the system calls of sd::notify() and sd::notify_barrier(), and the results if one of them fails. Tests
// sd::booted() in mount namespaces.

#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "directory.hpp"
#include "process.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <optional>
#include <regex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using sd::unique_fd;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

using words = std::vector<std::string>;

/// The output of the program if the message was sent, if there is no service manager, and if the call failed.
const std::string sent = "true 0 as before\n";
const std::string no_listener = "false 0 as before\n";
std::string failed(int error) { return "false " + std::to_string(error) + " as before\n"; }

/// A service manager that closes the descriptors that it receives at once.
class manager {
 public:
  explicit manager(const std::string& path)
      : fd_(sd::testing::open(sd::kind::datagram, path).fd), receiving_([this] { receive(); }) {}
  ~manager() { stop(); }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;

  /// Returns the messages so far.
  words messages() {
    stop();
    return messages_;
  }

 private:
  void receive() {
    while (true) {
      const bool last = stopping_;
      pollfd readable{fd_.get(), POLLIN, 0};
      if (::poll(&readable, 1, last ? 0 : 10) > 0) {
        std::array<char, 256> text;
        // The kernel closes descriptors for which there is no buffer, which is what the barrier waits for.
        const auto length = ::recv(fd_.get(), text.data(), text.size(), 0);
        if (length >= 0) messages_.emplace_back(text.data(), static_cast<std::size_t>(length));
      } else if (last) {
        return;
      }
    }
  }
  void stop() {
    stopping_ = true;
    if (receiving_.joinable()) receiving_.join();
  }

  unique_fd fd_;
  std::atomic<bool> stopping_{false};
  words messages_;
  std::thread receiving_;
};

std::string name_of(const std::string& call) { return call.substr(0, call.find('(')); }

/// Returns how many of the calls have that name.
auto count(const words& calls, const std::string& name) {
  return std::count_if(calls.begin(), calls.end(), [&](const auto& call) { return name_of(call) == name; });
}

auto starting_with(const std::string& text) {
  return [text](const std::string& line) { return line.compare(0, text.size(), text) == 0; };
}

class notify_calls : public testing::Test {
 protected:
  void SetUp() override {
    if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer makes its own system calls";
    if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
    if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: strace would trace the emulator";
    if (run_traced({"true"}, {}, {}).status != 0) GTEST_SKIP() << "SKIPPED: strace cannot trace here";
  }

  struct outcome {
    words all;           ///< all system calls of the program
    words calls;         ///< the system calls of the library call
    std::string output;  ///< what the program printed
    words received;      ///< the messages that the manager received
  };

  /// Runs the program with a service manager.
  outcome run(const words& arguments, const words& injected = {}) {
    const auto path = directory_ / "notify";
    manager listening(path);
    auto result = run_at(path, arguments, injected);
    result.received = listening.messages();
    ::unlink(path.c_str());
    return result;
  }

  /// Runs the program with another NOTIFY_SOCKET, or without one.
  outcome run_at(const std::optional<std::string>& where, const words& arguments, const words& injected = {}) {
    words command = {NOTIFIER};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto ran = run_traced(command, injected, where);
    EXPECT_EQ(ran.status, 0) << ran.errors;
    outcome result;
    result.output = ran.output;
    result.all = lines_of(directory_ / "trace");
    const auto& all = result.all;
    const auto begin = std::find_if(all.begin(), all.end(), starting_with("write(-1, \"begin"));
    const auto end = std::find_if(begin, all.end(), starting_with("write(-1, \"end"));
    EXPECT_TRUE(end != all.end()) << "no end in the trace";
    if (end != all.end()) result.calls.assign(begin + 1, end);
    return result;
  }

  /// Returns the options with which strace makes one of the calls fail.
  static words failing(const outcome& sound, std::size_t call, const std::string& error) {
    const auto name = name_of(sound.calls[call]);
    const auto begin = std::find_if(sound.all.begin(), sound.all.end(), starting_with("write(-1, \"begin"));
    const auto end = begin + 2 + static_cast<std::ptrdiff_t>(call);
    const auto nth = std::count_if(sound.all.begin(), end, [&](const auto& line) { return name_of(line) == name; });
    return {"-e", "inject=" + name + ":error=" + error + ":when=" + std::to_string(nth)};
  }

  /// Expects that a failure of every system call is reported, except for close(2).
  void expect_failures_are_reported(const words& arguments, const std::vector<std::pair<std::string, int>>& errors) {
    const auto sound = run(arguments);
    ASSERT_EQ(sound.output, sent);
    for (std::size_t call = 0; call < sound.calls.size(); ++call) {
      for (const auto& [error, number] : errors) {
        SCOPED_TRACE(sound.calls[call] + " fails with " + error);
        const auto hit = run(arguments, failing(sound, call, error));
        ASSERT_GT(hit.calls.size(), call);
        EXPECT_THAT(hit.calls[call], AllOf(StartsWith(name_of(sound.calls[call]) + '('), HasSubstr("(INJECTED)")));
        if (name_of(sound.calls[call]) == "close") {
          // strace did not make the call, so the descriptor is still open. If it is the write end of the pipe, the
          // barrier waits in vain. It must not be closed a second time.
          const bool is_waited_for =
              call + 1 < sound.calls.size() && sound.calls[call + 1].find("poll") != std::string::npos;
          EXPECT_EQ(hit.output, is_waited_for ? "false " + std::to_string(ETIMEDOUT) + " leaks\n" : "true 0 leaks\n");
          EXPECT_EQ(count(hit.calls, "close"), count(sound.calls, "close"));
        } else {
          EXPECT_EQ(hit.output, failed(number));
        }
      }
    }
  }

  static words lines_of(const std::string& path) {
    words lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

 private:
  sd::test::outcome run_traced(const words& command, const words& injected, const std::optional<std::string>& where) {
    sd::test::activation program;
    program.descriptors = 0;
    program.environment["NOTIFY_SOCKET"] = where;
    program.command = {STRACE, "-qq", "-o", directory_ / "trace"};
    program.command.insert(program.command.end(), injected.begin(), injected.end());
    program.command.insert(program.command.end(), command.begin(), command.end());
    return sd::test::run(program);
  }

  sd::test::directory directory_;
};

// --- number of calls -------------------------------------------------------------------------------------------------

TEST_F(notify_calls, three_for_a_message) {
  for (const words& arguments : {words{"notify"}, words{"status"}, words{"attach", "1"}, words{"attach", "253"}}) {
    SCOPED_TRACE(arguments[0]);
    const auto result = run(arguments);
    EXPECT_EQ(result.output, sent);
    EXPECT_THAT(result.calls,
                ElementsAre(StartsWith("socket(AF_UNIX, SOCK_DGRAM|SOCK_CLOEXEC, 0)"),
                            AllOf(StartsWith("sendmsg("), HasSubstr("MSG_NOSIGNAL")), StartsWith("close(")));
    EXPECT_EQ(result.received.size(), 1U);
  }
}

TEST_F(notify_calls, own_pid_attaches_no_credentials) {
  const auto result = run({"attach_as_self", "253"});
  EXPECT_EQ(result.output, sent);
  EXPECT_EQ(count(result.calls, "sendmsg"), 1);
  for (const auto& call : result.calls) EXPECT_THAT(call, testing::Not(HasSubstr("SCM_CREDENTIALS")));
}

TEST_F(notify_calls, seven_for_a_barrier) {
  const auto result = run({"barrier", "-1"});
  EXPECT_EQ(result.output, sent);
  EXPECT_THAT(result.calls,
              ElementsAre(AllOf(StartsWith("pipe2("), HasSubstr("O_CLOEXEC")),
                          StartsWith("socket(AF_UNIX, SOCK_DGRAM|SOCK_CLOEXEC, 0)"), StartsWith("sendmsg("),
                          StartsWith("close("), StartsWith("close("),
                          AllOf(MatchesRegex("p?poll.*"), testing::Not(HasSubstr("POLLIN"))), StartsWith("close(")));
  EXPECT_THAT(result.received, ElementsAre("BARRIER=1"));
}

TEST_F(notify_calls, none_without_notify_socket) {
  for (const words& arguments : {words{"notify"}, words{"status"}, words{"attach", "1"}, words{"barrier", "-1"}}) {
    SCOPED_TRACE(arguments[0]);
    const auto result = run_at(std::nullopt, arguments);
    EXPECT_EQ(result.output, no_listener);
    EXPECT_THAT(result.calls, IsEmpty());
  }
}

TEST_F(notify_calls, none_for_too_many_descriptors) {
  const auto result = run({"attach", "254"});
  EXPECT_EQ(result.output, failed(E2BIG));
  EXPECT_THAT(result.calls, IsEmpty());
  EXPECT_THAT(result.received, IsEmpty());
}

// --- failures --------------------------------------------------------------------------------------------------------

TEST_F(notify_calls, failures_are_reported) {
  expect_failures_are_reported({"notify"}, {{"EIO", EIO}, {"ENOMEM", ENOMEM}});
  expect_failures_are_reported({"attach", "1"}, {{"EACCES", EACCES}});
}

TEST_F(notify_calls, failures_of_a_barrier_are_reported) {
  // With a timeout, as the write end may stay open.
  expect_failures_are_reported({"barrier", "300000"}, {{"EIO", EIO}, {"EMFILE", EMFILE}});
}

TEST_F(notify_calls, interrupted_calls_are_retried) {
  for (const words& arguments :
       {words{"notify"}, words{"attach", "1"}, words{"barrier", "-1"}, words{"barrier", "10000000"}}) {
    const auto sound = run(arguments);
    int interrupted = 0;
    for (std::size_t call = 0; call < sound.calls.size(); ++call) {
      const auto name = name_of(sound.calls[call]);
      if (name != "sendmsg" && name.find("poll") == std::string::npos) continue;
      ++interrupted;
      SCOPED_TRACE(sound.calls[call]);
      const auto hit = run(arguments, failing(sound, call, "EINTR"));
      EXPECT_EQ(hit.output, sent);
      EXPECT_EQ(hit.calls.size(), sound.calls.size() + 1);
      EXPECT_EQ(name_of(hit.calls[call + 1]), name);
      EXPECT_THAT(hit.calls[call], HasSubstr("(INJECTED)"));
      EXPECT_EQ(hit.received, sound.received) << "sent once";
    }
    EXPECT_EQ(interrupted, arguments[0] == "barrier" ? 2 : 1);
  }
}

TEST_F(notify_calls, barrier_times_out_despite_signals) {
  // The message is not received, and each poll(2) is interrupted.
  const sd::test::directory directory;
  const auto silent = sd::testing::open(sd::kind::datagram, directory / "notify");
  const auto result = run_at(directory / "notify", {"barrier", "20000"}, {"-e", "inject=poll,ppoll:error=EINTR"});
  EXPECT_EQ(result.output, failed(ETIMEDOUT));
}

TEST_F(notify_calls, barrier_does_not_spin) {
  const sd::test::directory directory;
  const auto silent = sd::testing::open(sd::kind::datagram, directory / "notify");
  const auto result = run_at(directory / "notify", {"barrier", "20000"});
  EXPECT_EQ(result.output, failed(ETIMEDOUT));
  EXPECT_LE(result.calls.size(), 8U) << "at most two calls of poll(2)";
}

// --- vsock -----------------------------------------------------------------------------------------------------------

// The kernel need not support vsock: strace injects the results of the calls.

const words connects = {"-e", "inject=socket:retval=100", "-e", "inject=connect:retval=0",
                        "-e", "inject=sendmsg:retval=7"};

testing::Matcher<std::string> vsock_of(const std::string& type) {
  return StartsWith("socket(AF_VSOCK, " + type + "|SOCK_CLOEXEC, 0)");
}

TEST_F(notify_calls, vsock_is_connected) {
  for (const auto& [prefix, type] : {std::pair<std::string, std::string>("vsock:", "SOCK_DGRAM"),
                                     {"vsock-dgram:", "SOCK_DGRAM"},
                                     {"vsock-stream:", "SOCK_STREAM"},
                                     {"vsock-seqpacket:", "SOCK_SEQPACKET"}}) {
    for (const auto& [numbers, cid, port] : {std::array<std::string, 3>{"2:1", "0x2|VMADDR_CID_HOST", "0x1"},
                                             {"4294967294:4294967294", "0xfffffffe", "0xfffffffe"},
                                             {"0:0", "0|VMADDR_CID_HYPERVISOR", "0"},
                                             {"007:00010", "0x7", "0xa"}}) {
      SCOPED_TRACE(prefix + numbers);
      const auto result = run_at(prefix + numbers, {"notify"}, connects);
      EXPECT_EQ(result.output, sent);
      ASSERT_EQ(result.calls.size(), 4U) << testing::PrintToString(result.calls);
      EXPECT_THAT(result.calls[0], vsock_of(type));
      std::string pattern = R"(connect\(100, \{sa_family=AF_VSOCK, svm_cid=()";
      pattern.append(cid).append("), svm_port=").append(port).append(R"((, [^}]*)?\}, 16\).*)");
      EXPECT_TRUE(std::regex_match(result.calls[1], std::regex(pattern))) << result.calls[1];
      EXPECT_THAT(result.calls[2], AllOf(StartsWith("sendmsg(100, {msg_name=NULL, msg_namelen=0"), HasSubstr("READY="),
                                         HasSubstr("MSG_NOSIGNAL")));
      EXPECT_THAT(result.calls[3], StartsWith("close(100)"));
    }
  }
}

TEST_F(notify_calls, vsock_falls_back_to_seqpacket) {
  const auto no_socket = run_at("vsock:2:1", {"notify"}, {"-e", "inject=socket:error=ESOCKTNOSUPPORT"});
  EXPECT_EQ(no_socket.output, failed(ESOCKTNOSUPPORT));
  EXPECT_THAT(no_socket.calls, ElementsAre(vsock_of("SOCK_DGRAM"), vsock_of("SOCK_SEQPACKET")));

  const auto no_connection =
      run_at("vsock:2:1", {"notify"}, {"-e", "inject=socket:retval=100", "-e", "inject=connect:error=ENODEV"});
  EXPECT_EQ(no_connection.output, failed(ENODEV));
  EXPECT_THAT(no_connection.calls,
              ElementsAre(vsock_of("SOCK_DGRAM"), StartsWith("connect("), StartsWith("close("),
                          vsock_of("SOCK_SEQPACKET"), StartsWith("connect("), StartsWith("close(")));
}

TEST_F(notify_calls, vsock_of_a_named_type_has_no_fallback) {
  for (const char* const where : {"vsock-dgram:2:1", "vsock-stream:2:1", "vsock-seqpacket:2:1"}) {
    const auto result =
        run_at(where, {"notify"}, {"-e", "inject=socket:retval=100", "-e", "inject=connect:error=ENODEV"});
    EXPECT_EQ(result.output, failed(ENODEV));
    EXPECT_THAT(result.calls, ElementsAre(StartsWith("socket(AF_VSOCK"), StartsWith("connect("), StartsWith("close(")));
  }
}

TEST_F(notify_calls, interrupted_connect_is_retried) {
  const auto result = run_at("vsock-stream:2:1", {"notify"},
                             {"-e", "inject=socket:retval=100", "-e", "inject=connect:error=EINTR:when=1"});
  EXPECT_EQ(count(result.calls, "connect"), 2);
}

// --- booted ----------------------------------------------------------------------------------------------------------

/// Runs the program with an empty /run, after these commands, and returns the first word of its output.
std::string booted_after(const std::string& commands) {
  const std::string script = "mount -t tmpfs none /run && " + commands + " && exec \"$0\" booted";
  sd::test::activation program;
  program.descriptors = 0;
  program.command = {"unshare", "-m", "sh", "-c", script};
  for (const auto& word : sd::test::command(NOTIFIER, {})) program.command.push_back(word);
  const auto result = sd::test::run(program);
  EXPECT_EQ(result.status, 0) << result.errors;
  return result.output.substr(0, result.output.find(' '));
}

TEST(booted, is_whether_the_directory_exists) {
  sd::test::activation trial;
  trial.descriptors = 0;
  trial.command = {"unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"};
  if (::geteuid() != 0 || sd::test::run(trial).status != 0) GTEST_SKIP() << "SKIPPED: needs root and mount namespaces";
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: the emulator cannot be started from a shell script";
  EXPECT_EQ(booted_after("mkdir -p /run/systemd/system"), "true");
  EXPECT_EQ(booted_after("mkdir -p /run/elsewhere /run/systemd && ln -s /run/elsewhere /run/systemd/system"), "true");
  EXPECT_EQ(booted_after("true"), "false");
  EXPECT_EQ(booted_after("mkdir /run/systemd"), "false");
  EXPECT_EQ(booted_after("mkdir -p /run/systemd/systemd /run/system"), "false");
  EXPECT_EQ(booted_after("mkdir /run/systemd && touch /run/systemd/system"), "false");
  EXPECT_EQ(booted_after("touch /run/systemd"), "false");
  EXPECT_EQ(booted_after("mkdir /run/systemd && ln -s /nowhere /run/systemd/system"), "false");
  EXPECT_EQ(booted_after("mkdir /run/systemd && ln -s system /run/systemd/system"), "false");
}

}  // namespace
