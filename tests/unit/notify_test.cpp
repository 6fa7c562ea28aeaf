// What sd::notify() and sd::notify_barrier() send, to a service manager of the test's own.

#include <sd/notify.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "allocation.hpp"
#include "directory.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/vm_sockets.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::notify_options;
using sd::state;
using sd::unique_fd;
using std::chrono::microseconds;
using testing::SizeIs;
using steady = std::chrono::steady_clock;

constexpr std::size_t most_attached = 253;

int check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

std::error_code error(int number) { return {number, std::system_category()}; }

/// What a call must overwrite.
std::error_code stale() { return error(EIO); }

/// So that it can be shown.
std::string without_nul(std::string text) {
  std::replace(text.begin(), text.end(), '\0', '!');
  return text;
}

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

std::vector<int> open_descriptors() {
  std::vector<int> all;
  for (int fd = 0; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) all.push_back(fd);
  }
  return all;
}

/// An address that nobody else uses. Any user may send there.
std::string abstract_address() {
  std::random_device random;
  return "@sd-notify-test-" + std::to_string(::getpid()) + '-' + std::to_string(random());
}

struct message {
  std::string text;
  int pid = 0;  ///< that of the sender, as the kernel vouches for it
  std::vector<unique_fd> fds;
};

/// A service manager: a datagram socket, named by NOTIFY_SOCKET while it is there.
class receiver {
 public:
  explicit receiver(const std::string& where) : where_(where) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    where.copy(local.sun_path, sizeof local.sun_path);
    const bool is_abstract = where[0] == '@';
    if (is_abstract) local.sun_path[0] = '\0';
    const auto size = offsetof(sockaddr_un, sun_path) + where.size() + (is_abstract ? 0 : 1);
    fd_.reset(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    check(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&local), static_cast<socklen_t>(size)), "bind " + where);
    const int on = 1;
    check(::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), "SO_PASSCRED");
    ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
  }
  ~receiver() { ::unsetenv("NOTIFY_SOCKET"); }
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;

  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// As when the manager has gone: messages that nobody received go with it.
  void close() noexcept { fd_.reset(); }

  /// The next message; waits as long as it takes for one, or not at all.
  std::optional<message> next(int milliseconds = 0) {
    pollfd readable{fd_.get(), POLLIN, 0};
    if (::poll(&readable, 1, milliseconds) <= 0) return std::nullopt;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * most_attached) + CMSG_SPACE(sizeof(ucred))> control{};
    std::vector<char> text(1U << 19U);
    iovec part{text.data(), text.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const auto length = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
    if (length < 0) return std::nullopt;
    EXPECT_EQ(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    message result;
    result.text.assign(text.data(), static_cast<std::size_t>(length));
    for (auto* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) take(*c, result);
    return result;
  }

  /// The text of the only message.
  std::string only() {
    const auto first = next();
    EXPECT_FALSE(next()) << "more than one message";
    return first ? without_nul(first->text) : "(none)";
  }

 private:
  static void take(const cmsghdr& part, message& result) {
    if (part.cmsg_level != SOL_SOCKET) return;
    const auto* const data = reinterpret_cast<const char*>(&part) + CMSG_LEN(0);
    const std::size_t size = part.cmsg_len - CMSG_LEN(0);
    if (part.cmsg_type == SCM_RIGHTS) {
      for (std::size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, data + at, sizeof fd);
        result.fds.emplace_back(fd);
      }
    } else if (part.cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, data, sizeof credentials);
      result.pid = credentials.pid;
    }
  }

  std::string where_;
  unique_fd fd_;
};

class notify : public testing::Test {
 protected:
  receiver& manager() { return manager_; }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }

  /// Expects that this fails and that nothing comes of it.
  void expect_refused(std::initializer_list<state> states, int number, const notify_options& options = {}) {
    const auto before = open_descriptors();
    std::error_code ec;
    EXPECT_FALSE(sd::notify(states, options, ec));
    EXPECT_EQ(ec, error(number)) << ec.message();
    EXPECT_FALSE(manager_.next()) << "a message";
    EXPECT_EQ(open_descriptors(), before);
  }
  void expect_sent(std::initializer_list<state> states, const std::string& text) {
    auto ec = stale();
    EXPECT_TRUE(sd::notify(states, ec));
    EXPECT_FALSE(ec) << ec.message();
    EXPECT_EQ(manager_.only(), text);
  }

 private:
  sd::test::directory directory_;
  receiver manager_{directory_ / "notify"};
};

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

// --- to whom ---------------------------------------------------------------------------------------------------------

TEST_F(notify, answers_false_where_nobody_listens) {
  ::unsetenv("NOTIFY_SOCKET");
  auto ec = stale();
  EXPECT_FALSE(sd::notify({state::ready()}, ec));
  EXPECT_FALSE(ec);
  EXPECT_FALSE(sd::notify({state::ready()}));
  ec = stale();
  EXPECT_FALSE(sd::notify_barrier(1h, ec));
  EXPECT_FALSE(ec);
  EXPECT_FALSE(sd::notify_barrier(-1us));
  EXPECT_FALSE(manager().next());
}

/// Holds all descriptors that the process may still have.
class no_descriptor_left {
 public:
  no_descriptor_left() {
    check(::getrlimit(RLIMIT_NOFILE, &limit_), "getrlimit");
    rlimit none = limit_;
    none.rlim_cur = 0;
    check(::setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
  }
  ~no_descriptor_left() { ::setrlimit(RLIMIT_NOFILE, &limit_); }
  no_descriptor_left(const no_descriptor_left&) = delete;
  no_descriptor_left& operator=(const no_descriptor_left&) = delete;

 private:
  rlimit limit_{};
};

TEST_F(notify, answers_false_where_nobody_listens_even_without_a_descriptor) {
  ::unsetenv("NOTIFY_SOCKET");
  std::error_code ec;
  std::error_code barrier_ec;
  {
    const no_descriptor_left full;
    sd::notify({state::ready()}, ec);
    sd::notify_barrier(1h, barrier_ec);
  }
  EXPECT_FALSE(ec) << ec.message();
  EXPECT_FALSE(barrier_ec) << barrier_ec.message();
}

TEST_F(notify, says_that_it_has_no_descriptor_left) {
  std::error_code ec;
  std::error_code barrier_ec;
  {
    const no_descriptor_left full;
    sd::notify({state::ready()}, ec);
    sd::notify_barrier(1h, barrier_ec);
  }
  EXPECT_EQ(ec, error(EMFILE));
  EXPECT_EQ(barrier_ec, error(EMFILE));
  EXPECT_FALSE(manager().next());
}

TEST(notify_socket, is_a_path_or_an_abstract_name_of_any_length_that_fits) {
  const sd::test::directory directory("/tmp");
  constexpr std::size_t most = sizeof(sockaddr_un::sun_path);
  const auto name_of = [](std::string start, std::size_t size) {
    start.resize(size, 'x');
    return start;
  };
  for (const auto& where :
       {directory / "n", directory / "with space:and@", name_of(directory / "", most - 1), abstract_address(),
        name_of(abstract_address(), most - 1), name_of(abstract_address(), most)}) {
    SCOPED_TRACE(where);
    receiver manager(where);
    EXPECT_TRUE(sd::notify({state::ready()}));
    EXPECT_EQ(manager.only(), "READY=1");
  }
}

TEST(notify_socket, is_an_abstract_name_that_ends_where_it_ends) {
  const auto where = abstract_address();
  receiver longer(where + "x");
  receiver manager(where);
  receiver shorter(where.substr(0, where.size() - 1));
  ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
  EXPECT_TRUE(sd::notify({state::ready()}));
  EXPECT_EQ(manager.only(), "READY=1");
  EXPECT_FALSE(longer.next());
  EXPECT_FALSE(shorter.next());
}

TEST(notify_socket, is_refused_where_it_is_no_address) {
  constexpr std::size_t most = sizeof(sockaddr_un::sun_path);
  std::vector<std::pair<std::string, int>> cases = {
      {"", EAFNOSUPPORT},
      {"@", EINVAL},
      {"/", EINVAL},
      {"notify", EAFNOSUPPORT},
      {"./notify", EAFNOSUPPORT},
      {" /notify", EAFNOSUPPORT},
      {"~/notify", EAFNOSUPPORT},
      {"unix:/notify", EAFNOSUPPORT},
      {'/' + std::string(most - 1, 'x'), E2BIG},
      {'@' + std::string(most, 'x'), E2BIG},
      {'/' + std::string(100'000, 'x'), E2BIG},
  };
#if defined(__linux__)
  for (const char* const where :
       {"vsock", "vsocks:2:1", "VSOCK:2:1", "vsock-raw:2:1", "vsock-:2:1", "vsock-stream", "xvsock:2:1"}) {
    cases.emplace_back(where, EAFNOSUPPORT);
  }
  for (const std::string start : {"vsock:", "vsock-stream:", "vsock-dgram:", "vsock-seqpacket:"}) {
    for (const char* const where : {"",
                                    ":",
                                    "2",
                                    "2:",
                                    ":1",
                                    "2:1:3",
                                    "2:1 ",
                                    " 2:1",
                                    "2: 1",
                                    "a:1",
                                    "2:a",
                                    "-1:1",
                                    "2:-1",
                                    "4294967295:1",
                                    "4294967296:1",
                                    "2:4294967295",
                                    "2:4294967296",
                                    "0x2:1",
                                    "99999999999999999999999:1",
                                    "2:99999999999999999999999",
                                    "2.0:1"}) {
      cases.emplace_back(start + where, EINVAL);
    }
  }
#endif
  for (const auto& [where, number] : cases) {
    SCOPED_TRACE(where.substr(0, 200));
    ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
    const auto before = open_descriptors();
    std::error_code ec;
    EXPECT_FALSE(sd::notify({state::ready()}, ec));
    EXPECT_EQ(ec, error(number)) << ec.message();
    ec.clear();
    EXPECT_FALSE(sd::notify_barrier(1h, ec));
    EXPECT_EQ(ec, error(number)) << ec.message();
    EXPECT_EQ(open_descriptors(), before);
  }
  ::unsetenv("NOTIFY_SOCKET");
}

#if defined(__linux__)

sockaddr_vm vsock_address(unsigned port) {
  sockaddr_vm where{};
  where.svm_family = AF_VSOCK;
  where.svm_cid = 1;  // VMADDR_CID_LOCAL, which older headers do not have
  where.svm_port = port;
  return where;
}

/// A socket that listens on this machine's vsock, and its port; closed where there is no such thing.
std::pair<unique_fd, unsigned> vsock_listener(int type) {
  unique_fd server(::socket(AF_VSOCK, type | SOCK_CLOEXEC, 0));
  auto where = vsock_address(VMADDR_PORT_ANY);
  socklen_t size = sizeof where;
  auto* const address = reinterpret_cast<sockaddr*>(&where);
  if (!server || ::bind(server.get(), address, size) < 0 || ::listen(server.get(), 8) < 0 ||
      ::getsockname(server.get(), address, &size) < 0) {
    return {};
  }
  const auto to = vsock_address(where.svm_port);
  const unique_fd client(::socket(AF_VSOCK, type | SOCK_CLOEXEC, 0));
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) return {};
  const unique_fd connection(::accept(server.get(), nullptr, nullptr));
  return {std::move(server), where.svm_port};
}

void expect_reaches_vsock(const std::string& prefix, int type) {
  const auto [server, port] = vsock_listener(type);
  if (!server) GTEST_SKIP() << "SKIPPED: this kernel has no vsock loopback";
  ::setenv("NOTIFY_SOCKET", (prefix + "1:" + std::to_string(port)).c_str(), 1);
  const auto before = open_descriptors();
  EXPECT_TRUE(sd::notify({state::ready(), state::status("here")}));
  const unique_fd connection(check(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  std::array<char, 256> buffer;
  const auto length = check(static_cast<int>(::recv(connection.get(), buffer.data(), buffer.size(), 0)), "recv");
  EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(length)), "READY=1\nSTATUS=here");
  EXPECT_EQ(::recv(connection.get(), buffer.data(), buffer.size(), 0), 0) << "the sender has closed";

  const int fd = connection.get();
  std::error_code ec;
  EXPECT_FALSE(sd::notify({state::ready()}, {&fd, 1, 0}, ec)) << "no descriptor goes to another machine";
  EXPECT_EQ(ec, error(EOPNOTSUPP));
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_THAT(open_descriptors(), SizeIs(before.size() + 1));  // the connection
}

TEST(notify_socket, may_be_a_vsock_of_streams) { expect_reaches_vsock("vsock-stream:", SOCK_STREAM); }
TEST(notify_socket, may_be_a_vsock_of_packets) { expect_reaches_vsock("vsock-seqpacket:", SOCK_SEQPACKET); }
TEST(notify_socket, may_be_a_vsock_of_whatever_there_is) { expect_reaches_vsock("vsock:", SOCK_SEQPACKET); }

TEST(notify_socket, may_be_a_vsock_where_descriptors_do_not_go) {
  ::setenv("NOTIFY_SOCKET", "vsock-stream:2:1", 1);
  const auto before = open_descriptors();
  const int fd = 0;
  std::error_code ec;
  EXPECT_FALSE(sd::notify({state::ready()}, {&fd, 1, 0}, ec));
  EXPECT_EQ(ec, error(EOPNOTSUPP));
  EXPECT_FALSE(sd::notify_barrier(1h, ec));
  EXPECT_EQ(ec, error(EOPNOTSUPP));
  EXPECT_EQ(open_descriptors(), before);
  ::unsetenv("NOTIFY_SOCKET");
}

#endif

TEST_F(notify, says_that_the_manager_has_gone) {
  manager().close();
  expect_refused({state::ready()}, ECONNREFUSED);
  ::unlink(manager().where().c_str());
  expect_refused({state::ready()}, ENOENT);
  ::setenv("NOTIFY_SOCKET", (directory() / "file").c_str(), 1);
  const unique_fd file(::open((directory() / "file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  expect_refused({state::ready()}, ECONNREFUSED);
  ::setenv("NOTIFY_SOCKET", (directory() / "file/notify").c_str(), 1);
  expect_refused({state::ready()}, ENOTDIR);
  const auto before = open_descriptors();
  std::error_code ec;
  EXPECT_FALSE(sd::notify_barrier(1h, ec));
  EXPECT_EQ(ec, error(ENOTDIR));
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(notify, says_that_the_socket_is_of_another_kind) {
  const auto stream = sd::testing::open(sd::kind::listener, directory() / "stream");
  ::setenv("NOTIFY_SOCKET", (directory() / "stream").c_str(), 1);
  expect_refused({state::ready()}, EPROTOTYPE);
}

TEST_F(notify, throws_what_names_the_socket) {
  const auto what = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::system_error& thrown) {
      return thrown.what();
    }
    return "(nothing)";
  };
  EXPECT_EQ(what([] { EXPECT_TRUE(sd::notify({state::ready()})); }), "(nothing)");
  EXPECT_EQ(manager().only(), "READY=1");
  const auto ours = "NOTIFY_SOCKET=\"" + manager().where() + '"';
  EXPECT_EQ(what([] { sd::notify({}); }), ours + ": Invalid argument");
  EXPECT_EQ(what([] { sd::notify_barrier(0us); }), ours + ": Connection timed out");
  for (const auto& [where, shown, why] : std::vector<std::array<std::string, 3>>{
           {"/nowhere/notify", "/nowhere/notify", ": No such file or directory"},
           {"", "", ": Address family not supported by protocol"},
           {"a\"b\n", R"(a\"b\x0a)", ": Address family not supported by protocol"}}) {
    ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
    std::string all = "NOTIFY_SOCKET=\"";
    all.append(shown).append(1, '"').append(why);
    EXPECT_EQ(what([] { sd::notify({state::ready()}); }), all);
    EXPECT_EQ(what([] { sd::notify_barrier(1h); }), all);
  }
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(what([] { sd::notify({state::status("\n")}); }), "NOTIFY_SOCKET=\"\": Invalid argument");
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
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: this takes root";
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
    if (sent || ec.category() != std::system_category()) ::_exit(201);
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

// --- many, and late --------------------------------------------------------------------------------------------------

/// The stacks of new threads are small while it lives, but have room for what ThreadSanitizer keeps there.
class small_stacks {
 public:
  small_stacks() {
    ::pthread_getattr_default_np(&usual_);
    pthread_attr_t small = usual_;
    ::pthread_attr_setstacksize(&small, std::size_t{1} << 20U);
    ::pthread_setattr_default_np(&small);
  }
  small_stacks(const small_stacks&) = delete;
  small_stacks& operator=(const small_stacks&) = delete;
  ~small_stacks() { ::pthread_setattr_default_np(&usual_); }

 private:
  pthread_attr_t usual_;
};

TEST_F(notify, comes_whole_from_a_thousand_threads) {
  constexpr int count = 1000;
  const small_stacks stacks;  // as many as usual are more than 32 bits can address
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  threads.reserve(count);
  std::multiset<std::string> received;
  std::thread receiving([&] {
    while (received.size() < count) {
      auto message = manager().next(60'000);
      if (!message) return;
      received.insert(std::move(message->text));
    }
  });
  std::multiset<std::string> sent;
  for (int i = 0; i < count; ++i) {
    const auto text = std::string(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    sent.insert("MAINPID=" + std::to_string(i) + "\nSTATUS=" + text);
    threads.emplace_back([&failed, text, i] {
      std::error_code ec;
      if (!sd::notify({state::main_pid(i), state::status(text)}, ec)) ++failed;
    });
  }
  for (auto& thread : threads) thread.join();
  receiving.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(received, sent);
}

TEST_F(notify, waits_for_room_where_the_manager_is_behind) {
  const unique_fd other(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  manager().where().copy(to.sun_path, sizeof to.sun_path - 1);
  int queued = 0;
  while (::sendto(other.get(), "X=1", 3, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 3) ++queued;
  ASSERT_EQ(errno, EAGAIN);

  std::atomic<bool> done{false};
  bool sent = false;
  std::error_code ec;
  std::thread sender([&] {
    sent = sd::notify({state::ready()}, ec);
    done = true;
  });
  std::this_thread::sleep_for(200ms);
  EXPECT_FALSE(done);
  for (int i = 0; i < queued; ++i) {
    const auto message = manager().next();
    EXPECT_EQ(message ? message->text : "", "X=1");
  }
  const auto last = manager().next(10'000);
  sender.join();
  EXPECT_TRUE(sent) << ec.message();
  EXPECT_EQ(last ? last->text : "", "READY=1");
}

std::atomic<int> signals{0};
std::atomic<int> signal_failures{0};

TEST_F(notify, may_be_called_by_a_signal_handler) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: an emulator has signal handlers of its own";
  constexpr int enough = 300;
  std::atomic<bool> done{false};
  int received = 0;
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &alarm, nullptr), 0);
  std::thread receiving([&] {
    while (true) {
      const bool last = done;
      const auto message = manager().next(last ? 0 : 10);
      if (message) {
        EXPECT_EQ(message->text.substr(0, 29), "WATCHDOG=1\nSTATUS=signal\nMAIN");
        ++received;
      } else if (last) {
        return;
      }
    }
  });
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = [](int) {
    const int saved = errno;
    std::error_code ec;
    ++signals;
    if (!sd::notify({state::watchdog(), state::status("signal"), state::main_pid(signals)}, ec)) ++signal_failures;
    errno = saved;
  };
  ASSERT_EQ(::sigaction(SIGALRM, &action, &old), 0);
  ASSERT_EQ(::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr), 0);
  const itimerval often{{0, 300}, {0, 300}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  // Interrupts what must not be entered twice, most of the time.
  std::vector<std::string> memory(64);
  const auto end = steady::now() + 30s;
  for (std::size_t i = 0; signals < enough && steady::now() < end; ++i)
    memory[i % 64] = std::string(50 + i % 5000, 'x');
  const itimerval never{};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &never, nullptr), 0);
  ASSERT_EQ(::sigaction(SIGALRM, &old, nullptr), 0);
  done = true;
  receiving.join();
  EXPECT_GE(signals, enough);
  EXPECT_EQ(signal_failures, 0);
  EXPECT_EQ(received, signals);
}

// --- the barrier -----------------------------------------------------------------------------------------------------

class notify_barrier : public notify {};

TEST_F(notify_barrier, returns_when_the_manager_gets_to_it) {
  for (const microseconds timeout : {microseconds(30s), microseconds(-1), microseconds::min(), microseconds::max()}) {
    SCOPED_TRACE(timeout.count());
    const auto before = open_descriptors();
    std::atomic<bool> closed{false};
    std::thread managing([&] {
      const auto first = manager().next(10'000);
      EXPECT_EQ(first ? first->text : "", "READY=1");
      auto second = manager().next(10'000);
      ASSERT_TRUE(second);
      EXPECT_EQ(second->text, "BARRIER=1");
      EXPECT_EQ(second->pid, ::getpid());
      ASSERT_THAT(second->fds, SizeIs(1));
      struct stat status {};
      EXPECT_EQ(::fstat(second->fds[0].get(), &status), 0);
      EXPECT_TRUE(S_ISFIFO(status.st_mode));
      EXPECT_EQ(::write(second->fds[0].get(), "", 1), 1) << "the end that is written to, of which the other one hears";
      std::this_thread::sleep_for(200ms);
      closed = true;
      second->fds.clear();
    });
    auto ec = stale();
    EXPECT_TRUE(sd::notify({state::ready()}));
    EXPECT_TRUE(sd::notify_barrier(timeout, ec));
    EXPECT_TRUE(closed);
    EXPECT_FALSE(ec) << ec.message();
    managing.join();
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(notify_barrier, gives_up_when_the_time_is_over) {
  for (const microseconds timeout : {0us, 1us, 999us, 1001us, 150'500us}) {
    SCOPED_TRACE(timeout.count());
    const auto before = open_descriptors();
    const auto start = steady::now();
    std::error_code ec;
    EXPECT_FALSE(sd::notify_barrier(timeout, ec));
    const auto taken = steady::now() - start;
    EXPECT_EQ(ec, error(ETIMEDOUT));
    EXPECT_GE(taken, timeout - 1us) << "which the clocks' rounding may take";
    EXPECT_LT(taken, timeout + 5s);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(manager().only(), "BARRIER=1");
  }
}

TEST_F(notify_barrier, waits_for_copies_too) {
  std::thread managing([&] {
    auto message = manager().next(10'000);
    ASSERT_TRUE(message && message->fds.size() == 1);
    const unique_fd copy(::fcntl(message->fds[0].get(), F_DUPFD_CLOEXEC, 0));
    message->fds.clear();
    std::this_thread::sleep_for(300ms);
  });
  std::error_code ec;
  EXPECT_FALSE(sd::notify_barrier(50ms, ec));
  EXPECT_EQ(ec, error(ETIMEDOUT));
  managing.join();
}

TEST_F(notify_barrier, is_over_when_the_manager_goes) {
  std::thread managing([&] {
    std::this_thread::sleep_for(100ms);
    manager().close();  // with the message unread
  });
  std::error_code ec;
  EXPECT_TRUE(sd::notify_barrier(-1us, ec)) << ec.message();
  managing.join();
  EXPECT_FALSE(sd::notify_barrier(-1us, ec));
  EXPECT_EQ(ec, error(ECONNREFUSED));
}

TEST_F(notify_barrier, is_over_when_the_managers_process_exits) {
  const pid_t child = check(::fork(), "fork");
  if (child == 0) {
    ::usleep(200'000);
    ::_exit(0);
  }
  manager().close();  // the child has it now
  std::error_code ec;
  EXPECT_TRUE(sd::notify_barrier(-1us, ec)) << ec.message();
  check(::waitpid(child, nullptr, 0), "waitpid");
}

}  // namespace
