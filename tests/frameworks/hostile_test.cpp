// SPDX-License-Identifier: MIT OR Apache-2.0
// Clients that attack an example in the protocol that it speaks.

#include <sd/socket.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "client.hpp"
#include "examples.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace std::string_literals;
using sd::test::send;

constexpr const char* not_built = "SKIPPED: the example is not part of this build";

/// An example that listens on a TCP socket, with 24 descriptors.
class hostile : public testing::Test {
 protected:
  hostile() { fds_.push_back(sd::testing::open(sd::kind::stream, "127.0.0.1:0", "web")); }

  /// Starts the example for a library. Returns false if it is not part of this build.
  bool start(const std::string& framework) {
    for (const auto& example : sd::test::built_examples()) {
      if (example.framework != framework) continue;
      example_ = example;
      const std::vector<std::string> command = {"/bin/sh", "-c", R"(ulimit -n 24 && exec "$0" 2>/dev/null)",
                                                example.path()};
      process_ = std::make_unique<sd::testing::process>(command, fds_);
    }
    return process_ != nullptr;
  }

  [[nodiscard]] std::string address() const { return to_string(sd::describe(fds_.front().fd.get()).local); }

  [[nodiscard]] sd::testing::process& process() const { return *process_; }

  [[nodiscard]] sd::unique_fd client_that_sends(const std::string& bytes) const {
    auto client = sd::test::connect(address());
    send(client, bytes);
    return client;
  }

  /// Expects that another client is served.
  void expect_served() const { talk(example_, address()); }

 private:
  std::vector<sd::listen_fd> fds_;
  sd::test::example example_{};
  std::unique_ptr<sd::testing::process> process_;
};

/// Returns all that the server sends until it closes the connection, or what it has sent after 20 seconds and "...".
std::string read_all(const sd::unique_fd& client) {
  std::string all;
  std::array<char, 4096> buffer;
  pollfd readable{client.get(), POLLIN, 0};
  while (::poll(&readable, 1, 20000) == 1) {
    const ssize_t n = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return all + "...";
}

TEST_F(hostile, microhttpd_half_requests_and_closed_connections_keep_no_descriptors) {
  if (!start("microhttpd")) GTEST_SKIP() << not_built;
  expect_served();
  for (int i = 0; i < 100; ++i) static_cast<void>(client_that_sends("GET / HTTP/1.1\r\nHos"));
  expect_served();
  EXPECT_EQ(process().stop(), 0);
}

TEST_F(hostile, libwebsockets_connection_closes_after_one_response) {
  if (!start("libwebsockets")) GTEST_SKIP() << not_built;
  const auto request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"s;
  const auto response = read_all(client_that_sends(request));
  EXPECT_NE(response.find("connection: close\r\n"), std::string::npos) << response;
  EXPECT_EQ(process().stop(), 0);
}

TEST_F(hostile, h2o_http2_without_tls_is_refused) {
  if (!start("h2o")) GTEST_SKIP() << not_built;
  const auto settings = "\0\0\0\4\0\0\0\0\0"s;
  EXPECT_EQ(read_all(client_that_sends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)).find(settings.substr(0, 4)),
            std::string::npos);
  expect_served();
  EXPECT_EQ(process().stop(), 0);
}

TEST_F(hostile, thrift_string_of_two_gigabytes_is_refused) {
  if (!start("thrift")) GTEST_SKIP() << not_built;
  EXPECT_EQ(read_all(client_that_sends("\x80\x01\x00\x01\x7f\xff\xff\xff"s)), "");
  expect_served();
  EXPECT_EQ(process().stop(), 0);
}

TEST_F(hostile, zeromq_request_in_two_parts_does_not_stop_the_server) {
  if (!start("zeromq")) GTEST_SKIP() << not_built;
  const auto greeting = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL"s + std::string(48, '\0');
  const auto ready = "\4\x19\5READY\13Socket-Type\0\0\0\3REQ"s;
  const auto client = client_that_sends(greeting + ready);
  std::string received;
  while (received.find("READY") == std::string::npos) {
    std::array<char, 256> buffer;
    const ssize_t n = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    ASSERT_GT(n, 0);
    received.append(buffer.data(), static_cast<std::size_t>(n));
  }
  const auto parts = "\1\0\1\1a\0\1b"s;  // an empty one, "a" and "b"
  send(client, parts);
  expect_served();
  EXPECT_EQ(process().stop(), 0);
}

/// Returns a frame of HTTP/2.
std::string frame(char type, char flags, unsigned stream, const std::string& payload) {
  std::string header(9, '\0');
  header[1] = static_cast<char>(payload.size() >> 8U);
  header[2] = static_cast<char>(payload.size());
  header[3] = type;
  header[4] = flags;
  for (unsigned i = 0; i < 4; ++i) header[5 + i] = static_cast<char>(stream >> (24 - 8 * i));
  return header + payload;
}

TEST_F(hostile, grpc_cancelled_requests_start_few_threads) {
  if (!start("grpc")) GTEST_SKIP() << not_built;
  expect_served();
  std::string headers;
  for (const std::array<std::string, 2>& each : {std::array<std::string, 2>{":method", "POST"},
                                                 {":scheme", "http"},
                                                 {":path", "/hello.Greeter/Greet"},
                                                 {":authority", "x"},
                                                 {"content-type", "application/grpc"},
                                                 {"te", "trailers"}}) {
    headers += '\0';
    for (const auto& text : each) headers += static_cast<char>(text.size()) + text;
  }
  const auto client = client_that_sends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, ""));
  std::ptrdiff_t threads = 0;
  for (unsigned stream = 1; stream < 80000;) {
    std::string requests;
    for (int i = 0; i < 20; ++i, stream += 2) {
      requests += frame(1, 4, stream, headers) + frame(0, 1, stream, std::string(5, '\0'));
      requests += frame(3, 0, stream, std::string(4, '\0'));
    }
    if (::send(client.get(), requests.data(), requests.size(), MSG_NOSIGNAL) < 0) break;
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(process().pid()) + "/task");
    threads = std::max(threads, std::distance(begin(all), end(all)));
  }
  EXPECT_LT(threads, 100);
  EXPECT_EQ(process().stop(), 0);
}

}  // namespace
