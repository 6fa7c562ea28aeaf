// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sd/unique_fd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The receiving side of sd_notify(3).
namespace sd::activate {

/// A message of a service. To close its descriptors ends a barrier.
struct notification {
  int pid = 0;                     ///< the sender, or 0 if that is unknown or the message is too long
  bool lacks_descriptors = false;  ///< because this process cannot have more
  std::vector<unique_fd> fds;
  std::vector<std::pair<std::string, std::string>> fields;

  /// Returns the value of a field. Empty optional if the message does not have it.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
};

/// The socket that NOTIFY_SOCKET names. It has an abstract name, so that it leaves no file.
class notify_socket {
 public:
  /// @throws std::system_error if the socket cannot be opened.
  notify_socket();

  /// Returns the value of NOTIFY_SOCKET.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] int get() const noexcept { return fd_.get(); }

  /// Returns the next message that has arrived. Empty optional if there is none.
  std::optional<notification> receive();

 private:
  std::string address_;
  unique_fd fd_;
};

}  // namespace sd::activate
