// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fake_os.hpp"

#include "detail/os/descriptors.hpp"

#include <cerrno>
#include <utility>

namespace sd::test {

fake_os os;

namespace {

/// Records the call. Returns the negated errno if this call must fail, and 0 otherwise.
int enter(const std::string& call) {
  const int index = static_cast<int>(os.calls.size());
  os.calls.push_back(call);
  if (os.before_call) os.before_call(call);
  if (index != os.fail_call) return 0;
  errno = os.fail_with;
  return -os.fail_with;
}

int lowest_free(int lowest) {
  while (os.descriptors.count(lowest) != 0) ++lowest;
  return lowest < os.descriptor_limit ? lowest : -EMFILE;
}

}  // namespace

}  // namespace sd::test

namespace sd::detail::os {

using test::enter;
using test::fake_os;
using test::lowest_free;

const char* get_environment(const char* name) noexcept {
  const auto variable = test::os.environment.find(name);
  return variable == test::os.environment.end() ? nullptr : variable->second.c_str();
}

void unset_environment(const char* name) noexcept { test::os.environment.erase(name); }

int process_id() noexcept {
  if (const auto hook = std::exchange(test::os.before_process_id, nullptr)) hook();
  return test::os.pid;
}

int close(int fd) noexcept {
  const int failure = enter("close " + std::to_string(fd));
  // As on Linux, the number is free even if close fails, unless it was not open.
  if (test::os.descriptors.erase(fd) == 0) return -EBADF;
  return failure;
}

int is_close_on_exec(int fd) noexcept {
  if (const int failure = enter("F_GETFD " + std::to_string(fd))) return failure;
  const auto open = test::os.descriptors.find(fd);
  if (open == test::os.descriptors.end()) return -EBADF;
  return open->second ? 1 : 0;
}

int set_close_on_exec(int fd, bool on) noexcept {
  if (const int failure = enter("F_SETFD " + std::to_string(fd))) return failure;
  const auto open = test::os.descriptors.find(fd);
  if (open == test::os.descriptors.end()) return -EBADF;
  open->second = on;
  return 0;
}

int duplicate(int fd, int lowest) noexcept {
  if (const int failure = enter("F_DUPFD_CLOEXEC " + std::to_string(fd))) return failure;
  if (test::os.descriptors.count(fd) == 0) return -EBADF;
  const int copy = lowest_free(lowest);
  if (copy >= 0) test::os.descriptors[copy] = true;
  return copy;
}

int set_close_on_exec_range(int first, int last) noexcept {
  if (const int failure = enter("close_range " + std::to_string(first) + " " + std::to_string(last))) return failure;
  if (!test::os.has_close_range) return -ENOSYS;
  for (auto& [fd, close_on_exec] : test::os.descriptors) {
    if (fd >= first && fd <= last) close_on_exec = true;
  }
  return 0;
}

int open_pidfd(int) noexcept {
  if (const int failure = enter("pidfd_open")) return failure;
  if (test::os.pidfd == fake_os::pidfds::none) return -ENOSYS;
  const int fd = lowest_free(0);
  if (fd >= 0) test::os.descriptors[fd] = true;
  return fd;
}

int is_pidfs(int) noexcept {
  if (const int failure = enter("fstatfs")) return failure;
  return test::os.pidfd == fake_os::pidfds::with_inode ? 1 : 0;
}

int inode(int, std::uint64_t& number) noexcept {
  if (const int failure = enter("fstat")) return failure;
  number = test::os.inode;
  return 0;
}

}  // namespace sd::detail::os
