// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/booted.hpp>
#include <sd/listen_fds.hpp>
#include <sd/store.hpp>
#include <sd/unique_fd.hpp>

#include "allocation.hpp"
#include "directory.hpp"
#include "errors.hpp"
#include "notify_fixture.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using sd::listen_fd;
using sd::notify_result;
using sd::store_poll;
using sd::unique_fd;
using testing::ElementsAre;
using testing::IsEmpty;

unique_fd open_something() { return unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
/// Opens a file that no other descriptor refers to.
unique_fd open_unlike_others() { return unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

std::uint64_t inode(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

// --- storing ---------------------------------------------------------------------------------------------------------

/// A service manager that receives descriptors.
class store : public testing::Test {
 protected:
  /// Returns the next message. Empty if there is none.
  sd::test::message received() { return manager_.next().value_or(sd::test::message()); }

 private:
  sd::test::directory directory_;
  sd::test::receiver manager_{directory_ / "notify"};
};

TEST_F(store, descriptor_and_name_arrive) {
  const auto fd = open_unlike_others();
  for (const auto poll : {store_poll::on, store_poll::off}) {
    for (const bool throws : {false, true}) {
      std::error_code ec = std::make_error_code(std::errc::io_error);
      EXPECT_EQ(throws ? sd::store("users", fd.get(), poll) : sd::store("users", fd.get(), poll, ec),
                notify_result::sent);
      if (!throws) {
        EXPECT_FALSE(ec);
      }
      const auto message = received();
      EXPECT_EQ(message.text,
                poll == store_poll::on ? "FDSTORE=1\nFDNAME=stored/users" : "FDSTORE=1\nFDNAME=stored/users\nFDPOLL=0");
      ASSERT_EQ(message.fds.size(), 1U);
      EXPECT_EQ(inode(message.fds[0].get()), inode(fd.get()));
      EXPECT_EQ(received().text, "") << "only one message";
    }
  }
  EXPECT_EQ(sd::store("users", fd.get()), notify_result::sent);
  EXPECT_EQ(received().text, "FDSTORE=1\nFDNAME=stored/users");
  EXPECT_GE(::fcntl(fd.get(), F_GETFD), 0) << "the service keeps its own descriptor";
}

TEST_F(store, forgets_by_name) {
  std::error_code ec = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(sd::forget("users", ec), notify_result::sent);
  EXPECT_FALSE(ec);
  const auto message = received();
  EXPECT_EQ(message.text, "FDSTOREREMOVE=1\nFDNAME=stored/users");
  EXPECT_THAT(message.fds, IsEmpty());
  EXPECT_EQ(sd::forget("users"), notify_result::sent);
  EXPECT_EQ(received().text, "FDSTOREREMOVE=1\nFDNAME=stored/users");
}

TEST_F(store, names_that_the_manager_accepts) {
  const auto fd = open_something();
  for (const std::string& name : {std::string(), std::string("a"), std::string("with space/and=stored/ ~!"),
                                  std::string("unit.socket"), std::string(247, 'x'), std::string(248, 'x')}) {
    std::error_code ec;
    EXPECT_EQ(sd::store(name, fd.get(), store_poll::on, ec), notify_result::sent) << name << ": " << ec.message();
    EXPECT_EQ(received().text, "FDSTORE=1\nFDNAME=stored/" + name);
    EXPECT_EQ(sd::forget(name, ec), notify_result::sent) << name << ": " << ec.message();
    EXPECT_EQ(received().text, "FDSTOREREMOVE=1\nFDNAME=stored/" + name);
  }
}

TEST_F(store, names_that_the_manager_discards_are_einval) {
  const auto fd = open_something();
  std::vector<std::string> names = {"a:b",  ":",    "a\nb", "a\n",  std::string("a\0b", 3),
                                    "\x7f", "\x1f", "ä",    "\x80", "\xff"};
  names.emplace_back(249, 'x');
  names.emplace_back(255, 'x');
  names.emplace_back(100000, 'x');
  for (const auto& name : names) {
    const auto invalid = sd::test::system_error(EINVAL);
    std::error_code ec;
    EXPECT_EQ(sd::store(name, fd.get(), store_poll::off, ec), notify_result::no_listener) << name;
    EXPECT_EQ(ec, invalid) << name;
    ec.clear();
    EXPECT_EQ(sd::forget(name, ec), notify_result::no_listener) << name;
    EXPECT_EQ(ec, invalid) << name;
    EXPECT_EQ(received().text, "") << name;
  }
}

TEST_F(store, name_need_not_be_terminated) {
  const std::string text = "users:and\nmore";
  EXPECT_EQ(sd::forget(std::string_view(text).substr(0, 5)), notify_result::sent);
  EXPECT_EQ(received().text, "FDSTOREREMOVE=1\nFDNAME=stored/users");
}

TEST_F(store, exceptions_name_the_descriptor_and_the_name) {
  const auto what = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::system_error& error) {
      return error.what();
    }
    return "";
  };
  const auto message = [](int number) { return ": " + std::generic_category().message(number); };
  EXPECT_EQ(what([] { sd::store("users", -1); }), "store descriptor -1 as users" + message(EBADF));
  EXPECT_EQ(what([] { sd::forget("a:b"); }), "forget a:b" + message(EINVAL));
  std::error_code ec;
  EXPECT_EQ(sd::store("users", -1, store_poll::on, ec), notify_result::no_listener);
  EXPECT_EQ(ec, sd::test::system_error(EBADF));
  EXPECT_EQ(received().text, "");
}

TEST_F(store, unset_notify_socket_is_no_listener) {
  ::unsetenv("NOTIFY_SOCKET");
  const auto fd = open_something();
  std::error_code ec = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(sd::store("users", fd.get(), store_poll::on, ec), notify_result::no_listener);
  EXPECT_EQ(ec, std::error_code());
  ec = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(sd::forget("users", ec), notify_result::no_listener);
  EXPECT_FALSE(ec);
  ec = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(sd::store("users", fd.get(), ec), notify_result::no_listener);
  EXPECT_FALSE(ec);
  EXPECT_EQ(sd::store("users", fd.get()), notify_result::no_listener);
  EXPECT_EQ(sd::forget("users"), notify_result::no_listener);
}

TEST_F(store, allocates_no_memory) {
  const auto fd = open_something();
  const std::string name(248, 'x');
  std::error_code ec;
  sd::test::largest_allocation = 0;
  sd::store(name, fd.get(), store_poll::off, ec);
  sd::forget(name, ec);
  EXPECT_EQ(sd::test::largest_allocation, 0U);
  EXPECT_FALSE(ec);
}

// --- taking ----------------------------------------------------------------------------------------------------------

/// Returns a list as `sd::listen_fds()` does, with these names.
std::vector<listen_fd> passed(const std::vector<std::optional<std::string>>& names) {
  std::vector<listen_fd> fds;
  fds.reserve(names.size());
  for (const auto& name : names) fds.push_back({name, open_unlike_others()});
  return fds;
}

std::vector<std::string> names(const std::vector<listen_fd>& fds) {
  std::vector<std::string> result;
  result.reserve(fds.size());
  for (const auto& entry : fds) result.push_back(entry.name.value_or("(none)"));
  return result;
}

std::vector<int> numbers(const std::vector<listen_fd>& fds) {
  std::vector<int> result;
  result.reserve(fds.size());
  for (const auto& entry : fds) result.push_back(entry.fd.get());
  return result;
}

TEST(take_stored, removes_stored_descriptors_from_the_list) {
  auto fds = passed({"web", "stored/a", std::nullopt, "stored", "stored/b", "Stored/c", "/stored/d", "xstored/e", "",
                     "stored/", "stored/a", "stored/stored/f", "stored/unit.socket", "storedx", "stored0a"});
  const auto all = numbers(fds);
  const auto stored = sd::take_stored(fds);
  EXPECT_THAT(names(stored), ElementsAre("a", "b", "", "a", "stored/f", "unit.socket"));
  EXPECT_THAT(numbers(stored), ElementsAre(all[1], all[4], all[9], all[10], all[11], all[12]));
  EXPECT_THAT(names(fds),
              ElementsAre("web", "(none)", "stored", "Stored/c", "/stored/d", "xstored/e", "", "storedx", "stored0a"));
  EXPECT_THAT(numbers(fds), ElementsAre(all[0], all[2], all[3], all[5], all[6], all[7], all[8], all[13], all[14]));
  for (const int fd : all) EXPECT_GE(::fcntl(fd, F_GETFD), 0) << fd;
}

TEST(take_stored, former_name_does_not_count) {
  auto fds = passed({"stored/a"});
  fds[0].name.reset();
  EXPECT_THAT(sd::take_stored(fds), IsEmpty());
  EXPECT_EQ(fds.size(), 1U);
}

TEST(take_stored, nothing_stored) {
  std::vector<listen_fd> none;
  EXPECT_THAT(sd::take_stored(none), IsEmpty());
  auto fds = passed({"web", std::nullopt});
  const auto all = numbers(fds);
  EXPECT_THAT(sd::take_stored(fds), IsEmpty());
  EXPECT_EQ(numbers(fds), all);
  EXPECT_THAT(names(fds), ElementsAre("web", "(none)"));
}

TEST(take_stored, second_call_is_empty) {
  auto fds = passed({"stored/a", "stored/b"});
  EXPECT_THAT(names(sd::take_stored(fds)), ElementsAre("a", "b"));
  EXPECT_THAT(fds, IsEmpty());
  EXPECT_THAT(sd::take_stored(fds), IsEmpty());
}

TEST(take_stored, entries_without_a_descriptor) {
  auto fds = passed({"stored/a", "web"});
  const auto gone = std::move(fds[0].fd);
  const auto web = std::move(fds[1].fd);
  const auto stored = sd::take_stored(fds);
  EXPECT_THAT(names(stored), ElementsAre("a"));
  EXPECT_FALSE(stored[0].fd);
  EXPECT_THAT(names(fds), ElementsAre("web"));
  EXPECT_FALSE(fds[0].fd);
}

TEST(take_stored, bad_alloc_leaves_the_list_unchanged) {
  if (sd::test::on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind has an operator new of its own";
  auto fds = passed({"stored/a", "web", "stored/with-a-name-too-long-for-a-short-string"});
  const auto all = numbers(fds);
  const auto all_names = names(fds);
  int failures = 0;
  while (true) {
    sd::test::allocations_left = failures;
    try {
      const auto stored = sd::take_stored(fds);
      sd::test::allocations_left = -1;
      EXPECT_EQ(stored.size(), 2U);
      break;
    } catch (const std::bad_alloc&) {
      sd::test::allocations_left = -1;
      ASSERT_EQ(numbers(fds), all) << failures;
      ASSERT_EQ(names(fds), all_names) << failures;
      for (const int fd : all) ASSERT_GE(::fcntl(fd, F_GETFD), 0) << failures;
    }
    ASSERT_LT(++failures, 100);
  }
  EXPECT_GE(failures, 2) << "at least one allocation for each list";
}

// --- limit -----------------------------------------------------------------------------------------------------------

TEST(store_limit, is_read_from_the_environment) {
  static_assert(std::numeric_limits<unsigned>::max() == 4294967295U);
  const std::vector<std::pair<const char*, std::optional<unsigned>>> cases = {{nullptr, {}},
                                                                              {"", {}},
                                                                              {"0", 0U},
                                                                              {"1", 1U},
                                                                              {"512", 512U},
                                                                              {"0016", 16U},
                                                                              {"4294967295", UINT_MAX},
                                                                              {"4294967296", {}},
                                                                              {"-1", {}},
                                                                              {"+1", {}},
                                                                              {" 1", {}},
                                                                              {"1 ", {}},
                                                                              {"1\n", {}},
                                                                              {"0x10", {}},
                                                                              {"many", {}},
                                                                              {"99999999999999999999999", {}}};
  for (const auto& [text, limit] : cases) {
    if (text != nullptr) {
      ::setenv("FDSTORE", text, 1);
    } else {
      ::unsetenv("FDSTORE");
    }
    EXPECT_EQ(sd::store_limit(), limit) << (text != nullptr ? text : "unset");
  }
  ::unsetenv("FDSTORE");
}

// --- booted ----------------------------------------------------------------------------------------------------------

TEST(booted, is_whether_the_directory_exists) {
  EXPECT_EQ(sd::booted(), std::filesystem::is_directory("/run/systemd/system"));
}

}  // namespace
