// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests the sd_is_ functions, sd_booted() and sd_pidfd_get_inode_id(): calls both libraries with every combination of
// descriptors and arguments.

#include "comparison.hpp"
#include "detail/os/vsock.hpp"
#include "directory.hpp"
#include "libraries.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using sd::test::comparison;
using sd::test::documented;
using sd::test::library;

/// An address, followed by zeros.
struct place {
  std::string name;
  sockaddr_storage storage[2] = {};
  unsigned size = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(storage); }
};

template <class Address>
place place_of(const std::string& name, const Address& address, std::size_t size = sizeof(Address)) {
  place result;
  result.name = name;
  result.size = static_cast<unsigned>(size);
  std::memcpy(result.storage, &address, sizeof address);
  return result;
}

place ipv4(in_addr_t host, in_port_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return place_of("IPv4 " + std::to_string(host) + " port " + std::to_string(port), address);
}

place ipv6(const in6_addr& host, in_port_t port, std::uint32_t flow_label = 0, std::uint32_t scope = 0) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = host;
  address.sin6_flowinfo = flow_label;
  address.sin6_scope_id = scope;
  return place_of("IPv6 ..." + std::to_string(host.s6_addr[15]) + " port " + std::to_string(port) + " flow label " +
                      std::to_string(flow_label) + " scope " + std::to_string(scope),
                  address);
}

place local(const std::string& path, std::size_t after = 1) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return place_of("unix " + path, address, offsetof(sockaddr_un, sun_path) + path.size() + after);
}

place vsock() {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = 1234;
  return place_of("vsock", address);
}

/// A descriptor to examine.
struct thing {
  std::string name;
  int fd;
};

/// Returns a socket that is bound to the address. A port of 0 is replaced by the one that the kernel chose.
thing bound(const char* name, int type, place& where, bool listening = false) {
  const int fd = ::socket(where.get()->sa_family, type | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, where.get(), where.size), 0) << name << ": " << std::strerror(errno);
  EXPECT_EQ(listening ? ::listen(fd, 1) : 0, 0) << name;
  if (where.get()->sa_family != AF_UNIX) {
    socklen_t size = where.size;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(where.storage), &size);
  }
  return {name, fd};
}
thing bound(const char* name, int type, place&& where, bool listening = false) {
  return bound(name, type, where, listening);
}

in_port_t port_of(const place& where) { return ntohs(reinterpret_cast<const sockaddr_in*>(where.storage)->sin_port); }

std::string named(const char* function, const thing& thing,
                  std::initializer_list<std::pair<const char*, std::string>> arguments) {
  std::string text = std::string(function) + "() of " + thing.name;
  for (const auto& [name, value] : arguments) text += std::string(", ") + name + ' ' + value;
  return text;
}

/// Moves this process to a mount namespace of its own until the object is destroyed.
class own_mounts {
 public:
  own_mounts() : outside_(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0) {
      error_ = std::strerror(errno);
    }
  }
  own_mounts(const own_mounts&) = delete;
  own_mounts& operator=(const own_mounts&) = delete;
  ~own_mounts() {
    if (error_.empty()) {
      EXPECT_EQ(::setns(outside_, CLONE_NEWNS), 0) << std::strerror(errno);
    }
    ::close(outside_);
  }

  [[nodiscard]] const std::string& error() const { return error_; }
  static void mount(const char* type, const char* where) {
    EXPECT_EQ(::mount(type, where, type, 0, nullptr), 0) << where << ": " << std::strerror(errno);
  }

 private:
  int outside_;
  std::string error_;
};

class inspect : public sd::test::both_libraries {
 protected:
  void SetUp() override {
    both_libraries::SetUp();
    if (IsSkipped()) return;
    const std::string at = directory_.path();
    ASSERT_EQ(::mkfifo((at + "/fifo").c_str(), S_IRWXU), 0);
    ASSERT_EQ(::mkfifo((at + "/other-fifo").c_str(), S_IRWXU), 0);
    ASSERT_EQ(::symlink("fifo", (at + "/link").c_str()), 0);
    ASSERT_EQ(::pipe2(pipe_, O_CLOEXEC), 0);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_), 0);
    mq_attr small{};
    small.mq_maxmsg = 1;
    small.mq_msgsize = 1;

    things_ = {
        {"-1", -1},
        {"INT_MIN", INT_MIN},
        {"INT_MAX", INT_MAX},
        {"a closed number", 900},
        {"a file", ::open((at + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRWXU)},
        {"a directory", ::open(at.c_str(), O_RDONLY | O_CLOEXEC)},
        {"a fifo", ::open((at + "/fifo").c_str(), O_RDWR | O_CLOEXEC)},
        {"a fifo by O_PATH", ::open((at + "/fifo").c_str(), O_PATH | O_CLOEXEC)},
        {"a pipe", pipe_[0]},
        {"/dev/null", ::open("/dev/null", O_RDWR | O_CLOEXEC)},
        {"/dev/zero", ::open("/dev/zero", O_RDWR | O_CLOEXEC)},
        {"/proc/version", ::open("/proc/version", O_RDONLY | O_CLOEXEC)},
        {"an eventfd", ::eventfd(0, EFD_CLOEXEC)},
        {"an epoll", ::epoll_create1(EPOLL_CLOEXEC)},
        {"a memfd", ::memfd_create("memfd", MFD_CLOEXEC)},
        {"a message queue", ::mq_open(queue_.c_str(), O_CREAT | O_RDWR, S_IRWXU, &small)},
        bound("TCP on any", SOCK_STREAM, ipv4(INADDR_ANY, 0), true),
        bound("TCP", SOCK_STREAM, tcp_, true),
        bound("TCP that does not listen", SOCK_STREAM, ipv4(INADDR_LOOPBACK, 0)),
        {"TCP without an address", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)},
        bound("UDP", SOCK_DGRAM, udp_),
        bound("TCP on any IPv6", SOCK_STREAM, any_tcp6_, true),
        bound("TCP on IPv6", SOCK_STREAM, tcp6_, true),
        bound("UDP on IPv6", SOCK_DGRAM, ipv6(in6addr_loopback, 0)),
        {"UDP on IPv6 without an address", ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)},
        bound("a unix stream", SOCK_STREAM, local(at + "/stream"), true),
        bound("a unix datagram, its path without a NUL", SOCK_DGRAM, local(at + "/datagram", 0)),
        bound("a unix seqpacket", SOCK_SEQPACKET, local(at + "/seqpacket"), true),
        bound("an abstract stream", SOCK_STREAM, local(abstract_, 0), true),
        bound("an abstract datagram with a NUL in its name", SOCK_DGRAM, local(with_nul_, 0)),
        {"a unix socket without an address", ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)},
        {"a socket pair", pair_[0]},
        {"a netlink socket", ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)},
    };
    // Not every kernel has these.
    if (const int fd = ::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0); fd >= 0) things_.push_back({"vsock", fd});
    if (const int fd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)); fd >= 0) {
      things_.push_back({"a pidfd", fd});
    }
    for (std::size_t i = 4; i < things_.size(); ++i)
      ASSERT_GE(things_[i].fd, 0) << things_[i].name << std::strerror(errno);
    ASSERT_LT(::fcntl(things_[3].fd, F_GETFD), 0);
  }

  void TearDown() override {
    ::mq_unlink(queue_.c_str());
    for (const auto& thing : things_) ::close(thing.fd);
    ::close(pipe_[1]);
    ::close(pair_[1]);
  }

  /// Compares the results of a function that has no side effects.
  template <class Question>
  void ask(const std::function<std::string()>& text, const Question& question,
           const std::optional<documented>& allowed = std::nullopt) {
    both_.compare(text, {{"result", std::to_string(question(theirs))}}, {{"result", std::to_string(question(ours))}},
                  allowed);
  }

  void ask_about_queues() {
    const std::vector<std::optional<std::string>> names{std::nullopt,
                                                        "",
                                                        queue_,
                                                        queue_.substr(1),
                                                        queue_ + 'x',
                                                        "/sd-other",
                                                        "/",
                                                        "relative",
                                                        "/dev/null",
                                                        directory_.path() + "/fifo",
                                                        '/' + std::string(300, 'n'),
                                                        std::string(5000, '/')};
    for (const auto& name : names) {
      std::optional<documented> allowed;
      if (name && ::access(("/dev/mqueue" + *name).c_str(), F_OK) != 0) {
        allowed = documented{"`sd_is_mq()` with a name that is not in `/dev/mqueue`", name == queue_ ? 1 : 0};
      }
      for (const auto& thing : things_) {
        ask(
            [&] {
              return named("sd_is_mq", thing, {{"name", name.value_or("NULL")}});
            },
            [&](const library& library) { return library.is_mq(thing.fd, name ? name->c_str() : nullptr); }, allowed);
      }
    }
    both_.expect(400, {"`sd_is_mq()` with a name that is not in `/dev/mqueue`"});
  }

  comparison both_;
  sd::test::directory directory_;
  std::vector<thing> things_;
  place tcp_ = ipv4(INADDR_LOOPBACK, 0);
  place udp_ = ipv4(INADDR_LOOPBACK, 0);
  place tcp6_ = ipv6(in6addr_loopback, 0);
  place any_tcp6_ = ipv6(in6addr_any, 0);
  // Other processes may run these tests at the same time.
  const std::string queue_ = "/sd-daemon-inspected-" + std::to_string(::getpid());
  const std::string abstract_ = '\0' + queue_;
  const std::string with_nul_ = abstract_ + '\0' + "more";

 private:
  int pipe_[2] = {-1, -1};
  int pair_[2] = {-1, -1};
};

const std::vector<int> families{AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_VSOCK, -1, INT_MIN, 999, INT_MAX};
const std::vector<int> types{0, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW, -1, 999};
const std::vector<int> listenings{-1, 0, 1, 2, INT_MIN};

TEST_F(inspect, same_results_for_files) {
  std::vector<std::optional<std::string>> paths{std::nullopt,          "",      "/dev/null", "/dev/zero",
                                                "/proc/version",       "/none", "relative",  "/dev/null/x",
                                                std::string(5000, '/')};
  for (const char* name : {"/fifo", "/link", "/other-fifo", "/file", "", "/none", "/stream", "/file/x"})
    paths.emplace_back(directory_.path() + name);
  for (const auto& thing : things_) {
    for (const auto& path : paths) {
      const char* const text = path ? path->c_str() : nullptr;
      const auto in_words = [&](const char* function) {
        return [&, function] { return named(function, thing, {{"path", path.value_or("NULL")}}); };
      };
      ask(in_words("sd_is_fifo"), [&](const library& library) { return library.is_fifo(thing.fd, text); });
      ask(in_words("sd_is_special"), [&](const library& library) { return library.is_special(thing.fd, text); });
    }
  }
  both_.expect(1'000);
}

TEST_F(inspect, same_results_for_message_queues) { ask_about_queues(); }

TEST_F(inspect, same_results_for_mounted_message_queues) {
  const own_mounts mounts;
  if (!mounts.error().empty()) GTEST_SKIP() << "SKIPPED: no mount namespace: " << mounts.error();
  own_mounts::mount("tmpfs", "/dev");
  ASSERT_EQ(::mkdir("/dev/mqueue", S_IRWXU), 0);
  own_mounts::mount("mqueue", "/dev/mqueue");
  // The name that this one was opened by is another one.
  things_.push_back({"a message queue by its path", ::open(("/dev/mqueue" + queue_).c_str(), O_RDONLY | O_CLOEXEC)});
  ASSERT_GE(things_.back().fd, 0) << std::strerror(errno);
  things_.push_back({"the directory of the queues", ::open("/dev/mqueue", O_RDONLY | O_DIRECTORY | O_CLOEXEC)});
  ask_about_queues();
}

TEST_F(inspect, same_results_for_the_same_inode_on_another_device) {
  const own_mounts mounts;
  if (!mounts.error().empty()) GTEST_SKIP() << "SKIPPED: no mount namespace: " << mounts.error();
  struct stat files[2];
  for (int i = 0; i < 2; ++i) {
    const std::string at = directory_.path() + '/' + std::to_string(i);
    ASSERT_EQ(::mkdir(at.c_str(), S_IRWXU), 0);
    own_mounts::mount("tmpfs", at.c_str());
    ASSERT_EQ(::mkfifo((at + "/fifo").c_str(), S_IRWXU), 0);
    ASSERT_EQ(::stat((at + "/fifo").c_str(), &files[i]), 0);
  }
  if (files[0].st_ino != files[1].st_ino) GTEST_SKIP() << "SKIPPED: the inodes differ";
  const thing fifo{"a fifo", ::open((directory_.path() + "/0/fifo").c_str(), O_RDWR | O_CLOEXEC)};
  const auto ask_whether_at = [&](const char* path, int expected) {
    const auto whole = directory_.path() + path;
    ask(
        [&] {
          return named("sd_is_fifo", fifo, {{"path", path}});
        },
        [&](const library& library) { return library.is_fifo(fifo.fd, whole.c_str()); });
    EXPECT_EQ(ours.is_fifo(fifo.fd, whole.c_str()), expected) << path;
  };
  ask_whether_at("/0/fifo", 1);
  ask_whether_at("/1/fifo", 0);
  ::close(fifo.fd);
  both_.expect(2);
}

TEST_F(inspect, same_results_for_sockets) {
  for (const auto& thing : things_) {
    for (const int family : families) {
      for (const int type : types) {
        for (const int listening : listenings) {
          const auto in_words = [&](const char* function, int port) {
            return named(function, thing,
                         {{"family", std::to_string(family)},
                          {"type", std::to_string(type)},
                          {"listening", std::to_string(listening)},
                          {"port", std::to_string(port)}});
          };
          ask([&] { return in_words("sd_is_socket", 0); },
              [&](const library& library) { return library.is_socket(thing.fd, family, type, listening); });
          for (const auto port : std::initializer_list<in_port_t>{0, 1, port_of(tcp_), port_of(udp_),
                                                                  port_of(any_tcp6_), port_of(tcp6_), 65535}) {
            ask([&] { return in_words("sd_is_socket_inet", port); },
                [&](const library& library) {
                  return library.is_socket_inet(thing.fd, family, type, listening, port);
                });
          }
        }
      }
    }
  }
  both_.expect(90'000);
}

TEST_F(inspect, same_results_for_socket_addresses) {
  const auto tcp6 = port_of(tcp6_);
  const std::vector<place> places{ipv4(INADDR_ANY, 0),
                                  ipv4(INADDR_LOOPBACK, 0),
                                  tcp_,
                                  udp_,
                                  ipv4(INADDR_LOOPBACK, 9),
                                  ipv4(INADDR_LOOPBACK + 1, port_of(tcp_)),
                                  ipv6(in6addr_any, 0),
                                  any_tcp6_,
                                  ipv6(in6addr_loopback, 0),
                                  tcp6_,
                                  ipv6(in6addr_loopback, 9),
                                  ipv6(in6addr_loopback, tcp6, 7),
                                  ipv6(in6addr_loopback, tcp6, 0, 1),
                                  local(directory_.path() + "/stream"),
                                  vsock()};
  for (const auto& thing : things_) {
    for (const auto& place : places) {
      for (const unsigned size : {place.size, 0U, 1U, 2U, 8U, 15U, 16U, 24U, 27U, 28U, 110U, 128U, 129U, 200U}) {
        for (const int type : types) {
          for (const int listening : listenings) {
            ask(
                [&] {
                  return named("sd_is_socket_sockaddr", thing,
                               {{"address", place.name},
                                {"size", std::to_string(size)},
                                {"type", std::to_string(type)},
                                {"listening", std::to_string(listening)}});
                },
                [&](const library& library) {
                  return library.is_socket_sockaddr(thing.fd, type, place.get(), size, listening);
                });
          }
        }
      }
    }
    for (const unsigned size : {0U, 1U, 16U, 200U}) {
      ask(
          [&] {
            return named("sd_is_socket_sockaddr", thing, {{"address", "NULL"}, {"size", std::to_string(size)}});
          },
          [&](const library& library) { return library.is_socket_sockaddr(thing.fd, 0, nullptr, size, -1); });
    }
  }
  both_.expect(200'000);
}

TEST_F(inspect, same_results_for_unix_sockets) {
  const std::string at = directory_.path();
  for (const auto& thing : things_) {
    for (const int type : types) {
      for (const int listening : listenings) {
        const auto ask_for = [&](const char* path, std::size_t length, const std::optional<documented>& allowed) {
          ask(
              [&] {
                return named("sd_is_socket_unix", thing,
                             {{"type", std::to_string(type)},
                              {"listening", std::to_string(listening)},
                              {"path", path != nullptr ? path : "NULL"},
                              {"length", std::to_string(length)}});
              },
              [&](const library& library) { return library.is_socket_unix(thing.fd, type, listening, path, length); },
              allowed);
        };
        ask_for(nullptr, 0, std::nullopt);
        ask_for(nullptr, 5, std::nullopt);
        for (auto path : {at + "/stream", at + "/datagram", at + "/seqpacket", at + "/none", abstract_, with_nul_,
                          std::string(), std::string(1, '\0'), abstract_.substr(0, 10)}) {
          const std::size_t whole = path.size();
          path.resize(256);
          for (const std::size_t length :
               {whole, std::size_t{0}, whole + 1, std::size_t{1}, std::size_t{3}, whole / 2, std::size_t{200}}) {
            std::optional<documented> allowed;
            if (path.front() == '/' && length != 0 && length < whole)
              allowed = documented{"`sd_is_socket_unix()` with the beginning of a path", 0};
            ask_for(path.c_str(), length, allowed);
          }
        }
      }
    }
  }
  both_.expect(60'000, {"`sd_is_socket_unix()` with the beginning of a path"});
}

TEST_F(inspect, same_results_of_booted) {
  const auto ask_whether_booted = [this](const char* with, const std::optional<documented>& allowed = std::nullopt) {
    ask([with] { return std::string("sd_booted() ") + with; }, [](const library& library) { return library.booted(); },
        allowed);
    return ours.booted();
  };
  const std::string a_file = "`sd_booted()` if `/run/systemd/system` is a file";
  ask_whether_booted("as it is");
  const own_mounts mounts;
  if (!mounts.error().empty()) GTEST_SKIP() << "SKIPPED: no mount namespace: " << mounts.error();
  own_mounts::mount("tmpfs", "/run");
  EXPECT_EQ(ask_whether_booted("with an empty /run"), 0);
  ASSERT_EQ(::mkdir("/run/systemd", S_IRWXU), 0);
  EXPECT_EQ(ask_whether_booted("without the directory"), 0);
  ASSERT_EQ(::mkdir("/run/other", S_IRWXU), 0);
  ASSERT_EQ(::symlink("/run/other", "/run/systemd/system"), 0);
  EXPECT_EQ(ask_whether_booted("with a link to a directory"), 1);
  ASSERT_EQ(::unlink("/run/systemd/system"), 0);
  ::close(::open("/run/systemd/system", O_CREAT | O_CLOEXEC, S_IRWXU));
  EXPECT_EQ(ask_whether_booted("with a file", documented{a_file, 0}), 0);
  ASSERT_EQ(::unlink("/run/systemd/system"), 0);
  ASSERT_EQ(::mkdir("/run/systemd/system", S_IRWXU), 0);
  EXPECT_EQ(ask_whether_booted("with the directory"), 1);
  both_.expect(6, {a_file});
}

TEST_F(inspect, same_results_of_pidfd_get_inode_id) {
  if (theirs.pidfd_get_inode_id == nullptr) {
    GTEST_SKIP() << "SKIPPED: this libsystemd is older than 258 and has no sd_pidfd_get_inode_id()";
  }
  const auto observed = [](const library& library, int fd, bool null) {
    std::uint64_t number = 4711;
    const int result = library.pidfd_get_inode_id(fd, null ? nullptr : &number);
    return sd::test::observation{{"result", std::to_string(result)}, {"number", std::to_string(number)}};
  };
  for (const auto& thing : things_) {
    for (const bool null : {false, true}) {
      both_.compare([&] { return named("sd_pidfd_get_inode_id", thing, {}); }, observed(theirs, thing.fd, null),
                    observed(ours, thing.fd, null));
    }
  }
  both_.expect(60);
}

}  // namespace
