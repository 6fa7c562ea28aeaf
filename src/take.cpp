#include <sd/error.hpp>
#include <sd/take.hpp>

#include "detail/choice.hpp"
#include "detail/os/descriptors.hpp"
#include "detail/os/files.hpp"
#include "detail/text.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#if SD_HAS_DESCRIPTORS

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace sd {

namespace {

/// An IPv4 address for its v4-mapped form; all else as it is.
address without_mapping(const address& where) noexcept {
  if (where.family() != AF_INET6) return where;
  sockaddr_in6 inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  if (!IN6_IS_ADDR_V4MAPPED(&inet6.sin6_addr)) return where;
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_port = inet6.sin6_port;
  std::memcpy(&inet.sin_addr, &inet6.sin6_addr.s6_addr[12], sizeof inet.sin_addr);
  return address::from_sockaddr(&inet, sizeof inet);
}

/// Without the interface of an IPv6 address, unless both have one: the kernel keeps it for link-local addresses alone.
address without_scope(const address& where, const address& other) noexcept {
  if (where.family() != AF_INET6 || other.family() != AF_INET6) return where;
  sockaddr_in6 inet6;
  sockaddr_in6 other_inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  std::memcpy(&other_inet6, other.data(), sizeof other_inet6);
  if (other_inet6.sin6_scope_id == 0) inet6.sin6_scope_id = 0;
  return address::from_sockaddr(&inet6, sizeof inet6);
}

bool is_wildcard(const address& where) noexcept {
  if (where.family() == AF_INET) {
    sockaddr_in inet;
    std::memcpy(&inet, where.data(), sizeof inet);
    return inet.sin_addr.s_addr == htonl(INADDR_ANY);
  }
  if (where.family() != AF_INET6) return false;
  sockaddr_in6 inet6;
  std::memcpy(&inet6, where.data(), sizeof inet6);
  return IN6_IS_ADDR_UNSPECIFIED(&inet6.sin6_addr);
}

bool is_same_file(const address& a, const address& b) noexcept {
  if (a.path().empty() || b.path().empty()) return false;
  char path_a[sizeof(sockaddr_storage) + 1] = {};
  char path_b[sizeof(sockaddr_storage) + 1] = {};
  a.path().copy(path_a, sizeof path_a - 1);
  b.path().copy(path_b, sizeof path_b - 1);
  detail::os::file file_a;
  detail::os::file file_b;
  return detail::os::status(path_a, file_a) == 0 && detail::os::status(path_b, file_b) == 0 &&
         file_a.device == file_b.device && file_a.inode == file_b.inode;
}

/// Whether a socket serves this address: neither less than it, nor more.
bool serves(const description& what, const address& wanted) noexcept {
  if (!wanted) return false;
  const auto actual = without_mapping(what.local);
  const auto canonical = without_mapping(wanted);
  if (without_scope(actual, canonical) == without_scope(canonical, actual) || is_same_file(actual, canonical)) {
    return true;
  }
  return actual.family() == AF_INET6 && !what.v6only && is_wildcard(actual) && canonical.family() == AF_INET &&
         is_wildcard(canonical) && actual.port() == canonical.port();
}

}  // namespace

}  // namespace sd

#else

namespace sd {

namespace {
bool serves(const description&, const address&) noexcept { return false; }
}  // namespace

}  // namespace sd

#endif

namespace sd {

namespace {

/// What the descriptor is, if it bears the mark.
std::optional<description> marked(const listen_fd& entry, const which& which) {
  if (which.name() && entry.name != which.name()) return std::nullopt;
  std::error_code closed;
  auto what = describe(entry.fd.get(), closed);
  if (closed || (which.where() && !serves(what, *which.where()))) return std::nullopt;
  return what;
}

/// Where in the list the descriptors are that were asked for.
struct choice {
  std::vector<std::size_t> found;
  bool other_kind = false;  // whether the name or the address was there, as another kind
};

choice choose(const std::vector<listen_fd>& fds, kind kind, const which& which) {
  choice result;
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const auto what = marked(fds[i], which);
    if (what && what->kind == kind) {
      result.found.push_back(i);
    } else if (what) {
      result.other_kind = true;
    }
  }
  return result;
}

/// What makes systemd pass such a descriptor; null where nothing does.
const char* directive(kind kind) noexcept {
  switch (kind) {
    case kind::stream:
      return "ListenStream=";
    case kind::seqpacket:
      return "ListenSequentialPacket=";
    case kind::connection:
      return "Accept=yes and ListenStream=";
    case kind::datagram:
      return "ListenDatagram=";
    case kind::netlink:
      return "ListenNetlink=";
    case kind::fifo:
      return "ListenFIFO=";
    case kind::special:
      return "ListenSpecial=";
    case kind::message_queue:
      return "ListenMessageQueue=";
    default:
      return nullptr;
  }
}

std::string advice(kind kind, const which& which, const std::error_code& ec) {
  if (ec == errc::ambiguous) {
    return which.name() ? "; each needs a socket unit of its own with another FileDescriptorName="
                        : "; choose by FileDescriptorName=";
  }
  const char* const listen = directive(kind);
  if (listen == nullptr) return "";
  std::string text = std::string("; the socket unit needs ") + listen;
  if (which.where()) text += detail::as_unit_value(to_string(*which.where()));
  if (which.name()) text += " and FileDescriptorName=" + detail::as_unit_value(*which.name());
  return text;
}

}  // namespace

namespace detail {

std::size_t choose_one(const std::vector<listen_fd>& fds, kind kind, const which& which, std::error_code& ec) {
  const auto [found, other_kind] = choose(fds, kind, which);
  ec.clear();
  if (found.size() == 1) return found.front();
  const bool by_mark = which.name() || which.where();
  ec = !found.empty() ? errc::ambiguous : other_kind && by_mark ? errc::wrong_kind : errc::not_passed;
  return 0;
}

std::vector<description> all_marked(const std::vector<listen_fd>& fds, const which& which) {
  std::vector<description> all;
  for (const auto& entry : fds) {
    if (auto what = marked(entry, which)) all.push_back(std::move(*what));
  }
  return all;
}

unique_fd remove(std::vector<listen_fd>& fds, std::size_t index) {
  const auto entry = fds.begin() + static_cast<std::ptrdiff_t>(index);
  unique_fd fd = std::move(entry->fd);
  fds.erase(entry);
  return fd;
}

std::string explain(const std::vector<listen_fd>& fds, kind kind, const which& which, const std::error_code& ec) {
  std::string text = to_string(kind);
  if (which.name()) text += " named " + quoted(*which.name());
  if (which.where()) text += " at " + escaped(to_string(*which.where()));
  return text + ", passed: " + to_string(fds) + advice(kind, which, ec);
}

}  // namespace detail

unique_fd take(std::vector<listen_fd>& fds, kind kind, const which& which, std::error_code& ec) {
  const auto index = detail::choose_one(fds, kind, which, ec);
  return ec ? unique_fd() : detail::remove(fds, index);
}

std::vector<listen_fd> take_all(std::vector<listen_fd>& fds, kind kind, const which& which) {
  const auto choice = choose(fds, kind, which);
  std::vector<listen_fd> taken;
  taken.reserve(choice.found.size());
  for (const auto i : choice.found) taken.push_back(std::move(fds[i]));
  for (auto i = choice.found.rbegin(); i != choice.found.rend(); ++i) {
    fds.erase(fds.begin() + static_cast<std::ptrdiff_t>(*i));
  }
  return taken;
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
unique_fd take(std::vector<listen_fd>& fds, kind kind, const which& which) {
  std::error_code ec;
  auto fd = take(fds, kind, which, ec);
  if (ec) throw std::system_error(ec, detail::explain(fds, kind, which, ec));
  return fd;
}
#endif

}  // namespace sd
