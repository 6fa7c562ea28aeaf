// What sd::take_or_bind() takes, binds and leaves behind: in this process, in programs of their own, in crowds of them,
// and with failures injected into every step.

#include <sd/address.hpp>
#include <sd/error.hpp>
#include <sd/listener.hpp>
#include <sd/socket.hpp>
#include <sd/take.hpp>
#include <sd/testing.hpp>

#include "client.hpp"
#include "directory.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using sd::bind_options;
using sd::errc;
using sd::kind;
using sd::listen_fd;
using sd::origin;
using sd::take_or_bind;
using sd::unique_fd;
using sd::test::ask;
using sd::test::connect;
using testing::HasSubstr;
using testing::IsEmpty;

using words = std::vector<std::string>;

int check(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

/// Whether programs take long to start and to run.
bool is_slow() { return sd::test::sanitized || !sd::test::emulator().empty(); }

// --- places ----------------------------------------------------------------------------------------------------------

/// A directory where anyone may bind.
class scratch : public sd::test::directory {
 public:
  explicit scratch(const std::string& parent = testing::TempDir()) : directory(parent) {
    check(::chmod(path().c_str(), 0777), "chmod " + path());
  }
};

/// An IPv4 address that nobody else in this machine's tests binds.
const std::string& loopback() {
  static const std::string address = [] {
    std::random_device random;
    std::string text = "127";
    for (int i = 0; i < 3; ++i) text += '.' + std::to_string(1 + random() % 250);
    return text;
  }();
  return address;
}

bool exists(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

struct stat status_of(const std::string& path) {
  struct stat status;
  check(::lstat(path.c_str(), &status), "lstat " + path);
  return status;
}

unsigned mode_of(const std::string& path) { return status_of(path).st_mode & 07777U; }

std::uint64_t inode(int fd) {
  struct stat status;
  check(::fstat(fd, &status), "fstat");
  return status.st_ino;
}

int option(const unique_fd& fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  check(::getsockopt(fd.get(), level, name, &value, &size), "getsockopt");
  return value;
}

bool is_nonblocking(const unique_fd& fd) {
  return (static_cast<unsigned>(check(::fcntl(fd.get(), F_GETFL), "F_GETFL")) & unsigned{O_NONBLOCK}) != 0;
}

/// What does not use the library: a socket that is bound to the path and, unless it is a datagram one, listens.
unique_fd foreign_server(const std::string& path, int type = SOCK_STREAM) {
  const sd::address where(path);
  unique_fd fd(check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(fd.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())), "bind");
  if (type != SOCK_DGRAM) check(::listen(fd.get(), 8), "listen");
  return fd;
}

/// A path whose server has died.
void leave_dead_socket(const std::string& path) { foreign_server(path).reset(); }

/// Whether a connection or message is waiting to be received.
bool has_client(const unique_fd& server) {
  pollfd readable{server.get(), POLLIN, 0};
  return ::poll(&readable, 1, 0) != 0;
}

bool refuses(const std::string& where, int type = SOCK_STREAM) {
  try {
    connect(where, type);
  } catch (const std::system_error&) {
    return true;
  }
  return false;
}

/// What take_or_bind() throws, as text; empty where it does not.
std::string failure_of(std::vector<listen_fd>& fds, const std::string& where, const bind_options& options = {}) {
  const auto before = sd::to_string(fds);
  std::error_code ec;
  bool bound = false;
  {
    const auto server = take_or_bind(fds, sd::address(where), options, ec);
    bound = static_cast<bool>(server.fd);
  }
  EXPECT_EQ(sd::to_string(fds), before);
  EXPECT_EQ(bound, !ec);
  std::string what;
  try {
    const auto second = take_or_bind(fds, sd::address(where), options);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), ec);
    what = error.what();
  }
  EXPECT_EQ(sd::to_string(fds), before);
  return what;
}

std::string failure_of(const std::string& where, const bind_options& options = {}) {
  std::vector<listen_fd> none;
  return failure_of(none, where, options);
}

bind_options of_kind(kind kind) {
  bind_options options;
  options.kind = kind;
  return options;
}

sd::listener bind_one(const std::string& where, const bind_options& options = {}) {
  std::vector<listen_fd> none;
  return take_or_bind(none, sd::address(where), options);
}

std::vector<listen_fd> list_of(listen_fd entry) {
  std::vector<listen_fd> fds;
  fds.push_back(std::move(entry));
  return fds;
}

// --- programs --------------------------------------------------------------------------------------------------------

using report = std::map<std::string, std::string>;

/// A binder that runs.
class program {
 public:
  explicit program(const std::string& where, const words& options = {}, const std::vector<listen_fd>& passed = {},
                   const words& tracer = {})
      : process_(open_report(), command(where, options, tracer), passed) {}

  /// All that it says until it waits, serves or ends, by the first word of the line. Waiting is for the gate.
  report says() {
    report all;
    while (true) {
      const auto line = next_line();
      if (!line) return all;
      const auto space = line->find(' ');
      all[line->substr(0, space)] = space == std::string::npos ? "" : line->substr(space + 1);
      if (*line == "serving" || *line == "ready") return all;
    }
  }
  int stop(int signal = SIGTERM) { return process_->stop(signal); }
  int wait() { return process_->wait(); }

 private:
  /// The pipe has to be there before the process is started.
  class started {
   public:
    started(unique_fd pipe, const words& command, const std::vector<listen_fd>& passed)
        : pipe_(std::move(pipe)), process_(command, passed) {}
    sd::testing::process* operator->() { return &process_; }
    [[nodiscard]] int pipe() const { return pipe_.get(); }

   private:
    unique_fd pipe_;
    sd::testing::process process_;
  };

  unique_fd open_report() {
    check(::mkfifo((directory_ / "report").c_str(), 0600), "mkfifo");
    return unique_fd(check(::open((directory_ / "report").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"));
  }

  [[nodiscard]] words command(const std::string& where, words options, words tracer) const {
    options.insert(options.begin(), {where, directory_ / "report"});
    const auto binder = sd::test::command(BINDER, options);
    tracer.insert(tracer.end(), binder.begin(), binder.end());
    return tracer;
  }

  std::optional<std::string> next_line() {
    while (received_.find('\n') == std::string::npos) {
      pollfd readable{process_.pipe(), POLLIN, 0};
      if (::poll(&readable, 1, 60000) <= 0) throw std::runtime_error("the program says nothing");
      std::array<char, 4096> buffer;
      const ssize_t length = ::read(process_.pipe(), buffer.data(), buffer.size());
      if (length <= 0) return std::nullopt;
      received_.append(buffer.data(), static_cast<std::size_t>(length));
    }
    const auto end = received_.find('\n');
    auto line = received_.substr(0, end);
    received_.erase(0, end + 1);
    return line;
  }

  scratch directory_;
  started process_;
  std::string received_;
};

/// Programs that wait, once started, to bind all at once.
class crowd {
 public:
  crowd(std::size_t size, const std::string& where, words options = {}) {
    check(::mkfifo((directory_ / "gate").c_str(), 0600), "mkfifo");
    options.push_back("gate=" + directory_ / "gate");
    for (std::size_t i = 0; i < size; ++i) programs_.push_back(std::make_unique<program>(where, options));
    for (const auto& each : programs_) EXPECT_EQ(each->says().count("ready"), 1U);
  }

  void release() { gate_ = unique_fd(check(::open((directory_ / "gate").c_str(), O_WRONLY | O_CLOEXEC), "open")); }

  /// Waits until each serves or has ended. Those that serve; all others are to have been refused.
  std::vector<program*> servers() {
    std::vector<program*> all;
    for (const auto& each : programs_) {
      auto said = each->says();
      if (said.count("serving") != 0) {
        all.push_back(each.get());
      } else {
        EXPECT_EQ(said["error"], "system " + std::to_string(EADDRINUSE)) << said["what"];
        EXPECT_EQ(said["open"], "as before");
        EXPECT_EQ(each->wait(), 1);
      }
    }
    return all;
  }

  [[nodiscard]] const std::vector<std::unique_ptr<program>>& programs() const { return programs_; }

 private:
  scratch directory_;
  std::vector<std::unique_ptr<program>> programs_;
  unique_fd gate_;
};

std::size_t crowd_size() { return is_slow() ? 6 : 20; }
int rounds() { return is_slow() ? 2 : 10; }

// --- every address ---------------------------------------------------------------------------------------------------

struct served {
  const char* name;
  sd::kind kind;
  int type;
  const char* where;  // DIR, IPV4 and PID are filled in; a port that is 0 or all ones is a free one
};

std::ostream& operator<<(std::ostream& out, const served& what) { return out << what.name; }

constexpr served everything[] = {
    {"inet", kind::listener, SOCK_STREAM, "IPV4:0"},
    {"inet6", kind::listener, SOCK_STREAM, "[::1]:0"},
    {"path", kind::listener, SOCK_STREAM, "DIR/socket"},
    {"abstract", kind::listener, SOCK_STREAM, "@sd-bind-PID"},
    {"vsock", kind::listener, SOCK_STREAM, "vsock:1:4294967295"},
    {"seqpacket_path", kind::seqpacket, SOCK_SEQPACKET, "DIR/socket"},
    {"seqpacket_abstract", kind::seqpacket, SOCK_SEQPACKET, "@sd-bind-PID"},
    {"datagram_inet", kind::datagram, SOCK_DGRAM, "IPV4:0"},
    {"datagram_inet6", kind::datagram, SOCK_DGRAM, "[::1]:0"},
    {"datagram_path", kind::datagram, SOCK_DGRAM, "DIR/socket"},
    {"datagram_abstract", kind::datagram, SOCK_DGRAM, "@sd-bind-PID"},
};

class every_address : public testing::TestWithParam<served> {
 protected:
  void SetUp() override {
    where_ = GetParam().where;
    for (const auto& [word, value] : {std::pair<std::string, std::string>{"DIR", directory_.path()},
                                      {"IPV4", loopback()},
                                      {"PID", std::to_string(::getpid())}}) {
      if (const auto at = where_.find(word); at != std::string::npos) where_.replace(at, word.size(), value);
    }
    try {
      const auto trial = sd::testing::open(GetParam().kind, where_);
    } catch (const std::system_error& error) {
      if (is_path()) throw;
      GTEST_SKIP() << "SKIPPED: this system has no such sockets: " << error.what();
    }
    if (is_path()) std::filesystem::remove(where_);
  }

  [[nodiscard]] bool is_path() const { return where_.front() == '/'; }
  static std::string kind_option() { return std::string("kind=") + sd::to_string(GetParam().kind); }
  /// Internet datagrams go nowhere unseen.
  [[nodiscard]] bool is_refused(const std::string& where) const {
    return GetParam().type == SOCK_DGRAM && where_.front() != '/' && where_.front() != '@'
               ? true
               : refuses(where, GetParam().type);
  }

  [[nodiscard]] const scratch& directory() const { return directory_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  scratch directory_;
  std::string where_;
};

TEST_P(every_address, is_bound_where_nothing_was_passed) {
  program server(where(), {kind_option()});
  auto said = server.says();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(said["origin"], "bound");
  EXPECT_EQ(said["path"], is_path() ? where() : "");
  EXPECT_EQ(said["left"], "nothing");
  EXPECT_EQ(ask(said["at"], "words", GetParam().type), "words");
  EXPECT_EQ(ask(said["at"], "more words", GetParam().type), "more words");
  EXPECT_EQ(directory().entries(), is_path() ? words{"socket"} : words{});

  EXPECT_EQ(server.stop(), 0);
  EXPECT_TRUE(is_refused(said["at"]));
  EXPECT_THAT(directory().entries(), IsEmpty());
}

TEST_P(every_address, is_taken_where_it_was_passed) {
  const auto passed = list_of(sd::testing::open(GetParam().kind, where(), "web"));
  const auto& fd = passed.front().fd;
  const auto before = sd::describe(fd.get());
  const auto at = sd::to_string(before.local);
  const auto mode = is_path() ? mode_of(where()) : 0;
  const auto reuse = option(fd, SOL_SOCKET, SO_REUSEADDR);

  program server(at, {kind_option(), "mode=0600", "umask=077", "ipv6=ipv6_only"}, passed);
  auto said = server.says();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(said["origin"], "passed");
  EXPECT_EQ(said["socket"], std::to_string(inode(fd.get())));
  EXPECT_EQ(said["path"], "");
  EXPECT_EQ(said["left"], "nothing");
  EXPECT_EQ(ask(at, "words", GetParam().type), "words");
  EXPECT_EQ(server.stop(), 0);

  // As it was, for the next instance.
  EXPECT_EQ(sd::to_string(sd::describe(fd.get())), sd::to_string(before));
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), reuse);
  EXPECT_EQ(directory().entries(), is_path() ? words{"socket"} : words{});
  EXPECT_EQ(is_path() ? mode_of(where()) : 0, mode);
  const auto client = connect(at, GetParam().type);
  check(static_cast<int>(::send(client.get(), "words", 5, MSG_NOSIGNAL)), "send");
  EXPECT_TRUE(has_client(fd));
}

TEST_P(every_address, that_is_served_is_in_use) {
  auto server = sd::testing::open(GetParam().kind, where());
  const auto at = sd::to_string(sd::describe(server.fd.get()).local);
  EXPECT_EQ(failure_of(at, of_kind(GetParam().kind)), "bind to " + at + ": Address already in use");
  EXPECT_FALSE(has_client(server.fd));
  EXPECT_EQ(directory().entries(), is_path() ? words{"socket"} : words{});
}

INSTANTIATE_TEST_SUITE_P(take_or_bind, every_address, testing::ValuesIn(everything),
                         [](const auto& tested) { return tested.param.name; });

TEST(bound, vsock_of_any_context_id) {
  std::vector<listen_fd> none;
  std::error_code ec;
  const auto server = take_or_bind(none, sd::address("vsock::4294967295"), {}, ec);
  if (ec) GTEST_SKIP() << "SKIPPED: this kernel has no vsock: " << ec.message();
  EXPECT_EQ(sd::describe(server.fd.get()).kind, kind::listener);
  EXPECT_EQ(server.origin, origin::bound);
}

// --- what is bound ---------------------------------------------------------------------------------------------------

TEST(bound, descriptor_is_close_on_exec) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    const auto server = bind_one(where);
    EXPECT_EQ(::fcntl(server.fd.get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(bound, stream_sockets_of_the_internet_reuse_their_address) {
  EXPECT_EQ(option(bind_one(loopback() + ":0").fd, SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(option(bind_one("0").fd, SOL_SOCKET, SO_REUSEADDR), 1);
  // Two servers would share the address, and none would know.
  EXPECT_EQ(option(bind_one(loopback() + ":0", of_kind(kind::datagram)).fd, SOL_SOCKET, SO_REUSEADDR), 0);
}

TEST(bound, again_while_connections_of_the_former_server_linger) {
  auto server = bind_one(loopback() + ":0");
  const auto at = sd::to_string(sd::describe(server.fd.get()).local);
  const auto client = connect(at);
  unique_fd connection(check(::accept4(server.fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  connection.reset();
  server.fd.reset();
  EXPECT_EQ(failure_of(at), "");
}

TEST(bound, wildcard_serves_ipv4_or_not) {
  for (const auto& [wanted, v6only] :
       {std::pair{sd::bind_ipv6_only::both, 0}, std::pair{sd::bind_ipv6_only::ipv6_only, 1}}) {
    for (const auto kind : {kind::listener, kind::datagram}) {
      auto options = of_kind(kind);
      options.ipv6 = wanted;
      const auto server = bind_one("[::]:0", options);
      EXPECT_EQ(option(server.fd, IPPROTO_IPV6, IPV6_V6ONLY), v6only);
      if (kind == kind::datagram) continue;
      const auto port = std::to_string(sd::describe(server.fd.get()).local.port());
      EXPECT_EQ(refuses(loopback() + ':' + port), v6only == 1);
      EXPECT_FALSE(refuses("[::1]:" + port));
    }
  }
}

TEST(bound, wildcard_is_as_the_system_has_it_by_default) {
  int system_default = -1;
  std::ifstream("/proc/sys/net/ipv6/bindv6only") >> system_default;
  if (system_default < 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  EXPECT_EQ(option(bind_one("[::]:0").fd, IPPROTO_IPV6, IPV6_V6ONLY), system_default);
}

TEST(bound, nonblocking_only_where_asked_for) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    for (const auto wanted : {sd::nonblocking::leave, sd::nonblocking::off, sd::nonblocking::on}) {
      bind_options options;
      options.nonblocking = wanted;
      EXPECT_EQ(is_nonblocking(bind_one(where, options).fd), wanted == sd::nonblocking::on);
    }
  }
}

TEST(bound, as_many_may_wait_as_the_backlog_says) {
  const scratch directory;
  const auto waiting = [&](int backlog, int most) {
    bind_options options;
    options.backlog = backlog;
    const auto server = bind_one(directory / "s", options);
    const sd::address where(directory / "s");
    std::vector<unique_fd> clients;
    for (int i = 0; i < most; ++i) {
      clients.emplace_back(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
      const auto size = static_cast<socklen_t>(where.size());
      if (::connect(clients.back().get(), static_cast<const sockaddr*>(where.data()), size) < 0) return i;
    }
    return most;
  };
  EXPECT_EQ(waiting(0, 300), 1);  // the kernel lets one more in
  EXPECT_EQ(waiting(3, 300), 4);
  int allowed = 0;
  std::ifstream("/proc/sys/net/core/somaxconn") >> allowed;
  EXPECT_EQ(waiting(-1, 300), std::min(allowed + 1, 300));
}

TEST(bound, only_kinds_that_can_be) {
  const scratch directory;
  for (const auto kind : {kind::connection, kind::unconnected, kind::fifo, kind::raw, kind::other}) {
    const auto name = std::string(sd::to_string(kind));
    EXPECT_EQ(failure_of(directory / "s", of_kind(kind)), "bind a " + name + ": Invalid argument");
  }
  EXPECT_THAT(directory.entries(), IsEmpty());
}

// --- what was passed -------------------------------------------------------------------------------------------------

TEST(passed, is_the_very_descriptor) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    auto fds = list_of(sd::testing::open(kind::listener, where));
    const int number = fds.front().fd.get();
    const auto server = take_or_bind(fds, sd::describe(number).local);
    EXPECT_EQ(server.fd.get(), number);
    EXPECT_EQ(server.origin, origin::passed);
    EXPECT_EQ(server.path.get(), "");
    EXPECT_THAT(fds, IsEmpty());
  }
}

TEST(passed, keeps_its_options) {
  bind_options options;
  options.ipv6 = sd::bind_ipv6_only::ipv6_only;
  for (const int on : {0, 1}) {
    options.nonblocking = on == 1 ? sd::nonblocking::on : sd::nonblocking::off;
    const auto passed = list_of({std::nullopt, bind_one("[::]:0", options).fd});
    const auto& fd = passed.front().fd;
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    program server(sd::to_string(sd::describe(fd.get()).local), {"ipv6=both"}, passed);
    auto said = server.says();
    EXPECT_EQ(said["origin"], "passed") << said["what"];
    EXPECT_EQ(said["is"], sd::to_string(sd::describe(fd.get())));
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(is_nonblocking(fd), on == 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), on);
    EXPECT_EQ(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
  }
}

TEST(passed, is_nonblocking_as_asked_for) {
  for (const bool before : {false, true}) {
    for (const auto wanted : {sd::nonblocking::leave, sd::nonblocking::off, sd::nonblocking::on}) {
      bind_options options;
      options.nonblocking = before ? sd::nonblocking::on : sd::nonblocking::off;
      auto fds = list_of({std::nullopt, bind_one(loopback() + ":0", options).fd});
      const auto holder = unique_fd(check(::dup(fds.front().fd.get()), "dup"));  // as the service manager has one
      options.nonblocking = wanted;
      const auto server = take_or_bind(fds, sd::describe(holder.get()).local, options);
      const bool after = wanted == sd::nonblocking::leave ? before : wanted == sd::nonblocking::on;
      EXPECT_EQ(is_nonblocking(server.fd), after);
      EXPECT_EQ(is_nonblocking(holder), after);
    }
  }
}

TEST(passed, others_stay_in_the_list) {
  const scratch directory;
  std::vector<listen_fd> fds;
  fds.push_back(sd::testing::open(kind::listener, directory / "first", "first"));
  fds.push_back(sd::testing::open(kind::listener, directory / "wanted", "wanted"));
  fds.push_back(sd::testing::open(kind::fifo, directory / "fifo", "last"));
  const int number = fds[1].fd.get();
  const auto server = take_or_bind(fds, sd::address(directory / "wanted"));
  EXPECT_EQ(server.fd.get(), number);
  ASSERT_EQ(fds.size(), 2U);
  EXPECT_EQ(fds[0].name, "first");
  EXPECT_EQ(fds[1].name, "last");
}

TEST(passed, but_for_another_address_is_left_and_this_one_is_bound) {
  const scratch directory;
  std::vector<listen_fd> fds;
  fds.push_back(sd::testing::open(kind::listener, directory / "other", "path"));
  fds.push_back(sd::testing::open(kind::listener, loopback() + ":0", "port"));
  const auto before = sd::to_string(fds);
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    const auto server = take_or_bind(fds, sd::address(where));
    EXPECT_EQ(server.origin, origin::bound);
    EXPECT_EQ(sd::to_string(fds), before);
    EXPECT_FALSE(refuses(sd::to_string(sd::describe(server.fd.get()).local)));
  }
}

TEST(passed, by_a_path_that_leads_there) {
  const scratch directory;
  std::filesystem::create_directory_symlink(directory.path(), directory / "link");
  auto fds = list_of(sd::testing::open(kind::listener, directory / "s"));
  const auto server = take_or_bind(fds, sd::address(directory / "link/s"));
  EXPECT_EQ(server.origin, origin::passed);
}

/// A socket of the one protocol that is bound where the other's port is free.
listen_fd passed_at_a_port(kind kind, std::string& where) {
  while (true) {
    auto passed = sd::testing::open(kind, loopback() + ":0");
    where = sd::to_string(sd::describe(passed.fd.get()).local);
    try {
      const auto other = sd::testing::open(kind == kind::datagram ? kind::listener : kind::datagram, where);
      return passed;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::address_in_use) throw;
    }
  }
}

TEST(passed, tcp_and_udp_have_ports_of_their_own) {
  for (const auto& [given, wanted] :
       {std::pair{kind::datagram, kind::listener}, std::pair{kind::listener, kind::datagram}}) {
    std::string where;
    auto fds = list_of(passed_at_a_port(given, where));
    const auto before = sd::to_string(fds);
    const auto server = take_or_bind(fds, sd::address(where), of_kind(wanted));
    EXPECT_EQ(server.origin, origin::bound);
    const auto what = sd::describe(server.fd.get());
    EXPECT_EQ(what.kind, wanted);
    EXPECT_EQ(sd::to_string(what.local), where);
    EXPECT_EQ(sd::to_string(fds), before);

    // Where both were passed, each is found.
    fds.push_back(listen_fd{"both", unique_fd(check(::dup(server.fd.get()), "dup"))});
    const auto second = take_or_bind(fds, sd::address(where), of_kind(wanted));
    EXPECT_EQ(second.origin, origin::passed);
    EXPECT_EQ(sd::to_string(fds), before);
  }
}

TEST(passed, several_udp_sockets_leave_the_tcp_port_free) {
  std::string where;
  std::vector<listen_fd> fds;
  fds.push_back(passed_at_a_port(kind::datagram, where));
  fds.push_back(listen_fd{"another", unique_fd(check(::dup(fds.front().fd.get()), "dup"))});  // as by ReusePort=
  const auto before = sd::to_string(fds);
  const auto server = take_or_bind(fds, sd::address(where));
  EXPECT_EQ(server.origin, origin::bound);
  EXPECT_EQ(sd::to_string(fds), before);
}

TEST(passed, as_another_kind_at_a_path_is_an_error) {
  const scratch directory;
  const auto where = directory / "s";
  const std::pair<kind, kind> others[] = {{kind::datagram, kind::listener},
                                          {kind::listener, kind::datagram},
                                          {kind::seqpacket, kind::listener},
                                          {kind::listener, kind::seqpacket}};
  for (const auto& [given, wanted] : others) {
    auto fds = list_of(sd::testing::open(given, where));
    std::error_code ec;
    const auto server = take_or_bind(fds, sd::address(where), of_kind(wanted), ec);
    EXPECT_EQ(ec, errc::wrong_kind);
    EXPECT_FALSE(server.fd);
    EXPECT_EQ(fds.size(), 1U);
    EXPECT_EQ(directory.entries(), words{"s"});
    std::filesystem::remove(where);
  }
}

/// One end of a connection to the server, as Accept=yes passes it.
listen_fd accepted(const std::string& where, unique_fd& client) {
  const auto server = bind_one(where);
  client = connect(sd::to_string(sd::describe(server.fd.get()).local));
  return {"connection", unique_fd(check(::accept4(server.fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"))};
}

TEST(passed, connection_at_the_address_is_an_error) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s", "@sd-bind-" + std::to_string(::getpid())}) {
    unique_fd client;
    auto fds = list_of(accepted(where, client));
    const auto at = sd::describe(fds.front().fd.get()).local;
    for (const auto kind : {kind::listener, kind::datagram, kind::seqpacket}) {
      if (kind == kind::datagram && at.port() != 0) continue;  // UDP has ports of its own
      std::error_code ec;
      const auto server = take_or_bind(fds, at, of_kind(kind), ec);
      EXPECT_EQ(ec, errc::wrong_kind) << where;
      EXPECT_FALSE(server.fd);
      EXPECT_EQ(fds.size(), 1U);
    }
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(passed, connection_is_an_error_whatever_else_is_at_the_port) {
  unique_fd client;
  auto fds = list_of(accepted(loopback() + ":0", client));
  const auto at = sd::to_string(sd::describe(fds.front().fd.get()).local);
  fds.push_back(sd::testing::open(kind::datagram, at, "udp"));
  EXPECT_THAT(failure_of(fds, at), HasSubstr(std::error_code(errc::wrong_kind).message()));
}

TEST(passed, twice_is_ambiguous) {
  const scratch directory;
  for (const auto& where : {loopback() + ":0", directory / "s"}) {
    auto fds = list_of(sd::testing::open(kind::listener, where, "one"));
    fds.push_back(listen_fd{"two", unique_fd(check(::dup(fds.front().fd.get()), "dup"))});
    const auto at = sd::describe(fds.front().fd.get()).local;
    std::error_code ec;
    const auto server = take_or_bind(fds, at, {}, ec);
    EXPECT_EQ(ec, errc::ambiguous);
    EXPECT_FALSE(server.fd);
    EXPECT_EQ(fds.size(), 2U);
  }
}

// --- crowds ----------------------------------------------------------------------------------------------------------

/// At most one serves, its path is live, and nothing else is there. Then the same once it has gone.
void expect_one_server(const scratch& directory, const std::vector<program*>& servers) {
  ASSERT_EQ(servers.size(), 1U);
  EXPECT_EQ(directory.entries(), words{"s"});
  EXPECT_EQ(ask(directory / "s", "words"), "words");
  EXPECT_EQ(servers.front()->stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(crowd, of_programs_has_one_server) {
  for (int round = 0; round < 2 * rounds(); ++round) {
    const scratch directory;
    if (round % 2 == 1) leave_dead_socket(directory / "s");
    crowd all(crowd_size(), directory / "s");
    all.release();
    expect_one_server(directory, all.servers());
  }
}

TEST(crowd, makes_the_directories_together) {
  const scratch directory;
  crowd all(crowd_size(), directory / "a/b/c/s");
  all.release();
  EXPECT_EQ(all.servers().size(), 1U);
  EXPECT_EQ(ask(directory / "a/b/c/s", "words"), "words");
}

TEST(crowd, while_the_server_stops_leaves_no_dead_path) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    program former(directory / "s", round % 2 == 0 ? words{} : words{"close-first"});
    ASSERT_EQ(former.says().count("serving"), 1U);
    crowd all(crowd_size(), directory / "s");
    all.release();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    EXPECT_EQ(former.stop(), 0);
    const auto servers = all.servers();
    if (servers.empty()) {
      EXPECT_THAT(directory.entries(), IsEmpty());
    } else {
      expect_one_server(directory, servers);
    }
  }
}

TEST(crowd, while_the_server_is_killed_has_one_server_at_most) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    program former(directory / "s");
    ASSERT_EQ(former.says().count("serving"), 1U);
    crowd all(crowd_size(), directory / "s");
    all.release();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    EXPECT_EQ(former.stop(SIGKILL), 128 + SIGKILL);
    if (const auto servers = all.servers(); !servers.empty()) expect_one_server(directory, servers);

    program next(directory / "s");
    EXPECT_EQ(next.says().count("serving"), 1U);
    expect_one_server(directory, {&next});
  }
}

TEST(crowd, whose_programs_are_killed_hinders_none_after_them) {
  for (int round = 0; round < rounds(); ++round) {
    const scratch directory;
    crowd all(crowd_size() / 2, directory / "s", {"times=1000000"});
    all.release();
    for (const auto& each : all.programs()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      EXPECT_EQ(each->stop(SIGKILL), 128 + SIGKILL);
    }
    program next(directory / "s");
    EXPECT_EQ(next.says().count("serving"), 1U);
    expect_one_server(directory, {&next});
  }
}

/// Programs that bind and go, over and over: whoever has bound is who clients get to.
void come_and_go(const words& options) {
  const scratch directory;
  leave_dead_socket(directory / "s");
  crowd all(is_slow() ? 3 : 6, directory / "s", options);
  all.release();
  int bound = 0;
  for (const auto& each : all.programs()) {
    auto said = each->says();
    EXPECT_EQ(said["lost"], "0");
    EXPECT_EQ(said["failed"], "none");
    EXPECT_EQ(each->wait(), 0);
    bound += std::stoi(said["bound"]);
  }
  EXPECT_GT(bound, 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

std::string times() { return is_slow() ? "times=100" : "times=1500"; }

TEST(crowd, that_comes_and_goes_reaches_whom_it_should) { come_and_go({times()}); }

TEST(crowd, that_comes_and_goes_by_way_of_dead_paths_reaches_whom_it_should) { come_and_go({times(), "close-first"}); }

// --- what is at the path already -------------------------------------------------------------------------------------

TEST(recovery, of_what_a_killed_server_left) {
  for (const auto kind : {kind::listener, kind::seqpacket, kind::datagram}) {
    const scratch directory;
    const auto option = std::string("kind=") + sd::to_string(kind);
    program former(directory / "s", {option});
    ASSERT_EQ(former.says().count("serving"), 1U);
    EXPECT_EQ(former.stop(SIGKILL), 128 + SIGKILL);
    EXPECT_EQ(directory.entries(), words{"s"});

    program next(directory / "s", {option});
    EXPECT_EQ(next.says().count("serving"), 1U);
    EXPECT_EQ(directory.entries(), words{"s"});
    const int type = kind == kind::datagram ? SOCK_DGRAM : kind == kind::seqpacket ? SOCK_SEQPACKET : SOCK_STREAM;
    EXPECT_EQ(ask(directory / "s", "words", type), "words");
    EXPECT_EQ(next.stop(), 0);
    EXPECT_THAT(directory.entries(), IsEmpty());
  }
}

TEST(recovery, of_a_lock_file_that_nobody_holds) {
  const scratch directory;
  std::ofstream(directory / "s.sd-lock").close();
  leave_dead_socket(directory / "s");
  const auto server = bind_one(directory / "s");
  EXPECT_EQ(directory.entries(), words{"s"});
}

TEST(recovery, waits_for_who_holds_the_lock) {
  const scratch directory;
  const unique_fd lock(check(::open((directory / "s.sd-lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  check(::flock(lock.get(), LOCK_EX), "flock");
  crowd one(1, directory / "s");
  one.release();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(directory.entries(), words{"s.sd-lock"});
  // As a holder that goes does it.
  std::filesystem::remove(directory / "s.sd-lock");
  check(::flock(lock.get(), LOCK_UN), "flock");
  expect_one_server(directory, one.servers());
}

TEST(recovery, spares_a_server_that_does_not_use_the_library) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    for (const auto kind : {kind::listener, kind::seqpacket, kind::datagram}) {
      const scratch directory;
      const auto where = directory / "s";
      const auto server = foreign_server(where, type);
      const auto file = status_of(where).st_ino;
      EXPECT_EQ(failure_of(where, of_kind(kind)), "bind to " + where + ": Address already in use");
      EXPECT_FALSE(has_client(server)) << "the probe is seen";
      EXPECT_EQ(status_of(where).st_ino, file);
      EXPECT_EQ(directory.entries(), words{"s"});
      EXPECT_FALSE(refuses(where, type));
    }
  }
}

TEST(recovery, spares_a_server_that_does_not_listen_yet) {
  const scratch directory;
  const sd::address where(directory / "s");
  const unique_fd server(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const auto size = static_cast<socklen_t>(where.size());
  check(::bind(server.get(), static_cast<const sockaddr*>(where.data()), size), "bind");
  EXPECT_THAT(failure_of(directory / "s"), HasSubstr("Address already in use"));
  check(::listen(server.get(), 1), "listen");
  EXPECT_FALSE(refuses(directory / "s"));
}

TEST(recovery, spares_what_is_no_socket) {
  const scratch directory;
  const auto where = directory / "s";
  const auto expect_spared = [&](const char* what) {
    const auto before = status_of(where);
    EXPECT_EQ(failure_of(where), "bind to " + where + ": Address already in use") << what;
    const auto after = status_of(where);
    EXPECT_EQ(after.st_ino, before.st_ino) << what;
    EXPECT_EQ(after.st_mode, before.st_mode) << what;
    EXPECT_EQ(after.st_size, before.st_size) << what;
    EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec) << what;
    EXPECT_FALSE(exists(where + ".sd-lock")) << what;
    std::filesystem::remove(where);
  };
  std::ofstream(where) << "words";
  expect_spared("a file");
  std::filesystem::create_directory(where);
  expect_spared("a directory");
  check(::mkfifo(where.c_str(), 0600), "mkfifo");
  expect_spared("a fifo");
  std::filesystem::create_symlink(directory / "nowhere", where);
  expect_spared("a link to nowhere");
  leave_dead_socket(directory / "dead");
  std::filesystem::create_symlink(directory / "dead", where);
  expect_spared("a link to a dead socket");
  EXPECT_EQ(directory.entries(), words{"dead"});
}

// --- what is removed, and what is not --------------------------------------------------------------------------------

TEST(cleanup, removes_the_path) {
  const scratch directory;
  program server(directory / "s");
  ASSERT_EQ(server.says().count("serving"), 1U);
  EXPECT_EQ(directory.entries(), words{"s"});
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, removes_the_path_also_where_the_socket_went_first) {
  const scratch directory;
  program server(directory / "s", {"close-first"});
  ASSERT_EQ(server.says().count("serving"), 1U);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, leaves_a_path_that_was_released) {
  const scratch directory;
  program server(directory / "s", {"release"});
  ASSERT_EQ(server.says().count("serving"), 1U);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(directory.entries(), words{"s"});
}

TEST(cleanup, is_not_for_a_forked_child) {
  const scratch directory;
  program server(directory / "s", {"fork"});
  ASSERT_EQ(server.says().count("serving"), 1U);  // the child has gone by then
  EXPECT_EQ(directory.entries(), words{"s"});
  expect_one_server(directory, {&server});
}

TEST(cleanup, leaves_a_path_that_another_server_has_now) {
  for (const auto& [closes_first, at_the_same_time] :
       {std::pair{false, false}, std::pair{true, false}, std::pair{false, true}, std::pair{true, true}}) {
    const scratch directory;
    program server(directory / "s", closes_first ? words{"close-first"} : words{});
    ASSERT_EQ(server.says().count("serving"), 1U);
    const auto modified = status_of(directory / "s").st_mtim;
    std::filesystem::remove(directory / "s");
    const auto next = foreign_server(directory / "s");
    if (at_the_same_time) {
      const timespec times[] = {modified, modified};
      check(::utimensat(AT_FDCWD, (directory / "s").c_str(), times, 0), "utimensat");
    }
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(directory.entries(), words{"s"});
    EXPECT_FALSE(refuses(directory / "s"));
  }
}

TEST(cleanup, leaves_what_was_renamed_and_what_took_its_place) {
  const scratch directory;
  program server(directory / "s");
  ASSERT_EQ(server.says().count("serving"), 1U);
  std::filesystem::rename(directory / "s", directory / "renamed");
  EXPECT_EQ(ask(directory / "renamed", "words"), "words");
  std::ofstream(directory / "s").close();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(directory.entries(), (words{"renamed", "s"}));
}

/// Directories of file systems that give out inode numbers in ways of their own.
words file_systems() {
  words all = {testing::TempDir()};
  if (::access("/dev/shm", W_OK) == 0) all.emplace_back("/dev/shm/");
  return all;
}

/// Servers, until one has got this inode number, which then has the path; if none has, the last has it.
std::vector<unique_fd> servers_with(std::uint64_t number, const std::string& where, int& found) {
  std::vector<unique_fd> servers;
  for (int i = 0; i < 8; ++i) {
    servers.push_back(foreign_server(where));
    if (status_of(where).st_ino == number) {
      ++found;
      return servers;
    }
    if (i < 7) std::filesystem::rename(where, where + std::to_string(i));
  }
  return servers;
}

TEST(cleanup, leaves_another_server_whose_file_has_the_same_inode_number) {
  int same = 0;
  for (const auto& parent : file_systems()) {
    for (int i = 0; i < 100; ++i) {
      const scratch directory(parent);
      const auto where = directory / "s";
      auto first = bind_one(where);
      const auto number = status_of(where).st_ino;
      std::filesystem::remove(where);
      first.fd.reset();  // which is what held the number
      std::this_thread::sleep_for(std::chrono::microseconds(i * 100));
      const auto others = servers_with(number, where, same);
      first = {};
      ASSERT_TRUE(exists(where)) << "in " << parent << ", " << i << " tenths of a millisecond later";
      EXPECT_FALSE(refuses(where));
    }
  }
  RecordProperty("same_inode_numbers", same);
}

TEST(cleanup, of_one_path_by_move_assignment_of_another) {
  const scratch directory;
  auto server = bind_one(directory / "first");
  server = bind_one(directory / "second");
  EXPECT_EQ(directory.entries(), words{"second"});
  EXPECT_EQ(server.path.get(), directory / "second");

  auto path = std::move(server.path);
  EXPECT_EQ(server.path.get(), "");
  server = {};
  EXPECT_EQ(directory.entries(), words{"second"});
  auto& same = path;
  path = std::move(same);
  EXPECT_EQ(directory.entries(), words{"second"});
  path = {};
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, survives_that_the_directory_has_gone) {
  const scratch directory;
  auto server = bind_one(directory / "d/s");
  std::filesystem::remove_all(directory / "d");
  server = {};
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, of_the_longest_path) {
  const scratch directory;
  const auto where = directory / std::string(107 - directory.path().size() - 1, 'x');
  program server(where);
  auto said = server.says();
  ASSERT_EQ(said.count("serving"), 1U) << said["what"];
  EXPECT_EQ(ask(where, "words"), "words");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(cleanup, leaves_no_descriptor) {
  const scratch directory;
  const auto next_free = [] { return unique_fd(check(::dup(STDIN_FILENO), "dup")).get(); };
  const int before = next_free();
  leave_dead_socket(directory / "s");
  for (int i = 0; i < 3; ++i) bind_one(directory / "s");
  std::ofstream(directory / "file").close();
  EXPECT_NE(failure_of(directory / "file"), "");
  EXPECT_EQ(next_free(), before);
}

// --- modes and owners ------------------------------------------------------------------------------------------------

TEST(permissions, of_directories_that_are_made) {
  struct made {
    words options;
    unsigned mode;
  };
  for (const auto& [options, mode] : {made{{"umask=0"}, 0755}, made{{"umask=022", "directory-mode=0777"}, 0755},
                                      made{{"umask=0", "directory-mode=0711"}, 0711}, made{{"umask=077"}, 0700}}) {
    const scratch directory;
    check(::chmod(directory.path().c_str(), 0751), "chmod");
    program server(directory / "a/b/s", options);
    EXPECT_EQ(server.says().count("serving"), 1U);
    EXPECT_EQ(mode_of(directory.path()), 0751U) << "this one was there";
    EXPECT_EQ(mode_of(directory / "a"), mode);
    EXPECT_EQ(mode_of(directory / "a/b"), mode);
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(directory.entries(), words{"a"}) << "directories stay";
  }
}

TEST(permissions, of_the_path_are_what_the_umask_leaves) {
  for (const auto& [umask, mode] :
       {std::pair{"umask=0", 0777U}, std::pair{"umask=022", 0755U}, std::pair{"umask=077", 0700U}}) {
    const scratch directory;
    program server(directory / "s", {umask});
    EXPECT_EQ(server.says().count("serving"), 1U);
    EXPECT_EQ(mode_of(directory / "s"), mode);
  }
}

TEST(permissions, of_the_path_are_exactly_what_was_asked_for) {
  for (const char* const umask : {"umask=0", "umask=077"}) {
    for (const char* const option : {"kind=listener", "kind=seqpacket", "kind=datagram"}) {
      for (const unsigned mode : {0600U, 0666U, 0777U, 0000U}) {
        const scratch directory;
        std::ostringstream text;
        text << "mode=" << std::oct << mode;
        program server(directory / "s", {umask, option, text.str()});
        EXPECT_EQ(server.says().count("serving"), 1U);
        EXPECT_EQ(mode_of(directory / "s"), mode) << umask << ' ' << option;
      }
    }
  }
}

/// Whether this process may give files to others.
bool may_change_owners() {
  const scratch directory;
  std::ofstream(directory / "file").close();
  return ::lchown((directory / "file").c_str(), 1234, 4321) == 0;
}

TEST(permissions, owner_and_group_are_what_was_asked_for) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: this takes root";
  struct owned {
    words options;
    unsigned user;
    unsigned group;
  };
  for (const auto& [options, user, group] : {owned{{"umask=022", "user=1234", "group=4321"}, 1234, 4321},
                                             owned{{"umask=022", "user=1234"}, 1234, ::getegid()},
                                             owned{{"umask=022", "group=4321", "mode=0660"}, ::geteuid(), 4321},
                                             owned{{"umask=022"}, ::geteuid(), ::getegid()}}) {
    const scratch directory;
    program server(directory / "s", options);
    EXPECT_EQ(server.says().count("serving"), 1U);
    EXPECT_EQ(status_of(directory / "s").st_uid, user);
    EXPECT_EQ(status_of(directory / "s").st_gid, group);
    EXPECT_EQ(mode_of(directory / "s"), group == 4321 && user != 1234 ? 0660U : 0755U);
  }
}

// --- what errors say -------------------------------------------------------------------------------------------------

TEST(error, of_directories_names_the_one) {
  const scratch directory;
  std::ofstream(directory / "file").close();
  EXPECT_EQ(failure_of(directory / "file/s"), "make directory " + directory / "file" + ": File exists");
  EXPECT_EQ(failure_of(directory / "file/a/s"), "make directory " + directory / "file/a" + ": Not a directory");
  std::filesystem::create_symlink(directory / "nowhere", directory / "link");
  EXPECT_EQ(failure_of(directory / "link/s"), "make directory " + directory / "link" + ": File exists");
  EXPECT_EQ(failure_of("/proc/sd-bind/s"), "make directory /proc/sd-bind: No such file or directory");
  EXPECT_EQ(directory.entries(), (words{"file", "link"}));
}

TEST(error, of_the_lock_names_its_file) {
  const scratch directory;
  const auto lock = directory / "s.sd-lock";
  std::filesystem::create_directory(lock);
  EXPECT_EQ(failure_of(directory / "s"), "lock " + lock + ": Is a directory");
  std::filesystem::remove(lock);
  std::filesystem::create_symlink(directory / "elsewhere", lock);
  EXPECT_EQ(failure_of(directory / "s"), "lock " + lock + ": Too many levels of symbolic links");
  EXPECT_EQ(directory.entries(), words{"s.sd-lock"});
}

TEST(error, of_an_address_that_is_not_ours) {
  EXPECT_EQ(failure_of("192.0.2.1:1"), "bind to 192.0.2.1:1: Cannot assign requested address");
}

TEST(error, of_a_port_names_it_in_full) {
  const auto server = bind_one("[::]:0");
  const auto port = std::to_string(sd::describe(server.fd.get()).local.port());
  EXPECT_EQ(failure_of(port), "bind to [::]:" + port + ": Address already in use");
}

TEST(error, of_a_family_without_such_sockets) {
  if (unique_fd(::socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))) GTEST_SKIP() << "SKIPPED: this system has SCTP";
  EXPECT_EQ(failure_of("127.0.0.1:1", of_kind(kind::seqpacket)),
            "open a socket for 127.0.0.1:1: Socket type not supported");
}

TEST(error, is_one_line_whatever_the_path) {
  const scratch directory;
  std::filesystem::create_directory(directory / "a\nb");
  EXPECT_EQ(failure_of(directory / "a\nb"), "bind to " + directory / "a\\x0ab: Address already in use");
}

TEST(error, of_what_was_passed_says_what_and_what_to_write) {
  const scratch directory;
  auto fds = list_of(sd::testing::open(kind::datagram, directory / "s", "log"));
  EXPECT_EQ(failure_of(fds, directory / "s"), "listener at " + directory / "s" + ", passed: " + sd::to_string(fds) +
                                                  "; the socket unit needs ListenStream=" + directory / "s" +
                                                  ": the descriptor is of another kind");
}

/// What a program says that runs as nobody.
report unprivileged(const std::string& where, words options = {}) {
  options.emplace_back("become=65534");
  program server(where, options);
  auto said = server.says();
  EXPECT_EQ(server.stop(), said.count("serving") != 0 ? 0 : 1);
  return said;
}

TEST(error, of_who_may_not) {
  if (::geteuid() != 0 || !may_change_owners()) GTEST_SKIP() << "SKIPPED: this takes root";
  const scratch directory;
  EXPECT_EQ(unprivileged(directory / "s").count("serving"), 1U);
  EXPECT_EQ(unprivileged(directory / "s", {"user=0"})["what"],
            "change the owner of " + directory / "s" + ": Operation not permitted");
  EXPECT_THAT(directory.entries(), IsEmpty());

  check(::chmod(directory.path().c_str(), 0755), "chmod");
  EXPECT_EQ(unprivileged(directory / "s")["what"], "lock " + directory / "s.sd-lock: Permission denied");
  EXPECT_EQ(unprivileged(directory / "d/s")["what"], "make directory " + directory / "d: Permission denied");
  EXPECT_THAT(directory.entries(), IsEmpty());
}

TEST(recovery, spares_a_server_that_may_not_be_asked) {
  if (::geteuid() != 0 || !may_change_owners()) GTEST_SKIP() << "SKIPPED: this takes root";
  const scratch directory;
  const auto server = foreign_server(directory / "s");
  check(::chmod((directory / "s").c_str(), 0600), "chmod");
  EXPECT_EQ(unprivileged(directory / "s")["what"], "bind to " + directory / "s: Address already in use");
  EXPECT_FALSE(refuses(directory / "s"));
}

// --- system calls ----------------------------------------------------------------------------------------------------

class traced : public testing::Test {
 protected:
  void SetUp() override {
    if (sd::test::sanitized) GTEST_SKIP() << "SKIPPED: the sanitizer makes system calls of its own";
    if (std::string(STRACE).empty()) GTEST_SKIP() << "SKIPPED: strace is not installed";
    if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: strace would trace the emulator";
    if (sd::testing::process({STRACE, "-qq", "-o", "/dev/null", "true"}, {}).wait() != 0) {
      GTEST_SKIP() << "SKIPPED: strace may not trace here";
    }
  }

  /// A program's system calls, and what it said.
  struct outcome {
    words calls;
    std::size_t begin = 0;  ///< of those that take_or_bind() made, in `calls`
    std::size_t end = 0;
    report said;
  };

  /// Runs the program, until it serves or fails, and ends it. `check` looks at it while it serves.
  outcome run(const std::string& where, const words& options, const std::vector<listen_fd>& passed = {},
              const words& injected = {}, const std::function<void()>& look = {}) const {
    const auto trace = traces_ / "trace";
    // -D: the tracer is a grandchild, so that the program keeps the pid that LISTEN_PID names.
    words tracer = {STRACE, "-D", "-o", trace};
    tracer.insert(tracer.end(), injected.begin(), injected.end());
    outcome result;
    {
      program running(where, options, passed, tracer);
      result.said = running.says();
      if (look) look();
      EXPECT_EQ(running.stop(), result.said.count("serving") != 0 ? 0 : 1) << result.said["what"];
    }
    const auto& calls = result.calls = lines_of(trace);
    for (int wait = 0; wait < 1000 && (calls.empty() || calls.back().compare(0, 3, "+++") != 0); ++wait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      result.calls = lines_of(trace);
    }
    const auto marked = [&](const char* mark) {
      const auto found = std::find_if(calls.begin(), calls.end(), [&](const auto& call) {
        return call.find("write(-1, \"" + std::string(mark)) == 0;
      });
      return static_cast<std::size_t>(std::distance(calls.begin(), found));
    };
    result.begin = marked("begin") + 1;
    result.end = marked("end");
    std::filesystem::remove(trace);
    return result;
  }

  static words lines_of(const std::string& path) {
    words lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  static std::string name_of(const std::string& call) { return call.substr(0, call.find('(')); }

  /// For strace: that this call of that trace fails.
  static words failing(const outcome& sound, std::size_t call, const std::string& error) {
    const auto name = name_of(sound.calls[call]);
    const auto nth = std::count_if(sound.calls.begin(), sound.calls.begin() + static_cast<std::ptrdiff_t>(call) + 1,
                                   [&](const auto& line) { return name_of(line) == name; });
    return {"-e", "inject=" + name + ":error=" + error + ":when=" + std::to_string(nth)};
  }

  /// Where in take_or_bind()'s part of the trace the call is that matches, of those that do the n-th.
  static std::size_t find(const outcome& sound, const std::string& pattern, int nth = 1) {
    const std::regex wanted(pattern);
    for (auto call = sound.begin; call < sound.end; ++call) {
      if (std::regex_search(sound.calls[call], wanted, std::regex_constants::match_continuous) && --nth == 0)
        return call;
    }
    throw std::runtime_error("no call is like " + pattern);
  }

  /// Whether the failure hit the call that it was meant for.
  static bool was_injected(const outcome& failed, const outcome& sound, std::size_t call) {
    const auto injected = std::find_if(failed.calls.begin(), failed.calls.end(),
                                       [](const auto& line) { return line.find("(INJECTED)") != std::string::npos; });
    return injected - failed.calls.begin() == static_cast<std::ptrdiff_t>(call) &&
           name_of(*injected) == name_of(sound.calls[call]);
  }

 private:
  scratch traces_;
};

TEST_F(traced, order_lets_nobody_in_before_mode_and_owner_are_right) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: this takes root";
  for (const char* const kind : {"kind=listener", "kind=seqpacket", "kind=datagram"}) {
    const scratch directory;
    const auto result = run(directory / "s", {kind, "mode=0600", "user=1234", "group=4321", "umask=0"});
    ASSERT_EQ(result.said.count("serving"), 1U);
    words order;
    const std::regex relevant("(fchmod|bind|l?chown|fchownat|f?chmod(at)?|listen)(32)?\\(.*");
    for (auto call = result.begin; call < result.end; ++call) {
      if (std::regex_match(result.calls[call], relevant)) order.push_back(result.calls[call]);
    }
    const auto path = HasSubstr('"' + directory / "s" + '"');
    const bool listens = kind != std::string("kind=datagram");
    ASSERT_EQ(order.size(), listens ? 5U : 4U) << testing::PrintToString(order);
    EXPECT_THAT(order[0], testing::AllOf(testing::StartsWith("fchmod("), HasSubstr(", 000)")));
    EXPECT_THAT(order[1], testing::AllOf(testing::StartsWith("bind("), path));
    EXPECT_THAT(order[2], testing::AllOf(HasSubstr("chown"), path, HasSubstr("1234, 4321")));
    EXPECT_THAT(order[3], testing::AllOf(HasSubstr("chmod"), path, HasSubstr("0600")));
    EXPECT_THAT(order.back(), testing::StartsWith(listens ? "listen(" : "chmod("));
  }
}

TEST_F(traced, path_goes_before_the_socket_so_that_nobody_finds_it_dead) {
  const scratch directory;
  const auto result = run(directory / "s", {});
  ASSERT_EQ(result.said.count("serving"), 1U);
  const auto bound = result.calls[find(result, "bind\\(")];
  const auto close = "close(" + bound.substr(5, bound.find(',') - 5) + ')';
  words order;
  for (auto call = result.end; call < result.calls.size(); ++call) {
    const auto& line = result.calls[call];
    if (line.find("unlink") == 0 && line.find('"' + directory / "s" + '"') != std::string::npos)
      order.emplace_back("path");
    if (line.find(close) == 0) order.emplace_back("socket");
  }
  EXPECT_EQ(order, (words{"path", "socket"}));
}

TEST_F(traced, of_a_passed_socket_nothing_is_changed) {
  const scratch directory;
  const auto passed = list_of(sd::testing::open(kind::listener, directory / "s"));
  const auto result = run(directory / "s", {"mode=0600", "ipv6=both"}, passed);
  EXPECT_EQ(result.said.at("origin"), "passed");
  const std::regex changes(
      "(setsockopt|f?chmod|bind|listen|l?chown|unlink|mkdir|connect|openat|flock|shutdown)\\(.*|.*SETFL.*");
  for (auto call = result.begin; call < result.end; ++call) {
    EXPECT_FALSE(std::regex_match(result.calls[call], changes)) << result.calls[call];
  }
}

TEST_F(traced, wildcard_is_left_to_the_system_by_default) {
  const auto result = run("[::]:0", {});
  if (result.said.count("serving") == 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  for (auto call = result.begin; call < result.end; ++call) {
    EXPECT_THAT(result.calls[call], testing::Not(HasSubstr("IPV6_V6ONLY")));
  }
}

struct step {
  const char* name;
  const char* call;
  int nth;
  const char* error;
  const char* what;   // before DIR
  bool left = false;  // whether the lock file stays
};

std::ostream& operator<<(std::ostream& out, const step& what) { return out << what.name; }

class failing_step : public traced, public testing::WithParamInterface<step> {};

TEST_P(failing_step, is_reported_and_leaves_nothing) {
  if (!may_change_owners()) GTEST_SKIP() << "SKIPPED: this takes root";
  const words options = {"mode=0600", "user=1234", "group=4321", "nonblocking=on", "umask=0"};
  const auto passed = list_of(sd::testing::open(kind::listener, loopback() + ":0", "other"));
  const scratch directory;
  std::filesystem::create_directory(directory / "d");
  const bool makes_directory = GetParam().name == std::string("mkdir");
  const auto where = directory / (makes_directory ? "new/s" : "d/s");
  const auto prepare = [&] {
    std::filesystem::remove(directory / "new");
    if (GetParam().name == std::string("remove")) leave_dead_socket(directory / "d/s");
  };

  prepare();
  const auto sound = run(where, options, passed);
  ASSERT_EQ(sound.said.count("serving"), 1U);
  const auto call = find(sound, GetParam().call, GetParam().nth);
  prepare();
  auto failed = run(where, options, passed, failing(sound, call, GetParam().error));
  ASSERT_TRUE(was_injected(failed, sound, call)) << testing::PrintToString(failed.calls);

  auto what = std::string(GetParam().what);
  if (const auto at = what.find("DIR"); at != std::string::npos) what.replace(at, 3, directory.path());
  EXPECT_EQ(failed.said["what"], what);
  EXPECT_EQ(failed.said["open"], "as before");
  EXPECT_EQ(failed.said["list"], "as before");
  EXPECT_EQ(directory.entries(), words{"d"});
  std::filesystem::remove(GetParam().name == std::string("remove") ? where : "");
  // A lock file that could not be locked may be another's.
  std::filesystem::remove(GetParam().left ? where + ".sd-lock" : "");
  EXPECT_TRUE(std::filesystem::is_empty(directory / "d")) << "a path or a lock file was left";
}

constexpr step steps[] = {
    {"mkdir", "mkdir(at)?\\(", 1, "EROFS", "make directory DIR/new: Read-only file system"},
    {"open_lock", "open(at)?\\(.*lock", 1, "EROFS", "lock DIR/d/s.sd-lock: Read-only file system"},
    {"lock", "flock\\(", 1, "ENOLCK", "lock DIR/d/s.sd-lock: No locks available", true},
    {"status_of_lock", "(newfstatat|fstat|fstat64|statx)\\([0-9]", 2, "EIO", "lock DIR/d/s.sd-lock: Input/output error",
     true},
    {"socket", "socket\\(", 1, "EMFILE", "open a socket for DIR/d/s: Too many open files"},
    {"get_flags", "fcntl(64)?\\([0-9]+, F_GETFL", 2, "EIO", "make nonblocking DIR/d/s: Input/output error"},
    {"set_flags", "fcntl(64)?\\([0-9]+, F_SETFL", 1, "EIO", "make nonblocking DIR/d/s: Input/output error"},
    {"bind", "bind\\(", 1, "ENOSPC", "bind to DIR/d/s: No space left on device"},
    {"remove", "unlink(at)?\\(.*/s\"", 1, "EPERM", "remove the dead socket DIR/d/s: Operation not permitted"},
    {"status_of_path", "(newfstatat|l?stat|lstat64|statx)\\(.*/s\"", 1, "EIO", "look at DIR/d/s: Input/output error"},
    {"chown", "(l?chown(32)?|fchownat)\\(", 1, "EPERM", "change the owner of DIR/d/s: Operation not permitted"},
    {"chmod", "(chmod|fchmodat2?)\\(", 1, "EPERM", "change the mode of DIR/d/s: Operation not permitted"},
    {"listen", "listen\\(", 1, "EADDRINUSE", "listen at DIR/d/s: Address already in use"},
};

INSTANTIATE_TEST_SUITE_P(traced, failing_step, testing::ValuesIn(steps),
                         [](const auto& tested) { return tested.param.name; });

class failing_internet_step : public traced, public testing::WithParamInterface<step> {};

TEST_P(failing_internet_step, is_reported_and_leaves_nothing) {
  const words options = {"nonblocking=on", "ipv6=both"};
  const auto passed = list_of(sd::testing::open(kind::listener, loopback() + ":0", "other"));
  const auto sound = run("[::1]:0", options, passed);
  if (sound.said.count("serving") == 0) GTEST_SKIP() << "SKIPPED: this system has no IPv6";
  const auto call = find(sound, GetParam().call, GetParam().nth);
  auto failed = run("[::1]:0", options, passed, failing(sound, call, GetParam().error));
  ASSERT_TRUE(was_injected(failed, sound, call)) << testing::PrintToString(failed.calls);
  EXPECT_EQ(failed.said["what"], GetParam().what);
  EXPECT_EQ(failed.said["open"], "as before");
  EXPECT_EQ(failed.said["list"], "as before");
}

constexpr step internet_steps[] = {
    {"socket", "socket\\(", 1, "EAFNOSUPPORT", "open a socket for [::1]:0: Address family not supported by protocol"},
    {"get_flags", "fcntl(64)?\\([0-9]+, F_GETFL", 2, "EIO", "make nonblocking [::1]:0: Input/output error"},
    {"set_flags", "fcntl(64)?\\([0-9]+, F_SETFL", 1, "EIO", "make nonblocking [::1]:0: Input/output error"},
    {"reuse", "setsockopt\\(.*SO_REUSEADDR", 1, "EPERM", "set SO_REUSEADDR for [::1]:0: Operation not permitted"},
    {"v6only", "setsockopt\\(.*IPV6_V6ONLY", 1, "EPERM", "set IPV6_V6ONLY for [::1]:0: Operation not permitted"},
    {"bind", "bind\\(", 1, "EACCES", "bind to [::1]:0: Permission denied"},
    {"listen", "listen\\(", 1, "EADDRINUSE", "listen at [::1]:0: Address already in use"},
};

INSTANTIATE_TEST_SUITE_P(traced, failing_internet_step, testing::ValuesIn(internet_steps),
                         [](const auto& tested) { return tested.param.name; });

TEST_F(traced, failure_to_make_a_passed_socket_nonblocking_leaves_it_in_the_list) {
  const auto passed = list_of(sd::testing::open(kind::listener, loopback() + ":0"));
  const auto at = sd::to_string(sd::describe(passed.front().fd.get()).local);
  const auto sound = run(at, {"nonblocking=on"}, passed);
  ASSERT_EQ(sound.said.at("origin"), "passed");
  const int flags = check(::fcntl(passed.front().fd.get(), F_GETFL), "F_GETFL");
  check(::fcntl(passed.front().fd.get(), F_SETFL, flags & ~O_NONBLOCK), "F_SETFL");
  const auto call = find(sound, "fcntl(64)?\\(3, F_SETFL");
  auto failed = run(at, {"nonblocking=on"}, passed, failing(sound, call, "EIO"));
  ASSERT_TRUE(was_injected(failed, sound, call));
  EXPECT_EQ(failed.said["what"], "make nonblocking " + at + ": Input/output error");
  EXPECT_EQ(failed.said["list"], "as before");
  EXPECT_EQ(failed.said["open"], "as before");
}

/// Whatever call fails of those that bind a dead path: either the error is reported and nothing is left, or the server
/// is as it should be.
TEST_F(traced, every_call_that_fails_is_reported_or_does_no_harm) {
  const scratch directory;
  const auto where = directory / "s";
  const words options = {"mode=0600", "nonblocking=on", "umask=0"};
  leave_dead_socket(where);
  const auto sound = run(where, options);
  ASSERT_EQ(sound.said.count("serving"), 1U);
  const std::regex harmless("(brk|mmap|munmap|futex|getpid|close|getrandom)\\(.*");
  for (auto call = sound.begin; call < sound.end; ++call) {
    SCOPED_TRACE(sound.calls[call]);
    if (std::regex_match(sound.calls[call], harmless)) continue;
    const bool leaves_lock =
        std::regex_search(sound.calls[call], std::regex("^unlink.*sd-lock|^flock|^n?e?w?f?stat.*"));
    leave_dead_socket(where);
    const auto dead = status_of(where).st_ino;
    bool right = false;
    auto failed = run(where, options, {}, failing(sound, call, "EIO"),
                      [&] { right = exists(where) && mode_of(where) == 0600 && !refuses(where); });
    EXPECT_TRUE(was_injected(failed, sound, call));
    if (failed.said.count("serving") != 0) {
      EXPECT_TRUE(right);
      EXPECT_FALSE(exists(where));
    } else {
      EXPECT_EQ(failed.said["open"], "as before");
      EXPECT_THAT(failed.said["what"], HasSubstr(directory.path()));
      EXPECT_TRUE(!exists(where) || status_of(where).st_ino == dead) << "it left a path of its own";
    }
    EXPECT_TRUE(leaves_lock || !exists(where + ".sd-lock"));
    std::filesystem::remove(where);
    std::filesystem::remove(where + ".sd-lock");
  }
}

TEST_F(traced, interrupted_lock_is_tried_again) {
  const scratch directory;
  const auto sound = run(directory / "s", {});
  const auto call = find(sound, "flock\\(");
  const auto interrupted = run(directory / "s", {}, {}, failing(sound, call, "EINTR"));
  ASSERT_TRUE(was_injected(interrupted, sound, call));
  EXPECT_EQ(interrupted.said.count("serving"), 1U);
  EXPECT_THAT(directory.entries(), IsEmpty());
}

}  // namespace
