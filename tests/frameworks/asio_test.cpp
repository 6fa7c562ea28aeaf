// SPDX-License-Identifier: MIT OR Apache-2.0
// sd::assign() with every object of Asio or, compiled with SD_TEST_BOOST, of Boost.Asio: which descriptors it takes,
// and which it leaves to the caller.

#include <sd/asio.hpp>
#include <sd/error.hpp>
#include <sd/socket.hpp>
#include <sd/testing.hpp>

#include "directory.hpp"

#if defined(SD_TEST_BOOST)
#include <boost/asio.hpp>
namespace net = boost::asio;
#else
#include <asio.hpp>
namespace net = asio;
#endif

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using net::ip::tcp;
using net::ip::udp;
using unix_stream = net::local::stream_protocol;
using unix_datagram = net::local::datagram_protocol;
using net::generic::datagram_protocol;
using net::generic::raw_protocol;
using net::generic::seq_packet_protocol;
using net::generic::stream_protocol;

sd::unique_fd tcp_connection() {
  const auto listener = sd::testing::open(sd::kind::stream, "127.0.0.1:0");
  const auto where = sd::describe(listener.fd.get()).local;
  const sd::unique_fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const address = static_cast<const sockaddr*>(where.data());
  EXPECT_EQ(::connect(client.get(), address, static_cast<socklen_t>(where.size())), 0);
  // It remains a connection after the client has closed its end.
  return sd::unique_fd(::accept(listener.fd.get(), nullptr, nullptr));
}

/// Opens a descriptor of the sort that `everything` names.
sd::unique_fd opened(const std::string& what, const sd::test::directory& directory) {
  using sd::kind;
  const auto open = [](kind kind, const std::string& where) { return sd::testing::open(kind, where).fd; };
  if (what == "tcp4") return open(kind::stream, "127.0.0.1:0");
  if (what == "tcp6") return open(kind::stream, "[::1]:0");
  if (what == "udp4") return open(kind::datagram, "127.0.0.1:0");
  if (what == "udp6") return open(kind::datagram, "[::1]:0");
  if (what == "unix") return open(kind::stream, directory / "stream");
  if (what == "unix-datagram") return open(kind::datagram, directory / "datagram");
  if (what == "seqpacket") return open(kind::seqpacket, directory / "seqpacket");
  if (what == "connection") return sd::testing::connection().first.fd;
  if (what == "tcp-connection") return tcp_connection();
  if (what == "unconnected") return sd::unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (what == "netlink") return open(kind::netlink, "route 0");
  if (what == "fifo") return open(kind::fifo, directory / "fifo");
  return {};
}

const std::vector<std::string> everything = {"tcp4",           "tcp6",          "udp4",      "udp6",
                                             "unix",           "unix-datagram", "seqpacket", "connection",
                                             "tcp-connection", "unconnected",   "netlink",   "fifo"};

class assign : public testing::Test {
 protected:
  [[nodiscard]] sd::unique_fd opened(const std::string& what) const { return ::opened(what, directory_); }

  /// Expects that the object takes these descriptors and leaves all others to the caller.
  template <class Object>
  void expect_to_take(const std::vector<std::string>& taken) {
    for (const auto& what : everything) {
      Object object(io_);
      auto fd = opened(what);
      const int number = fd.get();
      std::error_code ec;
      sd::assign(object, std::move(fd), ec);
      if (std::find(taken.begin(), taken.end(), what) != taken.end()) {
        EXPECT_FALSE(ec) << what << ": " << ec.message();
        EXPECT_EQ(object.native_handle(), number) << what;
        EXPECT_FALSE(fd) << what;  // NOLINT(bugprone-use-after-move): tests the state after the move
      } else {
        EXPECT_EQ(ec, sd::errc::wrong_kind) << what;
        EXPECT_FALSE(object.is_open()) << what;
        EXPECT_EQ(fd.get(), number) << what;
        EXPECT_FALSE(sd::describe(number).nonblocking && what != "fifo") << what;
      }
    }
  }

  net::io_context io_;
  sd::test::directory directory_;
};

TEST_F(assign, acceptors_take_listeners) {
  expect_to_take<tcp::acceptor>({"tcp4", "tcp6"});
  expect_to_take<unix_stream::acceptor>({"unix"});
  expect_to_take<net::basic_socket_acceptor<stream_protocol>>({"tcp4", "tcp6", "unix"});
  expect_to_take<net::basic_socket_acceptor<seq_packet_protocol>>({"seqpacket"});
}

TEST_F(assign, sockets_take_descriptors_of_their_protocol) {
  expect_to_take<tcp::socket>({"tcp-connection"});
  expect_to_take<unix_stream::socket>({"connection"});
  expect_to_take<stream_protocol::socket>({"connection", "tcp-connection"});
  expect_to_take<udp::socket>({"udp4", "udp6"});
  expect_to_take<unix_datagram::socket>({"unix-datagram"});
  expect_to_take<datagram_protocol::socket>({"udp4", "udp6", "unix-datagram"});
  expect_to_take<seq_packet_protocol::socket>({});
  expect_to_take<raw_protocol::socket>({"netlink"});
}

TEST_F(assign, stream_descriptors_take_fifos) { expect_to_take<net::posix::stream_descriptor>({"fifo"}); }

TEST_F(assign, reads_the_family_from_the_socket) {
  for (const auto& [what, protocol] : {std::pair{"tcp4", tcp::v4()}, std::pair{"tcp6", tcp::v6()}}) {
    tcp::acceptor acceptor(io_);
    sd::assign(acceptor, opened(what));
    EXPECT_EQ(acceptor.local_endpoint().protocol(), protocol);
    tcp::socket client(io_);
    client.connect(acceptor.local_endpoint());
    auto accepted = acceptor.accept();
    EXPECT_EQ(accepted.remote_endpoint(), client.local_endpoint());
    EXPECT_TRUE(accepted.remote_endpoint().address().is_v6() == (protocol == tcp::v6()));
  }
}

TEST_F(assign, an_open_object_leaves_the_descriptor_to_the_caller) {
  tcp::acceptor acceptor(io_, tcp::endpoint(tcp::v4(), 0));
  auto fd = opened("tcp4");
  std::error_code ec;
  sd::assign(acceptor, std::move(fd), ec);
  EXPECT_EQ(ec.value(), static_cast<int>(net::error::already_open));
  EXPECT_EQ(sd::describe(fd.get()).kind,
            sd::kind::stream);  // NOLINT(bugprone-use-after-move): not moved from on an error
}

TEST_F(assign, the_message_describes_the_descriptor) {
  auto fd = opened("unix");
  const auto number = std::to_string(fd.get());
  tcp::acceptor acceptor(io_);
  try {
    sd::assign(acceptor, std::move(fd));
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.what(),
              "assign " + number + " stream unix " + directory_.path() + "/stream: wrong kind of descriptor");
  }
  EXPECT_TRUE(fd);
}

TEST_F(assign, an_empty_descriptor_is_an_error) {
  tcp::acceptor acceptor(io_);
  EXPECT_THROW(sd::assign(acceptor, sd::unique_fd()), std::system_error);
}

}  // namespace
