// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/unique_fd.hpp>

#include "closed_input.hpp"
#include "descriptor_limit.hpp"
#include "descriptors.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/os/sockets.hpp"
#include "directory.hpp"
#include "failing_call.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<linux/unix_diag.h>)
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#endif

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace {

namespace os = sd::detail::os;

using sd::test::is_close_on_exec;

#if defined(SYS_fstatfs64)
constexpr long fstatfs_call = SYS_fstatfs64;
#else
constexpr long fstatfs_call = SYS_fstatfs;
#endif

/// A copy that must not be read past its end: the memory that follows it cannot be accessed.
class copy_at_end_of_memory {
 public:
  copy_at_end_of_memory(const void* data, std::size_t size) {
    EXPECT_EQ(::mprotect(pages_ + page_, page_, PROT_NONE), 0);
    begin_ = pages_ + page_ - size;
    std::memcpy(begin_, data, size);
  }
  copy_at_end_of_memory(const copy_at_end_of_memory&) = delete;
  copy_at_end_of_memory& operator=(const copy_at_end_of_memory&) = delete;
  ~copy_at_end_of_memory() { ::munmap(pages_, 2 * page_); }

  [[nodiscard]] const void* get() const { return begin_; }

 private:
  std::size_t page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  char* pages_ =
      static_cast<char*>(::mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* begin_;
};

sd::unique_fd open_null() { return sd::unique_fd(::open("/dev/null", O_RDONLY)); }

TEST(os, close_on_exec_can_be_set_and_cleared) {
  const auto fd = open_null();
  EXPECT_EQ(os::is_close_on_exec(fd.get()), 0);
  EXPECT_EQ(os::set_close_on_exec(fd.get(), true), 0);
  EXPECT_EQ(os::is_close_on_exec(fd.get()), 1);
  EXPECT_TRUE(is_close_on_exec(fd));
  EXPECT_EQ(os::set_close_on_exec(fd.get(), false), 0);
  EXPECT_EQ(os::is_close_on_exec(fd.get()), 0);
  EXPECT_FALSE(is_close_on_exec(fd));
}

TEST(os, failure_is_the_negated_errno) {
  EXPECT_EQ(os::is_close_on_exec(-1), -EBADF);
  EXPECT_EQ(os::set_close_on_exec(-1, true), -EBADF);
  EXPECT_EQ(os::duplicate(-1, 3), -EBADF);
  EXPECT_EQ(os::close(-1), -EBADF);
  std::uint64_t number = 0;
  EXPECT_EQ(os::inode(-1, number), -EBADF);
  EXPECT_EQ(os::is_pidfs(-1), -EBADF);
  EXPECT_LT(os::open_pidfd(-1), 0);
  EXPECT_EQ(os::remove_directory("/sd-does-not-exist"), -ENOENT);
  EXPECT_EQ(os::change_mode(-1, 0600), -EBADF);
  EXPECT_EQ(os::change_owner(-1, 0, 0), -EBADF);
  EXPECT_EQ(os::unlock(-1), -EBADF);
  EXPECT_EQ(os::is_nonblocking(-1), -EBADF);
  EXPECT_EQ(os::set_nonblocking(-1, true), -EBADF);
  EXPECT_EQ(os::set_send_buffer(-1, 1), -EBADF);
  EXPECT_EQ(os::socket_protocol(-1), -EBADF);
  const auto null = open_null();
  EXPECT_EQ(os::is_bound_to(-1, null.get()), -EBADF);
}

TEST(os, close_on_exec_can_be_set_for_a_range) {
  const auto fd = open_null();
  const int result = os::set_close_on_exec_range(fd.get(), fd.get());
  if (result < 0) GTEST_SKIP() << "SKIPPED: this kernel has no close_range(2) with CLOSE_RANGE_CLOEXEC (Linux 5.11)";
  EXPECT_EQ(result, 0);
  EXPECT_TRUE(is_close_on_exec(fd));
}

TEST(os, pidfs) {
  const auto null = open_null();
  EXPECT_EQ(os::is_pidfs(null.get()), 0);
  const sd::unique_fd pidfd(os::open_pidfd(::getpid()));
  if (!pidfd) GTEST_SKIP() << "SKIPPED: this kernel has no pidfds (Linux 5.3)";
  const int result = os::is_pidfs(pidfd.get());
  EXPECT_TRUE(result == 0 || result == 1) << result;
}

TEST(os, duplicate_is_close_on_exec) {
  const auto fd = open_null();
  const sd::unique_fd copy(os::duplicate(fd.get(), 500));
  EXPECT_GE(copy.get(), 500);
  EXPECT_TRUE(is_close_on_exec(copy));
  EXPECT_FALSE(is_close_on_exec(fd));
}

TEST(os, process_id_and_inode) {
  EXPECT_EQ(os::process_id(), ::getpid());
  const auto fd = open_null();
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  std::uint64_t number = 0;
  EXPECT_EQ(os::inode(fd.get(), number), 0);
  EXPECT_EQ(number, status.st_ino);
}

TEST(os, status_is_what_stat_reports) {
  const sd::test::directory directory;
  const auto path = directory / "file";
  const auto fd = sd::test::open_file(path, O_RDWR | O_CREAT);
  const timespec times[] = {{1, 2}, {1'600'000'000, 123'456'789}};
  ASSERT_EQ(::futimens(fd.get(), times), 0);
  ASSERT_EQ(::fchmod(fd.get(), 04751), 0);
  struct stat expected {};
  ASSERT_EQ(::fstat(fd.get(), &expected), 0);
  os::file file;
  ASSERT_EQ(os::status(path.c_str(), file), 0);
  EXPECT_EQ(file.type, os::file_type::regular);
  EXPECT_EQ(file.device, expected.st_dev);
  EXPECT_EQ(file.inode, expected.st_ino);
  EXPECT_EQ(file.modified, 1'600'000'000'123'456'789);
  EXPECT_EQ(file.links, 1U);
  EXPECT_EQ(file.owner, ::geteuid());
  EXPECT_EQ(file.group, expected.st_gid);
  EXPECT_EQ(file.mode, 04751U);
}

TEST(os, opened_path_of_a_closed_descriptor_is_unknown) {
  char path[] = "/";
  EXPECT_EQ(os::opened_path(-1, path, sizeof path), 0);
}

TEST(os, is_message_queue_reports_the_error_of_fstatfs) {
  const auto fd = open_null();
  const sd::test::failing_call fails{fstatfs_call, 0, static_cast<std::uint32_t>(fd.get()), EIO};
  const auto result = sd::test::run_with(fails, [&] { return std::to_string(os::is_message_queue(fd.get())); });
  if (!result) GTEST_SKIP() << "SKIPPED: this system cannot make calls fail";
  EXPECT_EQ(result, std::to_string(-EIO));
}

TEST(os, mode_is_changed_through_a_path_descriptor) {
  const sd::test::directory directory;
  const auto name = directory / "file";
  const auto file = sd::test::open_file(name, O_RDWR | O_CREAT);
  const sd::unique_fd path(os::open_path(name.c_str()));
  os::file status;
  EXPECT_EQ(os::change_mode(path.get(), name.c_str(), 0604), 0);
  EXPECT_EQ(os::status(path.get(), status), 0);
  EXPECT_EQ(status.mode, 0604U);
#if defined(SYS_chmod)
  // As without /proc.
  const auto result = sd::test::run_with(
      {SYS_chmod, 1, 0640, ENOENT}, [&] { return std::to_string(os::change_mode(path.get(), name.c_str(), 0640)); });
  if (!result) GTEST_SKIP() << "SKIPPED: this system cannot make calls fail";
  if (result == std::to_string(-ENOSYS)) GTEST_SKIP() << "SKIPPED: this kernel has no fchmodat2(2)";
  EXPECT_EQ(result, "0");
  EXPECT_EQ(os::status(path.get(), status), 0);
  EXPECT_EQ(status.mode, 0640U);
#endif
}

TEST(os, modification_times_after_2262_differ) {
  if (sizeof(time_t) < sizeof(std::int64_t)) GTEST_SKIP() << "SKIPPED: time_t has 32 bits here";
  const sd::unique_fd fd(::memfd_create("x", MFD_CLOEXEC));
  std::set<std::int64_t> times;
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{1} << 34, (std::int64_t{1} << 34) + 1}) {
    for (const long nanoseconds : {0, 1}) {
      const timespec time{static_cast<time_t>(seconds), nanoseconds};
      const timespec both[] = {time, time};
      ASSERT_EQ(::futimens(fd.get(), both), 0);
      os::file file;
      ASSERT_EQ(os::status(fd.get(), file), 0);
      times.insert(file.modified);
    }
  }
  EXPECT_EQ(times.size(), 6U);
}

// --- sockets ---------------------------------------------------------------------------------------------------------

TEST(os, nonblocking_can_be_set_and_cleared) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const sd::unique_fd read_end(ends[0]);  // no flag at all is set
  const sd::unique_fd write_end(ends[1]);
  for (const int fd : ends) {
    errno = EDOM;
    EXPECT_EQ(os::is_nonblocking(fd), 0);
    for (const int wanted : {0, 1, 1, 0}) {
      EXPECT_EQ(os::set_nonblocking(fd, wanted == 1), 0);
      EXPECT_EQ(os::is_nonblocking(fd), wanted);
    }
  }
}

#if defined(SYS_fcntl)
TEST(os, nonblocking_is_not_set_again) {
  const auto fd = open_null();
  const auto setting = [&](bool on) {
    return sd::test::run_with({SYS_fcntl, 1, F_SETFL, EDOM},
                              [&] { return std::to_string(os::set_nonblocking(fd.get(), on)); });
  };
  const auto changed = setting(true);
  if (changed != std::to_string(-EDOM)) GTEST_SKIP() << "SKIPPED: this system cannot make fcntl(2) fail";
  EXPECT_EQ(setting(false), "0");
}
#endif

TEST(os, send_buffer_is_set) {
  const auto socket = sd::test::open_socket(AF_UNIX, SOCK_DGRAM);
  EXPECT_EQ(os::set_send_buffer(socket.get(), 100'000), 0);
  int size = 0;
  EXPECT_EQ(os::socket_option(socket.get(), SOL_SOCKET, SO_SNDBUF, size), 0);
  EXPECT_EQ(size, 200'000);  // the kernel doubles it
}

TEST(os, message_of_the_most_pieces_is_sent) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  const sd::unique_fd from(ends[0]);
  const sd::unique_fd to(ends[1]);
  const std::vector<os::piece> pieces(os::most_pieces, os::piece{"word", 4});
  const copy_at_end_of_memory copy(pieces.data(), pieces.size() * sizeof(os::piece));
  const auto* const begin = static_cast<const os::piece*>(copy.get());
  EXPECT_EQ(os::send_message(from.get(), begin, pieces.size(), nullptr, 0, nullptr, 0, 0), 4 * 64);
  std::array<char, 1000> received;
  EXPECT_EQ(::recv(to.get(), received.data(), received.size(), 0), 4 * 64);
  errno = EDOM;
  EXPECT_EQ(os::send_message(from.get(), begin, 0, nullptr, 0, nullptr, 0, 0), 0);
  EXPECT_EQ(os::send_message(from.get(), begin, pieces.size() + 1, nullptr, 0, nullptr, 0, 0), -EMSGSIZE);
}

TEST(os, message_carries_descriptors_and_credentials) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  const sd::unique_fd from(ends[0]);
  const sd::unique_fd to(ends[1]);
  sd::test::set(to, SOL_SOCKET, SO_PASSCRED, 1);
  const os::piece piece{"word", 4};
  ASSERT_EQ(os::send_message(from.get(), &piece, 1, nullptr, 0, ends, 2, ::getpid()), 4);

  std::array<char, 4> text{};
  iovec part_of_text{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, 256> control{};
  msghdr header{};
  header.msg_iov = &part_of_text;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ASSERT_EQ(::recvmsg(to.get(), &header, MSG_CMSG_CLOEXEC), 4);
  std::set<int> types;
  for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    types.insert(part->cmsg_type);
    if (part->cmsg_type != SCM_RIGHTS) continue;
    EXPECT_EQ(part->cmsg_len, CMSG_LEN(2 * sizeof(int)));
    int received[2];
    std::memcpy(received, CMSG_DATA(part), sizeof received);
    for (const int fd : received) EXPECT_EQ(::close(fd), 0);
  }
  EXPECT_EQ(types, (std::set<int>{SCM_RIGHTS, SCM_CREDENTIALS}));
}

TEST(os, interface_is_found_by_descriptor_0) {
  const sd::test::closed_input closed;
  unsigned number = 0;
  EXPECT_EQ(os::interface_number("lo", number), 0);
  EXPECT_EQ(number, ::if_nametoindex("lo"));
}

TEST(os, interface_of_the_longest_name_is_found) {
  constexpr char name[IF_NAMESIZE] = "exactly-15-char";
  const pid_t child = sd::test::check(::fork(), "fork");
  if (child == 0) {
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", sizeof "lo");
    std::memcpy(request.ifr_newname, name, sizeof name);
    if (::unshare(CLONE_NEWNET) < 0 ||
        ::ioctl(sd::test::open_socket(AF_UNIX, SOCK_DGRAM).release(), SIOCSIFNAME, &request) < 0)
      ::_exit(77);
    unsigned number = 0;
    ::_exit(os::interface_number(name, number) == 0 && number == ::if_nametoindex(name) ? 0 : 1);
  }
  int status = 0;
  sd::test::check(::waitpid(child, &status, 0), "waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "SKIPPED: requires a network namespace";
  EXPECT_EQ(status, 0);
}

// --- the file of a socket --------------------------------------------------------------------------------------------

class is_bound_to : public testing::Test {
 protected:
  void SetUp() override {
    const int result = os::is_bound_to(socket_.get(), path_.get());
    if (result < 0) GTEST_SKIP() << "SKIPPED: there is no sock_diag(7) here, as under qemu-user";
    ASSERT_EQ(result, 1);
  }

  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] int path() const { return path_.get(); }

  /// Returns the result while a system call fails with EDOM, or nothing if that is impossible here.
  [[nodiscard]] std::optional<std::string> with_failing(long call, unsigned argument, std::uint32_t value) const {
    return sd::test::run_with({call, argument, value, EDOM},
                              [&] { return std::to_string(os::is_bound_to(socket(), path())); });
  }

 private:
  sd::test::directory directory_;
  sd::unique_fd socket_ = sd::test::bound(sd::address(directory_ / "s"), SOCK_STREAM);
  sd::unique_fd path_{os::open_path((directory_ / "s").c_str())};
};

TEST_F(is_bound_to, another_socket_is_not_bound_to_it) {
  const sd::test::directory directory;
  const auto other = sd::test::bound(sd::address(directory / "s"), SOCK_STREAM);
  EXPECT_EQ(os::is_bound_to(other.get(), path()), 0);
}

TEST_F(is_bound_to, socket_without_a_path_is_an_error) {
  for (const int family : {AF_UNIX, AF_INET}) {
    const auto other = sd::test::open_socket(family, SOCK_STREAM);
    EXPECT_EQ(os::is_bound_to(other.get(), path()), -EPROTO);
  }
}

TEST_F(is_bound_to, descriptor_0_is_used) {
  const sd::test::closed_input closed;
  EXPECT_EQ(os::is_bound_to(socket(), path()), 1);
}

TEST_F(is_bound_to, failure_is_the_negated_errno) {
  EXPECT_EQ(os::is_bound_to(socket(), -1), -EBADF);
  {
    const sd::test::descriptor_limit no_descriptors(0);
    EXPECT_EQ(os::is_bound_to(socket(), path()), -EMFILE);
  }
  const auto result = with_failing(fstatfs_call, 0, static_cast<std::uint32_t>(path()));
  if (!result) GTEST_SKIP() << "SKIPPED: this system cannot make calls fail";
  EXPECT_EQ(result, std::to_string(-EDOM));
#if __has_include(<linux/unix_diag.h>) && defined(SYS_sendto)
  constexpr std::uint32_t size = sizeof(nlmsghdr) + sizeof(unix_diag_req);
  const auto sent = with_failing(SYS_sendto, 2, size);
  if (sent == "1") GTEST_SKIP() << "SKIPPED: the C library sends by another call";
  EXPECT_EQ(sent, std::to_string(-EDOM));
#endif
}

#if __has_include(<linux/unix_diag.h>)

int names(const std::string& reply, const os::file& there, std::uint32_t file_system) {
  const copy_at_end_of_memory copy(reply.data(), reply.size());
  return os::names_file(static_cast<const char*>(copy.get()), reply.size(), there, file_system);
}

template <class Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string reply(const std::string& attributes, unsigned short type = SOCK_DIAG_BY_FAMILY) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  return bytes_of(header) + bytes_of(unix_diag_msg{}) + attributes;
}

/// An attribute, with a length other than its own if it is given.
std::string attribute(unsigned short type, const std::string& value, std::optional<unsigned short> length = {}) {
  const nlattr header{length.value_or(static_cast<unsigned short>(sizeof(nlattr) + value.size())), type};
  return bytes_of(header) + value + std::string((4 - value.size() % 4) % 4, '\0');
}

std::string bound_file(std::uint32_t inode, std::uint32_t major, std::uint32_t minor) {
  return attribute(UNIX_DIAG_VFS, bytes_of(unix_diag_vfs{inode, major << 20U | minor}));
}

constexpr std::uint32_t ext4 = 0xef53;
constexpr std::uint32_t tmpfs = 0x01021994;
constexpr std::uint32_t btrfs = 0x9123683e;

os::file file_with(std::uint64_t inode, std::uint64_t device) {
  os::file result;
  result.inode = inode;
  result.device = device;
  return result;
}

TEST(names_file, compares_the_number_and_the_device) {
  const auto there = file_with((std::uint64_t{1} << 32U) + 1234, makedev(8, 1));  // the kernel names the lower half
  EXPECT_EQ(names(reply(bound_file(1234, 8, 1)), there, ext4), 1);
  EXPECT_EQ(names(reply(bound_file(1235, 8, 1)), there, ext4), 0);
  EXPECT_EQ(names(reply(bound_file(1234, 9, 1)), there, ext4), 0);
  EXPECT_EQ(names(reply(bound_file(1234, 8, 2)), there, ext4), 0);
  EXPECT_EQ(names(reply(bound_file(1234, 0, 2)), there, ext4), 0);
}

TEST(names_file, device_may_differ_if_the_file_system_has_none) {
  const auto there = file_with(1234, makedev(0, 40));
  EXPECT_EQ(names(reply(bound_file(1234, 0, 40)), there, tmpfs), 1);
  EXPECT_EQ(names(reply(bound_file(1234, 0, 41)), there, tmpfs), 0);
  EXPECT_EQ(names(reply(bound_file(1234, 0, 41)), there, btrfs), 1);
  EXPECT_EQ(names(reply(bound_file(1234, 8, 41)), there, btrfs), 0);
  EXPECT_EQ(names(reply(bound_file(1235, 0, 41)), there, btrfs), 0);
}

TEST(names_file, other_attributes_are_skipped) {
  const auto there = file_with(1234, makedev(8, 1));
  const auto file = bound_file(1234, 8, 1);
  EXPECT_EQ(names(reply(attribute(UNIX_DIAG_NAME, "/path") + file), there, ext4), 1);
  EXPECT_EQ(names(reply(attribute(UNIX_DIAG_NAME, "") + file), there, ext4), 1);
  EXPECT_EQ(names(reply(file + attribute(UNIX_DIAG_SHUTDOWN, "x")), there, ext4), 1);
}

TEST(names_file, reply_that_names_none_is_eproto) {
  const os::file there;
  const auto file = bound_file(0, 0, 0);
  ASSERT_EQ(names(reply(file), there, ext4), 1);
  EXPECT_EQ(names("", there, ext4), -EPROTO);
  EXPECT_EQ(names(reply(""), there, ext4), -EPROTO);
  EXPECT_EQ(names(reply("").substr(1), there, ext4), -EPROTO);
  EXPECT_EQ(names(reply(file, NLMSG_ERROR), there, ext4), -EPROTO);
  EXPECT_EQ(names(reply(file.substr(0, 3)), there, ext4), -EPROTO);
  EXPECT_EQ(names(reply(file.substr(0, file.size() - 1)), there, ext4), -EPROTO);
  EXPECT_EQ(names(reply(attribute(UNIX_DIAG_NAME, "", 0) + file), there, ext4), -EPROTO);
  EXPECT_EQ(names(reply(attribute(UNIX_DIAG_NAME, "/path", 1000) + file), there, ext4), -EPROTO);
}

#endif

}  // namespace
