// SPDX-License-Identifier: MIT OR Apache-2.0
// Tests where sd::notify() and sd::notify_barrier() send to: the forms of NOTIFY_SOCKET, and the errors if it is not
// set, malformed or leads nowhere.

#include <sd/notify.hpp>
#include <sd/testing.hpp>
#include <sd/unique_fd.hpp>

#include "descriptor_limit.hpp"
#include "detail/os/vsock.hpp"
#include "directory.hpp"
#include "notify_fixture.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using sd::notify_result;
using sd::state;
using sd::unique_fd;
using sd::test::abstract_address;
using sd::test::check;
using sd::test::most_attached;
using sd::test::notify;
using sd::test::open_descriptors;
using sd::test::receiver;
using sd::test::stale;
using sd::test::system_error;
using testing::SizeIs;

// --- no service manager ----------------------------------------------------------------------------------------------

TEST_F(notify, unset_notify_socket_is_no_listener) {
  ::unsetenv("NOTIFY_SOCKET");
  auto ec = stale();
  EXPECT_EQ(sd::notify({state::ready()}, ec), notify_result::no_listener);
  EXPECT_EQ(ec, std::error_code());
  EXPECT_EQ(sd::notify({state::ready()}), notify_result::no_listener);
  ec = stale();
  EXPECT_EQ(sd::notify_barrier(1h, ec), notify_result::no_listener);
  EXPECT_FALSE(ec);
  EXPECT_EQ(sd::notify_barrier(-1us), notify_result::no_listener);
  EXPECT_FALSE(manager().next());
}

TEST_F(notify, invalid_messages_are_errors_without_a_service_manager) {
  ::unsetenv("NOTIFY_SOCKET");
  const std::vector<int> too_many(most_attached + 1, 0);
  const std::vector<int> closed = {0, -1};
  expect_refused({}, EINVAL);
  expect_refused({state::raw("")}, EINVAL);
  expect_refused({state::status("a\nb")}, EINVAL);
  expect_refused({state::fdname("a:b")}, EINVAL);
  expect_refused({state::main_pidfd()}, EINVAL);
  expect_refused({state::fdstore()}, E2BIG, {too_many});
  expect_refused({state::fdstore()}, EBADF, {closed});
}

TEST_F(notify, unset_notify_socket_needs_no_descriptor) {
  ::unsetenv("NOTIFY_SOCKET");
  std::error_code ec;
  std::error_code barrier_ec;
  {
    const sd::test::descriptor_limit no_descriptors(0);
    sd::notify({state::ready()}, ec);
    sd::notify_barrier(1h, barrier_ec);
  }
  EXPECT_FALSE(ec) << ec.message();
  EXPECT_FALSE(barrier_ec) << barrier_ec.message();
}

TEST_F(notify, no_free_descriptor_is_emfile) {
  std::error_code ec;
  std::error_code barrier_ec;
  {
    const sd::test::descriptor_limit no_descriptors(0);
    sd::notify({state::ready()}, ec);
    sd::notify_barrier(1h, barrier_ec);
  }
  EXPECT_EQ(ec, system_error(EMFILE));
  EXPECT_EQ(barrier_ec, system_error(EMFILE));
  EXPECT_FALSE(manager().next());
}

/// Calls notify() while descriptor 0 is closed, so that the socket gets this number.
std::error_code notify_without_standard_input() {
  const unique_fd saved(check(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), "F_DUPFD_CLOEXEC"));
  ::close(STDIN_FILENO);
  std::error_code ec;
  sd::notify({state::ready()}, ec);
  const bool is_closed = ::fcntl(STDIN_FILENO, F_GETFD) < 0;
  check(::dup2(saved.get(), STDIN_FILENO), "dup2");
  EXPECT_TRUE(is_closed) << "descriptor 0 was left open";
  return ec;
}

TEST_F(notify, closed_standard_input) {
  EXPECT_FALSE(notify_without_standard_input());
  EXPECT_EQ(manager().only(), "READY=1");
  // If there are vsock sockets, connecting this one fails.
  ::setenv("NOTIFY_SOCKET", "vsock-stream:3:1", 1);
  std::error_code ec;
  sd::notify({state::ready()}, ec);
  EXPECT_EQ(notify_without_standard_input(), ec);
}

TEST(notify_socket, paths_and_abstract_names_up_to_the_maximum_length) {
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
    EXPECT_EQ(sd::notify({state::ready()}), notify_result::sent);
    EXPECT_EQ(manager.only(), "READY=1");
  }
}

TEST(notify_socket, abstract_name_is_sent_without_padding) {
  const auto where = abstract_address();
  receiver longer(where + "x");
  receiver manager(where);
  receiver shorter(where.substr(0, where.size() - 1));
  ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
  EXPECT_EQ(sd::notify({state::ready()}), notify_result::sent);
  EXPECT_EQ(manager.only(), "READY=1");
  EXPECT_FALSE(longer.next());
  EXPECT_FALSE(shorter.next());
}

TEST(notify_socket, malformed_address) {
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
    EXPECT_EQ(sd::notify({state::ready()}, ec), notify_result::no_listener);
    EXPECT_EQ(ec, system_error(number)) << ec.message();
    ec.clear();
    EXPECT_EQ(sd::notify_barrier(1h, ec), notify_result::no_listener);
    EXPECT_EQ(ec, system_error(number)) << ec.message();
    EXPECT_EQ(open_descriptors(), before);
  }
  ::unsetenv("NOTIFY_SOCKET");
}

#if defined(__linux__)

sockaddr_vm vsock_address(unsigned port) {
  sockaddr_vm where{};
  where.svm_family = AF_VSOCK;
  where.svm_cid = 1;  // VMADDR_CID_LOCAL, which older headers lack
  where.svm_port = port;
  return where;
}

/// Returns a vsock socket that listens on the loopback address, and its port. Empty if there is no vsock loopback.
std::pair<unique_fd, unsigned> vsock_listener(int type) {
  unique_fd server(::socket(AF_VSOCK, type | SOCK_CLOEXEC, 0));
  auto where = vsock_address(UINT32_MAX);
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

void expect_arrives_by_vsock(const std::string& prefix, int type) {
  const auto [server, port] = vsock_listener(type);
  if (!server) GTEST_SKIP() << "SKIPPED: this kernel lacks vsock loopback";
  ::setenv("NOTIFY_SOCKET", (prefix + "1:" + std::to_string(port)).c_str(), 1);
  const auto before = open_descriptors();
  EXPECT_EQ(sd::notify({state::ready(), state::status("here")}), notify_result::sent);
  const unique_fd connection(check(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  std::array<char, 256> buffer;
  const auto length = check(static_cast<int>(::recv(connection.get(), buffer.data(), buffer.size(), 0)), "recv");
  EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(length)), "READY=1\nSTATUS=here");
  EXPECT_EQ(::recv(connection.get(), buffer.data(), buffer.size(), 0), 0) << "the sender has closed its socket";

  const int fd = connection.get();
  std::error_code ec;
  EXPECT_EQ(sd::notify({state::ready()}, {fd}, ec), notify_result::no_listener) << "vsock cannot pass descriptors";
  EXPECT_EQ(ec, system_error(EOPNOTSUPP));
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_THAT(open_descriptors(), SizeIs(before.size() + 1)) << "only the connection is still open";
}

TEST(notify_socket, vsock_stream) { expect_arrives_by_vsock("vsock-stream:", SOCK_STREAM); }
TEST(notify_socket, vsock_seqpacket) { expect_arrives_by_vsock("vsock-seqpacket:", SOCK_SEQPACKET); }
TEST(notify_socket, vsock_of_any_type) { expect_arrives_by_vsock("vsock:", SOCK_SEQPACKET); }

TEST(notify_socket, descriptors_for_vsock_are_eopnotsupp) {
  ::setenv("NOTIFY_SOCKET", "vsock-stream:2:1", 1);
  const auto before = open_descriptors();
  const int fd = 0;
  std::error_code ec;
  EXPECT_EQ(sd::notify({state::ready()}, {fd}, ec), notify_result::no_listener);
  EXPECT_EQ(ec, system_error(EOPNOTSUPP));
  EXPECT_EQ(sd::notify_barrier(1h, ec), notify_result::no_listener);
  EXPECT_EQ(ec, system_error(EOPNOTSUPP));
  EXPECT_EQ(open_descriptors(), before);
  ::unsetenv("NOTIFY_SOCKET");
}

#endif

TEST_F(notify, errors_if_the_manager_is_gone) {
  manager().close();
  expect_refused({state::ready()}, ECONNREFUSED);
  ::unlink(manager().where().c_str());
  expect_refused({state::ready()}, ENOENT);
  ::setenv("NOTIFY_SOCKET", "/x", 1);  // the shortest path
  expect_refused({state::ready()}, ENOENT);
  ::setenv("NOTIFY_SOCKET", (directory() / "file").c_str(), 1);
  const unique_fd file(::open((directory() / "file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  expect_refused({state::ready()}, ECONNREFUSED);
  ::setenv("NOTIFY_SOCKET", (directory() / "file/notify").c_str(), 1);
  expect_refused({state::ready()}, ENOTDIR);
  const auto before = open_descriptors();
  std::error_code ec;
  EXPECT_EQ(sd::notify_barrier(1h, ec), notify_result::no_listener);
  EXPECT_EQ(ec, system_error(ENOTDIR));
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(notify, stream_socket_is_eprototype) {
  const auto stream = sd::testing::open(sd::kind::stream, directory() / "stream");
  ::setenv("NOTIFY_SOCKET", (directory() / "stream").c_str(), 1);
  expect_refused({state::ready()}, EPROTOTYPE);
}

TEST_F(notify, exceptions_name_the_cause) {
  const auto what = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::system_error& thrown) {
      return thrown.what();
    }
    return "(nothing)";
  };
  const auto message = [](int number) { return ": " + system_error(number).message(); };
  EXPECT_EQ(what([] { EXPECT_EQ(sd::notify({state::ready()}), notify_result::sent); }), "(nothing)");
  EXPECT_EQ(manager().only(), "READY=1");
  const auto ours = "NOTIFY_SOCKET=\"" + manager().where() + '"';
  EXPECT_EQ(what([] { sd::notify_barrier(0us); }), ours + message(ETIMEDOUT));
  for (const auto& [where, shown, number] :
       std::vector<std::tuple<std::string, std::string, int>>{{"/nowhere/notify", "/nowhere/notify", ENOENT},
                                                              {"", "", EAFNOSUPPORT},
                                                              {"a\"b\n", R"(a\"b\x0a)", EAFNOSUPPORT}}) {
    ::setenv("NOTIFY_SOCKET", where.c_str(), 1);
    std::string expected = "NOTIFY_SOCKET=\"";
    expected.append(shown).append(1, '"').append(message(number));
    EXPECT_EQ(what([] { sd::notify({state::ready()}); }), expected);
    EXPECT_EQ(what([] { sd::notify_barrier(1h); }), expected);
  }
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(what([] { sd::notify({}); }), "no state to send" + message(EINVAL));
  EXPECT_EQ(what([] {
              sd::notify({state::ready(), state::status("a\nb")});
            }),
            R"(state STATUS="a\x0ab")" + message(EINVAL));
  const std::vector<int> fds(2, 0);
  EXPECT_EQ(what([&] { sd::notify(state::main_pidfd(), {fds}); }), "2 attached descriptors" + message(EINVAL));
  const std::vector<int> too_many(most_attached + 1, 0);
  EXPECT_EQ(what([&] { sd::notify(state::fdstore(), {too_many}); }), "254 attached descriptors" + message(E2BIG));
  const std::vector<state> states(22, state::ready());
  EXPECT_EQ(what([&] { sd::notify(states); }), "NOTIFY_SOCKET=\"\"" + message(EMSGSIZE));
}

}  // namespace
