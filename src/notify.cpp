// SPDX-License-Identifier: MIT OR Apache-2.0
#include "detail/notify.hpp"

#include <sd/notify.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/os/sockets.hpp"
#include "detail/text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>

namespace sd {

struct detail::state_access {
  /// The key with the "=", as it is sent.
  static std::string_view prefix(const state& state) noexcept { return state.key_; }
  /// The text that the caller passed, if any.
  static std::string_view text(const state& state) noexcept { return state.text_; }
};

inline namespace v0 {

namespace {

using detail::state_access;
using detail::os::piece;

constexpr std::string_view newline = "\n";

piece of(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// Whether the text stays within its line, and the service manager would not discard it.
bool is_valid(const state& state) noexcept {
  const auto text = state_access::text(state);
  if (state.key().empty()) return !text.empty();
  if (state.key() == "FDNAME") {
    constexpr std::size_t longest = 255;
    return !text.empty() && text.size() <= longest && std::none_of(text.begin(), text.end(), [](char c) {
      return c == ':' || detail::is_control(c) || static_cast<unsigned char>(c) >= 0x80;
    });
  }
  return text.find_first_of(std::string_view("\n\0", 2)) == std::string_view::npos;
}

/// Returns 0, or the negated errno if these descriptors cannot be attached to the states.
int check_attached(array_view<state> states, array_view<int> fds) noexcept {
  if (fds.size() > detail::os::most_attached) return -E2BIG;
  const auto is_main_pidfd = [](const state& state) { return state.key() == "MAINPIDFD"; };
  if (fds.size() != 1 && std::any_of(states.begin(), states.end(), is_main_pidfd)) return -EINVAL;
  return std::any_of(fds.begin(), fds.end(), [](int fd) { return fd < 0; }) ? -EBADF : 0;
}

int send(array_view<state> states, const notify_options& options) noexcept {
  std::array<piece, detail::os::most_pieces> pieces;
  std::size_t count = 0;
  for (const auto& state : states) {
    if (!is_valid(state)) return -EINVAL;
    if (count + 3 > pieces.size()) return -EMSGSIZE;
    if (count > 0) pieces[count++] = of(newline);
    pieces[count++] = of(state_access::prefix(state));
    pieces[count++] = of(state.value());
  }
  if (const int result = check_attached(states, options.fds); result < 0) return result;
  detail::message message;
  message.pieces = pieces.data();
  message.piece_count = count;
  message.fds = options.fds.data();
  message.fd_count = options.fds.size();
  message.pid = options.pid;
  return detail::notify(message);
}

notify_result report(int result, std::error_code& ec) noexcept {
  ec.clear();
  if (result < 0) ec.assign(-result, std::generic_category());
  return result > 0 ? notify_result::sent : notify_result::no_listener;
}

}  // namespace

state::state(std::string_view key, std::uint64_t number) noexcept : key_(key) {
  length_ = static_cast<std::size_t>(std::to_chars(own_text_, own_text_ + sizeof own_text_, number).ptr - own_text_);
}

state::state(std::string_view key, std::int64_t number) noexcept : key_(key) {
  length_ = static_cast<std::size_t>(std::to_chars(own_text_, own_text_ + sizeof own_text_, number).ptr - own_text_);
}

state state::reloading() noexcept {
  // systemd compares with CLOCK_MONOTONIC, which steady_clock uses with every C++ library on Linux.
  const auto now = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  constexpr std::string_view text = "1\nMONOTONIC_USEC=";
  state result("RELOADING=", std::int64_t{0});
  char* const number = result.own_text_ + text.copy(result.own_text_, text.size());
  char* const end = std::to_chars(number, result.own_text_ + sizeof result.own_text_, now.count()).ptr;
  result.length_ = static_cast<std::size_t>(end - result.own_text_);
  return result;
}

notify_result notify(array_view<state> states, const notify_options& options, std::error_code& ec) noexcept {
  return report(send(states, options), ec);
}

notify_result notify_barrier(std::chrono::microseconds timeout, std::error_code& ec) noexcept {
  return report(detail::notify_barrier(timeout.count(), 0), ec);
}

#if SD_HAS_EXCEPTIONS

namespace {

std::string notify_socket() {
  const char* const where = detail::os::get_environment("NOTIFY_SOCKET");
  return "NOTIFY_SOCKET=" + detail::quoted(where != nullptr ? where : "");
}

/// Returns what an error of `notify()` is about: the argument that is invalid, or else NOTIFY_SOCKET.
std::string subject(array_view<state> states, const notify_options& options) {
  if (states.empty()) return "no state to send";
  const auto* const invalid =
      std::find_if(states.begin(), states.end(), [](const state& state) { return !is_valid(state); });
  if (invalid != states.end()) {
    return "state " + std::string(state_access::prefix(*invalid)) + detail::quoted(invalid->value());
  }
  if (check_attached(states, options.fds) < 0) return std::to_string(options.fds.size()) + " attached descriptors";
  return notify_socket();
}

}  // namespace

notify_result notify(array_view<state> states, const notify_options& options) {
  std::error_code ec;
  const auto result = notify(states, options, ec);
  if (ec) throw std::system_error(ec, subject(states, options));
  return result;
}

notify_result notify_barrier(std::chrono::microseconds timeout) {
  std::error_code ec;
  const auto result = notify_barrier(timeout, ec);
  if (ec) throw std::system_error(ec, notify_socket());
  return result;
}

#endif

}  // namespace v0
}  // namespace sd
