// SPDX-License-Identifier: MIT OR Apache-2.0
#include "notify_socket.hpp"

#include <sd/notify.hpp>
#include <sd/unique_fd.hpp>

#include "client.hpp"
#include "memory_file.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::activate::notify_socket;
using sd::test::contents;
using sd::test::memory_file;

using fields = std::vector<std::pair<std::string, std::string>>;

TEST(notify_socket, message_consists_of_lines_with_a_name_and_a_value) {
  const struct {
    const char* text;
    fields expected;
  } rows[] = {
      {"READY=1", {{"READY", "1"}}},
      {"READY=1\nSTATUS=a=b\n", {{"READY", "1"}, {"STATUS", "a=b"}}},
      {"FDNAME=\nX=1", {{"FDNAME", ""}, {"X", "1"}}},
      {"READY\n\nX=1", {{"X", "1"}}},
      {"READY", {}},
  };
  notify_socket socket;
  const auto sender = sd::test::connect(socket.address(), SOCK_DGRAM);
  for (const auto& [text, expected] : rows) {
    sd::test::send(sender, text);
    const auto message = socket.receive();
    ASSERT_TRUE(message) << text;
    EXPECT_EQ(message->fields, expected) << text;
    EXPECT_EQ(message->pid, ::getpid()) << text;
  }
  EXPECT_FALSE(socket.receive());
}

TEST(notify_socket, message_is_received_whatever_errno_was_before) {
  notify_socket socket;
  const auto sender = sd::test::connect(socket.address(), SOCK_DGRAM);
  for (const std::string text : {"", "READY=1"}) {
    ASSERT_EQ(::send(sender.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  errno = EINTR;
  const auto empty = socket.receive();
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->fields.empty());
  errno = EINTR;
  const auto message = socket.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->find("READY"), "1");
}

TEST(notify_socket, message_that_is_too_long_has_no_sender) {
  constexpr std::size_t longest = 65536;
  notify_socket socket;
  const auto sender = sd::test::connect(socket.address(), SOCK_DGRAM);
  sd::test::send(sender, "X=" + std::string(longest - 2, 'x'));
  sd::test::send(sender, "X=" + std::string(longest - 1, 'x'));
  const auto message = socket.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->pid, ::getpid());
  const auto too_long = socket.receive();
  ASSERT_TRUE(too_long);
  EXPECT_EQ(too_long->pid, 0);
}

TEST(notify_socket, descriptors_are_received_in_their_order) {
  notify_socket socket;
  std::vector<sd::unique_fd> files;
  std::vector<int> numbers;
  for (const std::string text : {"a", "b", "c", "d"}) {
    files.push_back(memory_file());
    ASSERT_EQ(::write(files.back().get(), text.data(), text.size()), 1);
    numbers.push_back(files.back().get());
  }
  ::setenv("NOTIFY_SOCKET", socket.address().c_str(), 1);
  sd::notify(sd::state::raw("FDSTORE=1"), {numbers});
  ::unsetenv("NOTIFY_SOCKET");
  const auto message = socket.receive();
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->lacks_descriptors);
  std::string all;
  for (const auto& each : message->fds) all += contents(each.get());
  EXPECT_EQ(all, "abcd");
}

}  // namespace
