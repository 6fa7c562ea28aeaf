// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>
#include <sd/take.hpp>
#include <sd/testing.hpp>

#include "allocation.hpp"
#include "directory.hpp"
#include "errors.hpp"
#include "process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using sd::address;
using sd::errc;
using sd::kind;
using sd::listen_fd;
using sd::named;
using sd::unique_fd;
using sd::test::directory;
using sd::test::on_valgrind;
using sd::test::stale;
using sd::testing::open;
using testing::ElementsAre;
using testing::IsEmpty;

// --- lists -----------------------------------------------------------------------------------------------------------

template <class... Entry>
std::vector<listen_fd> list_of(Entry... entries) {
  std::vector<listen_fd> list;
  (list.push_back(std::move(entries)), ...);
  return list;
}

/// Identifies an entry: its name, its descriptor, and the inode of the open file.
using trace = std::tuple<std::optional<std::string>, int, std::uint64_t>;

trace trace_of(const listen_fd& entry) {
  struct stat status {};
  const bool is_open = ::fstat(entry.fd.get(), &status) == 0;
  return {entry.name, entry.fd.get(), is_open ? std::uint64_t{status.st_ino} : 0};
}

std::vector<trace> traces_of(const std::vector<listen_fd>& list) {
  std::vector<trace> traces;
  traces.reserve(list.size());
  for (const auto& entry : list) traces.push_back(trace_of(entry));
  return traces;
}

/// Returns the indices that these entries had in the original list.
std::vector<std::size_t> indices(const std::vector<listen_fd>& some, const std::vector<trace>& all) {
  std::vector<std::size_t> result;
  for (const auto& entry : some) {
    std::size_t at = 0;
    while (at < all.size() && all[at] != trace_of(entry)) ++at;
    result.push_back(at);
  }
  return result;
}

/// Replaces each # and the digit after it with the descriptor of the entry at that index.
std::string with_numbers(const std::string& text, const std::vector<listen_fd>& list) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#') {
      result += std::to_string(list.at(static_cast<std::size_t>(text[++i] - '0')).fd.get());
    } else {
      result += text[i];
    }
  }
  return result;
}

/// Expects that both forms of take() remove the entry at this index, and no other.
void expect_taken(std::vector<listen_fd>& list, std::size_t index, kind wanted, const sd::selector& which) {
  const auto before = traces_of(list);
  for (const bool throwing : {false, true}) {
    auto ec = throwing ? std::error_code() : stale();
    auto taken = throwing ? sd::take(list, wanted, which) : sd::take(list, wanted, which, ec);
    ASSERT_EQ(ec, std::error_code());
    auto after = before;
    after.erase(after.begin() + static_cast<std::ptrdiff_t>(index));
    EXPECT_EQ(traces_of(list), after);
    EXPECT_EQ(taken.name, std::get<0>(before[index]));
    EXPECT_EQ(taken.fd.get(), std::get<int>(before[index]));
    // Put it back.
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(index), std::move(taken));
    ASSERT_EQ(traces_of(list), before);
  }
}

/// Expects that both forms of take() fail and leave the list unchanged.
void expect_error(std::vector<listen_fd>& list, errc error, kind wanted, const sd::selector& which = {},
                  const std::optional<std::string>& message = {}) {
  const auto before = traces_of(list);
  auto ec = stale();
  EXPECT_FALSE(sd::take(list, wanted, which, ec).fd);
  EXPECT_EQ(ec, error);
  EXPECT_EQ(traces_of(list), before);
  try {
    const auto taken = sd::take(list, wanted, which);
    ADD_FAILURE() << "no error: " << taken.fd.get();
  } catch (const std::system_error& thrown) {
    EXPECT_EQ(thrown.code(), error);
    if (message) {
      EXPECT_EQ(thrown.what(), with_numbers(*message, list) + ": " + make_error_code(error).message());
    }
  }
  EXPECT_EQ(traces_of(list), before);
}

unsigned port_of(const listen_fd& entry) { return sd::describe(entry.fd.get()).local.port(); }

/// Returns the address HOST:PORT with the port of this entry.
address at(const std::string& host, const listen_fd& entry) {
  return address(host + ':' + std::to_string(port_of(entry)));
}

listen_fd tcp(std::optional<std::string> name = {}) { return open(kind::stream, "127.0.0.1:0", std::move(name)); }
listen_fd udp(std::optional<std::string> name = {}) { return open(kind::datagram, "127.0.0.1:0", std::move(name)); }
listen_fd null(std::optional<std::string> name = {}) { return open(kind::special, "/dev/null", std::move(name)); }

// --- take ------------------------------------------------------------------------------------------------------------

class take : public testing::Test {
 protected:
  directory dir_;
  std::vector<listen_fd> list_ = list_of(tcp("web"), udp("dns"), open(kind::fifo, dir_ / "fifo", "log"), null(),
                                         open(kind::seqpacket, dir_ / "packets", ""));
};

TEST_F(take, by_kind) {
  expect_taken(list_, 0, kind::stream, {});
  expect_taken(list_, 1, kind::datagram, {});
  expect_taken(list_, 2, kind::fifo, {});
  expect_taken(list_, 3, kind::special, {});
  expect_taken(list_, 4, kind::seqpacket, {});
}

TEST_F(take, by_name) {
  list_.push_back(tcp("web2"));
  list_.push_back(tcp("we"));
  list_.push_back(tcp(""));
  list_.push_back(tcp());
  list_.push_back(tcp("a:\n\xff"));
  expect_taken(list_, 0, kind::stream, named("web"));
  expect_taken(list_, 2, kind::fifo, named("log"));
  expect_taken(list_, 4, kind::seqpacket, named(""));
  expect_taken(list_, 5, kind::stream, named("web2"));
  expect_taken(list_, 6, kind::stream, named("we"));
  expect_taken(list_, 7, kind::stream, named(""));  // an empty name is a name
  expect_taken(list_, 9, kind::stream, named("a:\n\xff"));
}

TEST_F(take, by_address) {
  list_.push_back(tcp());
  expect_taken(list_, 0, kind::stream, at("127.0.0.1", list_[0]));
  expect_error(list_, errc::not_passed, kind::stream, at("0.0.0.0", list_[0]));
  expect_taken(list_, 1, kind::datagram, at("127.0.0.1", list_[1]));
  expect_taken(list_, 4, kind::seqpacket, address(dir_ / "packets"));
  expect_taken(list_, 5, kind::stream, at("127.0.0.1", list_[5]));
}

TEST_F(take, by_name_shared_by_several_kinds) {
  auto list = list_of(tcp("web"), null("web"), udp("web"), tcp("admin"));
  expect_taken(list, 0, kind::stream, named("web"));
  expect_taken(list, 1, kind::special, named("web"));
  expect_taken(list, 2, kind::datagram, named("web"));
}

TEST_F(take, by_port_shared_by_two_kinds) {
  auto list = list_of(tcp());
  for (int tries = 0; list.size() < 2; ++tries) {
    try {
      list.push_back(open(kind::datagram, to_string(at("127.0.0.1", list[0]))));
    } catch (const std::system_error& error) {  // another program may have the UDP port
      if (error.code() != std::errc::address_in_use || tries == 10) throw;
      list[0] = tcp();
    }
  }
  const auto where = at("127.0.0.1", list[0]);
  expect_taken(list, 0, kind::stream, where);
  expect_taken(list, 1, kind::datagram, where);
  expect_error(list, errc::wrong_kind, kind::seqpacket, where);
}

TEST_F(take, other_entries_stay_in_order) {
  const auto before = traces_of(list_);
  const auto log = sd::take(list_, kind::fifo);
  EXPECT_THAT(indices(list_, before), ElementsAre(0, 1, 3, 4));
  const auto web = sd::take(list_, kind::stream, named("web"));
  EXPECT_THAT(indices(list_, before), ElementsAre(1, 3, 4));
  const auto packets = sd::take(list_, kind::seqpacket);
  EXPECT_THAT(indices(list_, before), ElementsAre(1, 3));
  EXPECT_EQ(to_string(list_),
            with_numbers("#0 \"dns\" datagram inet " + to_string(at("127.0.0.1", list_[0])) + ", #1 special /dev/null",
                         list_));
  expect_error(list_, errc::not_passed, kind::fifo);
}

TEST_F(take, flags_of_the_descriptor_are_unchanged) {
  const int flags = ::fcntl(list_[2].fd.get(), F_GETFL);
  const auto fd = sd::take(list_, kind::fifo).fd;
  EXPECT_EQ(::fcntl(fd.get(), F_GETFL), flags);
  EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(take, connection) {
  auto [passed, client] = sd::testing::connection();
  list_.push_back(std::move(passed));
  expect_taken(list_, 5, kind::connection, {});
  expect_taken(list_, 5, kind::connection, named("connection"));
}

// --- errors ----------------------------------------------------------------------------------------------------------

TEST_F(take, missing_descriptor_is_not_passed) {
  list_.push_back(tcp());
  expect_error(list_, errc::not_passed, kind::directory);
  expect_error(list_, errc::not_passed, kind::stream, named("webs"));
  expect_error(list_, errc::not_passed, kind::stream, named("we"));
  expect_error(list_, errc::not_passed, kind::stream, named("WEB"));
  expect_error(list_, errc::not_passed, kind::stream, address("127.0.0.1:1"));
  expect_error(list_, errc::not_passed, kind::stream, at("127.0.0.2", list_[0]));
  expect_error(list_, errc::not_passed, kind::seqpacket, address(dir_ / "packet"));
  expect_error(list_, errc::not_passed, kind::seqpacket, address('@' + (dir_ / "packets").substr(1)));
  std::vector<listen_fd> nothing;
  expect_error(nothing, errc::not_passed, kind::stream);
}

TEST_F(take, other_kind_is_wrong_kind) {
  expect_error(list_, errc::wrong_kind, kind::stream, named("dns"));
  expect_error(list_, errc::wrong_kind, kind::stream, named(""));
  expect_error(list_, errc::wrong_kind, kind::raw, named("web"));
  expect_error(list_, errc::wrong_kind, kind::datagram, at("127.0.0.1", list_[0]));
  expect_error(list_, errc::wrong_kind, kind::stream, address(dir_ / "packets"));
}

TEST_F(take, several_matches_are_ambiguous) {
  auto list = list_of(tcp("web"), udp("web"), tcp("web"), null());
  expect_error(list, errc::ambiguous, kind::stream);
  expect_error(list, errc::ambiguous, kind::stream, named("web"));
  expect_taken(list, 1, kind::datagram, named("web"));
}

TEST_F(take, empty_address_matches_nothing) {
  auto pair = sd::testing::connection();
  list_.push_back(std::move(pair.first));
  expect_error(list_, errc::not_passed, kind::fifo, address());
  expect_error(list_, errc::not_passed, kind::stream, address());
  expect_error(list_, errc::not_passed, kind::connection, address());
}

TEST_F(take, closed_descriptor_is_not_passed) {
  list_[0].fd.reset();
  expect_error(list_, errc::not_passed, kind::stream);
  expect_error(list_, errc::not_passed, kind::stream, named("web"));
  list_.push_back(tcp("web"));
  expect_taken(list_, 5, kind::stream, named("web"));
  expect_taken(list_, 5, kind::stream, {});
}

TEST_F(take, error_text_names_request_and_passed_descriptors) {
  auto list = list_of(tcp("web"), tcp("web"), null(), open(kind::fifo, dir_ / "fi\nfo", "a \"\n"));
  const auto where = to_string(at("127.0.0.1", list[0]));
  const auto passed = ", available: #0 \"web\" stream inet " + where + ", #1 \"web\" stream inet " +
                      to_string(at("127.0.0.1", list[1])) + R"(, #2 special /dev/null, #3 "a \"\x0a" fifo )" +
                      dir_.path() + "/fi\\x0afo nonblocking";
  const struct {
    errc error;
    kind wanted;
    sd::selector which;
    std::string asked;
    std::string advice;
  } rows[] = {
      {errc::ambiguous, kind::stream, {}, "more than one stream socket", "; select one by its FileDescriptorName="},
      {errc::ambiguous, kind::stream, named("web"), "more than one stream socket named \"web\"",
       "; give each its own socket unit with another FileDescriptorName="},
      {errc::not_passed, kind::datagram, {}, "no datagram socket", "; the socket unit needs ListenDatagram="},
      {errc::not_passed, kind::stream, named("x\n\""), R"(no stream socket named "x\x0a\"")",
       R"(; the socket unit needs ListenStream= and FileDescriptorName=x\x0a\")"},
      {errc::not_passed, kind::stream, address("/run/x\n"), R"(no stream socket at /run/x\x0a)",
       R"(; the socket unit needs ListenStream=/run/x\x0a)"},
      {errc::not_passed, kind::connection, address("[::]:80"), "no connection at [::]:80",
       "; the socket unit needs Accept=yes and ListenStream=[::]:80"},
      {errc::wrong_kind, kind::seqpacket, named("web"),
       "the descriptor named \"web\" is not a sequential-packet socket",
       "; the socket unit needs ListenSequentialPacket= and FileDescriptorName=web"},
      {errc::wrong_kind, kind::datagram, at("127.0.0.1", list[0]),
       "the descriptor at " + where + " is not a datagram socket", "; the socket unit needs ListenDatagram=" + where},
      {errc::wrong_kind, kind::directory, named("web"), "the descriptor named \"web\" is not a directory", ""},
  };
  for (const auto& row : rows) expect_error(list, row.error, row.wanted, row.which, row.asked + passed + row.advice);
}

TEST_F(take, error_text_of_an_ambiguous_address) {
  std::vector<listen_fd> list;
  for (int i = 0; i < 2; ++i) {
    unique_fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ASSERT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    const auto where = i == 0 ? address("127.0.0.1:0") : at("127.0.0.1", list[0]);
    ASSERT_EQ(::bind(fd.get(), static_cast<const sockaddr*>(where.data()), static_cast<socklen_t>(where.size())), 0);
    list.push_back({{}, std::move(fd)});
  }
  const auto where = to_string(at("127.0.0.1", list[0]));
  const auto each = " datagram inet " + where + " reuse-port";
  expect_error(list, errc::ambiguous, kind::datagram, at("127.0.0.1", list[0]),
               "more than one datagram socket at " + where + ", available: #0" + each + ", #1" + each +
                   "; select one by its FileDescriptorName=");
  EXPECT_EQ(sd::take_all(list, kind::datagram, address(where)).size(), 2U);
}

TEST_F(take, error_text_names_the_directive_of_each_kind) {
  const std::pair<kind, const char*> rows[] = {
      {kind::stream, "no stream socket, available: nothing; the socket unit needs ListenStream="},
      {kind::seqpacket,
       "no sequential-packet socket, available: nothing; the socket unit needs ListenSequentialPacket="},
      {kind::connection, "no connection, available: nothing; the socket unit needs Accept=yes and ListenStream="},
      {kind::unconnected, "no unconnected socket, available: nothing"},
      {kind::datagram, "no datagram socket, available: nothing; the socket unit needs ListenDatagram="},
      {kind::raw, "no raw socket, available: nothing"},
      {kind::netlink, "no netlink socket, available: nothing; the socket unit needs ListenNetlink="},
      {kind::fifo, "no fifo, available: nothing; the socket unit needs ListenFIFO="},
      {kind::special, "no special file, available: nothing; the socket unit needs ListenSpecial="},
      {kind::message_queue, "no message queue, available: nothing; the socket unit needs ListenMessageQueue="},
      {kind::directory, "no directory, available: nothing"},
      {kind::other, "no descriptor of another kind, available: nothing"},
  };
  std::vector<listen_fd> nothing;
  for (const auto& [wanted, message] : rows) expect_error(nothing, errc::not_passed, wanted, {}, message);
}

TEST_F(take, message_of_each_error_code) {
  EXPECT_EQ(make_error_code(errc::not_passed).message(), "no such descriptor was passed");
  EXPECT_EQ(make_error_code(errc::wrong_kind).message(), "wrong kind of descriptor");
  EXPECT_EQ(make_error_code(errc::ambiguous).message(), "more than one such descriptor was passed");
}

// --- try_take and require_all_taken ----------------------------------------------------------------------------------

TEST_F(take, try_take_returns_the_descriptor_or_nothing) {
  for (const bool throwing : {false, true}) {
    auto ec = stale();
    const auto missing = throwing ? sd::try_take(list_, kind::raw) : sd::try_take(list_, kind::raw, ec);
    EXPECT_FALSE(missing);
    if (!throwing) {
      EXPECT_FALSE(ec);
    }
  }
  const auto before = traces_of(list_);
  const auto fifo = sd::try_take(list_, kind::fifo);
  ASSERT_TRUE(fifo);
  EXPECT_EQ(fifo->fd.get(), std::get<int>(before[2]));
  auto ec = stale();
  EXPECT_EQ(sd::try_take(list_, kind::stream, named("web"), ec)->name, "web");
  EXPECT_FALSE(ec);
}

TEST_F(take, try_take_fails_for_another_kind_or_several) {
  auto ec = stale();
  EXPECT_FALSE(sd::try_take(list_, kind::stream, named("dns"), ec));
  EXPECT_EQ(ec, errc::wrong_kind);
  list_.push_back(tcp("web"));
  EXPECT_FALSE(sd::try_take(list_, kind::stream, ec));
  EXPECT_EQ(ec, errc::ambiguous);
  EXPECT_THROW(static_cast<void>(sd::try_take(list_, kind::stream)), std::system_error);
}

TEST_F(take, name_and_address_together_select_one) {
  auto list = list_of(tcp("web"), tcp("web"), tcp("admin"));
  const auto where = at("127.0.0.1", list[1]);
  expect_taken(list, 1, kind::stream, named("web").at(where));
  expect_error(list, errc::not_passed, kind::stream, named("admin").at(where));
}

TEST_F(take, require_all_taken_fails_if_an_entry_is_left) {
  auto ec = stale();
  sd::require_all_taken(list_, ec);
  EXPECT_EQ(ec, errc::not_taken);
  try {
    sd::require_all_taken(list_);
    ADD_FAILURE() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.what(), to_string(list_) + ": a passed descriptor is not used by this program");
  }
  list_.clear();
  sd::require_all_taken(list_, ec);
  EXPECT_FALSE(ec);
  EXPECT_NO_THROW(sd::require_all_taken(list_));
}

// --- equivalent addresses --------------------------------------------------------------------------------------------

/// Returns a list with one IPv6 socket, or an empty list if the kernel cannot bind it.
std::vector<listen_fd> passed_v6(const char* where, bool v6only, int type = SOCK_STREAM) {
  unique_fd fd(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
  const int value = v6only ? 1 : 0;
  const address local(where);
  if (!fd || ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof value) < 0 ||
      ::bind(fd.get(), static_cast<const sockaddr*>(local.data()), static_cast<socklen_t>(local.size())) < 0 ||
      (type == SOCK_STREAM && ::listen(fd.get(), 5) < 0)) {
    return {};
  }
  return list_of(listen_fd{"six", std::move(fd)});
}

struct equivalent_row {
  const char* bound;
  const char* wanted;
  bool is_same;
  bool v6only = false;
};

class equivalent_address : public testing::TestWithParam<equivalent_row> {};

TEST_P(equivalent_address, selects_the_socket) {
  const auto& row = GetParam();
  for (const int type : {int{SOCK_STREAM}, int{SOCK_DGRAM}}) {
    auto list = passed_v6((row.bound + ":0"s).c_str(), row.v6only, type);
    if (list.empty())
      GTEST_SKIP() << "SKIPPED: no socket at " << row.bound << ": " << std::generic_category().message(errno);
    const auto wanted = type == SOCK_STREAM ? kind::stream : kind::datagram;
    const auto where = at(row.wanted, list[0]);
    if (row.is_same) {
      expect_taken(list, 0, wanted, where);
    } else {
      expect_error(list, errc::not_passed, wanted, where);
      EXPECT_THAT(sd::take_all(list, wanted, where), IsEmpty());
    }
    const address other_port(row.wanted + (port_of(list[0]) == 1 ? ":2"s : ":1"s));
    expect_error(list, errc::not_passed, wanted, other_port);
  }
}

constexpr equivalent_row equivalent_table[] = {
    // v4-mapped
    {"[::ffff:127.0.0.1]", "127.0.0.1", true},
    {"[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", true},
    {"[::ffff:127.0.0.1]", "127.0.0.2", false},
    {"[::ffff:127.0.0.1]", "[::ffff:127.0.0.2]", false},
    {"[::ffff:127.0.0.1]", "0.0.0.0", false},
    {"[::ffff:127.0.0.1]", "[::1]", false},
    {"[::ffff:0.0.0.0]", "0.0.0.0", true},
    {"[::ffff:0.0.0.0]", "[::]", false},
    // wildcards
    {"[::]", "[::]", true},
    {"[::]", "[::]", true, true},
    {"[::]", "0.0.0.0", true},
    {"[::]", "[::ffff:0.0.0.0]", true},
    {"[::]", "0.0.0.0", false, true},
    {"[::]", "[::ffff:0.0.0.0]", false, true},
    // a wildcard is not the addresses that it includes
    {"[::]", "127.0.0.1", false},
    {"[::]", "[::ffff:127.0.0.1]", false},
    {"[::]", "[::1]", false},
    {"[::1]", "[::]", false},
    {"[::1]", "0.0.0.0", false},
    {"[::1]", "127.0.0.1", false},
    {"[::1]", "[::1]", true},
};

INSTANTIATE_TEST_SUITE_P(take, equivalent_address, testing::ValuesIn(equivalent_table));

TEST_F(take, by_v4_mapped_address) {
  auto list = list_of(tcp());
  expect_taken(list, 0, kind::stream, at("[::ffff:127.0.0.1]", list[0]));
  expect_error(list, errc::not_passed, kind::stream, at("[::ffff:127.0.0.2]", list[0]));
}

TEST_F(take, wildcard_is_not_selected_by_an_address_that_it_includes) {
  auto list = list_of(open(kind::stream, "0.0.0.0:0"));
  expect_taken(list, 0, kind::stream, at("0.0.0.0", list[0]));
  expect_taken(list, 0, kind::stream, at("[::ffff:0.0.0.0]", list[0]));
  for (const char* host : {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "[::]"}) {
    expect_error(list, errc::not_passed, kind::stream, at(host, list[0]));
  }
}

TEST_F(take, ipv4_and_ipv6_wildcards_that_share_a_port) {
  auto list = passed_v6("[::]:0", true);
  if (list.empty()) GTEST_SKIP() << "SKIPPED: no socket at [::]: " << std::generic_category().message(errno);
  try {
    list.push_back(open(kind::stream, to_string(at("0.0.0.0", list[0]))));
  } catch (const std::system_error& error) {
    GTEST_SKIP() << "SKIPPED: " << error.what();
  }
  expect_taken(list, 0, kind::stream, at("[::]", list[0]));
  expect_taken(list, 1, kind::stream, at("0.0.0.0", list[0]));
}

TEST_F(take, by_scope) {
  if (!sd::test::emulator().empty()) GTEST_SKIP() << "SKIPPED: qemu gives the bytes of a scope in another order";
  auto list = passed_v6("[ff02::1]:0%lo", true, SOCK_DGRAM);
  if (list.empty()) GTEST_SKIP() << "SKIPPED: no socket at [ff02::1]%lo: " << std::generic_category().message(errno);
  const auto where = to_string(at("[ff02::1]", list[0]));
  expect_taken(list, 0, kind::datagram, address(where));
  expect_taken(list, 0, kind::datagram, address(where + "%lo"));
  expect_error(list, errc::not_passed, kind::datagram, address(where + "%4294967295"));
}

TEST_F(take, by_scope_that_the_kernel_does_not_keep) {
  auto list = passed_v6("[::1]:0", true);
  if (list.empty()) GTEST_SKIP() << "SKIPPED: no socket at [::1]: " << std::generic_category().message(errno);
  expect_taken(list, 0, kind::stream, address(to_string(at("[::1]", list[0])) + "%lo"));
}

TEST_F(take, by_path_through_a_symbolic_link) {
  std::filesystem::create_directories(dir_ / "a");
  std::filesystem::create_directories(dir_ / "b");
  std::filesystem::create_directory_symlink("a", dir_ / "to-a");
  auto list = list_of(open(kind::stream, dir_ / "a/socket"), open(kind::stream, dir_ / "b/socket"));
  std::filesystem::create_symlink("b/socket", dir_ / "to-b-socket");
  expect_taken(list, 0, kind::stream, address(dir_ / "a/socket"));
  expect_taken(list, 1, kind::stream, address(dir_ / "b/socket"));
  expect_taken(list, 0, kind::stream, address(dir_ / "to-a/socket"));
  expect_taken(list, 0, kind::stream, address(dir_ / "b/../a/./socket"));
  expect_taken(list, 1, kind::stream, address(dir_ / "to-b-socket"));
  expect_error(list, errc::not_passed, kind::stream, address(dir_ / "to-a"));
  expect_error(list, errc::not_passed, kind::stream, address(dir_ / "to-a/none"));
  expect_error(list, errc::wrong_kind, kind::seqpacket, address(dir_ / "to-a/socket"));
}

TEST_F(take, by_unlinked_path) {
  auto list = list_of(open(kind::stream, dir_ / "socket"));
  std::filesystem::create_directory_symlink(dir_.path(), dir_ / "here");
  expect_taken(list, 0, kind::stream, address(dir_ / "here/socket"));
  ASSERT_EQ(::unlink((dir_ / "socket").c_str()), 0);
  expect_taken(list, 0, kind::stream, address(dir_ / "socket"));
  expect_error(list, errc::not_passed, kind::stream, address(dir_ / "here/socket"));
}

TEST_F(take, by_longest_path) {
  auto path = dir_ / "";
  ASSERT_LT(path.size(), 100U) << "the temporary directory has too long a path for a socket";
  path.resize(107, 'p');
  auto list = list_of(open(kind::datagram, path));
  expect_taken(list, 0, kind::datagram, address(path));
  expect_error(list, errc::not_passed, kind::datagram, address(path.substr(0, 106)));
  // Also through a link from a short path to the longest one, and from the longest one to a short path.
  std::filesystem::create_symlink(path, dir_ / "short");
  expect_taken(list, 0, kind::datagram, address(dir_ / "short"));
  path.back() = 'q';
  std::filesystem::create_symlink("packets", path);
  expect_taken(list_, 4, kind::seqpacket, address(path));
}

TEST_F(take, by_abstract_name) {
  auto name = "@sd-take-test-" + std::to_string(::getpid());
  name.resize(108, 'x');  // qemu-user adds a NUL to shorter ones
  auto list = list_of(open(kind::stream, name));
  expect_taken(list, 0, kind::stream, address(name));
  expect_error(list, errc::not_passed, kind::stream, address(name.substr(0, 107)));
  expect_error(list, errc::not_passed, kind::stream, address('/' + name.substr(1, 106)));
  // Names whose bytes are those of a v4-mapped address with another flow label.
  const auto mapped = std::string(10, '\0') + "\xff\xff\x7f" + std::string(2, '\0') + '\1';
  list = list_of(open(kind::stream, "@take1" + mapped));
  expect_taken(list, 0, kind::stream, address("@take1" + mapped));
  expect_error(list, errc::not_passed, kind::stream, address("@take2" + mapped));
}

// --- take_all --------------------------------------------------------------------------------------------------------

/// Expects that take_all() removes the entries at these indices, in order, and no others.
void expect_all_taken(const std::vector<std::size_t>& expected, kind wanted, const sd::selector& which = {}) {
  auto list = list_of(tcp("a"), udp("a"), tcp("b"), null(), tcp("a"), udp("b"), tcp());
  if (which.where()) list[2] = open(kind::stream, to_string(*which.where()), "b");
  const auto before = traces_of(list);
  const auto taken = sd::take_all(list, wanted, which);
  EXPECT_EQ(indices(taken, before), expected);
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (std::find(expected.begin(), expected.end(), i) == expected.end()) rest.push_back(i);
  }
  EXPECT_EQ(indices(list, before), rest);
}

TEST(take_all, by_kind) {
  expect_all_taken({0, 2, 4, 6}, kind::stream);
  expect_all_taken({1, 5}, kind::datagram);
  expect_all_taken({3}, kind::special);
}

TEST(take_all, by_name) {
  expect_all_taken({0, 4}, kind::stream, named("a"));
  expect_all_taken({1}, kind::datagram, named("a"));
  expect_all_taken({2}, kind::stream, named("b"));
}

TEST(take_all, by_address) {
  const directory dir;
  expect_all_taken({2}, kind::stream, address(dir / "socket"));
}

TEST(take_all, no_match_is_empty) {
  expect_all_taken({}, kind::fifo);
  expect_all_taken({}, kind::special, named("a"));
  expect_all_taken({}, kind::stream, named("c"));
  expect_all_taken({}, kind::stream, named(""));
  std::vector<listen_fd> nothing;
  EXPECT_THAT(sd::take_all(nothing, kind::stream), IsEmpty());
}

TEST(take_all, entry_without_descriptor_stays) {
  auto list = list_of(tcp("a"), tcp("b"), null());
  const auto moved = std::move(list[0].fd);
  EXPECT_EQ(sd::take_all(list, kind::stream).size(), 1U);
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].name, "a");
}

// --- failed allocations ----------------------------------------------------------------------------------------------

/// Makes each allocation of the call fail in turn. Returns the number of allocations that failed.
template <class Call>
int failures(const std::vector<listen_fd>& list, Call call) {
  const auto before = traces_of(list);
  for (int allocation = 0;; ++allocation) {
    sd::test::allocations_left = allocation;
    bool failed = false;
    try {
      call();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    sd::test::allocations_left = -1;
    if (!failed) return allocation;
    EXPECT_EQ(traces_of(list), before);
  }
}

TEST_F(take, failed_allocation_changes_nothing) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind has an operator new of its own";
  list_.push_back(tcp("a name that takes memory"));
  listen_fd taken;
  const auto which = named("a name that takes memory");
  EXPECT_GT(failures(list_, [&] { taken = sd::take(list_, kind::stream, which); }), 0);
  EXPECT_TRUE(taken.fd);
  EXPECT_EQ(list_.size(), 5U);
}

TEST(take_all, failed_allocation_changes_nothing) {
  if (on_valgrind()) GTEST_SKIP() << "SKIPPED: valgrind has an operator new of its own";
  auto list = list_of(tcp("a"), udp(), tcp("b"), tcp("c"));
  std::vector<listen_fd> taken;
  EXPECT_GT(failures(list, [&] { taken = sd::take_all(list, kind::stream); }), 1);
  EXPECT_EQ(taken.size(), 3U);
  EXPECT_EQ(list.size(), 1U);
}

// --- to_string -------------------------------------------------------------------------------------------------------

TEST(list_to_string, is_one_printable_line) {
  std::vector<listen_fd> list;
  EXPECT_EQ(to_string(list), "nothing");
  list = list_of(tcp("web"), null(), null(""), null("a\"\n, 4"), null(std::string(65, 'x')), listen_fd{"gone", {}});
  EXPECT_EQ(
      to_string(list),
      with_numbers("#0 \"web\" stream inet " + to_string(at("127.0.0.1", list[0])) +
                       ", #1 special /dev/null, #2 \"\" special /dev/null, #3 \"a\\\"\\x0a, 4\" special /dev/null, "
                       "#4 \"" +
                       std::string(64, 'x') + "...\" special /dev/null, -1 \"gone\" Bad file descriptor",
                   list));
}

TEST(selector, returns_its_name_and_address) {
  EXPECT_EQ(sd::selector().name(), std::nullopt);
  EXPECT_EQ(sd::selector().where(), std::nullopt);
  EXPECT_EQ(named("").name(), "");
  EXPECT_EQ(named("web").name(), "web");
  EXPECT_EQ(named("web").where(), std::nullopt);
  const sd::selector which = address("127.0.0.1:80");
  EXPECT_EQ(which.where(), address("127.0.0.1:80"));
  EXPECT_EQ(which.name(), std::nullopt);
}

}  // namespace
