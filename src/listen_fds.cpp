#include <sd/listen_fds.hpp>

#include "detail/os/descriptors.hpp"
#include "detail/receive.hpp"
#include "detail/text.hpp"

#include <cstddef>
#include <string>

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

bool has(listen_options options, listen_options option) noexcept { return (options & option) != listen_options::none; }

detail::fault not_activated() noexcept {
  detail::fault why;
  why.code = errc::not_activated;
  why.variable = "LISTEN_PID";
  why.value = detail::os::get_environment(why.variable);
  return why;
}

std::vector<listen_fd> receive(listen_options options, detail::fault& why) {
  std::vector<listen_fd> fds;
  const detail::offer offered = detail::claim(options, detail::reading::once, why);
  if (offered.count > 0) fds = take(offered, why);
  if (!why && fds.empty() && has(options, listen_options::required)) why = not_activated();
  if (!why && has(options, listen_options::unset_environment)) detail::unset_environment();
  return fds;
}

std::error_code code_of(const detail::fault& why) noexcept {
  if (!why) return {};
  if (why.error != 0) return {why.error, std::generic_category()};
  return why.code;
}

#if SD_HAS_EXCEPTIONS

/// NAME="value", fit for a log.
std::string describe(const detail::fault& why) {
  std::string text = why.variable;
  text += why.value != nullptr ? '=' + detail::quoted(why.value) : " not set";
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

#if SD_HAS_EXCEPTIONS
std::vector<listen_fd> listen_fds(listen_options options) {
  detail::fault why;
  auto fds = receive(options, why);
  if (why) throw std::system_error(code_of(why), describe(why));
  return fds;
}
#endif

}  // namespace sd
