// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that bind their own sockets behave the same with libsd-adopt as without it.
#include <sd/activation.hpp>
#include <sd/address.hpp>
#include <sd/listen_fds.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"
#include "waiting.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::kind;
using sd::listen_fd;
using sd::test::check;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using words = std::vector<std::string>;
using environment = std::map<std::string, std::string>;

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A program that takes steps, which steps.cpp lists.
class program {
 public:
  program(const words& steps, const std::vector<listen_fd>& fds, const environment& more = {}) {
    words command = {STEPS};
    command.insert(command.end(), steps.begin(), steps.end());
    sd::activation started(command, fds, more);
    const sd::unique_fd output(create("output"));
    const sd::unique_fd errors(create("errors"));
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // what the test has inherited
    pid_ = started.spawn([&]() noexcept {
      return ::dup2(output.get(), STDOUT_FILENO) < 0 || ::dup2(errors.get(), STDERR_FILENO) < 0 ? errno : 0;
    });
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) sd::test::wait_for(pid_);
  }

  /// Waits for its end. Returns the results of the steps.
  words results() {
    const int status = sd::test::wait_for(std::exchange(pid_, 0));
    EXPECT_EQ(status, 0) << contents_of(directory_ / "errors");
    words all;
    std::istringstream lines(contents_of(directory_ / "output"));
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    return all;
  }
  [[nodiscard]] std::string errors() const { return contents_of(directory_ / "errors"); }
  [[nodiscard]] std::string output() const { return contents_of(directory_ / "output"); }

 private:
  [[nodiscard]] int create(const std::string& name) const {
    return check(::open((directory_ / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), name);
  }

  sd::test::directory directory_;
  int pid_ = 0;
};

const environment with_library = {{"LD_PRELOAD", LIBRARY}};
const environment verbose = {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_VERBOSE", "1"}};

std::vector<listen_fd> one(listen_fd fd) {
  std::vector<listen_fd> all;
  all.push_back(std::move(fd));
  return all;
}

std::string address_of(const listen_fd& passed) { return to_string(sd::describe(passed.fd.get()).local); }

std::string port_of(const listen_fd& passed) { return std::to_string(sd::describe(passed.fd.get()).local.port()); }

/// Runs the steps without the library and without a passed socket, and then with both. Returns what they print, which
/// must be the same. PORT in the steps stands for the port of the passed socket.
words same_results(kind type, const std::string& where, const words& steps) {
  auto passed = sd::testing::open(type, where + ":0");
  const auto port = port_of(passed);
  passed = {};
  words with_port;
  for (auto each : steps) {
    const auto at = each.find("PORT");
    if (at != std::string::npos) each.replace(at, 4, port);
    with_port.push_back(std::move(each));
  }
  const auto plain = program(with_port, {}).results();
  const auto fds = one(sd::testing::open(type, where + ':' + port));
  program adopting(with_port, fds, verbose);
  const auto adopted = adopting.results();
  EXPECT_EQ(adopted, plain);
  EXPECT_THAT(adopting.errors(), HasSubstr("adopted the passed socket"));
  return adopted;
}

// --- binding ---------------------------------------------------------------------------------------------------------

TEST(adopt, numbers_and_flags_are_those_of_the_program) {
  for (const char* const flags : {"", " nonblock", " cloexec", " nonblock cloexec"}) {
    same_results(kind::stream, "127.0.0.1",
                 {"fd=socket inet stream" + std::string(flags), "set $fd SO_REUSEADDR 1", "bind $fd 127.0.0.1:PORT",
                  "listen $fd", "flags $fd", "name $fd", "get $fd SO_TYPE", "socket inet stream", "close $fd",
                  "socket unix datagram"});
  }
}

TEST(adopt, client_is_served) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto early = sd::test::connect(where);
  program server({"fd=socket inet stream", "bind $fd " + where, "listen $fd", "c=accept $fd", "peer $c", "accept $fd"},
                 fds, with_library);
  const auto late = sd::test::connect(where);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "bind $fd " + where + ": 0", "listen $fd: 0",
                          "c=accept $fd: 4 inet 16", "peer $c: inet 127.0.0.1", "accept $fd: 5 inet 16"));
}

TEST(adopt, options_are_carried_over) {
  const auto results = same_results(
      kind::stream, "127.0.0.1",
      {"fd=socket inet stream", "set $fd SO_KEEPALIVE 1", "set $fd TCP_NODELAY 1", "set $fd SO_RCVBUF 20000",
       "set $fd IP_TOS 16", "set $fd TCP_DEFER_ACCEPT 3", "set $fd TCP_FASTOPEN 5", "bind $fd 127.0.0.1:PORT",
       "listen $fd", "get $fd SO_KEEPALIVE", "get $fd TCP_NODELAY", "get $fd SO_RCVBUF", "get $fd IP_TOS",
       "get $fd TCP_DEFER_ACCEPT", "get $fd TCP_FASTOPEN"});
  EXPECT_THAT(results, Contains("get $fd SO_RCVBUF: 40000"));
}

TEST(adopt, options_of_the_unit_stay) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const int on = 1;
  check(::setsockopt(fds[0].fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), "setsockopt");
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "get $fd SO_KEEPALIVE"}, fds,
                 with_library);
  EXPECT_EQ(server.results().back(), "get $fd SO_KEEPALIVE: 1");
}

TEST(adopt, other_addresses_are_bound_as_usual) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto port = port_of(fds[0]);
  program server({"a=socket inet stream", "bind $a 127.0.0.2:" + port, "b=socket inet datagram",
                  "bind $b 127.0.0.1:" + port, "c=socket inet6 stream", "bind $c [::1]:" + port, "d=socket inet stream",
                  "bind $d 0.0.0.0:" + port, "e=socket unix stream", "bind $e @sd-adopt-" + port},
                 fds, verbose);
  EXPECT_EQ(server.results().size(), 10U);
  EXPECT_THAT(server.output(), HasSubstr("bind $d 0.0.0.0:" + port + ": EADDRINUSE"));
  EXPECT_THAT(server.errors(), Not(HasSubstr("adopted")));
  EXPECT_THAT(server.errors(), HasSubstr("libsd-adopt: bind 3 to 127.0.0.2:" + port + ": no such socket was passed\n"));
}

TEST(adopt, workers_get_a_copy_each) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const words steps = {"a=socket inet stream", "set $a SO_REUSEPORT 1", "bind $a " + where, "listen $a", "fork",
                       "b=socket inet stream", "set $b SO_REUSEPORT 1", "bind $b " + where, "listen $b", "name $b"};
  program server(steps, fds, with_library);
  EXPECT_EQ(server.results().back(), "name $b: inet " + where);
  EXPECT_TRUE(sd::test::accepts_connections(where));
}

TEST(adopt, socket_cannot_be_bound_twice) {
  same_results(kind::stream, "127.0.0.1",
               {"fd=socket inet stream", "bind $fd 127.0.0.1:PORT", "bind $fd 127.0.0.1:PORT", "bind $fd 127.0.0.2:0"});
}

TEST(adopt, address_of_another_family_is_an_error_as_usual) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const words steps = {"fd=socket inet6 stream", "bind $fd " + address_of(fds[0])};
  const auto plain = program(steps, {}).results();
  EXPECT_EQ(program(steps, fds, with_library).results(), plain);
  EXPECT_EQ(plain.back(), "bind $fd " + address_of(fds[0]) + ": EINVAL");
}

TEST(adopt, first_free_socket_is_adopted_if_several_have_the_same_address) {
  auto first = sd::testing::open(kind::stream, "127.0.0.1:0");
  // open() cannot set SO_REUSEPORT, so the second socket is a copy of the first.
  std::vector<listen_fd> fds;
  listen_fd second{std::nullopt, sd::unique_fd(check(::dup(first.fd.get()), "dup"))};
  fds.push_back(std::move(first));
  fds.push_back(std::move(second));
  const auto where = address_of(fds[0]);
  program server({"a=socket inet stream", "bind $a " + where, "b=socket inet stream", "bind $b " + where,
                  "c=socket inet stream", "bind $c " + where, "descriptors"},
                 fds, with_library);
  EXPECT_EQ(server.results().back().substr(0, 20), "descriptors: 3 4 5 1");
}

// --- wildcard addresses and IPv4 -------------------------------------------------------------------------------------

TEST(adopt, ipv4_program_gets_a_dual_stack_socket_and_sees_ipv4_addresses) {
  auto passed = one(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  const auto client = sd::test::connect("127.0.0.1:" + port);
  program server({"fd=socket inet stream", "bind $fd 0.0.0.0:" + port, "listen $fd", "name $fd", "c=accept $fd",
                  "peer $c", "name $c"},
                 passed, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "bind $fd 0.0.0.0:" + port + ": 0", "listen $fd: 0",
                          "name $fd: inet 0.0.0.0:" + port, "c=accept $fd: 4 inet 16", "peer $c: inet 127.0.0.1",
                          "name $c: inet 127.0.0.1:" + port));
}

TEST(adopt, program_of_both_families_sees_addresses_of_ipv6) {
  const auto passed = one(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  program server({"a=socket inet stream", "bind $a 0.0.0.0:" + port, "b=socket inet6 stream", "set $b IPV6_V6ONLY 1",
                  "bind $b [::]:" + port, "name $b"},
                 passed, with_library);
  EXPECT_EQ(server.results().back(), "name $b: inet6 [::]:" + port);
}

TEST(adopt, ipv6_program_sees_mapped_addresses_as_usual) {
  same_results(kind::stream, "[::]", {"fd=socket inet6 stream", "bind $fd [::]:PORT", "listen $fd", "name $fd"});
  const auto passed = one(sd::testing::open(kind::stream, "[::]:0"));
  const auto port = port_of(passed[0]);
  const auto client = sd::test::connect("127.0.0.1:" + port);
  program server({"fd=socket inet6 stream", "bind $fd [::]:" + port, "listen $fd", "c=accept $fd", "peer $c"}, passed,
                 with_library);
  EXPECT_EQ(server.results().back(), "peer $c: inet6 [");
}

TEST(adopt, ipv4_program_receives_datagrams) {
  for (const char* const where : {"127.0.0.1:0", "[::]:0"}) {
    SCOPED_TRACE(where);
    const auto passed = one(sd::testing::open(kind::datagram, where));
    const auto port = port_of(passed[0]);
    const std::string own = where[0] == '[' ? "0.0.0.0:" : "127.0.0.1:";
    program server({"fd=socket inet datagram", "set $fd IP_PKTINFO 1", "bind $fd " + own + port, "receive $fd",
                    "receive-message $fd"},
                   passed, with_library);
    const auto client = sd::test::connect("127.0.0.1:" + port, SOCK_DGRAM);
    for (const std::string text : {"first", "second"}) {
      sd::test::send(client, text);
      std::string reply(64, '\0');
      reply.resize(static_cast<std::size_t>(check(::recv(client.get(), reply.data(), reply.size(), 0), "recv")));
      EXPECT_EQ(reply, text);
    }
    const auto results = server.results();
    EXPECT_THAT(results, Contains("receive $fd: inet 5"));
    EXPECT_EQ(results.back(), "receive-message $fd: 6 inet 16 IP_PKTINFO");
  }
}

// --- what programs do ------------------------------------------------------------------------------------------------

class closing_all_descriptors : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, closing_all_descriptors, testing::Values("loop", "close_range", "closefrom", "proc"),
                         [](const auto& method) { return std::string(method.param); });

TEST_P(closing_all_descriptors, keeps_passed_sockets) {
  const std::string method = GetParam();
  same_results(kind::stream, "127.0.0.1",
               {"open /dev/null", "close-all " + method, "fd=socket inet stream", "bind $fd 127.0.0.1:PORT",
                "listen $fd", "close-all " + method, "flags 3"});
}

TEST(adopt, close_of_a_kept_number_fails) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"descriptors", "close 1024", "dup2 0 1024", "close 1024", "fd=socket inet stream",
                  "bind $fd " + address_of(fds[0])},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("descriptors: 1024", "close 1024: EBADF", "dup2 0 1024: 1024", "close 1024: 0",
                          "fd=socket inet stream: 3", "bind $fd " + address_of(fds[0]) + ": 0"));
}

TEST(adopt, server_executed_by_a_wrapper_adopts) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"descriptors", "exec", "dup2 0 1024", "exec", "fd=socket inet stream", "bind $fd " + address_of(fds[0]), "exec",
       "again=socket inet stream", "bind $again " + address_of(fds[0])},
      fds, verbose);
  EXPECT_EQ(server.results().size(), 6U);
  const auto adopted = ": adopted the passed socket at " + address_of(fds[0]) + '\n';
  EXPECT_EQ(server.errors(), "libsd-adopt: bind 3 to " + address_of(fds[0]) + adopted + "libsd-adopt: bind 4 to " +
                                 address_of(fds[0]) + adopted);
}

TEST(adopt, program_that_the_server_executes_gets_nothing) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream cloexec", "bind $fd " + address_of(fds[0]), "fork", "exec", "descriptors"},
                 fds, with_library);
  EXPECT_EQ(server.results().back(), "descriptors: ");
}

TEST(adopt, child_of_the_server_can_close_all_descriptors) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "fork", "close-all close_range", "descriptors"}, fds,
      with_library);
  EXPECT_EQ(server.results().back(), "descriptors: ");
}

TEST(adopt, new_sockets_precede_those_of_an_ancestor) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "name $fd"}, fds,
                 {{"LD_PRELOAD", LIBRARY}, {"SD_ADOPT_FDS", "0000000000:00000000000000000001:0000000001 "}});
  EXPECT_EQ(server.results().back(), "name $fd: inet " + address_of(fds[0]));
}

TEST(adopt, daemon_without_environment_and_privileges_adopts) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  words steps = {"clear-environment", "fork", "fork", "fd=socket inet stream", "bind $fd " + address_of(fds[0]),
                 "listen $fd"};
  if (::geteuid() == 0) steps.insert(steps.begin() + 3, "user");
  program server(steps, fds, verbose);
  EXPECT_EQ(server.results().back(), "listen $fd: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST(adopt, adopts_with_a_low_limit_of_descriptors) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"limit 64", "exec", "limit 32", "fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds,
                 verbose);
  EXPECT_EQ(server.results().size(), 4U);
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST(adopt, shutdown_does_not_end_the_passed_socket) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "listen $fd", "shutdown $fd", "close $fd"},
                 fds, with_library);
  EXPECT_THAT(server.results(), Contains("shutdown $fd: 0"));
  EXPECT_TRUE(sd::test::accepts_connections(address_of(fds[0])));
}

TEST(adopt, epoll_registration_and_copies_from_before_the_bind) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  const auto where = address_of(fds[0]);
  const auto client = sd::test::connect(where);
  program server({"fd=socket inet stream", "copy=dup $fd", "a=epoll $fd", "b=epoll $copy", "bind $fd " + where,
                  "listen $fd", "wait $a", "wait $b", "name $copy", "accept $copy"},
                 fds, with_library);
  EXPECT_THAT(server.results(),
              ElementsAre("fd=socket inet stream: 3", "copy=dup $fd: 4", "a=epoll $fd: 5", "b=epoll $copy: 6",
                          "bind $fd " + where + ": 0", "listen $fd: 0", "wait $a: event", "wait $b: event",
                          "name $copy: inet " + where, "accept $copy: 7 inet 16"));
}

TEST(adopt, thread_in_accept_can_be_cancelled) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0]), "cancel-accept $fd"}, fds, with_library);
  EXPECT_EQ(server.results().back(), "cancel-accept $fd: cancelled");
}

TEST(adopt, child_of_vfork_changes_nothing) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"vfork-close 1024", "fd=socket inet stream", "bind $fd " + address_of(fds[0]), "vfork-close $fd", "name $fd"},
      fds, with_library);
  EXPECT_EQ(server.results().back(), "name $fd: inet " + address_of(fds[0]));
}

// --- unix sockets ----------------------------------------------------------------------------------------------------

class adopt_unix : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_ / "socket"; }
  [[nodiscard]] std::string other() const { return directory_ / "other"; }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }
  [[nodiscard]] std::vector<listen_fd> passed(kind type = kind::stream) const {
    return one(sd::testing::open(type, path()));
  }

 private:
  sd::test::directory directory_;
};

TEST_F(adopt_unix, path_stays) {
  const auto fds = passed();
  check(::chmod(path().c_str(), 0640), "chmod");
  program server({"unlink " + path(), "remove " + path(), "unlinkat " + path(), "exists " + path(),
                  "rename " + path() + ' ' + other(), "renameat " + path() + ' ' + other(), "exists " + other(),
                  "fd=socket unix stream", "bind $fd " + path(), "chmod " + path(), "fchmodat " + path(),
                  "chown " + path(), "mode " + path(), "listen $fd"},
                 fds, with_library);
  const auto results = server.results();
  EXPECT_THAT(results, Contains("exists " + path() + ": yes"));
  EXPECT_THAT(results, Contains("exists " + other() + ": no"));
  EXPECT_THAT(results, Contains("bind $fd " + path() + ": 0"));
  EXPECT_THAT(results, Contains("mode " + path() + ": 640 " + std::to_string(::geteuid())));
  EXPECT_TRUE(sd::test::accepts_connections(path()));
}

TEST_F(adopt_unix, path_is_not_replaced_by_another_socket) {
  const auto fds = passed();
  program server({"fd=socket unix stream", "bind $fd " + other(), "rename " + other() + ' ' + path()}, fds, verbose);
  EXPECT_EQ(server.results().back(), "rename " + other() + ' ' + path() + ": EBUSY");
  EXPECT_THAT(server.errors(), HasSubstr(path() + ": not replaced, because it is the path of a passed socket\n"));
}

TEST_F(adopt_unix, other_files_are_not_protected) {
  const auto fds = passed();
  std::ofstream(other()).flush();
  program server({"chmod " + other(), "rename " + other() + ' ' + other() + '2', "unlink " + other() + '2',
                  "unlink " + other() + '2'},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("chmod " + other() + ": 0", "rename " + other() + ' ' + other() + "2: 0",
                                            "unlink " + other() + "2: 0", "unlink " + other() + "2: ENOENT"));
}

TEST_F(adopt_unix, path_through_a_symbolic_link) {
  std::filesystem::create_directory_symlink(directory().path(), other());
  const auto fds = passed();
  program server({"unlink " + other() + "/socket", "fd=socket unix stream", "bind $fd " + other() + "/socket"}, fds,
                 verbose);
  EXPECT_EQ(server.results().back(), "bind $fd " + other() + "/socket: 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted"));
}

TEST_F(adopt_unix, mode_and_owner_stay_through_a_symbolic_link) {
  const auto fds = passed();
  check(::chmod(path().c_str(), 0640), "chmod");
  std::filesystem::create_symlink(path(), other());
  program server({"chmod " + other(), "fchmodat " + other(), "chown " + other(), "mode " + path(), "unlink " + other()},
                 fds, with_library);
  EXPECT_EQ(server.results()[3], "mode " + path() + ": 640 " + std::to_string(::geteuid()));
  EXPECT_FALSE(std::filesystem::is_symlink(other()));
}

TEST_F(adopt_unix, types_and_abstract_names) {
  for (const auto& [type, name] : {std::pair{kind::datagram, "datagram"}, {kind::seqpacket, "seqpacket"}}) {
    const auto fds = passed(type);
    program server({"fd=socket unix " + std::string(name), "bind $fd " + path()}, fds, verbose);
    EXPECT_EQ(server.results().back(), "bind $fd " + path() + ": 0");
    std::filesystem::remove(path());
  }
  const auto where = "@sd-adopt-test-" + std::to_string(::getpid());
  const auto fds = one(sd::testing::open(kind::stream, where));
  program server({"fd=socket unix stream", "bind $fd " + where}, fds, verbose);
  EXPECT_EQ(server.results().back(), "bind $fd " + where + ": 0");
  EXPECT_THAT(server.errors(), HasSubstr("adopted the passed socket at " + where));
}

// --- programs without passed sockets ---------------------------------------------------------------------------------

/// Returns the system calls of a program from its first step on, with all addresses in memory replaced.
std::string calls_of(const words& steps, const environment& more) {
  const sd::test::directory directory;
  words command = {STRACE, "-f", "-qq", "-o", directory / "trace", STEPS, "exists /begin"};
  command.insert(command.end(), steps.begin(), steps.end());
  std::map<std::string, std::optional<std::string>> variables(more.begin(), more.end());
  variables["LISTEN_FDS"] = std::nullopt;
  variables["LISTEN_PID"] = std::nullopt;
  variables["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0";  // LeakSanitizer fails under strace
  EXPECT_EQ(sd::test::run({command, 0, {}, variables}).status, 0);
  const auto trace = contents_of(directory / "trace");
  const auto begin = trace.rfind("/begin");
  EXPECT_NE(begin, std::string::npos) << trace;
  auto calls = std::regex_replace(trace.substr(begin), std::regex("0x[0-9a-f]+"), "ADDRESS");
  return std::regex_replace(calls, std::regex("(^|\n)[0-9]+ +"), "$1");
}

TEST(adopt, program_without_passed_sockets_makes_the_same_system_calls) {
  if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
  const sd::test::directory directory;
  const words steps = {"fd=socket inet stream",
                       "set $fd SO_REUSEADDR 1",
                       "bind $fd 127.0.0.1:0",
                       "listen $fd",
                       "flags $fd",
                       "u=socket unix stream",
                       "bind $u " + (directory / "socket"),
                       "chmod " + (directory / "socket"),
                       "rename " + (directory / "socket") + ' ' + (directory / "other"),
                       "unlink " + (directory / "other"),
                       "shutdown $u",
                       "dup2 $u 20",
                       "close 20",
                       "epoll $fd",
                       "close-all close_range"};
  const auto plain = calls_of(steps, {});
  EXPECT_THAT(plain, HasSubstr("bind("));
  const auto normalized = [](const std::string& calls) {
    return std::regex_replace(calls, std::regex("sin_port=htons\\([0-9]+\\)"), "PORT");
  };
  EXPECT_EQ(normalized(calls_of(steps, with_library)), normalized(plain));
}

// --- messages and variables ------------------------------------------------------------------------------------------

TEST(adopt, program_does_not_find_the_variables_of_the_protocol) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"variable LISTEN_FDS", "variable LISTEN_PID", "variable LISTEN_FDNAMES", "variable LISTEN_PIDFDID"},
                 fds, with_library);
  EXPECT_THAT(server.results(), ElementsAre("variable LISTEN_FDS: (unset)", "variable LISTEN_PID: (unset)",
                                            "variable LISTEN_FDNAMES: (unset)", "variable LISTEN_PIDFDID: (unset)"));
}

TEST(adopt, prints_nothing_by_default) {
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server({"fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds, with_library);
  static_cast<void>(server.results());
  EXPECT_EQ(server.errors(), "");
}

TEST(adopt, file_opened_as_descriptor_2_receives_no_messages) {
  const sd::test::directory directory;
  const auto fds = one(sd::testing::open(kind::stream, "127.0.0.1:0"));
  program server(
      {"close 2", "open " + (directory / "database"), "fd=socket inet stream", "bind $fd " + address_of(fds[0])}, fds,
      verbose);
  EXPECT_EQ(server.results()[1], "open " + (directory / "database") + ": 2");
  EXPECT_EQ(contents_of(directory / "database"), "");
}

TEST(adopt, malformed_variables_are_reported) {
  const auto result = sd::test::run({{STEPS, "descriptors"}, 0, {}, {{"LD_PRELOAD", LIBRARY}, {"LISTEN_PID", "1x"}}});
  EXPECT_EQ(result.output, "descriptors: \n");
  EXPECT_EQ(result.errors, "libsd-adopt: LISTEN_PID=\"1x\": not valid; the program gets no passed socket\n");
}

}  // namespace
