// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/array_view.hpp>
#include <sd/notify.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "directory.hpp"
#include "errors.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

// A service manager for tests, and expectations of what it receives.
namespace sd::test {

inline constexpr std::size_t most_attached = 253;

/// Replaces NUL bytes, so that the text can be printed.
std::string without_nul(std::string text);

std::vector<int> open_descriptors();

/// Returns an address that no other test uses. Every user may send to it.
std::string abstract_address();

struct message {
  std::string text;
  int pid = 0;  ///< the pid of the sender, which the kernel has verified
  std::vector<unique_fd> fds;
};

/// A service manager: a datagram socket. NOTIFY_SOCKET is set to its address while the object exists.
class receiver {
 public:
  explicit receiver(const std::string& where);
  ~receiver() { ::unsetenv("NOTIFY_SOCKET"); }
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;

  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Closes the socket, and discards the messages that were not received.
  void close() noexcept { fd_.reset(); }

  /// Returns the next message, and waits for it if necessary.
  std::optional<message> next(int milliseconds = 0);

  /// Returns the text of the only message.
  std::string only();

 private:
  std::string where_;
  unique_fd fd_;
};

class notify : public ::testing::Test {
 protected:
  receiver& manager() { return manager_; }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }

  /// Expects that this fails, sends nothing and leaves no descriptor open.
  void expect_refused(array_view<state> states, int number, const notify_options& options = {});
  void expect_sent(array_view<state> states, const std::string& text);

 private:
  sd::test::directory directory_;
  receiver manager_{directory_ / "notify"};
};

}  // namespace sd::test
