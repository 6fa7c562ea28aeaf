// SPDX-License-Identifier: MIT OR Apache-2.0
#include <sd/error.hpp>
#include <sd/take.hpp>

#include "detail/choice.hpp"
#include "detail/serving.hpp"
#include "detail/text.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#if SD_HAS_DESCRIPTORS

namespace sd {
inline namespace v0 {

namespace {

/// Returns whether a socket serves this address.
bool serves(const description& what, const address& wanted) noexcept {
  return detail::serves({what.local.data(), what.local.size()}, what.v6only, {wanted.data(), wanted.size()}) !=
         detail::service::none;
}

}  // namespace

}  // namespace v0
}  // namespace sd

#else

namespace sd {
inline namespace v0 {

namespace {
bool serves(const description&, const address&) noexcept { return false; }
}  // namespace

}  // namespace v0
}  // namespace sd

#endif

namespace sd {
inline namespace v0 {

namespace {

/// Describes the descriptor. Returns nothing if it is closed or not selected.
std::optional<description> describe_if_selected(const listen_fd& entry, const selector& which) {
  if (which.name() && entry.name != which.name()) return std::nullopt;
  std::error_code closed;
  auto what = describe(entry.fd.get(), closed);
  if (closed || (which.where() && !serves(what, *which.where()))) return std::nullopt;
  return what;
}

/// The indices of the selected descriptors.
struct selection {
  std::vector<std::size_t> found;
  bool other_kind = false;  // whether a descriptor of another kind is selected
};

selection select(const std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  selection result;
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const auto what = describe_if_selected(fds[i], which);
    if (what && what->kind == wanted) {
      result.found.push_back(i);
    } else if (what) {
      result.other_kind = true;
    }
  }
  return result;
}

/// The noun for a kind of descriptor in error messages, and the directives that make systemd pass one, or null if no
/// directive does.
struct kind_text {
  const char* noun;
  const char* directives;
};

kind_text text_of(kind wanted) noexcept {
  switch (wanted) {
    case kind::stream:
      return {"stream socket", "ListenStream="};
    case kind::seqpacket:
      return {"sequential-packet socket", "ListenSequentialPacket="};
    case kind::connection:
      return {"connection", "Accept=yes and ListenStream="};
    case kind::unconnected:
      return {"unconnected socket", nullptr};
    case kind::datagram:
      return {"datagram socket", "ListenDatagram="};
    case kind::raw:
      return {"raw socket", nullptr};
    case kind::netlink:
      return {"netlink socket", "ListenNetlink="};
    case kind::fifo:
      return {"fifo", "ListenFIFO="};
    case kind::special:
      return {"special file", "ListenSpecial="};
    case kind::message_queue:
      return {"message queue", "ListenMessageQueue="};
    case kind::directory:
      return {"directory", nullptr};
    case kind::other:
      break;
  }
  return {"descriptor of another kind", nullptr};
}

std::string text_of(const selector& which) {
  std::string text;
  if (which.name()) text += " named " + detail::quoted(*which.name());
  if (which.where()) text += " at " + detail::escaped(to_string(*which.where()));
  return text;
}

std::string advice(kind wanted, const selector& which, const std::error_code& ec) {
  if (ec == errc::ambiguous) {
    return which.name() ? "; give each its own socket unit with another FileDescriptorName="
                        : "; select one by its FileDescriptorName=";
  }
  const char* const directives = text_of(wanted).directives;
  if (directives == nullptr) return "";
  std::string text = std::string("; the socket unit needs ") + directives;
  text += detail::as_unit_value(to_string(which.where().value_or(address())));
  if (which.name()) text += " and FileDescriptorName=" + detail::as_unit_value(*which.name());
  return text;
}

}  // namespace

}  // namespace v0

namespace detail {

std::size_t choose_one(const std::vector<listen_fd>& fds, kind wanted, const selector& which, std::error_code& ec) {
  const auto [found, other_kind] = select(fds, wanted, which);
  ec.clear();
  if (found.size() == 1) return found.front();
  const bool is_specific = which.name() || which.where();
  ec = !found.empty() ? errc::ambiguous : other_kind && is_specific ? errc::wrong_kind : errc::not_passed;
  return 0;
}

std::vector<description> describe_selected(const std::vector<listen_fd>& fds, const selector& which) {
  std::vector<description> all;
  for (const auto& entry : fds) {
    if (auto what = describe_if_selected(entry, which)) all.push_back(std::move(*what));
  }
  return all;
}

listen_fd take_at(std::vector<listen_fd>& fds, std::size_t index) {
  const auto entry = fds.begin() + static_cast<std::ptrdiff_t>(index);
  listen_fd taken = std::move(*entry);
  fds.erase(entry);
  return taken;
}

std::string explain(const std::vector<listen_fd>& fds, kind wanted, const selector& which, const std::error_code& ec) {
  const std::string noun = text_of(wanted).noun;
  std::string text;
  if (ec == errc::wrong_kind) {
    text = "the descriptor" + text_of(which) + " is not a " + noun;
  } else {
    text = (ec == errc::ambiguous ? "more than one " : "no ") + noun + text_of(which);
  }
  return text + ", available: " + to_string(fds) + advice(wanted, which, ec);
}

}  // namespace detail

inline namespace v0 {

listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which, std::error_code& ec) {
  const auto index = detail::choose_one(fds, wanted, which, ec);
  return ec ? listen_fd() : detail::take_at(fds, index);
}

std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted, const selector& which,
                                  std::error_code& ec) {
  auto taken = take(fds, wanted, which, ec);
  if (!ec) return taken;
  if (ec == errc::not_passed) ec.clear();
  return std::nullopt;
}

std::vector<listen_fd> take_all(std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  const auto found = select(fds, wanted, which).found;
  std::vector<listen_fd> taken;
  taken.reserve(found.size());
  for (const auto i : found) taken.push_back(std::move(fds[i]));
  for (auto i = found.rbegin(); i != found.rend(); ++i) {
    fds.erase(fds.begin() + static_cast<std::ptrdiff_t>(*i));
  }
  return taken;
}

void require_all_taken(const std::vector<listen_fd>& fds, std::error_code& ec) noexcept {
  ec.clear();
  if (!fds.empty()) ec = errc::not_taken;
}

std::string to_string(const std::vector<listen_fd>& fds) {
  std::string text;
  for (const auto& [name, fd] : fds) {
    if (!text.empty()) text += ", ";
    text += std::to_string(fd.get()) + ' ';
    if (name) text += detail::quoted(*name) + ' ';
    std::error_code closed;
    const auto what = describe(fd.get(), closed);
    text += closed ? closed.message() : to_string(what);
  }
  return text.empty() ? "nothing" : text;
}

#if SD_HAS_EXCEPTIONS
listen_fd take(std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  std::error_code ec;
  auto taken = take(fds, wanted, which, ec);
  if (ec) throw std::system_error(ec, detail::explain(fds, wanted, which, ec));
  return taken;
}

std::optional<listen_fd> try_take(std::vector<listen_fd>& fds, kind wanted, const selector& which) {
  std::error_code ec;
  auto taken = try_take(fds, wanted, which, ec);
  if (ec) throw std::system_error(ec, detail::explain(fds, wanted, which, ec));
  return taken;
}

void require_all_taken(const std::vector<listen_fd>& fds) {
  std::error_code ec;
  require_all_taken(fds, ec);
  if (ec) throw std::system_error(ec, to_string(fds));
}
#endif

}  // namespace v0
}  // namespace sd
