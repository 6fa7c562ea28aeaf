#include <sd/listen_fds.hpp>

#include "detail/receive.hpp"

#include <cstddef>

namespace sd {

namespace {

/// Gives the claim back where what follows it fails.
class claim_guard {
 public:
  claim_guard() noexcept = default;
  claim_guard(const claim_guard&) = delete;
  claim_guard& operator=(const claim_guard&) = delete;
  ~claim_guard() {
    if (!kept_) detail::claimed.store(false, std::memory_order_release);
  }
  void keep() noexcept { kept_ = true; }

 private:
  bool kept_ = false;
};

std::vector<listen_fd> take(const detail::offer& offered, detail::fault& why) {
  claim_guard claim;
  // All that can throw comes before the descriptors change hands.
  std::vector<listen_fd> fds(static_cast<std::size_t>(offered.count));
  detail::name_list names(offered.env.listen_fdnames);
  for (auto& entry : fds) {
    const auto name = names.next();
    if (!name) break;
    entry.name.emplace(*name);
  }
  detail::mark(offered, why);
  if (why) return {};
  int fd = detail::first_descriptor;
  for (auto& entry : fds) entry.fd.reset(fd++);
  claim.keep();
  return fds;
}

std::vector<listen_fd> receive(listen_options options, detail::fault& why) {
  std::vector<listen_fd> fds;
  const detail::offer offered = detail::claim(options, why);
  if (offered.count > 0) fds = take(offered, why);
  if (!why && (options & listen_options::unset_environment) != listen_options::none) detail::unset_environment();
  return fds;
}

std::error_code code_of(const detail::fault& why) noexcept {
  if (!why) return {};
  if (why.error != 0) return {why.error, std::system_category()};
  return why.code;
}

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)

/// NAME="value", fit for a log whatever the value holds: on one line, printable, and cut where it is long.
std::string describe(const detail::fault& why) {
  constexpr std::size_t longest = 64;
  constexpr char hex[] = "0123456789abcdef";
  const std::string_view value = why.value;
  std::string text = why.variable;
  text += "=\"";
  for (const char c : value.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == '"') {
      text += {'\\', c};
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += {'\\', 'x', hex[byte >> 4U], hex[byte & 0xfU]};
    }
  }
  text += value.size() > longest ? "...\"" : "\"";
  if (why.descriptor >= 0) text += ", descriptor " + std::to_string(why.descriptor);
  return text;
}

#endif

}  // namespace

std::vector<listen_fd> listen_fds(listen_options options, std::error_code& ec) {
  detail::fault why;
  auto fds = receive(options, why);
  ec = code_of(why);
  return fds;
}

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
std::vector<listen_fd> listen_fds(listen_options options) {
  detail::fault why;
  auto fds = receive(options, why);
  if (why) throw std::system_error(code_of(why), describe(why));
  return fds;
}
#endif

}  // namespace sd
