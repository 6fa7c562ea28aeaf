// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>

#include "detail/text.hpp"

#include <new>
#include <string>

namespace sd {
inline namespace v0 {

namespace {

class category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "sd"; }

  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::malformed_listen_pid:
        return "LISTEN_PID is not a decimal number";
      case errc::listen_pid_out_of_range:
        return "LISTEN_PID exceeds the largest possible pid";
      case errc::malformed_listen_pidfdid:
        return "LISTEN_PIDFDID is not a decimal number";
      case errc::listen_pidfdid_out_of_range:
        return "LISTEN_PIDFDID exceeds 64 bits";
      case errc::malformed_listen_fds:
        return "LISTEN_FDS is not a decimal number";
      case errc::listen_fds_out_of_range:
        return "LISTEN_FDS exceeds the largest possible number of descriptors";
      case errc::malformed_listen_fds_first_fd:
        return "LISTEN_FDS_FIRST_FD is not a decimal number";
      case errc::listen_fds_first_fd_out_of_range:
        return "LISTEN_FDS_FIRST_FD is below 3 or leaves no room for LISTEN_FDS descriptors";
      case errc::already_claimed:
        return "the descriptor is close-on-exec already, so other code in this process owns it";
      case errc::already_taken:
        return "this process has already taken the descriptors";
      case errc::not_activated:
        return "no descriptor was passed to this process; start it through its socket unit";
      case errc::malformed_address:
        return "not /path, @abstract, PORT, IPV4:PORT, [IPV6]:PORT, [IPV6]:PORT%INTERFACE or vsock:CID:PORT";
      case errc::port_out_of_range:
        return "port exceeds 65535";
      case errc::host_name:
        return "host names are not resolved; write an IP address";
      case errc::not_passed:
        return "no such descriptor was passed";
      case errc::wrong_kind:
        return "wrong kind of descriptor";
      case errc::ambiguous:
        return "more than one such descriptor was passed";
      case errc::not_taken:
        return "a passed descriptor is not used by this program";
      case errc::malformed_watchdog_usec:
        return "WATCHDOG_USEC is not a period in microseconds";
      case errc::malformed_watchdog_pid:
        return "WATCHDOG_PID is not a pid";
    }
    std::string text = "unknown error ";
    detail::append_decimal(text, code);
    return text;
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  // Never destroyed, so that error codes can be used in the destructors of static objects.
  alignas(category) static unsigned char storage[sizeof(category)];
  static const category* const instance = ::new (storage) category;
  return *instance;
}

}  // namespace v0
}  // namespace sd
