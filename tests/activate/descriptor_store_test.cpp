// SPDX-License-Identifier: MIT OR Apache-2.0
#include "descriptor_store.hpp"

#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "events.hpp"
#include "failing_call.hpp"
#include "memory_file.hpp"
#include "notify_socket.hpp"
#include "sockets.hpp"

#include <asio/io_context.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using sd::unique_fd;
using sd::activate::descriptor_store;
using sd::activate::duplicate;
using sd::activate::event_log;
using sd::activate::notification;
using sd::test::check;
using sd::test::memory_file;

struct connection {
  connection() {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    own.reset(ends[0]);
    peer.reset(ends[1]);
  }

  unique_fd own;
  unique_fd peer;
};

/// A store, and the socket that the service has been passed.
class stored_descriptors : public testing::Test {
 protected:
  stored_descriptors() { passed_.push_back({"web.socket", memory_file()}); }

  void make() { store_.emplace(io_, passed_, 10, "web.service", log_); }

  void add(const std::string& name, const unique_fd& fd) {
    notification message;
    message.fields = {{"FDSTORE", "1"}, {"FDNAME", name}};
    message.fds.push_back(duplicate(fd.get()));
    store_->handle(message);
  }

  void remove(const std::vector<std::pair<std::string, std::string>>& fields) {
    notification message;
    message.fields = {{"FDSTOREREMOVE", "1"}};
    message.fields.insert(message.fields.end(), fields.begin(), fields.end());
    store_->handle(message);
  }

  /// Returns the names of all descriptors, after the store has looked for connections that have hung up.
  std::string names() {
    io_.poll();
    std::string all;
    for (const auto& each : passed_) all += (all.empty() ? "" : " ") + each.name.value_or("");
    return all;
  }

  asio::io_context io_;
  std::vector<sd::listen_fd> passed_;
  event_log log_{sd::activate::verbosity::quiet, -1};
  std::optional<descriptor_store> store_;
};

TEST_F(stored_descriptors, copies_are_dropped_and_other_open_files_of_the_same_file_are_kept) {
  if (::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_FILE, 0, 0) < 0) GTEST_SKIP() << "SKIPPED: kcmp(2) fails here";
  make();
  const auto file = memory_file();
  const auto path = "/proc/self/fd/" + std::to_string(file.get());
  const unique_fd opened_again(check(::open(path.c_str(), O_RDWR | O_CLOEXEC), "open"));
  add("a", file);
  add("b", opened_again);
  add("c", file);
  EXPECT_EQ(names(), "web.socket a b");
}

TEST_F(stored_descriptors, only_copies_of_sockets_are_dropped_without_kcmp) {
  make();
  const auto text = sd::test::run_with({SYS_kcmp, 2, KCMP_FILE, EPERM}, [&] {
    const connection one;
    const auto file = memory_file();
    add("a", one.own);
    add("b", one.own);
    add("c", one.peer);
    add("d", file);
    add("e", file);
    return names();
  });
  if (!text) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
  EXPECT_EQ(*text, "web.socket a c d e");
}

TEST_F(stored_descriptors, removal_without_a_name_removes_nothing) {
  make();
  add("a", memory_file());
  remove({});
  EXPECT_EQ(names(), "web.socket a");
  remove({{"FDNAME", "web.socket"}});
  EXPECT_EQ(names(), "web.socket a");
  remove({{"FDNAME", "a"}});
  EXPECT_EQ(names(), "web.socket");
}

TEST_F(stored_descriptors, connections_that_hang_up_are_removed_one_after_the_other) {
  make();
  connection first;
  connection second;
  add("a", first.own);
  add("b", memory_file());
  add("c", second.own);
  EXPECT_EQ(names(), "web.socket a b c");
  second.peer.reset();
  EXPECT_EQ(names(), "web.socket a b");
  first.peer.reset();
  EXPECT_EQ(names(), "web.socket b");
}

TEST_F(stored_descriptors, connection_that_was_removed_and_hangs_up_has_no_effect) {
  make();
  connection removed;  // whose own end stays open
  add("a", removed.own);
  remove({{"FDNAME", "a"}});
  add("b", memory_file());  // which has the same number now
  removed.peer.reset();
  EXPECT_EQ(names(), "web.socket b");
}

TEST_F(stored_descriptors, too_few_descriptors_are_an_error) {
  const auto text = sd::test::run_with({SYS_epoll_create1, 0, EPOLL_CLOEXEC, EMFILE}, [&] {
    make();
    return std::string();
  });
  if (!text) GTEST_SKIP() << "SKIPPED: seccomp filters are not available here";
  EXPECT_EQ(*text, "exception: epoll_create1: Too many open files");
}

}  // namespace
