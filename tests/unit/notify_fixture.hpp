#pragma once

#include <sd/notify.hpp>
#include <sd/unique_fd.hpp>

#include "check.hpp"
#include "directory.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

// A service manager of the test's own, and what its tests say to it and see of it.
namespace sd::test {

inline constexpr std::size_t most_attached = 253;

inline std::error_code error(int number) { return {number, std::generic_category()}; }

/// What a call must overwrite.
inline std::error_code stale() { return error(EIO); }

/// So that it can be shown.
std::string without_nul(std::string text);

std::vector<int> open_descriptors();

/// An address that nobody else uses. Any user may send there.
std::string abstract_address();

struct message {
  std::string text;
  int pid = 0;  ///< that of the sender, as the kernel vouches for it
  std::vector<unique_fd> fds;
};

/// A service manager: a datagram socket, named by NOTIFY_SOCKET while it is there.
class receiver {
 public:
  explicit receiver(const std::string& where);
  ~receiver() { ::unsetenv("NOTIFY_SOCKET"); }
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;

  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// As when the manager has gone: messages that nobody received go with it.
  void close() noexcept { fd_.reset(); }

  /// The next message; waits as long as it takes for one, or not at all.
  std::optional<message> next(int milliseconds = 0);

  /// The text of the only message.
  std::string only();

 private:
  std::string where_;
  unique_fd fd_;
};

class notify : public ::testing::Test {
 protected:
  receiver& manager() { return manager_; }
  [[nodiscard]] const sd::test::directory& directory() const { return directory_; }

  /// Expects that this fails and that nothing comes of it.
  void expect_refused(std::initializer_list<state> states, int number, const notify_options& options = {});
  void expect_sent(std::initializer_list<state> states, const std::string& text);

 private:
  sd::test::directory directory_;
  receiver manager_{directory_ / "notify"};
};

}  // namespace sd::test
