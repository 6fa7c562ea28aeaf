// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sockets.hpp"

#include <sd/address.hpp>
#include <sd/socket.hpp>

#include "check.hpp"
#include "directory.hpp"
#include "reading.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace {

namespace fs = std::filesystem;

using sd::activate::open_sockets;
using sd::activate::socket_unit;
using sd::activate::test::read_socket;
using sd::test::check;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A unit of this text, and its open sockets.
struct opened {
  explicit opened(const std::string& text)
      : unit(read_socket("[Socket]\n" + text).unit),
        sockets(unit, [this](const std::string& message) { warnings.push_back(message); }) {}

  [[nodiscard]] int fd(std::size_t index = 0) const { return sockets.fds().at(index).fd.get(); }
  [[nodiscard]] int option(int level, int name, std::size_t index = 0) const {
    int value = -1;
    socklen_t size = sizeof value;
    check(::getsockopt(fd(index), level, name, &value, &size), "getsockopt");
    return value;
  }

  socket_unit unit;
  std::vector<std::string> warnings;
  open_sockets sockets;
};

class sockets : public testing::Test {
 protected:
  ~sockets() override { ::mq_unlink(queue_.c_str()); }

  sd::test::directory there_;
  std::string queue_ = "/sd-activate-test-" + std::to_string(::getpid());
};

class sockets_of_root : public sockets {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: not root";
  }
};

struct stat status_of(const std::string& path) {
  struct stat status {};
  check(::lstat(path.c_str(), &status), "lstat " + path);
  return status;
}

struct stat status_of(int fd) {
  struct stat status {};
  check(::fstat(fd, &status), "fstat");
  return status;
}

/// Returns the text of the error with which the sockets of a unit cannot be opened.
std::string error_of(const std::string& text) {
  try {
    const opened unit(text);
    return "no error";
  } catch (const std::exception& error) {
    return error.what();
  }
}

constexpr unsigned other_user = 65534;
constexpr unsigned without_entry = 4000000001;  ///< an id that no user has

// --- options ---------------------------------------------------------------------------------------------------------

const std::string all_options =
    "KeepAlive=yes\nKeepAliveProbes=7\nNoDelay=yes\nPassCredentials=yes\nPassPacketInfo=yes\nPriority=3\nIPTTL=9\n"
    "IPTOS=low-delay\nTCPCongestion=reno\nReceiveBuffer=100K\nSendBuffer=50K\n";

TEST_F(sockets, options_are_those_of_a_socket_of_ipv4) {
  const opened unit(all_options + "ListenStream=127.0.0.1:0\nBacklog=7\n");
  EXPECT_THAT(unit.warnings, IsEmpty());
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_RCVBUF), 2 * 100 * 1024);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_SNDBUF), 2 * 50 * 1024);
  EXPECT_EQ(unit.option(IPPROTO_TCP, TCP_KEEPCNT), 7);
  EXPECT_EQ(unit.option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(unit.option(IPPROTO_IP, IP_PKTINFO), 1);
  EXPECT_EQ(unit.option(IPPROTO_IP, IP_TTL), 9);
  EXPECT_EQ(unit.option(IPPROTO_IP, IP_TOS), IPTOS_LOWDELAY);
  std::array<char, 16> name{};
  socklen_t size = name.size();
  check(::getsockopt(unit.fd(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), "TCP_CONGESTION");
  EXPECT_STREQ(name.data(), "reno");
  tcp_info info{};
  size = sizeof info;
  check(::getsockopt(unit.fd(), IPPROTO_TCP, TCP_INFO, &info, &size), "TCP_INFO");
  EXPECT_EQ(info.tcpi_sacked, 7U);  // the limit of the queue of a listening socket
}

TEST_F(sockets, options_are_those_of_a_socket_of_ipv6) {
  if (::access("/proc/net/if_inet6", F_OK) != 0) GTEST_SKIP() << "there is no IPv6";
  const opened unit(all_options + "ListenStream=[::1]:0\n");
  EXPECT_THAT(unit.warnings, IsEmpty());
  EXPECT_EQ(unit.option(IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
  EXPECT_EQ(unit.option(IPPROTO_IPV6, IPV6_UNICAST_HOPS), 9);
  EXPECT_EQ(unit.option(IPPROTO_IP, IP_TOS), IPTOS_LOWDELAY);
  EXPECT_EQ(unit.option(IPPROTO_TCP, TCP_KEEPCNT), 7);
  std::array<char, 16> name{};
  socklen_t size = name.size();
  check(::getsockopt(unit.fd(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), "TCP_CONGESTION");
  EXPECT_STREQ(name.data(), "reno");
}

TEST_F(sockets, options_of_other_kinds_are_left_out) {
  const opened unit(all_options + "ListenDatagram=127.0.0.1:0\nListenStream=" + (there_ / "socket") +
                    "\nListenNetlink=kobject-uevent 0\n");
  EXPECT_THAT(unit.warnings, IsEmpty());
  EXPECT_EQ(unit.option(IPPROTO_IP, IP_TTL, 0), 9);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_PASSCRED, 1), 1);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_PASSCRED, 2), 1);
  EXPECT_EQ(unit.option(SOL_NETLINK, NETLINK_PKTINFO, 2), 1);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_PRIORITY, 1), 3);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_REUSEADDR, 1), 1);
}

TEST_F(sockets, unit_decides_whether_a_socket_of_ipv6_serves_ipv4) {
  if (::access("/proc/net/if_inet6", F_OK) != 0) GTEST_SKIP() << "there is no IPv6";
  const opened unit("BindIPv6Only=ipv6-only\nListenStream=[::]:0\n");
  EXPECT_EQ(unit.option(IPPROTO_IPV6, IPV6_V6ONLY), 1);
  const opened both("BindIPv6Only=both\nListenStream=[::]:0\n");
  EXPECT_EQ(both.option(IPPROTO_IPV6, IPV6_V6ONLY), 0);
}

TEST_F(sockets, descriptors_are_refused_on_unix_sockets) {
  constexpr int so_passrights = 83;
  const opened other("ListenStream=127.0.0.1:0\nAcceptFileDescriptors=no\n");
  EXPECT_THAT(other.warnings, IsEmpty());
  const opened unit("ListenStream=" + (there_ / "socket") + "\nAcceptFileDescriptors=no\n");
  // Before Linux 6.16 that is not possible.
  EXPECT_TRUE(!unit.warnings.empty() || unit.option(SOL_SOCKET, so_passrights) == 0);
}

TEST_F(sockets_of_root, buffers_may_exceed_the_maximum_of_the_system) {
  const opened unit("ListenStream=127.0.0.1:0\nReceiveBuffer=64M\nSendBuffer=32M\n");
  EXPECT_THAT(unit.warnings, IsEmpty());
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_RCVBUF), 128 << 20);
  EXPECT_EQ(unit.option(SOL_SOCKET, SO_SNDBUF), 64 << 20);
}

TEST_F(sockets_of_root, socket_is_bound_to_the_device) {
  const opened unit("ListenDatagram=127.0.0.1:0\nBindToDevice=lo\n");
  EXPECT_THAT(unit.warnings, IsEmpty());
  std::array<char, 16> name{};
  socklen_t size = name.size();
  check(::getsockopt(unit.fd(), SOL_SOCKET, SO_BINDTODEVICE, name.data(), &size), "SO_BINDTODEVICE");
  EXPECT_STREQ(name.data(), "lo");
}

TEST_F(sockets, options_that_are_not_set_cause_warnings) {
  const opened unit("ListenStream=127.0.0.1:0\nKeepAliveTimeSec=40000\nIPTOS=3\nTCPCongestion=no-such-name\n");
  EXPECT_THAT(unit.warnings,
              ElementsAre("KeepAliveTimeSec=40000: not set for 127.0.0.1:0: Invalid argument",
                          "IPTOS=3: the kernel made it 0 for 127.0.0.1:0",
                          "TCPCongestion=no-such-name: not set for 127.0.0.1:0: No such file or directory"));
  // Those of a connection are not reported again.
  sd::activate::set_options_of_connection(unit.fd(), unit.unit);
}

TEST_F(sockets, options_are_set_on_connections) {
  const sd::unique_fd connection(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sd::activate::set_options_of_connection(connection.get(), read_socket("[Socket]\nIPTTL=9\n").unit);
  int value = 0;
  socklen_t size = sizeof value;
  check(::getsockopt(connection.get(), IPPROTO_IP, IP_TTL, &value, &size), "IP_TTL");
  EXPECT_EQ(value, 9);
}

// --- paths -----------------------------------------------------------------------------------------------------------

TEST_F(sockets, directories_have_the_mode_of_the_unit_and_stay) {
  const auto mask = ::umask(0022);
  for (const std::string setting : {"ListenStream=", "ListenFIFO="}) {
    const auto path = there_ / setting + "/a/b";
    {
      const opened unit(setting + path + "\nDirectoryMode=0777\nSocketMode=0666\nRemoveOnStop=yes\n");
      EXPECT_EQ(status_of(path).st_mode & 07777U, 0666U) << setting;
    }
    EXPECT_FALSE(fs::exists(path));
    ASSERT_TRUE(fs::exists(fs::path(path).parent_path())) << setting;
    EXPECT_EQ(status_of(fs::path(path).parent_path()).st_mode & 07777U, 0777U);
  }
  EXPECT_EQ(::umask(mask), 0022U);
}

TEST_F(sockets, abstract_address_is_not_a_path) {
  const opened unit("ListenStream=@" + there_.path() + "/socket\n");
  EXPECT_FALSE(fs::exists("@"));
}

TEST_F(sockets, paths_stay_if_the_unit_does_not_remove_them) {
  for (const bool stays : {false, true}) {
    {
      opened unit("ListenFIFO=" + (there_ / "fifo") + "\nListenMessageQueue=" + queue_ +
                  "\nMessageQueueMaxMessages=1\nMessageQueueMessageSize=1\n");
      if (stays) unit.sockets.keep_paths();
    }
    EXPECT_EQ(fs::exists(there_ / "fifo"), stays);
    EXPECT_EQ(::mq_unlink(queue_.c_str()) == 0, stays);
  }
}

TEST_F(sockets, symbolic_link_replaces_another_one) {
  fs::create_symlink("nowhere", there_ / "link");
  const auto other = there_ / "directory/link";
  const opened unit("ListenStream=127.0.0.1:0\nListenStream=" + (there_ / "socket") +
                    "\nSymlinks=" + (there_ / "link") + ' ' + other + '\n');
  EXPECT_THAT(unit.warnings, IsEmpty());
  for (const auto& link : {there_ / "link", other}) EXPECT_EQ(fs::read_symlink(link), there_ / "socket");
}

TEST_F(sockets, symbolic_link_does_not_replace_a_file) {
  std::ofstream(there_ / "link") << "text";
  {
    const opened unit("ListenStream=" + (there_ / "socket") + "\nSymlinks=" + (there_ / "link") + '\n');
    EXPECT_THAT(unit.warnings, ElementsAre("Symlinks=" + (there_ / "link") + ": not created: File exists"));
  }
  EXPECT_THAT(there_.entries(), ElementsAre("link"));
}

TEST_F(sockets, pipe_size_is_that_of_the_fifo) {
  const opened unit("ListenFIFO=" + (there_ / "fifo") + "\nPipeSize=128K\n");
  EXPECT_THAT(unit.warnings, IsEmpty());
  EXPECT_EQ(::fcntl(unit.fd(), F_GETPIPE_SZ), 128 * 1024);
}

TEST_F(sockets, fifo_with_another_link_is_refused) {
  check(::mkfifo((there_ / "fifo").c_str(), 0600), "mkfifo");
  fs::create_hard_link(there_ / "fifo", there_ / "other");
  EXPECT_THAT(error_of("ListenFIFO=" + (there_ / "fifo") + '\n'), HasSubstr("File exists"));
}

TEST_F(sockets, special_file_is_opened) {
  check(::mkfifo((there_ / "fifo").c_str(), 0600), "mkfifo");
  const opened unit("ListenSpecial=" + (there_ / "fifo") + "\nWritable=yes\n");
  EXPECT_EQ(status_of(unit.fd()).st_ino, status_of(there_ / "fifo").st_ino);
}

// --- owners ----------------------------------------------------------------------------------------------------------

TEST_F(sockets_of_root, paths_have_the_owner_of_the_unit) {
  const struct {
    std::string settings;
    unsigned user;
    unsigned group;
  } rows[] = {
      {"SocketUser=nobody\n", other_user, other_user},
      {"SocketUser=65534\nSocketGroup=daemon\n", other_user, 1},
      {"SocketGroup=65534\n", 0, other_user},
      {"SocketUser=" + std::to_string(without_entry) + '\n', without_entry, 0},
  };
  for (const auto& [settings, user, group] : rows) {
    const opened unit(settings + "ListenStream=" + (there_ / "socket") + "\nListenFIFO=" + (there_ / "fifo") +
                      "\nListenMessageQueue=" + queue_ + "\nMessageQueueMaxMessages=1\nMessageQueueMessageSize=1\n");
    for (const auto& each : {status_of(there_ / "socket"), status_of(there_ / "fifo"), status_of(unit.fd(2))}) {
      EXPECT_EQ(each.st_uid, user) << settings;
      EXPECT_EQ(each.st_gid, group) << settings;
    }
  }
}

// --- message queues --------------------------------------------------------------------------------------------------

TEST_F(sockets, message_queue_has_the_attributes_and_the_mode_of_the_unit) {
  const auto mask = ::umask(0022);
  const opened unit("ListenMessageQueue=" + queue_ +
                    "\nMessageQueueMaxMessages=2\nMessageQueueMessageSize=100\nSocketMode=0622\n");
  ::umask(mask);
  mq_attr attributes{};
  check(::mq_getattr(unit.fd(), &attributes), "mq_getattr");
  EXPECT_EQ(attributes.mq_maxmsg, 2);
  EXPECT_EQ(attributes.mq_msgsize, 100);
  EXPECT_EQ(status_of(unit.fd()).st_mode & 07777U, 0622U);
}

TEST_F(sockets, message_queue_has_the_attributes_of_the_system_by_default) {
  const opened unit("ListenMessageQueue=" + queue_ + '\n');
  mq_attr attributes{};
  check(::mq_getattr(unit.fd(), &attributes), "mq_getattr");
  EXPECT_GT(attributes.mq_maxmsg, 0);
}

TEST_F(sockets, message_queue_that_exists_keeps_its_mode_and_stays) {
  mq_attr small{};
  small.mq_maxmsg = small.mq_msgsize = 1;
  const sd::unique_fd own(check(::mq_open(queue_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &small), "mq_open"));
  {
    const opened unit("ListenMessageQueue=" + queue_ + "\nSocketMode=0644\n");
    EXPECT_EQ(status_of(unit.fd()).st_mode & 07777U, 0600U);
  }
  EXPECT_EQ(::mq_unlink(queue_.c_str()), 0);
}

TEST_F(sockets, message_queue_that_cannot_be_opened_is_an_error) {
  EXPECT_EQ(
      error_of("ListenMessageQueue=" + queue_ + "\nMessageQueueMaxMessages=2000000000\nMessageQueueMessageSize=1\n"),
      "ListenMessageQueue=" + queue_ + ": Invalid argument");
}

TEST_F(sockets_of_root, message_queue_of_another_user_is_refused) {
  mq_attr small{};
  small.mq_maxmsg = small.mq_msgsize = 1;
  const sd::unique_fd other(check(::mq_open(queue_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &small), "mq_open"));
  check(::fchown(other.get(), other_user, other_user), "fchown");
  EXPECT_EQ(error_of("ListenMessageQueue=" + queue_ + '\n'), queue_ + ", which belongs to user 65534: File exists");
}

}  // namespace
