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

namespace {

using detail::os::piece;

constexpr std::string_view newline = "\n";

piece of(std::string_view text) noexcept { return {text.data(), text.size()}; }

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// A value that would be another line, or that the manager would throw away, is refused: it says something else than
/// meant.
bool is_valid(const state& state) noexcept {
  const auto value = state.value();
  if (state.key().empty()) return !value.empty();
  if (state.key() == "FDNAME=") {
    constexpr std::size_t longest = 255;
    return !value.empty() && value.size() <= longest && std::none_of(value.begin(), value.end(), [](char c) {
      return c == ':' || is_control(c) || static_cast<unsigned char>(c) >= 0x80;
    });
  }
  return value.find_first_of(std::string_view("\n\0", 2)) == std::string_view::npos;
}

int send(std::initializer_list<state> states, const notify_options& options) noexcept {
  std::array<piece, detail::os::most_pieces> pieces;
  std::size_t count = 0;
  for (const auto& state : states) {
    if (!is_valid(state)) return -EINVAL;
    if (count + 3 > pieces.size()) return -EMSGSIZE;
    if (count > 0) pieces[count++] = of(newline);
    pieces[count++] = of(state.key());
    pieces[count++] = of(state.value());
  }
  detail::message message;
  message.pieces = pieces.data();
  message.piece_count = count;
  message.fds = options.fds;
  message.fd_count = options.fd_count;
  message.pid = options.pid;
  return detail::notify(message);
}

bool answer(int result, std::error_code& ec) noexcept {
  ec.clear();
  if (result < 0) ec.assign(-result, std::generic_category());
  return result > 0;
}

}  // namespace

state::state(std::string_view key, std::uint64_t number) noexcept : key_(key) {
  length_ = static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof digits_, number).ptr - digits_);
}

state::state(std::string_view key, std::int64_t number) noexcept : key_(key) {
  length_ = static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof digits_, number).ptr - digits_);
}

state state::reloading() noexcept {
  // The clock of systemd's MONOTONIC_USEC= is CLOCK_MONOTONIC, as steady_clock is with every C++ library on Linux.
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return {"RELOADING=1\nMONOTONIC_USEC=", std::chrono::duration_cast<microseconds>(now)};
}

bool notify(std::initializer_list<state> states, const notify_options& options, std::error_code& ec) noexcept {
  return answer(send(states, options), ec);
}

bool notify_barrier(std::chrono::microseconds timeout, std::error_code& ec) noexcept {
  return answer(detail::notify_barrier(timeout.count(), 0), ec);
}

#if SD_HAS_EXCEPTIONS

namespace {

bool checked(bool sent, const std::error_code& ec) {
  if (!ec) return sent;
  const char* const where = detail::os::get_environment("NOTIFY_SOCKET");
  throw std::system_error(ec, "NOTIFY_SOCKET=" + detail::quoted(where != nullptr ? where : ""));
}

}  // namespace

bool notify(std::initializer_list<state> states, const notify_options& options) {
  std::error_code ec;
  const bool sent = notify(states, options, ec);
  return checked(sent, ec);
}

bool notify_barrier(std::chrono::microseconds timeout) {
  std::error_code ec;
  const bool sent = notify_barrier(timeout, ec);
  return checked(sent, ec);
}

#endif

}  // namespace sd
