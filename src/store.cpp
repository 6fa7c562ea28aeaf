// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/notify.hpp>
#include <sd/store.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/protocol.hpp"

#include <array>
#include <climits>
#include <cstdint>
#include <string>
#include <utility>

namespace sd {
inline namespace v0 {

namespace {

/// Distinguishes stored descriptors from those of socket units, whose names have no slash.
constexpr std::string_view prefix = "stored/";

using name_buffer = std::array<char, 255>;

/// Returns the name under which the service manager keeps a descriptor. It is in the buffer, as `store()` allocates no
/// memory. A name that does not fit becomes empty, which `notify()` refuses.
std::string_view stored_name(std::string_view name, name_buffer& buffer) noexcept {
  if (prefix.size() + name.size() > buffer.size()) return {};
  const auto length = prefix.copy(buffer.data(), prefix.size());
  return {buffer.data(), length + name.copy(buffer.data() + length, name.size())};
}

}  // namespace

notify_result store(std::string_view name, int fd, store_poll poll, std::error_code& ec) noexcept {
  name_buffer buffer;
  const auto kept = state::fdname(stored_name(name, buffer));
  notify_options options;
  options.fds = fd;
  if (poll == store_poll::off) return notify({state::fdstore(), kept, state::fdpoll_off()}, options, ec);
  return notify({state::fdstore(), kept}, options, ec);
}

notify_result forget(std::string_view name, std::error_code& ec) noexcept {
  name_buffer buffer;
  return notify({state::fdstore_remove(), state::fdname(stored_name(name, buffer))}, ec);
}

std::vector<listen_fd> take_stored(std::vector<listen_fd>& fds) {
  const auto is_stored = [](const listen_fd& entry) {
    return entry.name && entry.name->compare(0, prefix.size(), prefix) == 0;
  };
  std::vector<listen_fd> stored;
  std::vector<listen_fd> rest;
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
