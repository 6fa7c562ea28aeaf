#include <sd/error.hpp>

#include <new>
#include <string>

namespace sd {

namespace {

class category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "sd"; }

  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::malformed_listen_pid:
        return "LISTEN_PID is not a decimal number";
      case errc::listen_pid_out_of_range:
        return "LISTEN_PID is larger than any pid";
      case errc::malformed_listen_pidfdid:
        return "LISTEN_PIDFDID is not a decimal number";
      case errc::listen_pidfdid_out_of_range:
        return "LISTEN_PIDFDID does not fit 64 bits";
      case errc::malformed_listen_fds:
        return "LISTEN_FDS is not a decimal number";
      case errc::listen_fds_out_of_range:
        return "LISTEN_FDS is larger than the number of descriptors can be";
      case errc::already_claimed:
        return "a passed descriptor is close-on-exec already, so other code of this process owns it";
    }
    return "unknown error " + std::to_string(code);
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  // Never destroyed: error codes are good in the destructors of static objects, too.
  alignas(category) static unsigned char storage[sizeof(category)];
  static const category* const instance = ::new (storage) category;
  return *instance;
}

}  // namespace sd
