// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/address.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "errors.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <system_error>
#include <vector>

// Opens descriptors of every kind, for the tests of what descriptors are. A call that fails throws `std::system_error`.
namespace sd::test {

inline constexpr int never_open = 1'000'000'000;

/// Returns whether the error means that this kernel has no such descriptors, or does not let this user open one.
bool is_unsupported(const std::error_code& ec);

unique_fd open_socket(int family, int type, int protocol = 0);
void set(const unique_fd& fd, int level, int option, int value);
void bind(const unique_fd& fd, const address& where);
void listen(const unique_fd& fd);
void connect(const unique_fd& fd, const address& where);
unique_fd accept(const unique_fd& fd);

unique_fd bound(const address& where, int type, int protocol = 0);
unique_fd listener(const address& where, int type = SOCK_STREAM);
unique_fd bound_v6(const char* where, int type, bool v6only);
unique_fd listener_v6(const char* where, bool v6only);

address local_of(const unique_fd& fd);
address peer_of(const unique_fd& fd);
bool is_close_on_exec(const unique_fd& fd);
bool has_option(const unique_fd& fd, int level, int option);

unique_fd open_file(const std::string& path, int flags);
unique_fd open_fifo(const std::string& path, int flags = O_RDWR);

/// An abstract name that fills a sockaddr_un: qemu-user appends a NUL to shorter ones.
std::string abstract_name();

std::string queue_name();
unique_fd open_queue(const std::string& name);
struct queue_remover {
  queue_remover() = default;
  queue_remover(const queue_remover&) = delete;
  queue_remover& operator=(const queue_remover&) = delete;
  ~queue_remover();
};

/// A descriptor, and others that must stay open with it.
struct sample {
  unique_fd fd;
  std::vector<unique_fd> others = {};
};
sample with(unique_fd fd, unique_fd other);
sample socket_pair(int type);
sample pipe_end(int which);
/// A connection as a server accepts it.
sample accepted(const address& where, int type = SOCK_STREAM);

template <class Call>
void expect_throw(Call call, int error, const std::string& what) {
  try {
    call();
    ADD_FAILURE() << "no error, but expected " << what;
  } catch (const std::system_error& thrown) {
    EXPECT_EQ(thrown.code(), system_error(error));
    EXPECT_EQ(thrown.what(), what);
  }
}

}  // namespace sd::test
