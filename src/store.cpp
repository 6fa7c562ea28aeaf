// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>
#include <sd/store.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/protocol.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <string>
#include <utility>

namespace sd {
inline namespace v0 {

namespace {

/// Distinguishes stored descriptors from those of socket units, whose names have no slash.
constexpr std::string_view prefix = "stored/";

/// The name under which the service manager keeps a descriptor. It is on the stack, as `store()` allocates no memory.
class stored_name {
 public:
  explicit stored_name(std::string_view name) noexcept : fits_(prefix.size() + name.size() <= text_.size()) {
    if (!fits_) return;
    prefix.copy(text_.data(), prefix.size());
    name.copy(text_.data() + prefix.size(), name.size());
    length_ = prefix.size() + name.size();
  }
  [[nodiscard]] bool fits() const noexcept { return fits_; }
  [[nodiscard]] std::string_view get() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 255> text_;
  std::size_t length_ = 0;
  bool fits_;
};

notify_result refuse(std::error_code& ec) noexcept {
  ec.assign(EINVAL, std::generic_category());
  return notify_result::no_listener;
}

}  // namespace

notify_result store(std::string_view name, int fd, store_poll poll, std::error_code& ec) noexcept {
  const stored_name kept(name);
  if (!kept.fits()) return refuse(ec);
  notify_options options;
  options.fds = fd;
  if (poll == store_poll::off) {
    return notify({state::fdstore(), state::fdname(kept.get()), state::fdpoll_off()}, options, ec);
  }
  return notify({state::fdstore(), state::fdname(kept.get())}, options, ec);
}

notify_result forget(std::string_view name, std::error_code& ec) noexcept {
  const stored_name kept(name);
  return kept.fits() ? notify({state::fdstore_remove(), state::fdname(kept.get())}, ec) : refuse(ec);
}

std::vector<listen_fd> take_stored(std::vector<listen_fd>& fds) {
  const auto is_stored = [](const listen_fd& entry) {
    return entry.name && entry.name->compare(0, prefix.size(), prefix) == 0;
  };
  std::vector<listen_fd> stored;
  std::vector<listen_fd> rest;
  stored.reserve(fds.size());
  rest.reserve(fds.size());
  // The names are made first: std::string::erase() allocates in C++23 with clang 14 and libstdc++ 12.
  for (const auto& entry : fds) {
    if (is_stored(entry)) stored.push_back({entry.name->substr(prefix.size()), unique_fd()});
  }
  auto next = stored.begin();
  for (auto& entry : fds) {
    if (is_stored(entry)) {
      (next++)->fd = std::move(entry.fd);
    } else {
      rest.push_back(std::move(entry));
    }
  }
  fds.swap(rest);
  return stored;
}

std::optional<unsigned> store_limit() noexcept {
  const char* const text = detail::os::get_environment("FDSTORE");
  std::uint64_t limit = 0;
  if (text == nullptr || detail::parse_decimal(text, UINT_MAX, limit) != detail::number::ok) return std::nullopt;
  return static_cast<unsigned>(limit);
}

#if SD_HAS_EXCEPTIONS

notify_result store(std::string_view name, int fd, store_poll poll) {
  std::error_code ec;
  const auto result = store(name, fd, poll, ec);
  if (ec) throw std::system_error(ec, "store descriptor " + std::to_string(fd) + " as " + std::string(name));
  return result;
}

notify_result forget(std::string_view name) {
  std::error_code ec;
  const auto result = forget(name, ec);
  if (ec) throw std::system_error(ec, "forget " + std::string(name));
  return result;
}

#endif

}  // namespace v0
}  // namespace sd
